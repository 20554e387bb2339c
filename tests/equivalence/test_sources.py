"""Where PyTorch's answers come from: exact answers beside the recorded ones, and foreign recordings."""
import copy
import itertools

import mpmath
import numpy as np
import pytest

from orthonorm.__main__ import main
from orthonorm.checkpoints import CheckpointError
from orthonorm.equivalence import recording, report, runs, sources
from orthonorm.equivalence.cases import all_cases
from tests.equivalence import exact_answers

CASES = {case.id: case for case in all_cases()}
HEADER, ANSWERS = recording.load()
EXACT = recording.load(sources.EXACT)[1]
RUN = "classifier, weight_norm"


# -- exact answers ------------------------------------------------------------------------------------

def test_exact_answers_are_there_and_pytorch_is_near_them():
    """Of the cases that are said to have them, every array."""
    asked = {case.id for case in CASES.values() if exact_answers.is_asked(case)}
    assert EXACT.keys() == asked and len(asked) > 200
    for id, exact in EXACT.items():
        arrays = {name for name, x in ANSWERS[id]["answers"].items() if not isinstance(x, str)}
        assert exact.keys() == arrays
        for name, parts in exact.items():
            theirs = ANSWERS[id]["answers"][name]
            assert parts["high"].dtype == theirs.dtype == CASES[id].dtype
            np.testing.assert_allclose(parts["high"], theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("id", [
    "matrix_exp/complex128/1x1, scale 1, base", "cayley/float64/wide, scale 10, base",
    "householder/float64/batched, scale 1", "weight_norm/float64/2-D, dim None",
    "spectral_norm/complex128/4-D, dim 1, 1 iterations, removed in train"])
def test_exact_answers_are_those_of_the_conformance_questions(id):
    case = CASES[id]
    with mpmath.workdps(60):
        truth = exact_answers.PROGRAMS[case.program](ANSWERS[id]["inputs"], **case.options)
        for name, exact in truth.items():
            again = exact_answers.in_two_parts(np.asarray(exact), case.dtype)
            for part, array in again.items():
                np.testing.assert_array_equal(EXACT[id][name][part], array)


def test_an_exact_answer_has_more_digits_than_double_precision():
    exact = sources.in_extended_precision({"high": np.array([1.0]), "low": np.array([1e-17], "f4")})
    if np.finfo(np.longdouble).eps < 1e-18:
        assert float(exact[0] - 1) == pytest.approx(1e-17, rel=0.01)
    assert exact.dtype == np.longdouble


def test_the_report_says_who_is_closer_in_double_precision():
    source = sources.recorded()
    cases = [case for case in CASES.values() if case.dtype == "float64"
             and case.family in ("matrix_exp", "cayley", "householder", "weight_norm", "loss")]
    rows = {row.family: row for row in report.compare_each(source.case, cases)}
    for row in (rows["matrix_exp"], rows["cayley"], rows["householder"], rows["weight_norm"]):
        assert 1e-17 < row.our_error < 3e-15 and 1e-17 < row.pytorch_error < 2e-14
    assert rows["loss"].our_error is None


def test_pytorchs_own_error_is_said_in_double_precision_too():
    source = sources.recorded()
    case = next(case for case in CASES.values() if exact_answers.is_asked(case))
    answers = copy.deepcopy(source.case(case))
    answers["answers"]["weight"] += 1e-9
    row, = report.compare_each(lambda case: answers, [case])
    assert row.failures == [] and len(row.pytorch_off) == 1


# -- rows as they are done ----------------------------------------------------------------------------

def test_rows_come_one_after_the_other():
    asked = []

    def answer(case):
        asked.append(case)

    rows = report.compare_each(answer)
    first = next(rows)
    assert {(case.family, case.dtype) for case in asked} == {(first.family, first.dtype)}
    assert len(asked) == first.cases == len(first.failures)
    rows = [first, *rows, *runs.compare_each(lambda run: None, {})]
    assert len(rows) == sources.number_of_rows()
    assert {row.failures[0].rpartition(": ")[2] for row in rows} == {"not in the recording"}


def test_the_bar_is_gone_before_a_row_is_printed(monkeypatch, capfd):
    rows = [report.Row(f"family {i}", "float64") for i in range(3)]
    monkeypatch.setattr(sources.Source, "rows", lambda self: iter(rows))
    monkeypatch.setattr(sources, "number_of_rows", lambda: 3)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("orthonorm.__main__.time.monotonic", iter(range(0, 100, 5)).__next__)
    assert main(["equivalence"]) == 0
    out, err = capfd.readouterr()
    assert [line.split("  ")[0] for line in out.splitlines()[3:6]] == [row.family for row in rows]
    assert f"\r[{'#' * 20:30}] 2/3 rows" in err and "3/3" not in err and err.endswith(f"\r{'':60}\r")


# -- foreign recordings -------------------------------------------------------------------------------

@pytest.fixture
def small(tmp_path):
    """A recording like those of --record, of few cases and one run."""
    _, digits, followed = runs.load()
    ids = [case.id for case in itertools.islice(CASES.values(), 0, None, 60)]
    content = {"cases": {id: ANSWERS[id] for id in ids}, "digits": digits,
               "runs": runs.pack({RUN: followed[RUN]})}

    def written(change=lambda content: None, header=None):
        mine = copy.deepcopy(content)
        change(mine)
        recording.save(tmp_path / "r.npz", header or {"source": "PyTorch 9 on a toaster"}, mine)
        return tmp_path / "r.npz"
    return written


def test_a_foreign_recording_is_compared(small):
    source = sources.from_file(small())
    assert source.name == "PyTorch 9 on a toaster"
    cases = [case for case in CASES.values() if source.case(case)]
    assert len(cases) > 10
    assert not any(row.failures for row in report.compare_each(source.case, cases))
    run = next(run for run in runs.all_runs() if source.run(run))
    assert not any(row.failures for row in runs.compare_each(source.run, source.digits, [run]))


def first_case(content):
    return content["cases"]["matrix_exp/float32/square, scale 0.1"]


@pytest.mark.parametrize("change, said", [
    (lambda content: content.pop("cases"), "KeyError: 'cases'"),
    (lambda content: content.pop("digits"), "KeyError: 'digits'"),
    (lambda content: content.update(cases="x"), "ValueError: dictionary update"),
    (lambda content: first_case(content).pop("inputs"), "KeyError: 'inputs'"),
    (lambda content: first_case(content)["inputs"].update(X=np.zeros((9000, 9))), "has other inputs"),
    (lambda content: first_case(content)["inputs"].pop("X"), "has other inputs"),
    (lambda content: first_case(content)["exact"].update(weight=np.zeros(3)), "in double precision"),
    (lambda content: first_case(content)["exact"].update(more=np.zeros(3)), "KeyError: 'more'"),
    (lambda content: content["runs"][RUN]["float32"].popitem(), "differs in single"),
    (lambda content: content["runs"][RUN].pop("start"), "KeyError: 'start'"),
    (lambda content: content["runs"].update(x={}), "KeyError: 'float64'"),
], ids=lambda x: x if isinstance(x, str) else "")
def test_a_damaged_recording_is_refused_in_one_line(small, capsys, change, said):
    path = small(change)
    assert main(["equivalence", "--recording", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"orthonorm: {path}: no recording: ") and error.count("\n") == 1
    assert said in error and len(error) < 500


def index_of(text):
    return {"index": np.frombuffer(text.encode(), np.uint8), "float64": np.zeros(1000)}


@pytest.mark.parametrize("arrays, said", [
    ({"float64": np.zeros(3)}, "KeyError: 'index'"),
    (index_of("{"), "JSONDecodeError"),
    (index_of("[" * 10**5), "RecursionError"),
    (index_of('{"a":' * 10**5), "RecursionError"),
    (index_of('{"header": {}, "answers": {"a": ["float64", 0, [1000000000000]]}}'), "cannot reshape"),
    (index_of('{"header": {}, "answers": {"a": ["float64", 0, [-1, 1000]]}}'), "negative"),
    (index_of('{"header": {}, "answers": {"a": ["float64", 0]}}'), "not enough values"),
    (index_of('{"header": {}, "answers": {"a": ["object", 0, [1]]}}'), "KeyError: 'object'"),
    (index_of('{"header": {}, "answers": {"a": 3}}'), "cannot unpack"),
    (index_of('{"header": {}, "answers": {' + ",".join(f'"{i}": ["float64", 0, [1000]]'
                                                       for i in range(100)) + "}}"), "overlap"),
    (index_of('{"header": 3, "answers": {}}'), "TypeError"),
], ids=lambda x: x if isinstance(x, str) else "")
def test_an_index_that_lies_is_refused_in_one_line(tmp_path, capsys, arrays, said):
    path = tmp_path / "r.npz"
    np.savez(path, **arrays)
    assert main(["equivalence", "--recording", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error, error


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip file"])
def test_what_is_no_npz_is_refused_in_one_line(tmp_path, capsys, content):
    path = tmp_path / "r.npz"
    path.write_bytes(content)
    assert main(["equivalence", "--recording", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["equivalence", "--recording", str(tmp_path / "none.npz")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_mutated_recordings_are_compared_or_refused(small, tmp_path):
    """Entries of any kind replaced at random places of a recording."""
    rng = np.random.default_rng(0)
    few = [case for case in CASES.values() if case.id == "matrix_exp/float32/square, scale 0.1"]
    things = [np.zeros(0), np.full((3, 3), np.nan), np.ones((6, 6), np.complex64), "x", {},
              np.int8(3)[...], {"weight": np.zeros((6, 6), np.float32)},
              np.full((6, 6), np.inf, np.float32)]
    refused = 0
    for _ in range(150):
        def change(content):
            content.update(cases={few[0].id: first_case(content)}, runs={})
            node = content
            while True:
                key = sorted(node)[rng.integers(len(node))]
                if not isinstance(node[key], dict) or not node[key] or rng.random() < 0.2:
                    node[key] = things[rng.integers(len(things))]
                    return
                node = node[key]
        try:
            source = sources.from_file(small(change))
        except CheckpointError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            row, = report.compare_each(source.case, few)
            report.line(row)
    assert 10 < refused < 140
