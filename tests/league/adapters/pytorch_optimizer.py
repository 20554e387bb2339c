"""pytorch_optimizer.zero_power_via_newton_schulz_5, told to keep the dtype."""

import numpy as np
from pytorch_optimizer.optimizer.utils.matrix import zero_power_via_newton_schulz_5

from tests.league.with_torch import array, tensors


def newton_schulz(A, coefficients, steps):
    if np.iscomplexobj(A):
        raise NotImplementedError("real matrices")
    (A,) = tensors(A)
    triples = [tuple(map(float, triple)) for triple in np.reshape(coefficients, (-1, 3))]
    return array(zero_power_via_newton_schulz_5(A, steps, eps=0, weights=triples, dtype=A.dtype))
