# Everything runs in .venv, and what needs PyTorch in .venv-torch. The targets make these environments when
# they need them, and renew them when setup.cfg changes.
PYTHON ?= python3
MUTANTS ?= 50
PACKAGES ?= core gradients nn/utils nn func optim checkpoints equivalence conformance
PROGRAMS ?= 300
# make live TORCH=2.14.1 compares with that PyTorch, in an environment of its own.
TORCH ?= 2.13.0
LIVE = .venv-torch$(if $(filter-out 2.13.0,$(TORCH)),-$(TORCH))
LESSONS = $(wildcard notebooks/*.ipynb)

.DEFAULT_GOAL := help
.PHONY: help equivalence test coverage test-matrix platform mutation fuzz lint dist live differential bench accuracy frameworks properties conformance-vectors conformance-mutants endurance league notebooks clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

equivalence: .venv/installed  ## compare with PyTorch's recorded answers
	.venv/bin/python -m orthonorm equivalence

test: .venv/installed-test  ## run all tests and doctests
	.venv/bin/python -m pytest -q -n auto

coverage: .venv/installed-coverage  ## run all tests, and say what of the package they do not reach
	.venv/bin/python -m pytest -q -n auto --cov --cov-report=term

test-matrix:  ## run all tests on Python 3.11 to 3.13, with the oldest and the newest packages (10 minutes each)
	.ci/test-matrix

platform: .venv/installed-platform  ## run all tests ten times: random order, traps, one and two threads (40 minutes on 2 cores)
	.ci/platform

mutation: .venv/installed-mutation $(LIVE)/installed-torch  ## break each package in 50 random places, and run the tests (2 hours)
	TORCH_PYTHON=$(LIVE)/bin/python .venv/bin/python -m tests.mutation 0 $(MUTANTS) $(PACKAGES)

properties: .venv/installed-test  ## test what holds for all arguments on many more of them (15 minutes)
	EXAMPLES=2000 FAULT_STEP=1 .venv/bin/python -m pytest -q -n auto tests/properties tests/test_faults.py

conformance-vectors: .venv/installed-conformance  ## compute the questions of orthonorm/conformance anew (10 minutes)
	OMP_NUM_THREADS=1 .venv/bin/python -m tests.conformance.generate
	OMP_NUM_THREADS=1 .venv/bin/python -m tests.equivalence.exact_answers

conformance-mutants: .venv/installed-test  ## judge 260 wrong programs; each must be noticed (2 minutes)
	OMP_NUM_THREADS=1 .venv/bin/python -m tests.conformance.mutants

endurance: .venv/installed  ## train for 200 000 steps and watch the memory (10 minutes)
	OMP_NUM_THREADS=1 .venv/bin/python -m tests.benchmarks.endurance

fuzz: .venv/installed-test  ## read 100 000 hostile checkpoint files, and as many hostile files of answers (20 minutes)
	FUZZ_INPUTS=100000 .venv/bin/python -m pytest -q -n auto --hypothesis-show-statistics tests/checkpoints/test_fuzz.py
	FUZZ_INPUTS=100000 .venv/bin/python -m pytest -q -n auto tests/conformance/test_answers.py -k mutated

lint: .venv/installed-lint  ## check style and types
	.venv/bin/python -m flake8 orthonorm tests
	.venv/bin/python -m mypy

dist: .venv/installed-dist  ## build the wheel and the source archive
	.venv/bin/python -m build --outdir dist

live: $(LIVE)/installed-torch  ## compare with the answers of PyTorch itself on fresh inputs
	for seed in 1 2 3; do $(LIVE)/bin/python -m orthonorm equivalence --live --seed $$seed || exit; done
	$(LIVE)/bin/python -m tests.live.checkpoints

differential: $(LIVE)/installed-torch  ## drive this package and PyTorch through the same 300 random programs
	OMP_NUM_THREADS=1 $(LIVE)/bin/python -m tests.live.versions $(PROGRAMS)

# torch-householder needs a C++ compiler; without it the benchmark says that it is not installed.
bench: .venv-torch/installed-benchmark  ## time this package, PyTorch and JAX side by side (30 minutes)
	-.venv-torch/bin/python -m pip install --quiet --no-build-isolation torch-householder
	.venv-torch/bin/python -m tests.benchmarks
	.venv-torch/bin/python -m tests.benchmarks.limits | tee tests/benchmarks/results/limits.txt

accuracy: .venv-torch/installed-benchmark  ## errors of this package and PyTorch against the exact answer
	OMP_NUM_THREADS=1 .venv-torch/bin/python -m tests.benchmarks.accuracy

frameworks: .venv-torch/installed-frameworks  ## check notebooks/frameworks.rst in PyTorch and JAX
	.venv-torch/bin/python -m pytest -q --override-ini addopts= tests/live

league: .venv/installed-league  ## judge other packages by the questions of orthonorm/conformance (25 minutes)
	.venv/bin/python -m tests.league

notebooks: .venv/installed-notebooks  ## execute the lessons anew
	.venv/bin/python -m jupyter nbconvert --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False $(LESSONS)

# Made of the lessons as they stand, without executing them; notebooks/handouts.py says what each holds.
student: .venv/installed-notebooks  ## the lessons for students, without solutions, each running alone: build/student
	.venv/bin/python notebooks/handouts.py student

solutions: .venv/installed-notebooks  ## the lessons with their solutions in place: build/solutions
	.venv/bin/python notebooks/handouts.py solutions

slides: .venv/installed-notebooks notebooks/book/node_modules  ## the lessons as slides: build/slides
	.venv/bin/python notebooks/handouts.py slides

book: .venv/installed-book notebooks/book/node_modules  ## the book, to be read from a folder: build/book/index.html
	.venv/bin/python -m sphinx --quiet -W --keep-going -d build/doctrees notebooks/book build/book

book-test: book .venv/installed-book  ## open every page of the book in headless Chromium, without network
	.venv/bin/python -m tests.notebooks.book

notebooks/book/node_modules: notebooks/book/package.json
	cd notebooks/book && npm install --no-audit --no-fund
	@touch $@

clean:  ## remove environments, builds and caches
	rm -rf .venv .venv-* build dist notebooks/book/node_modules mutants *.egg-info .pytest_cache .mypy_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv .venv-torch:
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

.venv-torch-%/installed-torch: setup.cfg pyproject.toml
	test -d .venv-torch-$* || $(PYTHON) -m venv .venv-torch-$*
	.venv-torch-$*/bin/python -m pip install --quiet 'torch==$*' --editable '.[live]'
	@touch $@

.SECONDARY:
