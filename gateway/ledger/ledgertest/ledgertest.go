// Package ledgertest builds the blocks that a peer would give out, for tests that need no network.
package ledgertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset/kvrwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// The names that blocks are made for.
const (
	Channel   = "trailmark-test"
	Chaincode = "trailmark"
)

// Transaction is what goes into a block.
type Transaction struct {
	ID        string // 64 hexadecimal digits; "" makes one up
	Creator   string
	Function  string
	Args      [][]byte
	Writes    []evidence.Write
	Time      provenance.Time
	Code      peer.TxValidationCode
	Event     []byte // nil: the digest of the writes
	NoEvent   bool
	Chaincode string // that was invoked; "" for ours
}

// Block builds a block.
func Block(number uint64, transactions ...Transaction) *common.Block {
	block := &common.Block{
		Header:   &common.BlockHeader{Number: number},
		Data:     &common.BlockData{},
		Metadata: &common.BlockMetadata{Metadata: make([][]byte, len(common.BlockMetadataIndex_name))},
	}
	codes := []byte{}
	for i, t := range transactions {
		if t.ID == "" {
			id := sha256.Sum256(fmt.Appendf(nil, "transaction %d/%d", number, i))
			t.ID = hex.EncodeToString(id[:])
		}
		block.Data.Data = append(block.Data.Data, Envelope(t))
		codes = append(codes, byte(t.Code))
	}
	block.Metadata.Metadata[common.BlockMetadataIndex_TRANSACTIONS_FILTER] = codes
	return block
}

// Envelope builds a transaction's bytes.
func Envelope(t Transaction) []byte {
	invoked := t.Chaincode
	if invoked == "" {
		invoked = Chaincode
	}
	kv := &kvrwset.KVRWSet{}
	for _, w := range t.Writes {
		kv.Writes = append(kv.Writes, &kvrwset.KVWrite{Key: w.Key, Value: w.Value, IsDelete: len(w.Value) == 0})
	}
	action := &peer.ChaincodeAction{
		Results: encode(&rwset.TxReadWriteSet{NsRwset: []*rwset.NsReadWriteSet{
			{Namespace: "_lifecycle", Rwset: encode(&kvrwset.KVRWSet{})}, {Namespace: Chaincode, Rwset: encode(kv)},
		}}),
		ChaincodeId: &peer.ChaincodeID{Name: invoked}, Response: &peer.Response{Status: 200},
	}
	if !t.NoEvent {
		payload := t.Event
		if payload == nil {
			digest := evidence.Digest(t.Writes)
			payload = digest[:]
		}
		action.Events = encode(&peer.ChaincodeEvent{ChaincodeId: invoked, TxId: t.ID, EventName: evidence.EventName, Payload: payload})
	}
	input := &peer.ChaincodeInvocationSpec{ChaincodeSpec: &peer.ChaincodeSpec{
		ChaincodeId: &peer.ChaincodeID{Name: invoked}, Input: &peer.ChaincodeInput{Args: append([][]byte{[]byte(t.Function)}, t.Args...)},
	}}
	transaction := &peer.Transaction{Actions: []*peer.TransactionAction{{Payload: encode(&peer.ChaincodeActionPayload{
		ChaincodeProposalPayload: encode(&peer.ChaincodeProposalPayload{Input: encode(input)}),
		Action: &peer.ChaincodeEndorsedAction{
			ProposalResponsePayload: encode(&peer.ProposalResponsePayload{Extension: encode(action)}),
			Endorsements:            []*peer.Endorsement{{Endorser: []byte("peer"), Signature: make([]byte, 70)}},
		},
	})}}}
	return encode(&common.Envelope{Payload: encode(&common.Payload{
		Header: &common.Header{
			ChannelHeader: encode(&common.ChannelHeader{
				Type: int32(common.HeaderType_ENDORSER_TRANSACTION), ChannelId: Channel, TxId: t.ID, Timestamp: timestamppb.New(t.Time.Time()),
			}),
			SignatureHeader: encode(&common.SignatureHeader{Creator: encode(&msp.SerializedIdentity{Mspid: t.Creator, IdBytes: []byte("certificate")})}),
		},
		Data: encode(transaction),
	}), Signature: make([]byte, 70)})
}

func encode(m proto.Message) []byte {
	data, err := proto.Marshal(m)
	if err != nil {
		panic(err) // well-formed by construction
	}
	return data
}

// Source gives out a fixed list of blocks that begins with block 0, and then ends.
type Source []*common.Block

// Blocks implements the projector's source.
func (s Source) Blocks(ctx context.Context, from uint64) iter.Seq[*common.Block] {
	return func(yield func(*common.Block) bool) {
		for i := from; i < uint64(len(s)); i++ {
			if ctx.Err() != nil || !yield(s[i]) {
				return
			}
		}
	}
}
