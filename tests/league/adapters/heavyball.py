"""heavyball.utils: two Newton-Schulz iterations with their own triples; below double in bfloat16."""

import numpy as np
from heavyball import utils

from tests.league.with_torch import array, tensors

utils.compile_mode = None
YOU = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]


def newton_schulz(A, coefficients, steps):
    triples = np.broadcast_to(np.reshape(coefficients, (-1, 3)), (steps, 3))
    if np.iscomplexobj(A) or steps != 5:
        raise NotImplementedError("real matrices, five steps")
    if np.allclose(triples, YOU, rtol=0, atol=1e-12):
        return array(utils.zeropower_via_newtonschulz5(*tensors(A)))
    if np.allclose(triples, (3.4445, -4.7750, 2.0315), rtol=0, atol=1e-12) and A.ndim == 2:
        return array(utils.legacy_zeropower_via_newtonschulz5(*tensors(A)))
    raise NotImplementedError("its own triples")
