"""The generator: its truth against another, its condition against known ones, the same text twice."""
import collections
import itertools
import json
import zlib

import mpmath
import numpy as np
import pytest

from orthonorm.conformance import questions
from tests import truth
from tests.conformance.generate import maps, operations
from tests.conformance.generate.__main__ import VECTORS, by_operation, file_of
from tests.conformance.generate.arithmetic import Dual, H, derivative, exactly, expm, norm, solve
from tests.conformance.generate.condition import conditions
from tests.conformance.generate.families import maps as maps_family
from tests.conformance.generate.families import orthonormalize, weight_norm
from tests.conformance.generate.truth import Operation
from tests.conformance.generate.truth import truth as checked_truth
from tests.helpers import sample

MAPS = ["matrix_exp", "cayley", "householder", "unitary_householder"]
KINDS = ["", "_vjp", "_jvp", "_hvp", "_with_base", "_with_base_vjp", "_inverse"]
OPERATIONS = [name + kind for name in MAPS for kind in KINDS] + [
    "expm", "expm_vjp", "expm_frechet", "power_iteration", "spectral_normalize",
    "spectral_normalize_vjp", "weight_norm", "weight_norm_vjp", "orthonormalize",
    "orthonormalize_vjp", "polar", "polar_vjp",
    "newton_schulz", "newton_schulz_vjp",
]
QUESTIONS = list(questions())


def test_every_operation_is_asked():
    assert {path.stem for path in VECTORS.glob("*.json")} == {*OPERATIONS, "schema"}


def test_there_are_enough_questions_and_each_flag_has_five():
    assert len(QUESTIONS) >= 1200
    flags = collections.Counter(flag for question in QUESTIONS for flag in question.flags)
    assert min(flags.values()) >= 5, flags
    assert flags.keys() >= {
        "wide", "complex", "base", "batch", "non-contiguous", "zero", "rank-deficient", "near -1",
        "huge norm", "tiny norm", "subnormal", "multiple eigenvalues", "NaN", "infinity",
        "eigenvalue -1", "determinant -1", "wrong shape", "empty", "diagonal not +-1", "eps",
        "sequence", "second order",
    }


def test_the_files_take_less_than_4_megabytes_of_the_wheel():
    compressed = [zlib.compress(path.read_bytes()) for path in VECTORS.glob("*.json")]
    assert sum(map(len, compressed)) < 4e6


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_every_operation_is_asked_in_the_dtypes_it_has(dtype):
    asked = {question.operation for question in QUESTIONS if question.dtype == dtype and question.high}
    real = {name for name in OPERATIONS if name.startswith(("householder", "weight_norm"))}
    assert asked == (set(OPERATIONS) - real if dtype.startswith("complex") else set(OPERATIONS))


@pytest.mark.parametrize("name", [*MAPS, "orthonormalize", "expm"])
def test_the_truth_is_that_of_the_dense_definition(name):
    """Some of the questions, against the 50 digits of tests/truth.py, which shares no line with it."""
    asked = [question for question in QUESTIONS if question.operation == name and question.high
             and not question.judged_by and question.high[0].ndim == 2
             and 0 < question.high[0].size < 30
             and not {"huge norm", "diagonal not +-1"} & {*question.flags}]
    assert len(asked) > 40
    weak = [question for question in asked if {"small norm", "1-norm above 2"} & {*question.flags}]
    for question in asked[::7] + weak:  # where PyTorch's, and SciPy's, exponential is off
        with mpmath.workdps(60):
            exact = getattr(truth, name)(exactly_matrix(next(iter(question.arguments.values()))))
            told = exactly(question.high[0]) + exactly(question.low[0])
            error = max(abs(told[index] - exact[index]) for index in np.ndindex(told.shape))
            assert error <= 1e-19 * max(abs(x) for x in exact), question.id


def exactly_matrix(X):
    return mpmath.matrix(X.tolist())


@pytest.mark.parametrize("operation, family", [
    ("householder_jvp", lambda: maps_family.of("householder", "_jvp")),
    ("weight_norm_vjp", weight_norm.questions), ("orthonormalize", orthonormalize.questions),
], ids=lambda x: x if isinstance(x, str) else "")
def test_a_file_is_generated_again_as_it_is(operation, family):
    text, _ = file_of(operation, by_operation(family())[operation])
    assert text == (VECTORS / f"{operation}.json").read_text()


