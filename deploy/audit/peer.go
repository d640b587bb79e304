package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailmark/trailmark/deploy/fabric"
	"github.com/trailmark/trailmark/deploy/supervise"
	"github.com/trailmark/trailmark/gateway/ledger"
)

// Peer is an organisation's peer to read blocks from.
type Peer struct {
	*ledger.Client
	Height uint64 // blocks that it has

	group *supervise.Group
	stop  func()
	dir   string
}

// startTimeout bounds how long a peer may take to answer.
const startTimeout = time.Minute

// OpenPeer connects to the network in a folder in the name of an organisation. Where the network is down, the organisation's own peer is
// started for the time of the audit, and nothing else: no orderer and no node, so the ledger cannot change meanwhile.
func OpenPeer(ctx context.Context, dir, organisation string, log *slog.Logger, say func(string)) (peer *Peer, err error) {
	status, err := fabric.ReadStatus(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("opening network: %w", err)
	}
	p := &Peer{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if status.Supervisor == 0 {
		say(fmt.Sprintf("the network in %s is down: starting the peer of %s alone, to read its blocks", dir, organisation))
		if err := p.start(ctx, dir, organisation); err != nil {
			return nil, err
		}
	}
	if p.Client, err = ledger.Dial(ledger.Config{Profile: filepath.Join(dir, "profile.json"), Organisation: organisation}, log, prometheus.NewRegistry()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if p.Height, err = p.Client.Height(ctx); err != nil {
		if p.group != nil {
			err = fmt.Errorf("%w\nthe end of the peer's log:\n%s", err, p.tail())
		}
		return nil, fmt.Errorf("asking a peer of %s for its height: %w", organisation, err)
	}
	return p, nil
}

// start runs the organisation's first peer as the network would.
func (p *Peer) start(ctx context.Context, dir, organisation string) error {
	profile, err := fabric.LoadProfile(dir)
	if err != nil {
		return err
	}
	member, err := profile.Organisation(organisation)
	if err != nil {
		return err
	}
	if len(member.Peers) == 0 {
		return fmt.Errorf("%s has no peer to read from: name another organisation with --as", member.Name)
	}
	name := member.Peers[0].Name
	text, err := os.ReadFile(filepath.Join(fabric.ProcessDir(dir), "specs", name+".json"))
	if err != nil {
		return fmt.Errorf("reading how to start %s: %w", name, err)
	}
	var spec supervise.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		return fmt.Errorf("reading how to start %s: %w", name, err)
	}
	spec.Paused = false
	if p.dir, err = os.MkdirTemp("", "trailmark-audit-"); err != nil {
		return err
	}
	p.group = supervise.Open(p.dir)
	if p.stop, _, err = p.group.Attach(slog.New(slog.DiscardHandler)); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	if err := p.group.Ensure(spec); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	if err := p.group.Await(ctx, name); err != nil {
		return err
	}
	return p.listens(ctx, member.Peers[0].Address)
}

// listens waits until the peer takes connections.
func (p *Peer) listens(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the peer does not listen: %w\nthe end of its log:\n%s", err, p.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (p *Peer) tail() (text string) {
	all, err := p.group.Status()
	if err != nil {
		return err.Error()
	}
	for _, s := range all {
		text += p.group.Tail(s.Name)
	}
	return text
}

// Close disconnects, and ends the peer if it was started here.
func (p *Peer) Close() (err error) {
	if p.Client != nil {
		err = p.Client.Close()
	}
	if p.stop != nil {
		p.stop()
	}
	if p.dir != "" {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	return err
}
