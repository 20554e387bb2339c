"""What an unsafe parametrization may return: anything, which is then read as it is, as in PyTorch."""
import pytest

from orthonorm import nn
from orthonorm.nn.utils.parametrize import cached, register_parametrization


class Text(nn.Module):
    def forward(self, X):
        return "text"


class Double(nn.Module):
    def forward(self, X):
        return 2 * X


def test_what_is_no_array_is_read_as_it_is():
    layer = register_parametrization(nn.Linear(2, 2), "weight", Text(), unsafe=True)
    assert layer.weight == "text"
    with cached():
        assert layer.weight is layer.weight
    with pytest.raises(ValueError, match="A parametrization must return a tensor. Got str"):
        register_parametrization(layer, "weight", Double())
    register_parametrization(layer, "weight", Double(), unsafe=True)
    assert layer.weight == "texttext"
