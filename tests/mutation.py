"""Mutation testing: break orthonorm in one place, run the tests, and see whether one of them fails.

``python -m tests.mutation FIRST LAST`` tests mutants number FIRST to LAST - 1 of all that cosmic-ray can make of
``FOLDERS``, in a random order that is always the same: any run of them is a random sample. The work is done on a copy
in ``mutants/``; each result is a line of ``mutants/results.txt`` as soon as it is known.
"""
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names
from cosmic_ray.testing import TestOutcome, run_tests
from parso.python.tree import Name

FOLDERS = ["orthonorm/core", "orthonorm/gradients", "orthonorm/nn/utils"]
NOT_COPIED = shutil.ignore_patterns(".*", "mutants", "build", "dist", "*.egg-info", "__pycache__")
SEED = 20261125
TIMEOUT = 600  # seconds; the slowest command below takes two minutes

PYTEST = f"{sys.executable} -m pytest -x -q -p no:cacheprovider"
SUITE = [f"{sys.executable} -m orthonorm equivalence",
         f"{PYTEST} tests/core tests/gradients tests/nn tests/properties {' '.join(map(str, Path().glob('tests/test_*.py')))}"]


class Remove(Operator):
    """Replace a statement by ``pass``, or a keyword argument by none: what cosmic-ray lacks."""

    def mutation_positions(self, node):
        statement = node.type == "simple_stmt" and node.children[0].type in ("expr_stmt", "atom_expr", "raise_stmt")
        if statement or node.type == "argument" and node.children[1] == "=":
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        nothing = "pass\n" if node.type == "simple_stmt" else "**{}"
        return Name(nothing, node.start_pos, node.get_first_leaf().prefix)

    @classmethod
    def examples(cls):
        return ()


# Left out are bit operators, which floating-point numbers do not have, and two that need the names of variables.
OPERATORS = [Remove()] + [get_operator(name)() for name in sorted(operator_names())
                          if not re.search("Shift|Bit|Variable", name)]


def places(path):
    """List the operators that apply to a file, each with the number of the place."""
    nodes = list(ast_nodes(get_ast(path.read_text())))
    return [(path, operator, number) for operator in OPERATORS
            for number in range(sum(len(list(operator.mutation_positions(node))) for node in nodes))]


def mutate(path, operator, number):
    """Return the file's mutated text; None where that is no Python, such as ``2 * not 1``."""
    code = mutate_code(path.read_text(), operator, number)
    try:
        compile(code, path, "exec")
    except SyntaxError:
        return None
    return code


def commands(path):
    """List the commands to try: the tests of this file, PyTorch's recorded answers, then the suite."""
    mirrors = path.parent == Path("orthonorm/core") and sorted(Path("tests/core").glob(f"test_{path.stem}.py"))
    tests = mirrors or [Path("tests", *path.parent.parts[1:])]
    return [f"{PYTEST} {path} {' '.join(map(str, tests))}", *SUITE]


def verdict(path, code):
    """Say which test kills a mutant, or that it survived."""
    original = path.read_text()
    path.write_text(code)
    try:
        for command in commands(path):
            outcome, output = run_tests(command, TIMEOUT)
            if outcome is not TestOutcome.SURVIVED:
                failed = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
                return f"killed by {failed[1] if failed else output.strip().splitlines()[-1:]}"
        return "SURVIVED"
    finally:
        path.write_text(original)


def change(before, after):
    """Show the lines that differ."""
    pairs = zip(before.splitlines(), after.splitlines())
    number, (old, new) = next((n, pair) for n, pair in enumerate(pairs, 1) if pair[0] != pair[1])
    return f"{number}: {old.strip()}  ->  {new.strip()}"


def main(first, last):
    shutil.rmtree("mutants/copy", ignore_errors=True)
    shutil.copytree(".", "mutants/copy", ignore=NOT_COPIED)
    results = open("mutants/results.txt", "a", buffering=1)
    os.chdir("mutants/copy")
    for command in SUITE:  # it has to pass on what is not broken
        subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)
    mutants = [mutant for folder in FOLDERS for path in sorted(Path(folder).glob("*.py")) for mutant in places(path)]
    random.Random(SEED).shuffle(mutants)
    for number, (path, operator, place) in list(enumerate(mutants))[first:last]:
        code = mutate(path, operator, place)
        result = "no Python" if code is None else f"{verdict(path, code)} | {change(path.read_text(), code)}"
        print(f"{number} {path} {type(operator).__name__} {place} | {result}", file=results)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
