"""What a newcomer tries first gets an error that says what to do: PyTorch's things, arrays for ties."""
import pickle

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad

from orthonorm import core, gradients, nn
from orthonorm.func import value_and_grad
from orthonorm.nn import functional
from orthonorm.nn.utils import parametrize
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm


class Tensor:
    """What of a tensor that requires a gradient is visible without PyTorch; tests/live has the real."""

    ndim, shape, dtype = 2, (2, 2), "torch.float32"

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def requires_grad_(self):
        raise NotImplementedError


class Linear(Tensor):
    """What of a torch.nn.Linear is visible."""

    weight = Tensor()

    def __repr__(self):
        return "Linear()"


Tensor.__module__, Linear.__module__ = "torch", "torch.nn.modules.linear"
TENSOR = Tensor()


@pytest.mark.parametrize("register", [orthogonal, spectral_norm, weight_norm,
                                      lambda m: parametrize.remove_parametrizations(m, "weight")])
def test_a_module_of_pytorch(register):
    with pytest.raises(TypeError, match=r"must be an orthonorm.nn.Module, got PyTorch's Linear \(use"):
        register(Linear())


@pytest.mark.parametrize("put", [
    lambda m: nn.Sequential(m), lambda m: nn.ModuleDict({"a": m}), lambda m: nn.ModuleList([m]),
    lambda m: parametrize.register_parametrization(nn.Linear(2, 2), "weight", m),
    lambda m: setattr(nn.Module(), "layer", m)])
def test_a_module_of_pytorch_inside_of_ours(put):
    with pytest.raises(TypeError, match="PyTorch's Linear"):
        put(Linear())


@pytest.mark.parametrize("call", [
    core.cayley, core.matrix_exp, core.householder, gradients.cayley, gradients.matrix_exp_inverse,
    lambda x: core.power_iteration(x, np.ones(2), np.ones(2)), nn.Parameter,
    lambda x: setattr(orthogonal(nn.Linear(2, 2)), "weight", x),
    lambda x: setattr(nn.Linear(2, 2)._parameters["weight"], "data", x)])
def test_a_tensor_that_is_no_array(call):
    with pytest.raises(TypeError, match=r"requires grad. \(of a tensor: x.detach\(\).cpu\(\).numpy"):
        call(TENSOR)


def test_a_tensor_in_a_state_dict():
    layer = nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match=r"weight cannot be converted.*\(of a tensor: x.detach\(\)"):
        layer.load_state_dict({"weight": TENSOR, "bias": np.ones(2)})


@pytest.mark.parametrize("call", [
    lambda x: nn.Linear(2, 2)(x), lambda x: nn.Tanh()(x), lambda x: nn.Identity()(input=x),
    lambda x: functional.linear(x, np.ones((2, 2))), functional.relu, functional.softplus,
    lambda x: functional.mse_loss(x, np.ones((2, 2)))])
def test_a_tensor_where_layers_take_arrays(call):
    with pytest.raises(TypeError, match=r"a NumPy array, got a torch.Tensor: pass tensor.detach\(\)"):
        call(TENSOR)


def test_lists_are_arrays_to_the_differentiable_maps_too():
    identity = [[1.0, 0.0], [0.0, 1.0]]
    for name in set(gradients.__all__) & set(core.__all__) - {"polynomial_gain"}:  # of numbers
        others = {"power_iteration": ([1.0, 0.0], [1.0, 0.0]), "expm_frechet": (identity,),
                  "spectral_normalize": ([1.0, 0.0], [1.0, 0.0]),
                  "circular_convolution_norm_bounds": ((4,),),
                  "newton_schulz": ((1.5, -0.5, 0.0), 2)}.get(name, ())
        first = [[[1.0, 2.0]]] if name == "circular_convolution_norm_bounds" else identity
        ours, plain = getattr(gradients, name)(first, *others), getattr(core, name)(first, *others)
        np.testing.assert_allclose(np.asarray(ours), np.asarray(plain), rtol=1e-13, atol=1e-15)


def test_lists_may_hold_tracers():
    def corner(x):
        return gradients.cayley([[0.0, 0.0], [x, 0.0]])[0, 0]
    h = 1e-6
    assert grad(corner)(1.0) == pytest.approx((corner(1 + h) - corner(1 - h)) / (2 * h), rel=1e-8)


# -- ties ---------------------------------------------------------------------------------------------

def test_the_array_of_a_parameter_does_not_tie():
    class Tied(nn.Module):
        def __init__(self, other):
            super().__init__()
            self.a = nn.Linear(2, 2)
            self.w = (other or self.a).weight

    for other in (None, nn.Linear(2, 2)):
        with pytest.raises(TypeError, match=r"To tie them assign the Parameter: module.w = other"):
            Tied(other)


def test_an_array_assigned_to_a_parameter_says_how_to_tie():
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"to tie .* module.weight = other._parameters\['weight'\]"):
        b.weight = a.weight
    b.weight = a._parameters["weight"]
    _, gradients = value_and_grad(lambda: anp.sum(a.weight) + 2 * anp.sum(b.weight), b)()
    assert np.array_equal(gradients["weight"], np.full((2, 2), 3.0))


