# `make help` lists everything.
SHELL := /bin/bash
PYTHON ?= python3
OLDEST ?= /usr/bin/python3
SOURCE ?= sample
MINUTES ?= 10
PY := .venv/bin/python
RUN := PYTHONPATH=. $(PY)
# Two workers do the system tests, and wait for Airflow most of the time; another one computes meanwhile.
PYTEST := -m pytest --dist loadfile --no-loadscope-reorder
# Compiled modules are kept whatever the caller's environment says: imports of torch and Airflow take three times as long
# without, in every task.
export PYTHONDONTWRITEBYTECODE =
# What a person gives goes to the programs by environment, letter by letter: neither make nor a shell reads it on the way.
unexport SOURCE NAME ROLE ARGS YES UPGRADE
export GIVEN_SOURCE = $(value SOURCE)
export GIVEN_NAME = $(value NAME)
export GIVEN_ROLE = $(value ROLE)
export GIVEN_ARGS = $(value ARGS)
export GIVEN_YES = $(value YES)
export GIVEN_UPGRADE = $(value UPGRADE)
.DEFAULT_GOAL := help

.PHONY: help demo up down user airflow translator serve prune test test-quick coverage fuzz lint format settings lock bench clean distclean \
	same-python no-large-files

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: .venv/run  ## the whole pipeline on a sample, then three questions (SOURCE=path, address or Drive id for your own)
	@$(RUN) -m include.local.demo

up: .venv/run  ## start Airflow, for use in the browser (VITRINE_PORT=8080)
	@$(RUN) -m include.local.up up

down: .venv/run  ## stop the Airflow that `make up` started
	@$(RUN) -m include.local.up down

user: .venv/run  ## a login for a colleague: NAME=ana ROLE=viewer (or user, op, admin)
	@$(RUN) -m include.local.up user

airflow: .venv/run  ## the airflow command on the Airflow of `make up`: ARGS='dags list'
	@$(RUN) -m include.local.up airflow

translator: .venv/run  ## install the optional English-Portuguese translator (read Languages in docs/operations.md first)
	@$(PY) -m pip install --quiet -r requirements-translate.txt -c constraints.txt

serve: .venv/run  ## answer questions over HTTP from a process that stays (VITRINE_SERVING_PORT=8090)
	@$(RUN) -m include.serving

prune: .venv/run  ## remove old outputs that nothing needs (ARGS=--dry-run: only show what would go, and how much it frees)
	@$(RUN) -m include.publishing.prune_command

test: .venv/dev lint  ## lint, then all tests
	$(RUN) $(PYTEST) -n 3 $(ARGS)

test-quick: .venv/dev  ## the tests that need neither Airflow nor a browser
	$(RUN) $(PYTEST) -n 2 -m "not airflow and not browser" $(ARGS)

coverage: .venv/dev  ## branch coverage of include/ by the tests of test-quick; under 90 % fails
	$(RUN) $(PYTEST) -n 2 -m "not airflow and not browser" $(ARGS) --cov

fuzz: .venv/dev  ## the property tests with ever new examples for MINUTES=60, ARGS='tests/formats -k archive'
	$(RUN) -m tests.fuzz $(MINUTES) $(ARGS)

lint: .venv/dev no-large-files  ## ruff, ruff format, spelling, the import contracts, mypy --strict, no large file
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/codespell
	.venv/bin/lint-imports
	$(PY) -m mypy

# A file stays in the history for good, whoever clones it: data belongs elsewhere.
no-large-files:
	@large="$$(git ls-files -z | xargs -0r sh -c 'find "$$@" -size +1000k 2>/dev/null' sh)"; \
		test -z "$$large" || { printf 'Larger than 1,000 KB, and in git:\n%s\n' "$$large"; exit 1; }

format: .venv/dev  ## put the code into its standard form
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

settings: .venv/run  ## write the reference of all settings, and the schemas of answers, into docs/
	@$(RUN) -m include.core.forms docs/operations.md
	@$(RUN) -m include.answering.schema docs

lock:  ## write constraints.txt: present pins stay where they fit (UPGRADE=1: the newest), on OLDEST=/usr/bin/python3
	@$(OLDEST) .ci/lock.py

bench: .venv/dev  ## every benchmark against its peer; tables of medians and ratios
	@set -e; for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(RUN) $$script; done

clean:  ## stop the local Airflow and remove it with all data: models, indexes, journal (asks; YES=1 does not)
	@PYTHONPATH=. $(if $(wildcard .venv/run),$(PY),$(PYTHON)) -m include.local.clean
	@if test -e .venv/run; then $(MAKE) -s down; fi
	rm -rf .airflow data .pytest_cache .mypy_cache .ruff_cache .coverage*

distclean: clean  ## also remove the virtual environment
	rm -rf .venv

# A Python that is asked for by name, where .venv was made with another: that one would be used, without a word.
same-python:
ifneq ($(origin PYTHON),file)
	@test ! -x $(PY) || test "$$($(PYTHON) --version)" = "$$($(PY) --version)" || \
		{ echo "PYTHON=$(PYTHON) is $$($(PYTHON) --version), .venv was made with $$($(PY) --version):" \
		"remove it first (rm -r .venv), or leave PYTHON out"; exit 1; }
endif

# Installed once for each change of the requirements. Not compiled ahead: that takes two minutes for modules of which most
# are never imported; Python compiles the others when it first meets them.
.venv/run: requirements.txt constraints.txt include/shell/vitrine.sh | same-python
	@echo "Setting up .venv (about two minutes the first time) …"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11, 2) <= sys.version_info < (3, 13))' || \
		{ echo "Python 3.11.2 or newer, or 3.12, is needed, $$($(PYTHON) --version) was found: make PYTHON=python3.11 …"; exit 1; }
	@test -x .venv/bin/pip || $(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "No virtual environment could be made (Debian: apt install python3-venv)"; exit 1; }
	@$(PY) -m pip install --quiet --upgrade "pip>=25"
	@$(PY) -m pip install --quiet --no-compile -r requirements.txt -c constraints.txt
	@install -m 755 include/shell/vitrine.sh .venv/bin/vitrine
	@touch $@

.venv/dev: .venv/run requirements-dev.txt
	@$(PY) -m pip install --quiet --no-compile -r requirements-dev.txt -c constraints.txt
	@touch $@
