# Setting up and checking. `make` alone says what there is.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

# pip 25.3 and later read the second name for what a build needs, earlier ones the first for both.
export PIP_CONSTRAINT       := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# What a machine may lack decides what runs here; `test-all` skips with a reason instead.
QUICK := not slow and not browser and not root and not gpu

# One stamp per set of packages, so that the second time is quick. The larger set makes both.
CORE := $(VENV)/.installed-core
ALL  := $(VENV)/.installed-all

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint docs study study-policies clean distclean

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-22s%s\n", $$1, $$2}'

demo: $(CORE) ## Set up the core, run scenarios/delivered.yaml, print the path of its report
	@$(BIN)/testbed run scenarios/delivered.yaml $(ARGS)

test: $(ALL) ## Set up everything and run the quick tests (ARGS="-k word" for some of them)
	@$(BIN)/python -m pytest -n 2 -m "$(QUICK)" $(ARGS)

test-all: $(ALL) ## Run every test that this machine can run
	@$(BIN)/python -m pytest -n 2 $(ARGS)

lint: $(ALL) ## Check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(ALL) ## Check that the manual's links, commands and examples hold
	@$(BIN)/python -m pytest -q tests/test_repository.py -k manual $(ARGS)

study: $(ALL) ## Repeat the study of the detectors, what is missing of it: docs/detector-study.md, its tables and figures
	@$(BIN)/python analysis/scenes/scores.py
	@$(BIN)/python analysis/scenes/variants.py $(ARGS)
	@$(BIN)/python analysis/scenes/figures.py --out docs/detector-study
	@$(BIN)/python analysis/scenes/page.py

study-policies: $(ALL) ## Repeat the study of policies, both halves: docs/study.md, its tables and figures
	@$(BIN)/python analysis/policy_study.py $(ARGS)

clean: ## Remove builds and caches; runs/ and .venv/ stay
	rm -rf build dist site .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## Remove .venv/ as well
	rm -rf $(VENV)

# A Python that can do it: the one in .venv, else $(PYTHON), from which .venv is made.
OLD_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
define ready_venv
	@$(BIN)/python -c '$(OLD_ENOUGH)' 2>/dev/null && $(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	  $(PYTHON) -c '$(OLD_ENOUGH)' 2>/dev/null || { \
	    echo "Python 3.11 or later is needed, and '$(PYTHON)' is not." >&2; \
	    echo "Name one that is: make demo PYTHON=/path/to/python3.11" >&2; exit 3; }; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "'$(PYTHON)' cannot make virtual environments: it lacks the module venv." >&2; \
	    echo "On Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 3; }; \
	  $(PYTHON) -m venv --clear $(VENV); }
endef

$(CORE): pyproject.toml constraints.txt
	$(ready_venv)
	@echo "Installing the core into $(VENV) (once; a minute or two)"
	@$(PIP_INSTALL) -e .
	@touch $(CORE)

$(ALL): pyproject.toml constraints.txt
	$(ready_venv)
	@echo "Installing everything into $(VENV) (once; a few minutes)"
	@$(PIP_INSTALL) -e '.[dev,traces,detect,emulate,rl]'
	@touch $(CORE) $(ALL)
