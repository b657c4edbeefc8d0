# The one command is `make test`. It needs Go, and root on Debian for what the
# end-to-end tests install; `make short` needs only Go.

GO ?= go

# Where the end-to-end tests keep what they install.
GATEHOUSE_CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME)/gatehouse-testbed,$(CURDIR)/.cache/testbed)
export GATEHOUSE_CACHE

TOOL := $(GO) tool -modfile=internal/tools/go.mod
PLATFORMS := linux/amd64 linux/arm64 darwin/arm64 windows/amd64
NEWEST := go1.27.1

# What needs root: the packages that confine servers, one after the other,
# since they count what is left on the machine.
CONFINED := ./internal/netns ./internal/hostmount ./internal/owner ./internal/volume ./runtime/egress ./runtime/sandbox ./runtime/containerd ./internal/isolation

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help test short race e2e chaos conformance bench lint gofmt vet staticcheck vulncheck cross newest testbed tools tidy clean

help: ## print this list
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

test: testbed lint race e2e chaos ## everything: lint, all tests with the race detector, end-to-end tests, faults

short: ## unit tests; no root, no network, no daemon
	$(GO) test ./...

race: ## unit tests with the race detector
	$(GO) test -race ./...

e2e: testbed ## end-to-end tests: conformance suite, published servers and clients, a keyring, containers, sandboxes
	$(GO) test -race -count=1 -timeout 30m -tags e2e $(E2EFLAGS) ./internal/e2e/... ./secrets/keyring
	$(GO) test -race -count=1 -timeout 30m -tags e2e -p 1 $(E2EFLAGS) $(CONFINED)

chaos: ## 200 sessions for a minute, while servers are killed and clients cut off
	$(GO) test -race -count=1 -timeout 10m -tags e2e -v $(CHAOSFLAGS) ./internal/chaos/...

conformance: testbed ## only the conformance suite through the gateway, with its tables
	$(GO) test -race -count=1 -timeout 30m -tags e2e -v -run 'TestConformance' $(E2EFLAGS) ./internal/e2e/...

bench: ## cost of a call through the gateway, and of starting servers confined, as ratios
	$(GO) run ./internal/bench $(BENCHFLAGS)
	@if [ "$$(id -u)" = 0 ] && [ -x "$(GATEHOUSE_CACHE)/bin/containerd" ]; then \
		echo; echo "$(GO) run -tags e2e ./internal/bench/confined $(BENCHFLAGS)"; \
		$(GO) run -tags e2e ./internal/bench/confined $(BENCHFLAGS); \
	else \
		echo; echo "Starting servers confined was not measured: it needs root, and what \`make testbed\` installs." >&2; \
	fi

lint: gofmt vet staticcheck vulncheck cross newest ## static checks, builds for other platforms and the newest Go

gofmt:
	@out=$$(find . -name '*.go' -not -path './.*/*' -exec "$$($(GO) env GOROOT)/bin/gofmt" -l {} +); \
	if [ -n "$$out" ]; then echo "not gofmt-ed:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...
	$(GO) vet -tags e2e ./internal/... ./runtime/... ./secrets/...

staticcheck:
	$(TOOL) staticcheck ./...
	$(TOOL) staticcheck -tags e2e ./internal/... ./runtime/... ./secrets/...

vulncheck:
	@GO="$(GO)" internal/tools/vulncheck.sh

cross:
	@for p in $(PLATFORMS); do \
		echo "CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./..."; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./... || exit 1; \
	done

newest:
	GOTOOLCHAIN=$(NEWEST) $(GO) build ./...
	GOTOOLCHAIN=$(NEWEST) $(GO) vet ./...

testbed: ## install what the end-to-end tests need into GATEHOUSE_CACHE
	@internal/testbed/install.sh "$(GATEHOUSE_CACHE)"

tidy: ## tidy the module files
	$(GO) mod tidy
	cd internal/tools && $(GO) mod tidy

clean: ## remove the test bed
	rm -rf "$(GATEHOUSE_CACHE)"
