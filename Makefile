# Signloom: `make demo` runs everything on the demo corpus, `make test` tests it, `make help` lists the rest.
PYTHON ?= python3.11
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
TORCH := torch==2.13.0
# a local folder of wheels that pip is set to look in is good for uv too
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint lock dvc adopt demo-corpus clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(VENV)/.locked: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(TORCH)
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --require-hashes -r requirements.lock
	@touch $@

setup: $(VENV)/.locked ## build the locked environment in .venv

lock: ## resolve requirements.in again (torch and its CUDA libraries stay out: their builds differ by machine)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  $$(uv pip compile --quiet --universal --python-version 3.11 --no-header requirements.in \
	     | grep -oE '^(nvidia|cuda|triton|torch)[a-z0-9._-]*==' | sort -u | sed 's/==//; s/^/--no-emit-package /') \
	  requirements.in -o requirements.lock
