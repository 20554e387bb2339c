"""The losses as modules; what they compute is held by tests/nn/functional/test_losses.py."""
import numpy as np
import pytest

from orthonorm import nn
from orthonorm.nn import functional as F
from tests.helpers import sample

X, T, P = sample((3, 4)), np.array([0, 3, 1]), np.full((3, 4), 0.25)
W = np.array([0.5, 2.0, 1.0, 0.1])


@pytest.mark.parametrize("layer, target, expected", [
    (nn.MSELoss(), P, F.mse_loss(X, P)),
    (nn.MSELoss(reduction="none"), P, F.mse_loss(X, P, "none")),
    (nn.CrossEntropyLoss(), T, F.cross_entropy(X, T)),
    (nn.CrossEntropyLoss(W, ignore_index=3, reduction="sum", label_smoothing=0.1), T,
     F.cross_entropy(X, T, W, 3, "sum", 0.1)),
    (nn.BCEWithLogitsLoss(), P, F.binary_cross_entropy_with_logits(X, P)),
    (nn.BCEWithLogitsLoss(W, reduction="sum", pos_weight=2 * W), P,
     F.binary_cross_entropy_with_logits(X, P, W, "sum", 2 * W)),
], ids=lambda x: type(x).__name__)
def test_the_layer_is_the_function(layer, target, expected):
    np.testing.assert_array_equal(layer(X, target), expected)


def test_weights_are_buffers_and_not_trained():
    assert list(nn.CrossEntropyLoss(W).state_dict()) == ["weight"]
    layer = nn.BCEWithLogitsLoss([1.0, 2.0], pos_weight=W)
    assert list(layer.state_dict()) == ["weight", "pos_weight"] and not [*layer.parameters()]
    assert not nn.CrossEntropyLoss().state_dict() and not nn.MSELoss().state_dict()


@pytest.mark.parametrize("make", [nn.MSELoss, nn.CrossEntropyLoss, nn.BCEWithLogitsLoss])
def test_repr_is_pytorchs(make):
    assert repr(make()) == f"{make.__name__}()"
