"""The maps in 60 digits against those of tests/truth.py, which have 50 and go another way."""
import decimal

import mpmath
import numpy as np
import pytest

from orthonorm.conformance import exact
from tests import truth
from tests.helpers import sample

REAL, COMPLEX = (np.float32, np.float64), (np.complex64, np.complex128)
SHAPES = [(1, 1), (4, 1), (3, 3), (6, 2), (2, 5), (0, 0), (3, 0)]


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e3])
@pytest.mark.parametrize("shape", SHAPES[:-2], ids=str)
@pytest.mark.parametrize("name, dtype", [
    (name, dtype) for name in ("matrix_exp", "cayley", "householder", "unitary_householder")
    for dtype in (REAL[1:] if name == "householder" else REAL[1:] + COMPLEX[1:])])
def test_frame_is_the_truth(name, dtype, shape, scale):
    X = (scale * sample(shape, dtype)).astype(dtype)
    expected = getattr(truth, name)(X)
    with decimal.localcontext(prec=60), mpmath.workdps(60):
        re, im = exact.frame(name, X)
        for i, j in np.ndindex(shape):
            found = mpmath.mpc(str(re[i, j]), str(im[i, j]))
            assert abs(found - expected[i, j]) < mpmath.mpf(10)**-40 * max(1, scale)**2


def test_the_distance_is_that_of_all_matrices_of_a_stack():
    X = sample((2, 3, 4, 2), np.complex128)
    Q = np.array([[np.array(truth.cayley(x).tolist(), complex) for x in row] for row in X])
    assert exact.distance_of_map("cayley", X, Q) < 1e-15
    Q[1, 2, 3, 1] += 3e-5j
    Q[0, 0, 0, 0] += 4e-5
    assert exact.distance_of_map("cayley", X, Q) == pytest.approx(5e-5, rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES[-2:])
def test_nothing_is_no_distance_away(shape):
    for name in ("matrix_exp", "cayley", "householder", "unitary_householder"):
        assert exact.distance_of_map(name, np.zeros(shape), np.zeros(shape)) == 0
    assert exact.distance_from_orthonormal(np.zeros(shape)) == 0


def test_what_has_no_frame_is_infinitely_far():
    X = np.zeros((2, 2))
    assert exact.distance_of_map("unitary_householder", X.astype(complex), X) == np.inf
    X[1, 0] = 1e300
    assert exact.distance_of_map("matrix_exp", X, X) == np.inf
    assert exact.distance_of_map("cayley", X, -np.eye(2)) < 1e-58


@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3), (2, 5, 2)], ids=str)
@pytest.mark.parametrize("dtype", REAL + COMPLEX)
def test_distance_from_orthonormal(dtype, shape):
    A = sample(shape, dtype)
    wide = A.astype(complex)
    gram = wide @ np.swapaxes(wide.conj(), -1, -2)
    if shape[-2] > shape[-1]:
        gram = np.swapaxes(wide.conj(), -1, -2) @ wide
    expected = np.linalg.norm(gram - np.eye(min(shape[-2:])))
    assert exact.distance_from_orthonormal(A) == pytest.approx(expected, rel=1e-12)
    frame = np.linalg.qr(np.eye(5, 3))[0]
    assert exact.distance_from_orthonormal(frame) == 0
