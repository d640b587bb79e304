package bench

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
)

// The chaincode that ours is compared with.
const (
	chaincodeName  = "bench"
	naivePut       = "naive:Put"
	opaqueFunction = "Opaque"
)

// naiveContract is what a straightforward application's chaincode looks like.
type naiveContract struct{ contractapi.Contract }

// Put stores one reading under its key.
func (*naiveContract) Put(ctx contractapi.TransactionContextInterface, key, reading string) error {
	return ctx.GetStub().PutState(key, []byte(reading))
}

// chaincode adds Opaque(key, bytes) to the naive contract: it puts the digest of its argument in the state and does nothing else, not
// even look at a contract's description, so it costs what the ledger itself costs.
type chaincode struct{ shim.Chaincode }

func newChaincode() (chaincode, error) {
	naive := &naiveContract{}
	naive.Name = "naive"
	c, err := contractapi.NewChaincode(naive)
	if err != nil {
		return chaincode{}, fmt.Errorf("assembling chaincode: %w", err)
	}
	return chaincode{c}, nil
}

// Invoke implements shim.Chaincode.
func (c chaincode) Invoke(stub shim.ChaincodeStubInterface) *peer.Response {
	args := stub.GetArgs()
	if len(args) == 0 || string(args[0]) != opaqueFunction {
		return c.Chaincode.Invoke(stub)
	}
	if len(args) != 3 {
		return shim.Error(fmt.Sprintf("%s takes a key and bytes, got %d arguments", opaqueFunction, len(args)-1))
	}
	digest := sha256.Sum256(args[2])
	if err := stub.PutState(string(args[1]), digest[:]); err != nil {
		return shim.Error(err.Error())
	}
	return shim.Success(nil)
}

// Server says where the chaincode serves peers.
type Server struct {
	ID       string `name:"id" env:"CHAINCODE_ID" required:"" help:"Package identifier of the chaincode."`
	Address  string `env:"CHAINCODE_SERVER_ADDRESS" required:"" help:"Address to listen on."`
	Key      string `env:"CHAINCODE_TLS_KEY" required:"" type:"path" help:"TLS key (PEM)."`
	Cert     string `env:"CHAINCODE_TLS_CERT" required:"" type:"path" help:"TLS certificate (PEM)."`
	ClientCA string `env:"CHAINCODE_CLIENT_CA_CERT" required:"" type:"path" help:"Authorities that peers' certificates come from (PEM)."`
}

// Serve runs the benchmark's chaincode until ctx ends.
func Serve(ctx context.Context, config Server) error {
	c, err := newChaincode()
	if err != nil {
		return err
	}
	server := &shim.ChaincodeServer{CCID: config.ID, Address: config.Address, CC: c}
	for file, into := range map[string]*[]byte{config.Key: &server.TLSProps.Key, config.Cert: &server.TLSProps.Cert, config.ClientCA: &server.TLSProps.ClientCACerts} {
		if *into, err = os.ReadFile(file); err != nil {
			return fmt.Errorf("serving the benchmark's chaincode: %w", err)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Start() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}
