# The commands of the README are `make demo`, `make sandbox` and `make test`; none needs anything done first.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Outside the clone, so that a new clone builds nothing twice.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/arcctl/target
export CARGO_TERM_COLOR ?= auto
bin := $(CARGO_TARGET_DIR)/debug

# Clippy compiles our own crates for the tests: what it has read is what they run, and no dependency is compiled for it
# alone. It does not optimise as rustc does, so nothing that is measured or released is built with it.
linted := demo sandbox test test-slow build lint unit cluster versions
$(linted): export RUSTC_WORKSPACE_WRAPPER := clippy-driver
$(linted): export CLIPPY_ARGS := -D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__

.PHONY: help demo sandbox test test-slow tools build fmt lint unit cluster docs fuzz versions torture bench bench-publish bench-micro bench-scale deny install dist dist-check

help: ## lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

# Only the tools that the demo runs.
demo: ## a bare EKS cluster becomes registered runners and bare again, on this machine
	@test -x $(bin)/arcctl || echo "demo: the first time builds etcd, Kubernetes, helm, moto and arcctl: tens of minutes on two cores; after that it takes a minute or two" >&2
	@tools/install.sh helm3 etcd kubernetes moto
	@cargo build --locked --workspace --bin arcctl --bin arcctl-sandbox
	@$(bin)/arcctl-sandbox run --aws -- tools/demo.sh $(bin)

sandbox: ## a shell with arcctl, kubectl, helm and a simulated cluster without runners, to try the guide; `exit` stops it
	@test -x $(bin)/arcctl || echo "sandbox: the first time builds etcd, Kubernetes, helm and arcctl: tens of minutes on two cores" >&2
	@tools/install.sh helm3 etcd kubernetes
	@cargo build --locked --workspace --bin arcctl --bin arcctl-sandbox
	@$(bin)/arcctl-sandbox run -- tools/sandbox.sh

test: tools lint unit cluster ## what CI runs: six minutes once everything is built

# Which test is slow stands at the test: `#[ignore = "slow…"]`.
test-slow: tools build ## all other tests: matrices, Prometheus, mutations, more generated cases
	@tools/install.sh prometheus registry
	@ARCCTL_POLICY_CASES=10000 ARCCTL_RACE_SEEDS=200 cargo test --locked --workspace --lib --quiet -- policy:: races::
	@ARCCTL_PROFILE_CASES=2000 ARCCTL_SCHEDULE_YEARS=1 cargo test --locked --workspace --test cli --quiet -- never_panic schedule_oracle
	@cargo test --locked --workspace --test cli --quiet -- --ignored --test-threads 6
	@tools/fuzz.sh brief
	@cargo test --locked --workspace --test webhook --quiet -- --ignored
	@tools/cluster.sh --slow

tools: ## builds the pinned helm, etcd, Kubernetes, moto and linters into a cache
	@tools/install.sh

build:
	@cargo build --locked --workspace --bin arcctl --bin arcctl-sandbox

fmt: ## formats the code
	@cargo fmt --all

lint: ## formatting, and the lints, which end the build of the program and its tests
	@cargo fmt --all --check
	@cargo test --locked --workspace --all-targets --no-run --quiet

unit: ## the tests that need no control plane
	@tools/install.sh actionlint shellcheck
	@cargo test --locked --workspace --lib --quiet
	@cargo test --locked --workspace --test cli --quiet -- --test-threads 6
	@tools/fuzz.sh 0

cluster: build ## the tests on a real control plane
	@tools/cluster.sh

docs: ## builds the documents into a site with search, in target/docs
	@tools/docs.sh target/docs

fuzz: ## runs each fuzz target for ten minutes, guided by coverage
	@tools/fuzz.sh 600

versions: tools build ## builds three older Kubernetes minors and runs the installation on each
	@for pins in $(sort $(notdir $(wildcard tools/versions/*))); do \
	  tools/install.sh "$$pins"; echo "versions: $$pins"; \
	  ARCCTL_SANDBOX_TOOLS="$(CURDIR)/.tools/$$pins" \
	    tools/cluster.sh installation versions; \
	done

# Optimised, since a million cases take an hour otherwise; only arcctl and proptest are built anew.
fast := --config profile.dev.package.arcctl.opt-level=2 --config profile.dev.package.proptest.opt-level=2

# A line per case; a run that is started again goes on where it was.
torture_log ?= $(CARGO_TARGET_DIR)/torture.jsonl

torture: tools build ## crashes, faults and races by the hundred, and the property tests a hundred times as often as in `make test`; ten years of schedules
	@ARCCTL_TORTURE_LOG=$(torture_log) cargo test --locked --workspace --test cluster -- --test-threads 1 --ignored --nocapture torture _matrix
	@ARCCTL_POLICY_CASES=1000000 cargo test $(fast) --locked --workspace --lib policy:: -- --nocapture
	@ARCCTL_SCHEDULE_YEARS=10 cargo test $(fast) --locked --workspace --test cli schedule_oracle -- --nocapture

# Raw figures, logs, table and chart; the newest are in `latest`. BENCH takes flags of bench/measure.py.
bench_out ?= $(CARGO_TARGET_DIR)/bench
RUNS ?= 5

bench: ## arcctl beside the blog's commands, helmfile and Ansible: RUNS (5) of each, optimised, on a machine that does nothing else
	@tools/install.sh helm3 etcd kubernetes moto awscli helmfile ansible
	@cargo build --locked --workspace --release --bin arcctl --bin arcctl-sandbox
	@python3 -B bench/measure.py run --programs $(CARGO_TARGET_DIR)/release --out $(bench_out) --runs $(RUNS) $(BENCH)

bench-publish: ## puts the figures of the last `make bench` into docs/performance.md
	@python3 -B bench/measure.py publish $(bench_out)/latest

bench-micro: ## the time of loading, planning and the other pure parts for 1 to 500 pools; ONLY=NAME for some
	@cargo bench --locked --workspace --bench micro -- $(ONLY)

# One test, which is the program that measures: it needs the harness of the cluster tests. An optimised build, or the
# stand-ins take longer than arcctl.
bench-scale: tools ## requests, time and memory with up to 10 000 runners and 200 pools; WRITE=1 puts the table into docs/performance.md
	@ARCCTL_SCALE_WRITE=$(WRITE) cargo test --locked --workspace --release --test cluster -- --ignored --exact --nocapture scale::the_whole_grid

deny: ## licences, sources and advisories, by cargo-deny and cargo-audit; needs the network
	@tools/install.sh cargo-deny cargo-audit
	@.tools/bin/cargo-deny check
	@.tools/bin/cargo-audit audit

PREFIX ?= /usr/local

install: ## arcctl, its man pages, completions and `kubectl arc` in PREFIX (/usr/local); optimised: ten minutes on two cores
	@[ $(words $(PREFIX)) -eq 1 ] || { echo "install: PREFIX must be one path without spaces: '$(PREFIX)'" >&2; exit 64; }
	@cargo build --locked --release --bin arcctl
	@tools/dist/install.sh "$(CARGO_TARGET_DIR)/release/arcctl" $(PREFIX)

dist: ## what is released, for Linux on x86-64 and arm64, in dist in cargo's target directory; tens of minutes
	@tools/dist.sh

dist-check: ## builds it twice in different directories and compares
	@tools/dist/check.sh
