import numpy as np
import pytest

from orthonorm.core import householder, householder_inverse, orthonormalize
from orthonorm.core.householder import product_of_reflectors
from orthonorm.core.reflectors import factor, reflectors, triangle
from tests import truth
from tests.helpers import (
    SHAPES, H, assert_identical, assert_within, eps, gram_error, layouts, peak_memory, real_dtypes,
    sample, shapes, with_signs,
)


# Products of k reflectors, each applied with an error of a few n eps.
@real_dtypes
@shapes
@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_is_the_product_of_reflectors(shape, dtype, scale):
    X = sample(shape, dtype, scale=scale)
    assert truth.error(householder(X), truth.householder(X)) <= 4 * sum(shape) * eps(dtype)


@real_dtypes
@pytest.mark.parametrize("shape", [(64, 64), (65, 65), (128, 128), (2, 150, 150)], ids=str)
@pytest.mark.parametrize("scale", [1e-2, 1, 1e3])
def test_large_products_are_those_of_reflectors_one_at_a_time(shape, dtype, scale):
    X = with_signs(sample(shape, dtype, scale=scale))
    V = np.tril(X, -1).astype(np.longdouble) + np.eye(shape[-1])
    Q = np.broadcast_to(np.eye(shape[-1]), shape).astype(np.longdouble)
    for j in range(shape[-1]):
        v = V[..., j:j + 1]
        Q = Q - (Q @ v) @ (2 * H(v) / np.sum(v**2, axis=(-2, -1), keepdims=True))
    Q = Q * np.diagonal(X, axis1=-2, axis2=-1)[..., None, :]
    assert_within(householder(X), Q, 60 * eps(dtype))


@real_dtypes
@pytest.mark.parametrize("n", [128, 256])
@pytest.mark.parametrize("seed", range(4))
def test_parallel_reflectors_of_all_lengths_make_an_orthonormal_matrix(n, seed, dtype):
    """With the products V^H V in one go the error was up to 311 eps."""
    lengths = 10.0 ** np.random.default_rng(seed).uniform(-2, 4, n)
    X = with_signs((sample((n, 1), seed=seed) * lengths).astype(dtype))
    assert gram_error(householder(X)) <= n * eps(dtype)


@real_dtypes
@pytest.mark.parametrize("shape", SHAPES + [(40, 40), (60, 25), (25, 60)], ids=str)
@pytest.mark.parametrize("scale", [1e-3, 1, 1e2, 1e4])
def test_is_orthonormal_at_any_scale(shape, dtype, scale):
    X = sample(shape, dtype, scale=scale)
    assert gram_error(householder(X)) <= 20 * max(shape) * eps(dtype)


@real_dtypes
@pytest.mark.parametrize("shape", [(5, 1), (7, 2)], ids=str)
def test_reflectors_too_long_to_square_raise(shape, dtype):
    huge = float(np.finfo(dtype).max) ** 0.6
    X = with_signs(sample(shape, dtype, scale=huge))
    with pytest.raises(ValueError, match="^X must hold reflectors whose squared norms are finite"):
        householder(X)


@real_dtypes
@pytest.mark.parametrize("shape", [(8, 8), (9, 8), (8, 12)], ids=str)
def test_the_signs_are_the_sign_bits_of_the_diagonal(shape, dtype):
    """Whatever its size. PyTorch truncates: the columns of the last five become zero there."""
    tiny = np.finfo(dtype).smallest_subnormal
    X, Y = sample(shape, dtype), sample(shape, dtype)
    X[range(8), range(8)] = [2.7, -1.9, np.finfo(dtype).max, -0.99999, 0.0, -0.0, tiny, -tiny]
    Y[range(8), range(8)] = [1, -1, 1, -1, 1, -1, 1, -1]
    assert_identical(householder(X), householder(Y))
    assert gram_error(householder(X)) <= 20 * 12 * eps(dtype)


@real_dtypes
def test_what_is_above_the_diagonal_is_not_read(dtype):
    X = with_signs(sample((5, 3), dtype))
    Y = X + np.triu(np.full((5, 3), 100, dtype), 1)
    assert_identical(householder(Y), householder(X))
    assert_identical(householder(Y.T), householder(X.T))


def test_one_column_is_one_reflector():
    v = np.array([1, 0.5, -2, 0.25])
    Q = householder(np.array([[-1, 0.5, -2, 0.25]]).T)
    assert_within(Q[:, 0], -(np.eye(4)[0] - 2 * v / (v @ v)), 1e-15)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("function, name", [(householder, "X"), (householder_inverse, "Q")])
def test_complex_raises(function, name, dtype):
    with pytest.raises(ValueError, match=f"^{name} must be real"):
        function(np.eye(3, dtype=dtype))


@real_dtypes
@pytest.mark.parametrize("shape", SHAPES + [(40, 40), (3, 4, 2), (2, 2, 2, 5)], ids=str)
def test_inverse_undoes_the_map(shape, dtype):
    X = with_signs(sample(shape, dtype))
    Q = householder(X)
    Y = householder_inverse(Q)
    assert Y.dtype == dtype
    assert_within(householder(Y), Q, 4 * sum(shape[-2:]) * eps(dtype))
    assert set(np.unique(np.diagonal(Y, axis1=-2, axis2=-1))) <= {-1, 1}


