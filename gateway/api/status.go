package api

import (
	"context"
	"fmt"
	"time"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// peerPatience is how long the peer may take to say how many blocks it has.
const peerPatience = 2 * time.Second

func (s *server) clock() NodeClock {
	clock := NodeClock{Now: time.Now().UTC().Truncate(time.Millisecond)}
	if speed, simulated := s.Clock.Simulated(); simulated {
		shown := s.Clock.Now().UTC().Truncate(time.Millisecond)
		clock.Simulated, clock.SimulatedTime, clock.Speed = true, &shown, &speed
	}
	return clock
}

// GetStatus implements getStatus.
func (s *server) GetStatus(ctx context.Context, _ GetStatusRequestObject) (GetStatusResponseObject, error) {
	who := person(ctx)
	status := GetStatus200JSONResponse{
		Organisation: Organisation{Id: s.Organisation, Name: s.Name}, Channel: s.Channel, Version: s.Version, Roles: []NodeRole{}, Ready: true, Reasons: []string{},
		User:  User{Name: who.Name, MayAcknowledge: who.MayAcknowledge, MayReplay: who.MayReplay},
		Clock: s.clock(), Log: LogSize{Root: evidence.Root(nil).String()},
	}
	for _, role := range s.Roles {
		status.Roles = append(status.Roles, NodeRole(role))
	}
	if s.Service.Ready != nil {
		ready, reasons := s.Service.Ready()
		status.Ready, status.Reasons = ready, append(status.Reasons, reasons...)
	}
	if s.PeerHeight != nil {
		asking, cancel := context.WithTimeout(ctx, peerPatience)
		height, err := s.PeerHeight(asking)
		cancel()
		if status.Ledger.Connected = err == nil; err == nil {
			blocks := int64(height)
			status.Ledger.PeerHeight = &blocks
		} else {
			status.Reasons = append(status.Reasons, "The peer does not answer.")
		}
	}
	if s.Store == nil {
		return status, nil
	}
	stats, err := s.Store.Stats(ctx)
	if err != nil {
		return nil, err
	}
	status.Ledger.Height, status.Ledger.Committed = int64(stats.Blocks), whenSet(stats.LastTime)
	status.Log = LogSize{Size: int64(stats.LogSize), Root: stats.LogRoot.String()}
	status.Reasons = append(status.Reasons, amiss(&stats, status.Ledger.PeerHeight)...)
	return status, nil
}

// farBehind is how many blocks the projection may lack before somebody should know.
const farBehind = 20

// amiss says what is wrong without keeping the node from working.
func amiss(stats *readmodel.Stats, peer *int64) (reasons []string) {
	if peer != nil && *peer-int64(stats.Blocks) > farBehind {
		reasons = append(reasons, fmt.Sprintf("%d blocks of the ledger are still to be read.", *peer-int64(stats.Blocks)))
	}
	if stats.Contradictions > 0 {
		reasons = append(reasons, fmt.Sprintf("%s of the log's checkpoints stands on the ledger: organisations have signed different logs.", counted(int(stats.Contradictions), "contradiction")))
	}
	if stats.Anomalies > 0 {
		reasons = append(reasons, fmt.Sprintf("%s found in blocks; see the log.", counted(int(stats.Anomalies), "thing")+" that should not be"))
	}
	return reasons
}
