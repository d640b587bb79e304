package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats-server/v2/server"
)

// startTimeout bounds the start, recovery of a large store included.
const startTimeout = 60 * time.Second

// Broker is a running broker.
type Broker struct {
	url    string
	server *server.Server
	secret *Secret
}

// Options that no flag can hold.
type Options struct {
	Log *slog.Logger
	// Permit may refuse a principal that proved its name, such as a revoked device. Nil permits all.
	Permit func(Principal) bool
}

// Run runs the broker until the context ends.
func Run(ctx context.Context, cfg Config, o Options) error {
	b, err := Start(ctx, cfg, o)
	if err != nil {
		return err
	}
	<-ctx.Done()
	b.Stop()
	return nil
}

// Start starts the broker and returns when every lane has its session and devices may connect.
func Start(ctx context.Context, cfg Config, o Options) (*Broker, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	always, interval, err := cfg.syncing()
	if err != nil {
		return nil, err
	}
	serverTLS, pools, err := cfg.serverTLS()
	if err != nil {
		return nil, err
	}
	auth := &authenticator{lanes: cfg.Lanes, cas: pools, permit: o.Permit, log: o.Log, keeper: newKeeperPassword()}
	if cfg.SecretFile != "" {
		if auth.secret, err = LoadSecret(cfg.SecretFile); err != nil {
			return nil, err
		}
	}
	port := cfg.Port
	if port == 0 {
		port = server.RANDOM_PORT
	}
	options := &server.Options{
		ServerName: "trailmark", DontListen: true, NoSigs: true, NoLog: true,
		MaxPayload: int32(cfg.MaxMessage), MaxConn: cfg.MaxConnections + 1, // one for the keeper
		JetStream: true, StoreDir: cfg.Dir, JetStreamMaxStore: cfg.MaxStore, JetStreamMaxMemory: 256 << 20,
		SyncAlways: always, SyncInterval: interval,
		CustomClientAuthentication: auth,
		MQTT: server.MQTTOpts{
			Host: cfg.Host, Port: port, TLSConfig: serverTLS, TLSTimeout: 10, AuthTimeout: 10,
			AckWait: cfg.AckWait, MaxAckPending: cfg.MaxInFlight, StreamReplicas: 1,
		},
	}
	ns, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("making broker: %w", err)
	}
	auth.server = ns
	ns.SetLogger(bridge{o.Log}, false, false)
	b := &Broker{server: ns, secret: auth.secret}
	ns.Start()
	if !ns.ReadyForConnections(startTimeout) {
		b.Stop()
		return nil, fmt.Errorf("starting broker on %s: not ready after %s (see its log)", net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)), startTimeout)
	}
	scheme := "tcp"
	if serverTLS != nil {
		scheme = "ssl"
	}
	b.url = fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(cfg.Host, strconv.Itoa(options.MQTT.Port)))
	if err := keepLanes(ctx, &cfg, b.url, auth.keeper, serverTLS); err != nil {
		b.Stop()
		return nil, err
	}
	if err := limitMessages(ns, auth.keeper, cfg.MaxStore); err != nil {
		b.Stop()
		return nil, err
	}
	auth.open.Store(true)
	o.Log.Info("broker is open", slog.String("url", b.url), slog.Any("lanes", cfg.Lanes), slog.String("sync", cfg.Sync))
	return b, nil
}

// URL that clients connect to.
func (b *Broker) URL() string { return b.url }

// Secret that tokens are made from; nil without a secret file.
func (b *Broker) Secret() *Secret { return b.secret }

// Stop stops the broker and waits until its store is closed.
func (b *Broker) Stop() {
	b.server.Shutdown()
	b.server.WaitForShutdown()
}

// keepLanes makes the persistent session of each lane by connecting once under its client identifier. Lanes done are noted in
// a file of the store: connecting again would draw their waiting messages to us, and ingest would get them only after AckWait,
// behind newer ones.
func keepLanes(ctx context.Context, cfg *Config, url, password string, serverTLS *tls.Config) error {
	note := filepath.Join(cfg.Dir, "kept-lanes")
	text, err := os.ReadFile(note)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading which lanes have a session: %w", err)
	}
	kept := strings.Fields(string(text))
	for _, org := range cfg.organisations() {
		for lane := range cfg.Lanes[org] {
			name := fmt.Sprintf("%s/%d", org, lane)
			if slices.Contains(kept, name) {
				continue
			}
			if err := keepLane(ctx, org, lane, url, password, serverTLS); err != nil {
				return fmt.Errorf("making session of lane %d of %s: %w", lane, org, err)
			}
			kept = append(kept, name)
		}
	}
	if err := os.WriteFile(note+".new", []byte(strings.Join(kept, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("noting which lanes have a session: %w", err)
	}
	if err := os.Rename(note+".new", note); err != nil {
		return fmt.Errorf("noting which lanes have a session: %w", err)
	}
	return nil
}

func keepLane(ctx context.Context, org string, lane uint32, url, password string, serverTLS *tls.Config) error {
	options := mqtt.NewClientOptions().AddBroker(url).
		SetClientID(fmt.Sprintf("tm-ingest-%s-%d", ClientID(org), lane)).
		SetUsername(keeperName).SetPassword(password).SetCleanSession(false).
		SetAutoReconnect(false).SetConnectTimeout(10 * time.Second).SetAutoAckDisabled(true).
		SetDefaultPublishHandler(func(mqtt.Client, mqtt.Message) {}) // left unacknowledged, for ingest
	if serverTLS != nil {
		options.SetTLSConfig(&tls.Config{InsecureSkipVerify: true, VerifyConnection: isOwn(serverTLS)}) //nolint:gosec // compared with our own certificate
	}
	client := mqtt.NewClient(options)
	if err := wait(ctx, client.Connect()); err != nil {
		return err
	}
	defer client.Disconnect(100)
	token := client.Subscribe(fmt.Sprintf("tm/%s/%d/+", org, lane), 1, nil)
	if err := wait(ctx, token); err != nil {
		return err
	}
	for topic, code := range token.(*mqtt.SubscribeToken).Result() {
		if code != 1 {
			return fmt.Errorf("subscribing to %s: the broker granted %d", topic, code)
		}
	}
	return nil
}

// isOwn accepts only the certificate that the server itself presents.
func isOwn(serverTLS *tls.Config) func(tls.ConnectionState) error {
	own := string(serverTLS.Certificates[0].Certificate[0])
	return func(state tls.ConnectionState) error {
		if string(state.PeerCertificates[0].Raw) != own {
			return errors.New("the port answers with another certificate than ours")
		}
		return nil
	}
}

func wait(ctx context.Context, token mqtt.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(startTimeout):
		return errors.New("no answer in time")
	}
}

// bridge carries nats-server's log lines over to slog.
type bridge struct{ log *slog.Logger }

func (b bridge) Noticef(format string, v ...any) { b.log.Debug(line(format, v)) }
func (b bridge) Warnf(format string, v ...any)   { b.log.Warn(line(format, v)) }
func (b bridge) Errorf(format string, v ...any)  { b.log.Error(line(format, v)) }
func (b bridge) Fatalf(format string, v ...any)  { b.log.Error(line(format, v)) }
func (b bridge) Debugf(format string, v ...any)  { b.log.Debug(line(format, v)) }
func (b bridge) Tracef(format string, v ...any)  { b.log.Debug(line(format, v)) }

func line(format string, v []any) string {
	return "nats-server: " + strings.TrimSpace(fmt.Sprintf(format, v...))
}
