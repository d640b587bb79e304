package broker

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"
)

// childEnv makes the test binary be a broker, to be killed.
const childEnv = "TRAILMARK_BROKER_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		b, err := Start(context.Background(), testConfig(dir), Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(b.URL())
		select {}
	}
	os.Exit(m.Run())
}

func testConfig(dir string) Config {
	return Config{
		Host: "127.0.0.1", Dir: filepath.Join(dir, "store"), Lanes: map[string]uint32{"Org.MSP": 2, "Other": 1},
		SecretFile: filepath.Join(dir, "secret"), Sync: "1s", MaxMessage: 131072, MaxConnections: 100, MaxStore: 1 << 28,
		MaxInFlight: 1024, AckWait: time.Second,
	}
}

func start(t *testing.T, cfg Config, o Options) *Broker {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	b, err := Start(context.Background(), cfg, o)
	require.NoError(t, err)
	t.Cleanup(b.Stop)
	return b
}

var (
	device = Principal{DeviceRole, "Org.MSP", "dev.1"}
	reader = Principal{IngestRole, "Org.MSP", "one"}
)

func options(url, id string, p Principal, s *Secret) *mqtt.ClientOptions {
	return mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetUsername(p.Username()).SetPassword(s.Token(p, time.Time{})).
		SetAutoReconnect(false).SetConnectTimeout(5 * time.Second)
}

func connect(o *mqtt.ClientOptions) (mqtt.Client, error) {
	c := mqtt.NewClient(o)
	return c, wait(context.Background(), c.Connect())
}

func mustConnect(t *testing.T, o *mqtt.ClientOptions) mqtt.Client {
	t.Helper()
	c, err := connect(o)
	require.NoError(t, err)
	t.Cleanup(func() { c.Disconnect(10) })
	return c
}

// listen connects as a lane's ingest and returns what comes.
func listen(t *testing.T, o *mqtt.ClientOptions) <-chan string {
	t.Helper()
	got := make(chan string, 1000)
	mustConnect(t, o.SetCleanSession(false).SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { got <- m.Topic() + " " + string(m.Payload()) }))
	return got
}

func publish(t *testing.T, c mqtt.Client, topic, text string) {
	t.Helper()
	require.NoError(t, wait(context.Background(), c.Publish(topic, 1, false, text)))
}

func next(t *testing.T, got <-chan string) string {
	t.Helper()
	select {
	case s := <-got:
		return s
	case <-time.After(10 * time.Second):
		require.FailNow(t, "nothing came")
		return ""
	}
}

func TestMessagesWaitForAnIngestThatNeverWas(t *testing.T) {
	b := start(t, testConfig(t.TempDir()), Options{})
	c := mustConnect(t, options(b.URL(), "dev~1", device, b.Secret()))
	for i := range 10 {
		publish(t, c, "tm/Org.MSP/1/dev.1", fmt.Sprint(i))
	}
	got := listen(t, options(b.URL(), "tm-ingest-Org~MSP-1", reader, b.Secret()))
	for i := range 10 {
		require.Equal(t, fmt.Sprintf("tm/Org.MSP/1/dev.1 %d", i), next(t, got))
	}
}

func TestDevicePublishesOnItsOwnTopicsOnly(t *testing.T) {
	b := start(t, testConfig(t.TempDir()), Options{})
	lanes := []<-chan string{
		listen(t, options(b.URL(), "tm-ingest-Org~MSP-0", reader, b.Secret())),
		listen(t, options(b.URL(), "tm-ingest-Other-0", Principal{IngestRole, "Other", "x"}, b.Secret())),
	}
	o := options(b.URL(), "dev~1/second connection", device, b.Secret())
	o.SetClientID("dev~1/2")
	o.SetWill("tm/Org.MSP/0/dev.2", "a will is a publish too", 1, false)
	c := mustConnect(t, o)
	for _, topic := range []string{"tm/Org.MSP/0/dev.2", "tm/Org.MSP/0/dev", "tm/Other/0/dev.1", "tm/Org.MSP/0/dev/1", "tm-ingest/Org.MSP/one", "tm/Org.MSP/0/dev.1/x"} {
		publish(t, c, topic, "not allowed")
	}
	publish(t, c, "tm/Org.MSP/0/dev.1", "mine")
	require.Equal(t, "tm/Org.MSP/0/dev.1 mine", next(t, lanes[0]))

	for _, filter := range []string{"tm/Org.MSP/0/+", "tm/Org.MSP/0/dev.1", "#", "tm-ingest/Org.MSP/+"} {
		token := c.Subscribe(filter, 1, nil)
		_ = wait(context.Background(), token)
		require.EqualValues(t, 0x80, token.(*mqtt.SubscribeToken).Result()[filter], filter)
	}
	time.Sleep(300 * time.Millisecond)
	for _, lane := range lanes {
		require.Empty(t, lane)
	}
}

