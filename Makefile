# Everything runs from a virtual environment of its own; nothing is installed elsewhere.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# More than a machine with two cores has: some tests wait for servers and processes.
WORKERS ?= 3
TYPESCRIPT := tests/integrations/fastapi/typescript
# Many tests start programs, which would all compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test versions audit docs example browser bench scaling endurance pumping mutants fuzz lint workflows release-check catalogues countries format clean

help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

demo: $(VENV)/demo.done ## Start the demo site and the SMS sandbox on this machine
	@$(BIN)/python -m otpverify demo

test: $(if $(OTPVERIFY_TEST_LONG),$(VENV)/typescript.done,$(VENV)/test.done) ## Run the test suite
	$(BIN)/python -m pytest -n $(WORKERS) --maxschedchunk 12

versions: $(VENV)/versions.done ## Run the tests on every version of Python, with the lowest and newest packages
	WORKERS=$(WORKERS) $(BIN)/nox $(addprefix --session=,$(SESSION))

audit: $(VENV)/versions.done ## Look for advisories about the lowest versions of the dependencies
	$(BIN)/nox --session audit

docs: $(VENV)/docs.done ## Build the pages of docs/ as a site in build/docs
	$(BIN)/python -m sphinx -q -b html -W --keep-going docs build/docs
	@echo 'Open build/docs/index.html in a browser.'

APP ?= flask_app
ARGS ?=
example: $(VENV)/examples.done ## Start an example: make example APP=flask_app
	@$(BIN)/python examples/$(APP)/main.py $(ARGS)

browser: $(VENV)/dev.done ## Run the tests in a real browser, and keep screenshots
	OTPVERIFY_TEST_LONG=1 $(BIN)/python -m pytest -n $(WORKERS) tests/browser

bench: $(VENV)/dev.done $(VENV)/hiredis ## Measure against a floor on a real server
	cd tests && for part in operations counts clients memory concurrency tutorial imports fraud_accounts; do \
		echo; ../$(BIN)/python -m benchmarks.$$part || exit 1; done

scaling: $(VENV)/dev.done ## Measure one server, Sentinel and a cluster, and what moving slots does
	cd tests && ../$(BIN)/python -m benchmarks.scaling

endurance: $(VENV)/dev.done ## Load real servers while parts fail, and count every promise (MINUTES=60)
	cd tests && ../$(BIN)/python -m endurance.run --minutes $(MINUTES)

pumping: $(VENV)/dev.done ## Simulate SMS pumping: what it costs, and whom the protection refuses
	cd tests && ../$(BIN)/python -m benchmarks.pumping

GROUP ?=
SAMPLE ?= 50
SEED ?= 1
mutants: $(VENV)/mutants.done ## Count the small changes of the code that no test notices
	cd tests && ../$(BIN)/python -m mutation $(GROUP) --sample $(SAMPLE) --seed $(SEED) --workers $(WORKERS)

MINUTES ?= 60
fuzz: $(VENV)/fuzz.done ## Fuzz all that reads what strangers write: make fuzz MINUTES=60
	cd tests && ../$(BIN)/python -m fuzz.run --minutes $(MINUTES) --seed $(SEED)

# Apart from the other packages: redis-py would use it wherever it finds it.
$(VENV)/hiredis: $(VENV)/dev.done
	$(BIN)/python -m pip install --quiet --target $@ 'hiredis>=3.2'

lint: $(VENV)/dev.done ## Check types, style and formatting
	$(BIN)/mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python tests/helpers/type_completeness.py

workflows: $(VENV)/pip.done ## Check the workflows of .github
	$(BIN)/python -m pip install --quiet --group workflows
	$(BIN)/zizmor --offline --pedantic --quiet .github/workflows

TAG ?=
release-check: $(VENV)/test.done ## Build a release in dist, check it, and say what is left to decide
	$(BIN)/python -m pip install --quiet --group release
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist . >/dev/null
	$(BIN)/python -m twine check --strict dist/*
	OTPVERIFY_TEST_LONG=1 OTPVERIFY_TEST_DIST='$(CURDIR)/dist' $(BIN)/python -m pytest -q tests/test_distribution.py
	$(BIN)/python tests/helpers/release.py $(TAG)

catalogues: $(VENV)/dev.done ## Extract the pages' texts, update the .po files, compile the .mo files
	cd tests/helpers && ../../$(BIN)/python catalogues.py $(LANGUAGES)

countries: $(VENV)/dev.done ## Make the numbering plans of the pages' script from phonenumbers
	cd tests/helpers && ../../$(BIN)/python countries.py

format: $(VENV)/dev.done ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## Remove the virtual environment and all caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .artefacts .nox
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Depends on the interpreter, so that an environment whose Python is gone is made anew.
$(VENV)/pip.done: | $(BIN)/python
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not here; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "otpverify needs Python 3.11 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/demo.done: pyproject.toml $(VENV)/pip.done | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/examples.done: pyproject.toml $(VENV)/pip.done | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[async,celery,demo,django,fastapi,flask]' --group examples
	@touch $@

$(VENV)/test.done: pyproject.toml $(VENV)/pip.done | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[async,celery,cli,demo,django,fastapi,flask,otel,prometheus]' --group test
	@touch $@

$(VENV)/dev.done: pyproject.toml $(VENV)/pip.done | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[async,celery,cli,demo,django,fastapi,flask,otel,prometheus]' --group dev
	@touch $@

$(VENV)/fuzz.done: pyproject.toml $(VENV)/dev.done
	$(BIN)/python -m pip install --quiet --group fuzz
	@touch $@

# In a folder of its own, which git ignores. The lock file says which packages, by their hashes.
$(VENV)/typescript.done: $(wildcard $(TYPESCRIPT)/package*.json) $(VENV)/dev.done
	$(BIN)/python -m pip install --quiet --group typescript
	mkdir -p build/typescript
	cp $(TYPESCRIPT)/package*.json build/typescript
	$(BIN)/npm ci --prefix build/typescript --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(VENV)/mutants.done: $(VENV)/test.done
	$(BIN)/python -m pip install --quiet --group mutants
	@touch $@

$(VENV)/versions.done: pyproject.toml $(VENV)/pip.done | $(BIN)/python
	$(BIN)/python -m pip install --quiet --group versions
	@touch $@

$(VENV)/docs.done: pyproject.toml $(VENV)/pip.done | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[async]' --group docs
	@touch $@
