"""The JAX example of notebooks/frameworks.rst, against JAX differentiating a plain Cayley transform."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from tests.helpers import eps, sample

from .examples import run

EXAMPLE = run("JAX")
cayley = EXAMPLE["cayley"]

shapes = pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (2, 5, 3), (1, 1), (5, 1)], ids=str)
dtypes = pytest.mark.parametrize("dtype", [np.float64, np.complex128], ids=["real", "complex"])
every_dtype = pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.complex64, np.complex128], ids=lambda dtype: dtype.__name__)


def plain_cayley(X):
    """(I - A/2)^-1 (I + A/2), n x n, as the textbook has it; transposed where X is wide."""
    n, k = X.shape[-2:]
    if n < k:
        return jnp.swapaxes(plain_cayley(jnp.swapaxes(X, -1, -2)), -1, -2)
    L = jnp.concatenate([jnp.tril(X), jnp.zeros((*X.shape[:-1], n - k), X.dtype)], axis=-1)
    A = L - jnp.conj(jnp.swapaxes(L, -1, -2))
    identity = jnp.eye(n, dtype=X.dtype)
    return jnp.linalg.solve(identity - A / 2, identity + A / 2)[..., :k]


def loss_of(function, cotangent):
    return lambda X: jnp.sum(jnp.real(jnp.conj(cotangent) * function(X)))


@shapes
@every_dtype
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jit"])
def test_values_and_gradients_are_those_of_jax(shape, dtype, transform):
    X, cotangent = sample(shape, dtype), sample(shape, dtype, seed=1)
    tolerance = 500 * eps(dtype)
    Q = transform(cayley)(X)
    gradient = transform(jax.grad(loss_of(cayley, cotangent)))(X)
    assert Q.dtype == gradient.dtype == dtype
    np.testing.assert_allclose(Q, jax.jit(plain_cayley)(X), rtol=tolerance, atol=tolerance)
    expected = jax.jit(jax.grad(loss_of(plain_cayley, cotangent)))(X)
    np.testing.assert_allclose(gradient, expected, rtol=tolerance, atol=tolerance)


@shapes
@dtypes
def test_check_grads(shape, dtype):
    check_grads(cayley, (sample(shape, dtype),), order=1, modes=["rev"])


@dtypes
def test_vmap_is_a_loop(dtype):
    X, cotangent = sample((2, 3, 5, 2), dtype), sample((5, 2), dtype)
    gradient = jax.jit(jax.grad(loss_of(cayley, cotangent)))
    together = jax.jit(jax.vmap(jax.vmap(gradient)))(X)
    one_by_one = [[gradient(matrix) for matrix in row] for row in X]
    np.testing.assert_allclose(together, one_by_one, rtol=1e-13, atol=1e-13)


def test_a_second_derivative_is_refused():
    gradient = jax.grad(loss_of(cayley, np.ones((3, 3))))
    with pytest.raises(ValueError, match="callbacks do not support JVP"):
        jax.grad(lambda X: jnp.sum(gradient(X)))(sample((3, 3)))


def test_the_stack_of_the_example():
    X, stack = EXAMPLE["X"], EXAMPLE["stack"]
    plain = jax.jit(jax.grad(lambda X: jnp.sum(jnp.tanh(plain_cayley(X) @ np.ones(64)))))
    np.testing.assert_allclose(stack[3], plain(X[3]), rtol=1e-11, atol=1e-13)