func TestLogin(t *testing.T) {
	b := start(t, testConfig(t.TempDir()), Options{Permit: func(p Principal) bool { return p.Name != "revoked" }})
	var stranger Secret
	refused := func(o *mqtt.ClientOptions, why string) {
		t.Helper()
		c, err := connect(o)
		require.Error(t, err, why)
		c.Disconnect(0)
	}
	refused(options(b.URL(), "dev~1", device, &stranger), "a token of another secret")
	refused(options(b.URL(), "dev~1", device, b.Secret()).SetUsername("device/Org.MSP/dev.2"), "another's token")
	refused(options(b.URL(), "dev~1", device, b.Secret()).SetUsername("ingest/Org.MSP/dev.1"), "another role")
	refused(options(b.URL(), "dev~1", device, b.Secret()).SetUsername("root/Org.MSP/dev.1"), "a role that is none")
	refused(options(b.URL(), "dev~1", device, b.Secret()).SetUsername("").SetPassword(""), "nobody")
	refused(options(b.URL(), "dev~1", device, b.Secret()).SetPassword(b.Secret().Token(device, time.Now().Add(-time.Minute))), "expired")
	refused(options(b.URL(), "dev~1", device, b.Secret()).SetUsername(keeperName).SetPassword(""), "not the keeper")
	refused(options(b.URL(), "revoked", Principal{DeviceRole, "Org.MSP", "revoked"}, b.Secret()), "not permitted")
	refused(options(b.URL(), "d", Principal{DeviceRole, "Nobody", "d"}, b.Secret()), "organisation without lanes")

	ingest := mustConnect(t, options(b.URL(), "tm-ingest-Org~MSP-0", reader, b.Secret()))
	refused(options(b.URL(), "tm-ingest-Org~MSP-0", device, b.Secret()), "a device that would throw ingest out")
	refused(options(b.URL(), "tm-ingest-Org~MSP-0", Principal{IngestRole, "Other", "x"}, b.Secret()), "another organisation's ingest")
	refused(options(b.URL(), "tm-ingest-Org~MSP-2", reader, b.Secret()), "a lane that is none")
	refused(options(b.URL(), "dev~2", device, b.Secret()), "another device's session")
	require.True(t, ingest.IsConnected())
}

func TestSecretIsMadeOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deep", "secret")
	first, err := LoadSecret(file)
	require.NoError(t, err)
	second, err := LoadSecret(file)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.NotEqual(t, Secret{}, *first)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	p, until, err := first.check(device.Username(), first.Token(device, time.Unix(2e9, 0)), time.Unix(1e9, 0))
	require.NoError(t, err)
	require.Equal(t, device, p)
	require.Equal(t, time.Unix(2e9, 0), until)
	token := first.Token(device, time.Time{})
	for i := range len(token) {
		changed := []byte(token)
		changed[i] ^= 1
		_, _, err := first.check(device.Username(), string(changed), time.Unix(1e9, 0))
		require.Error(t, err, "changed at %d", i)
	}
}

func TestKill(t *testing.T) {
	dir := t.TempDir()
	run := func() (*exec.Cmd, string) {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childEnv+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })
		buffer := make([]byte, 200)
		n, err := out.Read(buffer)
		require.NoError(t, err)
		return child, strings.TrimSpace(string(buffer[:n]))
	}
	const kills, each = 4, 200
	for round := range kills {
		child, url := run()
		secret, err := LoadSecret(filepath.Join(dir, "secret"))
		require.NoError(t, err)
		c, err := connect(options(url, "dev~1", device, secret))
		require.NoError(t, err)
		tokens := make([]mqtt.Token, each)
		for i := range each {
			tokens[i] = c.Publish("tm/Org.MSP/0/dev.1", 1, false, fmt.Sprint(round*each+i))
		}
		for _, token := range tokens {
			require.NoError(t, wait(context.Background(), token))
		}
		require.NoError(t, child.Process.Kill()) // right after the last PUBACK
		_ = child.Wait()
		c.Disconnect(0)
	}
	_, url := run()
	secret, err := LoadSecret(filepath.Join(dir, "secret"))
	require.NoError(t, err)
	got := listen(t, options(url, "tm-ingest-Org~MSP-0", reader, secret))
	for i := range kills * each {
		require.Equal(t, fmt.Sprintf("tm/Org.MSP/0/dev.1 %d", i), next(t, got))
	}
}

