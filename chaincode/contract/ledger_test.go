package contract

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/queryresult"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// ledger is an in-memory channel that behaves like Fabric where it matters: a transaction is simulated on the committed state
// and does not see its own writes; when it is committed, all that it read must still have the version it had.
type ledger struct {
	state   map[string]entry
	version uint64
}

type entry struct {
	value   []byte
	version uint64
}

func newLedger() *ledger { return &ledger{state: map[string]entry{}} }

// errMVCC is what a transaction gets that read what another one has changed since.
var errMVCC = errors.New("MVCC_READ_CONFLICT")

// commit validates a simulated transaction and applies it.
func (l *ledger) commit(s *stub) error {
	for key, version := range s.reads {
		if l.state[key].version != version {
			return fmt.Errorf("%w: %s", errMVCC, key)
		}
	}
	for _, r := range s.ranges {
		again := l.within(r.from, r.to)
		if !r.exhausted {
			again = again[:min(len(again), len(r.seen))]
		}
		if !slices.EqualFunc(again, r.seen, func(a, b *queryresult.KV) bool { return a.Key == b.Key && r.versions[a.Key] == l.state[a.Key].version }) {
			return fmt.Errorf("%w: phantom in %s", errMVCC, r.from)
		}
	}
	if len(s.writes) > 0 {
		l.version++
	}
	for key, value := range s.writes {
		l.state[key] = entry{value, l.version}
	}
	return nil
}

func (l *ledger) within(from, to string) []*queryresult.KV {
	var kvs []*queryresult.KV
	for key, e := range l.state {
		if key >= from && key < to {
			kvs = append(kvs, &queryresult.KV{Key: key, Value: e.value})
		}
	}
	slices.SortFunc(kvs, func(a, b *queryresult.KV) int { return strings.Compare(a.Key, b.Key) })
	return kvs
}

// stub is one simulation of a transaction. What it does not implement panics, so that a test sees what a contract came to use.
type stub struct {
	shim.ChaincodeStubInterface
	ledger    *ledger
	args      [][]byte
	creator   []byte
	timestamp *timestamppb.Timestamp

	reads     map[string]uint64
	ranges    []*rangeRead
	writes    map[string][]byte
	batch     map[string][]byte // what waits for FinishWriteBatch
	eventName string
	event     []byte
	lastPut   string
	exchanges int // with the peer
}

type rangeRead struct {
	from, to  string
	seen      []*queryresult.KV
	versions  map[string]uint64
	exhausted bool
}

func (s *stub) GetArgs() [][]byte { return s.args }

func (s *stub) GetFunctionAndParameters() (string, []string) {
	parameters := []string{}
	for _, a := range s.args[1:] {
		parameters = append(parameters, string(a))
	}
	return string(s.args[0]), parameters
}

func (s *stub) GetCreator() ([]byte, error)                     { return s.creator, nil }
func (s *stub) GetChannelID() string                            { return testChannel }
func (s *stub) GetTxTimestamp() (*timestamppb.Timestamp, error) { return s.timestamp, nil }
func (s *stub) StartWriteBatch()                                { s.batch = map[string][]byte{} }
func (s *stub) SetEvent(name string, payload []byte) error {
	s.eventName, s.event = name, payload
	return nil
}

func (s *stub) get(key string) []byte {
	e := s.ledger.state[key]
	s.reads[key] = e.version
	return slices.Clone(e.value)
}

func (s *stub) GetState(key string) ([]byte, error) {
	s.exchanges++
	return s.get(key), nil
}

func (s *stub) GetMultipleStates(keys ...string) ([][]byte, error) {
	s.exchanges++
	values := make([][]byte, len(keys))
	seen := map[string]bool{}
	for i, key := range keys {
		if key == "" || seen[key] {
			return nil, fmt.Errorf("asked for %q twice, or for nothing", key)
		}
		seen[key] = true
		values[i] = s.get(key)
	}
	return values, nil
}

func (s *stub) PutState(key string, value []byte) error {
	if key == "" || len(value) == 0 {
		return errors.New("writing nothing")
	}
	if key <= s.lastPut {
		return fmt.Errorf("%s is written after %s", key, s.lastPut)
	}
	s.lastPut = key
	if s.batch != nil {
		s.batch[key] = value
		return nil
	}
	s.exchanges++
	s.writes[key] = value
	return nil
}

func (s *stub) FinishWriteBatch() error {
	s.exchanges++
	for key, value := range s.batch {
		s.writes[key] = value
	}
	s.batch = nil
	return nil
}

func (s *stub) GetStateByRange(from, to string) (shim.StateQueryIteratorInterface, error) {
	s.exchanges++
	r := &rangeRead{from: from, to: to, versions: map[string]uint64{}}
	s.ranges = append(s.ranges, r)
	return &iterator{stub: s, read: r, left: s.ledger.within(from, to)}, nil
}

type iterator struct {
	stub *stub
	read *rangeRead
	left []*queryresult.KV
}

func (i *iterator) HasNext() bool {
	i.read.exhausted = len(i.left) == 0
	return !i.read.exhausted
}

func (i *iterator) Next() (*queryresult.KV, error) {
	kv := i.left[0]
	i.left = i.left[1:]
	i.read.seen = append(i.read.seen, kv)
	i.read.versions[kv.Key] = i.stub.ledger.state[kv.Key].version
	return kv, nil
}

func (i *iterator) Close() error { return nil }

// sortedWrites gives the write set by key.
func (s *stub) sortedWrites() []string {
	keys := make([]string, 0, len(s.writes))
	for key := range s.writes {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, cmp.Compare)
	return keys
}
