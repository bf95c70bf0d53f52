# Everything runs in .venv, which `make setup` makes from nothing; Python ≥ 3.11 and make are all it needs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test test-long lint benchmark benchmark-step docs clean

help:
	@echo "make demo            train VAE, GAN, AAE and VAE/GAN on handwritten digits and compare them (about 6 minutes)"
	@echo "make test            the tests (under 10 minutes)"
	@echo "make setup           only .venv with the reparam command"
	@echo "make lint            style and types"
	@echo "make test-long       the tests that take many minutes"
	@echo "make benchmark       the figures that models must reach (hours), benchmark-step: the cost of a step"
	@echo "make docs            README tables, the command line's page and the JSON schemas, from what they describe"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "reparam needs Python 3.11 or newer; say make PYTHON=python3.12 (this is $$($(PYTHON) -V))"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	# torch first and constrained: a free choice would bring gigabytes of CUDA packages to a CPU machine.
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt --group dev -e ".[measures,tables]"
	@touch $@

demo: setup
	rm -rf report
	$(BIN)/reparam compare vae gan aae vae-gan --data digits --budget 60s --out report

test: setup
	$(BIN)/python -m pytest -m "not long"

test-long: setup
	$(BIN)/python -m pytest -m long

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

benchmark: setup
	$(BIN)/python benchmarks/figures.py
	$(BIN)/python benchmarks/step.py
	$(MAKE) docs

benchmark-step: setup
	$(BIN)/python benchmarks/step.py

docs: setup
	$(BIN)/python benchmarks/tables.py

clean:
	rm -rf .venv report .bench
