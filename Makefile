# opsnap: `make` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
HDR_JS := tests/hdr_js/node_modules

.DEFAULT_GOAL := help
.PHONY: help run test check bench format docs clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

# One stamp a set of dependencies, renewed when setup.cfg changes.
$(VENV)/.run: setup.cfg pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing opsnap into $(VENV) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@echo "installing what the tests need …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

$(VENV)/.check: $(VENV)/.test
	@echo "installing what the checks need …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,check]'
	@touch $@

# Another implementation of HdrHistogram. Where it cannot be installed its one test is skipped and
# says so; the gate takes no skip.
$(HDR_JS)/.installed: tests/hdr_js/package-lock.json
	@if command -v npm >/dev/null; then \
	    echo "installing another decoder of histograms …"; \
	    npm ci --prefix tests/hdr_js --no-audit --no-fund --loglevel=error >/dev/null && touch $@ || true; \
	fi

$(VENV)/.bench: $(VENV)/.test
	@echo "installing what is measured beside …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,bench]'
	@touch $@

run: $(VENV)/.run ## start the demo platform, the daemon and the page; Ctrl-C stops all
	@$(BIN)/opsnap demo

test: $(VENV)/.test $(HDR_JS)/.installed ## install what the tests need and run them all
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.check ## ruff, mypy strict, the import contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.bench ## print the figures of speed and size as ratios in one run
	@$(BIN)/python -m bench

format: $(VENV)/.check ## put the code into its form
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

docs: $(VENV)/.run ## write the reference of the configuration anew
	@$(BIN)/python -m config.reference > docs/CONFIGURATION.md

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info $(HDR_JS)
