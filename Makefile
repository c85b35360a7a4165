# ByteSpike. `make run` and `make test` set up whatever they need; `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8080
DATA_DIR ?= data

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
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# What checks and tests need besides.
$(VENV)/.dev: $(VENV)/.runtime requirements-dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@

.PHONY: run
run: $(VENV)/.runtime ## Start the gateway with SQLite and the simulator (PORT, DATA_DIR)
	@PORT="$(PORT)" DATA_DIR="$(DATA_DIR)" exec $(BIN)/bytespike demo

.PHONY: test
test: $(VENV)/.dev ## Every test
	$(BIN)/python -m pytest

.PHONY: check
check: $(VENV)/.dev ## Format, lint, types, import layers, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -m "not slow and not traffic"

.PHONY: format
format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(VENV)/.dev ## The budgets: CPU per request against nginx (ARGS=--peers also measures peers)
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: lock
lock: $(VENV)/.uv ## Pin the newest versions that pyproject.toml allows, with hashes
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-emit-index-url requirements-build.in -o requirements-build.txt
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-emit-index-url pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-emit-index-url --group dev -c requirements.txt pyproject.toml -o requirements-dev.txt

.PHONY: clean
clean: ## Remove the virtual environment and caches (not DATA_DIR)
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
