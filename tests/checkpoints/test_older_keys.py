"""Keys of PyTorch's older weight_norm and spectral_norm; state dicts inside other dicts."""
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from orthonorm import __main__, nn
from orthonorm.checkpoints import CheckpointError, load, plain_weights, save
from orthonorm.nn.utils.parametrizations import spectral_norm, weight_norm

from ..helpers import assert_identical, sample

BIAS = np.arange(3.0)


def older_spectral(shape=(3, 4), dim=0, prefix=""):
    """Return the entries, and the weight: W over u^T W v as the file has them."""
    W = sample(shape)
    rows = np.moveaxis(W, dim, 0).reshape(shape[dim], -1)
    U, s, Vh = np.linalg.svd(rows)
    u, v = (x / np.linalg.norm(x) for x in (U[:, 0] + 1e-3, Vh[0] + 1e-3))
    state = {f"{prefix}weight_orig": W, f"{prefix}weight_u": u, f"{prefix}weight_v": v}
    return state, W / (u @ rows @ v)


def older_weight_norm(shape=(3, 4), axes=(1,), prefix="", name="weight"):
    v = sample(shape)
    length = np.sqrt((v**2).sum(axes, keepdims=axes != (0, 1)))
    g = 1 + sample(length.shape, seed=1)**2
    return {f"{prefix}{name}_g": g, f"{prefix}{name}_v": v}, g * v / length


CASES = {
    "spectral": older_spectral(prefix="0."), "spectral alone": older_spectral(),
    "spectral, transposed convolution": older_spectral((4, 3, 2), 1, "up."),
    "weight_norm": older_weight_norm(prefix="0."), "weight_norm, dim 1": older_weight_norm(axes=(0,)),
    "weight_norm, dim None": older_weight_norm(axes=(0, 1)),
    "weight_norm of an RNN": older_weight_norm(prefix="rnn.", name="weight_hh_l0"),
}
every_case = pytest.mark.parametrize("entries, weight", CASES.values(), ids=CASES)


def plain_name(entries):
    return next(iter(entries)).rpartition("_")[0]


@every_case
def test_the_weight_is_computed(entries, weight):
    plain = plain_weights({**entries, "bias": BIAS})
    assert list(plain) == [plain_name(entries), "bias"]
    assert_allclose(plain[plain_name(entries)], weight, rtol=1e-14, atol=1e-15)
    assert_identical(plain["bias"], BIAS)


@every_case
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_inspect_shows_and_exports_it(entries, weight, suffix, tmp_path, capsys):
    path, out = tmp_path / f"model{suffix}", tmp_path / "plain.npz"
    save({**entries, "bias": BIAS}, path)
    assert __main__.main(["inspect", str(path), "--json", f"--export={out}"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["tensors"]}
    name = plain_name(entries)
    assert set(rows) == {name, *entries, "bias"}  # the parts under the keys of the file
    assert rows[name]["made_by"][0].startswith("weight_norm" if f"{name}_g" in entries else "spectral")
    assert_allclose(load(out)[name], weight, rtol=1e-14, atol=1e-15)
    assert load(out).keys() == {name, "bias"}
    __main__.main(["inspect", str(path)])
    table = capsys.readouterr().out
    for key, part in entries.items():  # vectors and numbers are left out, as always
        assert (f"  {key.removeprefix(name)} " in table) == (part.ndim > 1)


@pytest.mark.parametrize("state", [
    {"key_g": np.ones(3), "key_v": np.ones((3, 4))},  # no lengths of that
    {"weight_g": np.ones((3, 1))}, {"weight_v": np.ones((3, 4))},
    {"weight_orig": np.ones((3, 4)), "weight_mask": np.ones((3, 4))},  # torch.nn.utils.prune
    {"weight_orig": np.ones((3, 4)), "weight_u": np.ones(3)},
    {"weight": np.ones((3, 4)), "weight_orig": np.ones((3, 4)), "weight_u": np.ones(3),
     "weight_v": np.ones(4)},
])
def test_what_only_looks_alike_is_left_as_it_is(state):
    plain = plain_weights(state)
    assert plain.keys() == state.keys()
    for key in state:
        assert_identical(plain[key], np.asarray(state[key]))


@pytest.mark.parametrize("parametrized", [True, False])
def test_loading_older_keys_of_spectral_norm_says_what_they_are(parametrized):
    model = nn.Sequential(nn.Linear(4, 3, rng=0))
    entries, weight = older_spectral(prefix="0.")
    state = {**entries, "0.bias": BIAS}
    if parametrized:
        spectral_norm(model[0], rng=0)
    with pytest.raises(RuntimeError) as raised:
        model.load_state_dict(state)
    assert ("0.weight_orig, 0.weight_u and 0.weight_v are keys of the older function, "
            "torch.nn.utils.spectral_norm: rename them to 0.parametrizations.weight.original, "
            "0.parametrizations.weight.0._u and 0.parametrizations.weight.0._v, or load what "
            "orthonorm.checkpoints.plain_weights(state_dict) returns") in str(raised.value)
    assert set(model.load_state_dict(state, strict=False).unexpected_keys) == set(entries)
    # What the error says to do works, both of it.
    if parametrized:
        new = {"0.weight_orig": "original", "0.weight_u": "0._u", "0.weight_v": "0._v"}
        model.load_state_dict({f"0.parametrizations.weight.{new[key]}" if key in new else key: x
                               for key, x in state.items()})
    else:
        model.load_state_dict(plain_weights(state))
    assert_allclose(model.eval()[0].weight, weight, rtol=1e-14)


def test_older_keys_of_weight_norm_load():
    entries, weight = older_weight_norm()
    layer = weight_norm(nn.Linear(4, 3, rng=0))
    layer.load_state_dict({**entries, "bias": BIAS})
    assert_allclose(layer.weight, weight, rtol=1e-14)


# -- a state dict inside another dict ----------------------------------------------------------------

STATE = nn.Linear(4, 3, rng=0).state_dict()
NESTED = {"model": {"epoch": 3, "optimizer": {"step": 5}, "model": STATE},
          "state_dict": {"state_dict": STATE, "hyper_parameters": {}},
          "weights": {"weights": {"weight": [[1.0]]}, "other": 1}}


@pytest.mark.parametrize("key, checkpoint", NESTED.items())
def test_a_checkpoint_around_the_state_dict_is_refused_with_its_key(key, checkpoint, tmp_path):
    message = f"holds a dict under '{key}', as checkpoints of training .*: .*state_dict\\['{key}'\\]"
    with pytest.raises(RuntimeError, match=f"It {message}"):
        nn.Linear(4, 3).load_state_dict(checkpoint)
    for call in (lambda: plain_weights(checkpoint), lambda: save(checkpoint, tmp_path / "x.npz")):
        with pytest.raises(CheckpointError, match=f"^it {message}"):
            call()
    assert not list(tmp_path.iterdir())
