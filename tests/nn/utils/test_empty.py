"""Weights with no entries, each dimension 0 in turn: registered, read, differentiated, removed."""
import autograd.numpy as np
import pytest

from orthonorm import nn, optim
from orthonorm.checkpoints import plain_weights
from orthonorm.func import value_and_grad
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from orthonorm.nn.utils.parametrize import remove_parametrizations
from tests.helpers import dtypes, is_complex

ANY = [(0,), (0, 0), (3, 0), (0, 3), (0, 3, 2), (2, 0, 3), (2, 3, 0), (2, 2, 0, 3), (0, 2, 3, 3)]
MATRICES = [shape for shape in ANY if len(shape) > 1]
REGISTERED = {
    "spectral_norm": (spectral_norm, ANY),
    "spectral_norm, dim 1": (lambda m: spectral_norm(m, dim=1), MATRICES),
    "weight_norm": (weight_norm, ANY),
    "weight_norm, dim 1": (lambda m: weight_norm(m, dim=1), MATRICES),
    "weight_norm, dim None": (lambda m: weight_norm(m, dim=None), ANY),
    **{f"{name}{', base' * trivialized}": (
        lambda m, name=name, trivialized=trivialized: orthogonal(
            m, orthogonal_map=name, use_trivialization=trivialized), MATRICES)
       for name in ("matrix_exp", "cayley", "householder", "unitary_householder")
       for trivialized in (True, False)},
}
CASES = [(name, shape) for name, (_, shapes) in REGISTERED.items() for shape in shapes]


@dtypes
@pytest.mark.parametrize("name, shape", CASES, ids=str)
def test_a_parametrization_of_an_empty_weight(name, shape, dtype):
    if is_complex(dtype) and ("weight_norm" in name or name.startswith("householder")):
        return
    module = nn.Module()
    module.weight = nn.Parameter(np.zeros(shape, dtype))
    REGISTERED[name][0](module)
    for mode in (True, False):
        module.train(mode)
        assert module.weight.shape == shape and module.weight.dtype == dtype
        value, gradients = value_and_grad(lambda: np.sum(np.real(module.weight)), module)()
        assert value == 0
        for key, parameter in module.named_parameters():
            assert gradients[key].shape == parameter.shape and not np.any(gradients[key])
    if len(shape) > 1:  # of a vector the file does not say what it is
        assert plain_weights(module.state_dict(), said(name))["weight"].shape == shape
    module.load_state_dict(module.state_dict())
    module.weight = np.zeros(shape, dtype)
    remove_parametrizations(module, "weight")
    assert module.weight.shape == shape and module.weight.dtype == dtype


def said(name):
    return None if "norm" in name else name.removesuffix(", base")


LAYERS = {
    "Linear, no inputs": (lambda: nn.Linear(0, 2, rng=0), (3, 0), (3, 2)),
    "Linear, no outputs": (lambda: nn.Linear(2, 0, rng=0), (3, 2), (3, 0)),
    "Linear, no samples": (lambda: nn.Linear(2, 3, rng=0), (0, 2), (0, 3)),
    "LayerNorm": (lambda: nn.LayerNorm((2, 0)), (3, 2, 0), (3, 2, 0)),
    "LayerNorm, no samples": (lambda: nn.LayerNorm(2), (0, 2), (0, 2)),
    "Softmax": (lambda: nn.Softmax(1), (3, 0), (3, 0)),
    "LogSoftmax": (lambda: nn.LogSoftmax(0), (0,), (0,)),
    "Conv1d, no channels in": (lambda: nn.Conv1d(0, 2, 3, rng=0), (1, 0, 5), (1, 2, 3)),
    "Conv2d, no samples": (lambda: nn.Conv2d(1, 2, 3, rng=0), (0, 1, 5, 5), (0, 2, 3, 3)),
    "RNNCell, no inputs": (lambda: nn.RNNCell(0, 2, rng=0), (3, 0), (3, 2)),
    "GRUCell, no state": (lambda: nn.GRUCell(2, 0, rng=0), (3, 2), (3, 0)),
    "RNN, no samples": (lambda: nn.RNN(2, 3, rng=0), (4, 0, 2), (4, 0, 3)),
}


@pytest.mark.parametrize("make, given, returned", LAYERS.values(), ids=LAYERS)
def test_a_layer_with_nothing_in_it(make, given, returned):
    layer, x = make(), np.zeros(given)

    def output():
        y = layer(x)
        return y[0] if isinstance(y, tuple) else y

    assert output().shape == returned
    _, gradients = value_and_grad(lambda: np.sum(output()), layer)()
    assert {key: g.shape for key, g in gradients.items()} == {
        key: parameter.shape for key, parameter in layer.named_parameters()}


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam, optim.AdamW, optim.Muon])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)], ids=str)
def test_an_optimizer_of_an_empty_parameter(optimizer, shape):
    parameter = nn.Parameter(np.zeros(shape))
    optimizer([("weight", parameter)], lr=0.1, weight_decay=0.1).step({"weight": np.zeros(shape)})
    assert parameter.shape == shape


@pytest.mark.parametrize("reduction, loss", [("sum", 0.0), ("none", [0.0, 0.0]), ("mean", 0.0)])
def test_cross_entropy_over_no_classes(reduction, loss):
    x = np.zeros((2, 0))
    answer = nn.functional.cross_entropy(x, x, reduction=reduction, label_smoothing=0.5)
    assert np.array_equal(answer, loss)


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_"])
def test_init_of_an_empty_vector(name):
    assert getattr(nn.init, name)(np.zeros(0)).shape == (0,)
