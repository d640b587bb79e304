package fabric

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/trailmark/trailmark/deploy/supervise"
)

// Chaincode is what to put on the channel.
type Chaincode struct {
	// Name is what clients call; lower-case letters, digits and dashes.
	Name string
	// Version is any word; a new one makes a new definition (sequence + 1).
	Version string
	// Argv starts a chaincode server. It finds in its environment
	// CHAINCODE_ID, CHAINCODE_SERVER_ADDRESS, and, as paths of PEM files,
	// CHAINCODE_TLS_KEY, CHAINCODE_TLS_CERT and CHAINCODE_CLIENT_CA_CERT;
	// peers authenticate themselves with a certificate of that authority.
	// TRAILMARK_ORGANISATION names the organisation it runs for. One server runs
	// for each endorsing organisation.
	Argv []string
	// Env is added to the servers' environment, as KEY=VALUE.
	Env []string
	// Collections are the private data collections.
	Collections []Collection
	// Ready, when given, is called until it passes before DeployChaincode
	// returns: a real submit through a gateway is the test that counts.
	Ready func(context.Context) error
}

// DeployChaincode brings the chaincode to the channel as described, doing only
// what is missing: on a warm start that is starting its servers; after a change
// of version or collections, or when a peer lost its ledger, it is a new
// definition. A changed program (by time or size) restarts the servers.
func (n *Network) DeployChaincode(ctx context.Context, cc Chaincode) error {
	if !nameRule.MatchString(strings.ReplaceAll(cc.Name, "-", "")) || cc.Version == "" || len(cc.Argv) == 0 {
		return fmt.Errorf("chaincode %q, version %q: want a lower-case name, a version and a program", cc.Name, cc.Version)
	}
	if err := n.checkCollections(cc.Collections); err != nil {
		return fmt.Errorf("chaincode %s: %w", cc.Name, err)
	}
	release, err := lockDir(ctx, n.dir)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	n.report("starting chaincode " + cc.Name)
	packages, err := n.startServers(cc)
	if err != nil {
		return err
	}
	if err := n.define(ctx, cc, packages); err != nil {
		return fmt.Errorf("deploying chaincode %s: %w", cc.Name, err)
	}
	if err := n.retry(ctx, "the peers to know each other", n.checkGossip); err != nil {
		return err
	}
	if cc.Ready == nil {
		return nil
	}
	n.report("waiting for chaincode " + cc.Name + " to answer")
	return n.retry(ctx, "chaincode "+cc.Name+" to answer", cc.Ready)
}

// chaincodePackage is what one organisation installs.
type chaincodePackage struct {
	raw []byte
	id  string
}

// ChaincodeProcess names the process of a chaincode server.
func ChaincodeProcess(chaincode, organisation string) string {
	return "chaincode-" + chaincode + "-" + organisation
}

// startServers starts a server for each endorsing organisation, and returns the
// packages that lead their peers to them.
func (n *Network) startServers(cc Chaincode) (map[string]chaincodePackage, error) {
	addresses, err := n.chaincodeAddresses(cc.Name)
	if err != nil {
		return nil, err
	}
	program, generation, err := locateProgram(cc.Argv[0])
	if err != nil {
		return nil, err
	}
	argv := append([]string{program}, cc.Argv[1:]...)
	packages := map[string]chaincodePackage{}
	for _, o := range n.profile.Organisations {
		if !o.Endorses {
			continue
		}
		keys, err := makeChaincodeKeys(n.dir, cc.Name, o)
		if err != nil {
			return nil, err
		}
		where, err := keys.connection(addresses[o.Name])
		if err != nil {
			return nil, err
		}
		raw, id, err := packageChaincode(cc.Name+"_"+o.Name, where)
		if err != nil {
			return nil, err
		}
		packages[o.MSPID] = chaincodePackage{raw: raw, id: id}
		env := append(environment(map[string]string{
			"CHAINCODE_ID":             id,
			"CORE_CHAINCODE_ID_NAME":   id,
			"CHAINCODE_SERVER_ADDRESS": addresses[o.Name],
			"CHAINCODE_TLS_KEY":        keys.server.Key,
			"CHAINCODE_TLS_CERT":       keys.server.Cert,
			"CHAINCODE_CLIENT_CA_CERT": keys.authority,
			"TRAILMARK_ORGANISATION":   o.Name,
		}), cc.Env...)
		if err := n.ensure(supervise.Spec{
			Name: ChaincodeProcess(cc.Name, o.Name), Stage: stageChaincode, Grace: stopGrace, Dir: n.dir,
			Argv: argv, Env: env, Generation: generation,
		}); err != nil {
			return nil, err
		}
	}
	return packages, nil
}

// chaincodeAddresses gives each endorsing organisation's server a port, once.
func (n *Network) chaincodeAddresses(chaincode string) (map[string]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	present, err := loadState(n.dir) // another process may have added ports
	if err != nil {
		return nil, err
	}
	n.state = present
	var names []string
	for _, o := range endorsers(n.state.Organisations) {
		names = append(names, ChaincodeProcess(chaincode, o.Name)+"/"+portMain)
	}
	before := len(n.state.Ports)
	held, err := reserve(n.state.Ports, names, 0)
	if err != nil {
		return nil, err
	}
	held.release()
	if len(n.state.Ports) > before {
		if err := n.state.save(n.dir); err != nil {
			return nil, err
		}
	}
	addresses := map[string]string{}
	for _, o := range endorsers(n.state.Organisations) {
		addresses[o.Name] = n.state.address(ChaincodeProcess(chaincode, o.Name), portMain)
	}
	return addresses, nil
}

// locateProgram finds the program from anywhere, and a text that changes when it
// is built anew.
func locateProgram(program string) (path, generation string, err error) {
	if path, err = exec.LookPath(program); err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", "", fmt.Errorf("finding chaincode program: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", "", fmt.Errorf("looking at chaincode program: %w", err)
	}
	return path, strconv.FormatInt(info.Size(), 10) + "@" + info.ModTime().UTC().Format(time.RFC3339Nano), nil
}