func TestFullStoreIsNotAcknowledged(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.MaxStore = 2 << 20
	b := start(t, cfg, Options{})
	c := mustConnect(t, options(b.URL(), "dev~1", device, b.Secret()))
	acknowledged := 0
	for ; acknowledged < 1000; acknowledged++ {
		if token := c.Publish("tm/Org.MSP/0/dev.1", 1, false, make([]byte, 20_000)); !token.WaitTimeout(2*time.Second) || token.Error() != nil {
			break
		}
	}
	require.Less(t, acknowledged, 120)
	require.Greater(t, acknowledged, 10)
	got := listen(t, options(b.URL(), "tm-ingest-Org~MSP-0", reader, b.Secret()))
	for range acknowledged {
		next(t, got)
	}
}

// authority is a CA that issues what the tests need.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	template, err = x509.ParseCertificate(raw)
	require.NoError(t, err)
	return &authority{template, key}
}

func (a *authority) issue(t *testing.T, name pkix.Name) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: name, NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

func writePEM(t *testing.T, file, kind string, raw []byte) string {
	t.Helper()
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600))
	return file
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	ours, theirs, nobody := newAuthority(t, "ours"), newAuthority(t, "theirs"), newAuthority(t, "nobody")
	own := ours.issue(t, pkix.Name{CommonName: "broker"})
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	require.NoError(t, err)
	cfg := testConfig(dir)
	cfg.TLSCert, cfg.TLSKey = writePEM(t, filepath.Join(dir, "b.pem"), "CERTIFICATE", own.Certificate[0]), writePEM(t, filepath.Join(dir, "b.key"), "PRIVATE KEY", key)
	cfg.ClientCA = map[string]string{
		"Org.MSP": writePEM(t, filepath.Join(dir, "ours.pem"), "CERTIFICATE", ours.certificate.Raw),
		"Other":   writePEM(t, filepath.Join(dir, "theirs.pem"), "CERTIFICATE", theirs.certificate.Raw),
	}
	b := start(t, cfg, Options{})
	require.True(t, strings.HasPrefix(b.URL(), "ssl://"))
	roots := x509.NewCertPool()
	roots.AddCert(ours.certificate)
	with := func(id string, a *authority, name pkix.Name) *mqtt.ClientOptions {
		return mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID(id).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second).
			SetTLSConfig(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{a.issue(t, name)}})
	}
	got := listen(t, with("tm-ingest-Org~MSP-0", ours, pkix.Name{CommonName: "one", OrganizationalUnit: []string{"ingest"}}))
	other := listen(t, with("tm-ingest-Other-0", theirs, pkix.Name{CommonName: "one", OrganizationalUnit: []string{"ingest"}}))

	publish(t, mustConnect(t, with("dev~1", ours, pkix.Name{CommonName: "dev.1"})), "tm/Org.MSP/0/dev.1", "hello")
	require.Equal(t, "tm/Org.MSP/0/dev.1 hello", next(t, got))

	liar := mustConnect(t, with("dev~1", theirs, pkix.Name{CommonName: "dev.1", Organization: []string{"Org.MSP"}}))
	publish(t, liar, "tm/Org.MSP/0/dev.1", "the issuer counts, not what the certificate says")
	publish(t, liar, "tm/Other/0/dev.1", "mine")
	require.Equal(t, "tm/Other/0/dev.1 mine", next(t, other))
	require.Empty(t, got)

	for why, o := range map[string]*mqtt.ClientOptions{
		"a CA that nobody named":       with("dev~1", nobody, pkix.Name{CommonName: "dev.1"}),
		"a name that is no identifier": with("x", ours, pkix.Name{CommonName: "tm/#"}),
		"a device as ingest":           with("tm-ingest-Org~MSP-0", ours, pkix.Name{CommonName: "dev.1"}),
	} {
		c, err := connect(o)
		require.Error(t, err, why)
		c.Disconnect(0)
	}
	// A token will do, too.
	mustConnect(t, options(b.URL(), "dev~9", Principal{DeviceRole, "Org.MSP", "dev.9"}, b.Secret()).SetTLSConfig(&tls.Config{RootCAs: roots}))
}

func TestConfigErrors(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"no lanes":           func(c *Config) { c.Lanes = nil },
		"0 lanes":            func(c *Config) { c.Lanes = map[string]uint32{"A": 0} },
		"not allowed in an":  func(c *Config) { c.Lanes = map[string]uint32{"A/B": 1} },
		"nobody could log":   func(c *Config) { c.SecretFile = "" },
		"needs its key":      func(c *Config) { c.TLSCert = "x" },
		"need TLS":           func(c *Config) { c.ClientCA = map[string]string{"A": "x"} },
		"want 'always'":      func(c *Config) { c.Sync = "soon" },
		"is below the 65536": func(c *Config) { c.MaxMessage = 1000 },
	} {
		cfg := testConfig(t.TempDir())
		change(&cfg)
		_, err := Start(context.Background(), cfg, Options{})
		require.ErrorContains(t, err, want)
	}
}
