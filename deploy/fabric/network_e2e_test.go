//go:build e2e

package fabric

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-gateway/pkg/client"
	gwidentity "github.com/hyperledger/fabric-gateway/pkg/identity"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"github.com/trailmark/trailmark/deploy/supervise"
)

// The test binary is also the chaincode (a register of words) and the background
// supervisor.
func TestMain(m *testing.M) {
	switch os.Getenv("FABRIC_TEST_ROLE") {
	case "chaincode":
		if err := serveChaincode(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case "supervisor":
		log := slog.New(slog.NewTextHandler(os.Stderr, nil))
		if err := supervise.Open(ProcessDir(os.Getenv("FABRIC_TEST_DIR"))).Run(context.Background(), log); err != nil {
			log.Error("supervising", "error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serveChaincode() error {
	read := func(name string) []byte {
		raw, err := os.ReadFile(os.Getenv(name))
		if err != nil {
			panic(err)
		}
		return raw
	}
	server := shim.ChaincodeServer{
		CCID: os.Getenv("CHAINCODE_ID"), Address: os.Getenv("CHAINCODE_SERVER_ADDRESS"), CC: register{},
		TLSProps: shim.TLSProperties{Key: read("CHAINCODE_TLS_KEY"), Cert: read("CHAINCODE_TLS_CERT"), ClientCACerts: read("CHAINCODE_CLIENT_CA_CERT")},
	}
	return server.Start()
}

type register struct{}

func (register) Init(shim.ChaincodeStubInterface) *peer.Response { return shim.Success(nil) }

func (register) Invoke(stub shim.ChaincodeStubInterface) *peer.Response {
	function, args := stub.GetFunctionAndParameters()
	var value []byte
	var err error
	switch {
	case function == "put" && len(args) == 2:
		err = stub.PutState(args[0], []byte(args[1]))
	case function == "get" && len(args) == 1:
		value, err = stub.GetState(args[0])
	case function == "putPrivate" && len(args) == 2:
		err = stub.PutPrivateData("secret", args[0], []byte(args[1]))
	default:
		err = fmt.Errorf("unknown call %s with %d arguments", function, len(args))
	}
	if err != nil {
		return shim.Error(err.Error())
	}
	return shim.Success(value)
}

// caller submits through one organisation's first peer.
type caller struct{ contract *client.Contract }

func newCaller(t *testing.T, p Profile, organisation string) caller {
	t.Helper()
	o, err := p.Organisation(organisation)
	require.NoError(t, err)
	cert, err := readCertificate(o.Node.Cert)
	require.NoError(t, err)
	key, err := readKey(o.Node.Key)
	require.NoError(t, err)
	id, err := gwidentity.NewX509Identity(o.MSPID, cert)
	require.NoError(t, err)
	sign, err := gwidentity.NewPrivateKeySign(key)
	require.NoError(t, err)
	conn, err := dial(o.Peers[0].Address, o.Peers[0].ServerName, o.TLSCA)
	require.NoError(t, err)
	gateway, err := client.Connect(id, client.WithSign(sign), client.WithClientConnection(conn))
	require.NoError(t, err)
	t.Cleanup(func() { _ = gateway.Close(); _ = conn.Close() })
	return caller{gateway.GetNetwork(p.Channel).GetContract("register")}
}

func (c caller) put(ctx context.Context, key, value string) error {
	_, err := c.contract.SubmitWithContext(ctx, "put", client.WithArguments(key, value))
	return err
}

func (c caller) get(t *testing.T, key string) string {
	t.Helper()
	raw, err := c.contract.EvaluateTransaction("get", key)
	require.NoError(t, err)
	return string(raw)
}

func chaincodeOf(t *testing.T, n *Network, version string) Chaincode {
	c := newCaller(t, n.Profile(), n.Profile().Organisations[0].Name)
	return Chaincode{
		Name: "register", Version: version, Argv: []string{os.Args[0]}, Env: []string{"FABRIC_TEST_ROLE=chaincode"},
		Ready: func(ctx context.Context) error { return c.put(ctx, "ready", version) },
	}
}

func withSecret(cc Chaincode) Chaincode {
	cc.Collections = []Collection{{Name: "secret", Members: []string{"ManufacturerMSP", "CarrierMSP"}, MaxPeers: 1, MemberOnlyRead: true}}
	return cc
}

func testOptions(t *testing.T) Options {
	began := time.Now()
	return Options{
		Log:      slog.New(slog.NewTextHandler(io.Discard, nil)),
		Progress: func(step string) { t.Logf("%6.2fs %s", time.Since(began).Seconds(), step) },
	}
}

func testConfig(t *testing.T) Config {
	dir := os.Getenv("FABRIC_TEST_KEEP") // to look at what a run left
	if dir == "" {
		dir = filepath.Join(t.TempDir(), "net")
	}
	return Config{Dir: dir}
}

func TestNetworkFromNothingThroughDeathAndRestartToReset(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cfg := testConfig(t)
	options := testOptions(t)
	require.NoError(t, Build(ctx, cfg, options.Progress))

	began := time.Now()
	n, err := Up(ctx, cfg, options)
	require.NoError(t, err)
	t.Cleanup(func() { n.Close() })
	t.Logf("network up after %.1f s", time.Since(began).Seconds())
	require.NoError(t, n.DeployChaincode(ctx, chaincodeOf(t, n, "1")))
	cold := time.Since(began)
	t.Logf("cold start, chaincode answering: %.1f s", cold.Seconds())
	require.Less(t, cold, 30*time.Second)

	t.Run("every organisation submits and reads", func(t *testing.T) {
		for _, o := range n.Profile().Organisations {
			c := newCaller(t, n.Profile(), o.Name)
			require.NoError(t, c.put(ctx, "by", o.Name))
			require.Equal(t, o.Name, c.get(t, "by"))
		}
	})
	t.Run("status sees it", func(t *testing.T) {
		require.Eventually(t, func() bool {
			s, err := ReadStatus(ctx, cfg.Dir)
			require.NoError(t, err)
			require.Equal(t, "orderer-1", s.Leader)
			require.Len(t, s.Processes, 7)
			for _, height := range s.Heights {
				if height < 7 { // genesis, approvals, commit, ready, three puts
					return false
				}
			}
			return len(s.Heights) == 3
		}, 5*time.Second, 50*time.Millisecond)
	})
	t.Run("a killed process of each kind comes back and works", func(t *testing.T) {
		c := newCaller(t, n.Profile(), "carrier")
		for _, name := range []string{"peer-carrier", "orderer-1", ChaincodeProcess("register", "carrier")} {
			pid, running := n.Processes().PID(name)
			require.True(t, running, name)
			died := time.Now()
			require.NoError(t, n.Processes().Signal(name, syscall.SIGKILL))
			require.Eventually(t, func() bool {
				next, ok := n.Processes().PID(name)
				return ok && next != pid
			}, 2*time.Second, 10*time.Millisecond, name)
			t.Logf("%s: process back after %d ms", name, time.Since(died).Milliseconds())
			require.Eventually(t, func() bool {
				attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
				defer cancel()
				return c.put(attempt, "killed", name) == nil
			}, 30*time.Second, 100*time.Millisecond, name)
			t.Logf("%s: submitting through carrier works after %d ms", name, time.Since(died).Milliseconds())
			require.Equal(t, name, c.get(t, "killed"))
		}
	})
	t.Run("up again changes nothing", func(t *testing.T) {
		before, err := n.Processes().Status()
		require.NoError(t, err)
		again, err := Up(ctx, cfg, options)
		require.NoError(t, err)
		require.False(t, again.Owned())
		require.NoError(t, again.DeployChaincode(ctx, chaincodeOf(t, again, "1")))
		again.Close()
		after, err := n.Processes().Status()
		require.NoError(t, err)
		require.Equal(t, before, after)
	})
	t.Run("a new version is a new definition", func(t *testing.T) {
		cc := withSecret(chaincodeOf(t, n, "2"))
		require.NoError(t, n.DeployChaincode(ctx, cc))
		c := newCaller(t, n.Profile(), "manufacturer")
		_, err := c.contract.Submit("putPrivate", client.WithArguments("k", "v"), client.WithEndorsingOrganizations("ManufacturerMSP", "CarrierMSP"))
		require.NoError(t, err)
		require.EqualValues(t, 2, sequenceOf(t, n))
		require.NoError(t, n.DeployChaincode(ctx, cc), "the same again is nothing new")
		require.EqualValues(t, 2, sequenceOf(t, n))
	})
	t.Run("warm start keeps the ledger", func(t *testing.T) {
		n.Close()
		s, err := ReadStatus(ctx, cfg.Dir)
		require.NoError(t, err)
		require.Zero(t, s.Supervisor)
		require.Empty(t, s.Processes)
		moved := cfg.Dir + "-moved"
		require.NoError(t, os.Rename(cfg.Dir, moved))
		cfg.Dir = moved

		began := time.Now()
		n, err = Up(ctx, cfg, options)
		require.NoError(t, err)
		t.Logf("network up again after %.1f s", time.Since(began).Seconds())
		require.NoError(t, n.DeployChaincode(ctx, withSecret(chaincodeOf(t, n, "2"))))
		t.Logf("warm start, chaincode answering: %.1f s", time.Since(began).Seconds())
		require.Equal(t, "regulator", newCaller(t, n.Profile(), "carrier").get(t, "by"))
		logMemory(t, n)
	})
	answers := func(t *testing.T) {
		for _, o := range n.Profile().Organisations {
			require.Equal(t, "regulator", newCaller(t, n.Profile(), o.Name).get(t, "by"), o.Name)
		}
	}
	t.Run("lost chaincode keys are made again, for the same definition", func(t *testing.T) {
		require.NoError(t, os.RemoveAll(filepath.Join(cfg.Dir, "chaincode", "register", "manufacturer")))
		require.NoError(t, n.DeployChaincode(ctx, withSecret(chaincodeOf(t, n, "2"))))
		require.EqualValues(t, 2, sequenceOf(t, n))
		answers(t)
	})
	t.Run("a lost ledger comes back", func(t *testing.T) {
		require.NoError(t, n.Processes().Pause(ctx, "peer-carrier"))
		require.NoError(t, os.RemoveAll(filepath.Join(cfg.Dir, "ledger", "peer-carrier")))
		n.Close()
		n, err = Up(ctx, cfg, options)
		require.NoError(t, err)
		require.NoError(t, n.DeployChaincode(ctx, withSecret(chaincodeOf(t, n, "2"))))
		require.EqualValues(t, 3, sequenceOf(t, n))
		answers(t)
	})
	t.Run("reset wipes", func(t *testing.T) {
		require.NoError(t, Reset(ctx, cfg.Dir))
		require.NoDirExists(t, cfg.Dir)
		_, err := LoadProfile(cfg.Dir)
		require.ErrorIs(t, err, os.ErrNotExist)
		require.NoError(t, Reset(ctx, cfg.Dir), "of nothing is nothing")
	})
}

func sequenceOf(t *testing.T, n *Network) int64 {
	t.Helper()
	a, err := newAdmin(n.profile.Organisations[0])
	require.NoError(t, err)
	defer a.close()
	d, err := n.committed(context.Background(), a, "register")
	require.NoError(t, err)
	require.NotNil(t, d)
	return d.GetSequence()
}

func logMemory(t *testing.T, n *Network) {
	t.Helper()
	all, err := n.Processes().Status()
	require.NoError(t, err)
	total := 0
	for _, p := range all {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID))
		require.NoError(t, err)
		var size, resident int
		_, err = fmt.Sscan(string(raw), &size, &resident)
		require.NoError(t, err)
		t.Logf("%s: %d MiB resident", p.Name, resident*os.Getpagesize()>>20)
		total += resident * os.Getpagesize() >> 20
	}
	t.Logf("all: %d MiB resident", total)
}
