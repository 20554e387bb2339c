import copy
import itertools
import json

import numpy as np
import pytest

from orthonorm.equivalence import recording, report
from orthonorm.equivalence.cases import all_cases

ANSWERS = recording.load()[1]


def few(family, dtype, count=2):
    """Pick cases of a family, and copy their answers so that a test may change them."""
    cases = [case for case in all_cases() if case.family == family and case.dtype == dtype][:count]
    return cases, copy.deepcopy({case.id: ANSWERS[case.id] for case in cases})


def one_row(family, dtype, change, groups=("answers",)):
    cases, answers = few(family, dtype)
    for group in groups:
        change(answers[cases[1].id][group])
    row, = report.compare(answers, cases)
    return row


def test_every_recorded_answer_is_ours_too():
    """What `make equivalence` says, as a test."""
    rows = report.compare(ANSWERS)
    assert [failure for row in rows for failure in row.failures] == []
    assert sum(row.cases for row in rows) == len(ANSWERS)
    assert sum(row.arrays for row in rows) == sum(
        len(case.only) or len(ANSWERS[case.id]["answers"]) for case in all_cases())


def test_only_the_start_is_compared_where_pytorch_refuses_to_assign():
    """And those are the cases where it did refuse, each of them."""
    for case in all_cases():
        errors = {answer for name, answer in ANSWERS[case.id]["answers"].items() if "error" in name}
        assert ("NotImplementedError" in errors) == bool(case.only)
    case = next(case for case in all_cases() if case.only and case.dtype == "float64")
    answers = copy.deepcopy({case.id: ANSWERS[case.id]})
    answers[case.id]["answers"]["Q_start, Q, error"] = "changed"
    row, = report.compare(answers, [case])
    assert row.failures == [] and row.arrays == 2
    answers[case.id]["answers"]["Q_start, registered"] += 1
    row, = report.compare(answers, [case])
    assert len(row.failures) == 1 and "Q_start, registered" in row.failures[0]


@pytest.mark.parametrize("dtype, off, fails", [
    ("float64", 5e-12, False), ("float64", 5e-11, True),
    ("float32", 5e-6, False), ("float32", 5e-5, True), ("complex64", 5e-5, True),
    ("complex128", 5e-12, False), ("complex128", 5e-11, True)])
def test_tolerance_of_values(dtype, off, fails):
    def change(answers):
        answers["weight"] = answers["weight"] + answers["weight"].dtype.type(off)
    single = dtype in ("float32", "complex64")
    row = one_row("cayley", dtype, change, ("answers", "exact") if single else ("answers",))
    assert bool(row.failures) == fails
    assert row.absolute == pytest.approx(off, rel=0.3)
    assert row.worst.endswith(": weight")


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("off, fails", [(5e-11, False), (5e-10, True)])
def test_tolerance_of_gradients_is_wider_in_double_precision(off, fails, dtype):
    def change(answers):
        answers["grad"] = np.where(np.abs(answers["grad"]) < 1, answers["grad"] + off, answers["grad"])
    assert bool(one_row("cayley", dtype, change).failures) == fails


@pytest.mark.parametrize("change", [
    lambda answers: answers.update(weight=answers["weight"][:-1]),
    lambda answers: answers.update(weight=answers["weight"].astype(np.float32)),
    lambda answers: answers.update(weight=answers["weight"].astype(np.complex128)),
    lambda answers: answers.update(weight="RuntimeError"),
    lambda answers: answers.update(weight=answers["weight"] * np.nan),
    lambda answers: answers.update(weight=answers["weight"] + np.inf),
    lambda answers: answers.update(more=np.zeros(1)),
    lambda answers: answers.pop("grad"),
], ids=["shape", "narrower dtype", "wider dtype", "error", "nan", "infinity", "missing", "more"])
def test_other_differences_fail(change):
    row = one_row("cayley", "float64", change)
    assert len(row.failures) == 1


def test_another_error_fails():
    def change(answers):
        name = next(name for name in answers if name.endswith("error"))
        answers[name] = "OSError"
    row = one_row("assignment", "float64", change)
    assert len(row.failures) == 1 and "OSError" in row.failures[0]


def test_a_case_that_is_not_recorded_fails():
    cases, answers = few("cayley", "float64")
    del answers[cases[0].id]
    row, = report.compare(answers, cases)
    assert row.failures == [f"{cases[0].name}: not in the recording"]
    assert row.cases == 2


def test_a_case_that_raises_fails():
    cases, answers = few("cayley", "float64")
    answers[cases[0].id]["inputs"]["X"][:] = np.nan
    row, = report.compare(answers, cases)
    assert len(row.failures) == 1 and "ValueError" in row.failures[0]


def test_pytorchs_own_error_is_said_and_no_failure():
    """Ours agrees with the double-precision answer, PyTorch's does not."""
    def change(answers):
        answers["weight"] = answers["weight"] + np.float32(1e-4)
    row = one_row("cayley", "float32", change)
    assert row.failures == [] and len(row.pytorch_off) == 1
    assert row.pytorch_error > 5e-5 > row.our_error
    text = report.table([row], "x")
    assert "pass*" in text and "* PyTorch is off, cayley float32" in text
    assert report.summary([row]).endswith("all equal within tolerance but 1, PyTorch's error")


def test_table_has_a_line_for_each_family_and_dtype():
    cases = [case for case in all_cases() if case.family in ("cayley", "weight_norm")]
    rows = report.compare(ANSWERS, cases)
    lines = report.table(rows, "PyTorch 9").split("\n")
    assert lines[0] == "orthonorm against PyTorch 9"
    families = [tuple(line.split()[:2]) for line in lines[3:3 + len(rows)]]
    assert families == list(dict.fromkeys((case.family, case.dtype) for case in cases))
    assert all("pass" in line for line in lines[3:3 + len(rows)])
    assert lines[-1] == report.summary(rows)
    assert lines[-1].startswith(f"{len(cases)} cases, ")


def test_many_failures_are_cut():
    rows = [report.Row("f", "d", failures=[f"number {i}" for i in range(30)])]
    text = report.table(rows, "x")
    assert "FAIL f d: number 19" in text and "number 20" not in text and "... and 10 more" in text
    assert text.endswith("0 cases, 0 answers: 30 differ")


def test_json_says_the_same():
    cases, answers = few("cayley", "float64")
    rows = report.compare(answers, cases)
    said = json.loads(report.as_json(rows, "x"))
    assert said["passed"] is True and said["against"] == "x"
    assert said["families"][0]["cases"] == 2 and said["families"][0]["failures"] == []
    rows[0].failures.append("no")
    assert json.loads(report.as_json(rows, "x"))["passed"] is False


def test_families_cover_what_was_asked():
    families = {(case.family, case.dtype) for case in all_cases()}
    for name, dtype in itertools.product(["matrix_exp", "cayley", "assignment", "spectral_norm"],
                                         ["float32", "float64", "complex64", "complex128"]):
        assert (name, dtype) in families
    for name, dtype in itertools.product(["householder", "weight_norm", "chain"],
                                         ["float32", "float64"]):
        assert (name, dtype) in families
    assert ("state_dict", "float64") in families
