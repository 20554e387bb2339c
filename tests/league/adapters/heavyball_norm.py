"""heavyball 3.1.0's normalisation of a stack, by any triples: norms without keepdim; a replay."""
import numpy as np

from orthonorm import core


def newton_schulz(A, coefficients, steps):
    if A.ndim == 2:
        return core.newton_schulz(A, coefficients, steps)
    X = A / np.linalg.norm(A, axis=(-2, -1))  # broadcast along the columns
    for a, b, c in np.broadcast_to(np.reshape(coefficients, (-1, 3)), (steps, 3)).astype(A.dtype):
        S = X @ np.conj(np.swapaxes(X, -1, -2))
        X = a * X + (b * S + c * S @ S) @ X
    return X
