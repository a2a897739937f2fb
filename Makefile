# make demo | test | fuzz | check | docs | mutants | clean.  PYTHON=/path/to/python3.11 chooses the interpreter; OUT=dir the demo's folder.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= out/demo
JOBS ?= 2
# PyBullet has wheels for CPython 3.11 and older.
PYTHON ?= $(shell for p in python3.11 python3.10; do "$$p" -c 'import venv, ensurepip' >/dev/null 2>&1 && command -v "$$p" && break; done)

.PHONY: help demo test test-slow fuzz check docs mutants clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help:
	@echo "make demo      render, pretrain, fine-tune, measure, report: sized for 15 minutes on two free cores, into $(OUT)"
	@echo "make test      the tests, on $(JOBS) processes: under ten minutes"
	@echo "make test-slow the few tests that take longest: kills, a cluster, trainings to the end"
	@echo "make fuzz      the tests that draw their inputs, with forty times the examples: an hour"
	@echo "make check     ruff, mypy --strict, the import rules, and the documentation without a warning"
	@echo "make docs      the documentation as a site, in out/docs"
	@echo "make mutants   change the code in one place at a time and print what no test notices (MODULE=hybrid.losses.matcher)"
	@echo "make clean     remove $(VENV) and caches (out/ stays)"

$(STAMP): pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
	  echo "error: no python3.11 or python3.10 with venv found. PyBullet has wheels for these alone." >&2; \
	  echo "       Install one (Debian: apt-get install python3.11 python3.11-venv) or say PYTHON=/path/to/python3.11" >&2; exit 2; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 11))' || { \
	  echo "error: $(PYTHON) is not Python 3.10 or 3.11, which PyBullet needs" >&2; exit 2; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@echo "installing into $(VENV), once: some minutes and some GB"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@# TrackEval declares opencv-python, which overwrites the headless build's files; all else that it needs is there
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "trackeval>=1.3"
	@echo "No system package is needed: PyBullet renders in software, OpenCV is headless."
	@$(BIN)/python -c 'from simgen.renderers.gl.context import create_context, describe; print("renderer pbr runs here:", describe(create_context()))' 2>/dev/null || \
	  echo "renderer pbr does not run here (tiny does): apt-get install libegl1 libgl1-mesa-dri would add it"
	@touch $@

demo: $(STAMP)
	$(BIN)/python -m pipelines.demo --out $(OUT) $(ARGS)

# One thread a process. Bytecode is kept, whatever the environment says: without it each of the processes compiles all
# tests again, for 25 s. A file's tests stay in one process, so that what they share is made once; conftest.py has the
# long files begin first.
PYTEST = OMP_NUM_THREADS=1 LP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test: $(STAMP)
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: $(STAMP)
	$(PYTEST) -m slow $(ARGS)

fuzz: $(STAMP)
	OMP_NUM_THREADS=1 LP_NUM_THREADS=1 FUZZ_EXAMPLES=2000 \
	  $(BIN)/python -m pytest -n $(JOBS) -m hypothesis --hypothesis-profile fuzz $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(SPHINX)

# -W: a warning is an error
SPHINX = $(BIN)/sphinx-build -q -W --keep-going -c docs -d out/docs-cache . out/docs
docs: $(STAMP)
	$(SPHINX)
	@echo "out/docs/index.html"

# Hours for all of it, minutes for a module. A run that was stopped goes on. docs/mutants.md tells what survives and why.
MODULE ?= *
mutants: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[mutants]"
	OMP_NUM_THREADS=1 LP_NUM_THREADS=1 $(BIN)/python tests/mutants.py --module "$(MODULE)" --jobs $(JOBS) $(ARGS)

clean:
	rm -rf $(VENV) mutants .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
