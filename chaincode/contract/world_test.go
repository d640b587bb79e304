package contract

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

const (
	testChannel = "trailmark"
	maker       = "ManufacturerMSP"
	carrier     = "CarrierMSP"
	regulator   = "RegulatorMSP"
	minute      = provenance.Time(60_000)
)

// start is when the tests' ledgers begin.
var start = provenance.TimeOf(time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC))

// world is a channel, two endorsers with a chaincode process each, and the time.
type world struct {
	testing.TB
	*ledger
	endorsers [2]shim.Chaincode
	now       provenance.Time
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, ledger: newLedger(), now: start}
	for i := range w.endorsers {
		chaincode, err := New()
		require.NoError(t, err)
		w.endorsers[i] = guard{chaincode}
	}
	return w
}

// newTrade is a world whose three organisations are registered.
func newTrade(t testing.TB) *world {
	w := newWorld(t)
	for _, organisation := range []string{maker, carrier, regulator} {
		w.must(organisation, "organisations:Register", provenance.Registration{Name: organisation, LogKey: logKeys(organisation).public})
	}
	return w
}

// simulate runs a function on one endorser.
func (w *world) simulate(endorser int, creator []byte, function string, argument []byte) (*stub, *peer.Response) {
	s := &stub{
		ledger: w.ledger, args: [][]byte{[]byte(function), argument}, creator: creator,
		timestamp: timestamppb.New(w.now.Time()), reads: map[string]uint64{}, writes: map[string][]byte{},
	}
	return s, w.endorsers[endorser].Invoke(s)
}

// endorse runs a function on both endorsers, who must agree to the last byte, and holds what every transaction owes: the writes decode
// as their keys say, and the event carries their digest, or there is none.
func (w *world) endorse(organisation, function string, request any) (*stub, string, error) {
	w.Helper()
	creator := identity(organisation, "client")
	if organisation == maker+" admin" {
		creator = identity(maker, "admin")
	}
	argument, ok := request.([]byte)
	if !ok {
		var err error
		argument, err = json.Marshal(request)
		require.NoError(w, err)
	}
	s, response := w.simulate(0, creator, function, argument)
	procs := runtime.GOMAXPROCS(1) // the other endorser is another machine
	other, otherResponse := w.simulate(1, creator, function, argument)
	runtime.GOMAXPROCS(procs)
	require.Equal(w, s.reads, other.reads, "the endorsers read differently")
	require.Equal(w, s.writes, other.writes, "the endorsers write differently")
	require.Equal(w, s.event, other.event, "the endorsers' events differ")
	require.True(w, proto.Equal(response, otherResponse), "the endorsers answer differently")
	if response.GetStatus() != shim.OK {
		require.Empty(w, s.writes, "a refused transaction writes")
		require.Nil(w, s.event)
		return s, "", errors.New(response.GetMessage())
	}
	if len(s.writes) == 0 {
		require.Nil(w, s.event, "an event without writes")
		return s, string(response.GetPayload()), nil
	}
	writes := []evidence.Write{}
	for _, key := range s.sortedWrites() {
		_, err := evidence.DecodeState(key, s.writes[key])
		require.NoError(w, err)
		writes = append(writes, evidence.Write{Key: key, Value: s.writes[key]})
	}
	digest := evidence.Digest(writes)
	require.Equal(w, evidence.EventName, s.eventName)
	require.Equal(w, digest[:], s.event, "the event is not the digest of the writes")
	return s, string(response.GetPayload()), nil
}

// submit endorses and commits.
func (w *world) submit(organisation, function string, request any) (string, error) {
	w.Helper()
	s, result, err := w.endorse(organisation, function, request)
	if err != nil {
		return "", err
	}
	return result, w.commit(s)
}

func (w *world) must(organisation, function string, request any) string {
	w.Helper()
	result, err := w.submit(organisation, function, request)
	require.NoError(w, err, "%s by %s", function, organisation)
	return result
}

