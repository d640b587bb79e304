package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/clock"
	"github.com/trailmark/trailmark/deploy/contracts"
	"github.com/trailmark/trailmark/deploy/fabric"
)

// kind is one way to do harm.
type kind struct {
	name    string
	victims func(x *run, ctx context.Context) []string
	// strike does the harm, and where it lasts, ends it again; what it returns is for the report.
	strike func(x *run, ctx context.Context, victim string) (detail string, err error)
	// afterwards: recovery is measured from the end of the harm, not from its beginning.
	afterwards bool
	// says is what readiness must say while it lasts.
	says string
}

func kinds() []kind {
	return []kind{
		{name: "ingest killed", victims: always(ingestProcesses...), strike: (*run).kill},
		{name: "broker killed", victims: always(brokerProcess), strike: (*run).kill},
		{name: "gateway node killed", victims: always(gatewayNode), strike: (*run).kill},
		{name: "gateway's peer killed", victims: (*run).ownPeers, strike: (*run).kill},
		{name: "another peer killed", victims: (*run).otherPeers, strike: (*run).kill},
		{name: "chaincode killed", victims: (*run).chaincodes, strike: (*run).kill},
		{name: "raft leader killed", victims: (*run).leader, strike: (*run).kill},
		{name: "peer cut off", victims: func(x *run, _ context.Context) []string { return x.road.peers() }, strike: (*run).cutOff},
		{name: "spool's disk filled", victims: always(ingestProcesses...), strike: (*run).fillDisk, says: "no space left"},
		{name: "device clocks jump", victims: always("6 sensors"), strike: (*run).jumpDevices},
		{name: "ingest's clock jumps", victims: always(ingestProcesses...), strike: (*run).jumpIngest},
		{name: "overload", victims: always("broker and ingests"), strike: (*run).overload, afterwards: true, says: "the spool has reached its configured size"},
		{name: "ingest stopped, then woken", victims: always(ingestProcesses...), strike: (*run).stopAndWake},
	}
}

// essential are the kinds of a short run, in the order of drawing.
var essential = []string{"ingest killed", "raft leader killed", "peer cut off", "overload", "broker killed", "ingest stopped, then woken", "spool's disk filled"}

// plan draws the kinds of a run's faults: every kind once before any comes again.
func plan(rng *rand.Rand, config *Config) []kind {
	all, wanted := kinds(), config.Only
	if len(wanted) == 0 && config.Short {
		wanted = essential
	}
	if len(wanted) > 0 {
		all = slices.DeleteFunc(all, func(k kind) bool { return !slices.Contains(wanted, k.name) })
	}
	count := config.count()
	var drawn []kind
	for len(drawn) < count {
		round := slices.Clone(all)
		rng.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
		drawn = append(drawn, round[:min(len(round), count-len(drawn))]...)
	}
	return drawn
}

func always(names ...string) func(*run, context.Context) []string {
	return func(*run, context.Context) []string { return names }
}

func (x *run) ownPeers(context.Context) []string {
	return slices.DeleteFunc(x.road.peers(), func(name string) bool { return !x.own(name) })
}

func (x *run) otherPeers(context.Context) []string {
	return slices.DeleteFunc(x.road.peers(), x.own)
}

func (x *run) own(peer string) bool {
	return slices.ContainsFunc(x.road.owner.Peers, func(p fabric.PeerProfile) bool { return p.Name == peer })
}

func (x *run) chaincodes(context.Context) (names []string) {
	for _, o := range x.road.network.Profile().Organisations {
		if o.Endorses {
			names = append(names, fabric.ChaincodeProcess(contracts.Name, o.Name))
		}
	}
	return names
}

func (x *run) leader(ctx context.Context) []string {
	for range 100 {
		if name, err := x.road.network.Leader(ctx); err == nil {
			return []string{name}
		}
		pause(ctx, 100*time.Millisecond)
	}
	return nil
}

