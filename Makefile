# The one command surface, the same for people and for CI. Every target makes the virtual
# environment and installs what it needs, so each works as the first command after a clone.
#
# On ordinary Linux, PyPI's torch brings several GB of CUDA libraries. For the CPU-only build:
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
# PyTorch alone comes from that index. With pip's --extra-index-url any package could come from it, and who
# puts one there under a name that we need, and a higher version, has it installed.

PYTHON ?= python3
PIP_ARGS ?=
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check
VERIFIED := $(INSTALL) --no-deps --require-hashes
DEMO := runs/demo
PROPOSED := runs/proposed
RELEASE := runs/release
PYTEST_ARGS ?=
BESIDE := benchmarks docs studies tools
SAMPLE ?= 10
SEED ?= 0
STEPS ?=

# One thread each: networks this small lose time to thread hand-overs, and two processes share
# the cores.
export OMP_NUM_THREADS := 1
# Tests start a hundred processes: code is compiled once, and not in each of them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install pinned demo wheel submissions results retrain pages study test check check-all lint types contract docs bench wheels audit sbom release-check clean

help: ## Show this list.
	@grep -E '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml deploy/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV); that takes some minutes, most of them for PyTorch."
	$(if $(TORCH_INDEX),$(INSTALL) --no-deps --index-url $(TORCH_INDEX) torch torchvision)
	$(INSTALL) $(PIP_ARGS) --editable ".[dev]" --editable "deploy[dev]"
	@touch $(STAMP)

install: $(STAMP) ## Make the virtual environment and install the project into it.

# The second line adds what PyPI's torch needs of NVIDIA, in the versions that torch itself names.
pinned: $(STAMP) ## Install the versions that trained the table's rows, file by file as their hashes say.
	$(VERIFIED) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) --requirement leaderboard/torch.txt
	$(INSTALL) $(PIP_ARGS) --editable ".[dev]" --editable "deploy[dev]"
	$(VERIFIED) --requirement leaderboard/constraints.txt

# Trained, they are played on the table's seeds; a run's folder holds all that is written of it.
demo: $(STAMP) ## Train a spiking agent and its ANN twin, put score and operations side by side.
	rm -rf $(DEMO)
	$(BIN)/snn-gym train ppo-lif-dynamics CartPole-v1 --out $(DEMO)/ppo-lif-dynamics
	$(BIN)/snn-gym train ppo-mlp CartPole-v1 --out $(DEMO)/ppo-mlp
	$(BIN)/snn-gym compare $(DEMO)/ppo-lif-dynamics $(DEMO)/ppo-mlp --env CartPole-v1 --save $(DEMO)/compare.png
	@echo
	@echo "Written: $(DEMO)/ppo-lif-dynamics and $(DEMO)/ppo-mlp, the agents; $(DEMO)/compare.png, their learning curves."
	@echo "Try next, after . $(BIN)/activate:"
	@echo "  snn-gym watch $(DEMO)/ppo-lif-dynamics --save $(DEMO)/film.gif"
	@echo "  snn-gym plot $(DEMO)/ppo-lif-dynamics"
	@echo "  snn-gym pretrained --env CartPole-v1"
	@echo "  snn-gym train ppo-lif-dynamics Acrobot-v1"

wheel: $(STAMP) ## Build the wheel, dist/snn_gym-VERSION-py3-none-any.whl.
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir dist .

submissions: $(STAMP) ## Verify what lies under submissions/ beside a copy of the leaderboard.
	PATH="$(abspath $(BIN)):$$PATH" .ci/submissions $(PROPOSED)

# A run goes on where it stopped, and one whose row exists is passed over.
results: $(STAMP) ## Train, submit and verify the runs of the plan that have no row yet (days).
	$(BIN)/python -m snn_gym.sweeps leaderboard/plan.toml --nice 19

# Rows are bit-equal only under the versions that they were trained by.
retrain: pinned ## Train SAMPLE % of the table's rows again by their recipes, drawn by SEED.
	$(BIN)/snn-gym verify --retrain --sample $(SAMPLE) --seed $(SEED) --processes 2

pages: $(STAMP) ## Write what shows rows anew: table, cards, README, findings, pages of studies.
	$(BIN)/snn-gym table > /dev/null
	$(BIN)/python docs/write_cards.py
	$(BIN)/python -m typer snn_gym.cli utils docs --name snn-gym --title "The command line" --output docs/guide/commands.md
	$(BIN)/python -m studies.pays
	$(BIN)/python -m studies.locomotion report
	$(BIN)/python -m studies.claims

# Every run that is in its table is passed over; the report is written from whatever runs there are.
study: $(STAMP) ## Run what is missing of the studies (days), write their pages in docs/.
	for study in dynamics local eprop lean; do \
		$(BIN)/python -m studies.$$study run && $(BIN)/python -m studies.$$study report || exit 1; \
	done

# The core and all that it promises. `check` adds what stands beside it, and the tests marked `check`:
# whole trainings, commands, pictures, packages, stored rows and reference scores.
test: $(STAMP) ## Run the tests of the core (without the slow ones and those marked `check`).
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not check" $(BESIDE:%=--ignore=tests/%) $(PYTEST_ARGS)

lint: $(STAMP) ## Check style and formatting, and the Containerfile.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint Containerfile

types: $(STAMP) ## Check types.
	$(BIN)/mypy

contract: $(STAMP) ## Check that imports point one way.
	$(BIN)/lint-imports

check: lint types contract ## What CI runs: lint, types, import contract, all tests but the slow ones.
	$(BIN)/python -m pytest -n 2 --dist worksteal tests deploy/tests $(PYTEST_ARGS)

# Pages are written from cards, rows and docstrings; a warning is an error. Nothing is fetched.
docs: $(STAMP) ## Build the documentation site, docs/_build/html/index.html.
	$(BIN)/python -m sphinx -E -q -W --keep-going -d docs/_build/doctrees docs docs/_build/html

check-all: lint types contract ## The same with the slow tests, which build the documentation site.
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "slow or not slow" tests deploy/tests $(PYTEST_ARGS)

wheels: $(STAMP) ## Install the wheel into each Python that is supported and is here, and use it.
	$(BIN)/python -m pytest -m slow -rs tests/test_wheel.py

audit: $(STAMP) ## Check that rows, weights and table are what was verified.
	$(BIN)/snn-gym verify --check

# The tool has an environment of its own, so that it does not list itself.
sbom: $(STAMP) ## Write what is installed as a software bill of materials (CycloneDX), dist/sbom.json.
	$(PYTHON) -m venv $(VENV)/sbom
	$(VENV)/sbom/bin/pip install --quiet --disable-pip-version-check "cyclonedx-bom>=7,<8"
	mkdir -p dist
	$(VENV)/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.json $(BIN)/python

# STEPS are some of check, wheels, docs, audit, sbom and retrain, all by default; SAMPLE and SEED are those of retrain.
release-check: ## Do in a clone of this commit all that a release needs (hours), say what passed.
	$(PYTHON) .ci/release.py $(RELEASE) $(STEPS)

# What is made once (a trained and a lean agent, compiled peers) is kept in runs/bench.
bench: $(STAMP) ## Measure speed beside other libraries, write docs/speed.md.
	$(INSTALL) $(PIP_ARGS) --editable ".[dev,bench]"
	$(BIN)/python -m benchmarks run
	$(BIN)/python -m benchmarks report

clean: ## Remove the virtual environment, caches and runs of the demo.
	rm -rf $(VENV) $(DEMO) $(PROPOSED) $(RELEASE) build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
