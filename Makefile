# vpp-gateway: `make` shows what there is.
#
# A stamp in .stamps/ says that a step of the preparation is done; it is taken again only when the files it
# depends on change. With current stamps no target asks apt, pip or npm for anything, so all of it works offline.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
STAMPS := .stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

# Interpreter for .venv: `make PYTHON=python3.12 test`; by default the first of these that fits.
PYTHON ?=
PYTHON_CANDIDATES := python3.11 python3.12 python3.13 python3
# At least 3.11, with the parts that Debian packs apart (python3-venv); 3.14 is not tested yet, ask for it by name.
PYTHON_FITS := import sys, venv, ensurepip; sys.exit(not ((3, 11) <= sys.version_info < ($(if $(PYTHON),4,3, 14),)))

# Sources of the operator page; a change in them builds it anew.
PAGE := $(shell find vpp_gateway/console/ui -name node_modules -prune -o -type f -print 2>/dev/null)
BUILD := pyproject.toml constraints.txt $(wildcard hatch_build.py) $(PAGE)

# Names given on the command line
ARGS ?=
ONLY ?=

##@ Run
.PHONY: demo
demo: $(STAMPS)/run ## the demo: a simulated world and the real gateway (ARGS="..." goes to `vpp-gateway demo`)
	@exec $(BIN)/vpp-gateway demo $(ARGS)

##@ Prove
.PHONY: test
test: lint ## style, types, import law and all tests but the soak
	@$(BIN)/python -m pytest -m "not soak" $(ARGS)

.PHONY: lint
lint: $(STAMPS)/dev ## style, types and import law only
	@set -x
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: bench
bench: $(STAMPS)/dev ## the benchmarks (ONLY=name for one); figures also in bench.json
	@exec $(BIN)/python -m tests.bench $(ONLY) $(ARGS)

.PHONY: soak
soak: $(STAMPS)/dev ## the long campaigns, marked `soak`
	@exec $(BIN)/python -m pytest -m soak $(ARGS)

##@ Keep
.PHONY: dist
dist: $(STAMPS)/dev ## wheel and sdist into dist/
	@exec $(BIN)/python -m build --no-isolation --outdir dist .

.PHONY: clean
clean: ## remove everything that was made here: environment, page, caches, outputs
	@rm -rf .venv $(STAMPS) dist build bench.json demo.json .hypothesis
	rm -rf vpp_gateway/console/static vpp_gateway/console/ui/node_modules *.egg-info
	find . \( -name .git -o -name node_modules \) -prune -o -type d \( -name __pycache__ -o -name .mypy_cache \
	    -o -name .ruff_cache -o -name .pytest_cache -o -name .import_linter_cache \) -prune -exec rm -rf {} +

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " }
	    /^##@ / { printf "\n%s\n", substr($$0, 5) }
	    /^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# --- Preparation -----------------------------------------------------------------------------------------------

# $(call provide,COMMANDS) installs the system package behind each missing command, and nothing else.
# A word is command[|other command...]=package[+package...]; `python-ok` stands for a fitting interpreter.
define provide
find_python() {
    for candidate in $(or $(PYTHON),$(PYTHON_CANDIDATES)); do
        if "$$candidate" -c '$(PYTHON_FITS)' 2>/dev/null; then echo "$$candidate"; return; fi
    done
    return 1
}
have() {
    if [ "$$1" = python-ok ]; then find_python >/dev/null; return; fi
    local IFS='|' command
    for command in $$1; do
        if PATH="$$PATH:/usr/sbin:/sbin" command -v "$$command" >/dev/null; then return 0; fi
    done
    return 1
}
missing=() packages=()
for word in $(1); do
    if ! have "$${word%%=*}"; then
        missing+=("$${word%%=*}")
        IFS=+ read -ra more <<<"$${word#*=}"
        packages+=("$${more[@]}")
    fi
done
if [ "$${#missing[@]}" -gt 0 ]; then
    as_root=()
    if [ "$$(id -u)" != 0 ]; then as_root=(sudo); fi
    if ! command -v apt-get >/dev/null || { [ "$${#as_root[@]}" -gt 0 ] && ! command -v sudo >/dev/null; }; then
        echo "Missing on this machine: $${missing[*]} (python-ok: Python 3.11 to 3.13 with venv)." >&2
        echo "Install what Debian 12 calls: $${packages[*]}; then run make again." >&2
        exit 1
    fi
    echo "Installing system packages: $${packages[*]}"
    "$${as_root[@]}" apt-get -qq update
    "$${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends "$${packages[@]}" </dev/null >/dev/null
    for name in "$${missing[@]}"; do
        if ! have "$$name"; then
            echo "$$name is still missing after installing $${packages[*]}." >&2
            exit 1
        fi
    done
fi
endef

NEEDED_TO_RUN := python-ok=python3+python3-venv node=nodejs npm=npm
NEEDED_TO_TEST := 'chromium|chromium-browser|google-chrome=chromium' xmlsec1=xmlsec1 openssl=openssl ip=iproute2 curl=curl

$(STAMPS)/system-run:
	@$(call provide,$(NEEDED_TO_RUN))
	if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 18 ? 0 : 1)'; then
	    echo "node is $$(node --version), but 18 or later is needed to build the operator page." >&2
	    exit 1
	fi
	mkdir -p $(STAMPS)
	touch $@

$(STAMPS)/system-test:
	@$(call provide,$(NEEDED_TO_TEST))
	mkdir -p $(STAMPS)
	touch $@

# An interpreter asked for by name replaces another one's environment.
ifneq ($(PYTHON),)
$(shell mkdir -p $(STAMPS); [ "$$(cat $(STAMPS)/python 2>/dev/null)" = "$(PYTHON)" ] || echo "$(PYTHON)" >$(STAMPS)/python)
PYTHON_ASKED := $(STAMPS)/python
endif

.venv/pyvenv.cfg: $(PYTHON_ASKED) | $(STAMPS)/system-run
	@$(call provide,$(NEEDED_TO_RUN))
	rm -rf .venv $(STAMPS)/run $(STAMPS)/dev
	python=$$(find_python)
	echo "Making .venv with $$("$$python" --version)"
	"$$python" -m venv .venv
	$(PIP) install --constraint constraints.txt hatchling editables

$(STAMPS)/run: $(BUILD) .venv/pyvenv.cfg
	@echo "Installing vpp-gateway and building its page (a minute, once)"
	$(PIP) install --constraint constraints.txt --no-build-isolation --editable .
	mkdir -p $(STAMPS)
	touch $@

$(STAMPS)/dev: $(BUILD) .venv/pyvenv.cfg | $(STAMPS)/system-test
	@echo "Installing vpp-gateway with its test tools and building its page (a minute or two, once)"
	$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	mkdir -p $(STAMPS)
	touch $(STAMPS)/run $@
