package contract

import (
	"testing"

	"github.com/hyperledger/fabric-chaincode-go/v2/pkg/cid"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// TestATransactionSeesItsOwnWrites is what Fabric's stub does not do.
func TestATransactionSeesItsOwnWrites(t *testing.T) {
	w := newTrade(t)
	w.enrol(maker, 0, "s1")
	s, _ := w.simulate(0, identity(maker, "client"), "devices:Get", []byte(`{"id":"s1"}`))
	tx := new(transaction)
	tx.SetStub(s)
	id, err := cid.New(s)
	require.NoError(t, err)
	tx.SetClientIdentity(id)
	require.NoError(t, tx.begin())

	device, err := tx.enrolled("s1")
	require.NoError(t, err)
	device.Lane = 9
	require.NoError(t, tx.put("d/s1", device))
	require.NoError(t, tx.prefetch([]string{"d/s1"}))
	again, err := tx.enrolled("s1")
	require.NoError(t, err)
	require.Equal(t, uint32(9), again.Lane)
	require.Empty(t, s.writes, "nothing leaves before the end")
	require.NoError(t, tx.finish())
	require.Contains(t, s.writes, "d/s1")
	require.Equal(t, uint32(0), at[provenance.Device](w, "d/s1").Lane, "nor is it on the ledger before it is committed")
}
