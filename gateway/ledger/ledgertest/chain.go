package ledgertest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"golang.org/x/mod/sumdb/note"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Chain plays the contract for tests: it keeps the state that readings need and puts what was recorded into blocks.
type Chain struct {
	Blocks  []*common.Block
	Now     provenance.Time
	Signers map[string]note.Signer // by organisation
	pending []Transaction
	devices map[string]*provenance.Device
	keys    map[string]ed25519.PrivateKey
	heads   map[string]*provenance.Head
	lanes   map[string]*provenance.Lane
}

// NewChain begins a chain with a block that holds nothing of ours.
func NewChain(now provenance.Time) *Chain {
	return &Chain{
		Blocks: []*common.Block{Block(0)}, Now: now, Signers: map[string]note.Signer{}, devices: map[string]*provenance.Device{},
		keys: map[string]ed25519.PrivateKey{}, heads: map[string]*provenance.Head{}, lanes: map[string]*provenance.Lane{},
	}
}

// Add puts a transaction into the next block.
func (c *Chain) Add(t Transaction) {
	if t.Time == 0 {
		t.Time = c.Now
	}
	c.pending = append(c.pending, t)
}

// Put records states under their keys, in one transaction.
func (c *Chain) Put(creator, function string, states map[string]any) {
	t := Transaction{Creator: creator, Function: function, Args: [][]byte{[]byte("{}")}}
	for key, value := range states {
		t.Writes = append(t.Writes, evidence.Write{Key: key, Value: Encode(value)})
	}
	c.Add(t)
}

// Encode writes canonical CBOR.
func Encode(value any) []byte {
	data, err := evidence.Marshal(value)
	if err != nil {
		panic(err)
	}
	return data
}

// Cut ends the block.
func (c *Chain) Cut() {
	c.Blocks = append(c.Blocks, Block(uint64(len(c.Blocks)), c.pending...))
	c.pending = nil
	c.Now += 500
}

// Register enters an organisation with a log key of its own.
func (c *Chain) Register(organisation string) {
	c.Put(organisation, "organisations:Register", map[string]any{
		provenance.OrganisationKey(organisation): provenance.Organisation{ID: organisation, Name: "The " + organisation, LogKey: c.NewLogKey(organisation), Changed: c.Now},
	})
}

// NewLogKey gives an organisation a new key to anchor with, and returns its public half.
func (c *Chain) NewLogKey(organisation string) string {
	private, public, err := note.GenerateKey(bytes.NewReader(seed("log", organisation, Name("block", len(c.Blocks)))), organisation)
	if err != nil {
		panic(err)
	}
	if c.Signers[organisation], err = note.NewSigner(private); err != nil {
		panic(err)
	}
	return public
}

func seed(parts ...string) []byte {
	sum := sha256.Sum256([]byte(strings.Join(parts, "/")))
	return bytes.Repeat(sum[:], 4)
}

// Enrol enters devices of an organisation, in one lane.
func (c *Chain) Enrol(organisation string, lane uint32, names ...string) {
	states := map[string]any{}
	for _, name := range names {
		key := ed25519.NewKeyFromSeed(seed("device", name)[:32])
		encoded, err := evidence.EncodeKey(key.Public())
		if err != nil {
			panic(err)
		}
		d := &provenance.Device{
			ID: name, Organisation: organisation, Quantity: "temperature", Unit: "Cel", Min: -40e6, Max: 80e6, CalibrationDue: c.Now + 1e10,
			Epoch: 1, Keys: []provenance.DeviceKey{{FromEpoch: 1, Key: encoded}}, Lane: lane, Changed: c.Now,
		}
		c.devices[name], c.keys[name] = d, key
		states[provenance.DeviceKeyState(name)] = d
	}
	c.Put(organisation, "devices:EnrolMany", states)
}

// Frame is what a device of a batch says.
type Frame struct {
	Device   string
	Sequence uint64
	Readings []provenance.Reading
	Late     bool // it arrives an hour after its last reading
	Private  bool // its payload is confidential
	Forged   bool // the contract refuses it
}

