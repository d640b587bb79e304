package ingest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Config of an ingest instance: flags, environment and file through kong.
type Config struct {
	Organisation string   `help:"MSP identifier of the organisation whose devices this serves."`
	Instance     string   `help:"Name of this instance, the same after each restart, unlike any other's."`
	Dir          string   `help:"Folder of spool and quarantine." type:"path"`
	Lanes        uint32   `help:"Number of lanes of the organisation, the same for all its instances." default:"8"`
	Serve        []uint32 `help:"Lanes that this instance is willing to serve; all by default. Instances share what they have in common."`

	Broker   string `help:"MQTT broker: tcp://host:1883, ssl://host:8883, ws:// or wss://." default:"tcp://127.0.0.1:1883"`
	Username string `help:"MQTT user name."`
	Password string `help:"MQTT password or token; better given by environment or file."`
	CA       string `help:"CA certificates (PEM) that the broker is checked against; the system's by default." type:"path" name:"ca"`
	Cert     string `help:"Client certificate (PEM)." type:"path"`
	Key      string `help:"Client key (PEM)." type:"path"`

	BatchBytes    int           `help:"Size to which a batch is filled, encoded." default:"196608"`
	MaxLinger     time.Duration `help:"Longest a frame waits for its batch to fill; it waits less while the ledger answers fast." default:"200ms"`
	MinLinger     time.Duration `help:"Shortest wait for a batch to fill." default:"15ms"`
	MaxInFlight   int           `help:"Batches in flight over all lanes." default:"16"`
	CommitTimeout time.Duration `help:"After this time without a block the batch's fate is looked up and it is sent again." default:"30s"`

	SpoolBytes   int64 `help:"Size of the spool on disk; when it is full messages stay with the broker." default:"2147483648"`
	SegmentBytes int64 `help:"Size of a spool file." default:"4194304"`
	LaneMemory   int64 `help:"Bytes of accepted frames kept in memory for each lane; the rest is read back from disk." default:"8388608"`
	LaneHeld     int64 `help:"Bytes of received messages not yet on disk, for each lane." default:"16777216"`

	QuarantineEntries int64 `help:"Entries in the quarantine; the oldest move to its archive." default:"100000"`
	QuarantineBytes   int64 `help:"Bytes in the quarantine; the oldest entries move to its archive." default:"268435456"`
	ArchiveBytes      int64 `help:"Bytes of the quarantine's archive; its oldest files are deleted." default:"1073741824"`

	Heartbeat time.Duration `help:"How often an instance shows the others that it lives." default:"2s"`
	Lease     time.Duration `help:"An instance not seen for this time is taken for dead. One whose connection breaks is so at once." default:"10s"`
	Drain     time.Duration `help:"How long a stop waits for batches." default:"10s"`
}

// slotArgument is the largest argument that the spool's slots take; maxRaw keeps every batch below it.
const (
	slotArgument = 1 << 20
	maxRaw       = 768 << 10
)

func (c *Config) check() error {
	if err := provenance.CheckIdentifier("organisation", c.Organisation); err != nil {
		return err
	}
	if err := provenance.CheckIdentifier("instance", c.Instance); err != nil {
		return err
	}
	fail := func(format string, args ...any) error { return fmt.Errorf("ingest: "+format, args...) }
	switch {
	case c.Dir == "":
		return fail("the folder of the spool is missing")
	case c.Lanes == 0 || c.Lanes > provenance.MaxLanes:
		return fail("%d lanes, want 1 to %d", c.Lanes, provenance.MaxLanes)
	case c.BatchBytes < 1024 || c.BatchBytes > maxRaw:
		return fail("batch size %d, want 1024 to %d", c.BatchBytes, maxRaw)
	case c.MinLinger < 0 || c.MaxLinger < c.MinLinger:
		return fail("linger from %s to %s is not a range", c.MinLinger, c.MaxLinger)
	case c.MaxInFlight < 1:
		return fail("at least one batch must be in flight")
	case c.SegmentBytes < provenance.MaxMessage || c.SpoolBytes < 2*c.SegmentBytes:
		return fail("spool of %d bytes in files of %d: want files of at least %d and room for two", c.SpoolBytes, c.SegmentBytes, provenance.MaxMessage)
	case c.LaneMemory < 0 || c.LaneHeld < 2*provenance.MaxMessage:
		return fail("memory of a lane: %d and %d bytes are too little", c.LaneMemory, c.LaneHeld)
	case c.Heartbeat <= 0 || c.Lease < 4*c.Heartbeat || c.CommitTimeout <= 0:
		return fail("a lease of %s must be at least four heartbeats of %s, and the commit timeout above zero", c.Lease, c.Heartbeat)
	case (c.Cert == "") != (c.Key == ""):
		return fail("a client certificate needs its key and the other way round")
	}
	for _, lane := range c.Serve {
		if lane >= c.Lanes {
			return fail("lane %d to serve, but lanes run from 0 to %d", lane, c.Lanes-1)
		}
	}
	return nil
}

// serves lists the lanes that the instance is willing to serve.
func (c *Config) serves() []uint32 {
	lanes := slices.Clone(c.Serve)
	if len(lanes) == 0 {
		for lane := range c.Lanes {
			lanes = append(lanes, lane)
		}
	}
	slices.Sort(lanes)
	return slices.Compact(lanes)
}

func (c *Config) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("reading broker CA: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("broker CA: no certificate in %s", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("loading client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
