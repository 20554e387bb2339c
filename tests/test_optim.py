"""Optimisers: against the papers' formulas in plain loops, closed forms; state dicts; errors."""
import math

import numpy as np
import pytest

from orthonorm import nn, optim
from orthonorm.func import value_and_grad

from .helpers import assert_identical, dtypes, eps, sample


def run(make, start, gradients, **options):
    """Return where each step of an optimiser on one parameter leads."""
    parameter = nn.Parameter(start.copy())
    optimizer = make([("x", parameter)], **options)
    path = []
    for gradient in gradients:
        optimizer.step({"x": gradient})
        path.append(parameter.data.copy())
    return np.array(path)


def sgd_by_hand(x, gradients, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False,
                maximize=False):
    """Sutskever et al. 2013, with the step size outside the velocity; one number."""
    path, velocity = [], None
    for g in gradients:
        g = (-g if maximize else g) + weight_decay * x
        velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
        x = x - lr * (g + momentum * velocity if nesterov else velocity if momentum else g)
        path.append(x)
    return path


def adam_by_hand(x, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False,
                 maximize=False, decoupled=False):
    """Algorithm 1 of Kingma & Ba, with the weight decay of Loshchilov & Hutter; one number."""
    path, m, v, largest = [], 0.0, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        g = -g if maximize else g
        if decoupled:
            x = x - lr * weight_decay * x
        else:
            g = g + weight_decay * x
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g ** 2
        largest = max(largest, v) if amsgrad else v
        m_hat, v_hat = m / (1 - betas[0] ** t), largest / (1 - betas[1] ** t)
        x = x - lr * m_hat / (math.sqrt(v_hat) + eps)
        path.append(x)
    return path


