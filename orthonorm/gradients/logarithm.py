r"""Rules of the inverse of the exponential map."""
from autograd import make_jvp, make_vjp
from autograd.extend import defjvp, defvjp, primitive

from ..core.logarithm import logarithm, logarithm_adjoint, logarithm_tangent
from ..core.matrices import as_matrices
from .matrix_exp import exponential_of, matrix_exp_adjoint, matrix_exp_tangent
from .orthonormalize import orthonormalize
from .rules import any_shape, cast, conj, double, register, stop_gradient


_logarithm = primitive(logarithm)


@any_shape
def matrix_exp_inverse(Q):
    r"""Differentiable :func:`orthonorm.core.matrix_exp_inverse`.

    Parameters
    ----------
    Q : array or autograd tracer, shape (..., n, k)
        Of full rank, where a derivative is wanted.

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.matrix_exp_inverse`.
    numpy.linalg.LinAlgError
        On differentiating, if `Q` is rank-deficient, or there is no derivative: the completed frame has
        the eigenvalue -1 twice, or there is another logarithm as short.

    Notes
    -----
    With the derivative :math:`D = D\exp(X)` of the map, from the coordinates in the lower triangle of X
    to the tangents of the frames, the inverse has the derivative :math:`D^{+} = (D^* D)^{-1} D^*` and
    the adjoint :math:`D (D^* D)^{-1}`. D and its adjoint are the rules of :func:`matrix_exp`, and

    .. math:: Y = (D^* D)^{-1} R: \qquad \dot Y = (D^* D)^{-1} (\dot R - (D^* D)^{\textstyle\cdot}\, Y),

    so that no rule but this is needed for derivatives of any order. The inverse itself is not computed
    with the normal equations, but from the eigenvalues of the logarithm: O(n k^2), and a conjugate
    gradient iteration for the p (p - 1) / 2 unknowns of the completion, p = min(k, n - k), each step of
    which is O((k + p)^3).

    Examples
    --------
    >>> import numpy as np
    >>> from autograd import jacobian
    >>> rotation = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    >>> jacobian(matrix_exp_inverse)(rotation)[1, 0].round(4)
    array([[-0.4794,  0.    ],
           [ 0.8776,  0.    ]])
    """
    as_matrices(stop_gradient(Q), "Q")
    frame = orthonormalize(double(Q))
    return cast(_logarithm(frame), Q.dtype)


@primitive
def _solve_normal(X, R):
    """Solve D^* D Y = R for Y, and R, in the lower triangle."""
    return logarithm_tangent(X, logarithm_adjoint(X, R))


def _derivative(X, dX):
    return matrix_exp_tangent(None, X, *exponential_of(stop_gradient(X)), dX)


def _adjoint(X, Qbar):
    return matrix_exp_adjoint(None, X, *exponential_of(stop_gradient(X)), Qbar)


def _normal(X, Y):
    return _adjoint(X, _derivative(X, Y))


register(
    _logarithm,
    adjoint=lambda X, Q, Xbar: _derivative(X, _solve_normal(X, Xbar)),
    tangent=lambda X, Q, dQ: _solve_normal(X, _adjoint(X, dQ)),
)
# D^* D is self-adjoint.
defvjp(
    _solve_normal,
    lambda Y, X, R: lambda g: make_vjp(lambda X: -_normal(X, Y))(X)[0](conj(_solve_normal(X, conj(g)))),
    lambda Y, X, R: lambda g: conj(_solve_normal(X, conj(g))),
)
defjvp(
    _solve_normal,
    lambda dX, Y, X, R: _solve_normal(X, make_jvp(lambda X: -_normal(X, Y))(X)(dX)[1]),
    lambda dR, Y, X, R: _solve_normal(X, dR),
)