@real_dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (6, 1), (40, 25)], ids=str)
def test_inverse_orthonormalizes_what_is_not_a_frame(shape, dtype):
    A = sample(shape, dtype, seed=3)
    Q = orthonormalize(A)
    assert_within(householder(householder_inverse(A)), Q, 20 * max(shape) * eps(dtype))


@real_dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (1, 1), (4, 1), (1, 4), (2, 5, 3)], ids=str)
@pytest.mark.parametrize("kind", ["zero", "one zero column", "rank one", "ones", "unit"])
def test_inverse_of_a_rank_deficient_matrix_is_a_frame(shape, dtype, kind):
    A = np.zeros(shape, dtype)
    if kind == "one zero column":
        A += sample(shape, dtype)
        A[..., :, -1] = 0
        A[..., -1, :] = 0
    elif kind == "rank one":
        A += sample(shape[:-1] + (1,), dtype) * sample(shape[:-2] + (1, shape[-1]), dtype)
    elif kind == "ones":
        A += 1
    elif kind == "unit":
        A[..., 0, 0] = 1
    assert gram_error(householder(householder_inverse(A))) <= 20 * max(shape) * eps(dtype)


@real_dtypes
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)], ids=str)
@pytest.mark.parametrize("sign", [1, -1])
def test_inverse_of_the_identity(shape, dtype, sign):
    """LAPACK does not reflect here, the map always does: it has to turn the signs."""
    frame = sign * np.eye(*shape, dtype=dtype)
    assert_identical(householder_inverse(frame), -frame)
    assert_identical(householder(-frame), frame)


def test_inverse_whose_r_overflows_raises():
    with pytest.raises(ValueError, match="^R in Q = H_1 ... H_k R must be finite, got"):
        householder_inverse(np.full((4, 3), 1.7e308))


def test_inverse_leaves_r_above_the_diagonal():
    """As LAPACK does: A = Q R with the R of geqrf, whose diagonal may be negative."""
    A = sample((5, 3))
    R = np.linalg.qr(A, mode="r")
    assert_within(np.triu(householder_inverse(A), 1)[:3], np.triu(R, 1), 1e-14)


def test_small_reflectors_lose_nothing():
    """The squares of many small entries add up, although each is lost beside 1."""
    X = with_signs(sample((512, 16), np.float32, scale=1e-3 * 512**-0.5))
    assert gram_error(householder(X)) <= 4 * eps(np.float32)


@pytest.mark.parametrize("shape", [(256, 32), (40, 10), (30, 30)], ids=str)
def test_long_reflectors_in_one_plane_lose_nothing(shape):
    """T has large entries there, which cancel."""
    X = with_signs(sample(shape, scale=shape[0]**-0.5) + 1e4 * sample((shape[0], 2)) @ sample(
        (2, shape[1]))).astype(np.float32)
    Q = householder(X)
    assert np.linalg.norm(Q - householder(X.astype(float))) <= 2 * eps(np.float32) * shape[1]**0.5


def test_parts_of_the_compact_form():
    X = sample((5, 3))
    V = reflectors(X)
    assert_identical(np.tril(V, -1), np.tril(X, -1))
    assert_identical(np.triu(V), np.eye(5, 3))


@pytest.mark.parametrize("shape", [(5, 3), (90, 70), (2, 12, 9), (0, 4, 2)], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_triangle_has_the_inverse_of_its_definition(shape, dtype):
    factored, tau = factor(sample(shape, dtype))
    V = reflectors(factored)
    T = triangle(V, tau)
    assert_identical(np.tril(T, -1), np.zeros_like(T))
    inverse = np.triu(H(V) @ V, 1) + np.eye(shape[-1]) / tau[..., None, :]
    assert_within(T @ inverse, np.broadcast_to(np.eye(shape[-1], dtype=dtype), T.shape), 1e-12)


@real_dtypes
@pytest.mark.parametrize("shape", [(4, 4), (1, 1), (70, 70), (2, 3, 5, 5), (0, 3, 3), (0, 0)], ids=str)
def test_multiplying_from_the_right_is_multiplying_by_the_frame(shape, dtype):
    X, Z = with_signs(sample(shape, dtype)), sample(shape, dtype, 1)
    product = product_of_reflectors(X)
    for view in layouts(Z).values():
        before = view.copy()
        assert_within(product.multiply_from_right(view), Z @ product.frame(), 1000 * eps(dtype))
        assert_identical(view, before)


def test_nothing_n_by_n():
    n, k = 200_000, 2  # n x n would be 320 GB
    X = with_signs(sample((n, k), scale=n**-0.5))
    Q, peak = peak_memory(householder, X)
    assert peak < 20 * X.nbytes
    assert gram_error(Q) <= n**0.5 * eps(float)
    Y, peak = peak_memory(householder_inverse, X)
    assert peak < 20 * X.nbytes
    assert gram_error(householder(Y)) <= n**0.5 * eps(float)
