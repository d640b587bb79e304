package ingest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// The corpus: messages that must not be recorded, each made by spoiling one thing in a good one, with the verdict expected.
// Everything that is spoiled in header or payload is signed afterwards with the right key, unless the case is about the
// signature: so nothing but the named fault can be the reason.

type m = map[any]any

// draft is a message before it is put together.
type draft struct {
	c *corpus

	topic       string
	header      m
	protected   []byte // instead of header
	payload     any
	payloadRaw  []byte // instead of payload
	tag         uint64
	unprotected any
	hash        any // instead of the payload's
	signature   any // instead of the right one
	signer      crypto.Signer
	toBeSigned  func(protected, hash []byte) []byte
	extra       []any               // further elements of the COSE array
	message     func([]byte) []byte // done to the whole at the end
	raw         []byte              // instead of everything
}

type corpus struct {
	registry *registry
	ed       ed25519.PrivateKey
	other    ed25519.PrivateKey
	p256     *ecdsa.PrivateKey
	now      time.Time
}

func newCorpus(t testing.TB) *corpus {
	t.Helper()
	c := &corpus{now: time.UnixMilli(1_790_000_000_000)}
	var err error
	_, c.ed, err = ed25519.GenerateKey(nil)
	require.NoError(t, err)
	_, c.other, err = ed25519.GenerateKey(nil)
	require.NoError(t, err)
	c.p256, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key := func(k crypto.PublicKey) []byte {
		encoded, err := evidence.EncodeKey(k)
		require.NoError(t, err)
		return encoded
	}
	l := newLedger()
	for id, change := range map[string]func(*provenance.Device){
		"good": func(*provenance.Device) {}, "es256": func(d *provenance.Device) { d.Keys[0].Key = key(c.p256.Public()) },
		"theirs":    func(d *provenance.Device) { d.Organisation = "Other" },
		"elsewhere": func(d *provenance.Device) { d.Lane = 9 },
		"suspended": func(d *provenance.Device) { d.Status = provenance.Suspended },
		"revoked":   func(d *provenance.Device) { d.Status = provenance.Revoked },
		"rotated": func(d *provenance.Device) {
			d.Epoch = 2
			d.Keys = append(d.Keys, provenance.DeviceKey{FromEpoch: 2, Key: key(c.other.Public())})
		},
	} {
		device := &provenance.Device{
			ID: id, Organisation: org, Quantity: "temperature", Unit: "Cel", Min: -40e6, Max: 85e6, CalibrationDue: 1, Epoch: 1,
			Keys: []provenance.DeviceKey{{FromEpoch: 1, Key: key(c.ed.Public())}}, Lane: 3,
		}
		change(device)
		l.devices[id] = device
	}
	c.registry = newRegistry(devices{l}, l)
	return c
}

func (c *corpus) draft(device string, signer crypto.Signer) *draft {
	at := c.now.Add(-time.Minute)
	d := &draft{
		c: c, topic: "tm/" + org + "/3/" + device, tag: 18, unprotected: m{}, signer: signer,
		header: m{1: -8, 4: []byte(device), 258: -16, 259: 112, -65537: []any{1, 7, at.UnixMilli(), 60_000, -30_000, 2}},
		payload: []any{
			m{2: decimal(-1, 45), -2: device, -3: at.Unix(), -4: "Cel"},
			m{2: 5, 6: 60},
		},
	}
	if _, ok := signer.(*ecdsa.PrivateKey); ok {
		d.header[1] = -7
	}
	return d
}

func decimal(exponent, mantissa int64) cbor.Tag {
	return cbor.Tag{Number: 4, Content: []int64{exponent, mantissa}}
}

// mark is the trailmark header, to be changed.
func (d *draft) mark() []any { return d.header[-65537].([]any) }

func (d *draft) record(i int) m { return d.payload.([]any)[i].(m) }

func encode(t testing.TB, v any) []byte {
	t.Helper()
	o := cbor.CoreDetEncOptions()
	o.NaNConvert, o.InfConvert = cbor.NaNConvert7e00, cbor.InfConvertFloat16
	o.BigIntConvert = cbor.BigIntConvertShortest
	mode, err := o.EncMode()
	require.NoError(t, err)
	b, err := mode.Marshal(v)
	require.NoError(t, err)
	return b
}

