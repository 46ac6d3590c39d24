# The project's commands; `make` alone lists them. Each does the set-up it needs.
#
#   PYTHON=python3.12   the interpreter for the virtual environments (3.10 or newer)
#   PYTEST_ARGS=-x      more arguments for pytest

PYTHON ?= python3
PYTEST_ARGS ?=

# The oldest Synapse that is supported; the newest is pinned in requirements/synapse-newest.txt.
OLDEST := 1.133.0
# One between, for upgrades of a homeserver's data.
BETWEEN := 1.143.0
VENV := .venv
VENV_OLDEST := .venv-synapse-$(OLDEST)
VENV_BETWEEN := .venv-synapse-$(BETWEEN)

# Tests share the cores, a file at a time and long ones first (tests/conftest.py); what measures runs alone after them.
BY_FILE := --maxprocesses 8 --dist loadfile --no-loadscope-reorder
PARALLEL := -n auto $(BY_FILE)
# Tests with real servers wait for them half of their time.
PARALLEL_WAITING := -n $(shell echo $$(($$(nproc) + 1))) $(BY_FILE)
IN_PROCESS := tests/unit tests/homeserver
REAL_SERVERS := tests/e2e
# What the unit tests of these show is the same beside every Synapse, and what of it knows Synapse is shown in process.
ALIKE := $(addprefix --ignore=tests/unit/,antivirus availability federation oidc portal storage)

LINTED := $(wildcard synapse_bum tests scripts benchmarks)

export PYTHON
# Containers often forbid compiled files: every server and command that a test starts would compile Synapse again.
unexport PYTHONDONTWRITEBYTECODE
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup lint run-linters format test test-quick demo stack chaos bundle bench tox lock clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(VENV)/.ready ## make .venv with the package, its tests' and lint tools

$(VENV)/.ready: setup.cfg pyproject.toml requirements/synapse-newest.txt scripts/setup-venv
	@scripts/setup-system python
	scripts/setup-venv $(VENV) requirements/synapse-newest.txt test,lint
	@touch $@

$(VENV_OLDEST)/.ready: setup.cfg pyproject.toml requirements/synapse-$(OLDEST).txt scripts/setup-venv | $(VENV)/.ready
	scripts/setup-venv $(VENV_OLDEST) requirements/synapse-$(OLDEST).txt test
	@touch $@

# It runs homeservers and no tests.
$(VENV_BETWEEN)/.ready: setup.cfg pyproject.toml requirements/synapse-$(BETWEEN).txt scripts/setup-venv | $(VENV)/.ready
	scripts/setup-venv $(VENV_BETWEEN) requirements/synapse-$(BETWEEN).txt server
	@touch $@

lint: $(VENV)/.ready ## style, types, layers and the other rules of the house
	@$(MAKE) run-linters

# tox calls this with its own BIN.
run-linters: BIN = $(VENV)/bin
run-linters:
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/ruff check $(LINTED)
	MYPYPATH=$$($(BIN)/python scripts/fetch_synapse_tests.py) $(BIN)/mypy $(LINTED)
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/unit/test_house_rules.py
	@output=$$($(BIN)/towncrier build --draft --version next 2>&1) || { echo "$$output"; exit 1; }

format: $(VENV)/.ready ## let ruff lay out the code and repair what it can
	$(VENV)/bin/ruff check --fix $(LINTED)
	$(VENV)/bin/ruff format $(LINTED)

test: $(VENV)/.ready $(VENV_OLDEST)/.ready ## the suite on the newest Synapse, and what a version can change on the oldest too
	@scripts/setup-system tests
	@# All at once, because they wait for registries; without one of them, the tests that need it say so and are skipped.
	@for made in setup-nio setup-identity setup-scim-tester setup-browser; do scripts/$$made >/dev/null & done; \
	$(MAKE) $(VENV_BETWEEN)/.ready & \
	for _ in 1 2 3; do $(VENV)/bin/python scripts/fetch_xrechnung_rules.py >/dev/null && break; done & \
	wait
	@for venv in $(VENV) $(VENV_OLDEST); do $$venv/bin/python scripts/fetch_synapse_tests.py >/dev/null; done
	@failed=; \
	run() { echo "== $$*"; "$$@" $(PYTEST_ARGS) || failed="$$failed\n  $$*"; }; \
	run $(VENV)/bin/python -m pytest $(PARALLEL) $(IN_PROCESS); \
	run $(VENV)/bin/python -m pytest $(PARALLEL_WAITING) -m 'not alone' $(REAL_SERVERS); \
	run $(VENV)/bin/python -m pytest -m alone $(REAL_SERVERS); \
	run $(VENV_OLDEST)/bin/python -m pytest $(PARALLEL) -m 'not any_synapse' $(ALIKE) $(IN_PROCESS); \
	run $(VENV_OLDEST)/bin/python -m pytest $(PARALLEL_WAITING) -m 'not alone and not any_synapse' $(REAL_SERVERS); \
	run $(VENV_OLDEST)/bin/python -m pytest -m 'alone and not any_synapse' $(REAL_SERVERS); \
	if [ -n "$$failed" ]; then printf "failed:$$failed\n"; exit 1; fi

test-quick: $(VENV)/.ready ## unit and in-process tests on the newest Synapse, for the inner loop
	@$(VENV)/bin/python scripts/fetch_synapse_tests.py >/dev/null
	$(VENV)/bin/python -m pytest -q $(PARALLEL) $(IN_PROCESS) $(PYTEST_ARGS)

demo: $(VENV)/.ready ## play the main jobs on a real homeserver and a real clamd; KEEP=1 keeps it running
	@scripts/setup-system demo
	$(VENV)/bin/synapse-bum demo

bundle: $(VENV)/.ready ## the modules as one zip for containers without pip, in dist/
	@$(VENV)/bin/python scripts/make_bundle.py

chaos: $(VENV)/.ready ## let everything in the whole service break for BUM_CHAOS_SECONDS (600) under load; needs root
	@scripts/setup-system tests
	@# Longer than any other test may take.
	BUM_REQUIRE_ALL=1 BUM_CHAOS_SECONDS=$${BUM_CHAOS_SECONDS:-600} $(VENV)/bin/python -m pytest -s --log-cli-level=INFO \
	  -o faulthandler_timeout=3600 tests/e2e/stack/test_faults.py $(PYTEST_ARGS)

stack: $(VENV)/.ready ## run the whole service until Ctrl-C: five processes, PostgreSQL, Redis, nginx, clamd, a partner
	@scripts/setup-system tests
	@$(VENV)/bin/python scripts/run_stack.py

bench: $(VENV)/.ready ## measure ratios against peers, side by side in one run
	@scripts/setup-system tests
	@scripts/setup-content-scanner >/dev/null || true # without it the benchmark says what is missing
	@scripts/setup-identity >/dev/null || true # the same
	$(VENV)/bin/python -m benchmarks

tox: $(VENV)/.ready ## the suite on Synapse 1.133.0, 1.143.0 and the newest on the registry, and lint
	@scripts/setup-system tests
	$(VENV)/bin/tox

lock: $(VENV)/.ready ## pin anew, to the newest releases, what the commands install
	scripts/lock-requirements $(VENV)

clean: ## remove environments, caches and build results
	rm -rf .venv .venv-synapse-* .tox .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
