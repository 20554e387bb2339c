"""The judge: what is right, what is wrong, and that no program can stop it."""
import dataclasses
import json
import sys
import types

import numpy as np
import pytest

from orthonorm import conformance
from orthonorm.__main__ import main
from orthonorm.conformance import ConformanceError, adapters, judge
from orthonorm.conformance.asking import Reply
from orthonorm.conformance.judge import relative, verdict
from orthonorm.core import definitions
from tests.conformance import own

QUESTIONS = {question.id: question for question in conformance.questions("cayley", "float32")}


def judged(function, operation="cayley", dtype="float32"):
    return judge({operation: function}, operation, dtype)


def outcomes(report):
    return {verdict.outcome for verdict in report.verdicts if verdict.question.expect == "value"}


def messages(report):
    return {verdict.message for verdict in report.failures}


def test_the_definitions_are_right():
    """But where a question says that the textbook form is unstable: 50 digits decide."""
    report = judge(definitions)
    assert all("unstable" in verdict.question.flags for verdict in report.failures), report
    assert {row.operation for row in report.rows()} >= {"cayley", "cayley_vjp", "power_iteration"}


def test_orthonorm_is_right():
    report = judge(own)
    assert report.passed, report


def test_a_module_an_object_and_a_dict_are_asked_for_what_they_have():
    module = types.ModuleType("mine")
    module.cayley, module.other, module.householder = definitions.cayley, definitions.skew, 3
    for adapter in (module, types.SimpleNamespace(cayley=definitions.cayley),
                    {"cayley": definitions.cayley, "householder": None}):
        report = judge(adapter, dtype="float32")
        assert report.passed and {row.operation for row in report.rows()} == {"cayley"}
    with pytest.raises(ConformanceError, match="nothing to ask: dict has none of the operations"):
        judge({})


@pytest.mark.parametrize("options", [{"operation": "caley"}, {"dtype": "float16"}], ids=str)
def test_no_such_questions(options):
    with pytest.raises(ConformanceError, match="must be one of"):
        judge(definitions, **options)


@pytest.mark.parametrize("units", [3.0, 30.0])
def test_the_ratio_counts_the_effect_of_rounding(units):
    """An answer that is off by so many times eps (||truth|| + condition) is said to be so."""
    def off(X):
        question = next(q for q in conformance.questions("cayley", "float64")
                        if np.array_equal(q.arguments["X"], X))
        truth = question.high[0]
        step = question.tolerance[0] / question.limit * units
        return truth + step * np.ones_like(truth) / np.sqrt(truth.size)
    report = judge({"cayley": off}, "cayley", "float64")
    ratios = [v.ratio for v in report.verdicts if v.question.expect == "value"]
    np.testing.assert_allclose(ratios, units, rtol=0.1)
    assert report.rows()[0].mean == pytest.approx(units, rel=0.1)
    assert outcomes(report) == ({"passed"} if units < 10 else {"failed"})


@pytest.mark.parametrize("answer, said", [
    (lambda X: definitions.cayley(X).T if X.ndim == 2 else X, "off by"),
    (lambda X: definitions.cayley(X).astype(np.float64), "returns float64["),
    (lambda X: definitions.cayley(X)[..., :-1], "expected is float32["),
    (lambda X: definitions.cayley(X) * np.nan, "there is NaN in the answer"),
    (lambda X: definitions.cayley(X) + np.float32(np.inf), "off by inf times"),
    (lambda X: None, "returns object[], expected"),
    (lambda X: [[1.0], [1.0, 2.0]], "ValueError: setting an array element"),
    (lambda X: 1 / 0, "ZeroDivisionError: division by zero"),
    (lambda X: sys.exit(3), "SystemExit: 3"),
    (lambda X, G: X, "TypeError"),
])
def test_wrong_answers(answer, said):
    report = judged(answer)
    assert not report.passed
    assert any(said in message for message in messages(report)), report


def test_an_exact_answer_has_the_ratio_zero():
    report = judged(lambda X: np.ones_like(X) if X.shape == (1, 1) else definitions.cayley(X))
    ratios = [v.ratio for v in report.verdicts if v.question.arguments["X"].shape == (1, 1)]
    assert ratios and set(ratios) == {0.0}


def test_where_rounding_moves_nothing_only_the_exact_answer_is_near():
    assert relative(0.0, 0.0) == 0 and relative(5e-324, 0.0) == np.inf
    assert relative(1.0, 0.5) == 2


def test_an_answer_that_is_a_list_is_an_array():
    report = judged(lambda X: definitions.cayley(X).astype(np.float32).tolist(), dtype="float32")
    assert all("returns float64" in message for message in messages(report))
    row, = judged(lambda X: definitions.cayley(X).tolist(), dtype="float64").rows()
    assert row.passed > 10


