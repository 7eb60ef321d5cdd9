# make study    set everything up, open the workbook, run the tracker
# make test     set everything up, pass every test
# make help     the rest

SHELL := /bin/bash
PYTHON ?= $(firstword $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p; done))
BIN := .venv/bin
READY := .venv/.ready
# Some containers set it, and each start would compile every package anew: `workbook check` takes 4 s instead of 2.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup study test test-fast test-slow lint format build bench figures lock packages

help:
	@echo 'make study      set everything up, open the workbook with the tracker running'
	@echo 'make test       set everything up, run every check and test'
	@echo 'make test-fast  the tests that take no longer than a coffee (for daily use)'
	@echo 'make test-slow  the long runs'
	@echo 'make lint       ruff and mypy          make format  let ruff mend what it can'
	@echo 'make packages   Chromium and RabbitMQ, for the tests that need them: with APT=1 and as root, else what to type'
	@echo 'make build      notebooks from their sources in workbook/blocks'
	@echo 'make bench      measure speed          make lock    pin the newest versions'
	@echo 'make figures    measure anew what the spoken answers quote, and then mend what they say'

setup: $(READY)

# The hashes in requirements.lock cover every package, uv itself included.
$(READY): requirements.lock pyproject.toml
	@[ -n '$(PYTHON)' ] || { echo 'Python 3.11 or newer is needed, and none was found. Name yours: make $(MAKECMDGOALS) PYTHON=/path/to/python3'; exit 1; }
	@echo 'Setting up .venv (the first time takes about a minute)'
	@[ -x $(BIN)/uv ] || $(PYTHON) -m venv --clear .venv || { rm -rf .venv; \
	    echo 'Python cannot make a virtual environment. On Debian and Ubuntu type: apt install python3-venv'; exit 1; }
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
	    -r <(awk '/^[^ #]/ {mine = /^uv==/} mine' requirements.lock)
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

study: setup
	@$(BIN)/workbook study

# A file's tests stay together: the cells of a notebook need each other.
SIDE_BY_SIDE := --numprocesses=auto --dist=loadfile

test: setup packages lint
	$(BIN)/pytest $(SIDE_BY_SIDE) --durations=10

test-fast: setup
	$(BIN)/pytest $(SIDE_BY_SIDE) -m 'not browser and not slow and not thorough'

test-slow: setup packages
	$(BIN)/pytest -m 'slow or hypothesis' --hypothesis-profile=slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

build: setup
	$(BIN)/workbook author build

# Debian's packages are installed only where that is wanted, and never start a daemon: what wants to start one asks
# policy-rc.d, which says that this is forbidden (101) for as long as it takes.
POLICY := /usr/sbin/policy-rc.d

packages:
	@missing=(); \
	command -v chromium >/dev/null || missing+=(chromium); \
	[[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] || missing+=(rabbitmq-server); \
	if [[ $${#missing[@]} = 0 ]]; then exit; fi; \
	if [[ '$(CI)' != true && '$(APT)' != 1 ]]; then \
	    echo "Not here, so that some tests will not run: $${missing[*]}. On Debian and Ubuntu type: apt install $${missing[*]}"; \
	    exit; fi; \
	echo "Installing for the tests: $${missing[*]}"; \
	if [[ ! -e $(POLICY) ]]; then trap 'rm -f $(POLICY)' EXIT; \
	    printf '#!/bin/sh\nexit 101\n' >$(POLICY); chmod 755 $(POLICY); fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -qq -y --no-install-recommends "$${missing[@]}" >/dev/null

bench: setup
	$(BIN)/python -m benchmarks --json benchmarks/results.json

# Apart from the speed, since answers quote these: whoever measures them anew says them anew (the build refuses others).
figures: setup
	@for name in latest_reads one_pass point_keys; do \
	    $(BIN)/python benchmarks/$$name.py --json benchmarks/$$name.json || exit 1; done

lock: setup
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --python-version 3.11 --extra all \
	    --custom-compile-command 'make lock' pyproject.toml --output-file requirements.lock
