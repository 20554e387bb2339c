"""The convolution layers; what they compute is held by tests/nn/functional/test_convolution.py."""
import numpy as np
import pytest

from orthonorm import nn
from orthonorm.nn import functional as F
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from tests.differences import CHECKS
from tests.helpers import dtypes, sample

LAYERS = {1: (nn.Conv1d, nn.ConvTranspose1d), 2: (nn.Conv2d, nn.ConvTranspose2d),
          3: (nn.Conv3d, nn.ConvTranspose3d)}
dimensions = pytest.mark.parametrize("ndim", [1, 2, 3])


@dimensions
@dtypes
def test_convolution_is_the_function(ndim, dtype):
    layer = LAYERS[ndim][0](4, 6, 2, 3, 1, 2, 2, dtype=dtype, rng=0)
    x = sample((2, 4, *ndim * (7,)), dtype)
    assert layer.weight.shape == (6, 2, *ndim * (2,)) and layer.bias.shape == (6,)
    assert list(layer.state_dict()) == ["weight", "bias"]
    expected = getattr(F, f"conv{ndim}d")(x, layer.weight, layer.bias, stride=3, padding=1, dilation=2,
                                          groups=2)
    assert layer(x).dtype == dtype and np.array_equal(layer(x), expected)


@dimensions
@dtypes
def test_transposed_convolution_is_the_function(ndim, dtype):
    layer = LAYERS[ndim][1](4, 6, 2, 3, 1, 2, 2, True, 2, dtype=dtype, rng=0)
    x = sample((2, 4, *ndim * (3,)), dtype)
    assert layer.weight.shape == (4, 3, *ndim * (2,)) and layer.bias.shape == (6,)
    expected = getattr(F, f"conv_transpose{ndim}d")(x, layer.weight, layer.bias, stride=3, padding=1,
                                                    output_padding=2, dilation=2, groups=2)
    assert layer(x).dtype == dtype and np.array_equal(layer(x), expected)


@pytest.mark.parametrize("mode, numpy_mode", [
    ("circular", "wrap"), ("reflect", "reflect"), ("replicate", "edge")])
@pytest.mark.parametrize("padding, widths", [
    (2, [(2, 2), (2, 2)]), ((0, 3), [(0, 0), (3, 3)]), ("same", [(1, 1), (1, 2)])])
def test_padding_mode_is_that_of_numpy_pad(padding, widths, mode, numpy_mode):
    layer = nn.Conv2d(2, 3, (3, 4), padding=padding, padding_mode=mode, rng=0)
    for x in (sample((2, 2, 5, 4)), sample((2, 5, 4))):
        padded = np.pad(x, (x.ndim - 2) * [(0, 0)] + widths, numpy_mode)
        np.testing.assert_array_equal(layer(x), F.conv2d(padded, layer.weight, layer.bias))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
def test_derivatives_with_a_padding_mode(mode, check):
    layer = nn.Conv2d(1, 1, 2, padding=(1, 2), padding_mode=mode, rng=0)
    CHECKS[check](lambda x: np.square(layer(x)), sample((1, 2, 3)))


@pytest.mark.parametrize("mode, padding, size, fits", [
    ("circular", 3, 3, True), ("circular", 4, 3, False), ("reflect", 2, 3, True),
    ("reflect", 3, 3, False), ("replicate", 5, 1, True), ("replicate", 1, 0, False)])
def test_the_input_must_be_as_large_as_the_padding(mode, padding, size, fits):
    layer = nn.Conv1d(1, 1, 1, padding=padding, padding_mode=mode)
    if fits:
        assert layer(np.ones((1, size))).shape == (1, size + 2 * padding)
        return
    with pytest.raises(RuntimeError, match=f"padding_mode='{mode}' needs larger dimensions"):
        layer(np.ones((1, size)))


