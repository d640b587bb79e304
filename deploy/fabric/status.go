package fabric

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/trailmark/trailmark/deploy/supervise"
)

// Status is what can be seen of a network from outside.
type Status struct {
	Dir        string             `json:"dir"`
	Channel    string             `json:"channel"`
	Supervisor int                `json:"supervisor"` // process id; 0: the network is down
	Leader     string             `json:"leader"`     // leading orderer; empty while there is none
	Processes  []supervise.Status `json:"processes"`
	Heights    map[string]uint64  `json:"heights"` // peer → blocks it holds
}

// ReadStatus looks at the network in dir without changing anything. A network
// that does not exist is an fs.ErrNotExist.
func ReadStatus(ctx context.Context, dir string) (Status, error) {
	profile, err := LoadProfile(dir)
	if err != nil {
		return Status{}, err
	}
	group := supervise.Open(ProcessDir(dir))
	s := Status{Dir: dir, Channel: profile.Channel, Supervisor: group.Supervisor(), Heights: map[string]uint64{}}
	if s.Processes, err = group.Status(); err != nil {
		return s, fmt.Errorf("reading processes: %w", err)
	}
	if s.Supervisor == 0 {
		return s, nil
	}
	s.Leader, _ = leader(ctx, profile) // none is an answer, too
	s.Heights = heights(ctx, profile)
	return s, nil
}

// heights tells how many blocks each peer holds; a peer that does not answer is
// left out.
func heights(ctx context.Context, p Profile) map[string]uint64 {
	all := map[string]uint64{}
	for _, o := range p.Organisations {
		for _, peer := range o.Peers {
			height, found, err := metric(ctx, peer.Operations, "ledger_blockchain_height", p.Channel)
			if err == nil && found {
				all[peer.Name] = uint64(height)
			}
		}
	}
	return all
}

// catchUp waits until every peer holds the blocks that the orderers, or any peer,
// had when it began. That takes as long as it takes, but it must get on.
func (n *Network) catchUp(ctx context.Context) error {
	var target uint64
	for _, o := range n.profile.Orderers {
		last, found, err := metric(ctx, o.Operations, "consensus_etcdraft_committed_block_number", n.profile.Channel)
		if err == nil && found {
			target = max(target, uint64(last)+1)
		}
	}
	now := heights(ctx, n.profile)
	for _, height := range now {
		target = max(target, height)
	}
	var progress, reported time.Time
	for before := map[string]uint64(nil); ; before, now = now, heights(ctx, n.profile) {
		if !maps.Equal(before, now) {
			progress = time.Now()
		}
		behind := ""
		for _, peer := range n.state.peers() {
			if now[peer.name] < target {
				behind = fmt.Sprintf("%s has %d of %d blocks", peer.name, now[peer.name], target)
			}
		}
		if behind == "" {
			return nil
		}
		if broken := n.broken(); broken != nil {
			return fmt.Errorf("waiting for the peers to catch up: %w", broken)
		}
		if time.Since(progress) > readyTimeout {
			return fmt.Errorf("waiting for the peers to catch up: %s, and nothing moved for %s", behind, readyTimeout)
		}
		if time.Since(reported) > 2*time.Second {
			n.report("waiting for the peers to catch up: " + behind)
			reported = time.Now()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the peers to catch up: %s: %w", behind, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

var errNoLeader = errors.New("no orderer leads")

// Leader names the orderer that leads the raft now.
func (n *Network) Leader(ctx context.Context) (string, error) { return leader(ctx, n.profile) }

func leader(ctx context.Context, p Profile) (string, error) {
	for _, o := range p.Orderers {
		leads, found, err := metric(ctx, o.Operations, "consensus_etcdraft_is_leader", p.Channel)
		if err == nil && found && leads == 1 {
			return o.Name, nil
		}
	}
	return "", errNoLeader
}

func (n *Network) checkLeader(ctx context.Context) error {
	_, err := n.Leader(ctx)
	return err
}

// checkGossip passes when every peer knows every other one; until then a policy
// of several organisations cannot be met. Health endpoints do not tell.
func (n *Network) checkGossip(ctx context.Context) error {
	others := -1
	for _, o := range n.profile.Organisations {
		others += len(o.Peers)
	}
	for _, o := range n.profile.Organisations {
		for _, peer := range o.Peers {
			known, found, err := metric(ctx, peer.Operations, "gossip_membership_total_peers_known", n.profile.Channel)
			if err != nil {
				return fmt.Errorf("reading metrics of %s: %w", peer.Name, err)
			}
			if !found || int(known) < others {
				return fmt.Errorf("%s knows %d of %d other peers", peer.Name, int(known), others)
			}
		}
	}
	return nil
}
