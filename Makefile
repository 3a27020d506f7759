# Signloom: `make demo` runs everything on the demo corpus, `make test` tests it, `make help` lists the rest.
# the Python to use; without one, tools/find_python.sh finds it
PYTHON ?=
# as the user's PATH has it: recipes look into the environment first
GIVEN := $(if $(PYTHON),$(or $(shell command -v "$(PYTHON)"),$(PYTHON)))
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
TORCH := $(shell sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)
# uv also uses pip's local folder of wheels and pip's index
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
# every job starts a Python: where it may not write bytecode, it would compile all libraries again, for seconds
export UV_COMPILE_BYTECODE := 1
# threads that spin while waiting slow each other down on a busy machine
export OMP_WAIT_POLICY ?= PASSIVE
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help made_anew setup backbones store demo test test-all bench lint audit lock dvc env schema docs adopt pull verify demo-corpus clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

# its programs name the folder that it was made in (older ones do not say which), and it has one Python,
# which an upgrade of the system may have taken away
MADE_IN := $(shell cat $(VENV)/.locked 2>/dev/null)
VERSION = import sys; print(sys.version)
HAS := $(shell $(BIN)/python -c '$(VERSION)' 2>/dev/null)
ifneq "$(MADE_IN)" ""
ifneq "$(MADE_IN)" "$(realpath $(VENV)/..)"
OTHER := yes
endif
ifeq "$(HAS)" ""
OTHER := yes
endif
endif
ifneq "$(GIVEN)" ""
ifneq "$(HAS)" "$(shell '$(GIVEN)' -c '$(VERSION)' 2>/dev/null)"
OTHER := yes
endif
endif

# make an environment with uv; an existing one is kept, unless it is of another folder or Python or was not
# finished: what a kill left half there counts as installed
define make_venv
	@test ! -L $(1) || { echo "error: $(1) is a link to an environment of another folder, which has other versions; remove the link" >&2; exit 1; }
	@test -z "$(GIVEN)$(OTHER)" -a -e $(1)/.locked || { \
	  python="$$(sh tools/find_python.sh "$(GIVEN)")" && "$$python" -m venv --clear $(1); }
	PIP_USER=0 $(1)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
endef

# compiled once: every job is a process of its own, and some machines never keep what Python compiles
LOCKED = $(BIN)/uv pip install --compile-bytecode --python $(BIN)/python --no-deps --require-hashes -r requirements.lock

# pyproject.toml names torch and the commands; the dry run fails before anything is touched, as without a network
$(VENV)/.locked: requirements.lock pyproject.toml $(if $(OTHER),made_anew)
	$(call make_venv,$(VENV))
	@$(LOCKED) --quiet --dry-run
	@rm -f $@
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(TORCH)
	$(LOCKED)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@(cd -P $(VENV)/.. && pwd) > $@

# folders of their own, which only tests use: a torchvision that does not fit torch breaks transformers, and
# Snakemake loads every plugin that it finds whenever it starts
$(VENV)/%/.locked: requirements-%.lock $(VENV)/.locked
	@rm -rf $(@D)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target $(@D) --no-deps --require-hashes -r $<
	@touch $@

setup: $(VENV)/.locked ## build the locked environment in .venv

# the compiled requirements, without torch and the libraries that its builds require
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --no-header pyproject.toml
TORCH_AND_ITS_OWN = grep -oE '^((nvidia|cuda|triton)[a-z0-9._-]*|torch)==' | sort -u | sed 's/==//; s/^/--no-emit-package /'
MAIN_EXTRAS := --extra train --extra workflow --extra dev

# what an extra needs beyond requirements.lock
define lock_apart
	$(COMPILE) --extra $(1) $$($(COMPILE) --extra $(1) | $(TORCH_AND_ITS_OWN)) \
	  $$(grep -oE '^[a-z0-9._-]+==' requirements.lock | sort -u | sed 's/==//; s/^/--no-emit-package /') \
	  -c requirements.lock --generate-hashes -o requirements-$(1).lock
endef

