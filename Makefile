# Everything runs in .venv, which the targets make when they need it and renew when setup.cfg changes.
# What needs PyTorch runs in .venv-torch, what needs JAX too in .venv-frameworks.
PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help equivalence test lint dist live frameworks clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

equivalence: .venv/installed  ## compare with PyTorch's recorded answers
	.venv/bin/python -m orthonorm equivalence

test: .venv/installed-test  ## run all tests and doctests
	.venv/bin/python -m pytest -q

lint: .venv/installed-lint  ## check style and types
	.venv/bin/python -m flake8 orthonorm tests
	.venv/bin/python -m mypy

dist: .venv/installed-dist  ## build the wheel and the source archive
	.venv/bin/python -m build --outdir dist

live: .venv-torch/installed-torch  ## compare with the answers of PyTorch itself on fresh inputs
	for seed in 1 2 3; do .venv-torch/bin/python -m orthonorm equivalence --live --seed $$seed || exit; done
	.venv-torch/bin/python -m tests.live.checkpoints

frameworks: .venv-frameworks/installed-frameworks  ## check notebooks/frameworks.rst in PyTorch and JAX
	.venv-frameworks/bin/python -m pytest -q --override-ini addopts= tests/live

clean:  ## remove environments, builds and caches
	rm -rf .venv .venv-torch .venv-frameworks build dist *.egg-info .pytest_cache .mypy_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv .venv-torch .venv-frameworks:
	$(PYTHON) -m venv $@

.venv/installed: setup.cfg pyproject.toml | .venv
	.venv/bin/python -m pip install --quiet --editable .
	@touch $@

# installed-NAME: the package with its extra NAME.
.venv/installed-%: setup.cfg pyproject.toml | .venv
	.venv/bin/python -m pip install --quiet --editable '.[$*]'
	@touch $@

.venv-torch/installed-%: setup.cfg pyproject.toml | .venv-torch
	.venv-torch/bin/python -m pip install --quiet --editable '.[$*]'
	@touch $@

.venv-frameworks/installed-%: setup.cfg pyproject.toml | .venv-frameworks
	.venv-frameworks/bin/python -m pip install --quiet --editable '.[$*]'
	@touch $@

.SECONDARY:
