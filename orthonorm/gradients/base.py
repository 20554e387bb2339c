r"""Rules of the product with the base of a trivialization."""
from autograd.extend import defjvp, defvjp, primitive

from ..core.reflectors import CompactWY
from .rules import H, cast, conj


@primitive
def multiply(base, Z):
    r"""Multiply by an orthogonal matrix that is a constant to every derivative.

    Parameters
    ----------
    base : ndarray or orthonorm.core.reflectors.CompactWY, shape (..., n, n)
    Z : array or autograd tracer, shape (..., n, m)

    Returns
    -------
    array or autograd tracer, shape (..., n, m)
    """
    return base @ Z


@primitive
def _multiply_adjoint(base, Z):
    return base.adjoint_matmul(Z) if isinstance(base, CompactWY) else H(base) @ Z


defvjp(multiply, lambda Q, base, Z: lambda g: (
    conj(_multiply_adjoint(base, cast(conj(g), Q.dtype)))), argnums=(1,))
defjvp(multiply, lambda dZ, Q, base, Z: multiply(base, dZ), argnums=(1,))
defvjp(_multiply_adjoint, lambda Q, base, Z: lambda g: (
    conj(multiply(base, cast(conj(g), Q.dtype)))), argnums=(1,))
defjvp(_multiply_adjoint, lambda dZ, Q, base, Z: _multiply_adjoint(base, dZ), argnums=(1,))


def check_base(base, X):
    """Raise ValueError unless the square matrices `base` and `X` have the same shape.

    Parameters
    ----------
    base : ndarray, shape (..., n, n)
    X : array or autograd tracer, shape (..., n, n)
    """
    if base.shape != X.shape:
        raise ValueError(f"base must have the shape of X, {X.shape}, got {base.shape}")