def test_an_argument_that_is_written_to_is_noticed_and_spoils_nothing():
    before = {id: question.arguments["X"].copy() for id, question in QUESTIONS.items()}

    def writes(X):
        answer = definitions.cayley(X)
        X *= 0
        return answer

    assert messages(judged(writes)) == {"writes to its argument X"}
    assert judged(definitions.cayley).passed
    for id, question in QUESTIONS.items():
        np.testing.assert_array_equal(question.arguments["X"], before[id])


def test_a_question_cannot_be_written_to():
    """It is read once: whoever writes to it would spoil it for all who ask later."""
    for question in QUESTIONS.values():
        for array in (question.arguments["X"], *question.high, *question.low):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_not_implemented_is_not_offered():
    def real_only(X):
        if np.iscomplexobj(X):
            raise NotImplementedError("no complex numbers")
        return definitions.cayley(X)

    report = judge({"cayley": real_only})
    assert report.passed
    rows = {row.dtype: row for row in report.rows()}
    assert rows["complex64"].not_offered == rows["complex64"].asked > 0
    assert rows["float32"].not_offered == 0
    assert f"{rows['complex64'].asked + rows['complex128'].asked} not offered" in report.summary()


def test_a_refusal_is_right_where_it_is_expected_only():
    def refuses(X):
        raise ValueError("no")

    report = judged(refuses)
    assert {v.question.expect for v in report.failures} == {"value"}
    refused = [v for v in report.verdicts if v.outcome == "refused"]
    assert {v.question.expect for v in refused} == {"refusal", "either"}
    report = judged(lambda X: np.zeros_like(X))
    assert "a value, where an exception or NaN is expected" in messages(report)


@pytest.mark.parametrize("answer, ratio", [(1.25, 0.0), (1.0, 2.5), (0.75, 5.0)])
def test_the_truth_is_the_sum_of_its_parts(answer, ratio):
    question = dataclasses.replace(
        next(iter(QUESTIONS.values())), high=[np.array([[1.0]])], low=[np.array([[0.25]])],
        tolerance=[1.0], limit=10)
    found = verdict(question, Reply("arrays", [np.array([[answer]], np.float32)]))
    assert found.ratio == ratio and found.outcome == "passed"


def test_of_several_results_each_has_to_be_right():
    """A wrong v is noticed beside a right u, and the other way round."""
    for wrong in (0, 1):
        def power_iteration(*arguments):
            results = list(definitions.power_iteration(*arguments))
            results[wrong] = -results[wrong]
            return results

        report = judged(power_iteration, "power_iteration", "float64")
        assert outcomes(report) == {"failed"}


def test_strided_questions_come_strided():
    strided = set()

    def layout(X):
        strided.add(X.flags.c_contiguous)
        return definitions.cayley(X)

    assert judged(layout).passed and strided == {True, False}


def test_the_report_says_it_all():
    report = judged(lambda X: -definitions.cayley(X))
    row, = report.rows()
    assert row.asked == row.passed + row.refused + row.failed + row.not_offered == len(QUESTIONS)
    text = str(report)
    assert "cayley     float32" in text
    assert sum(line.startswith("FAIL cayley/float32/") for line in text.split("\n")) == 5
    assert f"... and {row.failed - 5} more of cayley float32" in text
    assert "wide: a wide matrix is taken by its plain transpose" in text
    assert text.endswith(f"{row.asked} questions: {row.passed + row.refused} right, {row.failed} wrong")
    said = json.loads(report.as_json())
    assert said["passed"] is False and said["operations"][0]["failed"] == row.failed
    assert [q["id"] for q in said["questions"]] == list(QUESTIONS)
    assert {q["outcome"] for q in said["questions"]} <= {"passed", "refused", "failed", "error"}
    assert repr(report).startswith(f"<{report.summary()}. FAIL cayley/float32/")


def test_an_exception_is_told_without_what_wrong_numbers_may_mean():
    report = judged(lambda X, missing: X)
    assert "missing 1 required positional argument" in str(report) and "(wide:" not in str(report)


def test_progress_is_told():
    told = []
    judge({"cayley": definitions.cayley}, "cayley", "float32", lambda *counts: told.append(counts))
    assert told == [(i, len(QUESTIONS)) for i in range(1, len(QUESTIONS) + 1)]


