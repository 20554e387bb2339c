import re

import mpmath
import numpy as np
import pytest

from orthonorm.core import (
    definitions, gain_bounds, haar, minimax_coefficients, newton_schulz, newton_schulz_coefficients,
    polar, polynomial_gain,
)
from orthonorm.core.coefficients import PUBLISHED
from tests import truth
from tests.helpers import (
    EMPTY_SHAPES, H, assert_identical, assert_within, dtypes, eps, is_complex, layouts, sample,
    shapes, wrong_dtypes,
)

CLASSICAL = newton_schulz_coefficients("classical")
JORDAN = newton_schulz_coefficients("jordan")
EXPRESS = newton_schulz_coefficients("polar_express")

published = pytest.mark.parametrize("name", PUBLISHED)


def five(name):
    """Return the published triples of five steps, or fewer."""
    return np.broadcast_to(newton_schulz_coefficients(name)[..., :5, :]
                           if name not in ("classical", "jordan") else newton_schulz_coefficients(name),
                           (5, 3))


def steepness(coefficients):
    """Return the largest derivative of the map at matrices of norm 1: that of the gain, or gain / s."""
    s = np.linspace(1e-9, 1, 20001)
    gain, slope = s, np.ones_like(s)
    for a, b, c in coefficients:
        slope = slope * (a + 3 * b * gain**2 + 5 * c * gain**4)
        gain = gain * (a + b * gain**2 + c * gain**4)
    return max(1, np.abs(slope).max(), np.abs(gain / s).max())


@published
@dtypes
@shapes
def test_is_the_gain_of_the_singular_values_in_50_digits(name, dtype, shape):
    """Their vectors stay as they are."""
    A, coefficients = sample(shape, dtype), five(name)
    with mpmath.workdps(truth.DIGITS):
        exact = truth.exactly(A)
        U, sigma, VH = mpmath.svd(exact / mpmath.norm(exact))
        gains = [polynomial_gain(coefficients, s) for s in sigma]
        expected = U * mpmath.diag(gains) * VH
    answer = newton_schulz(A, coefficients)
    assert answer.dtype == dtype
    allowed = 8 * max(shape) * eps(dtype) * steepness(coefficients)
    assert truth.error(answer, expected) <= allowed
    assert_within(answer, definitions.newton_schulz(A, coefficients, 5), 2 * allowed)


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (7, 2), (2, 7), (2, 3, 3), (2, 1, 5, 2)], ids=str)
def test_one_triple_serves_all_steps(shape, dtype):
    A = sample(shape, dtype)
    assert_identical(newton_schulz(A, JORDAN, 3), newton_schulz(A, [JORDAN] * 3))
    assert_identical(newton_schulz(A, JORDAN), newton_schulz(A, JORDAN, 1))
    norms = np.linalg.norm(A, axis=(-2, -1), keepdims=True)
    assert_within(newton_schulz(A, JORDAN, 0), A / norms, 2 * eps(dtype))


@dtypes
@pytest.mark.parametrize("shape", [(5, 5), (6, 3), (3, 6)], ids=str)
@pytest.mark.parametrize("name, steps", [("classical", 30), ("polar_express", 8)])
def test_what_converges_becomes_the_polar_factor(name, steps, shape, dtype):
    A = polar(sample(shape, dtype)) + dtype(0.3) * sample(shape, dtype, 1)
    answer = newton_schulz(A, newton_schulz_coefficients(name), steps)
    assert_within(answer, polar(A), 200 * eps(dtype))


def test_jordans_coefficients_do_not_converge():
    """However many the steps: 1 is no fixed point, and what is nearer to it moves away from it."""
    gain = polynomial_gain(JORDAN, np.linspace(0.7, 1.1, 101), 500)
    assert np.ptp(gain) > 0.3
    assert abs(polynomial_gain(JORDAN, 1.0) - 0.701) < 1e-12


@dtypes
def test_every_matrix_of_a_stack_is_divided_by_its_own_norm(dtype):
    """HeavyBall 0.25 took one norm for all (its issue 96)."""
    A = sample((3, 5, 4), dtype)
    stack = A * np.array([1, 2.0**-40, 2.0**40], A.real.dtype)[:, None, None]
    assert_identical(newton_schulz(stack, JORDAN, 5), newton_schulz(A, JORDAN, 5))


