package ledger

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Config says which network to talk to, and as whom.
type Config struct {
	Profile      string        `help:"Connection profile (profile.json) of the network." type:"path" required:"" placeholder:"FILE"`
	Organisation string        `help:"Organisation to act for, by name or MSP identifier." required:"" placeholder:"NAME"`
	Chaincode    string        `help:"Name of the chaincode." default:"trailmark"`
	Timeout      time.Duration `help:"How long a submitted transaction may take, retries included, where the caller sets no limit." default:"60s"`
	Resubmit     time.Duration `help:"How long to wait for a transaction's block before sending the same transaction again." default:"5s"`
	Attempt      time.Duration `help:"How long one peer may take to answer before another one is asked." default:"6s"`
	MaxMessage   int           `help:"Largest gRPC message, in bytes." default:"104857600"`
}

func (c *Config) setDefaults() {
	if c.Chaincode == "" {
		c.Chaincode = "trailmark"
	}
	if c.Timeout <= 0 {
		c.Timeout = time.Minute
	}
	if c.Resubmit <= 0 {
		c.Resubmit = 5 * time.Second
	}
	if c.Attempt <= 0 {
		c.Attempt = 6 * time.Second
	}
	if c.MaxMessage <= 0 {
		c.MaxMessage = 100 << 20
	}
}

// profile is the part of a connection profile that a client needs. Its paths are relative to its file.
type profile struct {
	Channel       string                `json:"channel"`
	Organisations []organisationProfile `json:"organisations"`
}

type organisationProfile struct {
	Name  string `json:"name"`
	MSPID string `json:"mspID"`
	TLSCA string `json:"tlsCA"`
	Peers []struct {
		Name       string `json:"name"`
		Address    string `json:"address"`
		ServerName string `json:"serverName"`
	} `json:"peers"`
	Node struct {
		Cert string `json:"cert"`
		Key  string `json:"key"`
	} `json:"node"`
}

func loadProfile(path string) (*profile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading connection profile: %w", err)
	}
	p := new(profile)
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("reading connection profile %s: %w", path, err)
	}
	if p.Channel == "" {
		return nil, fmt.Errorf("connection profile %s names no channel", path)
	}
	absolute := func(file *string) {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(filepath.Dir(path), *file)
		}
	}
	for i := range p.Organisations {
		o := &p.Organisations[i]
		absolute(&o.TLSCA)
		absolute(&o.Node.Cert)
		absolute(&o.Node.Key)
	}
	return p, nil
}

// order puts the organisation to act for first: its peers are asked before those of others.
func (p *profile) order(name string) ([]organisationProfile, error) {
	var own, others []organisationProfile
	for _, o := range p.Organisations {
		if o.Name == name || o.MSPID == name {
			own = append(own, o)
		} else {
			others = append(others, o)
		}
	}
	if len(own) != 1 {
		return nil, fmt.Errorf("the connection profile knows %d organisations named %q, want one", len(own), name)
	}
	return append(own, others...), nil
}
