"""muon.zeropower_via_newtonschulz5 of the package muon-optimizer: one triple, in bfloat16."""

import numpy as np
from muon import zeropower_via_newtonschulz5

from tests.league.with_torch import tensors


def newton_schulz(A, coefficients, steps):
    triples = np.reshape(coefficients, (-1, 3))
    if np.iscomplexobj(A) or not np.allclose(triples, (3.4445, -4.7750, 2.0315), rtol=0, atol=1e-12):
        raise NotImplementedError("real matrices, its own triple")
    return zeropower_via_newtonschulz5(*tensors(A), steps).double().numpy().astype(A.dtype)
