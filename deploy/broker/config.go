package broker

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Config of the broker: flags, environment and file through kong.
type Config struct {
	Host           string            `help:"Address to listen on." default:"127.0.0.1"`
	Port           int               `help:"Port to listen on; 0 takes a free one." default:"8883"`
	Dir            string            `help:"Folder of the message store." type:"path" required:""`
	Lanes          map[string]uint32 `help:"Lanes of each organisation, such as CarrierMSP=8." required:"" placeholder:"ORG=N"`
	TLSCert        string            `help:"Server certificate (PEM); without it connections are not encrypted." type:"path" name:"tls-cert"`
	TLSKey         string            `help:"Server key (PEM)." type:"path" name:"tls-key"`
	ClientCA       map[string]string `help:"CA certificates (PEM) of each organisation; they name its devices and ingests." placeholder:"ORG=FILE" name:"client-ca"`
	SecretFile     string            `help:"Secret that tokens are made from; created if missing. Without it only certificates are accepted." type:"path" name:"secret-file"`
	Sync           string            `help:"When stored messages are synced to disk: a duration, or 'always' before each acknowledgement." default:"1s"`
	MaxMessage     int               `help:"Largest message in bytes; a larger one ends the connection. Leave room above 64 KiB, so that ingest can quarantine what is a little too large." default:"131072"`
	MaxConnections int               `help:"Most connections at a time." default:"20000"`
	MaxStore       int64             `help:"Most bytes of stored messages; beyond it publishers get no acknowledgement." default:"4294967296"`
	MaxInFlight    uint16            `help:"Messages a lane's session may hold unacknowledged." default:"4096"`
	AckWait        time.Duration     `help:"After this time an unacknowledged message is delivered again." default:"30s"`
}

func (c *Config) check() error {
	if c.Dir == "" {
		return fmt.Errorf("broker: the folder of the message store is missing")
	}
	if len(c.Lanes) == 0 {
		return fmt.Errorf("broker: no lanes; name each organisation with its number of lanes")
	}
	for org, n := range c.Lanes {
		if err := provenance.CheckIdentifier("organisation", org); err != nil {
			return fmt.Errorf("broker: %w", err)
		}
		if n == 0 || n > provenance.MaxLanes {
			return fmt.Errorf("broker: %d lanes for %s, want 1 to %d", n, org, provenance.MaxLanes)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fmt.Errorf("broker: a TLS certificate needs its key and the other way round")
	}
	if len(c.ClientCA) > 0 && c.TLSCert == "" {
		return fmt.Errorf("broker: client certificates need TLS; give a server certificate")
	}
	if len(c.ClientCA) == 0 && c.SecretFile == "" {
		return fmt.Errorf("broker: nobody could log in; give a client CA or a secret file")
	}
	if c.MaxMessage < provenance.MaxMessage {
		return fmt.Errorf("broker: largest message %d is below the %d that a frame may have", c.MaxMessage, provenance.MaxMessage)
	}
	return nil
}

func (c *Config) syncing() (always bool, interval time.Duration, err error) {
	if c.Sync == "always" {
		return true, 0, nil
	}
	interval, err = time.ParseDuration(c.Sync)
	if err != nil || interval <= 0 {
		return false, 0, fmt.Errorf("broker: sync %q: want 'always' or a duration above zero", c.Sync)
	}
	return false, interval, nil
}

// organisations lists them in a fixed order.
func (c *Config) organisations() []string {
	names := make([]string, 0, len(c.Lanes))
	for name := range c.Lanes {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// serverTLS asks for a client certificate but does not insist: a token will do. Which organisation a certificate speaks
// for is decided by the CA that issued it, see authenticator.
func (c *Config) serverTLS() (*tls.Config, map[string]*x509.CertPool, error) {
	if c.TLSCert == "" {
		return nil, nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, nil, fmt.Errorf("loading broker certificate: %w", err)
	}
	all, pools := x509.NewCertPool(), map[string]*x509.CertPool{}
	for org, file := range c.ClientCA {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, fmt.Errorf("reading client CA of %s: %w", org, err)
		}
		pools[org] = x509.NewCertPool()
		if !pools[org].AppendCertsFromPEM(text) {
			return nil, nil, fmt.Errorf("client CA of %s: no certificate in %s", org, file)
		}
		all.AppendCertsFromPEM(text)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{certificate},
		ClientAuth:   tls.VerifyClientCertIfGiven,
		ClientCAs:    all,
	}, pools, nil
}