func (d *draft) assemble(t testing.TB) []byte {
	t.Helper()
	if d.raw != nil {
		return d.raw
	}
	protected, payload := d.protected, d.payloadRaw
	if protected == nil {
		protected = encode(t, d.header)
	}
	if payload == nil {
		payload = encode(t, d.payload)
	}
	sum := sha256.Sum256(payload)
	var hash any = sum[:]
	if d.hash != nil {
		hash = d.hash
	}
	signed := encode(t, []any{"Signature1", protected, []byte{}, hash})
	if d.toBeSigned != nil {
		signed = d.toBeSigned(protected, sum[:])
	}
	signature := d.signature
	if signature == nil {
		signature = sign(t, d.signer, signed)
	}
	frame := encode(t, cbor.Tag{Number: d.tag, Content: append([]any{protected, d.unprotected, hash, signature}, d.extra...)})
	message := slices.Concat(frame, payload)
	if d.message != nil {
		message = d.message(message)
	}
	return message
}

func sign(t testing.TB, signer crypto.Signer, message []byte) []byte {
	t.Helper()
	if key, ok := signer.(*ecdsa.PrivateKey); ok {
		digest := sha256.Sum256(message)
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		require.NoError(t, err)
		if n := elliptic.P256().Params().N; s.Cmp(new(big.Int).Rsh(n, 1)) > 0 {
			s.Sub(n, s)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	signature, err := signer.Sign(nil, message, crypto.Hash(0))
	require.NoError(t, err)
	return signature
}

// message stands in for paho's.
type message struct {
	topic string
	body  []byte
}

func (m message) Duplicate() bool   { return false }
func (m message) Qos() byte         { return 1 }
func (m message) Retained() bool    { return false }
func (m message) Topic() string     { return m.topic }
func (m message) MessageID() uint16 { return 1 }
func (m message) Payload() []byte   { return m.body }
func (m message) Ack()              {}

func arrivalOf(topic string, body []byte) arrival {
	return arrival{topic: topic, body: body[:min(len(body), maxKept)], message: message{topic, body}}
}

type fixed time.Time

func (f fixed) Now() time.Time { return time.Time(f) }

func (c *corpus) judge(topic string, body []byte) judged {
	return newJudge(org, 3, c.registry, nil, fixed(c.now)).all(context.Background(), []arrival{arrivalOf(topic, body)})[0]
}

func cut(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }

func replaceOnce(old, with []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		if bytes.Count(b, old) < 1 {
			panic(fmt.Sprintf("%x is not in the message", old))
		}
		return bytes.Replace(b, old, with, 1)
	}
}

// groupOrder is L, the order of edwards25519's base point.
var groupOrder, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

func addOrder(signature []byte) []byte {
	s := new(big.Int).SetBytes(reversed(signature[32:]))
	s.Add(s, groupOrder)
	return append(slices.Clone(signature[:32]), reversed(s.FillBytes(make([]byte, 32)))...)
}

func reversed(b []byte) []byte {
	b = slices.Clone(b)
	slices.Reverse(b)
	return b
}

const (
	malformed = provenance.Malformed
	badSig    = provenance.BadSignature
	mismatch  = provenance.PayloadMismatch
	badTopic  = provenance.WrongTopic
	badAlg    = provenance.UnsupportedAlgorithm
)

var bad = []struct {
	name  string
	want  provenance.Verdict
	spoil func(t testing.TB, d *draft)
}{
	// Not a frame at all.
	{"empty", malformed, func(_ testing.TB, d *draft) { d.raw = []byte{} }},
	{"one byte", malformed, func(_ testing.TB, d *draft) { d.raw = []byte{0xd2} }},
	{"text", malformed, func(_ testing.TB, d *draft) { d.raw = []byte("temperature=4.5") }},
	{"SenML JSON unsigned", malformed, func(_ testing.TB, d *draft) { d.raw = []byte(`[{"n":"good","u":"Cel","v":4.5}]`) }},
	{"SenML CBOR unsigned", malformed, func(t testing.TB, d *draft) { d.raw = encode(t, d.payload) }},
	{"random bytes", malformed, func(_ testing.TB, d *draft) { d.raw = bytes.Repeat([]byte{0x9b, 0x13, 0xfe}, 100) }},
	{"zeros", malformed, func(_ testing.TB, d *draft) { d.raw = make([]byte, 300) }},
	{"nesting bomb", malformed, func(_ testing.TB, d *draft) { d.raw = bytes.Repeat([]byte{0x81}, 60_000) }},
	{"tag bomb", malformed, func(_ testing.TB, d *draft) { d.raw = bytes.Repeat([]byte{0xd2}, 60_000) }},
	{"length beyond memory", malformed, func(_ testing.TB, d *draft) {
		d.raw = []byte{0xd2, 0x84, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}},
	{"array of 2^32", malformed, func(_ testing.TB, d *draft) { d.raw = []byte{0xd2, 0x9a, 0xff, 0xff, 0xff, 0xff, 0x40} }},
	{"reserved additional information", malformed, func(_ testing.TB, d *draft) { d.raw = []byte{0xd2, 0x9c, 0x9d, 0x9e} }},
	{"oversize", provenance.Oversize, func(_ testing.TB, d *draft) { d.raw = make([]byte, provenance.MaxMessage+1) }},
	{"far oversize", provenance.Oversize, func(_ testing.TB, d *draft) { d.raw = make([]byte, 1<<20) }},

	// The envelope.
	{"truncated in the frame", malformed, func(_ testing.TB, d *draft) { d.message = func(b []byte) []byte { return b[:90] } }},
	{"no tag", malformed, func(_ testing.TB, d *draft) { d.message = func(b []byte) []byte { return b[1:] } }},
	{"tag of COSE_Sign", malformed, func(_ testing.TB, d *draft) { d.tag = 98 }},
	{"tag of COSE_Mac0", malformed, func(_ testing.TB, d *draft) { d.tag = 17 }},
	{"tag not shortest", malformed, func(_ testing.TB, d *draft) { d.message = replaceOnce([]byte{0xd2}, []byte{0xd8, 18}) }},
	{"three elements", malformed, func(_ testing.TB, d *draft) { d.message = replaceOnce([]byte{0xd2, 0x84}, []byte{0xd2, 0x83}) }},
	{"five elements", malformed, func(_ testing.TB, d *draft) { d.extra = []any{1} }},
	{"indefinite array", malformed, func(_ testing.TB, d *draft) { d.message = replaceOnce([]byte{0xd2, 0x84}, []byte{0xd2, 0x9f}) }},
	{"length not shortest", malformed, func(_ testing.TB, d *draft) { d.message = replaceOnce([]byte{0xd2, 0x84}, []byte{0xd2, 0x98, 4}) }},
	{"unprotected header", malformed, func(_ testing.TB, d *draft) { d.unprotected = m{4: []byte("good")} }},
	{"unprotected header null", malformed, func(_ testing.TB, d *draft) { d.unprotected = nil }},
	{"hash of 31 bytes", malformed, func(_ testing.TB, d *draft) { d.hash = make([]byte, 31) }},
	{"hash of 33 bytes", malformed, func(_ testing.TB, d *draft) { d.hash = make([]byte, 33) }},
	{"hash detached", malformed, func(_ testing.TB, d *draft) { d.hash = cbor.RawMessage{0xf6} }},
	{"hash as text", malformed, func(_ testing.TB, d *draft) { d.hash = string(bytes.Repeat([]byte{'x'}, 32)) }},
	{"signature of 63 bytes", malformed, func(_ testing.TB, d *draft) { d.signature = make([]byte, 63) }},
	{"signature of 65 bytes", malformed, func(_ testing.TB, d *draft) { d.signature = make([]byte, 65) }},
	{"signature empty", malformed, func(_ testing.TB, d *draft) { d.signature = []byte{} }},

	// The protected header.
	{"protected empty", malformed, func(_ testing.TB, d *draft) { d.protected = []byte{} }},
	{"protected not a map", malformed, func(_ testing.TB, d *draft) { d.protected = []byte{0x80} }},
	{"kid missing", malformed, func(_ testing.TB, d *draft) { delete(d.header, 4) }},
	{"alg missing", malformed, func(_ testing.TB, d *draft) { delete(d.header, 1) }},
	{"trailmark header missing", malformed, func(_ testing.TB, d *draft) { delete(d.header, -65537) }},
	{"unknown header", malformed, func(_ testing.TB, d *draft) { d.header[99] = 1 }},
	{"critical header", malformed, func(_ testing.TB, d *draft) { d.header[2] = []any{99} }},
	{"label twice", malformed, func(t testing.TB, d *draft) {
		d.protected = replaceOnce([]byte{0x01, 0x27}, []byte{0x01, 0x27, 0x01, 0x27})(encode(t, d.header))
		d.protected[0]++
	}},
	{"labels out of order", malformed, func(t testing.TB, d *draft) {
		d.protected = replaceOnce([]byte{0x01, 0x27, 0x04, 0x44, 'g', 'o', 'o', 'd'}, []byte{0x04, 0x44, 'g', 'o', 'o', 'd', 0x01, 0x27})(encode(t, d.header))
	}},
	{"kid empty", malformed, func(_ testing.TB, d *draft) { d.header[4] = []byte{} }},
	{"kid as text", malformed, func(_ testing.TB, d *draft) { d.header[4] = "good" }},
	{"kid with a slash", malformed, func(_ testing.TB, d *draft) { d.header[4] = []byte("go/od") }},
	{"kid not UTF-8", malformed, func(_ testing.TB, d *draft) { d.header[4] = []byte{0xff, 0xfe} }},
	{"kid of 65 bytes", malformed, func(_ testing.TB, d *draft) { d.header[4] = bytes.Repeat([]byte{'a'}, 65) }},
	{"alg ES384", badAlg, func(_ testing.TB, d *draft) { d.header[1] = -35 }},
	{"alg HS256", badAlg, func(_ testing.TB, d *draft) { d.header[1] = 5 }},
	{"alg RS256", badAlg, func(_ testing.TB, d *draft) { d.header[1] = -257 }},
	{"payload hash SHA-512", badAlg, func(_ testing.TB, d *draft) { d.header[258] = -44 }},
	{"content SenML JSON", malformed, func(_ testing.TB, d *draft) { d.header[259] = 110 }},
	{"mark of five", malformed, func(_ testing.TB, d *draft) { d.header[-65537] = d.mark()[:5] }},
	{"mark of seven", malformed, func(_ testing.TB, d *draft) { d.header[-65537] = append(d.mark(), 1) }},
	{"epoch zero", malformed, func(_ testing.TB, d *draft) { d.mark()[0] = 0 }},
	{"epoch as text", malformed, func(_ testing.TB, d *draft) { d.mark()[0] = "1" }},
	{"epoch of 33 bits", malformed, func(_ testing.TB, d *draft) { d.mark()[0] = uint64(1) << 32 }},
	{"sequence zero", malformed, func(_ testing.TB, d *draft) { d.mark()[1] = 0 }},
	{"sequence negative", malformed, func(_ testing.TB, d *draft) { d.mark()[1] = -1 }},
	{"sequence as float", malformed, func(_ testing.TB, d *draft) { d.mark()[1] = 7.5 }},
	{"first time of 64 bits", provenance.WrongTimes, func(_ testing.TB, d *draft) { d.mark()[2] = uint64(math.MaxUint64) }},
	{"span negative", malformed, func(_ testing.TB, d *draft) { d.mark()[3] = -1 }},
	{"span of 32 days", provenance.WrongTimes, func(_ testing.TB, d *draft) { d.mark()[3] = 32 * 24 * 3600 * 1000 }},
	{"count zero", malformed, func(_ testing.TB, d *draft) { d.mark()[5] = 0 }},
	{"count 1025", malformed, func(_ testing.TB, d *draft) { d.mark()[5] = 1025 }},

	// The signature.
	{"signature bit flipped", badSig, func(_ testing.TB, d *draft) {
		d.message = func(b []byte) []byte { i := bytes.LastIndex(b, []byte{0x58, 64}) + 20; b[i] ^= 1; return b }
	}},
	{"signed by a stranger", badSig, func(_ testing.TB, d *draft) { d.signer = d.c.other }},
	{"signature of zeros", badSig, func(_ testing.TB, d *draft) { d.signature = make([]byte, 64) }},
	{"small order R, S zero", badSig, func(_ testing.TB, d *draft) { d.signature = append([]byte{1}, make([]byte, 63)...) }},
	{"S plus group order", badSig, func(t testing.TB, d *draft) {
		d.toBeSigned = func(protected, hash []byte) []byte {
			signed := encode(t, []any{"Signature1", protected, []byte{}, hash})
			d.signature = addOrder(sign(t, d.c.ed, signed))
			return signed
		}
	}},
	{"external data signed", badSig, func(t testing.TB, d *draft) {
		d.toBeSigned = func(protected, hash []byte) []byte {
			return encode(t, []any{"Signature1", protected, []byte("x"), hash})
		}
	}},
	{"signed as COSE_Sign", badSig, func(t testing.TB, d *draft) {
		d.toBeSigned = func(protected, hash []byte) []byte { return encode(t, []any{"Signature", protected, []byte{}, hash}) }
	}},
	{"hash alone signed", badSig, func(_ testing.TB, d *draft) {
		d.toBeSigned = func(_, hash []byte) []byte { return hash }
	}},
	{"sequence changed after signing", badSig, func(_ testing.TB, d *draft) {
		d.message = replaceOnce([]byte{0x86, 0x01, 0x07}, []byte{0x86, 0x01, 0x08})
	}},
	{"ES256 under an Ed25519 key", badSig, func(_ testing.TB, d *draft) { d.header[1], d.signer = -7, d.c.p256 }},
	{"EdDSA under a P-256 key", badSig, func(_ testing.TB, d *draft) { *d = *d.c.draft("es256", d.c.ed) }},
	{"ES256 with high s", malformed, func(t testing.TB, d *draft) {
		*d = *d.c.draft("es256", d.c.p256)
		d.toBeSigned = func(protected, hash []byte) []byte {
			signed := encode(t, []any{"Signature1", protected, []byte{}, hash})
			low := sign(t, d.c.p256, signed)
			s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(low[32:]))
			d.signature = append(slices.Clone(low[:32]), s.FillBytes(make([]byte, 32))...)
			return signed
		}
	}},
	{"ES256 with r and s zero", badSig, func(_ testing.TB, d *draft) {
		*d = *d.c.draft("es256", d.c.p256)
		d.signature = make([]byte, 64)
	}},
	{"ES256 of another key", badSig, func(t testing.TB, d *draft) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		*d = *d.c.draft("es256", key)
	}},
	{"old key in a new epoch", badSig, func(_ testing.TB, d *draft) { *d = *d.c.draft("rotated", d.c.ed); d.mark()[0] = 2 }},
	{"new key in an old epoch", badSig, func(_ testing.TB, d *draft) { *d = *d.c.draft("rotated", d.c.other) }},

	// The device and the topic.
	{"unknown device", provenance.UnknownDevice, func(_ testing.TB, d *draft) { *d = *d.c.draft("nobody", d.c.ed) }},
	{"another organisation's device", provenance.WrongOrganisation, func(_ testing.TB, d *draft) { *d = *d.c.draft("theirs", d.c.ed) }},
	{"another lane's device", provenance.WrongLane, func(_ testing.TB, d *draft) { *d = *d.c.draft("elsewhere", d.c.ed) }},
	{"suspended device", provenance.DeviceSuspended, func(_ testing.TB, d *draft) { *d = *d.c.draft("suspended", d.c.ed) }},
	{"revoked device", provenance.DeviceRevoked, func(_ testing.TB, d *draft) { *d = *d.c.draft("revoked", d.c.ed) }},
	{"epoch not started", provenance.EpochNotStarted, func(_ testing.TB, d *draft) { d.mark()[0] = 2 }},
	{"another device's topic", badTopic, func(_ testing.TB, d *draft) { d.topic = "tm/" + org + "/3/rotated" }},
	{"topic without device", badTopic, func(_ testing.TB, d *draft) { d.topic = "tm/" + org + "/3/" }},
	{"topic with a level more", badTopic, func(_ testing.TB, d *draft) { d.topic += "/x" }},
	{"topic of another lane", badTopic, func(_ testing.TB, d *draft) { d.topic = "tm/" + org + "/4/good" }},
	{"topic of another organisation", badTopic, func(_ testing.TB, d *draft) { d.topic = "tm/Other/3/good" }},

	// The payload.
	{"payload missing", mismatch, func(t testing.TB, d *draft) { d.message = cut(len(encode(t, d.payload))) }},
	{"payload cut", mismatch, func(_ testing.TB, d *draft) { d.message = cut(1) }},
	{"byte after the payload", mismatch, func(_ testing.TB, d *draft) { d.message = func(b []byte) []byte { return append(b, 0) } }},
	{"payload of another frame", mismatch, func(_ testing.TB, d *draft) {
		d.message = replaceOnce([]byte{0x02, 0x05, 0x06}, []byte{0x02, 0x06, 0x06})
	}},
	{"payload not an array", malformed, func(_ testing.TB, d *draft) { d.payload = m{1: 2} }},
	{"payload empty", malformed, func(_ testing.TB, d *draft) { d.payload = []any{} }},
	{"payload cut before signing", malformed, func(t testing.TB, d *draft) { d.payloadRaw = cut(1)(encode(t, d.payload)) }},
	{"payload indefinite", malformed, func(t testing.TB, d *draft) {
		d.payloadRaw = append(replaceOnce([]byte{0x82, 0xa4}, []byte{0x9f, 0xa4})(encode(t, d.payload)), 0xff)
	}},
	{"record of an unknown field", malformed, func(_ testing.TB, d *draft) { d.record(1)[7] = 1 }},
	{"record without a value", malformed, func(_ testing.TB, d *draft) { delete(d.record(1), 2) }},
	{"record without a time", malformed, func(_ testing.TB, d *draft) { delete(d.record(1), 6) }},
	{"base name missing", malformed, func(_ testing.TB, d *draft) { delete(d.record(0), -2) }},
	{"base time missing", malformed, func(_ testing.TB, d *draft) { delete(d.record(0), -3) }},
	{"unit missing", malformed, func(_ testing.TB, d *draft) { delete(d.record(0), -4) }},
	{"value as float", malformed, func(_ testing.TB, d *draft) { d.record(0)[2] = 4.5 }},
	{"value NaN", malformed, func(_ testing.TB, d *draft) { d.record(0)[2] = math.NaN() }},
	{"value infinite", malformed, func(_ testing.TB, d *draft) { d.record(0)[2] = math.Inf(1) }},
	{"value as text", malformed, func(_ testing.TB, d *draft) { d.record(0)[2] = "4.5" }},
	{"value null", malformed, func(_ testing.TB, d *draft) { d.record(0)[2] = nil }},
	{"value beyond 64 bits", malformed, func(_ testing.TB, d *draft) { d.record(0)[2] = uint64(math.MaxUint64) }},
	{"value bignum", malformed, func(_ testing.TB, d *draft) { d.record(0)[2] = new(big.Int).Lsh(big.NewInt(1), 80) }},
	{"value overflows micro", malformed, func(_ testing.TB, d *draft) { d.record(0)[2] = int64(math.MaxInt64 / 1000) }},
	{"decimal not reduced", malformed, func(_ testing.TB, d *draft) { d.record(0)[2] = decimal(-2, 450) }},
	{"decimal that is integral", malformed, func(_ testing.TB, d *draft) { d.record(0)[2] = decimal(-1, 50) }},
	{"decimal of seven places", malformed, func(_ testing.TB, d *draft) { d.record(0)[2] = decimal(-7, 1) }},
	{"decimal with positive exponent", malformed, func(_ testing.TB, d *draft) { d.record(0)[2] = decimal(400, 1) }},
	{"time finer than a millisecond", malformed, func(_ testing.TB, d *draft) { d.record(1)[6] = decimal(-4, 600001) }},
	{"wrong device in the payload", mismatch, func(_ testing.TB, d *draft) { d.record(0)[-2] = "rotated" }},
	{"wrong unit", provenance.WrongUnit, func(_ testing.TB, d *draft) { d.record(0)[-4] = "Far" }},
	{"unit of another quantity", provenance.WrongUnit, func(_ testing.TB, d *draft) { d.record(0)[-4] = "%RH" }},
	{"count contradicts", mismatch, func(_ testing.TB, d *draft) { d.mark()[5] = 3 }},
	{"more readings than allowed", malformed, func(_ testing.TB, d *draft) {
		records := d.payload.([]any)[:1]
		for i := range 1024 {
			records = append(records, m{2: 5, 6: i + 1})
		}
		d.payload = records
	}},
	{"first time contradicts", provenance.WrongTimes, func(_ testing.TB, d *draft) { d.mark()[2] = d.mark()[2].(int64) + 1 }},
	{"last time contradicts", provenance.WrongTimes, func(_ testing.TB, d *draft) { d.record(1)[6] = 59 }},
	{"times that do not rise", provenance.WrongTimes, func(_ testing.TB, d *draft) { d.record(1)[6] = -60 }},
	{"times that stand still", provenance.WrongTimes, func(_ testing.TB, d *draft) { d.record(1)[6] = 0 }},
	{"future", provenance.FutureTime, func(_ testing.TB, d *draft) {
		at := d.c.now.Add(time.Hour)
		d.mark()[2], d.record(0)[-3] = at.UnixMilli(), at.Unix()
	}},
	{"far future", provenance.FutureTime, func(_ testing.TB, d *draft) {
		at := d.c.now.Add(100 * 365 * 24 * time.Hour)
		d.mark()[2], d.record(0)[-3] = at.UnixMilli(), at.Unix()
	}},
}