SGD_OPTIONS = [
    {}, {"momentum": 0.9}, {"momentum": 0.8, "dampening": 0.3}, {"weight_decay": 0.2},
    {"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    {"maximize": True}, {"maximize": True, "momentum": 0.7, "weight_decay": 0.1},
]
ADAM_OPTIONS = [
    {}, {"betas": (0.5, 0.9)}, {"betas": (0.0, 0.9)}, {"betas": (0, 0)}, {"betas": (0.3, 0.99)},
    {"eps": 0.1}, {"weight_decay": 0.3}, {"amsgrad": True}, {"maximize": True},
    {"amsgrad": True, "weight_decay": 0.2, "maximize": True, "betas": (0.8, 0.9)},
]


def by_hand(formula, start, gradients, **options):
    """Run a formula for one number on every entry, real and imaginary parts apart."""
    parts = [(start.real, gradients.real)]
    if np.iscomplexobj(start):
        parts.append((start.imag, gradients.imag))
    paths = []
    for x, g in parts:
        entries = [formula(float(x[i]), [float(step[i]) for step in g], **options)
                   for i in np.ndindex(x.shape)]
        paths.append(np.moveaxis(np.array(entries).reshape(*x.shape, len(g)), -1, 0))
    return paths[0] if len(paths) == 1 else paths[0] + 1j * paths[1]


def assert_follows(path, truth, dtype):
    assert path.dtype == dtype
    np.testing.assert_allclose(path, truth, rtol=0, atol=20 * eps(dtype) * np.abs(truth).max())


@dtypes
@pytest.mark.parametrize("options", SGD_OPTIONS, ids=str)
def test_sgd_follows_its_formula(options, dtype):
    start, gradients = sample((2, 3), dtype), sample((12, 2, 3), dtype, seed=1)
    path = run(optim.SGD, start, gradients, lr=0.1, **options)
    assert_follows(path, by_hand(sgd_by_hand, start, gradients, lr=0.1, **options), dtype)


@dtypes
@pytest.mark.parametrize("options", ADAM_OPTIONS, ids=str)
def test_adam_follows_its_paper(options, dtype):
    start, gradients = sample((2, 3), dtype), sample((12, 2, 3), dtype, seed=1)
    path = run(optim.Adam, start, gradients, lr=0.1, **options)
    assert_follows(path, by_hand(adam_by_hand, start, gradients, lr=0.1, **options), dtype)


@dtypes
@pytest.mark.parametrize("options", ADAM_OPTIONS, ids=str)
def test_adamw_decays_apart_from_the_gradient(options, dtype):
    start, gradients = sample((2, 3), dtype), sample((12, 2, 3), dtype, seed=1)
    path = run(optim.AdamW, start, gradients, lr=0.1, **options)
    options = {"weight_decay": 0.01, **options, "decoupled": True}
    assert_follows(path, by_hand(adam_by_hand, start, gradients, lr=0.1, **options), dtype)


def test_amsgrad_never_forgets_a_large_gradient():
    gradients = np.array([100.0, *[1.0] * 30]).reshape(-1, 1)
    kept = run(optim.Adam, np.zeros(1), gradients, lr=0.1, betas=(0.0, 0.5), amsgrad=True)
    forgotten = run(optim.Adam, np.zeros(1), gradients, lr=0.1, betas=(0.0, 0.5))
    # All but the last of 100^2 / 2 is forgotten after 30 halvings; v is 1 then, and a step is lr.
    assert forgotten[-2, 0] - forgotten[-1, 0] == pytest.approx(0.1, rel=1e-5)
    assert kept[-2, 0] - kept[-1, 0] == pytest.approx(0.1 / math.sqrt(100 ** 2 / 2), rel=1e-5)


def test_gradient_descent_on_a_quadratic_has_its_closed_form():
    """x_t = (I - lr A)^t x_0 for the loss x A x / 2."""
    A = np.diag([1.0, 3.0, 5.0])
    parameter = nn.Parameter(np.ones(3))
    optimizer = optim.SGD([("x", parameter)], lr=0.1)
    for _ in range(25):
        optimizer.step({"x": A @ parameter.data})
    np.testing.assert_allclose(parameter.data, [0.9 ** 25, 0.7 ** 25, 0.5 ** 25], rtol=1e-13)


def test_momentum_on_a_quadratic_has_its_closed_form():
    """The last three points follow x+ = (1 + mu - lr a) x - mu x-: powers of the two roots."""
    a, lr, mu = 2.0, 0.05, 0.5
    parameter = nn.Parameter(np.ones(()))
    optimizer = optim.SGD([("x", parameter)], lr=lr, momentum=mu)
    path = [1.0]
    for _ in range(20):
        optimizer.step({"x": a * parameter.data})
        path.append(float(parameter.data))
    roots = np.roots([1, -(1 + mu - lr * a), mu])
    powers = np.linalg.solve([[1, 1], roots], [1.0, 1 - lr * a])
    expected = [(powers * roots ** t).sum().real for t in range(21)]
    np.testing.assert_allclose(path, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("make", [optim.Adam, optim.AdamW])
def test_adams_first_step_is_the_learning_rate(make):
    gradient = np.array([1e-3, -5.0, 1e3])
    path = run(make, np.zeros(3), [gradient], lr=0.25)
    np.testing.assert_allclose(path[0], [-0.25, 0.25, -0.25], rtol=1e-4)


@dtypes
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0, 3), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.AdamW])
def test_any_shape_and_dtype_stays(make, shape, dtype):
    parameter = nn.Parameter(np.asarray(sample(shape, dtype)))
    optimizer = make([("x", parameter)], lr=np.float64(0.1), weight_decay=np.float64(0.1))
    for _ in range(2):
        optimizer.step({"x": np.asarray(sample(shape, dtype, seed=1))})
    assert (parameter.shape, parameter.dtype) == (shape, dtype)
    assert isinstance(parameter.data, np.ndarray)
    assert all((value.shape, value.dtype) == (shape, dtype)
               for key, value in optimizer.state_dict().items()
               if key.startswith("state.") and not key.endswith(".step"))