lock: ## resolve pyproject.toml again, and keep versions that still fit
	$(COMPILE) $(MAIN_EXTRAS) $$($(COMPILE) $(MAIN_EXTRAS) | $(TORCH_AND_ITS_OWN)) \
	  --generate-hashes -o requirements.lock
	$(call lock_apart,backbones)
	$(call lock_apart,store)

demo: setup ## build models, metrics and report from the demo videos with Snakemake, and record them in DVC
	@git rev-parse --git-dir >/dev/null 2>&1 || { echo "error: DVC records the demo in a git repository, and this folder is none; run git init, or build without DVC: snakemake --cores all" >&2; exit 1; }
	@snakemake --cores $(CORES)
	@$(MAKE) --no-print-directory adopt
	@python -m tools.summary

adopt: setup ## record Snakemake's products in DVC; refused while Snakemake has work left
	python -m engines.adopt $(if $(PRESET),--preset $(PRESET))

COMMA := ,
pull: PRESET_FILE = $(if $(PRESET),config/presets/$(subst $(COMMA),-,$(PRESET))/dvc.yaml,dvc.yaml)
pull: setup ## fetch products from the DVC remote (PRESET=name: of a preset), and mark them as up to date in Snakemake
	@diff=$$(python -m engines.dvc_yaml --check $(if $(PRESET),--preset $(PRESET))) || { test -z "$$diff" || echo "error: $(PRESET_FILE) is not what the rules give now; run make dvc$(if $(PRESET), PRESET=$(PRESET))" >&2; exit 1; }
	dvc pull $(PRESET_FILE)
	@dvc status --quiet $(PRESET_FILE) || { dvc status $(PRESET_FILE); echo "error: products differ from dvc.lock; put back what is deleted, or run dvc repro $(PRESET_FILE) instead" >&2; exit 1; }
	@python -m engines.restored $(if $(PRESET),--preset $(PRESET))

verify: setup ## compare all products with what their stages wrote
	python -m engines.verify

backbones: setup ## install torchvision and pytorchvideo for the other networks of `clip_features.backbone`
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --require-hashes -r requirements-backbones.lock
	$(BIN)/python -c "import torchvision" || { echo "error: install the torchvision that fits your torch" >&2; exit 1; }

store: setup ## install the plugin that keeps products in object storage (S3)
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --require-hashes -r requirements-store.lock

test: setup $(VENV)/backbones/.locked $(VENV)/store/.locked ## run the linters and all tests except the long ones
	@$(MAKE) --no-print-directory lint
	python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-all: test ## run `make test`, then the tests that take minutes each
	python -m pytest -m long

bench: setup ## compare the speed of single parts with benchmarks/table.csv: ten minutes
	python -m benchmarks.bench

lint: setup ## run the linters and compare dvc.yaml with the rules
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile rules
	snakemake --lint
	lint-imports --no-logo
	python -m engines.dvc_yaml --check

audit: setup ## licences of the locked packages, and their known faults (asks a database on the network)
	python -m tools.licences
	uv tool run pip-audit==2.10.1 --requirement requirements.lock --no-deps --disable-pip

dvc: setup ## write dvc.yaml from the rules (PRESET=name: config/presets/name/dvc.yaml)
	python -m engines.dvc_yaml $(if $(PRESET),--preset $(PRESET))

env: setup ## write environment.yml from pyproject.toml and the locks
	python -m engines.conda_env

schema: setup ## write config/params.schema.json from the typed parameters
	python -m engines.params_schema

docs: setup ## build the documentation site in build/site
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --quiet
	@echo "open build/site/index.html; its search needs: python -m http.server --directory build/site"

demo-corpus: ## render the demo corpus again (in its own environment, .venv-corpus)
	$(call make_venv,.venv-corpus)
	.venv-corpus/bin/uv pip install --quiet --python .venv-corpus/bin/python $(TORCH)
	.venv-corpus/bin/uv pip install --quiet --python .venv-corpus/bin/python --extra corpus -r pyproject.toml -c requirements.lock
	@touch .venv-corpus/.locked
	.venv-corpus/bin/python -m demo_corpus --output data/demo --check

clean: ## delete all products; the environment and the metrics stay
	rm -rf build/* build/.[!.]* .snakemake
