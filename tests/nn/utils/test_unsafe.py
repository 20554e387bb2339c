"""What an unsafe parametrization may return: anything, which is then read as it is, as in PyTorch."""
import pytest

from orthonorm import nn
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm
from orthonorm.nn.utils.parametrize import (
    cached, register_parametrization, transfer_parametrizations_and_params,
)

from ..snapshots import snapshot


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


class Halved(nn.Module):
    def forward(self, X):
        return X / 2


@pytest.mark.parametrize("register", [
    lambda m: register_parametrization(m, "weight", Halved()),
    lambda m: orthogonal(m, orthogonal_map="cayley", use_trivialization=False)])
def test_a_transfer_to_a_tensor_of_another_shape_is_refused(register):
    source, target = register(nn.Linear(3, 2, rng=0)), nn.Linear(2, 2, rng=1)
    before = snapshot(target), snapshot(source)
    with pytest.raises(ValueError, match=r"cannot transfer 'weight': .*\(2, 2\), got .*\(2, 3\)"):
        transfer_parametrizations_and_params(source, target)
    assert (snapshot(target), snapshot(source)) == before


def test_a_transfer_from_a_vector_to_a_matrix_is_refused():
    source, target = spectral_norm(nn.LayerNorm(3)), nn.Linear(3, 2, rng=1)
    before = snapshot(target), snapshot(source)
    with pytest.raises(ValueError, match="cannot transfer 'weight': from_module must have it in the "
                                         r"shape of to_module's, \(2, 3\), got shape \(3,\)"):
        transfer_parametrizations_and_params(source, target)
    assert (snapshot(target), snapshot(source)) == before


def test_a_transfer_from_a_matrix_to_a_vector_is_refused():
    source, target = spectral_norm(nn.Linear(3, 2, rng=1)), nn.LayerNorm(3)
    before = snapshot(target), snapshot(source)
    with pytest.raises(ValueError, match=r"of to_module's, \(3,\), got shape \(2, 3\)"):
        transfer_parametrizations_and_params(source, target)
    assert (snapshot(target), snapshot(source)) == before