@pytest.mark.parametrize("view", [np.asfortranarray, lambda x: x[::-1, ::-1], lambda x: x[:, ::2]])
def test_any_layout_in_memory(view):
    start, gradient = view(sample((4, 6), np.complex128)), view(sample((4, 6), np.complex128, seed=1))
    path = run(optim.Adam, start, [gradient] * 3)
    assert_identical(path, run(optim.Adam, np.array(start, order="C"), [gradient.copy()] * 3))


def test_the_parameter_stays_itself_and_arrays_read_before_keep_their_values():
    layer = nn.Linear(2, 3)
    parameter, before = layer._parameters["weight"], layer.weight
    values = before.copy()
    optim.SGD(layer.named_parameters(), lr=1.0).step({"weight": np.ones((3, 2))})
    assert layer._parameters["weight"] is parameter
    assert_identical(before, values)
    np.testing.assert_array_equal(layer.weight, values - 1)


def test_gradients_are_left_alone():
    gradient = np.ones(2)
    for make in (optim.SGD, optim.Adam, optim.AdamW):
        run(make, np.zeros(2), [gradient], maximize=True, weight_decay=0.1)
    run(optim.SGD, np.zeros(2), [gradient] * 3, momentum=0.9)
    np.testing.assert_array_equal(gradient, [1, 1])


def test_a_gradient_may_be_overwritten_after_the_step():
    parameter, gradient = nn.Parameter(np.zeros(2)), np.ones(2)
    optimizer = optim.SGD([("x", parameter)], lr=1.0, momentum=0.5)
    optimizer.step({"x": gradient})
    gradient[:] = 0
    optimizer.step({"x": gradient})
    np.testing.assert_array_equal(parameter.data, [-1.5, -1.5])


def test_an_average_that_keeps_nothing_is_the_gradient_to_the_bit():
    optimizer = optim.Adam([("x", nn.Parameter(np.zeros(1)))], betas=(0.0, 0.9))
    for gradient in (1e20, 1.0):
        optimizer.step({"x": np.array([gradient])})
    assert optimizer.state_dict()["state.0.exp_avg"] == 1.0


def test_parameters_without_a_gradient_stay():
    layer = nn.Linear(2, 3)
    optimizer = optim.Adam(layer.named_parameters(), weight_decay=0.1)
    bias = layer.bias.copy()
    optimizer.step({"weight": np.ones((3, 2)), "bias": None})
    optimizer.step({"weight": np.ones((3, 2))})
    assert_identical(layer.bias, bias)
    assert optimizer.state.keys() == {layer._parameters["weight"]}


def test_steps_with_the_gradients_of_value_and_grad():
    """A least-squares fit reaches the solution of the normal equations."""
    X, y = sample((20, 3)), sample((20, 1), seed=1)
    layer = nn.Linear(3, 1, bias=False, rng=0)
    optimizer = optim.SGD(layer.named_parameters(), lr=0.02, momentum=0.5)
    step = value_and_grad(lambda: ((layer(X) - y) ** 2).sum() / 2, layer)
    for _ in range(300):
        optimizer.step(step()[1])
    np.testing.assert_allclose(layer.weight.T, np.linalg.lstsq(X, y, rcond=None)[0], atol=1e-12)


def test_nan_goes_through_as_in_pytorch():
    path = run(optim.Adam, np.zeros(2), [np.array([np.nan, 1.0])] * 2, lr=0.1)
    assert np.isnan(path[-1, 0])
    assert path[-1, 1] == pytest.approx(-0.2)


# -- groups -------------------------------------------------------------------------------------------

def test_groups_have_options_of_their_own():
    a, b = nn.Parameter(np.zeros(1)), nn.Parameter(np.zeros(1))
    optimizer = optim.SGD([{"params": [("a", a)]}, {"params": [("b", b)], "lr": 0.5}], lr=0.1)
    optimizer.step({"a": np.ones(1), "b": np.ones(1)})
    assert (a.data[0], b.data[0]) == (-0.1, -0.5)
    assert [group["param_names"] for group in optimizer.param_groups] == [["a"], ["b"]]