// mustKeep submits what must succeed without writing.
func (w *world) mustKeep(organisation, function string, request any) string {
	w.Helper()
	s, result, err := w.endorse(organisation, function, request)
	require.NoError(w, err)
	require.Empty(w, s.writes, "%s writes", function)
	return result
}

// refused submits what must be refused, in these very words.
func (w *world) refused(organisation, function string, request any, want string) {
	w.Helper()
	_, err := w.submit(organisation, function, request)
	require.EqualError(w, err, want)
}

func answer[T any](w *world, result string) *T {
	w.Helper()
	v := new(T)
	require.NoError(w, json.Unmarshal([]byte(result), v))
	return v
}

// at reads the state.
func at[T any](w *world, key string) *T {
	w.Helper()
	require.Contains(w, w.state, key)
	v := new(T)
	require.NoError(w, evidence.Unmarshal(w.state[key].value, v))
	return v
}

// identity gives a serialized identity with a real certificate.
var identity = func() func(organisation, unit string) []byte {
	var mutex sync.Mutex
	made := map[[2]string][]byte{}
	return func(organisation, unit string) []byte {
		mutex.Lock()
		defer mutex.Unlock()
		id, ok := made[[2]string{organisation, unit}]
		if !ok {
			id = makeIdentity(organisation, unit)
			made[[2]string{organisation, unit}] = id
		}
		return id
	}
}()

func makeIdentity(organisation, unit string) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must0(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "node." + organisation, OrganizationalUnit: []string{unit}},
		NotBefore:    time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must0(err)
	id, err := proto.Marshal(&msp.SerializedIdentity{Mspid: organisation, IdBytes: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})})
	must0(err)
	return id
}

func must0(err error) {
	if err != nil {
		panic(err)
	}
}

// logKey is a pair of note keys.
type logKey struct {
	public string
	signer note.Signer
}

var logKeys = func() func(organisation string) logKey {
	var mutex sync.Mutex
	made := map[string]logKey{}
	return func(organisation string) logKey {
		mutex.Lock()
		defer mutex.Unlock()
		if _, ok := made[organisation]; !ok {
			made[organisation] = newLogKey(organisation)
		}
		return made[organisation]
	}
}()

func newLogKey(name string) logKey {
	secret, public, err := note.GenerateKey(rand.Reader, name)
	must0(err)
	signer, err := note.NewSigner(secret)
	must0(err)
	return logKey{public, signer}
}

// deviceKey derives a device's key from its name and a generation, so that tests repeat themselves.
func deviceKey(device string, generation byte) ed25519.PrivateKey {
	seed := sha256.Sum256(append([]byte(device), generation))
	return ed25519.NewKeyFromSeed(seed[:])
}

func coseKey(key ed25519.PrivateKey) []byte {
	encoded, err := evidence.EncodeKey(key.Public())
	must0(err)
	return encoded
}

func enrolment(device string, lane uint32) provenance.Enrolment {
	return provenance.Enrolment{
		ID: device, Key: coseKey(deviceKey(device, 0)), Quantity: "temperature", Unit: "Cel", Min: -40_000_000, Max: 85_000_000,
		CalibrationDue: start + 365*24*60*minute, Lane: lane,
	}
}

func (w *world) enrol(organisation string, lane uint32, names ...string) {
	w.Helper()
	request := provenance.EnrolRequest{}
	for _, name := range names {
		request.Devices = append(request.Devices, enrolment(name, lane))
	}
	w.must(organisation, "devices:EnrolMany", request)
}

func opening(id string, parties ...string) provenance.Opening {
	return provenance.Opening{
		ID: id, Parties: parties, Goods: []provenance.Goods{{GTIN: "04012345123456", Lot: "L7", Description: "Raw milk", Quantity: 40}},
		Profile: "milk-pseudomonas", Limits: provenance.Limits{Min: 0, Max: 8_000_000, AllowedMinutes: 30}, Opened: start - 60*minute,
		Origin: "Graz", Destination: "Vienna",
	}
}
