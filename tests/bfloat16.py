"""A model of rounding to bfloat16 that rounds nothing: random errors of up to half a unit."""
import numpy as np


def ulp(x):
    """Return the distance of neighbouring numbers of 8 binary digits around x."""
    return 2.0 ** (np.floor(np.log2(np.maximum(np.abs(x), 1e-300))) - 7)


def noisy_newton_schulz(A, coefficients, steps, rng):
    """Iterate in double precision, with an error where PyTorch's Muon rounds to bfloat16."""
    def rounded(x, symmetric=False):
        e = rng.uniform(-0.5, 0.5, np.shape(x))
        return x + (np.tril(e) + np.tril(e, -1).T if symmetric else e) * ulp(x)

    X = rounded(A.T if A.shape[0] > A.shape[1] else A)
    X = rounded(X / rounded(np.linalg.norm(X)))
    for a, b, c in np.broadcast_to(coefficients, (steps, 3)):
        G = rounded(X @ X.T, symmetric=True)
        M = rounded(b * G + c * (G @ G), symmetric=True)
        X = rounded(a * X + M @ X)
    return X.T if A.shape[0] > A.shape[1] else X


def expected_error(A, coefficients, steps, exact):
    """Return how far such errors move the answer from the exact one: the farthest of ten draws."""
    rng = np.random.default_rng(0)
    A = A.astype(float)
    return max(np.linalg.norm(noisy_newton_schulz(A, coefficients, steps, rng) - exact)
               for _ in range(10))