def test_a_group_can_be_added_later():
    a, b = nn.Parameter(np.zeros(1)), nn.Parameter(np.zeros(1))
    optimizer = optim.SGD([("a", a)], lr=0.1)
    optimizer.add_param_group({"params": [("b", b)], "lr": 0.5})
    optimizer.step({"a": np.ones(1), "b": np.ones(1)})
    assert (a.data[0], b.data[0]) == (-0.1, -0.5)


@pytest.mark.parametrize("group, error, message", [
    ([1], TypeError, r"^param_group must be a dict .* got \[1\]"),
    ({"lr": 1.0}, TypeError, "^param_group must be a dict with pairs under 'params'"),
    ({"params": [("a", nn.Parameter(np.zeros(1)))]}, ValueError, "more than one parameter group"),
    ({"params": [("b", nn.Parameter(np.zeros(1)))], "lr": -1.0}, ValueError, "learning rate: -1.0"),
], ids=["list", "nothing", "name", "option"])
def test_a_bad_group_is_not_added(group, error, message):
    optimizer = optim.SGD([("a", nn.Parameter(np.zeros(1)))])
    with pytest.raises(error, match=message):
        optimizer.add_param_group(group)
    assert [group["param_names"] for group in optimizer.param_groups] == [["a"]]


def test_repr_shows_groups_and_options():
    a, b = nn.Parameter(np.zeros(1)), nn.Parameter(np.zeros(1))
    optimizer = optim.SGD([{"params": [("a", a)]}, {"params": [("b", b)], "lr": 0.5}], lr=0.1)
    assert repr(optimizer) == """SGD (
Parameter Group 0
    dampening: 0
    lr: 0.1
    maximize: False
    momentum: 0
    nesterov: False
    param_names: ['a']
    weight_decay: 0

Parameter Group 1
    dampening: 0
    lr: 0.5
    maximize: False
    momentum: 0
    nesterov: False
    param_names: ['b']
    weight_decay: 0
)"""


def test_the_learning_rate_can_be_changed_between_steps():
    parameter = nn.Parameter(np.zeros(1))
    optimizer = optim.SGD([("x", parameter)], lr=0.1)
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step({"x": np.ones(1)})
    assert parameter.data[0] == -0.5


def test_default_learning_rates_are_pytorchs():
    for make in (optim.SGD, optim.Adam, optim.AdamW):
        assert make([("x", nn.Parameter(np.zeros(1)))]).param_groups[0]["lr"] == 1e-3


# -- state dicts --------------------------------------------------------------------------------------

MAKERS = {
    "SGD": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "Adam": (optim.Adam, {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.9)}),
    "AdamW": (optim.AdamW, {"lr": 0.1}),
}
makers = pytest.mark.parametrize("make, options", MAKERS.values(), ids=MAKERS.keys())


def two_parameters(dtype):
    return {"a.weight": nn.Parameter(sample((2, 3), dtype)), "b": nn.Parameter(sample((2,), dtype))}


@dtypes
@makers
def test_a_run_goes_on_from_a_saved_file(make, options, dtype, tmp_path):
    parameters = two_parameters(dtype)
    grads = {name: sample(p.shape, dtype, seed=1) for name, p in parameters.items()}
    optimizer = make(parameters.items(), **options)
    for _ in range(3):
        optimizer.step(grads)
    np.savez(tmp_path / "optimizer.npz", **optimizer.state_dict())
    copies = {name: nn.Parameter(parameter.data.copy()) for name, parameter in parameters.items()}
    resumed = make(copies.items())
    with np.load(tmp_path / "optimizer.npz", allow_pickle=False) as saved:
        resumed.load_state_dict(saved)
    for name, value in options.items():
        assert resumed.param_groups[0][name] == value
    for _ in range(2):
        optimizer.step(grads)
        resumed.step(grads)
    for name, parameter in parameters.items():
        assert_identical(copies[name].data, parameter.data)
    assert_same_state(resumed, optimizer.state_dict())


