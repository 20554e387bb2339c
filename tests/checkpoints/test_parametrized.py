"""The weights behind a state dict's entries: as PyTorch computes them, or an error."""
from pathlib import Path

import numpy as np
import pytest

from orthonorm import nn
from orthonorm.checkpoints import CheckpointError, load, plain_weights
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from ..helpers import assert_identical

DATA = Path(__file__).parents[1] / "data"
MAPS = ("matrix_exp", "cayley", "householder")


def test_a_map_that_is_said_of_what_shows_no_orthogonal_step_is_refused():
    """orthogonal on top of spectral_norm leaves nothing in a file: its weight is another one."""
    layer = orthogonal(spectral_norm(nn.Linear(3, 5, rng=0), rng=0), orthogonal_map="cayley",
                       use_trivialization=False)
    with pytest.raises(CheckpointError, match="a map is said for it, and it is spec"):
        plain_weights(layer.state_dict(), {"weight": "cayley"})
    plain_weights(layer.state_dict(), "cayley")  # of all that are orthogonal: it may be none


def test_weights_of_a_pytorch_model_are_computed_as_pytorch_does():
    """The map is in the name where it is not the default; see data/make_pytorch_model.py."""
    state, wanted = (load(DATA / f"pytorch_{name}.safetensors") for name in ("model", "weights"))
    maps = {name: orthogonal_map for name in wanted for orthogonal_map in MAPS
            if name.startswith(orthogonal_map)}
    maps["default_double.weight"] = "householder"
    weights = plain_weights(state, {name: known for name, known in maps.items()
                                    if name != "chain_spectral_orthogonal.weight"})
    # Orthogonal without trivialization, on top of another, leaves no entry.
    compared = wanted.keys() - {"chain_spectral_orthogonal.weight"}
    assert len(compared) == 43
    for name in compared:
        assert weights[name].dtype == wanted[name].dtype, name
        eps = np.finfo(wanted[name].dtype).eps
        scale = np.abs(wanted[name]).max()
        assert np.abs(weights[name] - wanted[name]).max() <= 8 * eps * scale, name
    others = {key for key in state if "parametrizations" not in key}
    assert weights.keys() == wanted.keys() | others
    for key in others:
        assert_identical(weights[key], state[key])


@pytest.mark.parametrize("map_, message", [
    ("qr", "has to be one of matrix_exp, .*, got qr"),
    ({"": "qr"}, "has to be one of matrix_exp, .*, got qr"),
    ({"3.weight": "cayley"}, "is said for 3.weight, which is not parametrized here"),
    (None, "w cannot be computed: its parametrization may be orthogonal without trivialization"),
])
def test_a_map_that_is_wrong_or_missing_is_an_error(map_, message):
    with pytest.raises(CheckpointError, match=message):
        plain_weights({"parametrizations.w.original": np.ones((2, 2))}, map_)


def test_a_tensor_that_is_there_parametrized_and_not_is_an_error():
    state = spectral_norm(nn.Linear(3, 2, rng=0), rng=0).state_dict()
    with pytest.raises(CheckpointError, match="weight is there twice, parametrized and not"):
        plain_weights({**state, "weight": np.ones((2, 3))})
    with pytest.raises(CheckpointError, match="weight is there twice, parametrized and not"):
        plain_weights({"weight": np.ones((2, 3)), **state})


def test_a_parametrized_original_is_computed():
    layer = spectral_norm(nn.Linear(3, 2, rng=0), rng=0)
    weight_norm(layer.parametrizations.weight, "original")
    layer.eval()
    assert "parametrizations.weight.parametrizations.original.original0" in layer.state_dict()
    assert np.array_equal(plain_weights(layer.state_dict())["weight"], layer.weight)


def test_the_map_holds_for_a_parametrized_original_too():
    layer = spectral_norm(nn.Linear(3, 4, rng=0), rng=0)
    orthogonal(layer.parametrizations.weight, "original", "cayley", use_trivialization=False)
    layer.eval()
    assert np.array_equal(plain_weights(layer.state_dict(), "cayley")["weight"], layer.weight)
