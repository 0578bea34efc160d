# make demo: try it. make test: everything that CI checks. Both make .venv first, from pyproject.toml alone.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHARED := --numprocesses 2 --dist loadgroup --no-loadscope-reorder

.PHONY: help demo install test test-tools lint types layers unit simulate bench fuzz clean

help:
	@echo "make demo    make .venv, install, and play the demo (under a minute once installed)"
	@echo "make test    install what the tests need, then lint, types, layers and all tests with coverage"
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

demo: $(VENV)/.installed
	$(BIN)/redoubt demo

test-tools:
	@scripts/install-test-tools

lint: $(VENV)/.installed-tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.installed-tests
	$(BIN)/mypy

layers: $(VENV)/.installed-tests
	$(BIN)/lint-imports

unit: $(VENV)/.installed-tests test-tools
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest $(SHARED) -m "not alone and not repeated" --durations 20
	$(BIN)/coverage run -m pytest -m alone
	$(BIN)/pytest $(SHARED) -m repeated
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test: lint types layers unit

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
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
