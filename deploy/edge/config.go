package edge

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Config of an edge: flags, environment and file through kong.
type Config struct {
	Mapping string `help:"Mapping file: which topic, name or metric is which device (see trailmark edge --help)." type:"existingfile" required:""`
	Devices string `help:"Folder of the devices' kits, as trailmark device enrol --attestation edge makes them." default:".trailmark/devices" type:"path"`
	Dir     string `help:"Folder of outbox and quarantine." required:"" type:"path" env:"TRAILMARK_EDGE_DIR"`

	Source         string `help:"Broker that the sensors publish to: tcp://host:1883, ssl://host:8883." required:"" env:"TRAILMARK_EDGE_SOURCE"`
	SourceUser     string `help:"User name there." env:"TRAILMARK_EDGE_SOURCE_USER"`
	SourcePassword string `help:"Password there; better given by environment or file." env:"TRAILMARK_EDGE_SOURCE_PASSWORD"`
	SourceCA       string `help:"CA certificates (PEM) to check it against; the system's by default." type:"path" name:"source-ca"`
	SourceCert     string `help:"Client certificate (PEM) for it." type:"path"`
	SourceKey      string `help:"Client key (PEM) for it." type:"path"`
	ClientID       string `help:"Our client identifier there, of the persistent session that waits for us." default:"trailmark-edge"`
	Rebirth        bool   `help:"Ask a Sparkplug edge node for its BIRTH when an alias is unknown." default:"true" negatable:""`

	Broker string `help:"Trailmark's broker." required:"" env:"TRAILMARK_BROKER"`
	CA     string `help:"CA certificates (PEM) to check it against; the system's by default." type:"path" name:"ca" env:"TRAILMARK_BROKER_CA"`

	PerFrame        int           `help:"Readings in a frame; a device's frame is signed when it has as many." default:"60"`
	MaxDelay        time.Duration `help:"Longest a reading waits for its frame to fill." default:"1m"`
	MaxReadings     int           `help:"Most readings in the outbox; beyond it nothing is taken." default:"1000000"`
	InFlight        int           `help:"Most frames of a device that are published and not acknowledged." default:"16"`
	Remember        time.Duration `help:"How long a signed reading is remembered, so that one that is sent again is known." default:"24h"`
	QuarantineBytes int64         `help:"Size of the quarantine file; when it is full it becomes the old one, which is deleted." default:"67108864"`
	Listen          string        `help:"Address for metrics and health over HTTP; none by default." placeholder:"HOST:PORT"`
}

func (c *Config) check() error {
	fail := func(format string, args ...any) error { return fmt.Errorf("edge: "+format, args...) }
	switch {
	case c.PerFrame < 1 || c.PerFrame > provenance.MaxReadingsInFrame:
		return fail("%d readings in a frame, want 1 to %d", c.PerFrame, provenance.MaxReadingsInFrame)
	case c.MaxDelay <= 0 || c.Remember <= 0:
		return fail("the delay of a frame and the time to remember must be above zero")
	case c.MaxReadings < c.PerFrame:
		return fail("room for %d readings, but a frame has %d", c.MaxReadings, c.PerFrame)
	case c.InFlight < 1 || c.InFlight > 1024:
		return fail("%d frames in flight, want 1 to 1024", c.InFlight)
	case c.QuarantineBytes < 1<<16:
		return fail("a quarantine of %d bytes is too small, want at least %d", c.QuarantineBytes, 1<<16)
	case c.Source == "" || c.Broker == "" || c.Dir == "":
		return fail("the sensors' broker, Trailmark's broker and the folder must be given")
	case (c.SourceCert == "") != (c.SourceKey == ""):
		return fail("a client certificate needs its key and the other way round")
	}
	return nil
}

func tlsConfig(ca, cert, key string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("reading broker CA: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("broker CA: no certificate in %s", ca)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("loading client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
