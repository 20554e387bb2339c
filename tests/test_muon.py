"""Muon: by its formula and the exact gain; in bfloat16 as PyTorch; options, state and errors."""
import math
import sys

import autograd.numpy as np
import ml_dtypes
import pytest

from orthonorm import core, nn, optim
from orthonorm.core import definitions
from orthonorm.equivalence import runs
from orthonorm.equivalence.libraries import Orthonorm
from orthonorm.func import value_and_grad
from tests.bfloat16 import expected_error
from tests.helpers import assert_identical, assert_within, eps, real_dtypes, sample

JORDAN = (3.4445, -4.7750, 2.0315)
MUON = "perceptron, Muon"
SHAPES = [(4, 4), (6, 3), (3, 6), (1, 5), (5, 1), (1, 1)]


def path(start, gradients, **options):
    """Return where each step leads."""
    parameter = nn.Parameter(start.copy())
    optimizer = optim.Muon([("x", parameter)], **options)
    points = []
    for gradient in gradients:
        optimizer.step({"x": gradient})
        points.append(parameter.data.copy())
    return np.array(points)


def by_hand(x, gradients, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True,
            ns_coefficients=JORDAN, ns_steps=5, adjust_lr_fn=None):
    """The formula of PyTorch's documentation, with the definition of the iteration."""
    n, k = x.shape
    matched = adjust_lr_fn == "match_rms_adamw"
    ratio = 0.2 * math.sqrt(max(n, k)) if matched else math.sqrt(max(1, n / k))
    points, b = [], np.zeros((n, k))
    for g in gradients:
        b = momentum * b + (1 - momentum) * g
        u = (1 - momentum) * g + momentum * b if nesterov else b
        x = x - lr * weight_decay * x
        x = x - lr * ratio * definitions.newton_schulz(u, ns_coefficients, ns_steps)
        points.append(x)
    return np.array(points)


OPTIONS = [
    {}, {"lr": 0.1}, {"weight_decay": 0.0}, {"lr": 0.1, "weight_decay": 2.0}, {"momentum": 0.3},
    {"nesterov": False}, {"momentum": 0.4, "nesterov": False}, {"momentum": 0.0}, {"ns_steps": 3},
    {"ns_steps": 0}, {"ns_coefficients": (2.0, -1.5, 0.5)}, {"adjust_lr_fn": "original"},
    {"adjust_lr_fn": "match_rms_adamw"},
    {"ns_coefficients": tuple(map(tuple, core.newton_schulz_coefficients("you"))), "ns_steps": 6},
]


@real_dtypes
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_follows_the_formula(options, shape, dtype):
    start, gradients = sample(shape, dtype), sample((4, *shape), dtype, 1)
    actual = path(start, gradients, **options)
    assert actual.dtype == dtype
    expected = by_hand(start.astype(float), gradients.astype(float), **options)
    assert_within(actual, expected.astype(dtype), 3000 * eps(dtype))


@real_dtypes
def test_the_first_step_has_the_gain_as_singular_values(dtype):
    """Nothing else is left of the size of the gradient, whatever that is."""
    U, V = core.haar((6, 4), rng=1), core.haar((4, 4), rng=2)
    sigma = np.array([0.8, 0.5, 0.3, math.sqrt(0.02)])  # of norm 1
    for size in (1e-5, 1, 1e9):
        gradient = (size * (U * sigma) @ V.T).astype(dtype)
        x, = path(np.zeros((6, 4), dtype), [gradient], lr=1.0)
        gains = np.linalg.svd(x / math.sqrt(1.5), compute_uv=False)
        assert_within(np.sort(gains), np.sort(core.polynomial_gain(JORDAN, sigma, 5)).astype(dtype),
                      2000 * eps(dtype))


def test_small_gradients_meet_eps():
    """As in PyTorch, unless eps says otherwise."""
    gradient, zero = 1e-12 * np.eye(2), np.zeros((2, 2))
    assert np.abs(path(zero, [gradient], lr=1.0)[0]).max() < 0.01
    assert abs(path(zero, [gradient], lr=1.0, eps=0)[0][0, 0] + core.polynomial_gain(
        JORDAN, 0.5**0.5, 5)) < 1e-12


