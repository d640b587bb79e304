package fabric

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are picked below the range that Linux gives to outgoing connections
// (32768 and up), or one of those could sit on a port of ours at a restart.
const (
	lowestPort  = 20000
	highestPort = 32000
)

// reservation holds listeners on ports until the processes that own them start,
// so that two networks made at the same moment do not pick the same ones.
type reservation []net.Listener

func (r reservation) release() {
	for _, l := range r {
		_ = l.Close() // a listener that never accepted has nothing to lose
	}
}

// reserve gives each name a port: base and those after it, or free ones when
// base is 0. Names that have a port already keep it.
func reserve(ports map[string]int, names []string, base int) (reservation, error) {
	var held reservation
	next := base
	if base == 0 {
		next = lowestPort + rand.IntN(highestPort-lowestPort)
	}
	for _, name := range names {
		if ports[name] != 0 {
			continue
		}
		for tries := 0; ; tries++ {
			if base == 0 && next > highestPort {
				next = lowestPort
			}
			listener, err := listen(next)
			if err != nil && base != 0 {
				held.release()
				return nil, fmt.Errorf("port %d for %s: %w (give another --base-port)", next, name, err)
			}
			if err != nil {
				if tries > highestPort-lowestPort {
					held.release()
					return nil, errors.New("no free port between 20000 and 32000")
				}
				next++
				continue
			}
			held = append(held, listener)
			ports[name] = next
			next++
			break
		}
	}
	return held, nil
}

func listen(port int) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(context.Background(), "tcp4", net.JoinHostPort(loopback, strconv.Itoa(port))) // takes no time
}

// checkFree says which port of a process about to start belongs to somebody else.
func checkFree(process string, ports map[string]int) error {
	for name, port := range ports {
		if owner := ownerOf(name); owner != process {
			continue
		}
		listener, err := listen(port)
		if err != nil {
			return fmt.Errorf("port %d of %s is taken by another program; end that one, or make a new network with other ports (reset): %w", port, process, err)
		}
		_ = listener.Close() // nothing was accepted
	}
	return nil
}

func ownerOf(portName string) string {
	for i := range portName {
		if portName[i] == '/' {
			return portName[:i]
		}
	}
	return portName
}
