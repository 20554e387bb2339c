"""Emerging-Optimizers before its issue 229 was mended: a norm counts as 1e-7 at least; a replay."""
import numpy as np

from orthonorm import core


def newton_schulz(A, coefficients, steps):
    if A.dtype != np.float32:
        raise NotImplementedError("float32")
    return core.newton_schulz(A, coefficients, steps, eps=1e-7)
