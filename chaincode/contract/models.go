package contract

import (
	"fmt"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// models holds the models that an alert may name. What a version is never changes; a governed one (governance_models.go) has a status.
type models struct{ contractapi.Contract }

func (*models) GetEvaluateTransactions() []string { return []string{"Get", "Lineage"} }

// Register enters a version of a model.
func (*models) Register(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ModelRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("model", request.Name, "version", request.Version, "kernel", request.Kernel); err != nil {
		return "", err
	}
	if request.Hash == (provenance.Hash{}) || request.TrainingRoot == (provenance.Hash{}) {
		return "", provenance.Invalidf("model %s %s: the weights' hash or the training data's root is missing", request.Name, request.Version)
	}
	key := provenance.ModelKey(request.Name, request.Version)
	model, err := load[provenance.Model](tx, key)
	switch {
	case err != nil:
		return "", err
	case model == nil:
		model = &provenance.Model{
			Name: request.Name, Version: request.Version, Hash: request.Hash, Kernel: request.Kernel,
			TrainingRoot: request.TrainingRoot, Organisation: tx.organisation, Registered: tx.now,
		}
		if err := tx.put(key, model); err != nil {
			return "", err
		}
	case model.Hash != request.Hash || model.Kernel != request.Kernel || model.TrainingRoot != request.TrainingRoot:
		return "", provenance.Conflictf("model %s %s was registered by %s with other content; register another version", model.Name, model.Version, model.Organisation)
	}
	return reply(model)
}

// Get answers with a version of a model.
func (*models) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ModelName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("model", request.Name, "version", request.Version); err != nil {
		return "", err
	}
	model, err := load[provenance.Model](tx, provenance.ModelKey(request.Name, request.Version))
	return found(model, err, fmt.Sprintf("model %s %s is not registered", request.Name, request.Version))
}
