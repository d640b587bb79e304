package contract

import (
	"slices"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Propose enters a model that came from one of the caller's training runs: a governed one, which may score once it is active.
func (*models) Propose(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ModelProposal](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("model", request.Name, "version", request.Version, "kernel", request.Kernel, "training run", request.Run); err != nil {
		return "", err
	}
	if request.Hash == (provenance.Hash{}) {
		return "", provenance.Invalidf("model %s %s: the weights' hash is missing", request.Name, request.Version)
	}
	if _, err := tx.registered(tx.organisation); err != nil {
		return "", err
	}
	key := provenance.ModelKey(request.Name, request.Version)
	model, err := load[provenance.Model](tx, key)
	if err != nil {
		return "", err
	}
	if model != nil {
		if model.Organisation != tx.organisation || model.Hash != request.Hash || model.Kernel != request.Kernel || model.Run != request.Run {
			return "", provenance.Conflictf("model %s %s was entered by %s with other content or by another organisation; propose another version", model.Name, model.Version, model.Organisation)
		}
		return reply(model)
	}
	run, err := tx.run(request.Run)
	if err != nil {
		return "", err
	}
	if run.Organisation != tx.organisation {
		return "", provenance.Forbiddenf("training run %s is %s's; only it may propose a model from it", run.ID, run.Organisation)
	}
	if err := tx.mustTrainOnApproved(run); err != nil {
		return "", err
	}
	for _, dataset := range run.Datasets {
		if err := tx.link(dataset.ID, request.Name, request.Version, provenance.UseTraining); err != nil {
			return "", err
		}
	}
	model = &provenance.Model{
		Name: request.Name, Version: request.Version, Hash: request.Hash, Kernel: request.Kernel, TrainingRoot: run.TrainingRoot,
		Organisation: tx.organisation, Registered: tx.now, Status: provenance.ModelProposed, Run: run.ID,
	}
	return tx.keepModel(model, true)
}

// Evaluate enters what an organisation that did not train the model found, on a dataset that the model has not seen.
func (*models) Evaluate(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.EvaluationRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkEvaluation(request); err != nil {
		return "", err
	}
	model, run, err := tx.governed(request.Name, request.Version)
	if err != nil {
		return "", err
	}
	if tx.organisation == run.Organisation {
		return "", provenance.Forbiddenf("%s trained model %s %s; another organisation must evaluate it", tx.organisation, model.Name, model.Version)
	}
	for _, standing := range model.Evaluations {
		if standing.Organisation == tx.organisation && standing.Dataset == request.Dataset {
			if standing.Report != request.Report || !slices.Equal(standing.Metrics, request.Metrics) {
				return "", provenance.Conflictf("%s has evaluated model %s %s on dataset %s with other results", tx.organisation, model.Name, model.Version, request.Dataset)
			}
			return reply(model)
		}
	}
	dataset, err := tx.usable(request.Dataset, run.Purpose)
	switch {
	case err != nil:
		return "", err
	case model.Status.Ended():
		return "", provenance.Conflictf("model %s %s is %s", model.Name, model.Version, model.Status)
	case run.Uses(dataset.ID, dataset.Root):
		return "", provenance.Conflictf("model %s %s was trained on dataset %s or its content; evaluate it on another", model.Name, model.Version, dataset.ID)
	case len(model.Evaluations) >= maxEvaluations:
		return "", provenance.Conflictf("model %s %s has %d evaluations, no more are allowed", model.Name, model.Version, maxEvaluations)
	}
	if !slices.ContainsFunc(model.Evaluations, func(e provenance.Evaluation) bool { return e.Dataset == dataset.ID }) {
		if err := tx.link(dataset.ID, model.Name, model.Version, provenance.UseEvaluation); err != nil {
			return "", err
		}
	}
	model.Evaluations = append(model.Evaluations, provenance.Evaluation{
		Organisation: tx.organisation, Dataset: dataset.ID, Root: dataset.Root, Metrics: request.Metrics, Report: request.Report, Time: tx.now,
	})
	return tx.keepModel(model, true)
}

func checkEvaluation(r *provenance.EvaluationRequest) error {
	if err := checkIdentifiers("model", r.Name, "version", r.Version, "dataset", r.Dataset); err != nil {
		return err
	}
	switch n := len(r.Metrics); {
	case r.Report == (provenance.Hash{}):
		return provenance.Invalidf("evaluation of model %s %s: the report's hash is missing", r.Name, r.Version)
	case n == 0 || n > maxMetrics:
		return provenance.Invalidf("evaluation of model %s %s: %d metrics, 1 to %d are allowed", r.Name, r.Version, n, maxMetrics)
	}
	names := make([]string, len(r.Metrics))
	for i, metric := range r.Metrics {
		names[i] = metric.Name
	}
	return checkRising("metric", names)
}

// Approve enters the caller's approval of a model that has been evaluated; with enough of them it is approved.
func (*models) Approve(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ModelName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	model, run, err := tx.governed(request.Name, request.Version)
	if err != nil {
		return "", err
	}
	switch {
	case model.Status.Ended():
		return "", provenance.Conflictf("model %s %s is %s", model.Name, model.Version, model.Status)
	case provenance.Said(model.Objections, tx.organisation):
		return "", provenance.Conflictf("%s has objected to model %s %s", tx.organisation, model.Name, model.Version)
	}
	changed := false
	if !provenance.Said(model.Approvals, tx.organisation) {
		if err := tx.mustStand(model, run); err != nil {
			return "", err
		}
		model.Approvals, changed = append(model.Approvals, tx.statement("")), true
	}
	needed, err := tx.quorum(provenance.PolicyModel)
	if err != nil {
		return "", err
	}
	if model.Status == provenance.ModelProposed && provenance.Standing(model.Approvals, model.Objections) >= needed {
		model.Status, changed = provenance.ModelApproved, true
	}
	return tx.keepModel(model, changed)
}

// Activate lets a model score, if all that it stands on holds now, whatever held when it was approved.
func (*models) Activate(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ModelName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	model, run, err := tx.governed(request.Name, request.Version)
	if err != nil {
		return "", err
	}
	switch {
	case model.Organisation != tx.organisation:
		return "", provenance.Forbiddenf("model %s %s is %s's; only it may activate it", model.Name, model.Version, model.Organisation)
	case model.Status.Ended():
		return "", provenance.Conflictf("model %s %s is %s", model.Name, model.Version, model.Status)
	case model.Status == provenance.ModelActive:
		return reply(model)
	}
	if err := tx.mustStand(model, run); err != nil {
		return "", err
	}
	needed, err := tx.quorum(provenance.PolicyModel)
	if err != nil {
		return "", err
	}
	if approvals := provenance.Standing(model.Approvals, model.Objections); approvals < needed {
		return "", provenance.Conflictf("model %s %s has %d approvals, %d are needed", model.Name, model.Version, approvals, needed)
	}
	activation := tx.statement("")
	model.Status, model.Activation = provenance.ModelActive, &activation
	return tx.keepModel(model, true)
}

// Retire ends a model in good order, by the organisation that proposed it.
func (*models) Retire(tx *transaction, argument string) (string, error) {
	model, request, err := tx.ending(argument)
	if err != nil {
		return "", err
	}
	switch {
	case model.Organisation != tx.organisation:
		return "", provenance.Forbiddenf("model %s %s is %s's; only it may retire it", model.Name, model.Version, model.Organisation)
	case model.Status == provenance.ModelRevoked:
		return "", provenance.Conflictf("model %s %s is revoked", model.Name, model.Version)
	case model.Status == provenance.ModelRetired:
		return reply(model)
	}
	retirement := tx.statement(request.Reason)
	model.Status, model.Retirement = provenance.ModelRetired, &retirement
	return tx.keepModel(model, true)
}

// Revoke ends a model that should not have been trusted, at once by the word of the organisation that proposed it; another's is an
// objection, and as many of them as approve a model revoke it too.
func (*models) Revoke(tx *transaction, argument string) (string, error) {
	model, request, err := tx.ending(argument)
	if err != nil {
		return "", err
	}
	needed, err := tx.quorum(provenance.PolicyModel)
	if err != nil {
		return "", err
	}
	changed := false
	if !provenance.Said(model.Objections, tx.organisation) {
		model.Objections, changed = append(model.Objections, tx.statement(request.Reason)), true
	}
	if model.Status != provenance.ModelRevoked && (tx.organisation == model.Organisation || len(model.Objections) >= needed) {
		model.Status, changed = provenance.ModelRevoked, true
	}
	return tx.keepModel(model, changed)
}

func (tx *transaction) ending(argument string) (*provenance.Model, *provenance.ModelEnding, error) {
	request, err := decode[provenance.ModelEnding](argument, maxArgument)
	if err != nil {
		return nil, nil, err
	}
	if err := checkText("reason", request.Reason, maxComment, false); err != nil {
		return nil, nil, err
	}
	model, _, err := tx.governed(request.Name, request.Version)
	return model, request, err
}

// Lineage answers with all that a model stands on: what its card is made of.
func (*models) Lineage(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ModelName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	model, err := tx.model(request.Name, request.Version)
	if err != nil {
		return "", err
	}
	lineage := provenance.Lineage{Model: *model, Datasets: []*provenance.Dataset{}, Evaluations: []*provenance.Dataset{}}
	if model.Status == provenance.ModelUngoverned {
		return reply(lineage)
	}
	if lineage.Run, err = tx.run(model.Run); err != nil {
		return "", err
	}
	for _, trained := range lineage.Run.Datasets {
		dataset, err := tx.dataset(trained.ID)
		if err != nil {
			return "", err
		}
		lineage.Datasets = append(lineage.Datasets, dataset)
	}
	for _, evaluation := range model.Evaluations {
		dataset, err := tx.dataset(evaluation.Dataset)
		if err != nil {
			return "", err
		}
		lineage.Evaluations = append(lineage.Evaluations, dataset)
	}
	return reply(lineage)
}

// model loads a model that must be on the ledger.
func (tx *transaction) model(name, version string) (*provenance.Model, error) {
	if err := checkIdentifiers("model", name, "version", version); err != nil {
		return nil, err
	}
	model, err := load[provenance.Model](tx, provenance.ModelKey(name, version))
	if err == nil && model == nil {
		err = provenance.NotFoundf("model %s %s is not registered", name, version)
	}
	return model, err
}

// run loads a training run that must be on the ledger.
func (tx *transaction) run(id string) (*provenance.TrainingRun, error) {
	run, err := load[provenance.TrainingRun](tx, provenance.TrainingKey(id))
	if err == nil && run == nil {
		err = provenance.NotFoundf("training run %s is not on the ledger", id)
	}
	return run, err
}

// governed loads a model that came from a training run, on which the caller, a registered organisation, speaks.
func (tx *transaction) governed(name, version string) (*provenance.Model, *provenance.TrainingRun, error) {
	model, err := tx.model(name, version)
	if err != nil {
		return nil, nil, err
	}
	if model.Status == provenance.ModelUngoverned {
		return nil, nil, provenance.Conflictf("model %s %s is ungoverned: it was registered without a training run", name, version)
	}
	if _, err := tx.registered(tx.organisation); err != nil {
		return nil, nil, err
	}
	run, err := tx.run(model.Run)
	return model, run, err
}

// mustStand refuses a model unless all datasets that it was trained on are approved, and so is one that another organisation has
// evaluated it on.
func (tx *transaction) mustStand(model *provenance.Model, run *provenance.TrainingRun) error {
	if err := tx.mustTrainOnApproved(run); err != nil {
		return err
	}
	for _, evaluation := range model.Evaluations {
		dataset, err := tx.dataset(evaluation.Dataset)
		if err != nil {
			return err
		}
		if dataset.Status == provenance.DatasetApproved {
			return nil
		}
	}
	return provenance.Conflictf("model %s %s has no evaluation, by an organisation that did not train it, on a dataset that is approved", model.Name, model.Version)
}

func (tx *transaction) mustTrainOnApproved(run *provenance.TrainingRun) error {
	for _, dataset := range run.Datasets {
		if _, err := tx.usable(dataset.ID, run.Purpose); err != nil {
			return err
		}
	}
	return nil
}

func (tx *transaction) link(dataset, name, version, use string) error {
	return tx.put(provenance.DatasetUseKey(dataset, name, version), &provenance.DatasetUse{Dataset: dataset, Name: name, Version: version, Use: use})
}

func (tx *transaction) keepModel(model *provenance.Model, changed bool) (string, error) {
	if changed {
		if err := tx.put(provenance.ModelKey(model.Name, model.Version), model); err != nil {
			return "", err
		}
	}
	return reply(model)
}
