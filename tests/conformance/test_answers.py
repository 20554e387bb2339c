"""Files of answers, from right ones to hostile ones."""
import json
import os
from pathlib import Path
import tracemalloc

import numpy as np
import pytest

from orthonorm import conformance
from orthonorm.__main__ import main
from orthonorm.conformance import ConformanceError, judge
from orthonorm.conformance.answers import read
from orthonorm.core import definitions

ASKED = {question.id: question for question in conformance.questions("cayley", "float64")}
FIRST = next(id for id, question in ASKED.items() if question.arguments["X"].shape == (1, 1))


def as_program(lines, of):
    """Answer lines of JSON as a program in another language does: from their text alone."""
    for line in lines:
        test = json.loads(line)
        X, *_ = test["arguments"].values()
        floats = np.array([float(x) for x in X["data"]], "f4" if X["dtype"] == "float32" else "f8")
        X = floats.reshape(X["shape"])
        try:
            Q = of(X)
        except Exception as error:
            yield {"id": test["id"], "error": str(error)}
            continue
        data = [str(x).replace("nan", "NaN") if np.isnan(x) else float(x) for x in Q.ravel()]
        yield {"id": test["id"],
               "answer": {"dtype": Q.dtype.name, "shape": list(Q.shape), "data": data}}


@pytest.fixture
def write(tmp_path):
    def written(lines):
        path = tmp_path / "answers.jsonl"
        path.write_bytes(b"".join(
            (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines))
        return str(path)
    return written


def asked_lines(capsys, *options):
    assert main(["conformance", "questions", *options]) == 0
    return capsys.readouterr().out.splitlines()


def test_questions_out_answers_in(write, capsys):
    """The round trip of a program in another language: it passes, its broken twin does not."""
    lines = asked_lines(capsys, "--operation", "cayley", "--dtype", "float32")
    assert len(lines) > 30 and all(json.loads(line).keys() == {"id", "operation", "arguments"}
                                   for line in lines)
    path = write(as_program(lines, definitions.cayley))
    assert main(["conformance", "judge", path]) == 0
    assert "cayley     float32" in capsys.readouterr().out
    path = write(as_program(lines, lambda X: definitions.cayley(-X)))
    assert main(["conformance", "judge", path]) == 1
    assert "FAIL cayley/float32/" in capsys.readouterr().out


def test_a_missing_answer_is_wrong_and_what_has_none_is_not_asked(write, capsys):
    lines = list(as_program(asked_lines(capsys, "--operation", "cayley", "--dtype", "float64"),
                            definitions.cayley))
    report = judge(write(lines[1:]))
    assert [(v.question.id, v.message) for v in report.failures] == [
        (lines[0]["id"], "there is no answer to it")]
    assert {(row.operation, row.dtype) for row in report.rows()} == {("cayley", "float64")}
    lines[0] = {"id": lines[0]["id"], "error": "NotImplementedError: stacks"}
    report = judge(write(lines))
    assert report.passed and report.rows()[0].not_offered == 1


RIGHT = {"dtype": "float64", "shape": [1, 1], "data": [1.0]}


@pytest.mark.parametrize("change, said", [
    ({"dtype": "float32"}, "returns float32[1, 1], expected is float64[1, 1]"),
    ({"dtype": 7}, "returns 7[1, 1], expected is float64[1, 1]"),
    ({"shape": [1]}, "returns float64[1], expected is float64[1, 1]"),
    ({"shape": [10**30, 1]}, f"returns float64[{10**30}, 1], expected is float64[1, 1]"),
    ({"data": ["NaN"]}, "there is NaN in the answer"),
    ({"data": ["-Infinity"]}, "off by inf times the effect of rounding"),
    ({"data": [1e308]}, "times the effect of rounding"),
], ids=str)
def test_an_answer_that_can_be_read_and_is_wrong(write, change, said):
    report = judge(write([{"id": FIRST, "answer": RIGHT | change}]))
    message, = [v.message for v in report.failures if v.question.id == FIRST]
    assert said in message


@pytest.mark.parametrize("line, said", [
    (b"", "Expecting value"),
    (b"\xff\xfe", "can't decode byte"),
    (b"[]", "not of the form"),
    (b"{}", "not of the form"),
    ({"id": 3, "answer": RIGHT}, "not of the form"),
    ({"id": FIRST}, "not of the form"),
    ({"id": "nothing", "answer": RIGHT}, "no question has the id 'nothing'"),
    ({"id": "x" * 10**5, "answer": RIGHT}, "no question has the id 'xxxx"),
    ({"id": FIRST, "answer": None}, "TypeError"),
    ({"id": FIRST, "answer": 3}, "TypeError"),
    ({"id": FIRST, "answer": {}}, "KeyError: 'shape'"),
    ({"id": FIRST, "answer": RIGHT | {"shape": None}}, "TypeError"),
    ({"id": FIRST, "answer": RIGHT | {"shape": [1.0, 1]}}, "not a list of lengths"),
    ({"id": FIRST, "answer": RIGHT | {"data": [1.0, 2.0]}}, "cannot reshape"),
    ({"id": FIRST, "answer": RIGHT | {"data": ["one"]}}, "'one' is no number"),
    ({"id": FIRST, "answer": RIGHT | {"data": [True]}}, "True is no number"),
    ({"id": FIRST, "answer": RIGHT | {"data": [[1.0]]}}, "[1.0] is no number"),
    ({"id": FIRST, "answer": RIGHT | {"data": 5}}, "TypeError"),
    ({"id": FIRST, "answer": RIGHT | {"data": [10**400]}}, "OverflowError"),
    (b'{"id": "%s", "answer": {"dtype": "float64", "shape": [1, 1], "data": [NaN]}}' % FIRST.encode(),
     'NaN is no JSON; write it as the string "NaN"'),
    (b'{"id": ' + b"9" * 5000 + b"}", "4300 digits"),
    (b"[" * 900_000, "RecursionError"),
    (b'{"id": ' * 100_000, "RecursionError"),
    (b"1" * 1_000_001, "longer than 1000000 bytes"),
], ids=lambda x: str(x)[:40])
def test_a_line_that_cannot_be_read_is_one_line_and_exit_status_2(write, capsys, line, said):
    path = write([line, {"id": FIRST, "answer": RIGHT}])
    assert main(["conformance", "judge", path]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith(f"orthonorm: {path}, line 1: "), error[:300]
    assert said in error and len(error) < 600


def test_two_answers_to_one_question(write):
    line = {"id": FIRST, "answer": RIGHT}
    with pytest.raises(ConformanceError, match=f"line 2: the second answer to {FIRST}"):
        judge(write([line, line]))


def test_a_file_without_answers_and_no_file(write, capsys, tmp_path):
    assert main(["conformance", "judge", write([])]) == 2
    assert "has no answers" in capsys.readouterr().err
    assert main(["conformance", "judge", str(tmp_path / "none.jsonl")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_a_huge_file_takes_little_memory(write):
    """One line of 100 MB: a hundredth of it is read."""
    path = Path(write([b"[" + b"0," * 50_000_000]))
    tracemalloc.start()
    with pytest.raises(ConformanceError, match="longer than"):
        read(path, ASKED)
    assert tracemalloc.get_traced_memory()[1] < 3e6
    tracemalloc.stop()


def test_mutated_lines_are_read_or_refused(write):
    """Bytes are changed, cut out and doubled at random; what comes is answers or a ConformanceError."""
    rng = np.random.default_rng(0)
    answered = [{"id": id, "answer": RIGHT | {
        "shape": list(question.high[0].shape), "data": question.high[0].ravel().tolist()}}
        for id, question in list(ASKED.items())[:2]]
    original = b"\n".join(json.dumps(line).encode() for line in answered)
    refused = 0
    count = int(os.environ.get("FUZZ_INPUTS", 300))
    for _ in range(count):
        text = bytearray(original)
        for _ in range(rng.integers(1, 4)):
            at, length = rng.integers(len(text)), rng.integers(1, 10)
            kind = rng.integers(3)
            if kind == 0:
                text[at] = rng.choice(list(b'0123456789[]{}",:.eE+-naN \x00\xff'))
            elif kind == 1:
                del text[at:at + length]
            else:
                text[at:at] = text[at:at + length] * rng.integers(1, 5)
        try:
            replies = read(Path(write([bytes(text)])), ASKED)
            assert replies.keys() <= ASKED.keys()
        except ConformanceError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 0.1 < refused / count < 0.99
