"""Mutation testing: break the package in one place, run the tests, and see whether one of them fails.

``python -m tests.mutation FIRST LAST`` tests mutants FIRST to LAST - 1 of all those of ``FOLDERS``, in
a random order that is always the same: any run of them is a random sample. It works on a copy in
``mutants/``, appends a line for each to ``mutants/results.txt`` as soon as it is known, and prints the
survivors. ``python -m tests.mutation FIRST LAST FILE`` tests those of one file.
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
from cosmic_ray.plugins import get_operator, operator_names
from parso.python.tree import Name

FOLDERS = ["orthonorm/core", "orthonorm/gradients", "orthonorm/nn/utils"]
TESTS = ["tests/core", "tests/gradients", "tests/nn"]
DEFINED = ["tests/core/test_definitions.py", "tests/core/test_against_definitions.py",
           "tests/gradients/test_against_definitions.py"]
REST = ["tests/properties", *map(str, sorted(Path().glob("tests/test_*.py")))]
PYTEST = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
EQUIVALENCE = [sys.executable, "-m", "orthonorm", "equivalence"]
NOT_COPIED = shutil.ignore_patterns(".*", "mutants", "build", "dist", "*.egg-info", "__pycache__")
TIMEOUT = 1200  # seconds; the slowest command takes two minutes on a machine of its own
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


def commands(path):
    """List what to run, the likely to fail first. Tests of a layer do not use the layers above it."""
    if path.name == "definitions.py":  # nothing but tests uses it
        return [[*PYTEST, path, DEFINED[0]], [*PYTEST, *DEFINED[1:]]]
    layer = FOLDERS.index(str(path.parent))
    mirrors = layer == 0 and list(Path("tests/core").glob(f"test_{path.stem}.py"))
    tests = mirrors or [TESTS[layer]]
    return [[*PYTEST, path, *tests], EQUIVALENCE, [*PYTEST, *TESTS[layer:], *REST]]


def failure(path):
    """Run the tests of a file until one fails: return which, or None if all pass."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    for command in commands(path):
        try:
            done = subprocess.run(command, env=environment, timeout=TIMEOUT, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired:
            return "timeout"
        if done.returncode:
            failed = re.search(r"^(?:FAILED|ERROR) (.+)$", done.stdout, re.MULTILINE)
            return failed[1] if failed else done.stdout.strip().splitlines()[-1]
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


def main(first, last, *files):
    shutil.rmtree("mutants/copy", ignore_errors=True)
    shutil.copytree(".", "mutants/copy", ignore=NOT_COPIED)
    results = open("mutants/results.txt", "a", buffering=1)
    os.chdir("mutants/copy")
    paths = list(map(Path, files)) or [
        path for folder in FOLDERS for path in sorted(Path(folder).glob("*.py"))]
    whole = failure(paths[0] if files else Path("orthonorm/core/cayley.py"))
    assert not whole, "the tests fail before anything is broken"
    mutants = [mutant for path in paths for mutant in places(path)]
    random.Random(SEED).shuffle(mutants)
    lines = []
    for number, mutant in enumerate(mutants[first:last], first):
        lines.append(f"{number} {test(*mutant)}")
        print(lines[-1], file=results)
    survivors = [line for line in lines if " SURVIVED | " in line]
    print(*survivors, f"{len(lines) - len(survivors)} of {len(lines)} mutants were killed", sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
