# ByteSpike. `make run` and `make test` set up whatever they need; `make help` lists the targets.
# `python3`, unless that was built without optimisation, as pyenv does where it is not told otherwise, and the system's own was
# built with it: the same work takes up to twice the CPU without.
FIT := import sys, sysconfig, ensurepip, venv; sys.exit(sys.version_info < (3, 11) or not (sys.prefix == "/usr" \
  or "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")))
PYTHON ?= $(or $(shell for each in python3 /usr/bin/python3; do $$each -c '$(FIT)' 2>/dev/null && echo $$each && break; done),python3)
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8080
DATA_DIR ?= data
COMPILED := build/compiled
HEADERS := import pathlib, sys, sysconfig; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())
# What was compiled once is kept up to date, and is what runs.
HOW_IT_RUNS = $(if $(wildcard $(COMPILED)/.done),compile)
# A file's tests run in one process, the longest files first (tests/conftest.py); the hash seed gives every process the same
# order of tests.
PYTEST = PYTHONHASHSEED=0 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 16

$(VENV)/.uv: requirements-build.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.txt
	@touch $@

# What the gateway itself needs, and the gateway.
$(VENV)/.runtime: $(VENV)/.uv requirements.txt pyproject.toml
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# What checks and tests need besides.
$(VENV)/.dev: $(VENV)/.runtime requirements-dev.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@

.PHONY: run
run: $(VENV)/.runtime bytecode $(HOW_IT_RUNS) ## Start the gateway with SQLite and the simulator (PORT, DATA_DIR)
	@PYTHONPATH="$(if $(HOW_IT_RUNS),$(COMPILED))" PORT="$(PORT)" DATA_DIR="$(DATA_DIR)" exec $(BIN)/bytespike demo

# Every process that the tests start imports the gateway: where nothing may be written then, it would be compiled each time.
.PHONY: bytecode
bytecode: $(VENV)/.runtime
	@$(BIN)/python -m compileall -q src

# The gateway as a wheel whose data path is machine code, unpacked where PYTHONPATH finds it before the sources.
$(COMPILED)/.done: $(VENV)/.runtime requirements-compile.txt hatch_build.py pyproject.toml $(shell find src -type f -not -path '*/__pycache__/*')
	@{ command -v cc && $(BIN)/python -c '$(HEADERS)'; } >/dev/null || { SUDO=$$(test "$$(id -u)" = 0 || echo sudo -n); \
	  $$SUDO apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install -y -qq --no-install-recommends gcc libc6-dev python3-dev >/dev/null; }
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-compile.txt
	rm -rf $(COMPILED)
	BYTESPIKE_COMPILE=1 $(BIN)/uv pip install --quiet --compile-bytecode --no-cache --no-deps --no-build-isolation --python $(BIN)/python --target $(COMPILED) .
	@touch $@

.PHONY: compile
compile: $(COMPILED)/.done ## The data path as machine code, in build/compiled (needs a C compiler; four minutes)

# A PostgreSQL of the tests' own runs from Debian's package. Where it cannot be installed its tests are skipped, and say so.
.PHONY: postgres
postgres:
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
	  { SUDO=$$(test "$$(id -u)" = 0 || echo sudo -n); \
	    $$SUDO apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } || \
	  echo "PostgreSQL cannot be installed: its tests will be skipped"

.PHONY: test
test: $(VENV)/.dev bytecode postgres ## Every test, but for real clients that take long
	$(BIN)/python -m tests.clients.packages --quick
	$(PYTEST) -m "not (clients and slow)"

.PHONY: test-clients
test-clients: $(VENV)/.dev bytecode ## Every real client: installs them, and node where it is missing (10 minutes)
	$(BIN)/python -m tests.clients.packages
	$(BIN)/python -m pytest tests/clients

.PHONY: test-compiled
test-compiled: $(VENV)/.dev compile postgres ## The tests of running gateways, and of money, on the compiled data path
	PYTHONPATH=$(COMPILED) $(PYTEST) -m "not clients" tests/integration tests/faults tests/property tests/unit/ledger

.PHONY: check
check: $(VENV)/.dev bytecode ## Format, lint, types, import layers, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(PYTEST) -q -m "not slow and not traffic and not clients"

.PHONY: format
format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(VENV)/.dev bytecode compile ## The budgets: CPU per request against nginx (ARGS=--peers also measures peers)
	PYTHONPATH=$(COMPILED) $(BIN)/python -m benchmarks $(ARGS)

.PHONY: lock
lock: $(VENV)/.uv ## Pin the newest versions that pyproject.toml allows, with hashes
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-emit-index-url requirements-build.in -o requirements-build.txt
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-emit-index-url requirements-compile.in -o requirements-compile.txt
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-emit-index-url pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-emit-index-url --group dev -c requirements.txt pyproject.toml -o requirements-dev.txt

.PHONY: clean
clean: ## Remove the virtual environment and caches (not DATA_DIR)
	rm -rf tests/clients/node/node_modules tests/clients/cli/*/node_modules tests/clients/cli/*/.venv
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
