"""An exception at any call inside an operation: all of it has happened, or nothing.

Every call of a Python function in an operation is, in turn, the place where KeyboardInterrupt or
MemoryError is raised. The modules and optimisers are then to the bit as before, or as after.
`make properties` takes every call, `make test` one of four.
"""
import os
import sys
import threading

import autograd.numpy as anp
import numpy as np
import pytest
from autograd.tracer import isbox, trace_stack

from orthonorm import func, nn, optim
from orthonorm.nn.parameter import scope
from orthonorm.nn.utils import parametrize
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from orthonorm.nn.utils.parametrizations.singular_vectors import BOTH
from tests.nn.snapshots import bits, snapshot

STEP = int(os.environ.get("FAULT_STEP", 4))
X = np.random.default_rng(0).standard_normal((2, 3))
# Interrupted at the end of a `with`, any library is left without it; what a finaliser raises is lost.
NOT_IN = ("contextlib.py", "threading.py", "weakref.py", "_weakrefset.py", "test_faults.py",
          "snapshots.py")


class Fault:
    """Raises an exception at the call of this number."""

    def __init__(self, number, error):
        self.number, self.error, self.calls = number, error, 0

    def __call__(self, frame, event, arg):
        if event == "call" and not frame.f_code.co_filename.endswith(NOT_IN):
            self.calls += 1
            if self.calls == self.number:
                raise self.error
        return None

    def run(self, operation):
        """Return whether the operation came to its end."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            operation()
            return self.calls < self.number
        except type(self.error):
            return False
        finally:
            sys.settrace(before)


def plain():
    return nn.Sequential(nn.Linear(3, 2, rng=0), nn.Linear(2, 2, rng=1))


def parametrized():
    model = plain()
    orthogonal(model[0], orthogonal_map="cayley")
    return nn.Sequential(*model, spectral_norm(nn.Linear(2, 3, rng=2), rng=0),
                         weight_norm(nn.Linear(3, 2, rng=3)))


def tied():
    model = parametrized()
    model.append(model[1])
    return model


def two_on_one():
    return nn.Sequential(spectral_norm(orthogonal(nn.Linear(3, 3, rng=0)), rng=0))


def loss(model):
    return anp.sum(model(X) ** 2)


def with_optimizer(make):
    """Return a model and its optimiser after one step, and the gradients of the next."""
    model = parametrized()
    optimizer = make(model.named_parameters())
    _, gradients = func.value_and_grad(lambda: loss(model), model)()
    optimizer.step(gradients)
    return model, optimizer, gradients


def adam():
    model, optimizer, gradients = with_optimizer(lambda named: optim.Adam(named, amsgrad=True))
    return model, lambda: optimizer.step(gradients), optimizer


def sgd():
    model, optimizer, gradients = with_optimizer(lambda named: optim.SGD(named, momentum=0.9))
    return model, lambda: optimizer.step(gradients), optimizer


def load_optimizer():
    model, optimizer, gradients = with_optimizer(lambda named: optim.Adam(named))
    state = {key: np.array(value) for key, value in optimizer.state_dict().items()}
    state["param_groups.0.lr"] = np.array(0.5)
    optimizer.step(gradients)
    return model, lambda: optimizer.load_state_dict(state), optimizer


def add_group():
    model, optimizer, _ = with_optimizer(lambda named: optim.Adam(named))
    new = nn.Linear(1, 1, rng=0)
    pairs = [*new.named_parameters("new")]
    return model, lambda: optimizer.add_param_group({"params": pairs}), optimizer


def on(make, operation):
    def prepared():
        model = make()
        return model, lambda: operation(model), None
    return prepared


def halved(model):
    return {key: value if key.endswith("base") else value / 2
            for key, value in model.state_dict().items()}


def load(model):
    model.load_state_dict(halved(model))


def assign(model):
    model[0].weight = np.linalg.qr(X.T)[0].T


def reads_cached(model):
    with parametrize.cached():
        return [layer.weight for layer in model for _ in range(2)]


def differentiates(model):
    return func.value_and_grad(lambda: loss(model), model)()


def calls(model):
    return func.functional_call(model, {n: p.data * 2 for n, p in model.named_parameters()}, X)


def transfers(model):
    parametrize.transfer_parametrizations_and_params(model[0], model[1])


def squares():
    return nn.Sequential(orthogonal(nn.Linear(3, 3, rng=0), orthogonal_map="cayley"),
                         nn.Linear(3, 3, rng=1))


remove = parametrize.remove_parametrizations
OPERATIONS = {
    "orthogonal": on(plain, lambda m: orthogonal(m[0])),
    "orthogonal haar": on(plain, lambda m: orthogonal(m[0], start="haar", rng=0)),
    "spectral_norm": on(plain, lambda m: spectral_norm(m[0], rng=0)),
    "weight_norm": on(plain, lambda m: weight_norm(m[0])),
    "on top": on(lambda: plain().eval(), lambda m: spectral_norm(orthogonal(m[0]), rng=0)),
    "remove": on(parametrized, lambda m: remove(m[0], "weight")),
    "remove, original": on(parametrized, lambda m: remove(m[0], "weight", leave_parametrized=False)),
    "remove spectral_norm": on(parametrized, lambda m: remove(m[2], "weight")),
    "remove weight_norm": on(parametrized, lambda m: remove(m[3], "weight")),
    "transfer": on(squares, transfers),
    "assign": on(parametrized, assign),
    "load": on(parametrized, load), "load tied": on(tied, load),
    "float": on(parametrized, lambda m: m.float()),
    "extend": on(plain, lambda m: m.extend([nn.Tanh(), nn.ReLU()])),
    "insert": on(plain, lambda m: m.insert(1, nn.Tanh())),
    "set parameter": on(tied, lambda m: setattr(m[0], "bias", nn.Parameter(np.ones(2)))),
    "set module": on(tied, lambda m: setattr(m, "1", nn.Tanh())),
    "set buffer": on(plain, lambda m: setattr(m, "mean", nn.Buffer(np.ones(2)))),
    "delete": on(tied, lambda m: m.__delitem__(slice(1, 3))),
    "read": on(parametrized, lambda m: m[2].weight),
    "read two on one": on(two_on_one, lambda m: m[0].weight),
    "cached": on(parametrized, reads_cached),
    "value_and_grad": on(parametrized, differentiates),
    "functional_call": on(parametrized, calls),
    "SGD": sgd, "Adam": adam, "load optimizer": load_optimizer, "add_param_group": add_group,
}
# These do two things one after the other, of which the first may have been done.
HALFWAY = {"on top"}


def look(model, optimizer):
    """Return all that can be seen, but no identities."""
    seen = [(path, type(part).__name__, part.training, list(part._modules),
             {name: p and (p.requires_grad, bits(p._data)) for name, p in part._parameters.items()},
             {name: bits(b) for name, b in part._buffers.items()})
            for path, part in model.named_modules(remove_duplicate=False)]
    return seen, optimizer and {key: bits(value) for key, value in optimizer.state_dict().items()}


def identities(model, optimizer):
    groups = optimizer and [list(map(id, group["params"])) for group in optimizer.param_groups]
    return snapshot(model), groups


# A generator that is thrown away is resumed once more, and what it raises then is lost.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_fault_at_every_call(name):
    model, operation, optimizer = OPERATIONS[name]()
    operation()
    done, top, number, undone = look(model, optimizer), trace_stack.top, 0, 0
    while True:
        number += STEP
        model, operation, optimizer = OPERATIONS[name]()
        before, whole = look(model, optimizer), identities(model, optimizer)
        error = (KeyboardInterrupt, MemoryError)[number // STEP % 2]("injected")
        ended = Fault(number, error).run(operation)
        assert scope.substitutes == {} and scope.cache is None and trace_stack.top == top
        assert not any(isbox(p._data) for p in model.parameters())
        assert not any(map(isbox, model.buffers()))
        after = look(model, optimizer)
        if ended:
            assert after == done
            break
        if after == before:
            assert identities(model, optimizer) == whole
            undone += 1
        elif name not in HALFWAY:
            assert after == done, f"half done after a fault at call {number}"
    assert undone > 0
    after_all, operation, optimizer = OPERATIONS[name]()
    operation()  # no lock is held
    assert look(after_all, optimizer) == done


def test_vectors_are_read_and_kept_in_pairs():
    """v follows from u, in every pair that any thread sees."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((n, 20)))[0] for n in (30, 20))
    W = left * (1 - 1e-3 * np.arange(20)) @ right.T  # so that they come near the limit slowly
    layer = nn.Linear(20, 30, rng=0)
    layer._parameters["weight"].data = W
    spectral_norm(layer, rng=0)
    vectors = layer.parametrizations.weight[0]
    pairs, interval = [], sys.getswitchinterval()

    def read():
        while len(pairs) < 300:
            layer.weight

    def watch():
        while len(pairs) < 300:
            pair = BOTH(vectors._buffers)
            if not pairs or pair[0] is not pairs[-1][0] or pair[1] is not pairs[-1][1]:
                pairs.append(pair)

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run) for run in (read, read, watch)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    for u, v in pairs:
        product = u @ W
        assert np.allclose(v, product / np.linalg.norm(product), rtol=0, atol=1e-12)
