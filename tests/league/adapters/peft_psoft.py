"""peft PSOFT: OrthLayer.get_matrix is (I + Q)(I - Q)^-1 with Q from the strict upper triangle."""

from peft.tuners.psoft.layer import OrthLayer

from tests.league.with_torch import map_operations


def _cayley(X):
    if X.is_complex() or X.ndim > 2 or X.shape[0] != X.shape[1] or len(X) < 2:
        raise NotImplementedError("one real square matrix")
    layer = OrthLayer(len(X), mag_a=False, mag_b=False)
    upper = -X.mT[layer.rows, layer.cols] / 2
    del layer.weight
    layer.weight = upper
    return layer.get_matrix()


globals().update(map_operations("cayley", _cayley))
