"""Pickles, copies and other processes: what comes back is the same module, and trains on the same way.

PyTorch refuses to pickle a parametrized module: "Serialization of parametrized modules is only
supported through state_dict()".
"""
import copy
import functools
import multiprocessing
import pickle

import autograd.numpy as anp
import numpy as np
import pytest

from orthonorm import nn
from orthonorm.func import value_and_grad
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from orthonorm.nn.utils.parametrize import (
    is_parametrized, register_parametrization, remove_parametrizations, type_before_parametrizations,
)
from tests.helpers import sample

from ..snapshots import bits

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def pickled(module, protocol=pickle.DEFAULT_PROTOCOL):
    return pickle.loads(pickle.dumps(module, protocol))


def pickled_out_of_band(module):
    buffers = []
    data = pickle.dumps(module, 5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytearray(buffer) for buffer in buffers])


TRIPS = {f"protocol {i}": functools.partial(pickled, protocol=i) for i in PROTOCOLS}
TRIPS |= {"out of band": pickled_out_of_band, "deepcopy": copy.deepcopy}

trips = pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS)


class Holder(nn.Module):
    def __init__(self, weight, register=False):
        super().__init__()
        if register:
            self.register_buffer("weight", weight)
            self.scale = nn.Parameter(np.ones(1))
        else:
            self.weight = nn.Parameter(weight)

    def forward(self):
        return self.weight * self.scale if "scale" in self._parameters else self.weight


class Doubled(nn.Module):
    def forward(self, X):
        return 2 * X

    def right_inverse(self, X):
        return X / 2


class SumAndDifference(nn.Module):
    def forward(self, a, b):
        return a + b

    def right_inverse(self, X):
        return X / 2, X / 2


def linear():
    return nn.Linear(3, 5, rng=0)


def square_base(module):
    """Load another n x n base than ours, as PyTorch's state dicts have."""
    state = module.state_dict()
    n = max(module.weight.shape)
    state["parametrizations.weight.0.base"] = np.linalg.qr(sample((n, n)))[0]
    module.load_state_dict(state)
    return module


def chain():
    module = orthogonal(spectral_norm(linear(), rng=0), orthogonal_map="cayley")
    return spectral_norm(module, "bias")


def parametrized_original():
    module = register_parametrization(linear(), "weight", Doubled())
    orthogonal(module.parametrizations.weight, "original")
    return module


def recurrent():
    module = orthogonal(nn.RNN(2, 3, num_layers=2, rng=0), "weight_hh_l0")
    return weight_norm(module, "weight_ih_l1")


def orthogonal_modules():
    for orthogonal_map in ("matrix_exp", "cayley", "householder"):
        for shape in ((4, 4), (5, 3), (2, 3, 5)):
            yield (f"{orthogonal_map} {shape}",
                   functools.partial(orthogonal_module, shape, orthogonal_map))
        yield (f"{orthogonal_map} without base",
               functools.partial(orthogonal_module, (5, 3), orthogonal_map, trivialization=False))


def orthogonal_module(shape, orthogonal_map, dtype=np.float64, trivialization=True):
    return orthogonal(Holder(sample(shape, dtype)), orthogonal_map=orthogonal_map,
                      use_trivialization=trivialization)


MODULES = dict(orthogonal_modules()) | {
    "complex": lambda: orthogonal_module((5, 3), "cayley", np.complex128),
    "float32": lambda: orthogonal_module((5, 3), "householder", np.float32),
    "transposed in memory": lambda: orthogonal(Holder(sample((2, 3, 5)).swapaxes(-1, -2))),
    "square base": lambda: square_base(orthogonal(linear())),
    "spectral norm": lambda: spectral_norm(linear(), n_power_iterations=2, rng=0),
    "spectral norm, evaluation mode": lambda: spectral_norm(linear(), rng=0).eval(),
    "spectral norm of a kernel": lambda: spectral_norm(Holder(sample((4, 3, 2, 2))), dim=1, rng=0),
    "weight norm": lambda: weight_norm(linear()),
    "chain on one tensor, another on a second": chain,
    "parametrized original": parametrized_original,
    "parametrized buffer": lambda: orthogonal(Holder(sample((3, 3)), register=True)),
    "several originals": lambda: register_parametrization(linear(), "weight", SumAndDifference()),
    "frozen": lambda: orthogonal(linear()).requires_grad_(False),
    "model": lambda: nn.Sequential(orthogonal(linear()), nn.Tanh(),
                                   spectral_norm(nn.Linear(5, 2, rng=1), rng=1)),
    "recurrent": recurrent,
}

modules = pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)


def output(module):
    """Run a module, whatever it takes; the sum of squares of what it returns."""
    if isinstance(module, nn.RNN):
        out = module(sample((4, 1, 2)))[0]
    else:
        out = module() if isinstance(module, Holder) else module(sample((4, 3)))
    target = np.cos(np.arange(out.size)).reshape(out.shape)
    return anp.sum(anp.abs(out - target) ** 2)