@dtypes
@pytest.mark.parametrize("end", ["smallest", "largest"])
def test_the_scale_has_no_influence(dtype, end):
    """Powers of two change no bit, over the whole range; a floor would (Emerging-Optimizers 229)."""
    limits = np.finfo(dtype)
    scale = limits.max / 16 if end == "largest" else limits.tiny * 16
    scale = 2.0 ** np.floor(np.log2(scale))
    A = np.clip(sample((5, 4)), -4, 4).round(3).astype(dtype) * (1 + 1j if is_complex(dtype) else 1)
    A = A.astype(dtype)
    scaled = A * limits.dtype.type(scale)
    assert scaled.dtype == dtype and np.all(np.isfinite(scaled))
    assert_identical(newton_schulz(scaled, JORDAN, 5), newton_schulz(A, JORDAN, 5))


@dtypes
def test_eps_is_a_floor_of_the_norm(dtype):
    A = sample((2, 5, 3), dtype)
    norms = np.linalg.norm(A, axis=(-2, -1), keepdims=True)
    above = newton_schulz(A, JORDAN, 5, eps=float(norms.min()) / 2)
    assert_identical(above, newton_schulz(A, JORDAN, 5))
    below = newton_schulz(A, (1, 0, 0), 5, eps=100.0)
    assert_within(below, A / 100, eps(dtype))
    tiny = newton_schulz(A * A.real.dtype.type(1e-30), (2, 0, 0), 1, eps=1e-7)
    assert_within(tiny * 1e23, A * 2, 10 * eps(dtype))


@dtypes
@pytest.mark.parametrize("floor", [0.0, 1e-7])
def test_zero_stays_zero(dtype, floor):
    A = np.stack([np.zeros((3, 2), dtype), np.eye(3, 2, dtype=dtype)])
    answer = newton_schulz(A, JORDAN, 5, eps=floor)
    assert_identical(answer[0], A[0])
    assert np.linalg.norm(answer[1]) > 1


@dtypes
@pytest.mark.parametrize("shape", EMPTY_SHAPES, ids=str)
def test_empty_gives_empty(dtype, shape):
    assert_identical(newton_schulz(np.zeros(shape, dtype), JORDAN, 5), np.zeros(shape, dtype))


@dtypes
@pytest.mark.parametrize("shape", [(2, 7), (3, 5), (2, 3, 5)], ids=str)
def test_wide_is_the_plain_transpose(shape, dtype):
    A = sample(shape, dtype)
    assert_identical(newton_schulz(A, JORDAN, 5).swapaxes(-1, -2),
                     newton_schulz(A.swapaxes(-1, -2), JORDAN, 5))


@dtypes
def test_the_argument_is_left_alone_in_any_layout(dtype):
    A = sample((5, 3), dtype)
    A.flags.writeable = False
    answer = newton_schulz(A, JORDAN, 5)
    answer[...] = answer  # writable
    for view in layouts(A).values():
        before = view.copy()
        assert_within(newton_schulz(view, JORDAN, 5), answer, 2000 * eps(dtype))
        assert np.array_equal(view, before)


# -- the gain, and its bounds -------------------------------------------------------------------------

def test_the_gain_by_hand():
    assert polynomial_gain((2, -1.5, 0.5), 1.0) == 1
    assert polynomial_gain((2, -1.5, 0.5), 0.5) == 1 - 1.5 / 8 + 0.5 / 32
    assert polynomial_gain([(2, 0, 0), (0, 1, 0)], 3.0) == 216
    assert_identical(polynomial_gain((2, 0, 0), np.array([1.0, -2]), 3), np.array([8.0, -16]))
    with mpmath.workdps(50):
        third = polynomial_gain((1, 1, 1), mpmath.mpf(1) / 3)
        assert abs(third - mpmath.mpf(91) / 243) < mpmath.mpf(10)**-49


@published
@pytest.mark.parametrize("lower, upper", [(0, 1), (1e-3, 1), (0.01, 1), (0.3, 0.4), (1, 1), (0.5, 1.0)])
def test_the_bounds_are_those_of_many_points(name, lower, upper):
    coefficients = five(name)
    for steps in (1, 2, 5):
        smallest, largest = gain_bounds(coefficients[:steps], lower, upper)
        gains = polynomial_gain(coefficients[:steps], np.linspace(lower, upper, 200_001))
        assert smallest - 1e-14 <= gains.min() and gains.max() <= largest + 1e-14
        assert gains.min() <= smallest + 1e-4 and largest - 1e-4 <= gains.max()


def test_bounds_of_signs_and_lines():
    assert gain_bounds((-2, 0, 0), 0.5, 1, 1) == (-2, -1)
    assert gain_bounds((-2, 0, 0), 0.5, 1, 2) == (2, 4)
    assert gain_bounds((0, 0, 0), 0, 1, 3) == (0, 0)
    # Down to -2/3 at 1/sqrt(3) ... and through the minimum of the next step on both sides of zero.
    assert_within(np.array(gain_bounds((1.0, -1.0, 0), 0, 1)), np.array([0, 2 / 27**0.5]), 1e-15)
    assert_within(np.array(gain_bounds([(-3, 4, 0), (1, -1, 0)], 0, 1)),
                  np.array([-2 / 27**0.5, 2 / 27**0.5]), 1e-15)


