package faults

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/contracts"
	"github.com/trailmark/trailmark/deploy/fabric"
	"github.com/trailmark/trailmark/deploy/node"
	"github.com/trailmark/trailmark/deploy/pki"
	"github.com/trailmark/trailmark/deploy/supervise"
)

// road is a running Trailmark: network, broker, ingests, nodes.
type road struct {
	dir       string
	program   string
	log       *slog.Logger
	say       func(format string, args ...any)
	room      *room
	network   *fabric.Network
	group     *supervise.Group
	owner     fabric.OrganisationProfile // whose devices and ingests these are
	authority *pki.Authority
	broker    string            // URL
	services  map[string]string // process → address of its API
	observer  node.Contracts    // another organisation's eyes
	enroller  node.Contracts
}

// Names of our processes.
const (
	brokerProcess = "broker"
	gatewayNode   = "node-carrier"
	ownerName     = "carrier"
	observerName  = "regulator"
)

var ingestProcesses = []string{"ingest-1", "ingest-2"}

const (
	stageBroker = 100
	stageNode   = 110
)

// build starts everything. What it started is stopped by close, whatever it returns.
func (r *road) build(ctx context.Context) error {
	config := fabric.Config{Dir: filepath.Join(r.dir, "net"), Orderers: 3}
	options := fabric.Options{Log: r.log, Progress: func(step string) { r.say("%s", step) }}
	var err error
	if r.network, err = fabric.Up(ctx, config, options); err != nil {
		return err
	}
	r.group = r.network.Processes()
	r.say("putting the contracts on the channel")
	if err := contracts.Deploy(ctx, r.network, r.program); err != nil {
		return err
	}
	if r.owner, err = r.network.Profile().Organisation(ownerName); err != nil {
		return err
	}
	if r.authority, err = pki.Load(r.owner.CA.Cert, r.owner.CA.Key); err != nil {
		return err
	}
	if r.room.own {
		if err := r.movePeers(ctx); err != nil {
			return err
		}
	}
	for contracts, name := range map[*node.Contracts]string{&r.observer: observerName, &r.enroller: ownerName} {
		if *contracts, err = node.Dial(config.Dir, name, r.log); err != nil {
			return err
		}
	}
	return r.startServices(ctx)
}

