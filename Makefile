# Every target makes the virtual environment that it needs; nothing is installed outside this folder.
# `make` alone lists the targets.

# The first Python >= 3.11 on the PATH, or the one you name: make PYTHON=/path/to/python3 ...
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
# Pinned so that a failing test is ours. Another build: make clean, then make TORCH='torch==2.12.0' test
TORCH ?= torch==2.13.0
# Processes that run tests, each on one core; JOBS=0 runs them in one, for a debugger
JOBS ?= 2
# Arguments for pytest or the benchmark: make test ARGS='-k windows', make bench ARGS=--quick
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check bench bench-peers experiment-cnes docs clean

help: ## List the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: .venv-demo/installed ## Mask a simulated scene with the embedded model (core install, no torch)
	.venv-demo/bin/undercast demo

test: .venv-test/installed ## Run the tests (with torch)
	OMP_NUM_THREADS=1 .venv-test/bin/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

check: .venv-test/installed ## Lint, check format, types and the floors
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy
	.venv-test/bin/lint-imports

bench: .venv-bench/installed ## Measure speed and memory, beside peers; make bench ARGS=--quick to try it
	.venv-bench/bin/python benchmarks/bench.py $(ARGS)
	.venv-bench/bin/python benchmarks/mlstac.py $(ARGS)

bench-peers: .venv-bench/installed ## The same at full size beside more peers, resumable; ARGS='--list' names the parts
	.venv-bench/bin/python benchmarks/peers.py $(ARGS)
	.venv-bench/bin/python benchmarks/peers.py --page

experiment-cnes: .venv-bench/installed ## The experiment of docs/experiment-cnes.md; ARGS='--data FOLDER' adds the real part
	.venv-bench/bin/python benchmarks/cnes.py $(ARGS)
	.venv-bench/bin/python benchmarks/cnes_page.py build/cnes/cnes.json docs

docs: .venv-test/installed ## Check links in the documentation and run the README's code
	.venv-test/bin/python docs/check.py

clean: ## Remove virtual environments, caches and build output
	rm -rf .venv-demo .venv-test .venv-bench build dist .mypy_cache .pytest_cache .ruff_cache \
	  .import_linter_cache .hypothesis

# The stamps are newer than pyproject.toml, so a second run installs nothing unless it changed.
.venv-demo/installed: INSTALL = -e .
.venv-test/installed: INSTALL = '$(TORCH)' -e '.[test,dev,peers]'
.venv-bench/installed: INSTALL = '$(TORCH)' -e '.[peers,openvino,torch,train,dask]'

.venv-%/installed: pyproject.toml
	@test -n '$(PYTHON)' || { echo 'undercast needs Python >= 3.11 with its venv module (Debian, Ubuntu: apt install python3-venv).' \
	  'Name one with: make PYTHON=/path/to/python3 ...' >&2; exit 1; }
	@echo 'Installing into .venv-$* ...'
	@$(PYTHON) -m venv --clear .venv-$*
	@.venv-$*/bin/python -m pip install --quiet $(INSTALL)
	@touch $@

.PRECIOUS: .venv-%/installed
