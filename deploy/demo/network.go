package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trailmark/trailmark/deploy/contracts"
	"github.com/trailmark/trailmark/deploy/fabric"
	"github.com/trailmark/trailmark/deploy/pki"
	"github.com/trailmark/trailmark/deploy/supervise"
)

// cast says which organisation plays which part.
type cast struct {
	manufacturer, carrier fabric.OrganisationProfile
	members               []fabric.OrganisationProfile
}

func (c cast) all() (ids []string) {
	for _, o := range c.members {
		ids = append(ids, o.MSPID)
	}
	return ids
}

// node is an organisation's running node.
type node struct {
	organisation fabric.OrganisationProfile
	dir          string
	address      string
	process      string
	client       *client
}

// Stages of our processes in the network's group: after Fabric's own, and stopped before them.
const (
	stageBroker = 100
	stageNode   = 110
)

const brokerProcess = "broker"

// start brings everything up and waits until it answers.
func (d *Demo) start(ctx context.Context) error {
	dir := filepath.Join(d.config.Dir, "net")
	cfg := fabric.Config{Dir: dir, Orderers: d.config.Orderers}
	if err := fabric.Build(ctx, cfg, d.fabricStep); err != nil {
		return err
	}
	began := time.Now()
	var err error
	if d.network, err = fabric.Up(ctx, cfg, fabric.Options{Log: d.log, Progress: d.fabricStep}); err != nil {
		return err
	}
	if !d.network.Owned() {
		return fmt.Errorf("the network in %s is run by another process: end that demonstration first, or `trailmark net down --dir %s`", dir, dir)
	}
	d.step("putting the contracts on the channel")
	if err := contracts.Deploy(ctx, d.network, d.program); err != nil {
		return err
	}
	d.step("the ledger is ready after %.1f s", time.Since(began).Seconds())
	profile := d.network.Profile()
	d.cast.members = profile.Organisations
	if d.cast.manufacturer, err = profile.Organisation("manufacturer"); err != nil {
		return err
	}
	if d.cast.carrier, err = profile.Organisation("carrier"); err != nil {
		return err
	}
	return nil
}

func (d *Demo) fabricStep(step string) { d.step("%s", step) }

// stop ends every process, the nodes first.
func (d *Demo) stop() {
	if d.network != nil {
		d.step("stopping")
		d.network.Close()
	}
}

// startNodes starts the broker and a node for each organisation, on the run's clock, and waits until they are ready.
func (d *Demo) startNodes(ctx context.Context) error {
	if err := os.Remove(d.clockFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var err error
	if d.broker, err = freeAddress(ctx, "127.0.0.1:8883"); err != nil {
		return err
	}
	broker, err := d.brokerSpec(d.broker)
	if err != nil {
		return err
	}
	group := d.network.Processes()
	if err := group.Ensure(broker); err != nil {
		return err
	}
	d.nodes = map[string]*node{}
	preferred := d.config.Listen
	for _, o := range d.cast.members {
		n := &node{organisation: o, dir: filepath.Join(d.config.Dir, "nodes", o.Name), process: "node-" + o.Name}
		if n.address, err = freeAddress(ctx, preferred); err != nil {
			return err
		}
		preferred = "127.0.0.1:0"
		spec, err := d.nodeSpec(n)
		if err != nil {
			return err
		}
		if err := group.Ensure(spec); err != nil {
			return err
		}
		d.nodes[o.Name] = n
	}
	for _, n := range d.nodes {
		if err := d.awaitNode(ctx, n); err != nil {
			return fmt.Errorf("%w\nthe end of its log (%s):\n%s", err, group.LogPath(n.process), group.Tail(n.process))
		}
	}
	return nil
}

// brokerSpec is the broker's process, which only the carrier's sensors and ingest may use.
func (d *Demo) brokerSpec(address string) (supervise.Spec, error) {
	carrier := d.cast.carrier
	authority, err := pki.Load(carrier.CA.Cert, carrier.CA.Key)
	if err != nil {
		return supervise.Spec{}, err
	}
	dir := filepath.Join(d.config.Dir, "broker")
	pair, err := authority.ServerPair(dir, "broker", "127.0.0.1", "localhost")
	if err != nil {
		return supervise.Spec{}, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return supervise.Spec{}, err
	}
	return supervise.Spec{Name: brokerProcess, Stage: stageBroker, Argv: []string{
		d.program, "broker", "--dir", filepath.Join(dir, "store"), "--host", host, "--port", port, "--lanes", fmt.Sprintf("%s=%d", carrier.MSPID, lanesOfDemo),
		"--tls-cert", pair.Cert, "--tls-key", pair.Key, "--client-ca", carrier.MSPID + "=" + carrier.CA.Cert,
	}}, nil
}

// nodeSpec is an organisation's node: all read the ledger and score; the carrier's takes in the readings of its sensors too.
func (d *Demo) nodeSpec(n *node) (supervise.Spec, error) {
	argv := []string{
		d.program, "node", "--org", n.organisation.Name, "--net", filepath.Join(d.config.Dir, "net"), "--dir", n.dir, "--listen", n.address,
		"--clock-file", d.clockFile(), "--roles",
	}
	if n.organisation.Name != d.cast.carrier.Name {
		return supervise.Spec{Name: n.process, Stage: stageNode, Argv: append(argv, "gateway,analytics")}, nil
	}
	authority, err := pki.Load(n.organisation.CA.Cert, n.organisation.CA.Key)
	if err != nil {
		return supervise.Spec{}, err
	}
	pair, err := authority.ClientPair(filepath.Join(n.dir, "mqtt"), "ingest-1", n.organisation.MSPID, "ingest")
	if err != nil {
		return supervise.Spec{}, err
	}
	return supervise.Spec{Name: n.process, Stage: stageNode, Argv: append(argv, "ingest,gateway,analytics",
		"--ingest-instance", "ingest-1", "--ingest-lanes", fmt.Sprint(lanesOfDemo), "--ingest-broker", "ssl://"+d.broker,
		"--ingest-ca", n.organisation.CA.Cert, "--ingest-cert", pair.Cert, "--ingest-key", pair.Key)}, nil
}

// awaitNode waits until a node says it is ready.
func (d *Demo) awaitNode(ctx context.Context, n *node) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("the node of %s was not ready after a minute", n.organisation.Name))
	defer cancel()
	var last error
	for ctx.Err() == nil {
		if n.client == nil {
			token, err := os.ReadFile(filepath.Join(n.dir, "token"))
			if err == nil {
				n.client = &client{base: "http://" + n.address, token: strings.TrimSpace(string(token))}
			}
			last = err
		}
		if n.client != nil {
			var s status
			if last = n.client.get(ctx, "/api/v1/status", &s); last == nil && s.Ready {
				return nil
			}
			if last == nil {
				last = fmt.Errorf("it says: %s", strings.Join(s.Reasons, " "))
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("%w; %w", context.Cause(ctx), last)
}

// freeAddress returns the address if its port is free, otherwise one with a free port on the same host.
func freeAddress(ctx context.Context, preferred string) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", preferred)
	if err != nil {
		host, _, split := net.SplitHostPort(preferred)
		if split != nil {
			return "", fmt.Errorf("address %q: %w", preferred, split)
		}
		if listener, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0")); err != nil {
			return "", err
		}
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
