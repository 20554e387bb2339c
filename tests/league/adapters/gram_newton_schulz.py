"""gram_newton_schulz.StandardNewtonSchulz without its GPU kernels; in float16."""

import numpy as np
from gram_newton_schulz import StandardNewtonSchulz

from tests.league.with_torch import array, tensors


def newton_schulz(A, coefficients, steps):
    if np.iscomplexobj(A):
        raise NotImplementedError("real matrices")
    triples = np.broadcast_to(np.reshape(coefficients, (-1, 3)), (steps, 3)).tolist()
    iteration = StandardNewtonSchulz(ns_use_kernels=False, ns_coefficients=triples, compile_kwargs=None)
    return array(iteration(*tensors(A))).astype(A.dtype)
