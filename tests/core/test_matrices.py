import numpy as np
import pytest

from orthonorm.core.matrices import H, any_shape, as_matrices, check_dtype, check_finite, mT
from tests.helpers import (
    DTYPES, assert_identical, assert_within, dtypes, is_complex, sample, wrong_dtypes,
)


def test_as_matrices_returns_an_array_itself():
    X = sample((2, 3))
    assert as_matrices(X) is X
    assert_identical(as_matrices([[1.0], [2.0]]), np.array([[1.0], [2.0]]))


@wrong_dtypes
def test_wrong_dtype_raises(wrong):
    for check in (as_matrices, check_dtype):
        with pytest.raises(TypeError, match="^weight must have dtype float32.*got"):
            check(np.ones((2, 2)).astype(wrong), "weight")


def test_other_byte_order_is_the_same_dtype_or_refused():
    """Data from a file may be big-endian; the maps must not return nonsense for it."""
    X = sample((2, 2)).astype(">f8")
    try:
        assert_within(np.linalg.inv(as_matrices(X)) @ X, np.eye(2), 1e-14)
    except TypeError:
        pass


@dtypes
def test_not_finite_is_counted(dtype):
    X = np.zeros((2, 3, 3), dtype)
    assert check_finite(X, "X") is X
    X[0, 1, 2], X[1, 0, 0] = np.nan, -np.inf
    with pytest.raises(ValueError, match="^weight must be finite, got 2 NaN or infinite of 18 entries"):
        check_finite(X, "weight")


def test_transposes():
    Z = sample((2, 3, 4), np.complex128)
    assert_identical(mT(Z), Z.transpose(0, 2, 1))
    assert_identical(H(Z), Z.conj().transpose(0, 2, 1))
    X = Z.real.copy()
    assert np.shares_memory(mT(X), X) and np.shares_memory(H(X), X)


def test_any_shape_sees_tall_matrices_only():
    seen = []

    @any_shape("W")
    def double(X):
        "Docstring."
        seen.append(X.shape)
        return 2 * X

    for shape in [(2, 3), (3, 2), (3, 3), (5, 2, 3)]:
        X = sample(shape)
        assert_identical(double(X), 2 * X)
    assert seen == [(3, 2), (3, 2), (3, 3), (5, 3, 2)]
    assert double.__name__ == "double" and double.__doc__ == "Docstring."
    with pytest.raises(ValueError, match="^W must be a matrix"):
        double(np.ones(3))


def test_is_complex_knows_the_dtypes():
    assert [is_complex(dtype) for dtype in DTYPES] == [False, False, True, True]
