# Two commands do everything: `make demo` and `make test`. What they need they install themselves (deploy/setup.sh).
SHELL := /bin/bash
.DEFAULT_GOAL := help
GO ?= go
TRACE ?=
DEMO_FLAGS ?=

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: build
build: web ## Build bin/trailmark with the page in it
	@echo "· building bin/trailmark"
	@$(GO) build -o bin/trailmark ./deploy/cmd/trailmark

.PHONY: web
web: web/dist/index.html ## Build the page (only when its sources changed)

web/dist/index.html: web/package-lock.json web/package.json web/index.html web/vite.config.ts gateway/api/openapi.yaml $(shell find web/src web/scripts -type f 2>/dev/null) \
		$(wildcard deploy/wasm/*.go) $(filter-out %_test.go,$(wildcard chaincode/evidence/*.go chaincode/provenance/*.go))
	@deploy/setup.sh node
	@echo "· building the page"
	@cd web && npm ci --no-audit --no-fund --silent && GO="$(GO)" npm run --silent build

.PHONY: demo
demo: build ## Run the whole road on this machine; TRACE=FILE.csv replays a logger's trace
	@bin/trailmark demo $(if $(TRACE),--trace "$(TRACE)") $(DEMO_FLAGS)

.PHONY: bench
bench: build ## Measure the road against a plain Fabric application and against its limit (a quarter of an hour, nothing else running)
	@bin/trailmark bench $(BENCH_FLAGS)

.PHONY: faults
faults: build ## Break everything under load at random, and audit that nothing was lost, doubled or altered (SEED=…)
	@deploy/setup.sh namespaces
	@bin/trailmark faults --seed $${SEED:-1} $(FAULTS_FLAGS)

.PHONY: eval
eval: build ## Run the public benchmarks in ../shared/data against our models
	@for set in nab skab milk; do if [ -d ../shared/data/$$set ]; then echo "== $$set"; bin/trailmark eval $$set --dir ../shared/data/$$set; else echo "../shared/data/$$set is not here"; fi; done

.PHONY: test
test: ## Every test: unit, contract, real Fabric end to end, browser (SKIP_BROWSER=1 leaves that out)
	@deploy/test.sh

.PHONY: unit
unit: ## Unit and contract tests only; needs no network and no Fabric
	@$(GO) test ./...

.PHONY: lint
lint: ## golangci-lint, svelte-check, biome
	@deploy/lint.sh

.PHONY: fuzz
fuzz: ## Every fuzz target for a minute (FUZZTIME=…)
	@FUZZTIME=$${FUZZTIME:-60s} deploy/fuzz.sh

.PHONY: clean
clean: ## Stop and delete the demonstration's state, and what was built
	@-[ -x bin/trailmark ] && bin/trailmark net reset
	@rm -rf bin .trailmark web/dist/assets web/dist/index.html