func (x *run) kill(ctx context.Context, victim string) (string, error) {
	for tries := 0; ; tries++ { // it may be starting again after the fault before
		err := x.road.kill(victim)
		if err == nil || tries == 100 || ctx.Err() != nil {
			return "kill -9", err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// between draws a duration.
func (x *run) between(from, to time.Duration) time.Duration {
	return from + time.Duration(x.rng.Int64N(int64(to-from)+1))
}

// cutOff takes a peer's link down: nothing reaches it, nothing leaves it, and nobody is told. Without namespaces it is stopped
// instead, which to everybody else looks the same.
func (x *run) cutOff(ctx context.Context, victim string) (string, error) {
	hold := x.between(6*time.Second, 12*time.Second)
	if !x.road.room.own {
		if err := x.road.group.Signal(victim, syscall.SIGSTOP); err != nil {
			return "", err
		}
		pause(ctx, hold)
		return fmt.Sprintf("SIGSTOP for %.1f s, for want of a network namespace", hold.Seconds()), x.road.group.Signal(victim, syscall.SIGCONT)
	}
	if err := x.road.room.cut(ctx, victim, true); err != nil {
		return "", err
	}
	pause(ctx, hold)
	return fmt.Sprintf("the link of its network namespace down for %.1f s", hold.Seconds()), x.road.room.cut(context.WithoutCancel(ctx), victim, false)
}

// stopAndWake stops an ingest for longer than its lease, so that its lanes are taken over, and wakes it: what it then does is a stale
// owner's.
func (x *run) stopAndWake(ctx context.Context, victim string) (string, error) {
	hold := lease + x.between(3*time.Second, 5*time.Second)
	if err := x.road.group.Signal(victim, syscall.SIGSTOP); err != nil {
		return "", err
	}
	pause(ctx, hold)
	return fmt.Sprintf("SIGSTOP for %.1f s (lease %s), then SIGCONT", hold.Seconds(), lease), x.road.group.Signal(victim, syscall.SIGCONT)
}

// fillDisk fills the small filesystem that an ingest's spool is on.
func (x *run) fillDisk(ctx context.Context, victim string) (string, error) {
	if !x.road.room.own {
		return "left out: a small filesystem needs namespaces of our own", nil
	}
	hold := x.between(5*time.Second, 8*time.Second)
	ballast := filepath.Join(x.road.disk(victim), "ballast")
	began := time.Now()
	written := 0
	for time.Since(began) < hold && ctx.Err() == nil { // what is freed meanwhile is taken, too
		n, err := fill(ballast)
		written += n
		if err != nil {
			return "", errors.Join(err, os.Remove(ballast))
		}
		pause(ctx, 50*time.Millisecond)
	}
	return fmt.Sprintf("full for %.1f s (%d KiB of ballast)", hold.Seconds(), written>>10), os.Remove(ballast)
}

// fill appends to a file until its filesystem is full.
func fill(path string) (written int, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return 0, nil
		}
		return 0, err
	}
	defer file.Close()
	for size := 64 << 10; size >= 1<<10; {
		n, err := file.Write(make([]byte, size))
		written += n
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			return written, err
		}
	}
	return written, nil
}

// jumpDevices sets clocks of sensors wrong for a while: half of them are ahead by more than is believed, the others behind by an hour.
func (x *run) jumpDevices(ctx context.Context, _ string) (string, error) {
	const ahead, behind = provenance.MaxClockSkew*time.Millisecond + 10*time.Second, -time.Hour
	hold := x.between(3*time.Second, 5*time.Second)
	for i, at := range x.rng.Perm(len(x.sensors))[:6] {
		s := x.sensors[at]
		wrong := ahead
		if i%2 == 1 {
			wrong = behind
		}
		s.setClock(wrong)
		defer s.setClock(0)
	}
	pause(ctx, hold)
	return fmt.Sprintf("3 ahead by %s, 3 behind by 1 h, for %.1f s", ahead, hold.Seconds()), nil
}

// jumpIngest sets the clock that ingest was given back by an hour; it catches up within seconds, or jumps forward when it is restarted
// with the machine's clock.
func (x *run) jumpIngest(ctx context.Context, victim string) (string, error) {
	const back, lead = time.Hour, 12 * time.Second
	now := time.Now()
	file := x.road.clockFile(victim)
	if err := os.WriteFile(file, []byte(clock.Starting(now, now.Add(-back), lead).String()), 0o600); err != nil {
		return "", err
	}
	detail := fmt.Sprintf("back by %s, then fast until right after %s", back, lead)
	if x.jumped[victim] { // it has read a clock already, and reads another one only at its start
		if _, err := x.kill(ctx, victim); err != nil {
			return "", err
		}
		detail += ", by a restart"
	}
	x.jumped[victim] = true
	if x.rng.IntN(2) == 0 {
		pause(ctx, lead)
		return detail, nil
	}
	pause(ctx, lead/2)
	if err := os.Remove(file); err != nil {
		return "", err
	}
	x.jumped[victim] = false
	_, err := x.kill(ctx, victim)
	return fmt.Sprintf("back by %s, then forward to the right time, by a kill, after %s", back, lead/2), err
}

// overload publishes at ten times the rate that was measured, until readiness says that it is too much.
func (x *run) overload(ctx context.Context, _ string) (string, error) {
	rate := overloadFactor * x.capacity
	seconds := 8.0
	frames, err := x.signFlood(int(min(rate*seconds, 60_000)))
	if err != nil {
		return "", err
	}
	_, before, committed := x.book.numbers()
	began := time.Now()
	for i, m := range frames {
		if ctx.Err() != nil {
			break
		}
		if ahead := time.Duration(float64(i)/rate*float64(time.Second)) - time.Since(began); ahead > 10*time.Millisecond {
			pause(ctx, ahead)
		}
		m.signed = time.Now()
		x.publisher.send(m)
	}
	took := time.Since(began)
	_, acked, now := x.book.numbers()
	pause(ctx, 2*time.Second)
	waiting, longest := x.publisher.backlog()
	flood := "flood-"
	x.publisher.giveUp(func(m *message) bool { return strings.HasPrefix(m.id.Device, flood) })
	if waiting == 0 {
		x.fail("overload: no publisher had to wait for a PUBACK; there was no back-pressure")
	}
	return fmt.Sprintf("offered %.0f frames/s for %.1f s (%.0f × the %.0f/s it takes): %.0f/s acknowledged, %.0f/s recorded; %d frames waited for their PUBACK, up to %.1f s",
		float64(len(frames))/took.Seconds(), took.Seconds(), float64(len(frames))/took.Seconds()/x.capacity, x.capacity, float64(acked-before)/took.Seconds(),
		float64(now-committed)/took.Seconds(), waiting, longest.Seconds()), nil
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
