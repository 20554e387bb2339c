"""peft OFT, use_cayley_neumann=False: (I - Q)(I + Q)^-1, Q from the strict upper triangle."""

from peft.tuners.oft.layer import OFTRotationModule

from tests.league.with_torch import map_operations


def _cayley(X):
    n = X.shape[-1]
    if X.is_complex() or X.ndim > 2 or n != X.shape[0] or n < 2:
        raise NotImplementedError("one real square matrix")
    module = OFTRotationModule(1, n * (n - 1) // 2, n, n)
    upper = X.mT[module.rows, module.cols][None] / 2
    return module._cayley_batch(upper, n, use_cayley_neumann=False)[0]


globals().update(map_operations("cayley", _cayley))
