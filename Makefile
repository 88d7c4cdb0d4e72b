# Two commands do everything on a fresh machine (Debian or Ubuntu, Python 3.11 or newer): `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 7
ENGINE ?= auto
unexport PYTHONDONTWRITEBYTECODE

# The airflow and provider versions to test with: make test AIRFLOW=3.1
AIRFLOW ?= 3.3
# Of the local AWS of a demo; empty: 4566 for a new demo, and for demo-down all demos of this clone.
PORT ?=
PORT_OPTION = $(if $(PORT),--port $(PORT))
# The demo: short, or full with a canary and a rollback.
STORY ?= short
# What is pure: spec objects, deciding, policies.
UNIT := tests/spec tests/deployment tests/policies tests/service_model tests/test_fields.py
# How much of these packages the unit tests alone must run through, in percent of lines and branches.
FLOORS := policies=100 spec=100 deployment=100 service_model=100
# The virtual environment is made anew when what it is made of changes.
STAMP := $(VENV)/.installed-$(AIRFLOW)-$(notdir $(PYTHON))

.PHONY: help setup demo demo-down ui test test-unit test-quick test-slow test-dags test-scheduler lint types spelling docs lint-workflows wheel test-wheel docker-engine clean

help:
	@echo "make demo           train and deploy on the local AWS, to an endpoint that answers (SEED=…, ENGINE=docker|process, PORT=…; STORY=full: and a canary, and a rollback)"
	@echo "make demo-down      stop the local AWS of all demos of this clone, or of one (PORT=…)"
	@echo "make ui             Airflow's UI on what the demo made (PORT=…: of which demo; UI_PORT=…)"
	@echo "make test           all tests; those that need a Docker engine are skipped where there is none"
	@echo "make test-unit      what is pure: no Airflow, no server, some seconds (COVERAGE=1: and what they cover, with its floors)"
	@echo "make test-quick     the tests that need neither Docker nor an Airflow database, and take no minute (COVERAGE=1: and what they cover)"
	@echo "make test-slow      those that take minutes: the local AWS by itself, IAM, crashes, DAG files, many examples of each property"
	@echo "make test-dags      the example DAGs and the ports of public deployments, run by Airflow"
	@echo "make test-scheduler Airflow's scheduler, API server and triggerer, and the pages in a browser"
	@echo "make lint types     ruff, mypy"
	@echo "make spelling       codespell"
	@echo "make docs           the documentation site, in docs/_build/html; a warning is an error"
	@echo "make lint-workflows the workflows of .github: their schema and their safety"
	@echo "make wheel          build and check the distributions"
	@echo "make test-wheel     install the wheel into an environment of its own, and use it"
	@echo "make docker-engine  install and start a Docker engine (Debian and Ubuntu, root)"

setup: $(STAMP)

$(STAMP): pyproject.toml scripts/setup
	PYTHON="$(PYTHON)" VENV="$(VENV)" AIRFLOW="$(AIRFLOW)" STAMP="$(STAMP)" sh scripts/setup

demo: setup
	@$(BIN)/python -m demo.demo --seed $(SEED) --engine $(ENGINE) --story $(STORY) $(PORT_OPTION)

demo-down: setup
	@$(BIN)/python -m demo.down $(PORT_OPTION)

ui: setup
	@$(BIN)/python -m demo.ui $(PORT_OPTION) $(if $(UI_PORT),--ui-port $(UI_PORT))

test: setup
	$(MAKE) test-unit COVERAGE=1
	$(MAKE) test-quick
	$(MAKE) test-slow
	$(MAKE) test-dags
	$(BIN)/python -m pytest --durations=15 -m engine
	$(MAKE) test-scheduler

# The plugin makes importing Airflow and starting a server an error.
test-unit: setup
	$(BIN)/python -m pytest -p tests.no_airflow --durations=15 $(if $(COVERAGE),-m "not slow" --cov --cov-report=,-m "not slow and not exhaustive") $(UNIT)
	$(if $(COVERAGE),$(BIN)/python scripts/coverage $(FLOORS))

# Two at once: much of it is waiting for the local AWS, which runs in a process of its own.
test-quick: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=15 $(if $(COVERAGE),--cov --cov-report=) -m "not engine and not airflow_db and not scheduler and not slow and not exhaustive"
	$(if $(COVERAGE),$(BIN)/python scripts/coverage)

test-slow: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=15 -m "slow and not engine and not airflow_db and not scheduler"
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -n 2 --dist worksteal --durations=15 -m "hypothesis and not slow and not engine"

# Example DAGs and ports, each in processes and on a local AWS of its own.
test-dags: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=15 -m "airflow_db and slow and not engine and not scheduler"

# Airflow's own scheduler, API server and triggerer, and the browser: each file has an Airflow of its own.
test-scheduler: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=15 -m "(scheduler or (airflow_db and not slow)) and not engine"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

spelling: setup
	$(BIN)/codespell

docs: setup
	$(BIN)/sphinx-build --builder html --fail-on-warning --keep-going --jobs auto --quiet docs docs/_build/html

lint-workflows: setup
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --no-progress .github

wheel: setup
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

test-wheel:
	PYTHON="$(PYTHON)" VENV="$(VENV)-wheel" AIRFLOW="$(AIRFLOW)" UV="$(VENV)-tools/bin/uv" sh scripts/test-wheel

docker-engine:
	sh scripts/docker-engine

# The local AWS of each demo is stopped first, whatever PORT says: without its state nothing could stop it.
clean:
	@if [ -x $(BIN)/sm-hosting ] && [ -d .demo ]; then $(BIN)/python -m demo.down; fi
	rm -rf $(VENV) $(VENV)-tools $(VENV)-wheel $(VENV).lock .demo dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
