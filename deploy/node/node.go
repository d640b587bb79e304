// Package node joins the rooms into an organisation's node: ingest, gateway and analytics, all or some of them, in one process. It
// is where what one room declares as an interface meets what another one offers. Of ours it may import anything but deploy/demo.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/trailmark/trailmark/analytics/service"
	"github.com/trailmark/trailmark/deploy/clock"
	"github.com/trailmark/trailmark/deploy/fabric"
	"github.com/trailmark/trailmark/deploy/telemetry"
	"github.com/trailmark/trailmark/gateway/api"
	"github.com/trailmark/trailmark/gateway/checkpoint"
	"github.com/trailmark/trailmark/gateway/ledger"
	"github.com/trailmark/trailmark/gateway/projector"
	"github.com/trailmark/trailmark/gateway/readmodel"
	"github.com/trailmark/trailmark/gateway/receipt"
	"github.com/trailmark/trailmark/ingest"
)

// Config of a node.
type Config struct {
	Org       string         `help:"Organisation to run for, by name or MSP identifier." required:"" env:"TRAILMARK_ORG" placeholder:"NAME"`
	Roles     []string       `help:"Parts to run: ingest, gateway, analytics (which needs gateway)." default:"ingest,gateway,analytics" enum:"ingest,gateway,analytics" env:"TRAILMARK_ROLES"`
	Net       string         `help:"Folder of the network, for its connection profile." default:".trailmark/net" env:"TRAILMARK_NET_DIR" type:"path"`
	Dir       string         `help:"Folder for what the node keeps: read model, spool, log key, tokens." required:"" env:"TRAILMARK_NODE_DIR" type:"path"`
	Listen    string         `help:"Address of API, page and metrics." default:"127.0.0.1:8480" env:"TRAILMARK_LISTEN"`
	TLSCert   string         `help:"Certificate (PEM) to serve HTTPS with; without one, only loopback addresses are served." name:"tls-cert" env:"TRAILMARK_TLS_CERT" type:"path"`
	TLSKey    string         `help:"Key (PEM) of that certificate." name:"tls-key" env:"TRAILMARK_TLS_KEY" type:"path"`
	Quorum    int            `help:"Organisations whose checkpoints a receipt needs (default: more than half)." env:"TRAILMARK_QUORUM"`
	ClockFile string         `help:"File with a demonstration's clock." hidden:"" type:"path"`
	Version   string         `kong:"-"`
	Anchor    time.Duration  `help:"At most one checkpoint is signed and anchored in this time." default:"2s" env:"TRAILMARK_ANCHOR"`
	Ingest    ingest.Config  `embed:"" prefix:"ingest-" envprefix:"TRAILMARK_INGEST_"`
	Analytics service.Config `embed:"" prefix:"analytics-"`
}

// The parts of a node.
const (
	RoleIngest    = "ingest"
	RoleGateway   = "gateway"
	RoleAnalytics = "analytics"
)

func (c *Config) has(role string) bool { return slices.Contains(c.Roles, role) }

func (c *Config) check() error {
	if c.has(RoleAnalytics) && !c.has(RoleGateway) {
		return errors.New("the analytics role needs the gateway role: it scores what its own node projected")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("HTTPS needs both a certificate and its key")
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("address to listen on: %w", err)
	}
	if ip := net.ParseIP(host); c.TLSCert == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s is not a loopback address: give --tls-cert and --tls-key, or a token could be read on its way", c.Listen)
	}
	return nil
}

// node is one that runs.
type node struct {
	config       Config
	log          *slog.Logger
	registry     *prometheus.Registry
	organisation fabric.OrganisationProfile
	members      int
	clock        *clock.File
	contracts    Contracts
	parts        []func(context.Context) error // run until their context ends
	ready        []func() (bool, []string)
	closers      []func() error // last in, first out
}