// movePeers gives every peer a network namespace of its own, so that it can be cut off.
func (r *road) movePeers(ctx context.Context) error {
	r.say("moving the peers into network namespaces of their own")
	for _, name := range r.peers() {
		raw, err := os.ReadFile(filepath.Join(fabric.ProcessDir(filepath.Join(r.dir, "net")), "specs", name+".json"))
		if err != nil {
			return err
		}
		var spec supervise.Spec
		if err := json.Unmarshal(raw, &spec); err != nil {
			return err
		}
		if spec, err = r.room.move(ctx, spec); err != nil {
			return err
		}
		if err := r.group.Ensure(spec); err != nil {
			return err
		}
		if err := r.group.Await(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (r *road) peers() (names []string) {
	for _, o := range r.network.Profile().Organisations {
		for _, p := range o.Peers {
			names = append(names, p.Name)
		}
	}
	return names
}

func (r *road) startServices(ctx context.Context) error {
	r.services = map[string]string{}
	r.say("starting broker, %d ingest instances and a gateway node for each organisation", len(ingestProcesses))
	address, err := freeAddress()
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	r.broker = "ssl://" + address
	pair, err := r.authority.ServerPair(filepath.Join(r.dir, "broker"), "broker", host)
	if err != nil {
		return err
	}
	specs := []supervise.Spec{{Name: brokerProcess, Stage: stageBroker, Argv: []string{
		r.program, "broker", "--dir", filepath.Join(r.dir, "broker", "store"), "--host", host, "--port", port, "--lanes", fmt.Sprintf("%s=%d", r.owner.MSPID, lanes),
		"--tls-cert", pair.Cert, "--tls-key", pair.Key, "--client-ca", r.owner.MSPID + "=" + r.owner.CA.Cert, "--max-store", fmt.Sprint(brokerStore), "--ack-wait", "10s",
	}}}
	for _, o := range r.network.Profile().Organisations {
		spec, err := r.nodeSpec("node-"+o.Name, o.Name, "gateway")
		if err != nil {
			return err
		}
		specs = append(specs, spec)
	}
	for _, name := range ingestProcesses {
		spec, err := r.ingestSpec(name)
		if err != nil {
			return err
		}
		specs = append(specs, spec)
	}
	for _, spec := range specs {
		if err := r.group.Ensure(spec); err != nil {
			return err
		}
	}
	for name := range r.services {
		if err := r.awaitReady(ctx, name, 2*time.Minute); err != nil {
			return err
		}
	}
	return nil
}

func (r *road) nodeSpec(name, organisation, roles string) (supervise.Spec, error) {
	address, err := freeAddress()
	r.services[name] = address
	return supervise.Spec{Name: name, Stage: stageNode, Argv: []string{
		r.program, "node", "--org", organisation, "--net", filepath.Join(r.dir, "net"), "--dir", filepath.Join(r.dir, name), "--listen", address, "--roles", roles,
	}}, err
}

func (r *road) ingestSpec(name string) (supervise.Spec, error) {
	spec, err := r.nodeSpec(name, ownerName, "ingest")
	if err != nil {
		return spec, err
	}
	if r.room.own {
		if err := r.room.mountDisk(r.disk(name), spoolDisk); err != nil {
			return spec, err
		}
	}
	pair, err := r.authority.ClientPair(filepath.Join(r.dir, "mqtt"), name, r.owner.MSPID, "ingest")
	flag := func(name string, value any) { spec.Argv = append(spec.Argv, "--"+name, fmt.Sprint(value)) }
	flag("clock-file", r.clockFile(name))
	flag("ingest-instance", name)
	flag("ingest-dir", r.disk(name))
	flag("ingest-lanes", lanes)
	flag("ingest-broker", r.broker)
	flag("ingest-ca", r.owner.CA.Cert)
	flag("ingest-cert", pair.Cert)
	flag("ingest-key", pair.Key)
	flag("ingest-spool-bytes", spoolBytes)
	flag("ingest-segment-bytes", spoolSegment)
	flag("ingest-batch-bytes", batchBytes)
	flag("ingest-max-in-flight", batchesFlying)
	flag("ingest-commit-timeout", "10s")
	flag("ingest-heartbeat", heartbeat)
	flag("ingest-lease", lease)
	return spec, err
}

func (r *road) disk(ingest string) string      { return filepath.Join(r.dir, "disk-"+ingest) }
func (r *road) clockFile(ingest string) string { return filepath.Join(r.dir, ingest+".clock") }

func freeAddress() (string, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0") // takes no time
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

var patient = &http.Client{Timeout: 15 * time.Second}

// ready asks a process whether it is; reasons are its words if not.
func (r *road) ready(ctx context.Context, name string) (yes bool, reasons string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.services[name]+"/readyz", nil)
	if err != nil {
		return false, "", err
	}
	response, err := patient.Do(request)
	if err != nil {
		return false, "", err
	}
	defer response.Body.Close()
	text := make([]byte, 4096)
	n, _ := response.Body.Read(text) // what came says enough
	return response.StatusCode == http.StatusOK, strings.TrimPrefix(strings.TrimSpace(string(text[:n])), "not ready\n"), nil
}

func (r *road) awaitReady(ctx context.Context, name string, patience time.Duration) error {
	var last error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		yes, reasons, err := r.ready(ctx, name)
		if yes {
			return nil
		}
		if last = err; err == nil {
			last = errors.New(reasons)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s was not ready after %s: %w\nthe end of its log (%s):\n%s", name, patience, last, r.group.LogPath(name), r.group.Tail(name))
}

// ask calls an operation of a process's API, and decodes the answer if into is given.
func (r *road) ask(ctx context.Context, name, method, path string, into any) error {
	token, err := os.ReadFile(filepath.Join(r.dir, name, "token"))
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+r.services[name]+"/api/v1"+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	response, err := patient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// projected is how many blocks a node's read model holds, by its metrics.
func (r *road) projected(ctx context.Context, name string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.services[name]+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := patient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "trailmark_projector_height "); ok {
			height, err := strconv.ParseFloat(value, 64)
			return uint64(height), err
		}
	}
	return 0, fmt.Errorf("%s does not say how far its projection is", name)
}

// publisher connects as devices' gateways do, over several connections.
func (r *road) publisher(b *book, connections int) (*publisher, error) {
	text, err := os.ReadFile(r.owner.CA.Cert)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %s", r.owner.CA.Cert)
	}
	var names []string
	var certificates []tls.Certificate
	for i := range connections {
		name := fmt.Sprintf("load-%d", i)
		pair, err := r.authority.ClientPair(filepath.Join(r.dir, "mqtt"), name, r.owner.MSPID, "ingest")
		if err != nil {
			return nil, err
		}
		certificate, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			return nil, err
		}
		names, certificates = append(names, name), append(certificates, certificate)
	}
	return newPublisher(b, r.broker, r.owner.MSPID, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, names, certificates), nil
}

// enrol puts sensors on the ledger.
func (r *road) enrol(ctx context.Context, all []*sensor) error {
	var enrolments []provenance.Enrolment
	for _, s := range all {
		e, err := s.enrolment()
		if err != nil {
			return err
		}
		enrolments = append(enrolments, e)
	}
	_, err := r.enroller.Enrol(ctx, enrolments, nil)
	return err
}

func (r *road) kill(name string) error { return r.group.Signal(name, syscall.SIGKILL) }

// close stops everything.
func (r *road) close() {
	for _, c := range []node.Contracts{r.observer, r.enroller} {
		if c.Client != nil {
			_ = c.Client.Close() // the run is over
		}
	}
	if r.network != nil {
		r.network.Close()
	}
	r.room.close()
}
