// Package contract is the ledger's rule book: one chaincode, trailmark, with a contract for each part of the domain. A function
// decodes its request strictly, checks who calls, applies the rules of chaincode/provenance and chaincode/evidence to the
// state, and buffers what it writes; the writes and the one event that carries their digest leave together at the end.
//
// It is deterministic: the state, the arguments and the transaction's timestamp decide, nothing else. A request that was
// granted before is granted again without writing. Refusals are *provenance.Error. See README.md for every function.
//
// It may import chaincode/provenance, chaincode/evidence and chaincode/epcis.
package contract

import (
	"fmt"
	"reflect"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"
	"github.com/hyperledger/fabric-contract-api-go/v2/metadata"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
)

// New makes the chaincode.
func New() (*contractapi.ContractChaincode, error) {
	chaincode, err := contractapi.NewChaincode(
		&organisations{shell("organisations", "Members and the keys that sign their logs")},
		&devices{shell("devices", "Sensors, their keys, epochs and calibration")},
		&shipments{shell("shipments", "Goods under one plan, their parties and devices")},
		&lanes{shell("lanes", "Who may commit which batches")},
		&readings{shell("readings", "Batches of signed frames"), newDeviceCache(maxCachedDevices)},
		&models{shell("models", "Models that scores may name")},
		&alerts{shell("alerts", "Findings about shipments")},
		&datasets{shell("datasets", "Data that models may be trained on and evaluated with")},
		&training{shell("training", "Runs that made weights out of datasets")},
		&policies{shell("policies", "Rules that the organisations set by vote")},
		&governance{shell("governance", "What follows from a revocation")},
		&registry{shell("registry", "Whose company prefixes and GLNs are, and who does what in the trade")},
		&events{shell("events", "EPCIS events, and the goods that they are about")},
		&custody{shell("custody", "Handovers, by two signatures")},
		&recalls{shell("recalls", "Goods called back, and what became of them")},
		&checkpoints{shell("checkpoints", "Signed checkpoints of the log, and contradictions between them")},
	)
	if err != nil {
		return nil, fmt.Errorf("assembling chaincode: %w", err)
	}
	chaincode.Info.Title, chaincode.Info.Version = "trailmark", "1"
	chaincode.TransactionSerializer = verbatim{}
	return chaincode, nil
}

func shell(name, title string) contractapi.Contract {
	return contractapi.Contract{
		Name:                      name,
		Info:                      metadata.InfoMetadata{Title: title, Version: "1"},
		TransactionContextHandler: new(transaction),
		BeforeTransaction:         (*transaction).begin,
		AfterTransaction:          (*transaction).finish,
	}
}

// verbatim passes arguments and results on as they are. Our functions take and return strings and decode their requests
// themselves, more strictly than a JSON schema would.
type verbatim struct{}

func (verbatim) FromString(argument string, _ reflect.Type, _ *metadata.ParameterMetadata, _ *metadata.ComponentMetadata) (reflect.Value, error) {
	return reflect.ValueOf(argument), nil
}

func (verbatim) ToString(result reflect.Value, _ reflect.Type, _ *metadata.ReturnMetadata, _ *metadata.ComponentMetadata) (string, error) {
	return result.String(), nil
}

// guard turns a panic into a refusal of that one transaction: the process endorses for everybody.
type guard struct{ shim.Chaincode }

func (g guard) Init(stub shim.ChaincodeStubInterface) *peer.Response {
	return recovering(stub, g.Chaincode.Init)
}

func (g guard) Invoke(stub shim.ChaincodeStubInterface) *peer.Response {
	return recovering(stub, g.Chaincode.Invoke)
}

func recovering(stub shim.ChaincodeStubInterface, call func(shim.ChaincodeStubInterface) *peer.Response) (response *peer.Response) {
	defer func() {
		if cause := recover(); cause != nil {
			response = shim.Error(fmt.Sprintf("internal error: %v", cause))
		}
	}()
	return call(stub)
}
