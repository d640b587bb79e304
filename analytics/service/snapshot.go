package service

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trailmark/trailmark/analytics/spoilage"
	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// saveEvery bounds how much a restart has to score again.
const saveEvery = 10 * time.Second

// maxSnapshot bounds what is read back.
const maxSnapshot = 2 * spoilage.MaxSnapshotBytes

// plan digests what a score depends on besides the readings. When the shipment was changed is part of it: that tells it from one of
// the same name on a ledger that was made anew.
func (s *Service) plan(shipment *provenance.Shipment) (provenance.Hash, error) {
	bytes, err := evidence.Marshal([]any{
		shipment.ID, shipment.Profile, shipment.Limits, shipment.Initial, shipment.Attachments, shipment.Changed, s.request.Hash, s.request.Kernel,
	})
	return sha256.Sum256(bytes), err
}

func (s *Service) snapshotPath(shipment string) string {
	return filepath.Join(s.config.Dir, strings.ReplaceAll(shipment, ":", "~")+".snapshot")
}

func (s *Service) forget(shipment string) {
	if s.config.Dir != "" {
		_ = os.Remove(s.snapshotPath(shipment)) // a leftover costs nothing: it is recognised as old
	}
}

func (s *Service) saveAll() {
	for id, w := range s.shipments {
		s.save(w, id)
	}
}

// save writes a snapshot. An old or missing one costs time after a restart and nothing else, so a failure is only logged.
func (s *Service) save(w *watched, shipment string) {
	w.saved = time.Now()
	if s.config.Dir == "" || w.scorer == nil {
		return
	}
	if err := s.write(w, s.snapshotPath(shipment)); err != nil {
		s.log.Warn("saving a snapshot failed; a restart will score the shipment from an older one", slog.String("shipment", shipment), slog.Any("error", err))
	}
}

func (s *Service) write(w *watched, path string) error {
	state, err := w.scorer.Snapshot()
	if err != nil {
		return err
	}
	w.State = state
	text, err := json.Marshal(w)
	w.State = nil
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// restore reads the snapshot of a shipment as of a block that is projected, nil where there is none. Of one under another plan only
// the alerts that it knew are of use.
func (s *Service) restore(shipment *provenance.Shipment, plan provenance.Hash, height uint64) (*watched, error) {
	if s.config.Dir == "" {
		return nil, nil
	}
	file, err := os.Open(s.snapshotPath(shipment.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSnapshot+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSnapshot {
		return nil, fmt.Errorf("reading snapshot: more than %d bytes", maxSnapshot)
	}
	w := new(watched)
	if err := json.Unmarshal(text, w); err != nil {
		return nil, fmt.Errorf("reading snapshot: %w", err)
	}
	if w.Plan != plan || w.Block > height { // another plan, or a read model that was made anew
		return nil, nil
	}
	profile, _, err := Profile(shipment)
	if err != nil {
		return nil, err
	}
	if w.scorer, err = spoilage.Restore(profile, s.model, w.State); err != nil {
		return nil, err
	}
	w.State, w.assess = nil, true
	return w, nil
}
