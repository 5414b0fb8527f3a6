# Two commands do everything: `make run` serves the dashboard, `make test` checks the whole project. PYTHON=… picks the interpreter.
SHELL := /bin/bash
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(shell command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(name))))
VENV ?= .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
PORT ?= 8501
# The interpreters that the wheel is tried with: those of 3.11 and 3.13 that can make an environment, else the one above.
WHEEL_PYTHONS ?= $(or $(foreach name,python3.11 python3.13,$(shell command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys, venv, ensurepip' >/dev/null 2>&1 && command -v $(name))),$(PYTHON))

# pip compiles 36,000 modules one after another; this takes all cores, and leaves out the tests of libraries and packages that nothing here imports.
# Of plotly's 13,600 validators a figure imports a few: these are compiled then.
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check --no-compile
# uv installs on all cores: the machine's, or the one that a new environment gets where the registry gives it. Where uv fails, pip installs.
WITH_UV = $(shell command -v uv || command -v $(BIN)/uv)
INSTALL = install() { $(if $(WITH_UV),$(WITH_UV) pip install -q --python $(BIN)/python "$$@" ||) $(PIP) "$$@"; }; install
# Nothing here imports these, or one test does, which then compiles what it needs of them: a quarter of all.
SELDOM = alembic|altair|django|faker|hive_metastore|huggingface_hub|moto|mypy|mypyc|networkx|onnxruntime/(tools|transformers)|prompt_toolkit|pygments/lexers|pyspark/(ml|mllib|pandas)|rdflib|sqlalchemy|wcwidth
COMPILED = PYTHONWARNINGS=ignore $(BIN)/python -m compileall -qq -j 0 -x '/(tests|plotly/validators|$(SELDOM))/' "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || true

# What Python compiles stays, also where the environment forbids that: the tests start some hundred processes, each of which would compile the project anew.
export PYTHONDONTWRITEBYTECODE :=
BYTECODE = $(BIN)/python -m compileall -q -j 2 app.py observability pages tests/support && $(BIN)/python -m tests.support.rewritten

# Stores of the tests lie in memory where 10 GB of it are free for files: each commit is brought to the disk otherwise, thousands of times.
SCRATCH := $(shell free=$$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1); test "$${free:-0}" -gt 10000000 && echo /dev/shm || echo "$${TMPDIR:-/tmp}")

# Three on two cores: a test waits for a sixth of its time, for processes, for the disk, for what it killed.
UNIT_WORKERS ?= 3
UNIT := $(BIN)/python -m pytest -n $(UNIT_WORKERS) --dist loadfile --durations 12 --no-loadscope-reorder --ignore tests/browser
BROWSER_WORKERS ?= 3
# A busy machine may delay a browser beyond any patience: a browser test that fails runs once more, and says so.
BROWSER := $(BIN)/python -m pytest --reruns 1 -rR -n $(BROWSER_WORKERS) --dist loadfile --no-loadscope-reorder --durations 12 tests/browser

.PHONY: run live test checks tests-in-turn test-long tests wheel wheel-check bench format lint types unit browser chromium lock clean help

help:  ## what can be made
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

checks:  # beside the tests: the types, and the wheel, which waits for downloads
	@$(MAKE) --no-print-directory types && $(MAKE) --no-print-directory wheel-check

tests-in-turn:
	@$(MAKE) --no-print-directory unit && $(MAKE) --no-print-directory browser

tests: $(BIN)/.installed-tests chromium  # the sample fleet is loaded once for both
	@export TMPDIR="$$(mktemp -d -p "$(SCRATCH)")" && export SAMPLE_HOMES="$$TMPDIR" && trap 'rm -rf "$$TMPDIR"' EXIT && $(UNIT) && $(BROWSER)

test-long: $(BIN)/.installed-tests chromium wheel  ## the tests of chance with all their repetitions, and those that only a release needs
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
	env -u TMPDIR $(BIN)/python tests/packaging/wheel_check.py dist/*.whl $(WHEEL_PYTHONS)  # two environments of 2 GB: on the disk

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

# BENCHES="check load" runs some of them; BENCH_SECONDS is the most that one may take.
BENCH_SECONDS ?= 3600
bench: $(BIN)/.installed-tests  ## speed and memory as ratios, with machine and versions
	@failed=; for file in $(or $(BENCHES:%=tests/benchmarks/bench_%.py),$(sort $(wildcard tests/benchmarks/bench_*.py))); do \
		echo "== $$file"; timeout $(BENCH_SECONDS) $(BIN)/python $$file; \
		case $$? in 0) ;; 2) echo "   not run: it needs arguments";; 124) echo "   ended after $(BENCH_SECONDS) s";; *) failed="$$failed $$file";; esac; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

format: $(BIN)/.installed-tests  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## pin what the requirements bring along
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
