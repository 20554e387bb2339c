"""The completion of a frame: orthogonal, of few reflectors, of little memory."""
import numpy as np
import pytest

from orthonorm.core import complete
from orthonorm.core.completion import completion, is_orthonormal
from tests.helpers import (
    H, assert_identical, assert_within, dtypes, eps, gram_error, peak_memory, sample,
)

TALL = [(4, 4), (5, 3), (7, 1), (1, 1), (3, 0), (2, 5, 3), (2, 3, 6, 2), (0, 4, 2), (60, 40)]


def frame(shape, dtype=np.float64, seed=0):
    Q = np.linalg.qr(sample(shape, dtype, seed))[0]
    return Q * np.random.default_rng(seed).choice([-1, 1], shape[-1]).astype(dtype)


@dtypes
@pytest.mark.parametrize("shape", TALL, ids=str)
def test_complete_is_orthogonal_and_begins_with_the_frame(shape, dtype):
    Q = frame(shape, dtype)
    base = complete(Q)
    assert base.shape == (*shape[:-1], shape[-2])
    assert_identical(base[..., :shape[-1]], Q)
    assert gram_error(base) <= 5 * shape[-2] * eps(dtype)


@dtypes
@pytest.mark.parametrize("shape", TALL, ids=str)
def test_complete_is_the_complete_qr_factorisation(shape, dtype):
    Q = frame(shape, dtype)
    expected = np.linalg.qr(Q, mode="complete")[0][..., shape[-1]:]
    assert_within(complete(Q)[..., shape[-1]:], expected, 5 * shape[-2] * eps(dtype))


@dtypes
@pytest.mark.parametrize("Q", [np.eye(5, 3), -np.eye(5, 3), np.eye(5)[:, [4, 0, 2]],
                               np.eye(5)[:, ::-1], np.eye(4) * [1, -1, -1, 1]], ids=str)
def test_frames_of_unit_vectors_are_completed_too(Q, dtype):
    """LAPACK skips reflectors there: tau = 0."""
    base = complete(Q.astype(dtype))
    assert_identical(base[:, :Q.shape[1]], Q.astype(dtype))
    assert gram_error(base) <= 5 * eps(dtype)


@dtypes
@pytest.mark.parametrize("shape", TALL, ids=str)
def test_products_are_those_with_the_square_matrix(shape, dtype):
    Q, Z = frame(shape, dtype), sample((*shape[:-1], 4), dtype, 1)
    before = Z.copy()
    base, factors = complete(Q), completion(Q)
    tolerance = 40 * shape[-2] * eps(dtype)
    assert_within(factors @ Z, base @ Z, tolerance)
    assert_within(factors.adjoint_matmul(Z), H(base) @ Z, tolerance)
    assert_identical(Z, before)
    assert (factors @ Z).dtype == factors.adjoint_matmul(Z).dtype == dtype


def test_nothing_square_is_made():
    n, k = 20000, 16
    Q, Z = frame((n, k)), sample((n, k))
    factors, memory = peak_memory(completion, Q)
    assert memory < 6 * n * k * 8
    for product in (factors.__matmul__, factors.adjoint_matmul):
        assert peak_memory(product, Z)[1] < 4 * n * k * 8


@pytest.mark.parametrize("Q, message", [
    (np.ones((3, 2)), "orthonormal columns"), (np.eye(2, 3), "orthonormal columns"),
    (np.full((3, 2), np.nan), "Q must be finite")], ids=["not orthonormal", "wide", "nan"])
def test_what_is_no_frame_is_refused(Q, message):
    with pytest.raises(ValueError, match=message):
        complete(Q)


def test_is_orthonormal_tells():
    Q = frame((5, 3))
    assert is_orthonormal(Q) and is_orthonormal(np.stack([Q, Q])) and is_orthonormal(np.eye(3)[:, :0])
    assert not is_orthonormal(Q * (1 + 1e-10)) and is_orthonormal(Q * (1 + 1e-10), tolerance=1e-9)
    assert not is_orthonormal(np.stack([Q, 2 * Q])) and not is_orthonormal(np.full((3, 2), np.nan))