func TestCorpus(t *testing.T) {
	c := newCorpus(t)
	for _, device := range []string{"good", "es256"} { // what is spoiled below is good before
		var signer crypto.Signer = c.ed
		if device == "es256" {
			signer = c.p256
		}
		d := c.draft(device, signer)
		found := c.judge(d.topic, d.assemble(t))
		require.Equal(t, provenance.Accepted, found.verdict, found.detail)
		require.NoError(t, found.unknown)
	}
	names := map[string]bool{}
	for _, test := range bad {
		t.Run(test.name, func(t *testing.T) {
			require.False(t, names[test.name], "the name is taken")
			names[test.name] = true
			d := c.draft("good", c.ed)
			test.spoil(t, d)
			body := d.assemble(t)
			found := c.judge(d.topic, body)
			require.NoError(t, found.unknown)
			require.Equal(t, test.want.String(), found.verdict.String(), found.detail)
			require.NotEmpty(t, found.detail+found.verdict.Reason())
		})
	}
	require.GreaterOrEqual(t, len(names), 60)
}

func TestProjectionMayLag(t *testing.T) {
	c := newCorpus(t)
	projected, now := c.registry.ledger.(*ledger), newLedger()
	started := *projected.devices["rotated"]
	started.Changed = 5
	before := started
	before.Changed, before.Epoch, before.Keys = 1, 1, started.Keys[:1]
	projected.devices["rotated"] = &before
	d := c.draft("rotated", c.other)
	d.mark()[0] = 2
	for _, test := range []struct {
		ledger *provenance.Device
		want   provenance.Verdict
	}{{&before, provenance.EpochNotStarted}, {&started, provenance.Accepted}} {
		now.devices["rotated"] = test.ledger
		c.registry = newRegistry(devices{projected}, now)
		found := c.judge(d.topic, d.assemble(t))
		require.Equal(t, test.want.String(), found.verdict.String(), found.detail)
	}
}

// FuzzJudge looks for a panic, and for an accepted message that is not one that was signed.
func FuzzJudge(f *testing.F) {
	c := newCorpus(f)
	good := c.draft("good", c.ed)
	message := good.assemble(f)
	f.Add(good.topic, message)
	for _, test := range bad {
		d := c.draft("good", c.ed)
		test.spoil(f, d)
		if body := d.assemble(f); len(body) < 4096 {
			f.Add(d.topic, body)
		}
	}
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		found := c.judge(topic, body)
		require.NoError(t, found.unknown)
		if found.verdict == provenance.Accepted {
			require.Equal(t, good.topic, topic)
			require.Equal(t, message, body)
		}
	})
}

func FuzzPresence(f *testing.F) {
	f.Add([]byte(`{"alive":true,"beat":3,"since":5,"serve":[0,1],"holds":[1]}`))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if p, err := parsePresence(text); err == nil {
			share(8, map[string][]uint32{"us": {0, 1, 2}, "them": p.Serve})
		}
	})
}
