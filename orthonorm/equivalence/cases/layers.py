"""Cases of the layers: outputs, and gradients of all parameters and inputs."""
import itertools
from collections.abc import Iterator
from typing import Any

from ... import nn
from .case import REAL, Case

Options = dict[str, Any]
Shapes = dict[str, tuple[int, ...]]


def layer_cases() -> Iterator[Case]:
    """Yield the cases of every family of this file."""
    yield from convolutions()
    yield from transposed_convolutions()
    yield from normalised_convolutions()
    yield from recurrent_layers()
    yield from other_layers()


def _case(family: str, name: str, layer: str, arguments: tuple, options: Options, inputs: Shapes,
          dtype: str) -> Case:
    state = getattr(nn, layer)(*arguments, **options).state_dict()
    shapes = {**inputs, **{key: value.shape for key, value in state.items()}, "cotangent": (13,)}
    return Case(family, name, "layer", dtype, shapes,
                {"layer": layer, "arguments": arguments, "options": options})


def convolutions() -> Iterator[Case]:
    """Conv1d to Conv3d."""
    variants: dict[str, Options] = {
        "plain": {}, "stride 2, padding 1": {"stride": 2, "padding": 1},
        "dilation 2, groups 2": {"dilation": 2, "groups": 2}, "same": {"padding": "same"},
        "groups 2, valid, no bias": {"groups": 2, "padding": "valid", "bias": False},
    }
    sizes = {1: (2, 2, 6), 2: (2, 2, 4, 3), 3: (1, 2, 3, 3, 3)}
    for dtype, (ndim, shape), (name, options) in itertools.product(
            REAL, sizes.items(), variants.items()):
        yield _case("convolution", f"{ndim}-D, {name}", f"Conv{ndim}d", (2, 2, 2), options,
                    {"x": shape}, dtype)
    for dtype in REAL:
        yield _case(
            "convolution", "2-D, not batched, all different", "Conv2d", (3, 6, (1, 3)),
            {"stride": (2, 3), "padding": (0, 2), "dilation": (2, 1), "groups": 3}, {"x": (3, 3, 5)},
            dtype)


def transposed_convolutions() -> Iterator[Case]:
    """ConvTranspose1d to ConvTranspose3d."""
    variants: dict[str, Options] = {
        "plain": {}, "stride 2, padding 1": {"stride": 2, "padding": 1, "output_padding": 1},
        "dilation 2, groups 2": {"dilation": 2, "groups": 2},
        "dilation 2, output_padding 1, no bias": {"dilation": 2, "output_padding": 1, "bias": False},
    }
    sizes = {1: (2, 2, 4), 2: (2, 2, 3, 2), 3: (1, 2, 2, 2, 2)}
    for dtype, (ndim, shape), (name, options) in itertools.product(
            REAL, sizes.items(), variants.items()):
        yield _case("transposed conv", f"{ndim}-D, {name}", f"ConvTranspose{ndim}d", (2, 2, 2), options,
                    {"x": shape}, dtype)
    for dtype in REAL:
        yield _case(
            "transposed conv", "2-D, not batched, all different", "ConvTranspose2d", (3, 6, (1, 3)),
            {"stride": (2, 3), "padding": (0, 2), "output_padding": (1, 0), "dilation": (2, 1),
             "groups": 3}, {"x": (3, 2, 3)}, dtype)


def normalised_convolutions() -> Iterator[Case]:
    """spectral_norm with its default dim, which depends on the layer."""
    for dtype, transposed, ndim in itertools.product(REAL, (False, True), (1, 2, 3)):
        layer = f"ConvTranspose{ndim}d" if transposed else f"Conv{ndim}d"
        rows, columns = 3, 2 * 2**ndim  # of the matrix whose norm is taken
        shape = (2, 3) if transposed else (3, 2)
        yield Case(
            "spectral_norm", layer, "spectral_norm_of_layer", dtype,
            {"W": shape + ndim * (2,), "u": (rows,), "v": (columns,), "cotangent": (13,)},
            {"layer": layer, "arguments": (2, 3, 2)})


