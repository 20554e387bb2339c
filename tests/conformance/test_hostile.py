"""Programs, answers and question files that mean harm: a verdict, or one line of error."""
import dataclasses
import importlib
import io
import json
import shutil
import tracemalloc

import numpy as np
import pytest

from orthonorm import conformance
from orthonorm.__main__ import main
from orthonorm.conformance import ConformanceError, judge
from orthonorm.conformance.asking import Reply
from orthonorm.conformance.judge import verdict
from orthonorm.core import definitions

reading = importlib.import_module("orthonorm.conformance.questions")  # whose function has the same name
FIRST = next(conformance.questions("cayley", "float64"))


def messages(function, operation="cayley", dtype="float64"):
    report = judge({operation: function}, operation, dtype)
    assert not report.passed
    return {v.message for v in report.failures}


# -- programs -----------------------------------------------------------------------------------------

class Mute(Exception):
    def __str__(self):
        raise ValueError("no text")


class Panic(BaseException):
    """What a program in Rust raises."""


def raises(error):
    def cayley(X):
        raise error
    return cayley


@pytest.mark.parametrize("error, said", [
    (Mute(), "Mute: its text cannot be had"), (Panic("gone"), "Panic: gone"),
    (MemoryError(), "MemoryError:"),
    (RecursionError("deep"), "RecursionError: deep"), (GeneratorExit(), "GeneratorExit:"),
    (ValueError("a\n\x1b[2J\ud800"), r"ValueError: a \x1b[2J\ud800"),
], ids=lambda x: type(x).__name__ if isinstance(x, BaseException) else "")
def test_whatever_is_raised_is_an_exception_in_printable_words(tmp_path, error, said):
    assert messages(raises(error)) == {said}


def test_ctrl_c_stops_the_judge():
    with pytest.raises(KeyboardInterrupt):
        judge({"cayley": raises(KeyboardInterrupt())})


def test_a_huge_view_takes_no_memory():
    """Of 80 TB, all of them one zero."""
    def huge(X):
        return np.broadcast_to(X.flat[0], (10**13,))

    tracemalloc.start()
    said = messages(huge)
    assert tracemalloc.get_traced_memory()[1] < 5e7
    tracemalloc.stop()
    assert any("returns float64[10000000000000], expected is" in text for text in said)


def test_results_without_end_are_too_many():
    def forever(*arguments):
        while True:
            yield arguments[0]

    assert any(text.startswith("returns float64[") for text in messages(forever, "power_iteration"))


def test_an_argument_is_not_written_to_before_an_exception_either():
    def spoils(X):
        X *= 0
        raise ValueError("no")

    assert messages(spoils) == {"writes to its argument X"}


@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
def test_an_argument_is_not_given_another_shape():
    def reshapes(X):
        Q = definitions.cayley(X)
        X.resize((X.size, 1), refcheck=False)
        return Q

    assert messages(reshapes) == {"writes to its argument X"}


def test_a_result_that_is_written_to_later_is_as_it_was():
    buffer = {}

    def reuses(X):
        Q = buffer.setdefault(X.shape, np.empty_like(X))
        Q[...] = definitions.cayley(X)
        return Q

    assert judge({"cayley": reuses}, "cayley", "float64").passed


def test_what_a_program_does_to_the_traps_of_numpy_does_not_reach_the_judge():
    question = dataclasses.replace(FIRST, high=[np.zeros(2)], low=[np.zeros(2)], tolerance=[10.0])
    with np.errstate(all="raise"):
        assert verdict(question, Reply("arrays", [np.array([3.0, 1e-310])])).outcome == "passed"
        assert verdict(question, Reply("arrays", [np.array([1e308, -1e308])])).outcome == "failed"


def test_nothing_offered_is_nothing_judged(tmp_path, capsys):
    """Else a program that offers nothing passes."""
    with pytest.raises(ConformanceError, match="nothing to judge: dict says .* later"):
        judge({"cayley": raises(NotImplementedError("later"))})
    path = tmp_path / "answers.jsonl"
    ids = [question.id for question in conformance.questions("cayley", "float64")]
    path.write_text("\n".join(json.dumps({"id": id, "error": "NotImplemented"}) for id in ids))
    assert main(["conformance", "judge", str(path)]) == 2
    assert "nothing to judge" in capsys.readouterr().err


FILLS = [0.0, 1.0, 1e308, -1e308, 5e-324, 1e200, 1e-200, 1e16, 1e30, np.inf]


@pytest.mark.parametrize("operation", reading.operations())
def test_whatever_the_numbers_are_there_is_a_verdict(operation):
    for dtype in reading.DTYPES:
        asked = [question for question in conformance.questions(operation, dtype)
                 if question.expect == "value" and question.high[0].size]
        for question in asked[:1]:
            for fill in FILLS:
                with np.errstate(over="ignore"):
                    arrays = [np.full(x.shape, fill).astype(dtype) for x in question.high]
                assert verdict(question, Reply("arrays", arrays)).outcome in ("passed", "failed")


WORKER = """
import os, resource, time
from orthonorm.core import definitions

class Panic(BaseException):
    pass

def spoil():  # what it sends through, whatever its number is
    for number in range(3, 20):
        try:
            os.write(number, bytes([128, 5, 149] + [127] * 90))
        except OSError:
            pass

def cayley(X):
    if X.shape == (1, 1):
        {misdeed}
    return definitions.cayley(X)
"""


