# Every command a person or CI runs on this repository.
#
# The Go release that go.mod names is fetched as a module where the machine's
# own Go is older, whatever the environment says.
export GOTOOLCHAIN := auto

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:

GO       ?= go
FUZZTIME ?= 3s
KILLS    ?= 5

# The embedded store is pure Go, so the binary needs no C compiler and runs on
# an empty image. Only the race detector needs cgo: see unit.
BUILD := CGO_ENABLED=0 $(GO) build -trimpath

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

.PHONY: build
build: ## build bin/seawall, and the example program bin/destination
	$(BUILD) -o bin/seawall ./cmd/seawall
	$(BUILD) -o bin/destination ./examples/destination/go

.PHONY: run
run: build ## start the gateway on the quickstart and show its first event
	bin/seawall demo --config examples/quickstart/seawall.yaml

.PHONY: demo
demo: build ## the same, and then a tour of what a gateway is for
	bin/seawall demo --tour

.PHONY: test
test: tools lint unit fuzz sdk stripe crash rows ## everything CI runs

.PHONY: tools
tools: ## install what the tests need (as root), or say what is missing
	@.ci/tools

.PHONY: lint
lint: libc ## gofmt, go vet, staticcheck
	@out=$$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0r "$$($(GO) env GOROOT)/bin/gofmt" -l); \
	if [ -n "$$out" ]; then echo "gofmt -w is needed for:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# modernc.org/sqlite is generated against one version of modernc.org/libc and
# breaks in strange ways with any other.
.PHONY: libc
libc: ## check that modernc.org/libc is the one its sqlite was made with
	@mod=$$($(GO) list -m -f '{{.GoMod}}' modernc.org/sqlite); \
	want=$$(awk '$$1 == "modernc.org/libc" {print $$2}' "$$mod"); \
	have=$$($(GO) list -m -f '{{.Version}}' modernc.org/libc); \
	if [ "$$want" != "$$have" ]; then \
	  echo "modernc.org/libc is $$have, but modernc.org/sqlite needs $$want: go get modernc.org/libc@$$want"; exit 1; fi

# Each generated file has a test that fails where it is out of date.
.PHONY: generate
generate: ## write the generated files again
	$(GO) generate ./...

.PHONY: unit
unit: ## go test with the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 10m $$($(GO) list ./... | grep -vE '/test/(crash|faults|nodes|systems|order)')

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (3s)
	@FUZZTIME=$(FUZZTIME) .ci/fuzz

.PHONY: sdk
sdk: build ## official SDKs as clients of a running gateway
	cd test/sdk && npm ci --silent && SEAWALL_BIN=$(CURDIR)/bin/seawall npm test --silent

# Stripe's SDK in Go and Stripe's own mock, a module of their own: the gateway is
# between them, and is killed, cut off and answered badly meanwhile.
CALLFAULTS ?= 30
.PHONY: stripe
stripe: ## calls happen once: Stripe's SDK and mock, with CALLFAULTS (30) faults in each test
	cd test/stripe && $(GO) vet ./... && $(GO) test -count=1 -timeout 30m ./... -args -calls.faults=$(CALLFAULTS)

# The crash test kills the gateway with SIGKILL under load, again and again, and
# then holds the log of the senders beside that of the destination.
.PHONY: crash
crash: ## kill -9 under load, a few times
	$(GO) test -count=1 -v -timeout 10m ./test/crash -args -crash.kills=$(KILLS)

# The other rows of the fault matrix (docs/faults.md): each test injects one kind
# of fault into the real binary.
.PHONY: rows
rows: ## a fraction of each row of the fault matrix
	$(GO) test -count=1 -v -timeout 15m ./test/faults
	$(GO) test -count=1 -v -timeout 15m -parallel 3 ./test/nodes
	$(GO) test -count=1 -v -timeout 10m -parallel 8 ./test/systems
	$(GO) test -count=1 -v -timeout 10m ./test/order

.PHONY: faults
faults: ## all of it, at full length: about two hours
	$(GO) test -count=1 -v -timeout 90m ./test/crash -args -crash.kills=300
	$(MAKE) stripe CALLFAULTS=300
	$(GO) test -count=1 -v -timeout 3h ./test/faults -args -faults.full
	$(GO) test -count=1 -v -timeout 3h -parallel 1 ./test/nodes -args -faults.full
	$(GO) test -count=1 -v -timeout 1h ./test/systems -args -faults.full
	$(GO) test -count=1 -v -timeout 1h ./test/order -args -faults.full

# Three nodes on a PostgreSQL of their own, under load, with a node killed or
# stopped every few seconds; the last line says what was lost.
LASTS ?= 60s
.PHONY: cluster
cluster: ## watch nodes die, for LASTS (60s)
	$(GO) run ./test/cluster -for $(LASTS)

# Each patch in test/mutants plants one bug; a named test must catch it.
.PHONY: mutants
mutants: ## prove that the tests catch planted bugs; about ten minutes
	$(GO) run ./test/mutants

.PHONY: bench
bench: ## throughput and latency beside a bare baseline
	$(GO) run ./test/bench

.PHONY: isolation
isolation: ## what bad destinations do to the others, as ratios; about a quarter of an hour
	$(GO) run ./test/bench -isolation -runs 7

.PHONY: vuln
vuln: ## known vulnerabilities in what we use; needs the network, so not part of test
	$(GO) tool govulncheck ./...
