# Two commands do everything on a fresh machine:
#   make serve    the exporter on http://127.0.0.1:5000 (make serve ARGS="--demo" or make demo: with a workload to look at)
#   make test     every check: ruff, import-linter, mypy, pytest with coverage

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help serve demo test test-newest lint lock chaos soak recordings clean

PY := .venv/bin/python
CODE := $(wildcard otel_measure exporter tests examples benchmarks)

help:
	@echo 'make serve [ARGS="--port 5001"]   start the exporter (http://127.0.0.1:5000)'
	@echo 'make demo                         the same, with a live synthetic workload'
	@echo 'make test                         run every check'
	@echo 'make chaos                         attack servers of our own, longer than the tests do'
	@echo 'make soak [ARGS="--minutes 8"]    half an hour of traffic on a small bound: is what it takes flat?'
	@echo 'make lint                         run the checks but for the tests'
	@echo 'make test-newest                  run the tests that need no real component on the newest Python of this machine'
	@echo 'make recordings [ARGS=EMITTER]    record anew what real programs send (needs Node.js and Go)'
	@echo 'make lock [ARGS=--upgrade]        write the lock files anew from pyproject.toml'
	@echo 'make clean                        remove .venv and what the tools left'

serve:
	@.ci/venv core
	@exec .venv/bin/otel-measure serve $(ARGS)

demo:
	@$(MAKE) --no-print-directory serve ARGS="--demo $(ARGS)"

lint:
	@.ci/venv dev
	@echo '== ruff' && $(PY) -m ruff check $(CODE) && $(PY) -m ruff format --check $(CODE)
	@echo '== import-linter' && .venv/bin/lint-imports --no-logo
	@echo '== mypy' && $(PY) -m mypy $(CODE)

# Two workers more than there are cores (tests/conftest.py); who is done takes over from the others.
# -rs names what was skipped and what to install for it.
test: lint
	@echo '== pytest' && $(PY) -m pytest -q -rs -n logical --dist worksteal --cov --cov-report=term $(ARGS)

test-newest:
	@.ci/venv dev
	@.ci/newest $(ARGS)

# Every test that the tables of docs/reliability.md and docs/security.md name, at length; why one is skipped stands in its reason.
NAMED = $(sort $(shell grep -oh 'tests/[a-zA-Z0-9_/]*\.py' docs/reliability.md docs/security.md))
chaos:
	@.ci/venv dev
	@CHAOS_SCALE=3 CHAOS_ROUNDS=20 CHAOS_MODELS=100000 E2E_OUTAGE_S=60 E2E_MUTATIONS=100000 \
		$(PY) -m pytest -q -rs -n logical --dist load --maxschedchunk 1 tests/chaos $(NAMED) $(ARGS)

soak:
	@.ci/venv dev
	@$(PY) -m tests.chaos.soak $(ARGS)

recordings:
	@.ci/venv dev
	@$(PY) -m pip install --quiet --disable-pip-version-check uv
	@$(PY) -m tests.recordings.make $(ARGS)
	@$(PY) -m tests.conventions.dialects_page

lock:
	@.ci/venv core
	@$(PY) -m pip install --quiet --disable-pip-version-check uv
	@.ci/lock $(ARGS)

clean:
	rm -rf .venv .venv-newest .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist htmlcov
