# Hansa: `make demo` and `make test` set up all they need.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo $$p; break; }; done)
# An environment that is there is kept, whatever Python made it, unless PYTHON is named.
THIS := $(if $(filter file undefined,$(origin PYTHON)),,--this-python)
STORE ?= file
VENV := .venv/bin
BENCH ?=

.PHONY: help venv runtime demo hdfs-up hdfs-down test lint types imports check bench bench-agreement bench-ingest bench-index bench-hdfs bench-hdfs-small bench-table sim-long spec torture lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

venv: ## build the environment of development (.venv)
	@test -n "$(PYTHON)" || { echo "Hansa needs Python 3.11 or later: set PYTHON=/path/to/python3"; exit 2; }
	@$(PYTHON) tools/bootstrap/bootstrap.py --hdfs $(THIS)

runtime:
	@test -n "$(PYTHON)" || { echo "Hansa needs Python 3.11 or later: set PYTHON=/path/to/python3"; exit 2; }
	@$(PYTHON) tools/bootstrap/bootstrap.py --runtime $(THIS) $(if $(filter hdfs,$(STORE)),--hdfs)

demo: runtime ## six organisations share real city data, on this machine (STORE=hdfs: on a real HDFS)
	@$(VENV)/hansa demo --store $(STORE) $(DEMO)

hdfs-up: venv ## start a real HDFS on this machine: NameNode and three DataNodes
	@$(VENV)/python -m hansa.cli.hdfs up $(HDFS)

hdfs-down: ## stop it; its data stay
	@$(VENV)/python -m hansa.cli.hdfs down $(HDFS)

test: venv ## run all tests
	$(VENV)/python -m pytest $(TESTS)

lint: venv ## ruff: rules and format
	$(VENV)/ruff check
	$(VENV)/ruff format --check

types: venv ## mypy, strict
	$(VENV)/mypy

imports: venv ## the rooms and which way they may import
	$(VENV)/lint-imports

check: lint types imports test ## everything CI asks

bench: venv ## measure: agreement, publish and fetch, a node at rest
	$(VENV)/python benchmarks/run.py $(BENCH)

bench-agreement: venv ## measure the agreement beside CometBFT (needs go), about eleven minutes
	$(VENV)/python benchmarks/beside_comet.py $(BENCH)

bench-ingest: venv ## measure the store beside restic, borg and rclone, where they are
	$(VENV)/python benchmarks/ingest.py $(BENCH)

bench-index: venv ## measure the index beside a scan, SQLite, BallTree and FAISS
	$(VENV)/python benchmarks/index.py $(BENCH)

bench-hdfs: venv ## measure packs on a real HDFS beside its bare client
	$(VENV)/python benchmarks/hdfs.py $(BENCH)

bench-hdfs-small: venv ## measure small datasets and absent ones on a real HDFS, beside one HDFS file each
	$(VENV)/python benchmarks/hdfs_small.py $(BENCH)

bench-table: venv ## measure the hash index table at 10^5, 10^6 and 10^7 chunks
	$(VENV)/python benchmarks/hash_index.py $(BENCH)

sim-long: venv ## the agreement in 10,000 simulated worlds, 100,000 scripts of twins, all pairs and cuts
	nice -n 15 $(VENV)/hansa sim run --seeds 0..9999 --byzantine 1 --mixed --chaos-ms 3000 --twins --pairs --deletions --json
	nice -n 15 $(VENV)/hansa sim twins --rounds 3 --scripts 100000 --json

spec: venv ## TLC explores the model of the agreement, refutes broken ones, takes the simulator's runs
	nice -n 15 $(VENV)/python spec/check.py $(SPEC)

torture: venv ## 200 random kills under load
	HANSA_KILLS=200 $(VENV)/python -m pytest -p no:cacheprovider -s tests/e2e/test_torture.py --timeout 7200

lock: ## resolve the dependencies anew (needs uv; LOCK=--upgrade for newer ones)
	uv lock $(LOCK)
	uv export --quiet --no-emit-project --no-header --no-dev -o requirements/runtime.txt
	uv export --quiet --no-emit-project --no-header -o requirements/dev.txt
	uv export --quiet --only-group hdfs-server --no-header -o requirements/hdfs-server.txt

clean: ## remove what was built
	rm -rf .venv .venv.lock dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