def train(module, steps=3):
    """Descend with plain SGD; return the losses."""
    losses = []
    for _ in range(steps):
        loss, gradients = value_and_grad(output, module)(module)
        for name, gradient in gradients.items():
            parameter = module.get_parameter(name)
            parameter.data = parameter.data - 0.05 * gradient
        losses.append(float(loss))
    return losses


def picture(module):
    """List everything a round trip must keep, to the bit: snapshot() without the identities."""
    return [(path, type(part), part.training, list(part._modules),
             {name: p and (p.requires_grad, bits(p._data)) for name, p in part._parameters.items()},
             {name: (bits(b), b is not None and b.flags.writeable)
              for name, b in part._buffers.items()})
            for path, part in module.named_modules(remove_duplicate=False)]


# -- every kind of module ----------------------------------------------------------------------------

@modules
@trips
def test_the_twin_is_equal_and_shares_nothing(make, trip):
    module = make()
    train(module)
    twin = trip(module)
    assert picture(twin) == picture(module)
    assert repr(twin) == repr(module)
    assert not set(map(id, twin.modules())) & set(map(id, module.modules()))
    arrays = [*(p._data for p in module.parameters()), *module.buffers()]
    copies = [*(p._data for p in twin.parameters()), *twin.buffers()]
    assert len(copies) == len(arrays)
    assert not any(np.shares_memory(a, b) for a in arrays for b in copies)


@modules
@pytest.mark.parametrize("trip", [pickled, copy.deepcopy])
def test_training_goes_on_to_the_bit(make, trip):
    module = make()
    train(module)
    twin = trip(module)
    assert train(twin) == train(module)
    assert picture(twin) == picture(module)


@modules
def test_a_round_trip_in_the_middle_of_training_changes_no_step(make):
    module, travelling = make(), make()
    losses = []
    for _ in range(4):
        losses += train(travelling, 1)
        travelling = pickled(travelling)
    assert losses == train(module, 4)


@modules
def test_two_round_trips_write_the_same_pickle(make):
    once = pickle.dumps(pickled(make()))
    assert pickle.dumps(pickle.loads(once)) == once


# -- the class ---------------------------------------------------------------------------------------

@trips
def test_the_class_is_the_same(trip):
    module = orthogonal(linear())
    twin = trip(module)
    assert type(twin) is type(module) and isinstance(twin, nn.Linear)
    assert type(twin).__name__ == "ParametrizedLinear"
    assert type_before_parametrizations(twin) is nn.Linear
    assert is_parametrized(twin, "weight")
    remove_parametrizations(twin, "weight")
    assert type(twin) is nn.Linear and type(module) is not nn.Linear


@trips
def test_a_parametrized_original_keeps_its_class(trip):
    twin = trip(parametrized_original())
    assert type(twin.parametrizations.weight).__name__ == "ParametrizedParametrizationList"
    assert is_parametrized(twin.parametrizations.weight, "original")


class Counting(nn.Linear):
    """A user's class with slots and its own way to be pickled."""

    __slots__ = ("calls",)

    def __getstate__(self):
        return self.__dict__, self.calls

    def __setstate__(self, state):
        plain, self.calls = state
        self.__dict__.update(plain)


class Slotted(nn.Linear):
    __slots__ = ("calls",)


@pytest.mark.parametrize("cls", [Counting, Slotted])
@pytest.mark.parametrize("trip", [*TRIPS.values(), copy.copy], ids=[*TRIPS, "copy"])
def test_a_users_class_keeps_what_it_has_beside_the_dict(cls, trip):
    module = orthogonal(cls(3, 5, rng=0))
    module.calls = 7
    twin = trip(module)
    assert isinstance(twin, cls) and twin.calls == 7
    assert bits(twin.weight) == bits(module.weight)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_local_class_is_refused_by_pickle_itself(protocol):
    class Local(nn.Linear):
        pass

    module = orthogonal(Local(3, 3, rng=0))
    with pytest.raises((AttributeError, pickle.PicklingError), match="Local"):
        pickle.dumps(module, protocol)
    twin = copy.deepcopy(module)
    assert type(twin) is type(module)
    assert bits(twin.weight) == bits(module.weight)


# -- what is shared inside one pickle ----------------------------------------------------------------

@trips
def test_tied_parameters_stay_tied(trip):
    first, second = nn.Linear(3, 3, rng=0), nn.Linear(3, 3, rng=1)
    second.weight = first._parameters["weight"]
    model = nn.Sequential(orthogonal(first), second)
    twin = trip(model)
    original = twin[0].parametrizations.weight._parameters["original"]
    assert twin[1]._parameters["weight"] is original
    assert len(list(twin.parameters())) == len(list(model.parameters())) == 3


@trips
def test_a_shared_parametrization_stays_shared(trip):
    shared = Doubled()
    model = nn.ModuleList([register_parametrization(linear(), "weight", shared) for _ in range(2)])
    twin = trip(model)
    assert twin[0].parametrizations.weight[0] is twin[1].parametrizations.weight[0]


@trips
def test_what_points_at_a_parameter_outside_the_module_still_does(trip):
    module = orthogonal(linear())
    velocity = {"parameter": module.parametrizations.weight._parameters["original"]}
    twin, twin_velocity = trip((module, velocity))
    assert twin_velocity["parameter"] is twin.parametrizations.weight._parameters["original"]


