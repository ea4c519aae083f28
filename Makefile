# Two commands do everything on a fresh Debian or Ubuntu machine with Rust and Python: `make demo`, `make test`.

.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
FLEMING := target/release/fleming
SYSTEM_PACKAGES := cmake ffmpeg gcc g++ libavfilter-dev libavformat-dev libclang-dev libswscale-dev nasm pkg-config python3-venv valgrind
GENERATED := examples/generated
PACKAGE := models/synthetic

.PHONY: help
help:
	@echo 'make demo   set up what is missing and answer questions about an image, a video and a volume'
	@echo 'make test   set up what is missing and run all tests and checks'
	@echo 'make lint   only the checks: rustfmt, clippy, ruff'
	@echo 'make header writes include/fleming.h and the list of what programs depend on, after a change to src/capi'
	@echo 'make sanitize the C programs under AddressSanitizer, ThreadSanitizer and valgrind'
	@echo 'make setup  only the set-up: system packages, Python environment'

# ── set-up

.PHONY: setup
setup: .make/system $(VENV)/ready

.make/system: Makefile
	@mkdir -p .make
	@missing=$$(for package in $(SYSTEM_PACKAGES); do dpkg -s $$package >/dev/null 2>&1 || echo $$package; done); \
	if [ -n "$$missing" ]; then \
	  echo "installing: "$$missing; \
	  sudo=$$([ $$(id -u) = 0 ] || echo sudo); \
	  $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
	fi
	@touch $@

$(VENV)/ready: .make/system export/pyproject.toml
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable 'export[test]' 'onnxruntime>=1.31'
	@touch $@

# ── the demonstration

$(PACKAGE)/fleming.json: $(VENV)/ready $(shell find export/fleming_export -name '*.py' 2>/dev/null)
	rm -rf $(GENERATED)/checkpoint
	$(PYTHON) -m fleming_export.synthetic tiny $(GENERATED)/checkpoint
	$(PYTHON) -m fleming_export $(GENERATED)/checkpoint $(PACKAGE) --force

# the same checkpoint at smaller precisions, for the tests
$(PACKAGE)-%/fleming.json: $(PACKAGE)/fleming.json
	$(PYTHON) -m fleming_export $(GENERATED)/checkpoint $(PACKAGE)-$* --precision $* --force

# and in the forms of the other targets, in a type that the CPU has too
FORMS := $(PACKAGE)-cuda/fleming.json $(PACKAGE)-tensorrt/fleming.json
$(FORMS): $(PACKAGE)-%/fleming.json: $(PACKAGE)/fleming.json
	$(PYTHON) -m fleming_export $(GENERATED)/checkpoint $(PACKAGE)-$* --target $* --precision f32 --force

# in the type that a GPU keeps keys and values in
$(PACKAGE)-f16/fleming.json: $(PACKAGE)/fleming.json
	$(PYTHON) -m fleming_export $(GENERATED)/checkpoint $(PACKAGE)-f16 --target cuda --precision f16 --force

$(GENERATED)/inputs: $(VENV)/ready
	$(PYTHON) -m fleming_export.synthetic inputs $@

ASK := $(FLEMING) ask --model models/demo
SEEN := target/demo

.PHONY: demo
demo: setup
	cargo build --release
	@echo; echo '── an image: examples/chest.png'
	$(ASK) --image examples/chest.png -q 'Is there a nodule, and on which side?' --trace $(SEEN)/image
	@echo; echo '── two images: which of them shows it?'
	$(ASK) --image examples/fundus.png --image examples/fundus_clear.png -q 'Which of the two shows haemorrhages of the retina?'
	@echo; echo '── a video: examples/clip.mp4, one frame a second'
	$(ASK) --video examples/clip.mp4 -q 'From which side does the instrument enter?' --trace $(SEEN)/video
	@echo; echo '── a volume: examples/volume.npz, 11 of its 32 slices'
	$(ASK) --volume examples/volume.npz -q 'What device is observed on the chest wall?' --trace $(SEEN)/volume
	$(ASK) --volume examples/volume.npz -q 'In which third of the chest is the nodule?'
	@echo; echo 'Look for yourself: $(SEEN)/{image,video,volume}/seen.png show the frames that the model saw.'
	@echo 'It is a small model of drawn pictures (models/demo/README.md). README.md says how to export Fleming-VL.'

# ── tests

.PHONY: lint
lint: setup
	cargo fmt --check
	cargo clippy --quiet --all-targets -- -D warnings
	$(VENV)/bin/ruff check benches export tests
	$(VENV)/bin/ruff format --check benches export tests

# Where FLEMING_REFERENCE names a folder of recorded cases, they are run too; see tests/reference/prepare.py.
.PHONY: reference
reference: $(VENV)/ready
	$(if $(FLEMING_REFERENCE),$(PYTHON) tests/reference/prepare.py $(FLEMING_REFERENCE) target/reference)

.PHONY: test
test: setup lint $(PACKAGE)/fleming.json $(PACKAGE)-int8/fleming.json $(PACKAGE)-int4/fleming.json $(FORMS) $(PACKAGE)-f16/fleming.json $(GENERATED)/inputs reference
	cargo test --quiet
	$(PYTHON) -m pytest -q benches export tests

# ── the C library

.PHONY: header
header: setup
	FLEMING_WRITE_HEADER=1 cargo test --quiet --test it header::
	FLEMING_WRITE_HEADER=1 cargo test --quiet --test it capi::the_binary_interface_is_kept

# Minutes: valgrind is slow. tests/capi/sanitize.sh says what each part shows.
.PHONY: sanitize
sanitize: setup $(PACKAGE)/fleming.json $(GENERATED)/inputs
	cargo build
	tests/capi/sanitize.sh