// Run runs the node until ctx ends.
func Run(ctx context.Context, config Config, log *slog.Logger) (err error) {
	if err := config.check(); err != nil {
		return err
	}
	n := &node{config: config, log: log, registry: prometheus.NewRegistry(), clock: clock.OpenFile(config.ClockFile)}
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.open(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range n.parts {
		group.Go(func() error { return part(ctx) })
	}
	log.Info("node runs", slog.String("organisation", n.organisation.MSPID), slog.Any("roles", config.Roles), slog.String("listen", config.Listen))
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (n *node) open(ctx context.Context) error {
	if err := os.MkdirAll(n.config.Dir, 0o700); err != nil {
		return err
	}
	profile, err := fabric.LoadProfile(n.config.Net)
	if err != nil {
		return err
	}
	if n.organisation, err = profile.Organisation(n.config.Org); err != nil {
		return err
	}
	n.members = len(profile.Organisations)
	client, err := ledger.Dial(ledger.Config{Profile: filepath.Join(n.config.Net, "profile.json"), Organisation: n.organisation.MSPID}, n.log, n.registry)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, client.Close)
	n.contracts = Contracts{client}
	service := &api.Service{
		Organisation: n.organisation.MSPID, Name: n.organisation.Title, Channel: client.Channel(), Roles: n.config.Roles, Clock: apiClock{n.clock}, Log: n.log,
		Version: n.config.Version, Ending: ctx.Done(), Ready: n.readiness, Acknowledge: n.contracts.Acknowledge, PeerHeight: client.Height, Metrics: n.registry,
	}
	if n.config.has(RoleGateway) {
		if err := n.openGateway(ctx, service); err != nil {
			return err
		}
	}
	if n.config.has(RoleIngest) {
		if err := n.openIngest(ctx, service); err != nil {
			return err
		}
	}
	return n.serve(ctx, service)
}

// openGateway adds the projection, its log and checkpoints, and what scores it.
func (n *node) openGateway(ctx context.Context, s *api.Service) error {
	client := n.contracts.Client
	store, err := readmodel.Open(ctx, filepath.Join(n.config.Dir, "readmodel.db"), client.Channel())
	if err != nil {
		return err
	}
	n.closers = append(n.closers, store.Close)
	projection, err := projector.New(projector.Config{Channel: client.Channel(), Chaincode: client.Chaincode()}, store, client, n.log, n.registry)
	if err != nil {
		return err
	}
	n.parts = append(n.parts, projection.Run)
	signer, err := checkpoint.New(checkpoint.Config{KeyFile: filepath.Join(n.config.Dir, "log.key"), Name: n.organisation.Title, Interval: n.config.Anchor},
		n.organisation.MSPID, store, client, projection, n.log, n.registry)
	if err != nil {
		return err
	}
	n.parts = append(n.parts, signer.Run)
	quorum := n.config.Quorum
	if quorum == 0 {
		quorum = n.members/2 + 1
	}
	s.Store, s.Receipts, s.Quorum, s.Changes = store, receipt.New(store, quorum), quorum, projection
	if n.config.has(RoleAnalytics) {
		return n.openAnalytics(ctx, store, projection)
	}
	return nil
}

func (n *node) openAnalytics(ctx context.Context, store *readmodel.Store, projection *projector.Projector) error {
	// Subscribed before the projection runs, so that nothing it projects is missed; the subscription ends with the part.
	following, end := context.WithCancel(context.WithoutCancel(ctx))
	changes := projection.Subscribe(following)
	view, err := newScored(ctx, store)
	if err != nil {
		end()
		return err
	}
	config := n.config.Analytics
	if config.Dir == "" {
		config.Dir = filepath.Join(n.config.Dir, "analytics")
	}
	scoring, err := service.New(config, view, n.contracts, n.log, n.registry)
	if err != nil {
		end()
		return err
	}
	n.parts = append(n.parts, func(ctx context.Context) error {
		defer end()
		go view.watch(ctx, changes)
		return scoring.Run(ctx)
	})
	n.openHealth(view)
	return nil
}

// openIngest adds the part that takes readings in.
func (n *node) openIngest(ctx context.Context, s *api.Service) error {
	config := n.config.Ingest
	config.Organisation = n.organisation.MSPID
	if config.Dir == "" {
		config.Dir = filepath.Join(n.config.Dir, "ingest")
	}
	tracer, stop, err := telemetry.Start(ctx, "trailmark", n.log)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, func() error {
		flushing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		return stop(flushing)
	})
	app, follow, err := NewIngest(ctx, config, n.contracts, ingest.Deps{Clock: n.clock, Log: n.log, Registerer: n.registry, Tracer: tracer})
	if err != nil {
		return err
	}
	n.parts = append(n.parts, follow, app.Run)
	n.ready = append(n.ready, app.Ready)
	s.Quarantine = quarantined{app}
	return nil
}

// NewIngest makes an ingest instance on the ledger, which it adds to deps; the caller runs the instance and, beside it, the function
// that keeps its devices current.
func NewIngest(ctx context.Context, config ingest.Config, contracts Contracts, deps ingest.Deps) (*ingest.App, func(context.Context) error, error) {
	devices, follow, err := NewRegistry(ctx, contracts, deps.Log)
	if err != nil {
		return nil, nil, err
	}
	deps.Ledger, deps.Devices = ingestLedger{contracts}, devices
	app, err := ingest.New(config, deps)
	return app, follow, err
}

// readiness joins what the parts say.
func (n *node) readiness() (bool, []string) {
	all, reasons := true, []string{}
	for _, part := range n.ready {
		ready, why := part()
		all = all && ready
		reasons = append(reasons, why...)
	}
	return all, reasons
}

// serve adds the part that answers HTTP.
func (n *node) serve(ctx context.Context, s *api.Service) error {
	var err error
	if s.Tokens, err = api.OpenTokens(n.config.Dir); err != nil {
		return err
	}
	handler, err := api.New(s)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", n.config.Listen)
	if err != nil {
		return fmt.Errorf("listening for the API: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelWarn)}
	n.parts = append(n.parts, func(ctx context.Context) error {
		context.AfterFunc(ctx, func() {
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if err := server.Shutdown(ending); err != nil {
				_ = server.Close() // live streams end when their connection does
			}
		})
		serve := server.Serve
		if n.config.TLSCert != "" {
			serve = func(l net.Listener) error { return server.ServeTLS(l, n.config.TLSCert, n.config.TLSKey) }
		}
		if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return ctx.Err()
	})
	return nil
}

func (n *node) close() error {
	var all error
	for _, c := range slices.Backward(n.closers) {
		all = errors.Join(all, c())
	}
	return all
}
