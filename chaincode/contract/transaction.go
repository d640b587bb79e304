package contract

import (
	"fmt"
	"slices"
	"sort"

	"github.com/hyperledger/fabric-chaincode-go/v2/pkg/cid"
	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// transaction is what a contract function sees of the ledger: who calls, when, and the state, with its own writes in it
// (Fabric's stub does not show them). Writes are kept back until finish.
type transaction struct {
	stub         shim.ChaincodeStubInterface
	identity     cid.ClientIdentity
	organisation string // the caller's MSP identifier
	now          provenance.Time
	read         map[string][]byte // nil: the ledger holds nothing there
	written      map[string][]byte
}

// SetStub is called by the contract API.
func (tx *transaction) SetStub(stub shim.ChaincodeStubInterface) { tx.stub = stub }

// SetClientIdentity is called by the contract API, with a nil *cid.ClientID where the identity could not be read.
func (tx *transaction) SetClientIdentity(identity cid.ClientIdentity) {
	if id, ok := identity.(*cid.ClientID); !ok || id != nil {
		tx.identity = identity
	}
}

// begin runs before every function.
func (tx *transaction) begin() error {
	if n := len(tx.stub.GetArgs()); n != 2 {
		return provenance.Invalidf("request: %d arguments, every function takes exactly one", n-1)
	}
	if tx.identity == nil {
		return provenance.Forbiddenf("the caller's identity cannot be read")
	}
	organisation, err := tx.identity.GetMSPID()
	if err != nil {
		return fmt.Errorf("reading the caller's organisation: %w", err)
	}
	if err := provenance.CheckIdentifier("organisation", organisation); err != nil {
		return err
	}
	timestamp, err := tx.stub.GetTxTimestamp()
	if err != nil {
		return fmt.Errorf("reading the transaction's time: %w", err)
	}
	tx.organisation = organisation
	tx.now = provenance.TimeOf(timestamp.AsTime())
	tx.read, tx.written = map[string][]byte{}, map[string][]byte{}
	return checkTime("the transaction's time", tx.now)
}

// finish runs after every function that was granted: it sends the writes, by key, and the event with their digest.
func (tx *transaction) finish() error {
	if len(tx.written) == 0 {
		return nil
	}
	writes := make([]evidence.Write, 0, len(tx.written))
	for key, value := range tx.written {
		writes = append(writes, evidence.Write{Key: key, Value: value})
	}
	sort.Slice(writes, func(i, j int) bool { return writes[i].Key < writes[j].Key })
	tx.stub.StartWriteBatch()
	for _, w := range writes {
		if err := tx.stub.PutState(w.Key, w.Value); err != nil {
			return fmt.Errorf("writing %s: %w", w.Key, err)
		}
	}
	if err := tx.stub.FinishWriteBatch(); err != nil {
		return fmt.Errorf("writing state: %w", err)
	}
	digest := evidence.Digest(writes)
	if err := tx.stub.SetEvent(evidence.EventName, digest[:]); err != nil {
		return fmt.Errorf("setting event: %w", err)
	}
	return nil
}

// prefetch reads many keys in one exchange with the peer.
func (tx *transaction) prefetch(keys []string) error {
	missing := make([]string, 0, len(keys))
	for _, key := range keys {
		if _, ok := tx.read[key]; !ok {
			missing = append(missing, key)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	values, err := tx.stub.GetMultipleStates(missing...)
	if err != nil {
		return fmt.Errorf("reading state: %w", err)
	}
	if len(values) != len(missing) {
		return fmt.Errorf("reading state: asked for %d keys, got %d values", len(missing), len(values))
	}
	for i, key := range missing {
		tx.read[key] = values[i]
	}
	return nil
}

// value returns the bytes of a key as this transaction sees it, empty where there are none.
func (tx *transaction) value(key string) ([]byte, error) {
	if value, ok := tx.written[key]; ok {
		return value, nil
	}
	if value, ok := tx.read[key]; ok {
		return value, nil
	}
	value, err := tx.stub.GetState(key)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	tx.read[key] = value
	return value, nil
}

// load decodes the value of a key; it returns nil where there is none.
func load[T any](tx *transaction, key string) (*T, error) {
	value, err := tx.value(key)
	if err != nil || len(value) == 0 {
		return nil, err
	}
	return decodeState[T](key, value)
}

func decodeState[T any](key string, value []byte) (*T, error) {
	state := new(T)
	if err := evidence.Unmarshal(value, state); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", key, err)
	}
	return state, nil
}

// put writes a value, to be sent at the end.
func (tx *transaction) put(key string, state any) error {
	value, err := evidence.Marshal(state)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", key, err)
	}
	tx.written[key] = value
	return nil
}

// scan decodes what the ledger holds in [from, to), at most limit values by key. It does not see this transaction's writes.
func scan[T any](tx *transaction, from, to string, limit int) (states []*T, err error) {
	iterator, err := tx.stub.GetStateByRange(from, to)
	if err != nil {
		return nil, fmt.Errorf("reading from %s: %w", from, err)
	}
	defer func() {
		if closing := iterator.Close(); err == nil && closing != nil {
			err = fmt.Errorf("reading from %s: %w", from, closing)
		}
	}()
	states = []*T{}
	for len(states) < limit && iterator.HasNext() {
		entry, err := iterator.Next()
		if err != nil {
			return nil, fmt.Errorf("reading from %s: %w", from, err)
		}
		state, err := decodeState[T](entry.Key, entry.Value)
		if err != nil {
			return nil, err
		}
		states = append(states, state)
	}
	return states, nil
}

// list answers a page of what stands under a prefix ending in "/".
func list[T any](tx *transaction, prefix, argument string) (string, error) {
	page, err := decode[provenance.Page](argument, maxArgument)
	if err != nil {
		return "", err
	}
	limit := page.Limit
	if limit == 0 {
		limit = provenance.MaxPage
	}
	if limit > provenance.MaxPage {
		return "", provenance.Invalidf("a page of %d entries, at most %d are allowed", limit, provenance.MaxPage)
	}
	from, to := within(prefix)
	if page.After != "" {
		if err := provenance.CheckIdentifier("after", page.After); err != nil {
			return "", err
		}
		from = prefix + page.After + "\x00"
	}
	states, err := scan[T](tx, from, to, int(limit))
	if err != nil {
		return "", err
	}
	return reply(states)
}

// requireAdmin refuses callers whose certificate does not say that they administer their organisation.
func (tx *transaction) requireAdmin() error {
	certificate, err := tx.identity.GetX509Certificate()
	if err != nil {
		return fmt.Errorf("reading the caller's certificate: %w", err)
	}
	if certificate == nil || !slices.Contains(certificate.Subject.OrganizationalUnit, "admin") {
		return provenance.Forbiddenf("only an administrator of %s (a certificate with OU admin) may do this", tx.organisation)
	}
	return nil
}

// within gives the range of the keys under a prefix that ends in "/".
func within(prefix string) (from, to string) { return prefix, prefix[:len(prefix)-1] + "0" } // '0' follows '/'
