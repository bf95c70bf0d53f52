# Everything runs in .venv, which `make setup` makes from nothing; Python ≥ 3.11 and make are all it needs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PEERS := .bench/peers-venv
RECBOLE := .bench/recbole-venv

.PHONY: help setup demo test test-long lint benchmark benchmark-step benchmark-peers benchmark-multivae docs clean

help:
	@echo "make demo            train VAE, GAN, AAE and VAE/GAN on handwritten digits and compare them (about 6 minutes)"
	@echo "make test            the tests (under 10 minutes)"
	@echo "make setup           only .venv with the reparam command"
	@echo "make lint            style and types"
	@echo "make test-long       the tests that take many minutes"
	@echo "make benchmark       the figures that models must reach (hours), benchmark-step: the cost of a step"
	@echo "make benchmark-peers other libraries on the same work, in an environment of its own (about 15 minutes)"
	@echo "make benchmark-multivae RecBole's MultiVAE beside ours: quality, time, memory (about 40 minutes)"
	@echo "make docs            README tables, the command line's page and the JSON schemas, from what they describe"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "reparam needs Python 3.11 or newer; say make PYTHON=python3.12 (this is $$($(PYTHON) -V))"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	# torch first and constrained: a free choice would bring gigabytes of CUDA packages to a CPU machine.
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt --group dev -e ".[measures,tables,text]"
	@touch $@

demo: setup
	rm -rf report
	$(BIN)/reparam compare vae gan aae vae-gan --data digits --budget 60s --out report

# A file goes to one of two workers as a whole: what its tests share is made once.
test: setup
	$(BIN)/python -m pytest -m "not long" -n 2 --dist loadfile

test-long: setup
	$(BIN)/python -m pytest -m long

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

benchmark: setup
	$(BIN)/python benchmarks/figures
	$(BIN)/python benchmarks/step.py
	$(MAKE) docs

benchmark-step: setup
	$(BIN)/python benchmarks/step.py

benchmark-peers: $(PEERS)/.ready
	$(PEERS)/bin/python benchmarks/peers/run.py $(ARGS)

# pythae 0.1.2 is of 2023 and pins nothing; torch first, as above.
$(PEERS)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(PEERS)/bin/python -m pip install --quiet -c constraints.txt torch
	$(PEERS)/bin/python -m pip install --quiet -c constraints.txt pythae==0.1.2
	$(PEERS)/bin/python -m pip install --quiet -c constraints.txt -e ".[measures]"
	@touch $@

benchmark-multivae: setup $(RECBOLE)/.ready
	$(BIN)/python benchmarks/figures/mult_vae.py splits
	$(RECBOLE)/bin/python benchmarks/peers/multivae.py $(ARGS)
	$(BIN)/python benchmarks/figures mult-vae
	$(BIN)/python benchmarks/peers/time_multivae.py

# RecBole 1.2.1 needs these older packages; it asks for none of them by itself.
$(RECBOLE)/.ready: constraints.txt
	$(PYTHON) -m venv $(RECBOLE)
	$(RECBOLE)/bin/python -m pip install --quiet --upgrade "pip>=25.1" "setuptools<81"
	$(RECBOLE)/bin/python -m pip install --quiet -c constraints.txt torch "numpy<2"
	$(RECBOLE)/bin/python -m pip install --quiet -c constraints.txt recbole==1.2.1 \
		"numpy<2" "pandas<2.2" "scipy<1.13" "ray<2.10" "setuptools<81"
	@touch $@

docs: setup
	$(BIN)/python benchmarks/tables.py

clean:
	rm -rf .venv report .bench
