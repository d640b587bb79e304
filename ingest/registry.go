package ingest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// registry answers who a device is: from the blocks followed, else from the ledger, remembering for a while what that said.
// Parsed keys are kept as long as the device's record stays the same.
type registry struct {
	devices Devices
	ledger  Ledger

	lookups singleflight.Group
	mu      sync.RWMutex
	asked   map[string]answer // what the ledger said of devices that blocks have not brought
	keys    map[string]*deviceKeys
}

type answer struct {
	device *provenance.Device // nil: unknown
	until  time.Time
}

type deviceKeys struct {
	device *provenance.Device
	epoch  uint32
	key    *evidence.PublicKey
}

const (
	answerHolds   = 2 * time.Second // an enrolment shows after this at the latest
	lookupTimeout = 5 * time.Second
	maxAnswers    = 1 << 14
	maxKeys       = 1 << 17
)

func newRegistry(devices Devices, ledger Ledger) *registry {
	return &registry{devices: devices, ledger: ledger, asked: map[string]answer{}, keys: map[string]*deviceKeys{}}
}

// device returns a record, nil if there is none. An error means that the ledger could not be asked.
func (r *registry) device(ctx context.Context, id string) (*provenance.Device, error) {
	if device, ok := r.devices.Device(id); ok {
		return device, nil
	}
	return r.ask(ctx, id)
}

// newer returns the ledger's record of a device if it is newer than the one from blocks, which may lag; else nil.
func (r *registry) newer(ctx context.Context, than *provenance.Device) *provenance.Device {
	device, err := r.ask(ctx, than.ID)
	if err != nil || device == nil || device.Changed <= than.Changed {
		return nil
	}
	return device
}

// ask returns what the ledger says of a device, or said a moment ago.
func (r *registry) ask(ctx context.Context, id string) (*provenance.Device, error) {
	r.mu.RLock()
	known, ok := r.asked[id]
	r.mu.RUnlock()
	if ok && time.Now().Before(known.until) {
		return known.device, nil
	}
	found, err, _ := r.lookups.Do(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		device, err := r.ledger.Device(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("looking up device %s: %w", id, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.asked) >= maxAnswers {
			clear(r.asked)
		}
		r.asked[id] = answer{device, time.Now().Add(answerHolds)}
		return device, nil
	})
	if err != nil {
		return nil, err
	}
	return found.(*provenance.Device), nil
}

// key returns the parsed key of a device in an epoch; nil if there is none, which evidence.Judge puts into words.
func (r *registry) key(device *provenance.Device, epoch uint32) *evidence.PublicKey {
	r.mu.RLock()
	known := r.keys[device.ID]
	r.mu.RUnlock()
	if known != nil && known.device == device && known.epoch == epoch {
		return known.key
	}
	key, err := evidence.ParseKey(device.KeyAt(epoch))
	if err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) >= maxKeys {
		clear(r.keys)
	}
	r.keys[device.ID] = &deviceKeys{device, epoch, key}
	return key
}