def test_the_norm_of_a_layer_is_known_for_zeros_only():
    with pytest.raises(ValueError, match="padding by zeros only, got 'circular'"):
        spectral_norm(nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular"), input_size=5)


@pytest.mark.parametrize("layer, text", [
    (nn.Conv1d(2, 4, 3, padding=1, padding_mode="reflect", bias=False),
     "Conv1d(2, 4, kernel_size=(3,), stride=(1,), padding=(1,), bias=False, padding_mode=reflect)"),
    (nn.Conv1d(2, 4, 3), "Conv1d(2, 4, kernel_size=(3,), stride=(1,))"),
    (nn.Conv2d(2, 4, (3, 1), 2, 1, 2, 2, False),
     "Conv2d(2, 4, kernel_size=(3, 1), stride=(2, 2), padding=(1, 1), dilation=(2, 2), groups=2, "
     "bias=False)"),
    (nn.Conv3d(2, 4, (1, 2, 3), padding="same"),
     "Conv3d(2, 4, kernel_size=(1, 2, 3), stride=(1, 1, 1), padding=same)"),
    (nn.Conv2d(2, 4, 3, padding="valid"),
     "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=valid)"),
    (nn.ConvTranspose1d(2, 4, 3, dilation=2),
     "ConvTranspose1d(2, 4, kernel_size=(3,), stride=(1,), dilation=(2,))"),
    (nn.ConvTranspose2d(2, 4, 3, 2, (1, 0), 1, 2, False),
     "ConvTranspose2d(2, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 0), output_padding=(1, 1), "
     "groups=2, bias=False)"),
])
def test_repr_is_pytorchs(layer, text):
    assert repr(layer) == text


def test_repr_of_a_parametrized_bias_says_nothing_of_it():
    layer = spectral_norm(nn.Conv1d(2, 3, 1, rng=0), "bias")
    assert "(2, 3" in repr(layer).replace("\n  ", "(") and "bias=False" not in repr(layer)


@dimensions
@pytest.mark.parametrize("transposed", [False, True])
def test_spectral_norm_takes_the_dimension_of_the_outputs(ndim, transposed):
    layer = spectral_norm(LAYERS[ndim][transposed](3, 5, 2, rng=0), n_power_iterations=50, rng=0)
    assert layer.transposed is transposed
    W = np.moveaxis(layer.weight, 1 if transposed else 0, 0).reshape(5, -1)
    assert abs(np.linalg.norm(W, 2) - 1) < 1e-6
    other = layer.weight.reshape(layer.weight.shape[0], -1)
    assert not transposed or abs(np.linalg.norm(other, 2) - 1) > 1e-3


def test_the_other_parametrizations_go_with_kernels():
    layer = orthogonal(nn.Conv1d(4, 6, 3, rng=0))
    gram = np.swapaxes(layer.weight, 1, 2) @ layer.weight
    assert np.abs(gram - np.eye(3)).max() < 1e-14
    layer = weight_norm(nn.ConvTranspose2d(4, 6, 3, rng=0))
    assert layer.parametrizations.weight.original0.shape == (4, 1, 1, 1)


@pytest.mark.parametrize("layer, options, error, message", [
    (nn.Conv1d, {"groups": 0}, ValueError, "groups must be a positive integer"),
    (nn.Conv1d, {"groups": 4}, ValueError, "out_channels must be divisible by groups, got 6 and 4"),
    (nn.Conv1d, {"groups": 3}, ValueError, "in_channels must be divisible by groups, got 4 and 3"),
    (nn.ConvTranspose1d, {"groups": 3}, ValueError, "in_channels must be divisible by groups"),
    (nn.Conv2d, {"padding": "full"}, ValueError, "padding must be numbers, 'same' or 'valid'"),
    (nn.Conv2d, {"padding": "same", "stride": (1, 2)}, ValueError, "padding='same' is not supported"),
    (nn.ConvTranspose2d, {"padding": "same"}, TypeError, "padding must be an integer, got 'same'"),
    (nn.Conv2d, {"padding_mode": "mirror"}, ValueError, "padding_mode must be one of zeros, circular,"),
    (nn.ConvTranspose2d, {"padding_mode": "circular"}, ValueError, "must be one of zeros, got"),
    (nn.Conv2d, {"kernel_size": 0}, RuntimeError, "kernel_size must be at least 1"),
    (nn.Conv2d, {"kernel_size": (1, 2, 3)}, RuntimeError, "kernel_size must be one number or 2"),
    (nn.Conv2d, {"stride": 0}, RuntimeError, "stride must be at least 1"),
    (nn.Conv2d, {"dilation": 0.5}, TypeError, "dilation must be an integer"),
    (nn.ConvTranspose2d, {"output_padding": -1}, RuntimeError, "output_padding must be at least 0"),
    (nn.Conv2d, {"dtype": np.float16}, TypeError, "must have dtype float32, float64"),
])
def test_errors(layer, options, error, message):
    with pytest.raises(error, match=message):
        layer(4, 6, **{"kernel_size": 2, **options})


def test_output_padding_is_checked_when_called():
    layer = nn.ConvTranspose1d(2, 2, 2, output_padding=1)
    with pytest.raises(RuntimeError, match="output_padding must be smaller"):
        layer(np.zeros((2, 4)))
