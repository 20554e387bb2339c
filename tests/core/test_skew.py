import itertools

import numpy as np
import pytest

from orthonorm.core.matrices import H
from orthonorm.core.skew import skew_blocks, skew_matrix, tall_qr
from tests.helpers import DTYPES, assert_identical, dtypes, eps, gram_error, sample


def test_skew_blocks_read_the_lower_triangle():
    X = np.array([[1 + 2j, 99], [3 + 4j, 5 + 6j], [7 + 8j, 9 + 10j]])
    Omega, B = skew_blocks(X)
    assert_identical(Omega, np.array([[4j, -3 + 4j], [3 + 4j, 12j]]))
    assert_identical(B, X[2:])
    Omega, B = skew_blocks(X.real)
    assert_identical(Omega, np.array([[0.0, -3], [3, 0]]))


def test_skew_blocks_of_a_stack():
    for dtype in DTYPES:
        X = sample((2, 3, 5, 2), dtype)
        Omega, B = skew_blocks(X)
        assert Omega.shape == (2, 3, 2, 2) and B.shape == (2, 3, 3, 2)
        assert_identical(Omega, -H(Omega))
        assert_identical(Omega[1, 2], skew_blocks(X[1, 2])[0])


def test_skew_matrix_is_skew():
    for dtype, (n, k) in itertools.product(DTYPES, [(4, 4), (5, 2)]):
        Omega = sample((k, k), dtype)
        Omega = Omega - Omega.conj().T
        A = skew_matrix(Omega, sample((n - k, k), dtype))
        assert A.shape == (n, n) and A.dtype == dtype
        assert_identical(A, -A.conj().T)


@dtypes
@pytest.mark.parametrize("shape", [(3, 3), (1023, 2), (1024, 2), (1537, 5), (2, 2, 1100, 3), (5000, 1),
                                   (700_000, 1), (1024, 520)], ids=str)
@pytest.mark.parametrize("kind", ["full rank", "rank one", "zero"])
def test_tall_qr_in_one_block_or_many(shape, dtype, kind):
    """At 700 000 rows the triangles are in several blocks again."""
    B = {"full rank": sample(shape, dtype), "zero": np.zeros(shape, dtype),
         "rank one": sample(shape[:-1] + (1,), dtype) * np.ones(shape[-1], dtype)}[kind]
    P, R = tall_qr(B)
    assert P.dtype == R.dtype == dtype
    assert gram_error(P) <= 20 * shape[-1] * eps(dtype)
    assert_identical(R, np.triu(R))
    lengths = np.linalg.norm(B, axis=-2, keepdims=True)
    assert np.all(np.abs(P @ R - B) <= 20 * eps(dtype) * lengths)
