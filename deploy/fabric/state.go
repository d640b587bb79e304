package fabric

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	stateFile   = "network.json"
	stateFormat = 1
	loopback    = "127.0.0.1"
)

// The ports a process may have.
const (
	portMain       = "main"       // gRPC
	portChaincode  = "chaincode"  // a peer's, for chaincode that dials in (unused, but the peer opens it)
	portAdmin      = "admin"      // an orderer's channel participation API
	portOperations = "operations" // health and metrics
)

// state is what a network was created as. It is written once and grows only by
// ports of chaincode; losing it means losing the network.
type state struct {
	Format        int            `json:"format"`
	Created       time.Time      `json:"created"`
	Channel       string         `json:"channel"`
	Organisations []Organisation `json:"organisations"`
	Orderers      int            `json:"orderers"`
	Endorsements  int            `json:"endorsements"`

	BatchTimeout      string `json:"batchTimeout"`
	MaxMessageCount   uint32 `json:"maxMessageCount"`
	PreferredMaxBytes uint32 `json:"preferredMaxBytes"`
	AbsoluteMaxBytes  uint32 `json:"absoluteMaxBytes"`

	Ports map[string]int `json:"ports"` // "process/use" → port
}

func newState(cfg Config, orgs []Organisation, now time.Time) (state, error) {
	if n := len(endorsers(orgs)); cfg.Endorsements > n {
		return state{}, fmt.Errorf("%d endorsements wanted, but only %d organisations endorse", cfg.Endorsements, n)
	}
	return state{
		Format: stateFormat, Created: now.UTC().Truncate(time.Second), Channel: cfg.Channel, Organisations: orgs,
		Orderers: cfg.Orderers, Endorsements: cfg.Endorsements,
		BatchTimeout: cfg.BatchTimeout.String(), MaxMessageCount: cfg.MaxMessageCount,
		PreferredMaxBytes: cfg.PreferredMaxBytes, AbsoluteMaxBytes: cfg.AbsoluteMaxBytes,
		Ports: map[string]int{},
	}, nil
}

// loadState reads a network's state; fs.ErrNotExist means there is no network.
func loadState(dir string) (state, error) {
	var s state
	if err := readJSON(filepath.Join(dir, stateFile), &s); err != nil {
		return s, fmt.Errorf("reading network state: %w", err)
	}
	if s.Format != stateFormat {
		return s, fmt.Errorf("network in %s has format %d, this program knows %d: reset it, or use the program that made it", dir, s.Format, stateFormat)
	}
	return s, nil
}

func (s state) save(dir string) error {
	if err := writeJSON(filepath.Join(dir, stateFile), s); err != nil {
		return fmt.Errorf("writing network state: %w", err)
	}
	return nil
}

// node is a peer or an orderer.
type node struct {
	name string // of its process
	host string // in its certificates
	org  Organisation
}

func (s state) orderers() []node {
	var all []node
	for i := range s.Orderers {
		n := strconv.Itoa(i + 1)
		all = append(all, node{name: "orderer-" + n, host: "orderer" + n + "." + ordererDomain})
	}
	return all
}

func (s state) peersOf(o Organisation) []node {
	var all []node
	for i := range o.Peers {
		n := strconv.Itoa(i + 1)
		name := "peer-" + o.Name
		if o.Peers > 1 {
			name += "-" + n
		}
		all = append(all, node{name: name, host: "peer" + n + "." + o.Domain, org: o})
	}
	return all
}

func (s state) peers() []node {
	var all []node
	for _, o := range s.Organisations {
		all = append(all, s.peersOf(o)...)
	}
	return all
}

func (s state) port(process, use string) int { return s.Ports[process+"/"+use] }

func (s state) address(process, use string) string {
	return net.JoinHostPort(loopback, strconv.Itoa(s.port(process, use)))
}

// portNames lists the ports the network itself needs, in a fixed order.
func (s state) portNames() []string {
	var all []string
	for _, n := range s.orderers() {
		all = append(all, n.name+"/"+portMain, n.name+"/"+portAdmin, n.name+"/"+portOperations)
	}
	for _, n := range s.peers() {
		all = append(all, n.name+"/"+portMain, n.name+"/"+portChaincode, n.name+"/"+portOperations)
	}
	return all
}

func readJSON(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("decoding %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(raw, '\n'), 0o640)
}

// writeFile replaces a file in one step and makes it durable: after a power cut
// there is the old one or the new one.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
