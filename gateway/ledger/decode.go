package ledger

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset/kvrwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Block is a block as far as our chaincode is concerned.
type Block struct {
	Number       uint64
	Transactions []Transaction // those that name our chaincode or write to its state, in the block's order
	Oddities     []Oddity      // what could not be read
}

// Transaction is one invocation of our chaincode. Of an invalid one only what identifies it is decoded.
type Transaction struct {
	Index    uint64
	ID       []byte // 32 bytes
	Code     peer.TxValidationCode
	Time     provenance.Time // by the client's word, as the contract saw it
	Creator  string          // MSP identifier
	Function string          // "contract:Function"
	Args     [][]byte        // after the function's name
	Writes   []evidence.Write
	Event    []byte // payload of the event trailmark.1; nil where it was not set
	// Foreign: another chaincode was invoked, and called ours.
	Foreign bool
}

// Valid tells whether the transaction took effect.
func (t *Transaction) Valid() bool { return t.Code == peer.TxValidationCode_VALID }

// Oddity is a transaction of a block that could not be decoded though it is valid.
type Oddity struct {
	Index  uint64
	Detail string
}

// maxTransactions bounds what one block may hold.
const maxTransactions = 1 << 20

// DecodeBlock reads a block. An error means that it is no block that a peer gave out; what cannot be read inside one of its
// transactions is an oddity. It never panics on foreign bytes.
func DecodeBlock(block *common.Block, channel, chaincode string) (*Block, error) {
	if block.GetHeader() == nil || block.GetData() == nil {
		return nil, errors.New("decoding block: it has no header or no data")
	}
	number, envelopes := block.GetHeader().GetNumber(), block.GetData().GetData()
	codes := validationCodes(block)
	if len(codes) != len(envelopes) || len(envelopes) > maxTransactions {
		return nil, fmt.Errorf("decoding block %d: %d transactions, but validation codes for %d", number, len(envelopes), len(codes))
	}
	result := &Block{Number: number}
	for i, envelope := range envelopes {
		t, err := decodeTransaction(envelope, channel, chaincode, peer.TxValidationCode(codes[i]))
		switch {
		case err != nil && peer.TxValidationCode(codes[i]) == peer.TxValidationCode_VALID:
			result.Oddities = append(result.Oddities, Oddity{uint64(i), err.Error()})
		case err == nil && t != nil:
			t.Index = uint64(i)
			result.Transactions = append(result.Transactions, *t)
		}
	}
	return result, nil
}

func validationCodes(block *common.Block) []byte {
	metadata := block.GetMetadata().GetMetadata()
	if len(metadata) <= int(common.BlockMetadataIndex_TRANSACTIONS_FILTER) {
		return nil
	}
	return metadata[common.BlockMetadataIndex_TRANSACTIONS_FILTER]
}

// decodeTransaction gives nil for what is not ours.
func decodeTransaction(data []byte, channel, chaincode string, code peer.TxValidationCode) (*Transaction, error) {
	envelope, payload, header := new(common.Envelope), new(common.Payload), new(common.ChannelHeader)
	if err := unmarshal("envelope", data, envelope); err != nil {
		return nil, err
	}
	if err := unmarshal("payload", envelope.GetPayload(), payload); err != nil {
		return nil, err
	}
	if err := unmarshal("channel header", payload.GetHeader().GetChannelHeader(), header); err != nil {
		return nil, err
	}
	if common.HeaderType(header.GetType()) != common.HeaderType_ENDORSER_TRANSACTION || header.GetChannelId() != channel {
		return nil, nil
	}
	call, err := decodeCall(payload.GetData())
	if err != nil {
		return nil, err
	}
	writes, touches, err := call.writesTo(chaincode)
	if err != nil {
		return nil, err
	}
	name := call.action.GetChaincodeId().GetName()
	if name != chaincode && !touches {
		return nil, nil
	}
	t := &Transaction{Code: code, Time: provenance.TimeOf(header.GetTimestamp().AsTime()), Writes: writes, Foreign: name != chaincode}
	if t.ID, err = hex.DecodeString(header.GetTxId()); err != nil || len(t.ID) != 32 {
		return nil, fmt.Errorf("transaction identifier %q is not 32 bytes in hexadecimal", header.GetTxId())
	}
	if !t.Valid() {
		t.Writes = nil
		return t, nil
	}
	return t, t.describe(payload.GetHeader().GetSignatureHeader(), call)
}

