"""Mutation testing: break the package in one place, run the tests, and see whether one of them fails.

``python -m tests.mutation FIRST LAST NAME`` tests mutants FIRST to LAST - 1 of one of ``PACKAGES``, or
of one file, in a random order that is always the same: any run of them is a random sample. Several
NAMEs are tested one after the other. It works on a copy in ``mutants/``, appends a line for each mutant
to ``mutants/results.txt`` as soon as it is known, and prints the survivors.

The line says which suite of tests kills. Property tests run last, so that they kill only what nothing
else does. What needs PyTorch runs in ``.venv-torch``, or with the Python that TORCH_PYTHON names.
"""
from contextlib import suppress
from itertools import islice
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from parso.python.tree import Name

# The folders or files of each package, the tests that are its own, and other tests that use it.
PACKAGES = {
    "core": ("orthonorm/core", "tests/core", "tests/gradients tests/nn tests/test_*.py"),
    "gradients": ("orthonorm/gradients", "tests/gradients", "tests/nn tests/test_*.py"),
    "nn/utils": ("orthonorm/nn/utils orthonorm/nn/utils/parametrizations", "tests/nn",
                 "tests/test_*.py"),
    "nn": ("orthonorm/nn orthonorm/nn/functional", "tests/nn",
           "tests/test_[bdft]*.py tests/test_optim*.py tests/checkpoints/test_parametrized.py"),
    "func": ("orthonorm/func.py", "tests/test_func*.py",
             "tests/nn tests/test_[bdt]*.py tests/test_fa*.py tests/test_optim*.py"),
    "optim": ("orthonorm/optim", "tests/test_optim*.py tests/test_muon.py", "tests/test_[bdft]*.py"),
    "checkpoints": ("orthonorm/checkpoints", "tests/checkpoints", "tests/test_[bdm]*.py"),
    "equivalence": ("orthonorm/equivalence orthonorm/equivalence/cases", "tests/equivalence",
                    "tests/test_a*.py tests/test_m*.py"),
    "conformance": ("orthonorm/conformance", "tests/conformance", "tests/test_main.py"),
}
# The tests that are likeliest to fail, where they are not called test_NAME.py.
LIKELY = {"cells": "recurrent", "recurrence": "recurrent", "state": "module", "tree": "module",
          "trilinear": "linear", "arrays": "linear", "padding": "convolution", "adam": "optim",
          "optimizer": "optim", "sgd": "optim", "case": "report", "functions": "report",
          "layers": "report", "optimizers": "report", "parametrizations": "report",
          "programs": "report", "libraries": "report", "training": "runs", "adapters": "judge",
          "asking": "judge", "questions": "judge", "report": "judge", "worker": "judge"}
DEFINED = ["tests/core/test_definitions.py", "tests/core/test_against_definitions.py",
           "tests/gradients/test_against_definitions.py"]
FUZZ = "tests/checkpoints/test_fuzz.py"
PROPERTIES = {"checkpoints": FUZZ, **dict.fromkeys(["optim", "equivalence", "conformance"])}
TORCH = Path(os.environ.get("TORCH_PYTHON", ".venv-torch/bin/python")).absolute()
LIVE = {"equivalence": ["tests/live/test_compare_modules.py", "tests/live/test_recordings.py"],
        "conformance": ["tests/live/test_judge.py"], "checkpoints": ["tests/live/test_older_files.py"]}
PYTEST = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
IN_TORCH = [TORCH, *PYTEST, "--override-ini", "addopts="]
NOT_COPIED = shutil.ignore_patterns(".*", "mutants", "build", "dist", "*.egg-info", "__pycache__")
TIMEOUT = 300  # seconds; the slowest command takes one minute on a machine of its own
SEED = 20261125


class Remove:
    """Replace a statement by ``pass``, or a keyword argument by none: what cosmic-ray lacks."""

    def mutation_positions(self, node):
        statement = node.type == "simple_stmt" and node.children[0].type in (
            "expr_stmt", "atom_expr", "raise_stmt")
        if statement or node.type == "argument" and node.children[1] == "=":
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        nothing = "pass\n" if node.type == "simple_stmt" else "**{}"
        return Name(nothing, node.start_pos, node.get_first_leaf().prefix)


# Without bit operators, which floating-point numbers lack, and the two that want names of variables.
OPERATORS = [Remove()] + [get_operator(name)() for name in sorted(operator_names())
                          if not re.search("Shift|Bit|Variable", name)]