def recurrent_layers() -> Iterator[Case]:
    """The cells with and without a state, and the layers that run over a sequence."""
    x: Shapes = {"x": (2, 3)}
    h: Shapes = {"h": (2, 2)}
    c: Shapes = {"c": (2, 2)}
    single: Shapes = {"x": (3,)}
    cells: list[tuple[str, str, Options, Shapes]] = [
        ("RNNCell", "", {}, x), ("RNNCell", "state", {}, x | h), ("RNNCell", "not batched", {}, single),
        ("RNNCell", "relu, no bias", {"nonlinearity": "relu", "bias": False}, x | h),
        ("LSTMCell", "", {}, x), ("LSTMCell", "state", {}, x | h | c),
        ("LSTMCell", "no bias, not batched", {"bias": False}, single),
        ("GRUCell", "", {}, x), ("GRUCell", "state", {}, x | h),
        ("GRUCell", "no bias, not batched", {"bias": False}, single),
        ("RNN", "", {}, {"x": (3, 2, 3)}),
        ("RNN", "2 layers, batch first, state", {"num_layers": 2, "batch_first": True},
         {"x": (2, 3, 3), "h": (2, 2, 2)}),
        ("RNN", "2 layers, relu, no bias, not batched",
         {"num_layers": 2, "nonlinearity": "relu", "bias": False}, {"x": (3, 3), "h": (2, 2)}),
    ]
    for layer in ("LSTM", "GRU"):
        state: Shapes = {"h": (2, 2, 2), "c": (2, 2, 2)} if layer == "LSTM" else {"h": (2, 2, 2)}
        cells += [(layer, "", {}, {"x": (3, 2, 3)}),
                  (layer, "2 layers, batch first, state", {"num_layers": 2, "batch_first": True},
                   {"x": (2, 3, 3), **state}),
                  (layer, "2 layers, no bias, not batched", {"num_layers": 2, "bias": False},
                   {"x": (3, 3)})]
    for dtype, (layer, name, options, inputs) in itertools.product(REAL, cells):
        yield _case("recurrent", f"{layer}, {name}" if name else layer, layer, (3, 2), options, inputs,
                    dtype)
    for dtype in REAL:
        shapes: Shapes = {"x": (3, 2, 2), "original": (3, 3), "Q_base": (3, 3), "cotangent": (13,)}
        yield Case("recurrent", "RNN, orthogonal", "orthogonal_rnn", dtype, shapes,
                   {"layer": "RNN", "arguments": (2, 3)})
        for layer, gates, orthogonal_map in (("LSTM", 4, "cayley"), ("GRU", 3, "matrix_exp")):
            tall: Shapes = {"original": (3 * gates, 3), "Q_base": (3 * gates, 3 * gates)}
            yield Case("recurrent", f"{layer}, orthogonal", "orthogonal_rnn", dtype, shapes | tall,
                       {"layer": layer, "arguments": (2, 3), "orthogonal_map": orthogonal_map})


def other_layers() -> Iterator[Case]:
    """Linear, Bilinear, LayerNorm, Flatten and the activations."""
    layers: list[tuple[str, tuple, Options, Shapes]] = [
        ("Linear", (3, 2), {}, {"x": (2, 3)}),
        ("Bilinear", (3, 2, 4), {}, {"x": (2, 3), "x2": (2, 2)}),
        ("Bilinear", (3, 2, 4), {"bias": False}, {"x": (3,), "x2": (2,)}),
        ("LayerNorm", (4,), {}, {"x": (2, 3, 4)}),
        ("LayerNorm", ((2, 3),), {"bias": False, "eps": 0.5}, {"x": (2, 2, 3)}),
        ("LayerNorm", (4,), {"elementwise_affine": False}, {"x": (2, 4)}),
        ("Flatten", (), {}, {"x": (2, 2, 3)}),
        ("Flatten", (0, 1), {}, {"x": (2, 2, 3)}),
        ("ReLU", (), {}, {"x": (3, 4)}), ("Tanh", (), {}, {"x": (3, 4)}),
        ("Sigmoid", (), {}, {"x": (3, 4)}),
        ("LeakyReLU", (), {}, {"x": (3, 4)}), ("LeakyReLU", (0.3,), {}, {"x": (3, 4)}),
        ("GELU", (), {}, {"x": (3, 4)}), ("GELU", ("tanh",), {}, {"x": (3, 4)}),
        ("Softplus", (), {}, {"x": (3, 4)}), ("Softplus", (2.0, 0.5), {}, {"x": (3, 4)}),
    ]
    for dtype, (layer, arguments, options, inputs) in itertools.product(REAL, layers):
        shown = ", ".join([*map(str, arguments), *(f"{k}={v}" for k, v in options.items())])
        yield _case("other layers", f"{layer}({shown})", layer, arguments, options, inputs, dtype)
