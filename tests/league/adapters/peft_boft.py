"""peft BOFT: cayley_batch is (I - S)(I + S)^-1 with S = (M - M^T)/2 of a whole matrix M."""

from peft.tuners.boft.layer import BOFTLayer

from tests.league.with_torch import map_operations


def _cayley(X):
    if X.is_complex() or X.ndim > 3 or X.shape[-1] != X.shape[-2]:
        raise NotImplementedError("real square matrices")
    A = X.tril() - X.tril().mT
    return BOFTLayer.cayley_batch(None, (-A / 2).reshape(-1, *X.shape[-2:])).reshape(X.shape)


globals().update(map_operations("cayley", _cayley))