def test_a_bar_at_a_terminal(monkeypatch, capfd, tmp_path):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("orthonorm.__main__.time.monotonic", iter(range(0, 10**6, 5)).__next__)
    assert main(["conformance", "judge", "orthonorm.core.definitions", "--operation", "cayley"]) == 0
    out, err = capfd.readouterr()
    assert f"\r[{'#' * 30}] " in err and " questions" in err and err.endswith(f"\r{'':60}\r")
    assert "#" not in out


# -- a program in a process of its own ----------------------------------------------------------------

PROGRAM = """
import ctypes, os, sys, threading, time
import numpy as np
from orthonorm.core import definitions
import neighbour

def cayley(X):
    print("noise")
    sys.stdout.flush()
    if X.shape == (1, 1):
        {misdeed}
    return definitions.cayley(X)
"""


def program(tmp_path, misdeed):
    (tmp_path / "neighbour.py").write_text("")
    path = tmp_path / "mine.py"
    path.write_text(PROGRAM.format(misdeed=misdeed))
    return str(path)


@pytest.mark.parametrize("misdeed, said", [
    ("os._exit(3)", "the process ended with exit status 3"),
    ("os.abort()", "the process ended with SIGABRT"),
    ("ctypes.string_at(0)", "the process ended with SIGSEGV"),
    ("time.sleep(60)", "no answer within 1 seconds"),
    ("sys.exit(4)", "SystemExit: 4"),
    ("os.close(1); os.close(2); os._exit(0)", "the process ended with exit status 0"),
    ("threading.Timer(0.2, os._exit, [5]).start(); time.sleep(60)", "ended with exit status 5"),
], ids=str)
def test_a_program_that_crashes_or_hangs_fails_there_and_goes_on(tmp_path, monkeypatch, misdeed, said):
    monkeypatch.setattr(adapters, "TIME_LIMIT", 1.0)
    report = judge(program(tmp_path, misdeed), "cayley", "float32")
    assert {v.question.arguments["X"].shape for v in report.failures} == {(1, 1)}
    assert any(said in message for message in messages(report))
    assert sum(v.outcome == "passed" for v in report.verdicts) > 30


def test_a_program_that_ends_between_questions_is_started_anew(tmp_path):
    """It has answered, and is gone a little later."""
    later = "threading.Timer(0.05, os._exit, [5]).start(); return definitions.cayley(X)"
    report = judge(program(tmp_path, later), "cayley", "float32")
    assert sum(v.outcome == "passed" for v in report.verdicts) > 30


def test_a_program_that_forks_is_answered_for_once(tmp_path):
    assert judge(program(tmp_path, "os.fork()"), "cayley", "float32").passed


def test_a_module_is_found_where_the_judge_would_find_it(tmp_path, monkeypatch):
    """Also in a folder that only this process has put on its path."""
    (tmp_path / "module_of_mine.py").write_text("from orthonorm.core.definitions import cayley")
    monkeypatch.syspath_prepend(tmp_path)
    assert judge("module_of_mine", "cayley", "float32").passed


def test_a_program_that_cannot_be_started_again(tmp_path):
    report = judge(program(tmp_path, "os.remove(__file__); os._exit(1)"), "cayley", "float32")
    started = [message for message in messages(report) if message.startswith("the process has ended: ")]
    assert started and all("mine.py cannot be loaded: FileNotFoundError" in x for x in started)


def test_a_program_that_dies_before_it_has_read_all_is_closed(tmp_path):
    child = adapters.Child(program(tmp_path, "pass"))
    child.process.stdin.write(b"half a question")
    child.process.kill()
    child.process.wait()
    child.close()
    assert child.process.stdin.closed


def test_an_operation_that_crashes_again_and_again_is_given_up(tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text("import os\n"
                    "def cayley(X):\n    os._exit(1)\n"
                    "from orthonorm.core.definitions import householder")
    report = judge(str(path), dtype="float32")
    row = {row.operation: row for row in report.rows()}
    assert row["cayley"].failed == row["cayley"].asked and row["householder"].failed == 0
    assert messages(report) == {"the process ended with exit status 1",
                                "not asked: the operation hung or crashed 3 times before"}


@pytest.mark.parametrize("source, said", [
    ("import nothing_of_that_name", "cannot be loaded: ModuleNotFoundError: No module named"),
    ("1 +", "cannot be loaded: SyntaxError"),
    ("import os; os._exit(7)", "cannot be loaded: the process ended with exit status 7"),
    ("raise SystemExit(1)", "cannot be loaded: SystemExit: 1"),
], ids=str)
def test_a_program_that_cannot_be_loaded(tmp_path, source, said):
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(ImportError, match=said):
        judge(str(path))
    with pytest.raises(ImportError, match="no_module_of_that_name cannot be loaded: ModuleNot"):
        judge("no_module_of_that_name")
