# Everything runs in the environment .venv, which the first command creates.
# A stamp file in it remembers what has been installed, so later calls start at once.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python that is new enough and can make an environment, unless the caller names one.
SUITABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
              "$$python" -c '$(SUITABLE)' 2>/dev/null && echo "$$python" && break; done)

VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq
WHEEL  := dist/minicnn.stamp
SOURCE := setup.cfg pyproject.toml LICENSE $(wildcard README.md) \
          $(shell find minicnn models -name __pycache__ -prune -o -print)

# What minicnn is timed against besides PyTorch, each in an environment of its own: they need other
# versions of NumPy. DeZero has no release since 2020.
PEER_dezero     := 'dezero == 0.0.13' 'numpy < 2' matplotlib Pillow
PEER_tensorflow := 'tensorflow-cpu == 2.21.0'

.PHONY: help train test test-all mutants lint style types parity browser bench gpu-check gpu-accuracy wheel-test \
        docs docs-serve notebook tour clean

help:  ## show this list
	@echo 'minicnn: GoogLeNet from scratch in NumPy. Needs Python 3.11 or later; the rest is installed into $(VENV).'
	@echo
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20
	@echo
	@echo 'make train ARGS="--epochs 3" passes options on; make PYTHON=/path/to/python3.12 ... chooses the Python.'

train: $(VENV)/installed  ## train GoogLeNet on the embedded data set, about two minutes on two cores
	$(BIN)/minicnn train --data shapes $(ARGS)

test: $(VENV)/installed-test  ## run the default tests on all cores, under five minutes on two
	$(BIN)/pytest --numprocesses auto --maxprocesses 8 --dist worksteal --durations=10 $(ARGS)

test-all: $(VENV)/installed-test  ## run the slow tests as well, a quarter of an hour or more
	$(BIN)/pytest --durations=10 -m "not gpu and not parity and not browser" $(ARGS)

mutants: $(VENV)/installed-test $(VENV)/installed-mutants  ## break the engine and see whether a test notices; may be stopped
	$(BIN)/python .ci/mutants $(ARGS)

lint: style types  ## check style, format and types

style: $(VENV)/installed-lint  ## check style and format; "ruff check --fix" and "ruff format" mend most of it
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# From outside the checkout, and on what is installed: only there minicnn.models is where users find it.
types: $(VENV)/installed-lint $(WHEEL)  ## check types of the installed package
	@elsewhere=$$(mktemp -d) && trap 'rm -rf "$$elsewhere"' EXIT \
	&& $(PIP) install --no-deps --target "$$elsewhere" dist/*.whl && cd "$$elsewhere" \
	&& "$(CURDIR)/$(BIN)/mypy" --config-file "$(CURDIR)/setup.cfg" \
	       --cache-dir "$(CURDIR)/.mypy_cache/installed" --package minicnn

parity: $(VENV)/installed-test $(VENV)/installed-parity  ## compare with PyTorch and the ONNX operator vectors
	$(BIN)/pytest -m parity $(ARGS)

browser: $(VENV)/installed-test $(VENV)/installed-browser  ## drive the page of minicnn explore in Chromium
	$(BIN)/pytest -m browser tests/browser $(ARGS)

bench: $(VENV)/installed-parity  ## time against PyTorch and DeZero, see benchmarks/README.md; about ten minutes
	@$(MAKE) -s --no-print-directory $(VENV)/peers/dezero/installed \
	|| echo 'DeZero could not be installed (it needs Python 3.12 or older); going on without it' >&2
	$(BIN)/python -m benchmarks compare $(ARGS)

# GPU_PYTHON=python3 takes that Python with the packages it has, and needs no network.
GPU_RESULTS := --output "$(CURDIR)/benchmarks/output/gpu"
GPU_RUN := $(if $(GPU_PYTHON),benchmarks/gpu/offline "$(GPU_PYTHON)",$(BIN)/python -m benchmarks.gpu)

gpu-check: $(if $(GPU_PYTHON),,$(VENV)/installed-gpu)  ## test and measure on a GPU, nine minutes; see benchmarks/README.md
	$(GPU_RUN) check $(GPU_RESULTS) $(ARGS)

gpu-accuracy: $(if $(GPU_PYTHON),,$(VENV)/installed-gpu)  ## train on CIFAR-10 on a GPU with SEED=n, six minutes
	$(if $(SEED),,$(error Which run? make gpu-accuracy SEED=1))
	$(GPU_RUN) accuracy --seed $(SEED) $(GPU_RESULTS) $(ARGS)

docs: $(VENV)/installed-docs  ## make the site of docs/ in site/: open site/index.html; links are checked
	rm -rf site
	$(BIN)/sphinx-build --builder html --fresh-env --fail-on-warning --keep-going --nitpicky --quiet \
	    --doctree-dir build/doctrees $(ARGS) docs site
	$(BIN)/python docs/_site/check_links.py site

docs-serve: docs  ## make the site and show it at http://localhost:8000
	$(BIN)/python -m http.server --bind localhost --directory site 8000

notebook: $(VENV)/installed-notebook  ## run the tour, docs/studying.ipynb, and compare what it prints with the page
	$(BIN)/python docs/notebook.py run

tour: $(VENV)/installed-notebook  ## open the tour as a notebook in JupyterLab
	$(BIN)/jupyter lab docs/studying.ipynb $(ARGS)

wheel-test: $(WHEEL)  ## install the wheel into an empty environment elsewhere and use it
	.ci/wheel-test dist/*.whl $(BIN)/python

clean:  ## remove builds and caches; .venv and trained networks stay
	rm -rf build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find minicnn models tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/created:
	@"$(PYTHON)" -c '$(SUITABLE)' 2>/dev/null || { \
	    echo 'minicnn needs Python 3.11 or later with the venv module (Debian: apt install python3-venv);' >&2; \
	    echo '$(if $(PYTHON),$(PYTHON) is no such Python,none was found). Name one: make PYTHON=/path/to/python ...' >&2; \
	    exit 1; }
	@echo "Creating $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

$(VENV)/installed: setup.cfg pyproject.toml | $(VENV)/created
	@echo 'Installing minicnn and what it needs into $(VENV), which takes a moment'
	@$(PIP) install --editable .
	@touch $@

# installed-test, installed-lint, installed-docs and so on: minicnn with the extra of that name
$(VENV)/installed-%: setup.cfg pyproject.toml | $(VENV)/created
	@echo 'Installing minicnn with the extra "$*" into $(VENV), which takes a moment'
	@$(PIP) install --editable '.[$*]'
	@touch $@

$(VENV)/installed-gpu: setup.cfg pyproject.toml | $(VENV)/created
	@echo 'Installing PyTorch and CuPy, each with its CUDA 13 libraries, into $(VENV): some five gigabytes to download'
	@echo '(make gpu-check GPU_PYTHON=python3 uses a Python that has them, and downloads nothing)'
	@$(PIP) install --editable '.[test,parity,cuda13]'
	@touch $@

$(VENV)/peers/%/installed: | $(VENV)/created
	$(if $(PEER_$*),,$(error $*: expected one of dezero, tensorflow))
	@echo 'Installing $* into $(@D), which takes a moment'
	@$(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check -qq install $(PEER_$*)
	@touch $@

# build/ goes first: setuptools would pack files that lie there from an earlier build.
$(WHEEL): $(SOURCE) | $(VENV)/created
	@rm -rf build dist
	@$(PIP) wheel --no-deps --wheel-dir dist .
	@touch $@
