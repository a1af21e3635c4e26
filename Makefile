# `make` lists the targets. Everything runs in .venv, which `make setup` fills from requirements.lock.
.DEFAULT_GOAL := help
.PHONY: help setup run test lint format test-engines test-slurm test-browser notebooks report clean
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

test: setup ## run the default test suite (ARGS="-k store")
	$(BIN)/python -m pytest $(ARGS)

lint: setup ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the environment and caches; runs and the store stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
