"""tinygrad: Tensor.newton_schulz, and the polar factor from Tensor.svd; its CPU device needs clang."""
import numpy as np
from tinygrad import Tensor


def newton_schulz(A, coefficients, steps):
    triples = np.reshape(coefficients, (-1, 3))
    if np.iscomplexobj(A) or len(np.unique(triples, axis=0)) != 1:
        raise NotImplementedError("real matrices, one triple for all steps")
    return Tensor(A).newton_schulz(steps, tuple(triples[0].tolist()), eps=0).numpy()


def polar(A):
    if np.iscomplexobj(A) or min(A.shape[-2:]) > 1:
        raise NotImplementedError("real matrices of one column or row: others are compiled for minutes")
    U, _, Vh = Tensor(A).svd(full_matrices=False)
    return (U @ Vh).numpy()