// describe fills in who asked for what.
func (t *Transaction) describe(signatureHeader []byte, call *call) error {
	signature, creator := new(common.SignatureHeader), new(msp.SerializedIdentity)
	if err := unmarshal("signature header", signatureHeader, signature); err != nil {
		return err
	}
	if err := unmarshal("creator", signature.GetCreator(), creator); err != nil {
		return err
	}
	t.Creator = creator.GetMspid()
	if args := call.input.GetChaincodeSpec().GetInput().GetArgs(); len(args) > 0 {
		t.Function, t.Args = string(args[0]), args[1:]
	}
	if raw := call.action.GetEvents(); len(raw) > 0 {
		event := new(peer.ChaincodeEvent)
		if err := unmarshal("event", raw, event); err != nil {
			return err
		}
		if event.GetEventName() == evidence.EventName {
			t.Event = event.GetPayload()
		}
	}
	return nil
}

// call is what a transaction invoked and what came of it.
type call struct {
	input  *peer.ChaincodeInvocationSpec
	action *peer.ChaincodeAction
}

func decodeCall(data []byte) (*call, error) {
	transaction, payload := new(peer.Transaction), new(peer.ChaincodeActionPayload)
	if err := unmarshal("transaction", data, transaction); err != nil {
		return nil, err
	}
	if n := len(transaction.GetActions()); n != 1 {
		return nil, fmt.Errorf("a transaction of %d actions, Fabric allows one", n)
	}
	if err := unmarshal("action", transaction.GetActions()[0].GetPayload(), payload); err != nil {
		return nil, err
	}
	proposal, response := new(peer.ChaincodeProposalPayload), new(peer.ProposalResponsePayload)
	c := &call{new(peer.ChaincodeInvocationSpec), new(peer.ChaincodeAction)}
	if err := unmarshal("proposal response", payload.GetAction().GetProposalResponsePayload(), response); err != nil {
		return nil, err
	}
	if err := unmarshal("chaincode action", response.GetExtension(), c.action); err != nil {
		return nil, err
	}
	if err := unmarshal("proposal", payload.GetChaincodeProposalPayload(), proposal); err != nil {
		return nil, err
	}
	return c, unmarshal("invocation", proposal.GetInput(), c.input)
}

// writesTo gives the public writes to a chaincode's state, sorted by key, and whether there are any.
func (c *call) writesTo(chaincode string) (writes []evidence.Write, touches bool, err error) {
	set := new(rwset.TxReadWriteSet)
	if err := unmarshal("read-write set", c.action.GetResults(), set); err != nil {
		return nil, false, err
	}
	for _, namespace := range set.GetNsRwset() {
		if namespace.GetNamespace() != chaincode {
			continue
		}
		kv := new(kvrwset.KVRWSet)
		if err := unmarshal("writes", namespace.GetRwset(), kv); err != nil {
			return nil, false, err
		}
		for _, w := range kv.GetWrites() {
			write := evidence.Write{Key: w.GetKey(), Value: w.GetValue()}
			if w.GetIsDelete() {
				write.Value = nil
			}
			writes = append(writes, write)
		}
	}
	slices.SortStableFunc(writes, func(a, b evidence.Write) int { return cmp.Compare(a.Key, b.Key) })
	return writes, len(writes) > 0, nil
}

// changesState tells whether an endorsed transaction writes anything at all.
func changesState(prepared []byte) (bool, error) {
	transaction, payload := new(gateway.PreparedTransaction), new(common.Payload)
	if err := unmarshal("prepared transaction", prepared, transaction); err != nil {
		return false, err
	}
	if err := unmarshal("payload", transaction.GetEnvelope().GetPayload(), payload); err != nil {
		return false, err
	}
	c, err := decodeCall(payload.GetData())
	if err != nil {
		return false, err
	}
	set := new(rwset.TxReadWriteSet)
	if err := unmarshal("read-write set", c.action.GetResults(), set); err != nil {
		return false, err
	}
	for _, namespace := range set.GetNsRwset() {
		kv := new(kvrwset.KVRWSet)
		if err := unmarshal("writes", namespace.GetRwset(), kv); err != nil {
			return false, err
		}
		if len(kv.GetWrites())+len(kv.GetMetadataWrites())+len(namespace.GetCollectionHashedRwset()) > 0 {
			return true, nil
		}
	}
	return false, nil
}

func unmarshal(what string, data []byte, into proto.Message) error {
	if err := proto.Unmarshal(data, into); err != nil {
		return fmt.Errorf("decoding %s: %w", what, err)
	}
	return nil
}
