package fabric

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	minDiskState = 1 << 30 // an orderer preallocates 123 MB; ledgers grow
	minDiskBuild = 2 << 30 // Go's build cache for Fabric and its dependencies
)

// spareAddress is given to the loopback device of a host that has no other.
const spareAddress = "10.99.0.1/32"

// ensureInterface sees to it that there is an IPv4 address besides 127.0.0.1:
// a Fabric peer ends itself without one, though it never uses it here.
func ensureInterface(ctx context.Context, progress func(string)) error {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("listing network addresses: %w", err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return nil
		}
	}
	cure := "ip addr add " + spareAddress + " dev lo"
	if os.Geteuid() != 0 {
		return fmt.Errorf("this host has no IPv4 address but 127.0.0.1, and a Fabric peer refuses to start like that; as root run: %s", cure)
	}
	progress("adding " + spareAddress + " to the loopback device, for Fabric's peers")
	if out, err := exec.CommandContext(ctx, "ip", "addr", "add", spareAddress, "dev", "lo").CombinedOutput(); err != nil {
		return fmt.Errorf("running %q, without which a Fabric peer refuses to start: %w: %s", cure, err, out)
	}
	return nil
}

func checkDisk(dir string, need uint64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("measuring free space of %s: %w", dir, err)
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < need {
		return fmt.Errorf("%s has %d MiB of disk left, %d MiB are needed", dir, free>>20, need>>20)
	}
	return nil
}

// lockDir keeps two commands from changing one folder at the same time; it waits
// for its turn until ctx ends. The lock is a file beside the folder, which stays.
func lockDir(ctx context.Context, dir string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return nil, fmt.Errorf("making room for %s: %w", dir, err)
	}
	file, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("opening lock of %s: %w", dir, err)
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil // closing gives the lock back
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		select {
		case <-ctx.Done():
			err = fmt.Errorf("another command works on it: %w", ctx.Err())
			return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), file.Close())
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), file.Close())
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	return nil
}
