"""The truth of tests/benchmarks against the definitions; our errors against PyTorch's recorded ones.

PyTorch takes no part here: `make accuracy` measures the whole grid, both libraries side by side.
"""
import json

import mpmath
import numpy as np
import pytest

from orthonorm.equivalence.libraries import Orthonorm
from tests import truth
from tests.benchmarks import accuracy, drift
from tests.benchmarks.cells import MAPS
from tests.benchmarks.exact import exact, relative_error
from tests.benchmarks.inputs import CONDITIONS, draw
from tests.helpers import eps

STEP = mpmath.mpf(10)**-10  # of a five-point stencil: its error is near 1e-40, and rounding near that
maps = pytest.mark.parametrize("name", MAPS)


def as_array(matrix):
    return np.array(matrix.tolist())


def distance(actual, desired):
    """Return the Frobenius norm of the difference, relative to the second, in 50 digits."""
    return mpmath.sqrt(((actual - desired)**2).sum() / (desired**2).sum())


def numerical_gradient(name, X, C):
    """Differentiate <C, Q(X)>, Q from its definition, by central differences in 50 digits."""
    definition = getattr(truth, name)

    def loss(i, j, steps):
        moved = X.astype(object)
        moved[i, j] = mpmath.mpf(float(X[i, j])) + steps * STEP
        return (as_array(definition(moved)) * C).sum()

    gradient = np.zeros(X.shape, object)
    for i, j in zip(*np.tril_indices(*[X.shape[0], -1, X.shape[1]])):
        gradient[i, j] = (8 * (loss(i, j, 1) - loss(i, j, -1))
                          - (loss(i, j, 2) - loss(i, j, -2))) / (12 * STEP)
    return gradient


@maps
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (6, 2)], ids=str)
@pytest.mark.parametrize("condition", ["scale 1", "scale 1000"])
def test_exact_value_is_the_definition(name, shape, condition):
    X, C = draw(condition, shape, "float64")
    with mpmath.workdps(truth.DIGITS):
        assert distance(exact(name, X, C)[0], as_array(getattr(truth, name)(X))) < 1e-44


@maps
@pytest.mark.parametrize("shape", [(3, 3), (4, 2)], ids=str)
def test_exact_gradient_is_the_derivative_of_the_definition(name, shape):
    X, C = draw("scale 1", shape, "float64")
    with mpmath.workdps(truth.DIGITS):
        assert distance(exact(name, X, C)[1], numerical_gradient(name, X, C)) < 1e-34


@maps
@pytest.mark.parametrize("condition", ["start", "scale 1", "scale 10000", "one plane 1e4"])
def test_double_precision_truth_has_the_digits_that_float32_needs(name, condition):
    X, C = draw(condition, (9, 4), "float32")
    for double, precise in zip(exact(name, X, C, precise=False), exact(name, X, C)):
        assert relative_error(double, precise) < 1e-3 * eps(np.float32)


@pytest.fixture(scope="module")
def recorded():
    """Return PyTorch's errors, as `make accuracy` recorded them."""
    cells = json.loads((accuracy.RESULTS / "accuracy.json").read_text())["cells"]
    return {(row["map"], row["dtype"], tuple(row["shape"]), row["condition"]): row["errors"]["PyTorch"]
            for row in cells}


@maps
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", accuracy.TESTED, ids=str)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_never_worse_than_twice_pytorch(name, dtype, shape, condition, recorded):
    cell = name, dtype, shape, condition
    [row] = accuracy.measure({"orthonorm": Orthonorm()}, [cell])
    row["errors"]["PyTorch"] = recorded[cell]
    for what in accuracy.QUANTITIES:
        assert accuracy.ratio(row, what) <= accuracy.WORST_ALLOWED, (what, row["errors"])


def test_errors_at_rounding_level_are_equal():
    errors = {"orthonorm": {"value": 1e-8}, "PyTorch": {"value": 1e-12}}
    row = {"dtype": "float32", "errors": errors}
    assert accuracy.ratio(row, "value") == 1
    assert accuracy.ratio(row, "value", floor=0) == pytest.approx(1e4)


@maps
def test_training_does_not_drift_from_orthogonality(name):
    run = drift.run(name, (10, 4), steps=1000)
    assert run["end"] <= 2 * run["start"]
