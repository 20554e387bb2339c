"""The distributions that layers start from are PyTorch's."""
import math

import numpy as np
import pytest
from scipy import stats

from orthonorm import nn

# Layer, and the bound of the uniform distribution of every parameter: the reciprocal root of ...
UNIFORM = {
    "Linear": (lambda **k: nn.Linear(50, 40, **k), 50),
    "Bilinear": (lambda **k: nn.Bilinear(20, 10, 30, **k), 20),
    "Conv1d": (lambda **k: nn.Conv1d(12, 60, 5, groups=3, **k), 4 * 5),
    "Conv2d": (lambda **k: nn.Conv2d(6, 60, (2, 3), **k), 6 * 6),
    "Conv3d": (lambda **k: nn.Conv3d(4, 60, 2, **k), 4 * 8),
    "ConvTranspose1d": (lambda **k: nn.ConvTranspose1d(12, 60, 5, groups=3, **k), 20 * 5),
    "ConvTranspose2d": (lambda **k: nn.ConvTranspose2d(6, 60, (2, 3), **k), 60 * 6),
    "ConvTranspose3d": (lambda **k: nn.ConvTranspose3d(4, 60, 2, **k), 60 * 8),
    "RNNCell": (lambda **k: nn.RNNCell(30, 40, **k), 40),
    "LSTMCell": (lambda **k: nn.LSTMCell(30, 40, **k), 40),
    "GRUCell": (lambda **k: nn.GRUCell(30, 40, **k), 40),
    "RNN": (lambda **k: nn.RNN(30, 40, num_layers=2, **k), 40),
}
layers = pytest.mark.parametrize("name", UNIFORM)


def fits(sample, distribution):
    """Say whether a sample may come from a distribution; one of a thousand that do is refused."""
    return stats.kstest(sample.ravel(), distribution.cdf).pvalue > 1e-3


@layers
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_starts(name, dtype):
    make, n = UNIFORM[name]
    bound = 1 / math.sqrt(n)
    for parameter in make(dtype=dtype, rng=0).parameters():
        start = parameter.data
        assert start.dtype == dtype
        assert 0.9 * bound < np.abs(start).max() <= dtype(bound)
        assert fits(start, stats.uniform(-bound, 2 * bound))


@layers
def test_all_starts_are_independent(name):
    draws = np.concatenate([p.data.ravel() for p in UNIFORM[name][0](rng=0).parameters()])
    assert len(np.unique(draws)) == len(draws)
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 4 / math.sqrt(len(draws))


@layers
def test_rng_decides_the_start(name):
    make = UNIFORM[name][0]

    def start(rng):
        return np.concatenate([p.data.ravel() for p in make(rng=rng).parameters()])

    assert np.array_equal(start(1), start(1))
    assert np.array_equal(start(1), start(np.random.default_rng(1)))
    assert not np.array_equal(start(1), start(2)) and not np.array_equal(start(None), start(None))


@layers
def test_the_global_random_state_is_left_alone(name):
    before = np.random.get_state()[1].copy()
    UNIFORM[name][0]()
    assert np.array_equal(np.random.get_state()[1], before)


def test_embedding_starts_normal():
    assert fits(nn.Embedding(50, 60, rng=0).weight, stats.norm())


def test_layer_norm_starts_as_the_identity():
    layer = nn.LayerNorm((2, 3), dtype=np.float32)
    assert np.array_equal(layer.weight, np.ones((2, 3))) and layer.weight.dtype == np.float32
    assert np.array_equal(layer.bias, np.zeros((2, 3))) and layer.bias.dtype == np.float32
