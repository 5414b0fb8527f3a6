# `make run` serves the dashboard, and `make test` checks the whole project. PYTHON=… selects the interpreter.
SHELL := /bin/bash
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(shell command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(name))))
VENV ?= .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
PORT ?= 8501
# The interpreters that test the wheel: 3.11 and 3.13 if they can make an environment, else the interpreter above.
WHEEL_PYTHONS ?= $(or $(foreach name,python3.11 python3.13,$(shell command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys, venv, ensurepip' >/dev/null 2>&1 && command -v $(name))),$(PYTHON))

# pip compiles 36,000 modules one after another. COMPILED uses all cores, and leaves out the tests of libraries and packages that no module here imports.
# It also leaves out plotly's 13,600 validators. A figure imports only a few, which Python compiles at the import.
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check --no-compile
# uv installs on all cores. It is the machine's uv, or one that is installed into a new environment if the registry has it. If uv fails, pip installs.
WITH_UV = $(shell command -v uv || command -v $(BIN)/uv)
INSTALL = install() { $(if $(WITH_UV),$(WITH_UV) pip install -q --python $(BIN)/python "$$@" ||) $(PIP) "$$@"; }; install
# These packages are a quarter of all modules. No module here imports them, or only one test does, which then compiles the modules that it needs.
SELDOM = alembic|altair|django|faker|hive_metastore|huggingface_hub|moto|mypy|mypyc|networkx|onnxruntime/(tools|transformers)|prompt_toolkit|pygments/lexers|pyspark/(ml|mllib|pandas)|rdflib|sqlalchemy|wcwidth
COMPILED = PYTHONWARNINGS=ignore $(BIN)/python -m compileall -qq -j 0 -x '/(tests|plotly/validators|$(SELDOM))/' "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || true

# Python stores compiled modules even if the environment forbids that. Otherwise each of some hundred test processes would compile the project again.
export PYTHONDONTWRITEBYTECODE :=
BYTECODE = $(BIN)/python -m compileall -q -j 2 app.py observability pages tests/support && $(BIN)/python -m tests.support.rewritten

# The tests keep their stores in memory if it has 10 GB free for files. On a disk, each of thousands of commits would wait for the disk.
SCRATCH := $(shell free=$$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1); test "$${free:-0}" -gt 10000000 && echo /dev/shm || echo "$${TMPDIR:-/tmp}")

# Three workers on two cores: a test spends a sixth of its time waiting for processes and for the disk.
UNIT_WORKERS ?= 3
UNIT := $(BIN)/python -m pytest -n $(UNIT_WORKERS) --dist loadfile --durations 12 --no-loadscope-reorder --ignore tests/browser
BROWSER_WORKERS ?= 3
# A busy machine may delay a browser beyond a test's time limit. A browser test that fails therefore runs once more, and the report lists it.
BROWSER := $(BIN)/python -m pytest --reruns 1 -rR -n $(BROWSER_WORKERS) --dist loadfile --no-loadscope-reorder --durations 12 tests/browser

.PHONY: run live test checks tests-in-turn test-long tests wheel wheel-check bench format lint types unit browser chromium lock clean help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

run: $(BIN)/.installed  ## environment, sample fleet if the store is empty, dashboard on one local port
	@$(BIN)/python -m observability demo --if-empty
	@$(BIN)/python -m observability serve --port $(PORT)

live: $(BIN)/.installed  ## as run, with the times of the sample moved to today: its records arrive as the clock passes them
	@$(BIN)/python -m observability demo --if-empty --live
	@$(BIN)/python -m observability serve --port $(PORT)

test: lint  ## environment, lint, types, tests, browser tests, the wheel in clean environments
	@export TMPDIR="$$(mktemp -d -p "$(SCRATCH)")" && export SAMPLE_HOMES="$$TMPDIR" && trap 'rm -rf "$$TMPDIR"' EXIT \
		&& $(MAKE) --no-print-directory -j2 checks tests-in-turn

checks:  # runs in parallel with the tests: the types, and the wheel, which waits for downloads
	@$(MAKE) --no-print-directory types && $(MAKE) --no-print-directory wheel-check

tests-in-turn:
	@$(MAKE) --no-print-directory unit && $(MAKE) --no-print-directory browser

tests: $(BIN)/.installed-tests chromium  # unit and browser tests share one loaded sample fleet
	@export TMPDIR="$$(mktemp -d -p "$(SCRATCH)")" && export SAMPLE_HOMES="$$TMPDIR" && trap 'rm -rf "$$TMPDIR"' EXIT && $(UNIT) && $(BROWSER)

test-long: $(BIN)/.installed-tests chromium wheel  ## randomized tests with all repetitions, and the tests that only a release needs
	LONG_TESTS=1 $(UNIT) --hypothesis-profile=default && LONG_TESTS=1 $(BROWSER)
	$(BIN)/python tests/packaging/deployment_lint.py
	$(BIN)/python tests/packaging/training_libraries.py $(firstword $(WHEEL_PYTHONS))
	$(BIN)/python tests/packaging/oracles.py
	$(BIN)/python tests/packaging/recipes.py dist/*.whl
	$(BIN)/python tests/packaging/first_ten_minutes.py dist/*.whl

wheel: $(BIN)/python  ## the package as one file in dist/
	@rm -rf dist
ifneq ($(UV),)
	@$(UV) build -q --wheel --out-dir dist
else
	@$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps --wheel-dir dist .
endif
	@ls dist/*.whl

wheel-check: wheel $(BIN)/.installed-tests chromium
	env -u TMPDIR $(BIN)/python tests/packaging/wheel_check.py dist/*.whl $(WHEEL_PYTHONS)  # needs two environments of 2 GB, so they are on the disk

lint: $(BIN)/.installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.installed-tests
	$(BIN)/mypy

unit: $(BIN)/.installed-tests
	@$(BYTECODE)
	$(UNIT)

browser: $(BIN)/.installed-tests chromium
	@$(BYTECODE)
	$(BROWSER)

chromium:
	@command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || \
	  { echo "The browser tests need Debian's chromium: apt-get install chromium chromium-headless-shell"; exit 1; }

# BENCHES="check load" runs only these benchmarks; BENCH_SECONDS is the time limit of each.
BENCH_SECONDS ?= 3600
bench: $(BIN)/.installed-tests  ## speed and memory as ratios, with machine and versions
	@failed=; for file in $(or $(BENCHES:%=tests/benchmarks/bench_%.py),$(sort $(wildcard tests/benchmarks/bench_*.py))); do \
		echo "== $$file"; timeout $(BENCH_SECONDS) $(BIN)/python $$file; \
		case $$? in 0) ;; 2) echo "   not run: it needs arguments";; 124) echo "   ended after $(BENCH_SECONDS) s";; *) failed="$$failed $$file";; esac; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

format: $(BIN)/.installed-tests  ## format the code and apply automatic fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## pin all transitive dependencies
	uv pip compile -q --universal --python-version 3.11 requirements.txt tests/requirements.txt -o constraints.txt --no-header --no-annotate

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make needs Python 3.11 or newer with venv (Debian: apt-get install python3 python3-venv), or name one: make run PYTHON=/path/to/python3"; exit 1; }
	@echo "Making an environment in $(VENV)"
ifneq ($(UV),)
	@$(UV) venv -q --python "$$(command -v $(PYTHON))" $(VENV)
else
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) uv || echo "The registry gives no uv; pip installs"
endif

$(BIN)/.installed: requirements.txt requirements-alone.txt constraints.txt | $(BIN)/python
	@echo "Installing what the dashboard needs (a few minutes the first time)"
	@$(INSTALL) -r requirements.txt -c constraints.txt
	@$(INSTALL) --no-deps -r requirements-alone.txt
	@$(COMPILED)
	@touch $@

$(BIN)/.installed-tests: tests/requirements.txt $(BIN)/.installed
	@$(INSTALL) -r tests/requirements.txt -c constraints.txt
	@$(COMPILED)
	@touch $@

clean:  ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
