r"""Triangular systems, which the Householder and QR rules solve."""
import autograd.numpy as np
from autograd.extend import defjvp, defvjp, primitive

from ..core.inverses import solve_upper as core_solve_upper
from .rules import H, conj


@primitive
def solve_upper(U, B):
    """Solve ``U X = B`` for upper triangular `U`, differentiably."""
    return core_solve_upper(U, B)


@primitive
def solve_upper_adjoint(U, B):
    """Solve ``U^H X = B`` for upper triangular `U`, differentiably."""
    return core_solve_upper(U, B, adjoint=True)


# From U X = B: U dX = dB - dU X; backwards Bbar = U^-H Xbar and Ubar = -Bbar X^H, its upper triangle.
defvjp(
    solve_upper,
    lambda X, U, B: lambda g: conj(np.triu(-solve_upper_adjoint(U, conj(g)) @ H(X))),
    lambda X, U, B: lambda g: conj(solve_upper_adjoint(U, conj(g))),
)
defjvp(
    solve_upper,
    lambda dU, X, U, B: -solve_upper(U, np.triu(dU) @ X),
    lambda dB, X, U, B: solve_upper(U, dB),
)
# From U^H X = B: U^H dX = dB - dU^H X; backwards Bbar = U^-1 Xbar and Ubar = -X Bbar^H.
defvjp(
    solve_upper_adjoint,
    lambda X, U, B: lambda g: conj(np.triu(-X @ H(solve_upper(U, conj(g))))),
    lambda X, U, B: lambda g: conj(solve_upper(U, conj(g))),
)
defjvp(
    solve_upper_adjoint,
    lambda dU, X, U, B: -solve_upper_adjoint(U, H(np.triu(dU)) @ X),
    lambda dB, X, U, B: solve_upper_adjoint(U, dB),
)