def assert_same_state(optimizer, expected):
    state = optimizer.state_dict()
    assert state.keys() == expected.keys()
    for key, value in state.items():
        assert_identical(value, expected[key])


def test_keys_of_the_state_dict():
    optimizer = optim.Adam([("a.weight", nn.Parameter(np.zeros((2, 3))))])
    assert not [key for key in optimizer.state_dict() if key.startswith("state.")]
    optimizer.step({"a.weight": np.ones((2, 3))})
    assert [*optimizer.state_dict()] == [
        "state.0.step", "state.0.exp_avg", "state.0.exp_avg_sq",
        "param_groups.0.params", "param_groups.0.lr", "param_groups.0.betas", "param_groups.0.eps",
        "param_groups.0.weight_decay", "param_groups.0.amsgrad", "param_groups.0.maximize",
        "param_groups.0.decoupled_weight_decay"]


def test_the_state_dict_is_a_copy():
    optimizer = optim.SGD([("x", nn.Parameter(np.zeros(2)))], momentum=0.9)
    optimizer.step({"x": np.ones(2)})
    optimizer.state_dict()["state.0.momentum_buffer"][:] = 7
    np.testing.assert_array_equal(optimizer.state_dict()["state.0.momentum_buffer"], [1, 1])


def test_parameters_that_never_moved_have_no_state_to_load():
    parameters = two_parameters(np.float64)
    optimizer = optim.Adam(parameters.items())
    optimizer.step({"b": np.ones(2)})
    parameters = two_parameters(np.float64)
    other = optim.Adam(parameters.items())
    other.load_state_dict(optimizer.state_dict())
    assert other.state.keys() == {parameters["b"]}


@pytest.mark.parametrize("make, option, off", [
    (optim.SGD, {"momentum": 0.9}, {"momentum": 0.0}),
    (optim.Adam, {"amsgrad": True}, {"amsgrad": False}),
], ids=["momentum", "amsgrad"])
def test_what_an_option_left_is_kept_until_it_is_on_again(make, option, off):
    optimizers = [make([("x", nn.Parameter(np.zeros(2)))], **option) for _ in range(2)]
    for change in (option, off, option):
        for optimizer in optimizers:
            optimizer.param_groups[0].update(change)
            optimizer.step({"x": np.array([3.0, -1.0])})
        optimizers[1].load_state_dict(optimizers[1].state_dict())
    assert_same_state(optimizers[1], optimizers[0].state_dict())
    assert_identical(optimizers[1].param_groups[0]["params"][0].data,
                     optimizers[0].param_groups[0]["params"][0].data)


