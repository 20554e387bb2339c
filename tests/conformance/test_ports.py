"""Ports to JavaScript and C that know nothing but the vector files: the broken ones fail."""
import json
from pathlib import Path
import re
import shutil
import subprocess

import pytest

from orthonorm.conformance import judge
from orthonorm.conformance.questions import VECTORS, read

PORTS = Path(__file__).with_name("ports")
OPERATIONS = ("cayley", "cayley_vjp", "power_iteration")
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
needs_cc = pytest.mark.skipif(not shutil.which("cc"), reason="cc is not installed")

# A twin differs in one place, in JavaScript and in C.
TWINS = {
    "transpose of A": ("A[j][i] = -X[i][j]", "A[j][i] = X[i][j]",
                       "A[j * n + i] = -(A[i", "A[j * n + i] = (A[i"),
    "sign of the gradient": ("entry(i, j) : 0", "-entry(i, j) : 0",
                             "+= J[i * k + l] * K[j * k + l] -", "+= -J[i * k + l] * K[j * k + l] +"),
    "no eps": ("Math.max(Math.hypot(...x), eps)", "Math.hypot(...x)", "fmax(norm, e)", "norm"),
    "one iteration less": ("i = 0; i < iterations", "i = 1; i < iterations",
                           "; i > 0; i--", "; i > 1; i--"),
    "always one matrix": ("own = arrays.map(x => matrix(numbers(x).slice(i * n * k, (i + 1) * n * k)",
                          "own = arrays.map(x => matrix(numbers(x).slice(0, n * k)",
                          "X.data + at,", "X.data,"),
    "always tall": ("n >= k ? own :", "true ? own :", "tall ? k : 1, tall ? 1 : k,", "k, 1,"),
}


def twin(name, kind):
    """Return the source of a port, broken in one place unless the name is ""."""
    source = (PORTS / f"port.{kind}").read_text()
    if name:
        old, new = TWINS[name][:2] if kind == "mjs" else TWINS[name][2:]
        assert source.count(old) == 1
        source = source.replace(old, new)
    return source


def run_javascript(source, folder):
    path = folder / "port.mjs"
    path.write_text(source)
    return subprocess.run(["node", path, VECTORS], capture_output=True, text=True, timeout=60)


def judge_c(source, folder):
    (folder / "port.c").write_text(source)
    subprocess.run(["cc", "-O2", "-o", "port", "port.c", "-lm"], cwd=folder,
                   check=True)
    with (folder / "answers.jsonl").open("w") as answers:
        for operation in OPERATIONS:
            with (VECTORS / f"{operation}.json").open() as questions:
                subprocess.run(["./port"], cwd=folder, stdin=questions, stdout=answers, check=True,
                               timeout=60)
    return judge(folder / "answers.jsonl")


@needs_node
def test_javascript_is_right(tmp_path):
    done = run_javascript(twin("", "mjs"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(" questions, 0 wrong\n")
    assert int(done.stdout.split()[0]) > 200


@needs_node
@pytest.mark.parametrize("name", TWINS)
def test_a_broken_twin_in_javascript_is_wrong(tmp_path, name):
    done = run_javascript(twin(name, "mjs"), tmp_path)
    assert done.returncode == 1 and "FAIL" in done.stdout, done.stdout + done.stderr


@needs_cc
def test_c_is_right(tmp_path):
    report = judge_c(twin("", "c"), tmp_path)
    assert report.passed, report
    assert [(row.operation, row.dtype) for row in report.rows()] == [
        (operation, "float64") for operation in OPERATIONS]


@needs_cc
@pytest.mark.parametrize("name", TWINS)
def test_a_broken_twin_in_c_is_wrong(tmp_path, name):
    assert not judge_c(twin(name, "c"), tmp_path).passed


def test_each_question_stands_on_a_line():
    """So that a program needs no parser; see the page on the format, whose examples are questions."""
    ids = set()
    for operation in OPERATIONS:
        path = VECTORS / f"{operation}.json"
        tests = [line for line in path.read_text().splitlines() if line.startswith('{"id":"')]
        assert [json.loads(line.rstrip(",]}\n") + "}")["id"] for line in tests] == [
            question.id for question in read(path)]
        ids |= {question.id for question in read(path)}
    page = (VECTORS / "README.rst").read_text()
    examples = re.findall(r'"id": "(.*?)"', page)
    assert len(examples) == 2 and ids.issuperset(examples)


@pytest.mark.parametrize("kind", ["mjs", "c"])
def test_ports_are_short(kind):
    assert len((PORTS / f"port.{kind}").read_text().splitlines()) < 120