def test_a_module_inside_a_call_is_pickled_with_its_stored_values():
    module = orthogonal(linear())
    weight = bits(module.weight)
    twins = []

    def loss():
        twins.append(pickled(module))
        return anp.sum(module.weight[0])

    value_and_grad(loss, module)()
    assert bits(twins[0].weight) == weight


# -- the base of orthogonal --------------------------------------------------------------------------

@trips
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 5, 3), (4, 4)], ids=str)
def test_the_base_stays_read_only(trip, shape):
    module = orthogonal(Holder(sample(shape)))
    module.weight
    part = trip(module).parametrizations.weight[0]
    with pytest.raises(ValueError, match="read-only"):
        part._buffers["base"][...] = 0


def test_the_pickle_holds_the_base_once_and_no_reflectors():
    module = orthogonal(Holder(sample((500, 20))))
    size = len(pickle.dumps(module))
    module.weight
    assert len(pickle.dumps(module)) == size
    assert size < 2 * 500 * 20 * 8 + 5000  # the base and the original


@trips
def test_assigning_to_the_twin_leaves_the_module_alone(trip):
    module = orthogonal(linear())
    before = bits(module.weight)
    twin = trip(module)
    twin.weight = np.eye(5, 3)
    np.testing.assert_allclose(twin.weight, np.eye(5, 3), atol=1e-15)
    assert bits(module.weight) == before


# -- hooks -------------------------------------------------------------------------------------------

def doubled(module, args, output):
    return 2 * output


def plus_one(module, args, output):
    return output + 1


@trips
def test_hooks_travel_along(trip):
    module = orthogonal(linear())
    handle = module.register_forward_hook(doubled)
    twin, twin_handle = trip((module, handle))
    x = sample((2, 3))
    assert bits(twin(x)) == bits(module(x))
    assert not np.array_equal(twin(x), super(type(twin), twin).forward(x))
    twin_handle.remove()
    assert bits(2 * twin(x)) == bits(module(x))


@trips
def test_the_handle_of_a_module_removes_nothing_from_its_twin(trip):
    module = orthogonal(linear())
    handle = module.register_forward_hook(doubled)
    twin = trip(module)
    handle.remove()
    assert len(twin._forward_hooks) == 1 and not module._forward_hooks


def with_hook(module, hook):
    module.register_forward_hook(hook)
    return module


def test_a_hook_added_in_another_process_replaces_none_that_came_along():
    module = orthogonal(linear())
    with_both = module
    for hook in (doubled, plus_one):  # each in a process that has seen no hook before
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            with_both = pool.apply(with_hook, (with_both, hook))
    x = sample((2, 3))
    np.testing.assert_array_equal(with_both(x), 2 * module(x) + 1)


@trips
def test_weight_norm_still_reads_the_old_keys(trip):
    source = weight_norm(linear())
    state = source.state_dict()
    old = {"bias": state["bias"], "weight_g": 2 * state["parametrizations.weight.original0"],
           "weight_v": state["parametrizations.weight.original1"]}
    twin = trip(nn.Sequential(weight_norm(nn.Linear(3, 5, rng=1))))
    twin.load_state_dict({f"0.{key}": value for key, value in old.items()})
    np.testing.assert_allclose(twin[0].weight, 2 * source.weight, rtol=1e-14)


# -- shallow copies ----------------------------------------------------------------------------------

@modules
def test_a_shallow_copy_shares_everything_but_itself(make):
    module = make()
    twin = copy.copy(module)
    assert twin is not module and type(twin) is type(module)
    assert list(map(id, twin.parameters())) == list(map(id, module.parameters()))
    assert list(map(id, twin.children())) == list(map(id, module.children()))
    train(twin, 1)
    assert picture(twin) == picture(module)


def test_removing_from_a_shallow_copy_removes_from_both():
    module = orthogonal(linear())
    weight = bits(module.weight)
    twin = copy.copy(module)
    remove_parametrizations(twin, "weight")
    assert bits(twin.weight) == bits(module.weight) == weight
    assert not is_parametrized(module)
    assert "weight" in dir(module)
    assert type_before_parametrizations(orthogonal(module)) is nn.Linear


# -- other processes ---------------------------------------------------------------------------------

def train_one_step(module):
    """Work of another process: one step, and what the module is there."""
    losses = train(module, 1)
    facts = (type(module).__name__, type_before_parametrizations(module).__name__,
             isinstance(module, nn.Module), [is_parametrized(part) for part in module.modules()])
    return module, losses, facts


@pytest.fixture(scope="module", params=["fork", "spawn"])
def pool(request):
    with multiprocessing.get_context(request.param).Pool(1) as pool:
        yield pool


@modules
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_another_process_trains_a_step_and_returns_the_module(make, pool):
    module = make()
    train(module, 1)
    returned, losses, facts = pool.apply(train_one_step, (module,))
    assert (losses, facts) == train_one_step(module)[1:]
    assert type(returned) is type(module)
    assert picture(returned) == picture(module)
    assert train(returned) == train(module)
