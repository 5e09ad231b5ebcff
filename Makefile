# Two commands do everything on a machine with Python 3.10 to 3.13 and make:
# `make demo` and `make test`. Both set up .venv first; `make help` lists all.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Made from the pinned set alone, without a build environment of its own, so
# that the same versions are installed whenever this runs.
INSTALL := $(PIP) install --constraint constraints.txt --no-build-isolation
SOURCES := star configs tools tests projects integrations docs
# The interpreter that makes .venv, e.g. `make test PYTHON=/opt/bin/python3.12`.
PYTHON ?=
ARGS ?=
INPUT ?=
# handed on as typed: a file name may hold spaces and dollar signs
override INPUT := $(value INPUT)
export INPUT

.PHONY: help demo test lint format dist docs docs-serve
.PHONY: install install-tests install-docs clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1@/p' $(MAKEFILE_LIST) \
	| awk -F@ '{printf "%-22s %s\n", $$1, $$2}'

demo: install ## restore a sample clip, or yours: make demo INPUT=my.mp4
	@$(BIN)/star demo $${INPUT:+--input "$$INPUT"} $(ARGS)

test: install-tests ## run the tests; options for pytest: make test ARGS=-x
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest \
		-n auto --maxprocesses 4 --dist worksteal $(ARGS)

lint: install-tests ## check style, types and spelling
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/codespell
	@if [ -x $(BIN)/hadolint ]; then set -x; $(BIN)/hadolint Dockerfile; \
	else echo 'Dockerfile: not checked, hadolint is not here'; fi

format: install-tests ## rewrite the sources in the house style
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

dist: install-tests ## build sdist and wheel into dist/ and check them
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*

docs: install-docs ## build the documentation site in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: install-docs ## show the documentation site while you write
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

install: $(VENV)/.installed ## set up .venv with what restoring needs
install-tests: $(VENV)/.installed-tests ## set up .venv with what tests need
install-docs: $(VENV)/.installed-docs ## set up .venv with what the site needs

clean: ## remove caches, build products and demo results (not .venv)
	rm -rf build dist site star_vsr.egg-info demo_output
	rm -rf .pytest_cache .ruff_cache .mypy_cache
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.python:
	@PYTHON='$(PYTHON)' VENV='$(VENV)' sh .ci/make_venv
	@touch $@

$(VENV)/.installed: $(VENV)/.python setup.cfg constraints.txt
	$(INSTALL) pip setuptools
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-tests: $(VENV)/.installed
	$(INSTALL) --editable '.[tests]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(INSTALL) --editable '.[docs]'
	@touch $@