@dtypes
@published
def test_the_bounds_hold_for_matrices(name, dtype):
    coefficients = five(name)
    smallest, largest = gain_bounds(coefficients, 0.01)
    slack = 100 * eps(dtype) * steepness(coefficients)
    for seed in range(5):
        sigma = np.random.default_rng(seed).uniform(0.05, 1, 6)
        sigma = np.append(sigma, np.linalg.norm(sigma) / 90).astype(dtype)  # from 0.011
        U, V = haar((9, 7), dtype, rng=seed), haar((7, 7), dtype, rng=seed + 99)
        answer = newton_schulz(U * sigma @ H(V), coefficients)
        gains = np.linalg.svd(answer, compute_uv=False)
        assert smallest - slack <= gains.min() and gains.max() <= largest + slack


# Steps, smallest and largest gain in [0.001, 1], and in [0.01, 1].
BOUNDS = {
    "classical": (5, (0.023, 1.000), (0.228, 1.000)),
    "jordan": (5, (0.471, 1.202), (0.682, 1.134)),
    "cesista": (5, (0.475, 1.145), (0.978, 1.032)),
    "you": (6, (0.866, 0.999), (0.996, 0.999)),
    "polar_express": (8, (1.000, 1.000), (1.000, 1.000)),
    "polar_express_safe": (8, (1.000, 1.000), (1.000, 1.000)),
    "cans": (5, (0.884, 1.120), (0.884, 1.120)),
    "cesista_eight": (8, (0.999, 1.000), (0.999, 1.000)),
    "pytorch_polar_express": (10, (1.000, 1.000), (1.000, 1.000)),
}


@published
def test_how_far_from_1_the_published_coefficients_lead(name):
    steps, *bounds = BOUNDS[name]
    for lower, expected in zip((1e-3, 1e-2), bounds):
        actual = gain_bounds(newton_schulz_coefficients(name), lower, steps=steps)
        assert_within(np.array(actual), np.array(expected), 5e-4)


# -- the best coefficients ----------------------------------------------------------------------------

def off(triple, lower, upper):
    smallest, largest = gain_bounds(triple, lower, upper)
    return max(1 - smallest, largest - 1)


@pytest.mark.parametrize("lower", [1e-6, 1e-3, 0.1, 0.5, 0.9, 0.99])
def test_the_error_is_the_same_at_four_points_and_no_change_makes_it_smaller(lower):
    triple, = minimax_coefficients(lower, 1)
    error = 1 - polynomial_gain(triple, lower)
    a, b, c = triple
    q, r = np.sqrt(np.sort(np.roots([5 * c, 3 * b, a])))
    signs = (1 - polynomial_gain(triple, np.array([lower, q, r, 1]))) / error
    assert_within(signs, np.array([1, -1, 1, -1]), 1e-13 / error)
    rng = np.random.default_rng(0)
    for size in (1e-2, 1e-3, 1e-4):
        for _ in range(50):
            assert off(triple * (1 + size * rng.standard_normal(3)), lower, 1) > error


@pytest.mark.parametrize("lower, steps", [(1e-3, 3), (1e-2, 2), (0.1, 2)])
def test_no_composition_near_by_is_better(lower, steps):
    best = minimax_coefficients(lower, steps)
    error, rng = off(best, lower, 1), np.random.default_rng(0)
    for size in (1e-2, 1e-4):
        for _ in range(100):
            assert off(best * (1 + size * rng.standard_normal(best.shape)), lower, 1) > error
    for name in ("jordan", "cesista", "you", "polar_express", "cesista_eight"):
        assert off(five(name)[:steps], lower, 1) > error


def test_polar_expresss_coefficients_are_found_again():
    """To rounding. Where the interval is narrow, in the last two steps, they hardly matter."""
    again = minimax_coefficients(1e-3, 8, cushion=0.02407327424182761)
    assert_within(again[:6] / EXPRESS[:6], np.ones((6, 3)), 1e-14)
    assert_within(again[6:] / EXPRESS[6:], np.ones((2, 3)), 1e-8)


def test_those_of_cans_are_found_again_without_a_cushion():
    again = minimax_coefficients(1e-3, 5)
    assert_within(again, newton_schulz_coefficients("cans"), 5e-5)  # four places