def test_a_gradient_of_zero_only_shrinks():
    assert_within(path(np.eye(3), np.zeros((2, 3, 3)), lr=0.1, weight_decay=0.5, eps=0),
                  np.array([0.95 * np.eye(3), 0.95**2 * np.eye(3)]), 1e-16)


def test_a_network_learns():
    rng = np.random.default_rng(0)
    layer = nn.Sequential(nn.Linear(8, 8, bias=False, rng=1), nn.Tanh(),
                          nn.Linear(8, 3, bias=False, rng=2))
    x, y = rng.standard_normal((64, 8)), rng.standard_normal((8, 3))
    step = value_and_grad(lambda: np.mean((layer(x) - np.tanh(x @ y)) ** 2), layer)
    optimizer = optim.Muon(layer.named_parameters(), lr=0.02, weight_decay=0)
    losses = []
    for _ in range(200):
        loss, gradients = step()
        losses.append(loss)
        optimizer.step(gradients)
    assert losses[-1] < 0.05 * losses[0]


# -- bfloat16 -----------------------------------------------------------------------------------------

@real_dtypes
@pytest.mark.parametrize("shape", [(8, 8), (16, 64), (64, 16), (64, 64)], ids=str)
def test_bfloat16_is_off_by_what_its_roundings_can_do(shape, dtype):
    """Against random errors in the places where it rounds, in double precision."""
    for seed in range(5):
        gradient = sample(shape, dtype, seed)
        options = {"lr": 1.0, "weight_decay": 0, "momentum": 0}
        (rounded,), (exact,) = (path(np.zeros(shape, dtype), [gradient], **options, precision=precision)
                                for precision in ("bfloat16", None))
        assert rounded.dtype == dtype
        expected = -math.sqrt(max(1, shape[0] / shape[1])) * definitions.newton_schulz(
            gradient.astype(float), JORDAN, 5)
        scale = math.sqrt(max(1, shape[0] / shape[1]))
        allowed = expected_error(gradient, JORDAN, 5, -expected / scale) * scale
        assert 0.2 * allowed < np.linalg.norm(rounded - expected) < 1.5 * allowed
        assert 1.5 * allowed < 0.1 * np.linalg.norm(expected)  # what runs.BFLOAT16 says
        assert np.linalg.norm(exact - expected) < 3000 * eps(dtype)


def test_the_entries_of_a_step_are_bfloat16_numbers():
    x, = path(np.zeros((5, 7)), [sample((5, 7))], lr=1.0, precision="bfloat16")
    assert_identical(x, x.astype(ml_dtypes.bfloat16).astype(float))
    plain, = path(np.zeros((5, 7)), [sample((5, 7))], lr=1.0)
    assert not np.array_equal(plain, plain.astype(ml_dtypes.bfloat16).astype(float))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bfloat16_follows_pytorchs_recorded_run_bit_by_bit_at_first(dtype):
    """Until a sum, taken in another order, falls on the other side of a rounding boundary."""
    _, digits, recorded = runs.load()
    theirs = recorded[MUON]
    run = runs.Run(MUON, {run.name: run for run in runs.all_runs()}[MUON].program,
                   {"precision": "bfloat16"})
    _, ours = runs.follow(Orthonorm(), run, dtype, digits, theirs["inputs"], theirs["start"])
    for name in ("1.weight", "3.weight"):
        gap = runs.distance(ours[name], theirs[dtype][name])
        assert gap.max() < runs.BFLOAT16
        first = np.abs(ours[name][0] - theirs[dtype][name][0]) < 4 * np.finfo(dtype).eps
        assert first.mean() > 0.9


@pytest.mark.parametrize("change", [
    {"lr": 0.045}, {"nesterov": False}, {"momentum": 0.9}, {"weight_decay": 0}, {"ns_steps": 4},
    {"adjust_lr_fn": "match_rms_adamw"}, {"ns_coefficients": (3.4, -4.775, 2.0315)}], ids=str)
