"""Threads do not see each other, and an exception leaves nothing behind."""
import sys
import threading

import autograd.numpy as np
import pytest
from autograd.tracer import isbox

from orthonorm import nn
from orthonorm.func import functional_call, value_and_grad
from orthonorm.nn.parameter import scope
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from orthonorm.nn.utils.parametrize import cached
from orthonorm.optim import Adam
from tests.nn.snapshots import bits, snapshot

THREADS, STEPS = 8, 30


@pytest.fixture(autouse=True)
def _switches():
    """Python switches threads every microsecond, not every 5000, if there is more than one."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def linear(seed):
    return nn.Linear(5, 7, rng=seed)


MODELS = {
    "matrix_exp": lambda seed: orthogonal(linear(seed), orthogonal_map="matrix_exp"),
    "cayley": lambda seed: orthogonal(linear(seed), orthogonal_map="cayley"),
    "householder": lambda seed: orthogonal(linear(seed), orthogonal_map="householder"),
    "spectral_norm": lambda seed: spectral_norm(linear(seed), rng=seed),
    "weight_norm": lambda seed: weight_norm(linear(seed)),
}
models = pytest.mark.parametrize("name", MODELS)


def trained(name, seed, barrier=None):
    """Train a model, all threads a step at a time; return the bits of all that it has become."""
    model = MODELS[name](seed)
    x = np.random.default_rng(seed).standard_normal((4, 5))
    optimizer = Adam(model.named_parameters(), lr=0.05)
    step = value_and_grad(lambda x: np.mean((model(x) @ model.weight - x) ** 2), model)
    values = []
    for _ in range(STEPS):
        if barrier is not None:
            barrier.wait(60)
        with cached():
            values.append(float(np.sum(model.weight)))
            value, gradients = step(x)
        optimizer.step(gradients)
        values.append(float(value))
    return values, {key: bits(array) for key, array in model.state_dict().items()}


@models
def test_training_in_eight_threads_is_training_alone(name):
    results, barrier = {}, threading.Barrier(THREADS)

    def run(seed):
        try:
            results[seed] = trained(name, seed, barrier)
        except BaseException:
            barrier.abort()  # the others need not wait for it
            raise

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {seed: trained(name, seed) for seed in range(THREADS)}


def tracers(thing, seen):
    """List the tracers that can be reached from an object through attributes and containers."""
    if isbox(thing):
        return [thing]
    if id(thing) in seen or isinstance(thing, (np.ndarray, str, int, float, type)):
        return []
    seen[id(thing)] = thing
    if isinstance(thing, dict):
        parts = [*thing, *thing.values()]
    elif isinstance(thing, (list, tuple, set)):
        parts = list(thing)
    else:
        parts = list(getattr(thing, "__dict__", {}).values())
    return [tracer for part in parts for tracer in tracers(part, seen)]


class Stop(Exception):
    pass


def with_value_and_grad(model, fail):
    value_and_grad(fail, model)()


def with_functional_call(model, fail):
    """The values are tracers of the gradient around the call."""
    replaced = {name: parameter.data for name, parameter in model.named_parameters()}
    other = nn.Linear(1, 1)

    def loss():
        tracer = np.sum(other.weight)
        model.register_forward_hook(lambda *_: fail())
        functional_call(model, {name: x * tracer for name, x in replaced.items()}, np.ones(5))

    value_and_grad(loss, other)()


def with_cached(model, fail):
    with cached():
        model.weight
        value_and_grad(fail, model)()


@models
@pytest.mark.parametrize("way", [with_value_and_grad, with_functional_call, with_cached])
def test_an_exception_leaves_no_tracer(name, way):
    model = MODELS[name](0).eval()
    before, met = snapshot(model), []

    def fail():
        met.append(model.weight)
        raise Stop

    with pytest.raises(Stop):
        way(model, fail)
    assert isbox(met[0])
    model._forward_hooks.clear()
    assert snapshot(model) == before
    assert tracers([model, scope.substitutes, scope.cache], {}) == []
    assert scope.substitutes == {} and scope.cache is None
    assert not isbox(model.weight)