def test_those_of_pytorch_are_found_again_with_another_cushion():
    theirs = newton_schulz_coefficients("pytorch_polar_express")
    again = minimax_coefficients(1e-3, 9, cushion=0.02, safety=1.01)
    assert_within(again, theirs[:9], 5e-6)
    last = minimax_coefficients(1e-3, 10, cushion=0.02, safety=1.01)[9] * 1.01 ** np.array([1, 3, 5])
    assert_within(last, theirs[9], 5e-6)


def test_the_safe_ones_are_those_of_emerging_optimizers():
    theirs = np.array([
        (8.2051, -22.9019, 16.4607), (4.0664, -2.8612, 0.5184), (3.9096, -2.8234, 0.5250),
        (3.2856, -2.4153, 0.4853), (2.2779, -1.6198, 0.3985), (1.8726, -1.2307, 0.3585),
        (1.8564, -1.2132, 0.3568), (1.8750, -1.2500, 0.3750)])
    assert_within(newton_schulz_coefficients("polar_express_safe"), theirs, 1e-4)


def test_a_point_is_mapped_to_1():
    assert_within(minimax_coefficients(1, 2), np.array([[1.875, -1.25, 0.375]] * 2), 1e-15)
    assert minimax_coefficients(0.1, 0).shape == (0, 3)


# -- errors -------------------------------------------------------------------------------------------

def test_coefficients_are_copies():
    newton_schulz_coefficients("jordan")[0] = 0
    assert newton_schulz_coefficients("jordan")[0] == 3.4445


@pytest.mark.parametrize("function", [
    lambda *args, **options: newton_schulz(np.eye(2), *args, **options),
    lambda *args, **options: polynomial_gain(args[0], 1.0, *args[1:], **options),
    lambda *args, **options: gain_bounds(args[0], 0.1, 1.0, *args[1:], **options)],
    ids=["newton_schulz", "polynomial_gain", "gain_bounds"])
def test_wrong_coefficients_and_steps_raise(function):
    for wrong in (1.0, [1, 2], np.ones((2, 4)), np.ones((1, 2, 3)), [1, 2, np.nan], [1, 2, 3j], "abc"):
        with pytest.raises(ValueError, match="^coefficients must be a triple of finite numbers"):
            function(wrong, 2)
    with pytest.raises(ValueError, match="^coefficients has 2 triples for 5 steps: give one triple"):
        function(np.ones((2, 3)), 5)
    with pytest.raises(ValueError, match="^steps must not be negative, got -1"):
        function(JORDAN, -1)
    with pytest.raises(TypeError, match="float"):
        function(JORDAN, 5.0)


@wrong_dtypes
def test_wrong_dtype_raises(wrong):
    with pytest.raises(TypeError, match="^A must have dtype float32, float64"):
        newton_schulz(np.ones((2, 2)).astype(wrong), JORDAN, 5)


def test_other_errors():
    with pytest.raises(ValueError, match="^A must be a matrix or a stack"):
        newton_schulz(np.ones(3), JORDAN, 5)
    with pytest.raises(ValueError, match="^A must be finite, got 1 NaN"):
        newton_schulz(np.array([[np.nan, 1.0]]), JORDAN, 5)
    for wrong in (-1, np.nan):
        with pytest.raises(ValueError, match="^eps must not be negative, got"):
            newton_schulz(np.eye(2), JORDAN, 5, eps=wrong)
    with pytest.raises(ValueError, match=r"^name must be one of \['classical', 'jordan'.*got 'muon'"):
        newton_schulz_coefficients("muon")
    for wrong in [(0.5, 0.2), (-0.1, 1), (0.1, np.inf), (np.nan, 1)]:
        with pytest.raises(ValueError, match="^lower and upper must be an interval"):
            gain_bounds(JORDAN, *wrong)
    for wrong in [(0, 1), (1.1, 1), (np.nan, 1), (0.1, -1), (0.1, 1, 1), (0.1, 1, -0.1),
                  (0.1, 1, 0, 0.9)]:
        with pytest.raises(ValueError, match=r"^lower must be in \(0, 1\], steps >= 0, cushion in"):
            minimax_coefficients(*wrong)


def test_the_table_in_the_docstring_is_that_of_the_bounds():
    row = re.compile(r"^    (\w+) +(?:any|\d+) +([\d.]+) to ([\d.]+) +([\d.]+) ", re.M)
    rows = {name: tuple(map(float, gains))
            for name, *gains in row.findall(newton_schulz_coefficients.__doc__)}
    assert rows == {name: (*gains, from_001) for name, (_, (from_001, _), gains) in BOUNDS.items()}
