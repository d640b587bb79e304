package faults

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Config of a run.
type Config struct {
	Seed   uint64   `help:"Seed of every random choice: kinds, victims, moments." default:"1"`
	Short  bool     `help:"Few faults, about a minute and a half; for CI."`
	Faults int      `help:"How many faults (default: 24, with --short 7)."`
	Only   []string `help:"Only faults of these kinds, such as 'broker killed'." placeholder:"KIND"`
	JSON   bool     `help:"Print one JSON object on standard output instead of the report." name:"json"`
	Dir    string   `help:"Folder for the run; it must not exist yet. Default: a temporary one, deleted at the end." type:"path"`
	Keep   bool     `help:"Keep the folder, with the logs of every process, even if nothing was found."`
}

// The load and the limits of a run. The spools and the broker's store are small, so that an overload fills them within seconds.
const (
	lanes          = 4
	sensors        = 24
	readingsAFrame = 6
	frameEvery     = time.Second // of each sensor

	brokerStore   = 6 << 20
	spoolBytes    = 2 << 20
	spoolSegment  = 256 << 10
	spoolDisk     = 32 << 20 // of the small filesystem
	batchBytes    = 24 << 10
	batchesFlying = 4
	lease         = 4 * time.Second
	heartbeat     = 500 * time.Millisecond

	overloadFactor  = 10
	floodSensors    = 32
	readingsInFlood = 30   // in each of its frames
	burst           = 2000 // frames that the rate which ingest can take is measured with
)

// memoryLimits bound what each kind of our processes may have resident at any time.
var memoryLimits = map[string]int64{"broker": 512 << 20, "ingest": 512 << 20, "node": 768 << 20}

func (c *Config) count() int {
	switch {
	case c.Faults > 0:
		return c.Faults
	case c.Short:
		return 7
	}
	return 24
}

func (c *Config) check() error {
	if c.Faults < 0 || c.Faults > 10_000 {
		return fmt.Errorf("%d faults: want 1 to 10000", c.Faults)
	}
	for _, name := range c.Only {
		if !slices.ContainsFunc(kinds(), func(k kind) bool { return k.name == name }) {
			return fmt.Errorf("no kind of fault is called %q; there are: %s", name, strings.Join(names(), ", "))
		}
	}
	return nil
}

func names() (all []string) {
	for _, k := range kinds() {
		all = append(all, k.name)
	}
	return all
}