def test_a_copy_or_another_array_may_be_assigned():
    module = nn.Linear(2, 2)
    module.start = module.weight.copy()
    module.part = module.weight[0]
    module.mask = np.ones(2)
    module._parameters["weight"].data = np.zeros((2, 2))
    assert module.start.any() and [*module.state_dict()] == ["weight", "bias"]


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), lambda m: m])
def test_the_array_is_known_after_pickling_and_after_a_failure(copied):
    module = copied(nn.Linear(2, 2))
    with pytest.raises(RuntimeError):
        module.load_state_dict({"weight": np.zeros((2, 2))})
    with pytest.raises(TypeError, match="To tie"):
        module.again = module.weight


# -- buffers and containers ---------------------------------------------------------------------------

def test_a_buffer_by_assignment():
    module = nn.Module()
    module.mean = nn.Buffer(np.zeros(2))
    module.scratch = nn.Buffer(np.ones(2), persistent=False)
    assert [*module.state_dict()] == ["mean"] and [name for name, _ in module.named_buffers()] == [
        "mean", "scratch"]
    module.scratch = np.full(2, 3.0)
    assert [*module.state_dict()] == ["mean"]
    module.scratch = nn.Buffer(np.full(2, 4.0))
    assert [*module.state_dict()] == ["mean", "scratch"] and module.scratch[0] == 4.0


def test_a_buffer_where_something_else_is():
    module = nn.Linear(2, 2)
    module.plain, module.child = 3, nn.Tanh()
    for name, error in (("weight", TypeError), ("child", TypeError), ("plain", KeyError)):
        with pytest.raises(error):
            setattr(module, name, nn.Buffer(np.ones(2)))
    with pytest.raises(TypeError, match="to buffer 'b'"):
        module.b = nn.Buffer([1.0])


def test_insert_returns_what_pytorchs_does():
    chain, modules = nn.Sequential(nn.Tanh()), nn.ModuleList([nn.Tanh()])
    assert chain.insert(0, nn.ReLU()) is chain and [*map(repr, chain)] == ["ReLU()", "Tanh()"]
    assert modules.insert(0, nn.ReLU()) is None and [*map(repr, modules)] == ["ReLU()", "Tanh()"]


def test_sums_of_lists():
    a, b = nn.ModuleList([nn.Tanh()]), nn.ModuleList([nn.ReLU()])
    total = a + b
    assert type(total) is nn.ModuleList and [*total] == [a[0], b[0]] and len(a) == 1
    assert [*(a + [b[0]])] == [a[0], b[0]]
    same = a
    a += [b[0]]
    assert a is same and [*a] == [*total] and [*a._modules] == ["0", "1"]
    with pytest.raises(TypeError):
        a += [3]
    assert [*a] == [*total]


def test_sums_and_products_of_chains():
    a, b = nn.Sequential(nn.Tanh()), nn.Sequential({"x": nn.ReLU()})
    total = a + b
    assert type(total) is nn.Sequential and [*total] == [a[0], b[0]]
    assert [*total._modules] == ["0", "1"] and len(a) == 1
    assert [*(a * 3)] == [*(3 * a)] == [a[0]] * 3
    same = a
    a += b
    assert a is same and [*a] == [*total]
    a *= 2
    assert a is same and [*a] == [*total] * 2 and [*a._modules] == ["0", "1", "2", "3"]
    for wrong in (lambda: a + [nn.Tanh()], lambda: a * 0, lambda: a.__iadd__(3),
                  lambda: a.__imul__(-1)):
        with pytest.raises(ValueError, match="add operator supports|Non-positive multiplication"):
            wrong()
    with pytest.raises(TypeError):
        a * 1.5
    assert len(a) == 4


@pytest.mark.parametrize("pairs, error, message", [
    ([("a", nn.Tanh(), 3)], ValueError, "element #0 has length 3; 2 is required"),
    ([("b", nn.Tanh()), ("a",)], ValueError, "element #1 has length 1; 2 is required"),
    ([3], TypeError, "element #0 should be Iterable; is int"),
    (3, TypeError, "iterable of key/value pairs, but got int"),
    ([("a", 3)], TypeError, "int is not a Module subclass"),
], ids=["three", "one", "number", "no iterable", "no module"])
def test_a_wrong_pair_for_a_module_dict(pairs, error, message):
    modules = nn.ModuleDict({"first": nn.ReLU()})
    with pytest.raises(error, match=message):
        modules.update(pairs)
    assert [*modules] == ["first"]


def test_a_module_dict_from_pairs_of_any_kind():
    modules = nn.ModuleDict(iter([["a", nn.Tanh()], ("b", nn.ReLU())]))
    modules.update(nn.ModuleDict({"b": nn.Tanh()}))
    assert [*map(repr, modules.values())] == ["Tanh()", "Tanh()"]
