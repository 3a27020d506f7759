# Signloom: `make demo` runs everything on the demo corpus, `make test` tests it, `make help` lists the rest.
# your choice of Python; tools/find_python.sh finds one where none is given
PYTHON ?=
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
TORCH := $(shell sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)
# a local folder of wheels that pip is set to look in is good for uv too
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
# threads that wait actively starve each other on a busy machine
export OMP_WAIT_POLICY ?= PASSIVE
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup backbones demo test test-all lint lock dvc env schema docs adopt pull demo-corpus clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

# an environment with uv; one that is there stays, unless a Python is given
define make_venv
	@test -z "$(PYTHON)" -a -x $(1)/bin/python || { \
	  python="$(PYTHON)"; python="$${python:-$$(sh tools/find_python.sh)}" && "$$python" -m venv --clear $(1); }
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
endef

$(VENV)/.locked: requirements.lock
	$(call make_venv,$(VENV))
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(TORCH)
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# apart from the rest, where only the tests look: a torchvision that does not fit torch breaks transformers too
$(VENV)/backbones/.locked: requirements-backbones.lock $(VENV)/.locked
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target $(@D) --no-deps --require-hashes -r $<
	@touch $@

setup: $(VENV)/.locked ## build the locked environment in .venv

# a compiled requirements file, less torch and the libraries that its builds bring
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --no-header pyproject.toml
TORCH_AND_ITS_OWN = grep -oE '^((nvidia|cuda|triton)[a-z0-9._-]*|torch)==' | sort -u | sed 's/==//; s/^/--no-emit-package /'
MAIN_EXTRAS := --extra train --extra workflow --extra dev

lock: ## resolve pyproject.toml again; a version that still fits stays
	$(COMPILE) $(MAIN_EXTRAS) $$($(COMPILE) $(MAIN_EXTRAS) | $(TORCH_AND_ITS_OWN)) \
	  --generate-hashes -o requirements.lock
	$(COMPILE) --extra backbones $$($(COMPILE) --extra backbones | $(TORCH_AND_ITS_OWN)) \
	  $$(grep -oE '^[a-z0-9._-]+==' requirements.lock | sort -u | sed 's/==//; s/^/--no-emit-package /') \
	  -c requirements.lock --generate-hashes -o requirements-backbones.lock

demo: setup ## raw demo videos to models, metrics and report, with Snakemake; then DVC knows the products too
	@snakemake --cores $(CORES)
	@$(MAKE) --no-print-directory adopt
	@python -m tools.summary

adopt: setup ## let DVC take over what Snakemake built; refused while Snakemake has work left
	python -m tools.adopt $(if $(PRESET),--preset $(PRESET))

pull: setup ## fetch products from the DVC remote; then Snakemake knows them too
	dvc pull
	@dvc status --quiet || { echo "error: dvc status is not clean; run dvc repro instead" >&2; exit 1; }
	@snakemake --cores 1 --touch --forceall --quiet all

backbones: setup ## add the networks of `clip_features.backbone` that need torchvision
	uv pip install --no-deps --require-hashes -r requirements-backbones.lock
	python -c "import torchvision" || { echo "error: install the torchvision that fits your torch" >&2; exit 1; }

test: setup $(VENV)/backbones/.locked ## the linters and all tests but the long ones
	@$(MAKE) --no-print-directory lint
	python -m pytest

test-all: test ## `make test`, then the tests that take minutes each
	python -m pytest -m long

lint: setup
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile rules
	snakemake --lint
	python -m tools.dvc_yaml --check

dvc: setup ## write dvc.yaml from the rules (PRESET=name: config/presets/name/dvc.yaml)
	python -m tools.dvc_yaml $(if $(PRESET),--preset $(PRESET))

env: setup ## write environment.yml from pyproject.toml and the locks
	python -m tools.conda_env

schema: setup ## write config/params.schema.json from the typed parameters
	python -m tools.params_schema

docs: setup ## build the documentation site in build/site
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --quiet
	@echo "open build/site/index.html; its search needs: python -m http.server --directory build/site"

demo-corpus: ## render the demo corpus again (in an environment of its own, .venv-corpus)
	$(call make_venv,.venv-corpus)
	.venv-corpus/bin/uv pip install --quiet --python .venv-corpus/bin/python $(TORCH)
	.venv-corpus/bin/uv pip install --quiet --python .venv-corpus/bin/python --extra corpus -r pyproject.toml -c requirements.lock
	.venv-corpus/bin/python -m workflow_scripts.demo_corpus --output data/demo --check

clean: ## delete all products, keep the environment and the metrics
	rm -rf build .snakemake