def test_the_comparison_with_the_recorded_run_finds_another_muon(change, monkeypatch):
    class Other(optim.Muon):
        def __init__(self, named_parameters, **options):
            super().__init__(named_parameters, **{**options, **change})

    header, digits, recorded = runs.load()
    run = {run.name: run for run in runs.all_runs()}[MUON]
    monkeypatch.setattr(optim, "Muon", Other)
    rows = runs.compare({MUON: recorded[MUON]}, digits, [run])
    row, = [row for row in rows if row.dtype == "float64"]
    assert row.failures[0].startswith("drifts from step")


def test_without_ml_dtypes_an_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match=r"needs the package ml_dtypes: pip install orthonorm\[muon"):
        path(np.eye(2), [], precision="bfloat16")


# -- options, state, errors ---------------------------------------------------------------------------

@pytest.mark.parametrize("options", [{}, {"precision": "bfloat16"}, {"adjust_lr_fn": "match_rms_adamw"},
                                     {"ns_coefficients": [JORDAN] * 5}], ids=str)
def test_state_and_options_survive_a_file(options, tmp_path):
    gradients = sample((6, 4, 3))
    whole = path(sample((4, 3), seed=1), gradients, lr=0.1, **options)
    parameter = nn.Parameter(sample((4, 3), seed=1))
    first = optim.Muon([("x", parameter)], lr=0.1, **options)
    for gradient in gradients[:3]:
        first.step({"x": gradient})
    np.savez(tmp_path / "state.npz", **first.state_dict())
    second = optim.Muon([("x", parameter)])
    with np.load(tmp_path / "state.npz") as state:
        second.load_state_dict(state)
    for gradient in gradients[3:]:
        second.step({"x": gradient})
    assert_identical(parameter.data, whole[-1])
    assert second.param_groups[0]["adjust_lr_fn"] == options.get("adjust_lr_fn")


def test_defaults_are_pytorchs():
    group = optim.Muon([("x", nn.Parameter(np.eye(2)))]).param_groups[0]
    expected = {"lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95, "nesterov": True,
                "ns_coefficients": JORDAN, "eps": 1e-7, "ns_steps": 5, "adjust_lr_fn": None}
    assert {name: group[name] for name in expected} == expected
    assert [*optim.Muon.__init__.__annotations__][1:9] == [*expected]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 3)], ids=str)
def test_only_matrices(shape):
    with pytest.raises(ValueError, match="^Muon only supports 2D parameters whereas we found"):
        optim.Muon([("x", nn.Parameter(np.ones(shape)))])
    optimizer = optim.Muon([("x", nn.Parameter(np.eye(2)))])
    with pytest.raises(ValueError, match="^Muon only supports 2D parameters whereas we found"):
        optimizer.add_param_group({"params": [("y", nn.Parameter(np.ones(shape)))]})
    assert len(optimizer.param_groups) == 1


def test_no_complex_parameters():
    parameter = nn.Parameter(np.eye(2) + 0j)
    optimizer = optim.Muon([("x", parameter)])
    with pytest.raises(RuntimeError, match="^Muon does not support complex parameters"):
        optimizer.step({"x": np.eye(2) + 0j})
    assert not optimizer.state


@pytest.mark.parametrize("options, message", [
    ({"lr": -1}, "^Invalid learning rate: -1"), ({"momentum": -0.1}, "^Invalid momentum value: -0.1"),
    ({"weight_decay": -1}, "^Invalid weight_decay value: -1"), ({"eps": -1}, "^Invalid epsilon value"),
    ({"adjust_lr_fn": "spectral"}, "^Adjust learning rate function spectral is not supported"),
    ({"ns_coefficients": (1, 2)}, "^coefficients must be a triple"),
    ({"ns_coefficients": [JORDAN] * 4}, "^coefficients has 4 triples for 5 steps"),
    ({"ns_steps": -1}, "^steps must not be negative"),
    ({"precision": "float16"}, '^precision must be None or "bfloat16", got \'float16\'')], ids=str)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        optim.Muon([("x", nn.Parameter(np.eye(2)))], **options)


@pytest.mark.parametrize("steps", [None, 2.5, "5"])
def test_the_number_of_steps_is_an_integer(steps):
    with pytest.raises(TypeError, match="^ns_steps must be an integer"):
        optim.Muon([("x", nn.Parameter(np.eye(2)))], ns_steps=steps)
