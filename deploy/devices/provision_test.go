package devices

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/pki"
)

func newAuthority(t testing.TB) *pki.Authority {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	cert, private := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600))
	a, err := pki.Load(cert, private)
	require.NoError(t, err)
	return a
}

var usual = Entry{Quantity: "temperature", Unit: "Cel", Min: -40_000_000, Max: 85_000_000, CalibrationDue: provenance.TimeOf(time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC)), DueAssumed: true}

// writeFleet writes a fleet file of n sensors.
func writeFleet(t testing.TB, n int) string {
	var text strings.Builder
	text.WriteString("id,calibration_due,attestation\n")
	for i := range n {
		fmt.Fprintf(&text, "sensor-%05d,2027-01-%02d,%s\n", i, i%28+1, []string{"sensor", "edge"}[i%2])
	}
	path := filepath.Join(t.TempDir(), "fleet.csv")
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	return path
}

func TestThousandsOfDevicesAreProvisionedOnceThoughInterrupted(t *testing.T) {
	n := 5000
	if testing.Short() {
		n = 200
	}
	fleet, err := ReadFleet(writeFleet(t, n), usual, 8)
	require.NoError(t, err)
	authority, dir := newAuthority(t), filepath.Join(t.TempDir(), "devices")
	ctx, cancel := context.WithCancel(context.Background())
	_, err = Provision(ctx, fleet, dir, "CarrierMSP", authority, func(done int) {
		if done == n/3 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	standing, err := ReadCards(dir, nil)
	require.NoError(t, err)
	require.Less(t, len(standing), n)
	require.GreaterOrEqual(t, len(standing), n/3)
	half := filepath.Join(dir, "sensor-04999") // as a crash between two files leaves it
	if n == 5000 {
		require.NoError(t, os.MkdirAll(half, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(half, keyFile), []byte("half"), 0o600))
	}

	began, told := time.Now(), 0
	first, err := Provision(context.Background(), fleet, dir, "CarrierMSP", authority, func(int) { told++ })
	require.NoError(t, err)
	t.Logf("%d devices, of which %d stood, in %s", n, len(standing), time.Since(began))
	require.Equal(t, n, told)
	began = time.Now()
	again, err := Provision(context.Background(), fleet, dir, "CarrierMSP", authority, nil)
	require.NoError(t, err)
	t.Logf("again in %s", time.Since(began))
	require.Equal(t, first, again, "a second run changes no key")
	cards, err := ReadCards(dir, nil)
	require.NoError(t, err)
	require.Len(t, cards, n)
	for i, e := range first {
		require.NoError(t, e.Check())
		require.Equal(t, Fingerprint(e.Key), cards[i].Fingerprint)
		require.Equal(t, provenance.Attestation(i%2), e.Attestation)
	}
	for _, card := range standing {
		var i int
		_, err := fmt.Sscanf(card.ID, "sensor-%d", &i)
		require.NoError(t, err)
		require.Equal(t, card.Fingerprint, cards[i].Fingerprint, "what stood before the interruption is kept")
	}
}

func TestADeviceWithItsOwnKeyGetsACertificateForIt(t *testing.T) {
	authority, dir := newAuthority(t), t.TempDir()
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	csv := "id,public_key\n"
	var keys [][]byte
	for i, public := range []any{edPublic, ecKey.Public()} {
		key, err := evidence.EncodeKey(public)
		require.NoError(t, err)
		keys = append(keys, key)
		csv += fmt.Sprintf("own-%d,%s\n", i, base64.StdEncoding.EncodeToString(key))
	}
	path := filepath.Join(dir, "fleet.csv")
	require.NoError(t, os.WriteFile(path, []byte(csv), 0o600))
	fleet, err := ReadFleet(path, usual, 8)
	require.NoError(t, err)
	enrolments, err := Provision(context.Background(), fleet, filepath.Join(dir, "devices"), "CarrierMSP", authority, nil)
	require.NoError(t, err)
	for i, e := range enrolments {
		require.Equal(t, keys[i], e.Key)
		card, err := ReadCard(filepath.Join(dir, "devices", e.ID))
		require.NoError(t, err)
		require.Equal(t, Fingerprint(keys[i]), card.Fingerprint)
		require.NoFileExists(t, filepath.Join(dir, "devices", e.ID, keyFile))
	}
	_, err = Provision(context.Background(), fleet, filepath.Join(dir, "devices"), "CarrierMSP", authority, nil)
	require.NoError(t, err)
	fleet[0].PublicKey = keys[1]
	_, err = Provision(context.Background(), fleet, filepath.Join(dir, "devices"), "CarrierMSP", authority, nil)
	require.ErrorContains(t, err, "certificate for another key")
}

func TestADateThatNobodyGaveIsTheOneOfTheFirstRun(t *testing.T) {
	authority, dir := newAuthority(t), t.TempDir()
	entry := usual
	entry.ID = "one"
	first, err := Provision(context.Background(), []Entry{entry}, dir, "CarrierMSP", authority, nil)
	require.NoError(t, err)
	entry.CalibrationDue += 24 * 3600 * 1000
	next, err := Provision(context.Background(), []Entry{entry}, dir, "CarrierMSP", authority, nil)
	require.NoError(t, err)
	require.Equal(t, first, next, "the ledger would refuse another date")
	entry.DueAssumed = false
	given, err := Provision(context.Background(), []Entry{entry}, dir, "CarrierMSP", authority, nil)
	require.NoError(t, err)
	require.NotEqual(t, first, given)
	entry.Unit = "K"
	_, err = Provision(context.Background(), []Entry{entry}, dir, "CarrierMSP", authority, nil)
	require.ErrorContains(t, err, "holds device one of CarrierMSP")
}

func TestACertificateIsRenewedAndAKeyNeverReplaced(t *testing.T) {
	dir := t.TempDir()
	entry := usual
	entry.ID = "one"
	first, err := Provision(context.Background(), []Entry{entry}, dir, "CarrierMSP", newAuthority(t), nil)
	require.NoError(t, err)
	path := filepath.Join(dir, "one", certificateFile)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	next, err := Provision(context.Background(), []Entry{entry}, dir, "CarrierMSP", newAuthority(t), nil)
	require.NoError(t, err)
	require.Equal(t, first, next, "the key stays")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotEqual(t, before, after)
	require.NoError(t, os.Remove(filepath.Join(dir, "one", keyFile)))
	_, err = Provision(context.Background(), []Entry{entry}, dir, "CarrierMSP", newAuthority(t), nil)
	require.ErrorContains(t, err, "loading the key of one")
	require.NoFileExists(t, filepath.Join(dir, "one", keyFile))
}

// texts unpacks a PDF's page contents.
func texts(t *testing.T, pdf []byte) string {
	var all strings.Builder
	for rest := pdf; ; {
		_, after, found := bytes.Cut(rest, []byte("stream\n"))
		if !found {
			return all.String()
		}
		if r, err := zlib.NewReader(bytes.NewReader(after)); err == nil {
			text, err := io.ReadAll(r)
			require.NoError(t, err)
			all.Write(text)
		}
		_, rest, _ = bytes.Cut(after, []byte("endstream"))
	}
}

func TestLabels(t *testing.T) {
	var cards []Card
	for i := range 50 {
		id := fmt.Sprintf("sensor-%02d", i)
		cards = append(cards, Card{ID: id, Owner: "CarrierMSP", Lane: 3, Topic: topic("CarrierMSP", 3, id), CalibrationDue: usual.CalibrationDue, Fingerprint: Fingerprint([]byte(id))})
	}
	cards[49].ID = strings.Repeat("long-name:", 6) + "1234"
	var pdf bytes.Buffer
	require.NoError(t, WriteLabels(&pdf, cards))
	require.Contains(t, pdf.String(), "/Count 3", "24 labels on a page")
	text := texts(t, pdf.Bytes())
	for _, c := range cards[:49] {
		for _, want := range []string{"(" + c.ID + ")", "(" + c.Topic + ")", "(Key " + c.Fingerprint.String()[:4]} {
			require.True(t, strings.Contains(text, want), want)
		}
	}
	require.Equal(t, 50, strings.Count(text, "(Calibration due 2027-06-30)"))
	require.Equal(t, "trailmark://device/CarrierMSP/sensor-00?lane=3&key="+cards[0].Fingerprint.String(), cards[0].Link())
	require.NoError(t, WriteLabels(io.Discard, []Card{{ID: strings.Repeat("x", 64), Owner: strings.Repeat("y", 64), Topic: topic(strings.Repeat("y", 64), 1023, strings.Repeat("x", 64))}}), "the longest names")
}

func BenchmarkProvision(b *testing.B) {
	authority := newAuthority(b)
	for b.Loop() {
		fleet := make([]Entry, 1000)
		for i := range fleet {
			fleet[i] = usual
			fleet[i].ID = fmt.Sprintf("s-%d", i)
		}
		_, err := Provision(context.Background(), fleet, b.TempDir(), "CarrierMSP", authority, nil)
		require.NoError(b, err)
	}
}
