"""Muon in bfloat16 against torch.optim.Muon: random matrices, bit by bit where the sums allow."""
import numpy as np
import pytest
import torch

from orthonorm import core, nn, optim
from tests.bfloat16 import expected_error, ulp

JORDAN = (3.4445, -4.7750, 2.0315)
OPTIONS = [{}, {"nesterov": False}, {"momentum": 0.5}, {"weight_decay": 1.0},
           {"adjust_lr_fn": "match_rms_adamw"}, {"ns_steps": 3}, {"ns_coefficients": (2.0, -1.5, 0.5)}]


def paths(shape, dtype, seed, steps, **options):
    """Return where the steps of both lead, with the same gradients."""
    rng = np.random.default_rng([seed, *shape])
    start, gradients = (rng.standard_normal(size).astype(dtype) for size in (shape, (steps, *shape)))
    theirs = torch.nn.Parameter(torch.from_numpy(start.copy()))
    ours = nn.Parameter(start.copy())
    torch_muon = torch.optim.Muon([theirs], lr=1.0, **options)
    muon = optim.Muon([("x", ours)], lr=1.0, precision="bfloat16", **options)
    path = []
    for gradient in gradients:
        theirs.grad = torch.from_numpy(gradient.copy())
        torch_muon.step()
        muon.step({"x": gradient})
        path.append((theirs.detach().numpy().copy(), ours.data.copy()))
    return start, gradients, path


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_small_matrices_are_equal(options, dtype):
    """Sums of at most six terms hardly ever fall on two sides of a rounding boundary."""
    equal = []
    for shape in [(4, 4), (6, 3), (3, 6), (1, 5), (5, 1), (1, 1)]:
        for seed in range(5):
            _, _, path = paths(shape, dtype, seed, 3, **options)
            equal += [np.abs(x - y).max() <= 8 * np.finfo(dtype).eps for x, y in path]
    assert np.mean(equal) > 0.9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (128, 128), (256, 64)], ids=str)
def test_large_matrices_are_as_near_as_roundings_let_them(shape, dtype):
    """No entry is off by more than a few units of bfloat16, nor the whole by more than both can be."""
    for seed in range(3):
        start, gradients, [(theirs, ours)] = paths(shape, dtype, seed, 1, weight_decay=0, momentum=0)
        exact = core.newton_schulz(gradients[0].astype(float), JORDAN, 5)
        allowed = expected_error(gradients[0], JORDAN, 5, exact)
        scale = max(1, shape[0] / shape[1])**0.5
        step = (start - theirs) / scale
        assert np.linalg.norm(step - exact) < 1.5 * allowed
        assert np.linalg.norm((ours - theirs) / scale) < allowed
        assert np.abs(ours - theirs).max() / scale <= 8 * ulp(np.abs(step).max())


def test_the_defaults_are_pytorchs():
    theirs = torch.optim.Muon([torch.nn.Parameter(torch.eye(2))]).param_groups[0]
    ours = optim.Muon([("x", nn.Parameter(np.eye(2)))]).param_groups[0]
    assert {name: value for name, value in ours.items() if name not in ("params", "param_names",
                                                                        "precision")} == {
        name: value for name, value in theirs.items() if name != "params"}


@pytest.mark.parametrize("options", [{"lr": -1}, {"momentum": -1}, {"weight_decay": -1},
                                     {"adjust_lr_fn": "spectral"}], ids=str)
def test_options_are_refused_with_the_same_error(options):
    with pytest.raises(ValueError) as theirs:
        torch.optim.Muon([torch.nn.Parameter(torch.eye(2))], **options)
    with pytest.raises(ValueError) as ours:
        optim.Muon([("x", nn.Parameter(np.eye(2)))], **options)
    assert type(theirs.value) is type(ours.value)
