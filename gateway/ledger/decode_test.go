package ledger_test

import (
	"testing"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/gateway/ledger"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
)

var (
	written = []evidence.Write{{Key: "s/b", Value: []byte("2")}, {Key: "a/b/c", Value: []byte("1")}, {Key: "m/x/1"}}
	sorted  = []evidence.Write{{Key: "a/b/c", Value: []byte("1")}, {Key: "m/x/1"}, {Key: "s/b", Value: []byte("2")}}
)

func TestDecodeBlock(t *testing.T) {
	block := ledgertest.Block(7,
		ledgertest.Transaction{Creator: "MakerMSP", Function: "shipments:Open", Args: [][]byte{[]byte("{}")}, Writes: written, Time: 1234},
		ledgertest.Transaction{Function: "lost", Writes: written, Code: peer.TxValidationCode_MVCC_READ_CONFLICT},
		ledgertest.Transaction{Chaincode: "other", NoEvent: true},
		ledgertest.Transaction{Chaincode: "other", Writes: written},
	)
	config := &common.Envelope{Payload: encode(t, &common.Payload{Header: &common.Header{ChannelHeader: encode(t, &common.ChannelHeader{Type: int32(common.HeaderType_CONFIG), ChannelId: ledgertest.Channel})}})}
	block.Data.Data = append(block.Data.Data, encode(t, config), []byte("\xff\xff no envelope"))
	filter := block.Metadata.Metadata[common.BlockMetadataIndex_TRANSACTIONS_FILTER]
	block.Metadata.Metadata[common.BlockMetadataIndex_TRANSACTIONS_FILTER] = append(filter, 0, 0)

	got, err := ledger.DecodeBlock(block, ledgertest.Channel, ledgertest.Chaincode)
	require.NoError(t, err)
	require.EqualValues(t, 7, got.Number)
	require.Len(t, got.Transactions, 3)
	first := got.Transactions[0]
	require.Equal(t, "MakerMSP", first.Creator)
	require.Equal(t, "shipments:Open", first.Function)
	require.Equal(t, [][]byte{[]byte("{}")}, first.Args)
	require.EqualValues(t, 1234, first.Time)
	require.Equal(t, sorted, first.Writes)
	digest := evidence.Digest(written)
	require.Equal(t, digest[:], first.Event)
	require.False(t, got.Transactions[1].Valid())
	require.Empty(t, got.Transactions[1].Writes, "what did not take effect is not shown")
	require.True(t, got.Transactions[2].Foreign)
	require.EqualValues(t, 3, got.Transactions[2].Index)
	require.Len(t, got.Oddities, 1)
	require.EqualValues(t, 5, got.Oddities[0].Index)

	other, err := ledger.DecodeBlock(block, "another-channel", ledgertest.Chaincode)
	require.NoError(t, err)
	require.Empty(t, other.Transactions)
}

func TestDecodeBlockRefusesWhatIsNoBlock(t *testing.T) {
	for _, block := range []*common.Block{nil, {}, {Header: &common.BlockHeader{}}, {Header: &common.BlockHeader{}, Data: &common.BlockData{Data: [][]byte{{}}}}} {
		_, err := ledger.DecodeBlock(block, "c", "t")
		require.Error(t, err)
	}
}

func encode(t testing.TB, m proto.Message) []byte {
	data, err := proto.Marshal(m)
	require.NoError(t, err)
	return data
}

func FuzzDecodeBlock(f *testing.F) {
	f.Add(ledgertest.Envelope(ledgertest.Transaction{Function: "f", Args: [][]byte{{1}}, Writes: written}), byte(0))
	f.Add(ledgertest.Envelope(ledgertest.Transaction{ID: "nonsense", NoEvent: true}), byte(0))
	f.Add([]byte{}, byte(11))
	f.Fuzz(func(t *testing.T, envelope []byte, code byte) {
		block := ledgertest.Block(1)
		block.Data.Data = [][]byte{envelope}
		block.Metadata.Metadata[common.BlockMetadataIndex_TRANSACTIONS_FILTER] = []byte{code}
		got, err := ledger.DecodeBlock(block, ledgertest.Channel, ledgertest.Chaincode)
		require.NoError(t, err)
		require.LessOrEqual(t, len(got.Transactions)+len(got.Oddities), 1)
		for _, transaction := range got.Transactions {
			require.Len(t, transaction.ID, 32)
		}
	})
}

func BenchmarkDecodeBlock(b *testing.B) {
	block := ledgertest.Block(1)
	var codes []byte
	for range 16 {
		envelope := ledgertest.Envelope(ledgertest.Transaction{Function: "readings:Commit", Args: [][]byte{make([]byte, 128<<10)}, Writes: written})
		block.Data.Data, codes = append(block.Data.Data, envelope), append(codes, 0)
		b.SetBytes(int64(len(envelope) * len(codes)))
	}
	block.Metadata.Metadata[common.BlockMetadataIndex_TRANSACTIONS_FILTER] = codes
	for b.Loop() {
		_, err := ledger.DecodeBlock(block, ledgertest.Channel, ledgertest.Chaincode)
		require.NoError(b, err)
	}
}