@pytest.mark.parametrize("misdeed, said", [
    ("raise Panic('gone')", "Panic: gone"),
    ("raise KeyboardInterrupt", "the process ended with "),
    ("spoil()", "the process "),  # ended, or not yet
    ("os.closerange(3, 20); time.sleep(60)", "the process runs on, and what it sends cannot be read"),
    ("resource.setrlimit(resource.RLIMIT_AS, (4 * 10**9, -1)); bytes(8 * 10**9)", "MemoryError:"),
], ids=["panic", "interrupt", "garbage", "silence", "memory"])
def test_what_a_program_in_its_own_process_does_fails_there_alone(tmp_path, misdeed, said):
    path = tmp_path / "mine.py"
    path.write_text(WORKER.format(misdeed=misdeed))
    report = judge(str(path), "cayley", "float64")
    assert {v.question.arguments["X"].shape for v in report.failures} == {(1, 1)}
    assert all(said in v.message for v in report.failures), report
    assert sum(v.outcome == "passed" for v in report.verdicts) > 10


def test_a_panic_while_loading_is_one_line(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("class Panic(BaseException): pass\nraise Panic('gone')")
    with pytest.raises(ImportError, match="cannot be loaded: Panic: gone$"):
        judge(str(path))


# -- answers ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("line", [
    {"error": "\ud800 \x1b[2J\x07"},
    {"answer": {"dtype": "\ud800\x1b[2J", "shape": [1, 1], "data": [1.0]}},
], ids=["error", "dtype"])
def test_a_report_on_answers_obeys_no_escapes_and_can_be_written(tmp_path, line):
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"id": FIRST.id, **line}))
    text = str(judge(str(path), "cayley", "float64"))
    assert text.replace("\n", "").isprintable() and "\\ud800" in text
    io.TextIOWrapper(io.BytesIO(), "utf-8").write(text)


# -- question files -----------------------------------------------------------------------------------

@pytest.fixture
def spoilt(tmp_path):
    """Return a function that reads cayley.json after its text has been changed."""
    def read(text):
        path = tmp_path / "cayley.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        reading.read.cache_clear()
        return reading.read(path)
    yield read
    reading.read.cache_clear()


def original():
    return json.loads((reading.VECTORS / "cayley.json").read_text())


def changed(**entries):
    """Return the text of the file with entries of its first test replaced."""
    file = original()
    file["tests"][0] |= entries
    return json.dumps(file)


X = {"dtype": "float64", "shape": [1, 1], "data": [1.0]}


@pytest.mark.parametrize("text, said", [
    (b"", "Expecting value"),
    (b"\xff", "UnicodeDecodeError"),
    (b"[" * 10**6, "RecursionError"),
    (b'{"tests": ' * 10**5, "RecursionError"),
    (b" " * 20_000_001, "larger than 20000000 bytes"),
    (lambda: json.dumps(original())[:-1000], "JSONDecodeError"),
    (lambda: json.dumps(original() | {"operation": "householder"}), "another operation"),
    (lambda: json.dumps(original() | {"tests": original()["tests"][:1] * 2}), "the same id"),
    (lambda: json.dumps(original() | {"limit": float("inf")}), "no length"),
    (lambda: json.dumps(original() | {"limit": 0}), "no length"),
    (lambda: json.dumps(original() | {"limit": -1}), "no length"),
    (lambda: changed(tolerance=float("inf")), "no length"),
    (lambda: changed(tolerance=float("nan")), "no length"),
    (lambda: changed(tolerance=-1.0), "no length"),
    (lambda: changed(tolerance="NaN"), "no length"),
    (lambda: changed(tolerance="1"), "'1' is no number"),
    (lambda: changed(arguments={}), "no array among its arguments"),
    (lambda: changed(arguments={"X": X | {"data": [10**400]}}), "OverflowError"),
    (lambda: changed(arguments={"X": X | {"shape": [10**9, 10**9]}}), "cannot reshape"),
    (lambda: changed(arguments={"X": X | {"shape": [10**30]}}), "Error"),
    (lambda: changed(arguments={"X": X | {"dtype": "object"}}), "dtype is 'object'"),
    (lambda: changed(answer={"high": X, "low": X | {"shape": [1]}}), "lacks what is expected"),
    (lambda: changed(expect="refusal", tolerance=None), "lacks what is expected"),
    (lambda: changed(judged_by="hypnosis"), "lacks what is expected"),
    (lambda: changed(expect="always"), "lacks what is expected"),
], ids=lambda x: x if isinstance(x, str) else "")
def test_a_spoilt_file_of_questions_is_one_line(spoilt, text, said):
    with pytest.raises(ConformanceError) as caught:
        spoilt(text() if callable(text) else text)
    message = str(caught.value)
    assert "is no file of questions: " in message and said in message
    assert "\n" not in message and len(message) <= 400


def test_a_right_file_is_read(spoilt):
    assert len(spoilt(json.dumps(original()))) == len(original()["tests"])


def test_mutated_files_of_questions_are_read_or_refused(spoilt):
    rng = np.random.default_rng(0)
    file = original()
    text = json.dumps(file | {"tests": file["tests"][:3]}).encode()
    refused = 0
    for _ in range(300):
        mine = bytearray(text)
        at, length = rng.integers(len(mine)), rng.integers(1, 10)
        if rng.random() < 0.5:
            mine[at] = rng.choice(list(b'0123456789[]{}",:.eE+-naN \x00\xff'))
        else:
            del mine[at:at + length]
        try:
            spoilt(bytes(mine))
        except ConformanceError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 50 < refused < 299


def test_the_command_says_in_a_line_that_its_questions_are_spoilt(tmp_path, monkeypatch, capsys):
    shutil.copytree(reading.VECTORS, tmp_path / "vectors")
    monkeypatch.setattr(reading, "VECTORS", tmp_path / "vectors")
    (tmp_path / "vectors" / "cayley.json").write_text("{")
    assert main(["conformance", "questions"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("orthonorm: ") and error.count("\n") == 1