BROKEN = {
    "missing option": lambda state: state.pop("param_groups.0.lr"),
    "missing state": lambda state: state.pop("state.1.exp_avg"),
    "unexpected": lambda state: state.update({"state.2.step": np.array(1)}),
    "shape": lambda state: state.update({"state.1.exp_avg": np.zeros(3)}),
    "shape of step": lambda state: state.update({"state.1.step": np.zeros(2)}),
    "endless step": lambda state: state.update({"state.1.step": np.array(np.inf)}),
    "step before the first": lambda state: state.update({"state.1.step": np.array(-1.0)}),
    "half a step": lambda state: state.update({"state.1.step": np.array(0.5)}),
    "text for a bool": lambda state: state.update({"param_groups.0.maximize": np.array("False")}),
    "numbers for a bool": lambda state: state.update({"param_groups.0.maximize": np.zeros(2)}),
    "option out of range": lambda state: state.update({"param_groups.0.lr": np.array(-1.0)}),
    "betas out of range": lambda state: state.update({"param_groups.0.betas": np.array([0.5, 1.0])}),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_state_dict_changes_nothing(damage):
    parameters = two_parameters(np.float64)
    optimizer = optim.Adam(parameters.items())
    optimizer.step({"a.weight": np.ones((2, 3)), "b": np.ones(2)})
    before, broken = optimizer.state_dict(), optimizer.state_dict()
    broken["param_groups.0.eps"] = np.array(1e-3)
    damage(broken)
    with pytest.raises(ValueError):
        optimizer.load_state_dict(broken)
    assert_same_state(optimizer, before)


@pytest.mark.parametrize("given", [None, [], 3])
def test_a_state_dict_is_a_dict(given):
    with pytest.raises(TypeError, match="state_dict must be a dict, got"):
        optim.SGD([("x", nn.Parameter(np.zeros(2)))]).load_state_dict(given)


@pytest.mark.parametrize("dampening", ["x", None, (1, 2)])
def test_dampening_is_a_number(dampening):
    with pytest.raises(TypeError, match="dampening must be a number"):
        optim.SGD([("x", nn.Parameter(np.zeros(2)))], dampening=dampening)


def test_loading_never_drops_an_imaginary_part():
    optimizer = optim.SGD([("x", nn.Parameter(np.zeros(2)))], momentum=0.9)
    optimizer.step({"x": np.ones(2)})
    state = optimizer.state_dict() | {"state.0.momentum_buffer": np.array([1j, 2])}
    with pytest.raises(TypeError, match="momentum_buffer"):
        optimizer.load_state_dict(state)


# -- errors -------------------------------------------------------------------------------------------

BAD_OPTIONS = [
    (optim.SGD, {"lr": -0.1}, "Invalid learning rate: -0.1"),
    (optim.SGD, {"lr": math.nan}, "Invalid learning rate: nan"),
    (optim.SGD, {"momentum": -1}, "Invalid momentum value: -1"),
    (optim.SGD, {"weight_decay": -1}, "Invalid weight_decay value: -1"),
    (optim.SGD, {"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
    (optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "zero dampening"),
    (optim.Adam, {"lr": -1}, "Invalid learning rate: -1"),
    (optim.Adam, {"eps": -1}, "Invalid epsilon value: -1"),
    (optim.Adam, {"weight_decay": -1}, "Invalid weight_decay value: -1"),
    (optim.Adam, {"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
    (optim.Adam, {"betas": (0.9, -0.1)}, "Invalid beta parameter at index 1: -0.1"),
    (optim.Adam, {"betas": (0.9, 0.99, 0.999)}, r"a pair of numbers, got \(0.9, 0.99, 0.999\)"),
    (optim.AdamW, {"lr": -1}, "Invalid learning rate: -1"),
]


@pytest.mark.parametrize("make, options, message", BAD_OPTIONS, ids=str)
def test_options_out_of_range(make, options, message):
    pairs = [("x", nn.Parameter(np.zeros(2)))]
    with pytest.raises(ValueError, match=message):
        make(pairs, **options)
    with pytest.raises(ValueError, match=message):
        make([{"params": pairs, **options}])


def test_an_unknown_option_of_a_group():
    with pytest.raises(ValueError, match="'learning_rate'.*SGD has.*'lr'"):
        optim.SGD([{"params": [("x", nn.Parameter(np.zeros(2)))], "learning_rate": 1.0}])


@pytest.mark.parametrize("parameters", [
    nn.Linear(2, 2).parameters(), [("x", np.zeros(2))], [3], [("x",)],
    [{"params": [np.zeros(2)]}], [(1, nn.Parameter(np.zeros(1)))],
], ids=["parameters", "arrays", "numbers", "single names", "groups of arrays", "numbered"])
def test_anything_but_named_parameters(parameters):
    with pytest.raises(TypeError, match="named_parameters"):
        optim.SGD(parameters)


@pytest.mark.parametrize("parameters", [[], iter(())], ids=["list", "iterator"])
def test_no_parameters(parameters):
    with pytest.raises(ValueError, match="empty parameter list"):
        optim.SGD(parameters)


def test_a_name_or_a_parameter_twice():
    a, b = nn.Parameter(np.zeros(1)), nn.Parameter(np.zeros(1))
    for pairs in ([("a", a), ("a", b)], [("a", a), ("b", a)]):
        with pytest.raises(ValueError, match="more than one parameter group"):
            optim.SGD(pairs)
        with pytest.raises(ValueError, match="more than one parameter group"):
            optim.SGD([{"params": [pair]} for pair in pairs])


BAD_GRADIENTS = {
    "not a dict": ([np.ones(2)], TypeError, "must be a dict"),
    "unknown name": ({"x": np.ones(2), "z": np.ones(2)}, RuntimeError, "'z'.*parameters.*'x'"),
    "not an array": ({"x": np.ones(2), "y": [1.0, 1.0]}, TypeError, "'y'.*list"),
    "shape": ({"x": np.ones(2), "y": np.ones((2, 1))}, RuntimeError, r"'y'.*\(2,\), got.*\(2, 1\)"),
    "dtype": ({"x": np.ones(2), "y": np.ones(2, np.float32)}, RuntimeError, "'y'.*float64.*float32"),
}


@pytest.mark.parametrize("grads, error, message", BAD_GRADIENTS.values(), ids=BAD_GRADIENTS.keys())
@makers
def test_a_bad_gradient_changes_nothing(make, options, grads, error, message):
    parameters = {"x": nn.Parameter(np.zeros(2)), "y": nn.Parameter(np.zeros(2))}
    optimizer = make(parameters.items(), **options)
    before = optimizer.state_dict()
    with pytest.raises(error, match=message):
        optimizer.step(grads)
    assert all(not parameter.data.any() for parameter in parameters.values())
    assert_same_state(optimizer, before)


@pytest.mark.parametrize("changed", [np.ones(1, np.float32), np.ones(1, complex), np.ones(3)],
                         ids=["dtype", "complex", "shape"])
@makers
def test_a_parameter_that_became_another_array_is_not_moved(make, options, changed):
    x, y = nn.Parameter(np.zeros(2)), nn.Parameter(np.zeros(1))
    optimizer = make([("x", x), ("y", y)], **options)
    optimizer.step({"x": np.ones(2), "y": np.ones(1)})
    before, state = x.data, {name: {**slots} for name, slots in optimizer.state.items()}
    y.data = changed
    with pytest.raises(RuntimeError, match="'y' has another shape or dtype than in its last step"):
        optimizer.step({"x": np.ones(2), "y": changed})
    assert x.data is before and y.data is changed
    assert optimizer.state == state
    assert all(value.shape == (1,) for key, value in optimizer.state_dict().items()
               if key.startswith("state.1.") and not key.endswith(".step"))


@makers
def test_a_step_that_fails_midway_changes_nothing(make, options):
    parameters = {"x": nn.Parameter(np.zeros(2)), "y": nn.Parameter(np.zeros(2))}
    optimizer = make(parameters.items(), **options)
    optimizer.step({"x": np.ones(2), "y": np.ones(2)})
    before, values = optimizer.state_dict(), [parameter.data for parameter in parameters.values()]
    with np.errstate(over="raise", invalid="raise"), pytest.raises(FloatingPointError):
        optimizer.step({"x": np.ones(2), "y": np.array([-1e308, np.inf])})
    assert all(p.data is value for p, value in zip(parameters.values(), values))
    assert_same_state(optimizer, before)


@makers
def test_a_step_inside_the_loss_changes_nothing(make, options):
    layer, other = nn.Linear(2, 1, bias=False, rng=0), nn.Parameter(np.zeros(1))
    optimizer = make([("other", other), *layer.named_parameters()], **options)
    before, weight = optimizer.state_dict(), layer.weight

    def loss():
        optimizer.step({"other": np.ones(1), "weight": np.ones((1, 2))})
        return 0.0
    with pytest.raises(RuntimeError, match="cannot be assigned inside"):
        value_and_grad(loss, layer)()
    assert layer.weight is weight and not other.data.any()
    assert_same_state(optimizer, before)
