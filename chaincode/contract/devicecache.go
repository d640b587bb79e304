package contract

import (
	"fmt"
	"sync"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// maxCachedDevices bounds the cache, at roughly a kilobyte each.
const maxCachedDevices = 100_000

// cachedDevice is a device's record with its keys parsed. Nobody changes it.
type cachedDevice struct {
	*provenance.Device
	keys []*evidence.PublicKey // beside Device.Keys
}

// in gives what evidence.Judge wants to know for an epoch; nothing for a nil device.
func (d *cachedDevice) in(epoch uint32) (*provenance.Device, *evidence.PublicKey) {
	if d == nil {
		return nil, nil
	}
	if epoch > d.Epoch {
		return d.Device, nil
	}
	for i := len(d.Keys) - 1; i >= 0; i-- {
		if d.Keys[i].FromEpoch <= epoch {
			return d.Device, d.keys[i]
		}
	}
	return d.Device, nil
}

// deviceCache remembers what device records decode to, for decoding one and parsing its keys costs as much as verifying a
// signature. It goes by the record's bytes, which it read from the ledger in this transaction: a hit and a miss give the same.
type deviceCache struct {
	mutex   sync.RWMutex
	limit   int
	devices map[string]*cachedDevice // by the record's bytes
}

func newDeviceCache(limit int) *deviceCache {
	return &deviceCache{limit: limit, devices: map[string]*cachedDevice{}}
}

// decode decodes a device's record; it returns nil where there is none.
func (c *deviceCache) decode(key string, value []byte) (*cachedDevice, error) {
	if len(value) == 0 {
		return nil, nil
	}
	c.mutex.RLock()
	device := c.devices[string(value)]
	c.mutex.RUnlock()
	if device != nil {
		return device, nil
	}
	record, err := decodeState[provenance.Device](key, value)
	if err != nil {
		return nil, err
	}
	device = &cachedDevice{Device: record, keys: make([]*evidence.PublicKey, len(record.Keys))}
	for i := range record.Keys {
		if device.keys[i], err = evidence.ParseKey(record.Keys[i].Key); err != nil {
			return nil, fmt.Errorf("decoding %s: %w", key, err)
		}
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.devices) >= c.limit {
		for victim := range c.devices { // any: only speed depends on it, and a cyclic load defeats the least recently used
			delete(c.devices, victim)
			break
		}
	}
	c.devices[string(value)] = device
	return device, nil
}
