# One command each, with all the set-up it needs: make demo, make test, make check, make bench.
# Needs git, make, binutils and python3 (3.11 or newer) with venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=

# From the checkout's root Python would import sv2rig/ without the folders that the install maps
# into it (kernels, drivers), so tools that put the current folder on the path run from .ci.
# A strict editable install links files one by one, so a new file (it touches its folder's
# time stamp) asks for the short second step; new dependencies ask for the long first one.
FOLDERS := $(shell find sv2rig kernels drivers udev -type d -not -name __pycache__)

.PHONY: help demo test vectors lint check wheel-check soak bench pictures clean

help:
	@echo "make demo   a pool and a rig on this machine, mining      (ARGS=\"--headless --duration 30 --json\")"
	@echo "make test   the tests                                     (ARGS=\"-k noise\")"
	@echo "make vectors  how many vectors of boards are proved, and why others are not"
	@echo "make lint   ruff, mypy --strict, import contracts"
	@echo "make check  lint, test, and the self-test of the built wheel outside the checkout (what CI runs)"
	@echo "make soak   the daemon killed 200 times under load, its log and counters checked each time"
	@echo "make bench  the figures of docs/benchmarks.md, measured here"
	@echo "make pictures  docs/screen-*.svg, drawn anew from a demo that runs (a minute)"

$(VENV)/.dependencies: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "make: python3 with venv is needed (Debian: apt install python3-venv)" >&2; exit 1; }
	@echo "setting up $(VENV) (once; about a minute) ..." >&2
	@$(PIP) install --quiet --upgrade -c constraints.txt "pip>=25.1" setuptools wheel >&2
	@$(PIP) install --quiet -c constraints.txt --group test --group lint --group build >&2
	@$(PIP) install --quiet -c constraints.txt --no-build-isolation -e . --config-settings editable_mode=strict >&2
	@touch $@

$(VENV)/.synced: $(VENV)/.dependencies $(FOLDERS)
	@$(PIP) install --quiet --no-deps --no-build-isolation -e . --config-settings editable_mode=strict >&2
	@touch $@

demo: $(VENV)/.synced
	@$(BIN)/sv2rig demo $(ARGS)

test: $(VENV)/.synced
	@$(BIN)/pytest -n auto $(ARGS)

vectors: $(VENV)/.synced
	@$(BIN)/python tests/boards/vectors_report.py

lint: $(VENV)/.synced
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd .ci && ../$(BIN)/mypy --config-file ../pyproject.toml -p sv2rig
	cd .ci && ../$(BIN)/mypy --config-file ../pyproject.toml ../tests ../bench
	cd .ci && ../$(BIN)/lint-imports --config ../pyproject.toml --no-logo

wheel-check: $(VENV)/.synced
	@sh .ci/wheel-check "$(abspath $(BIN))/python"

check: lint test wheel-check

# KILLS says how often the daemon is killed: about six seconds each.
soak: export KILLS ?= 200
soak: $(VENV)/.synced
	@$(BIN)/pytest tests/cli/test_daemon_sigkill.py -s --timeout 0 $(ARGS)

bench: $(VENV)/.synced
	@$(BIN)/python bench $(ARGS)

pictures: $(VENV)/.synced
	@$(BIN)/python docs/make-pictures

clean:
	rm -rf $(VENV) build dist *.egg-info