// Commit records a batch as the contract does.
func (c *Chain) Commit(organisation string, lane uint32, frames ...Frame) {
	laneKey := provenance.LaneKey(organisation, lane)
	l := c.lanes[laneKey]
	if l == nil {
		l = &provenance.Lane{Organisation: organisation, Lane: lane, Owner: "test", Fence: 1}
		c.lanes[laneKey] = l
	}
	l.Number++
	l.Changed = c.Now
	batch := &evidence.Batch{Organisation: organisation, Lane: lane, Number: l.Number, Fence: 1}
	m := &provenance.Manifest{Organisation: organisation, Lane: lane, Number: l.Number, Fence: 1, Committed: c.Now}
	states := map[string]any{}
	var leaves []provenance.Hash
	for i, f := range frames {
		d := c.devices[f.Device]
		last := f.Readings[len(f.Readings)-1].Time
		message, err := evidence.SignFrame(c.keys[f.Device], d.Epoch, f.Sequence, &evidence.Pack{Device: d.ID, Unit: d.Unit, Readings: f.Readings}, last+5)
		if err != nil {
			panic(err)
		}
		raw, payload, err := evidence.SplitMessage(message)
		if err != nil {
			panic(err)
		}
		received := last + 40
		if f.Late {
			received += 3_600_000
		}
		if f.Private {
			payload = nil
		}
		batch.Frames = append(batch.Frames, evidence.BatchFrame{Received: received, Raw: raw, Payload: payload})
		key := provenance.HeadKey(d.ID, d.Epoch)
		head := c.heads[key]
		if head == nil {
			head = &provenance.Head{Gaps: []provenance.Gap{}}
			c.heads[key] = head
		}
		verdict, filled := provenance.BadSignature, false
		if !f.Forged {
			verdict, filled = head.Accept(f.Sequence)
		}
		if verdict != provenance.Accepted {
			m.Refused = append(m.Refused, provenance.Refusal{Position: uint32(i), Leaf: evidence.LeafHash(raw), Verdict: verdict})
			continue
		}
		if filled || f.Late {
			m.Backfilled = append(m.Backfilled, uint32(len(leaves)))
		}
		if len(leaves) == 0 {
			m.First, m.Last = f.Readings[0].Time, last
		}
		m.First, m.Last = min(m.First, f.Readings[0].Time), max(m.Last, last)
		m.Readings += uint32(len(f.Readings))
		leaves = append(leaves, evidence.LeafHash(raw))
		states[key] = head
	}
	argument, err := evidence.EncodeBatch(batch)
	if err != nil {
		panic(err)
	}
	m.Frames, m.Root, m.Argument = uint32(len(leaves)), evidence.Root(leaves), sha256.Sum256(argument)
	l.Digest = m.Argument
	states[laneKey], states[provenance.ManifestKey(organisation, lane, l.Number)] = l, m
	t := Transaction{Creator: organisation, Function: "readings:Commit", Args: [][]byte{argument}}
	for key, value := range states {
		t.Writes = append(t.Writes, evidence.Write{Key: key, Value: Encode(value)})
	}
	c.Add(t)
}

// Anchor records a checkpoint that an organisation signed.
func (c *Chain) Anchor(organisation string, size uint64, root provenance.Hash) {
	signed, err := evidence.SignCheckpoint(c.Signers[organisation], Channel, size, root)
	if err != nil {
		panic(err)
	}
	c.Put(organisation, "checkpoints:Anchor", map[string]any{
		provenance.CheckpointKey(organisation, size): provenance.Checkpoint{Organisation: organisation, Size: size, Root: root, Note: signed, Anchored: c.Now},
	})
}

// Series makes readings: count of them from a time on, a step apart, of a temperature that wanders about.
func Series(from provenance.Time, step int64, count int, phase int) []provenance.Reading {
	readings := make([]provenance.Reading, count)
	for i := range readings {
		wave := (i+phase)%37 - 18
		readings[i] = provenance.Reading{Time: from + provenance.Time(int64(i)*step), Value: provenance.Micro(4_500_000 + wave*10_000)}
	}
	return readings
}

// Name numbers things.
func Name(kind string, n int) string { return fmt.Sprintf("%s-%04d", kind, n) }