@pytest.mark.parametrize("operation, arguments", [
    ("cayley", (sample((3, 2)),)), ("cayley_vjp", (sample((3, 2)), sample((3, 2), seed=1))),
    ("householder_vjp", (sample((3, 2)), sample((3, 2), seed=1))),
    ("matrix_exp_hvp", (sample((3, 2)), sample((3, 2), seed=1), sample((3, 2), seed=2))),
    ("spectral_normalize_vjp", (sample((3, 2)), sample((3,)), sample((2,)), sample((3, 2), seed=1))),
    ("weight_norm_vjp", (sample((3, 1)), sample((3, 2)), 0, sample((3, 2), seed=1))),
], ids=lambda x: x if isinstance(x, str) else "")
def test_a_wrong_truth_is_noticed_by_the_second_way(operation, arguments):
    program, check = operations.lookup(operation, arguments)
    assert checked_truth(Operation(program, check), arguments)

    def wrong(*arguments):
        result = program(*arguments)
        off = mpmath.mpf(10)**-35
        return tuple(x * (1 + off) for x in result) if isinstance(result, tuple) else result * (1 + off)
    with pytest.raises(AssertionError, match="two ways differ"):
        checked_truth(Operation(wrong, check), arguments)


# The arithmetic

@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("f", [
    lambda X: X @ H(X) / norm(X), lambda X: solve(3 * np.eye(3) + X, X @ X), expm,
    lambda X: 1 / (2 + X) - X * X, lambda X: norm(X - 1) * X,
], ids=["norm", "solve", "expm", "quotient", "difference"])
def test_derivatives_are_those_of_differences(f, dtype):
    X, dX = sample((3, 3), dtype), sample((3, 3), dtype, 1)
    with mpmath.workdps(60):
        step = mpmath.mpf(10)**-20
        exact, direction = exactly(X), exactly(dX)
        difference = (f(exact + step * direction) - f(exact - step * direction)) / (2 * step)
        assert np.all(abs(derivative(f, exact, direction) - difference) < 1e-30)
        again = derivative(lambda Y: derivative(f, Y, direction), exact, direction)
        second = (f(exact + step * direction) - 2 * f(exact) + f(exact - step * direction)) / step**2
        assert np.all(abs(again - second) < 1e-15)
    np.testing.assert_allclose(derivative(f, X, dX), difference.astype(dtype), rtol=1e-12)


def test_of_two_duals_the_later_one_takes_the_other_for_a_constant():
    first, second = Dual(np.eye(2), np.ones((2, 2)), 1), Dual(2 * np.eye(2), np.zeros((2, 2)), 2)
    for f in (lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a @ b, lambda a, b: a / (b + 1)):
        for a, b in itertools.permutations((first, second)):
            assert f(a, b).level == 2 and f(a, b).v.level == 1


# The condition

def test_the_condition_of_a_linear_function_is_its_norm_times_its_argument():
    X = sample((3, 2))
    M = np.diag([1.0, 2.0, 5.0])
    np.testing.assert_allclose(conditions(lambda X: M @ X, [X]), [5 * np.linalg.norm(X)])


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
def test_the_condition_of_the_skew_exponential_is_at_most_twice_the_norm(size):
    """The exponential of a skew matrix moves by no more than the matrix: as X moves it, and freely."""
    X = size * sample((4, 4))
    kappa = conditions(maps.matrix_exp, [X])[0]
    A = np.tril(X, -1) - np.tril(X, -1).T
    free, by_X = np.linalg.norm(A), np.sqrt(2) * np.linalg.norm(X)
    assert 0.99 * free <= kappa <= 1.01 * (free + by_X)


def test_each_of_several_results_has_its_condition():
    g, v, G = sample((3, 1)), 1e6 * sample((3, 2)), sample((3, 2), seed=1)
    small, large = conditions(operations.lookup("weight_norm_vjp", None).program, [g, v, 0, G])
    assert large < 1e-4 * small  # the gradient in v is as small as v is large


def test_rounding_the_arguments_moves_the_answer_by_no_more_than_the_condition():
    """Twenty arguments near X in single precision: the exact answers differ by at most eps kappa."""
    rng = np.random.default_rng(0)
    for name, shape in (("cayley", (5, 3)), ("matrix_exp", (3, 5)), ("orthonormalize", (4, 2))):
        X = 3 * sample(shape)
        program = getattr(maps, name)
        exact, kappa = program(X), conditions(program, [X])[0]
        for _ in range(20):
            E = rng.standard_normal(shape)
            E *= 1e-7 * np.linalg.norm(X) / np.linalg.norm(E)
            assert np.linalg.norm(program(X + E) - exact) <= 1.001e-7 * kappa


def test_the_notes_of_the_files_are_those_of_the_generator():
    from tests.conformance.generate.notes import notes_for
    for path in VECTORS.glob("*.json"):
        if path.stem != "schema":
            notes = json.loads(path.read_text())["notes"]
            assert notes == notes_for(notes)