def places(path):
    """List the operators that apply to a file, each with the number of the place."""
    nodes = list(ast_nodes(get_ast(path.read_text())))
    return [(path, operator, number) for operator in OPERATORS
            for number in range(sum(len(list(operator.mutation_positions(node))) for node in nodes))]


def is_program(path, operator, place):
    """Whether a mutant compiles, and without a warning: ``**options`` becomes ``//options``."""
    try:
        with warnings.catch_warnings(action="error"):
            compile(mutate_code(path.read_text(), operator, place), path, "exec")
    except SyntaxError:
        return False
    return True


def paths(patterns, ending=""):
    """List what the patterns match, those in folders that end so."""
    found = [path for pattern in patterns.split() for path in sorted(Path().glob(pattern))]
    return [file for path in found for file in
            (sorted(path.glob(ending)) if ending and path.is_dir() else [path])]


def commands(path):
    """List the suites with what to run, the likely to fail first."""
    if path.name == "definitions.py":  # nothing but tests uses it
        return [("own tests", [sys.executable, *PYTEST, path, DEFINED[0]]),
                ("own tests", [sys.executable, *PYTEST, *DEFINED[1:]])]
    name, (folders, own, others) = next(
        (name, package) for name, package in PACKAGES.items()
        if path in paths(package[0], "*.py"))
    names = {f"test_{path.stem}.py", f"test_{LIKELY.get(path.stem)}.py"}
    likely = [test for test in paths(own, "**/test_*.py") if test.name in names]
    live = [("live", [*IN_TORCH, *LIVE[name]])] if name in LIVE else []
    properties = PROPERTIES.get(name, "tests/properties")
    return [*(live if path.stem in ("modules", "record") else []),  # nothing else uses them
            ("own tests", [sys.executable, *PYTEST, path, *likely]),
            ("equivalence", [sys.executable, "-m", "orthonorm", "equivalence"]),
            ("own tests", [sys.executable, *PYTEST, f"--ignore={FUZZ}", *paths(folders), *paths(own)]),
            ("other tests", [sys.executable, *PYTEST, *paths(others)]), *live,
            *([("property tests", [sys.executable, *PYTEST, properties])] if properties else [])]


def run(command):
    """Run a command, end what it started, and return its exit status, None at timeout, and output."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
                   "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # which would take half of the time
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        with suppress(subprocess.TimeoutExpired):
            process.wait(TIMEOUT)
        status = process.poll()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        said.seek(0)
        return status, said.read()


def failure(path):
    """Run the tests of a file until one fails: return which, or None if all pass."""
    for suite, command in commands(path):
        status, said = run(command)
        if status != 0:
            failed = re.search(r"^(?:FAILED|ERROR) (.+)$", said, re.MULTILINE)
            last = said.strip().splitlines()[-1:] or [f"exit status {status}"]
            return f"{suite}: {'timeout' if status is None else failed[1] if failed else last[0]}"
    return None


def test(path, operator, place):
    """Test one mutant: return a line that says what kills it, and what was changed."""
    original = path.read_text()
    mutated = mutate_code(original, operator, place)
    path.write_text(mutated)
    killer = failure(path)
    path.write_text(original)
    number, before, after = next(
        (number, before.strip(), after.strip()) for number, (before, after)
        in enumerate(zip(original.splitlines(), mutated.splitlines()), 1) if before != after)
    outcome = f"killed by {killer}" if killer else "SURVIVED"
    return f"{outcome} | {path}:{number} {type(operator).__name__} | {before}  ->  {after}"


def main(first, last, *names):
    Path("mutants").mkdir(exist_ok=True)
    results = open("mutants/results.txt", "a", buffering=1)
    with tempfile.TemporaryDirectory(dir=Path("mutants").absolute()) as folder:
        shutil.copytree(".", folder, ignore=NOT_COPIED, dirs_exist_ok=True)
        os.chdir(folder)
        for name in names:
            files = paths(PACKAGES[name][0], "*.py") if name in PACKAGES else [Path(name)]
            broken = failure(files[-1])
            assert not broken, f"the tests fail before anything is broken: {broken}"
            mutants = [mutant for path in files for mutant in places(path)]
            random.Random(SEED).shuffle(mutants)
            programs = (mutant for mutant in mutants if is_program(*mutant))
            lines = []
            for number, mutant in enumerate(islice(programs, first, last), first):
                lines.append(f"{name} {number} {test(*mutant)}")
                print(lines[-1], file=results)
            survivors = [line for line in lines if " SURVIVED | " in line]
            killed = len(lines) - len(survivors)
            print(*survivors, f"{name}: {killed} of {len(lines)} mutants were killed", sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
