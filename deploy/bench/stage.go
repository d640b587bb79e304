package bench

import (
	"context"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trailmark/trailmark/deploy/contracts"
	"github.com/trailmark/trailmark/deploy/fabric"
	"github.com/trailmark/trailmark/deploy/load"
	"github.com/trailmark/trailmark/deploy/node"
	"github.com/trailmark/trailmark/deploy/pki"
	"github.com/trailmark/trailmark/deploy/supervise"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// stage is everything that runs.
type stage struct {
	network   *fabric.Network
	group     *supervise.Group
	profile   fabric.Profile
	carrier   fabric.OrganisationProfile
	authority *pki.Authority
	roots     *x509.CertPool
	contracts node.Contracts
	plain     *plainClient      // an ordinary application's connection to the carrier's peer
	broker    string            // URL
	nodes     map[string]string // base URL of a node's API, by process
	token     string            // of the gateway node's API
	store     *readmodel.Store  // the gateway node's, opened for reading beside it
	counts    *sql.Stmt         // its counts, cheaply
	publisher *load.Publisher
	blocks    *blockTimes
	closers   []func() error
}

// Our processes start after Fabric's and stop before them.
const (
	brokerProcess  = "broker"
	ingestProcess  = "ingest"
	gatewayProcess = "gateway"
	stageBroker    = 100
	stageNode      = 110
)

// publisherConnections is how many connections the sensors' messages come over; thousands would measure the TCP stack.
const publisherConnections = 8

// setUp brings up three organisations with one orderer, both chaincodes, a broker, one ingest and one gateway node.
func (r *run) setUp(ctx context.Context) (_ *stage, err error) {
	s := &stage{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	cfg := fabric.Config{Dir: r.path("net")}
	step := func(what string) { r.step("%s", what) }
	if err := fabric.Build(ctx, cfg, step); err != nil {
		return nil, err
	}
	if s.network, err = fabric.Up(ctx, cfg, fabric.Options{Log: r.log, Progress: step}); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error { s.network.Close(); return nil })
	s.group, s.profile = s.network.Processes(), s.network.Profile()
	r.step("putting our contracts and the comparison's on the channel")
	if err := contracts.Deploy(ctx, s.network, r.program); err != nil {
		return nil, err
	}
	if err := s.network.DeployChaincode(ctx, fabric.Chaincode{Name: chaincodeName, Version: "1", Argv: []string{r.program, "bench", "chaincode"}}); err != nil {
		return nil, err
	}
	if err := s.connect(r); err != nil {
		return nil, err
	}
	r.step("starting a broker, an ingest and a gateway node")
	if s.broker, err = s.startBroker(ctx, r, brokerProcess); err != nil {
		return nil, err
	}
	if err := s.startNodes(ctx, r); err != nil {
		return nil, err
	}
	s.publisher, err = load.Connect(s.broker, s.roots, s.authority, r.path("publisher"), s.carrier.MSPID, publisherConnections)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error { s.publisher.Close(); return nil })
	return s, nil
}

func (s *stage) connect(r *run) (err error) {
	if s.carrier, err = s.profile.Organisation("carrier"); err != nil {
		return err
	}
	if s.authority, err = pki.Load(s.carrier.CA.Cert, s.carrier.CA.Key); err != nil {
		return err
	}
	text, err := os.ReadFile(s.carrier.CA.Cert)
	if err != nil {
		return err
	}
	s.roots = x509.NewCertPool()
	s.roots.AppendCertsFromPEM(text)
	if s.contracts, err = node.Dial(r.path("net"), s.carrier.Name, r.log); err != nil {
		return err
	}
	s.closers = append(s.closers, s.contracts.Client.Close)
	if s.plain, err = dialPlain(s.profile.Channel, s.carrier); err != nil {
		return err
	}
	s.closers = append(s.closers, s.plain.close)
	if s.blocks, err = followBlockTimes(s.plain); err != nil {
		return err
	}
	s.closers = append(s.closers, s.blocks.close)
	return nil
}

// startBroker starts a broker process with a store of its own, and returns when it takes connections.
func (s *stage) startBroker(ctx context.Context, r *run, name string) (url string, err error) {
	pair, err := s.authority.ServerPair(r.path(name), "broker", "127.0.0.1", "localhost")
	if err != nil {
		return "", err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	err = s.group.Ensure(supervise.Spec{Name: name, Stage: stageBroker, Argv: []string{
		r.program, "broker", "--dir", r.path(name, "store"), "--host", "127.0.0.1", "--port", port, "--lanes", fmt.Sprintf("%s=%d", s.carrier.MSPID, r.config.Lanes),
		"--tls-cert", pair.Cert, "--tls-key", pair.Key, "--client-ca", s.carrier.MSPID + "=" + s.carrier.CA.Cert,
	}})
	return "ssl://" + address, err
}

func (s *stage) startNodes(ctx context.Context, r *run) error {
	pair, err := s.authority.ClientPair(r.path(ingestProcess, "mqtt"), ingestProcess, s.carrier.MSPID, "ingest")
	if err != nil {
		return err
	}
	s.nodes = map[string]string{}
	for _, name := range []string{gatewayProcess, ingestProcess} {
		address, err := freeAddress(ctx)
		if err != nil {
			return err
		}
		s.nodes[name] = "http://" + address
		argv := []string{r.program, "node", "--org", s.carrier.Name, "--net", r.path("net"), "--dir", r.path(name), "--listen", address, "--roles", name}
		if name == ingestProcess {
			argv = append(argv, "--ingest-instance", ingestProcess, "--ingest-lanes", fmt.Sprint(r.config.Lanes), "--ingest-broker", s.broker,
				"--ingest-ca", s.carrier.CA.Cert, "--ingest-cert", pair.Cert, "--ingest-key", pair.Key)
		}
		if err := s.group.Ensure(supervise.Spec{Name: name, Stage: stageNode, Argv: argv}); err != nil {
			return err
		}
	}
	if err := s.awaitNodes(ctx, r); err != nil {
		return err
	}
	path, err := filepath.Abs(r.path(gatewayProcess, "readmodel.db"))
	if err != nil {
		return err
	}
	if s.store, err = readmodel.Open(ctx, path, s.profile.Channel); err != nil {
		return err
	}
	s.closers = append(s.closers, s.store.Close)
	db, counts, err := openCounts(ctx, path)
	if err != nil {
		return err
	}
	s.counts = counts
	s.closers = append(s.closers, db.Close, counts.Close)
	return nil
}

func (s *stage) awaitNodes(ctx context.Context, r *run) error {
	for name, base := range s.nodes {
		token, err := s.awaitNode(ctx, base, r.path(name))
		if err != nil {
			return fmt.Errorf("%w\nthe end of %s's log (%s):\n%s", err, name, s.group.LogPath(name), s.group.Tail(name))
		}
		if name == gatewayProcess {
			s.token = token
		}
	}
	return nil
}

// awaitNode waits until a node says that it is ready, and gives the token of its API.
func (s *stage) awaitNode(ctx context.Context, base, dir string) (token string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the node was not ready after a minute"))
	defer cancel()
	var last error
	for {
		text, err := os.ReadFile(filepath.Join(dir, "token"))
		if last = err; err == nil {
			token = strings.TrimSpace(string(text))
			var status struct {
				Ready   bool     `json:"ready"`
				Reasons []string `json:"reasons"`
			}
			body, err := fetch(ctx, base+"/api/v1/status", token)
			if err == nil {
				err = json.Unmarshal(body, &status)
			}
			if err == nil && status.Ready {
				return token, nil
			}
			if last = err; err == nil {
				last = fmt.Errorf("it says: %s", strings.Join(status.Reasons, " "))
			}
		}
		if sleep(ctx, 100*time.Millisecond) != nil {
			return "", fmt.Errorf("%w; %w", context.Cause(ctx), last)
		}
	}
}

const maxAnswer = 64 << 20

// fetch returns the body of a successful answer of a node's API.
func fetch(ctx context.Context, url, token string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.300s", url, response.Status, body)
	}
	return body, err
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// close ends everything, the last started first.
func (s *stage) close() (err error) {
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		err = errors.Join(err, s.closers[last]())
		s.closers = s.closers[:last]
	}
	return err
}
