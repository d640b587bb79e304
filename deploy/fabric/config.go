package fabric

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// Version is the Fabric release that tools/go.mod pins.
const Version = "3.1.1"

// Config says what network to make and where. Only Dir, Cache, Tools and
// LogSpec matter for a network that exists already: the rest is written into its
// first block, and changing it takes a [Reset].
type Config struct {
	Dir   string `name:"dir" help:"Folder that holds the network: keys, ledgers, logs." default:".trailmark/net" env:"TRAILMARK_NET_DIR" type:"path"`
	Cache string `name:"cache" help:"Folder for the built Fabric programs (default: fabric-3.1.1 in the user's cache folder)." env:"TRAILMARK_FABRIC_CACHE" type:"path"`
	Tools string `name:"tools" help:"Folder of the Go module that pins Fabric (default: found from the working folder or the program)." env:"TRAILMARK_FABRIC_TOOLS" type:"path"`

	Organisations string `name:"organisations" help:"YAML or JSON file of organisations (default: Manufacturer, Carrier, Regulator)." env:"TRAILMARK_ORGANISATIONS" type:"path"`
	Channel       string `name:"channel" help:"Name of the channel." default:"trailmark" env:"TRAILMARK_CHANNEL"`
	Orderers      int    `name:"orderers" help:"Raft orderers: 1, 3 or 5." default:"1" env:"TRAILMARK_ORDERERS"`
	Endorsements  int    `name:"endorsements" help:"Organisations that must endorse a transaction." default:"2" env:"TRAILMARK_ENDORSEMENTS"`
	BasePort      int    `name:"base-port" help:"First of the ports to use, one after the other; 0 picks free ones." default:"0" env:"TRAILMARK_BASE_PORT"`

	BatchTimeout      time.Duration `name:"batch-timeout" help:"Longest wait before a block is cut." default:"100ms" env:"TRAILMARK_BATCH_TIMEOUT"`
	MaxMessageCount   uint32        `name:"max-message-count" help:"Most transactions in a block." default:"500" env:"TRAILMARK_MAX_MESSAGE_COUNT"`
	PreferredMaxBytes uint32        `name:"preferred-max-bytes" help:"Block size that is aimed at." default:"2097152" env:"TRAILMARK_PREFERRED_MAX_BYTES"`
	AbsoluteMaxBytes  uint32        `name:"absolute-max-bytes" help:"Largest transaction, and largest block." default:"16777216" env:"TRAILMARK_ABSOLUTE_MAX_BYTES"`

	LogSpec string `name:"fabric-log" help:"Fabric's logging specification." default:"warn" env:"TRAILMARK_FABRIC_LOG"`
}

// Options are what a caller brings besides the configuration.
type Options struct {
	// Log receives what operators want to read later; nil discards it.
	Log *slog.Logger
	// Progress is called with a short sentence before each step; nil is allowed.
	Progress func(step string)
	// Supervisor is the command of a background process that ends up in
	// supervise.Open(fabric.ProcessDir(dir)).Run: the network then outlives the
	// caller. Empty: the network's processes end with the caller.
	Supervisor []string
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// withDefaults fills what a caller without a command line left out, and makes
// every path absolute: processes run in folders of their own.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Dir, ".trailmark/net")
	setDefault(&c.Channel, "trailmark")
	setDefault(&c.Orderers, 1)
	setDefault(&c.Endorsements, 2)
	setDefault(&c.BatchTimeout, 100*time.Millisecond)
	setDefault(&c.MaxMessageCount, 500)
	setDefault(&c.PreferredMaxBytes, 2<<20)
	setDefault(&c.AbsoluteMaxBytes, 16<<20)
	setDefault(&c.LogSpec, "warn")
	if c.Cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return c, fmt.Errorf("finding a cache folder (set TRAILMARK_FABRIC_CACHE): %w", err)
		}
		c.Cache = filepath.Join(base, "trailmark", "fabric-"+Version)
	}
	for _, path := range []*string{&c.Dir, &c.Cache, &c.Tools, &c.Organisations} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return c, fmt.Errorf("resolving %s: %w", *path, err)
		}
		*path = absolute
	}
	return c, c.validate()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) validate() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(!channelRule.MatchString(c.Channel), "channel %q: want a lower-case letter, then letters, digits, dots or dashes, at most 60", c.Channel)
	refuse(c.Orderers != 1 && c.Orderers != 3 && c.Orderers != 5, "orderers %d: want 1, 3 or 5", c.Orderers)
	refuse(c.Endorsements < 1, "endorsements %d: want at least 1", c.Endorsements)
	refuse(c.BasePort < 0 || c.BasePort > 65000, "base port %d: want 0 to 65000", c.BasePort)
	refuse(c.BatchTimeout < time.Millisecond || c.BatchTimeout > time.Minute, "batch timeout %s: want 1ms to 1m", c.BatchTimeout)
	refuse(c.MaxMessageCount < 1, "max message count 0: want at least 1")
	// Fabric advises to stay well below its gRPC limit of 100 MB.
	refuse(c.AbsoluteMaxBytes < 1<<20 || c.AbsoluteMaxBytes > 49<<20, "absolute max bytes %d: want 1 to 49 MiB", c.AbsoluteMaxBytes)
	refuse(c.PreferredMaxBytes < 1<<10 || c.PreferredMaxBytes > c.AbsoluteMaxBytes, "preferred max bytes %d: want 1 KiB to the absolute limit", c.PreferredMaxBytes)
	return errors.Join(errs...)
}
