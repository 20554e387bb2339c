"""peft OFT, use_cayley_neumann=True with 200 terms: the series of the exact form where |A| < 2."""
import torch
from peft.tuners.oft.layer import OFTRotationModule

from tests.league.with_torch import array, tensors


def cayley(X):
    X, = tensors(X)
    n = X.shape[-1]
    if X.is_complex() or X.ndim > 2 or n != X.shape[0] or n < 2 or torch.linalg.norm(X) > 0.5:
        raise NotImplementedError("one real square matrix of a small norm")
    module = OFTRotationModule(1, n * (n - 1) // 2, n, n)
    return array(module._cayley_batch(X.mT[module.rows, module.cols][None] / 2, n, True, 200)[0])
