# make demo: try it. make test: what CI runs. make soak: all of it in large doses. Each makes .venv first.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_OPTIONS := --numprocesses 3 --dist loadgroup --no-loadscope-reorder

.PHONY: help demo install test soak test-tools azurite checks lint types layers engines simulate bench fuzz clean

help:
	@echo "make demo    make .venv, install, and play the demo (under a minute once installed);"
	@echo "             make demo DEST=s3 archives into a bucket of Ceph's S3 server (needs make test-tools)"
	@echo "make test    install what the tests need, then lint, types, layers and a small dose of every kind of test"
	@echo "make soak    the same in large doses, with coverage and long fuzzing"
	@echo "make bench   the figures of docs/BENCHMARKS.md, measured here"
	@echo "make fuzz    look for inputs that break a reader: make fuzz [TARGET=segment] [SECONDS=60 for each]"
	@echo "make clean   remove .venv and what tests leave"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "redoubt needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-tests: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed

# DEST=s3: in a bucket of Ceph's S3 server, which is started for it.
demo: $(VENV)/.installed
	$(if $(filter s3,$(DEST)),$(BIN)/python -m tests.destinations.demo,$(BIN)/redoubt demo)

test-tools:
	@scripts/install-test-tools

azurite: test-tools
	cd tests/destinations/azurite && npm ci --ignore-scripts --no-audit --no-fund --silent

lint: $(VENV)/.installed-tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.installed-tests
	$(BIN)/mypy

layers: $(VENV)/.installed-tests
	$(BIN)/lint-imports

checks: lint types layers

engines: $(VENV)/.installed-tests
	@$(BIN)/python -m tests.seekdb.template

# Tools are installed, and the engines' templates made, while lint, types and layers are checked: they mostly wait.
test:
	$(MAKE) --no-print-directory --jobs 3 --output-sync checks engines test-tools
	$(BIN)/pytest $(PYTEST_OPTIONS)

soak: export REDOUBT_DOSE := soak
soak: checks engines test-tools azurite
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest $(PYTEST_OPTIONS) -m "not repeated" --durations 20
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/pytest $(PYTEST_OPTIONS) -m repeated
	$(MAKE) --no-print-directory fuzz SECONDS=20

simulate: $(VENV)/.installed-tests
	$(BIN)/python -m tests.simulation $(or $(N),100000)

bench: $(VENV)/.installed test-tools
	$(BIN)/python -m benchmarks

# Coverage-guided where atheris has a wheel, blind elsewhere. TARGET: any of the folders in tests/fuzz/corpus.
TARGET ?=
SECONDS ?= 60
$(VENV)/.installed-fuzz: $(VENV)/.installed-tests
	$(BIN)/pip install --quiet --disable-pip-version-check --only-binary atheris --editable '.[fuzz]' || \
	  echo "atheris could not be installed: going on blindly"
	@touch $@

fuzz: $(VENV)/.installed-fuzz
	$(BIN)/python -m tests.fuzz $(TARGET) --seconds $(SECONDS)

clean:
	rm -rf $(VENV) .engine-templates .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
