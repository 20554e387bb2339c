r"""What the rules are written with: registration, and a few differentiable matrix operations.

``mT``, ``H``, ``tril``, ``any_shape`` and ``skew_blocks`` do what their namesakes in
:mod:`orthonorm.core.matrices` and :mod:`orthonorm.core.skew` do, for tracers too.
"""
import functools

import autograd.numpy
import numpy
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import Box, isbox

from ..core import matrices


def stop_gradient(x):
    """Return the value of `x`, a constant to every derivative being taken.

    Parameters
    ----------
    x : array_like or autograd tracer

    Returns
    -------
    array_like
        `x` itself, or the array inside any number of tracers.

    Examples
    --------
    >>> from autograd import grad
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    while isinstance(x, Box):
        x = x._value
    return x


def namespace(*arrays):
    """Return autograd's NumPy if one of the arrays is a tracer, else plain NumPy, which is faster."""
    return autograd.numpy if any(map(isbox, arrays)) else numpy


def mT(A):
    """Transpose each matrix of a stack, without conjugation."""
    return A.swapaxes(-1, -2)


def conj(A):
    """Return the complex conjugate of `A`; `A` itself where it is real."""
    return namespace(A).conj(A) if A.dtype.kind == "c" else A


def H(A):
    """Return the conjugate transpose of each matrix of a stack."""
    return mT(conj(A))


def tril(A, k=0):
    """Return the lower triangle of each matrix of a stack."""
    return autograd.numpy.tril(A, k) if isbox(A) else matrices.tril(A, k)


def triu(A, k=0):
    """Return the upper triangle of each matrix of a stack."""
    return namespace(A).triu(A, k)


def rows(*blocks):
    """Stack blocks on top of each other."""
    return namespace(*blocks).concatenate(blocks, axis=-2)


def columns(*blocks):
    """Put blocks side by side."""
    return namespace(*blocks).concatenate(blocks, axis=-1)


def block2(A, B, C, D):
    """Assemble ``[[A, B], [C, D]]``."""
    return rows(columns(A, B), columns(C, D))


def double(x):
    """Convert `x` to double precision, and derivatives back to its own."""
    return cast(x, numpy.result_type(x.dtype, numpy.float64))


def cast(x, dtype):
    """Convert `x` to `dtype`; its derivatives are converted to theirs."""
    return x if x.dtype == dtype and not isbox(x) else _cast(x, dtype)


@primitive
def _cast(x, dtype):
    return x.astype(dtype, copy=False)


defvjp(_cast, lambda ans, x, dtype: lambda g: cast(g, x.dtype), argnums=(0,))
defjvp(_cast, lambda g, ans, x, dtype: cast(g, ans.dtype), argnums=(0,))


def register(fun, *, adjoint, tangent):
    """Register the two rules of a primitive of one array, and constants computed from it.

    Parameters
    ----------
    fun : autograd primitive
        ``Q = fun(X, *constants)``.
    adjoint : callable
        ``adjoint(Q, X, *constants, Qbar)`` -> Xbar.
    tangent : callable
        ``tangent(Q, X, *constants, dX)`` -> dQ.
    """
    defvjp(fun, lambda Q, X, *constants: lambda g: (
        conj(cast(adjoint(Q, X, *constants, cast(conj(g), Q.dtype)), X.dtype))), argnums=(0,))
    defjvp(fun, lambda dX, Q, X, *constants: (
        cast(tangent(Q, X, *constants, cast(dX, X.dtype)), Q.dtype)), argnums=(0,))


def any_shape(tall_map):
    """Extend a function of tall matrices to wide ones, f(X) = f(X^T)^T, and to lists."""
    @functools.wraps(tall_map)
    def of_any_shape(X):
        if not isbox(X):  # a list may hold tracers
            X = (autograd.numpy.array(X) if isinstance(X, (list, tuple)) else matrices.as_array(X, "X"))
        wide = X.ndim >= 2 and X.shape[-2] < X.shape[-1]
        return mT(tall_map(mT(X))) if wide else tall_map(X)
    return of_any_shape


def skew_blocks(X):
    """Split the lower triangle of a tall X as :func:`orthonorm.core.skew.skew_blocks` does."""
    k = X.shape[-1]
    L1 = tril(X[..., :k, :])
    return L1 - H(L1), X[..., k:, :]


def skew_blocks_adjoint(Omegabar, Bbar):
    """Pull gradients of the blocks back to X."""
    return rows(skew_adjoint(Omegabar), Bbar)


def skew_adjoint(Omegabar):
    r"""Pull the gradient of a skew-Hermitian :math:`\Omega = L - L^H` back to the triangle L."""
    return tril(Omegabar - H(Omegabar))
