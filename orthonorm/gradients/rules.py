r"""What the rules are written with: registration, and a few differentiable matrix operations."""
import autograd.numpy as np
from autograd.extend import defjvp, defvjp, notrace_primitive, primitive
from autograd.tracer import getval


def stop_gradient(x):
    """Return the value of `x`, a constant to every derivative being taken.

    Parameters
    ----------
    x : array_like or autograd tracer

    Returns
    -------
    array_like
        `x` itself, or the array inside the tracer.

    Examples
    --------
    >>> from autograd import grad
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return getval(x)


def mT(A):
    """Transpose each matrix of a stack, without conjugation."""
    return np.swapaxes(A, -1, -2)


def conj(A):
    """Return the complex conjugate of `A`; `A` itself where it is real."""
    return np.conj(A) if np.iscomplexobj(A) else A


def H(A):
    """Return the conjugate transpose of each matrix of a stack."""
    return mT(conj(A))


def tril(A, k=0):
    """Return the lower triangle of each matrix of a stack."""
    return np.tril(A, k)


def rows(*blocks):
    """Stack blocks on top of each other."""
    return np.concatenate(blocks, axis=-2)


def block2(A, B, C, D):
    """Assemble ``[[A, B], [C, D]]``."""
    return rows(np.concatenate((A, B), axis=-1), np.concatenate((C, D), axis=-1))


@primitive
def cast(x, dtype):
    """Convert `x` to `dtype`; its derivatives are converted to theirs."""
    return x.astype(dtype, copy=False)


@notrace_primitive
def dtype_of(x):
    """Return the dtype of an array or tracer."""
    return x.dtype


defvjp(cast, lambda ans, x, dtype: lambda g: cast(g, dtype_of(x)), argnums=(0,))
defjvp(cast, lambda g, ans, x, dtype: cast(g, dtype_of(ans)), argnums=(0,))


def define(fun, *, adjoint, tangent):
    """Register the two rules of a primitive of one array.

    Parameters
    ----------
    fun : autograd primitive
        ``Q = fun(X)``.
    adjoint : callable
        ``adjoint(Q, X, Qbar)`` -> Xbar.
    tangent : callable
        ``tangent(Q, X, dX)`` -> dQ.
    """
    defvjp(fun, lambda Q, X: lambda g: conj(adjoint(Q, X, cast(conj(g), dtype_of(Q)))))
    defjvp(fun, lambda dX, Q, X: tangent(Q, X, cast(dX, dtype_of(X))))


def on_tall(tall_map, X):
    """Apply a primitive of tall matrices to a wide one by ``f(X) = f(X^T)^T``."""
    shape = np.shape(X)
    wide = len(shape) >= 2 and shape[-2] < shape[-1]
    return mT(tall_map(mT(X))) if wide else tall_map(X)


def skew_blocks(X):
    """Split the lower triangle of a tall X as :func:`orthonorm.core.matrices.skew_blocks` does."""
    k = X.shape[-1]
    L1 = tril(X[..., :k, :])
    return L1 - H(L1), X[..., k:, :]


def skew_blocks_adjoint(Omegabar, Bbar):
    r"""Pull gradients of the blocks back to X: :math:`\bar L_1 = \bar\Omega - \bar\Omega^H`."""
    return rows(tril(Omegabar - H(Omegabar)), Bbar)
