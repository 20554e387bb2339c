"""register_parametrization and its relatives: what PyTorch's own tests check, and what it leaves open.

Wanted differences from PyTorch: a computed tensor is read-only, a parametrized module can be pickled,
and whatever raises leaves the module as it was.
"""
import copy
import pickle
import threading

import autograd.numpy as np
import numpy
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from orthonorm import nn
from orthonorm.func import value_and_grad
from orthonorm.nn.parameter import scope
from orthonorm.nn.utils import parametrize
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from orthonorm.nn.utils.parametrize import (
    ParametrizationList, cached, is_parametrized, register_parametrization, remove_parametrizations,
    transfer_parametrizations_and_params, type_before_parametrizations,
)

from ..snapshots import bits, snapshot


class Identity(nn.Module):
    def forward(self, x):
        return x


class Skew(nn.Module):
    def forward(self, X):
        L = np.tril(X, -1)
        return L - L.T


class SkewFromUpper(nn.Module):
    def forward(self, X):
        A = np.triu(X, 1)
        return A - A.T

    def right_inverse(self, A):
        if not np.allclose(A, -A.T):
            raise ValueError("not skew-symmetric")
        return np.triu(A, 1)


class Cayley(nn.Module):
    """Orthogonal from skew; assigning moves the buffer B, since Cayley of 0 is the identity."""

    def __init__(self, n):
        super().__init__()
        self.register_buffer("B", np.eye(n))

    def forward(self, X):
        eye = np.eye(X.shape[0])
        return self.B @ np.linalg.solve(eye + X, eye - X)

    def right_inverse(self, Q):
        if not np.allclose(Q.T @ Q, np.eye(len(Q))):
            raise ValueError("not orthogonal")
        self.B = Q
        return np.zeros_like(Q)


class OrthogonalFromSkew(nn.Module):
    def forward(self, X):
        eye = np.eye(X.shape[0])
        return np.linalg.solve(eye + X, eye - X)


class FirstRow(nn.Module):
    def forward(self, X):
        return X[:1]


class FirstZero(nn.Module):
    def forward(self, x):
        return np.concatenate([np.zeros(1), x[1:]])


class LastZero(nn.Module):
    def forward(self, x):
        return np.concatenate([x[:-1], np.zeros(1)])


class AddOne(nn.Module):
    def forward(self, x):
        return x + 1.0


class Double(nn.Module):
    def forward(self, x):
        return 2.0 * x

    def right_inverse(self, x):
        return 0.5 * x


class Sum(nn.Module):
    def forward(self, x, y):
        return x + y

    def right_inverse(self, z):
        return z, np.zeros_like(z)


class RankOne(nn.Module):
    def forward(self, x, y):
        return np.outer(x, y)

    def right_inverse(self, Y):
        U, S, Vh = np.linalg.svd(Y, full_matrices=False)
        return U[:, 0] * np.sqrt(S[0]), Vh[0] * np.sqrt(S[0])


def module_of(forward, right_inverse=None):
    """Make a parametrization of the two functions."""
    def init(self):
        nn.Module.__init__(self)
        self.register_buffer("moved", np.zeros(1))

    def moving(function):
        def method(self, *args):
            self.moved = self.moved + 1
            return function(*args)
        return method

    members = {"__init__": init, "forward": moving(forward)}
    if right_inverse is not None:
        members["right_inverse"] = moving(right_inverse)
    return type("Made", (nn.Module,), members)()


def linear(n=4, k=4):
    return nn.Linear(n, k, rng=0)


# -- registering and removing ------------------------------------------------------------------------

CHAINS = {
    "one": ([(Skew, False)], lambda W: np.tril(W, -1) - np.tril(W, -1).T),
    "unsafe one": ([(Skew, True)], lambda W: np.tril(W, -1) - np.tril(W, -1).T),
    "two": ([(Skew, False), (OrthogonalFromSkew, False)], lambda W: (
        lambda A: np.linalg.inv(np.eye(4) + A) @ (np.eye(4) - A))(np.tril(W, -1) - np.tril(W, -1).T)),
    "resizing": ([(FirstRow, True)], lambda W: W[:1]),
    "resizing, then not": ([(FirstRow, True), (Identity, False)], lambda W: W[:1]),
    "three": ([(AddOne, False), (Double, False), (AddOne, False)], lambda W: 2 * (W + 1) + 1),
}


def registered(chain, module=None):
    module = linear() if module is None else module
    for make, unsafe in CHAINS[chain][0]:
        assert register_parametrization(module, "weight", make(), unsafe=unsafe) is module
    return module


@pytest.mark.parametrize("chain", CHAINS)
def test_the_weight_is_computed_by_the_chain(chain):
    start, module = linear().weight, registered(chain)
    assert is_parametrized(module) and is_parametrized(module, "weight")
    assert not is_parametrized(module, "bias")
    assert "weight" not in module._parameters and "weight" in module.parametrizations
    assert type(module).__name__ == "ParametrizedLinear" and isinstance(module, nn.Linear)
    assert len(module.parametrizations.weight) == len(CHAINS[chain][0])
    assert_allclose(module.weight, CHAINS[chain][1](start), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("chain", CHAINS)
def test_removing_without_leaving_restores_every_bit(chain):
    module = linear()
    before = snapshot(module)
    remove_parametrizations(registered(chain, module), "weight", leave_parametrized=False)
    assert sorted(map(str, snapshot(module)[0][5].items())) == sorted(map(str, before[0][5].items()))
    assert type(module) is nn.Linear and not hasattr(module, "parametrizations")
    assert "parametrizations" not in module._modules


@pytest.mark.parametrize("chain", CHAINS)
def test_removing_leaves_the_computed_value(chain):
    module = linear()
    parameter = module._parameters["weight"]
    value = np.array(registered(chain, module).weight)
    assert remove_parametrizations(module, "weight") is module
    assert module._parameters["weight"] is parameter
    assert bits(parameter.data) == bits(value) and parameter.data.flags.writeable
    assert type(module) is nn.Linear and len(list(module.parameters())) == 2


def test_the_original_is_the_parameter_itself():
    module = linear()
    parameter = module._parameters["weight"]
    data = parameter.data.copy()
    register_parametrization(module, "weight", Double())
    assert module.parametrizations.weight._parameters["original"] is parameter
    assert_array_equal(parameter.data, data / 2)
    assert_array_equal(module.weight, data)


@pytest.mark.parametrize("parametrization", [Double, Identity])
def test_registering_does_not_touch_the_old_array(parametrization):
    data = np.ones((2, 2))
    module = nn.Linear(2, 2)
    module.weight = nn.Parameter(data)
    register_parametrization(module, "weight", parametrization())
    module.parametrizations.weight.original[...] = 7.0
    assert_array_equal(data, np.ones((2, 2)))


def test_two_tensors_come_and_go_independently():
    module = linear()
    start = {name: p.data.copy() for name, p in module.named_parameters()}
    parameters = dict(module.named_parameters())
    register_parametrization(registered("two", module), "bias", FirstZero())
    register_parametrization(module, "bias", LastZero())
    assert module.bias[0] == module.bias[-1] == 0.0
    assert len(list(module.parameters())) == 2
    cls = type(module)
    remove_parametrizations(module, "weight", leave_parametrized=False)
    assert type(module) is cls and is_parametrized(module) and not is_parametrized(module, "weight")
    assert_array_equal(module.weight, start["weight"])
    assert module.bias[0] == module.bias[-1] == 0.0
    remove_parametrizations(module, "bias", leave_parametrized=False)
    assert not is_parametrized(module) and type(module) is nn.Linear
    assert dict(module.named_parameters()) == parameters
    assert_array_equal(module.bias, start["bias"])


def test_gradient_steps_reach_the_originals():
    module = registered("two")
    register_parametrization(module, "bias", FirstZero())
    weight, bias = module.weight, module.bias
    _, gradients = value_and_grad(lambda: np.sum(module.weight.T @ module.bias), module)()
    assert list(gradients) == ["parametrizations.weight.original", "parametrizations.bias.original"]
    for name, gradient in gradients.items():
        module.get_parameter(name).data = module.get_parameter(name).data - 0.1 * gradient
    assert not np.array_equal(module.weight, weight) and not np.array_equal(module.bias, bias)
    assert gradients["parametrizations.bias.original"][0] == 0.0
    assert_allclose(module.weight.T @ module.weight, np.eye(4), atol=1e-14)


def test_registering_again_after_removing():
    module = linear()
    parameters = list(module.parameters())
    for _ in range(2):
        remove_parametrizations(registered("two", module), "weight")
        assert list(module.parameters()) != [] and set(module.parameters()) == set(parameters)
        assert_allclose(module.weight.T @ module.weight, np.eye(4), atol=1e-14)


def test_a_computed_weight_is_read_only():
    module = registered("one")
    weight = module.weight
    with pytest.raises(ValueError, match="read-only"):
        weight[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        weight *= 2.0
    register_parametrization(module, "bias", Identity())
    with pytest.raises(ValueError, match="read-only"):
        module.bias[:] = 0.0
    module.parametrizations.bias.original[:] = 3.0  # the identity's result is a view, of a live array
    assert_array_equal(module.bias, np.full(4, 3.0))


def test_a_parametrization_cannot_write_into_the_original():
    # PyTorch 2.13: RuntimeError, "a view of a leaf Variable that requires grad is being used in an
    # in-place operation."
    class Mask(nn.Module):
        def forward(self, X):
            X[0] = 0
            return X

    layer = register_parametrization(nn.Linear(2, 3, rng=0), "weight", Mask(), unsafe=True)
    before = snapshot(layer)
    with pytest.raises(ValueError, match="read-only"):
        layer.weight
    assert snapshot(layer) == before
    layer.parametrizations.weight.original[0] = 1


def test_dir_and_del_of_a_parametrized_name():
    module = registered("one")
    assert "weight" in dir(module)
    with pytest.raises(AttributeError, match="weight"):
        del module.weight
    assert is_parametrized(module, "weight")


def test_an_instance_keeps_its_subclass():
    class Mine(nn.Linear):
        pass

    module = Mine(2, 2)
    register_parametrization(module, "weight", Identity())
    assert isinstance(module, Mine) and type(module).__name__ == "ParametrizedMine"
    assert type_before_parametrizations(module) is Mine
    assert type(remove_parametrizations(module, "weight")) is Mine


def test_removing_what_is_not_parametrized_raises():
    module = linear()
    before = snapshot(module)
    with pytest.raises(ValueError, match="does not have a parametrization on bias"):
        remove_parametrizations(module, "bias")
    assert snapshot(module) == before
    register_parametrization(module, "weight", Identity())
    with pytest.raises(ValueError, match="does not have a parametrization on bias"):
        remove_parametrizations(module, "bias")


# -- a parametrized original -------------------------------------------------------------------------

def nested():
    module = register_parametrization(linear(), "weight", AddOne())
    chain = module.parametrizations.weight
    register_parametrization(chain, "original", Double())
    return module, chain


def test_an_original_can_be_parametrized():
    module, chain = nested()
    start = linear().weight
    assert is_parametrized(chain) and is_parametrized(chain, "original")
    assert "original" not in chain._parameters
    assert type_before_parametrizations(chain) is ParametrizationList
    assert len(chain) == 1 and [type(p) for p in chain] == [AddOne]
    assert_array_equal(chain.original, start)
    assert_array_equal(module.weight, start + 1)
    register_parametrization(module, "weight", Double())
    assert_array_equal(module.weight, 2 * (start + 1))


def test_removing_the_inner_one_first_restores_everything():
    module = linear()
    parameter, data = module._parameters["weight"], module.weight.copy()
    register_parametrization(module, "weight", Skew())
    chain = module.parametrizations.weight
    register_parametrization(chain, "original", Skew())
    remove_parametrizations(chain, "original", leave_parametrized=False)
    assert type(chain) is ParametrizationList and not hasattr(chain, "parametrizations")
    assert chain._parameters["original"] is parameter
    remove_parametrizations(module, "weight", leave_parametrized=False)
    assert type(module) is nn.Linear and module._parameters["weight"] is parameter
    assert_array_equal(module.weight, data)


def test_removing_the_outer_one_first_leaves_the_value():
    module, _ = nested()
    value = np.array(module.weight)
    with pytest.raises(ValueError, match="leave_parametrized=False"):
        remove_parametrizations(module, "weight", leave_parametrized=False)
    assert is_parametrized(module, "weight")
    remove_parametrizations(module, "weight")
    assert type(module) is nn.Linear
    assert_array_equal(module._parameters["weight"].data, value)
    assert sorted(name for name, _ in module.named_parameters()) == ["bias", "weight"]


def test_assigning_goes_through_a_parametrized_original():
    module = register_parametrization(linear(), "weight", Double())
    register_parametrization(module.parametrizations.weight, "original", Double())
    module.weight = np.full((4, 4), 8.0)
    inner = module.parametrizations.weight.parametrizations.original
    assert_array_equal(inner.original, np.full((4, 4), 2.0))
    assert_array_equal(module.weight, np.full((4, 4), 8.0))


# -- buffers -----------------------------------------------------------------------------------------

def with_buffer():
    module = nn.Linear(8, 8, bias=False, rng=0)
    del module.bias
    module.register_buffer("bias", np.ones(8))
    return module


@pytest.mark.parametrize("leave", [True, False])
def test_a_buffer_stays_one(leave):
    module = with_buffer()
    register_parametrization(module, "bias", FirstZero())
    register_parametrization(module, "bias", LastZero())
    expected = np.array([0.0, 1, 1, 1, 1, 1, 1, 0])
    assert_array_equal(module.bias, expected)
    assert [name for name, _ in module.named_parameters()] == ["weight"]
    assert list(module.state_dict()) == ["weight", "parametrizations.bias.original"]
    remove_parametrizations(module, "bias", leave_parametrized=leave)
    assert list(module._buffers) == ["bias"] and not is_parametrized(module)
    assert_array_equal(module.bias, expected if leave else np.ones(8))


def test_several_originals_of_a_buffer_are_buffers():
    module = register_parametrization(with_buffer(), "bias", Sum())
    assert list(module.parametrizations.bias._buffers) == ["original0", "original1"]
    module.bias = np.arange(8.0)
    assert_array_equal(module.parametrizations.bias.original0, np.arange(8.0))
    remove_parametrizations(module, "bias")
    assert list(module._buffers) == ["bias"]
    assert_array_equal(module.bias, np.arange(8.0))


# -- several originals -------------------------------------------------------------------------------

def test_rank_one():
    module = nn.Linear(3, 3, rng=0)
    U, S, Vh = np.linalg.svd(module.weight)
    expected = S[0] * np.outer(U[:, 0], Vh[0])
    register_parametrization(module, "weight", RankOne())
    chain = module.parametrizations.weight
    assert list(chain._parameters) == ["original0", "original1"]
    assert chain.original0.shape == chain.original1.shape == (3,)
    assert_allclose(module.weight, expected, atol=1e-15)
    register_parametrization(module, "weight", Double())
    assert_allclose(module.weight, 2 * expected, atol=1e-15)
    assert len(list(module.parameters())) == 3
    with pytest.raises(ValueError, match="leave_parametrized=False"):
        remove_parametrizations(module, "weight", leave_parametrized=False)
    assert len(list(module.parameters())) == 3
    remove_parametrizations(module, "weight")
    assert type(module) is nn.Linear and len(list(module.parameters())) == 2
    assert_allclose(module.weight, 2 * expected, atol=1e-15)
    assert np.linalg.matrix_rank(module.weight) == 1


def test_rank_one_keeps_a_rank_one_weight_and_trains():
    module = nn.Linear(3, 3, rng=0)
    register_parametrization(module, "weight", RankOne())
    remove_parametrizations(module, "weight")
    before = module.weight.copy()
    register_parametrization(module, "weight", RankOne())
    assert_allclose(module.weight, before, atol=1e-15)
    _, gradients = value_and_grad(lambda: np.sum(module.weight.T @ module.bias), module)()
    x, y = (getattr(module.parametrizations.weight, f"original{i}") for i in range(2))
    # d/dx and d/dy of sum_ij x_i y_j b_i
    assert_allclose(gradients["parametrizations.weight.original0"], y.sum() * module.bias)
    assert_allclose(gradients["parametrizations.weight.original1"], np.full(3, x @ module.bias))


def test_a_sequence_of_one_is_original0():
    one = module_of(lambda x: x, lambda w: (w,))
    module = linear()
    data = module.weight.copy()
    register_parametrization(module, "weight", one)
    chain = module.parametrizations.weight
    assert list(chain._parameters) == ["original0"] and not hasattr(chain, "original")
    module.weight = data + 1
    assert_array_equal(chain.original0, data + 1)
    with pytest.raises(ValueError, match="leave_parametrized=False"):
        remove_parametrizations(module, "weight", leave_parametrized=False)
    remove_parametrizations(module, "weight")
    assert_array_equal(module.weight, data + 1)


def test_requires_grad_false_is_inherited():
    module = linear()
    module._parameters["weight"].requires_grad_(False)
    halves = module_of(lambda a, b: np.concatenate([a, b]), lambda W: [W[:2], W[2:]])
    register_parametrization(module, "weight", halves)
    assert [p.requires_grad for p in module.parametrizations.weight.parameters()] == [False, False]
    remove_parametrizations(module, "weight")
    # PyTorch makes a buffer of it; the number of parameters is restored here.
    assert module._parameters["weight"].requires_grad is False
    assert len(list(module.parameters())) == 2


def test_requires_grad_of_a_single_original_is_kept():
    module = linear()
    module._parameters["weight"].requires_grad_(False)
    register_parametrization(module, "weight", Double())
    assert module.parametrizations.weight._parameters["original"].requires_grad is False
    remove_parametrizations(module, "weight")
    assert module._parameters["weight"].requires_grad is False
    assert module._parameters["bias"].requires_grad is True


# -- errors of registration --------------------------------------------------------------------------

FIRST_ERRORS = {
    "number of originals": (lambda: module_of(lambda x, y, z: x, lambda w: (w, w)),
                            TypeError, "positional argument"),
    "inverse none": (lambda: module_of(lambda x: x, lambda w: None),
                     ValueError, "must return a Tensor or a Sequence of.*Got NoneType"),
    "inverse holds none": (lambda: module_of(lambda x, y: y, lambda w: (None, w)),
                           ValueError, "element 0 of the sequence with type NoneType"),
    "inverse holds a list": (lambda: module_of(lambda x, y: x, lambda w: (w, [1.0])),
                             ValueError, "element 1 of the sequence with type list"),
    "inverse changes dtype": (lambda: module_of(lambda x: x, lambda w: w.astype(np.float32)),
                              ValueError, "outputs one tensor, it may not change the dtype"),
    "inverse becomes complex": (lambda: module_of(lambda x: x.real, lambda w: w + 0j),
                                ValueError, "outputs one tensor, it may not change the dtype"),
    "no tensor": (lambda: module_of(lambda x: 2), ValueError, "must return a tensor. Got int"),
    "tuple": (lambda: module_of(lambda x: (x, x)), ValueError, "must return a tensor. Got tuple"),
    "dtype": (lambda: module_of(lambda x: x > 0), ValueError, "may not change the dtype"),
    "precision": (lambda: module_of(lambda x: x.astype(np.float32)), ValueError,
                  "may not change the dtype.*float64.*float32"),
    "shape": (lambda: module_of(lambda x: x[:-1]), ValueError, "may not change the shape"),
    "dtype of several": (lambda: module_of(lambda x, y: x > y, lambda w: (w, w)),
                         ValueError, "may not change the dtype"),
    "its own": (lambda: module_of(lambda x: 1 / 0), ZeroDivisionError, "division"),
    "its inverse's own": (lambda: module_of(lambda x: x, lambda w: 1 / 0),
                          ZeroDivisionError, "division"),
}


@pytest.mark.parametrize("case", FIRST_ERRORS)
@pytest.mark.parametrize("kind", ["parameter", "buffer"])
def test_a_failing_first_registration_changes_nothing(case, kind):
    make, error, message = FIRST_ERRORS[case]
    module, bad = linear(3, 4), make()
    if kind == "buffer":
        del module.weight
        module.register_buffer("weight", np.ones((4, 3)))
    module.eval()
    before, bad_before = snapshot(module), snapshot(bad)
    with pytest.raises(error, match=message):
        register_parametrization(module, "weight", bad)
    assert snapshot(module) == before and snapshot(bad) == bad_before
    assert not is_parametrized(module) and type(module) is nn.Linear


def test_a_failing_right_inverse_may_have_written_into_its_argument():
    class Half(nn.Module):
        def forward(self, X):
            return X

        def right_inverse(self, A):
            A[0] = 0
            raise ValueError("no inverse")

    layer = nn.Linear(2, 3, rng=0)
    before = snapshot(layer)
    with pytest.raises(ValueError, match="no inverse"):
        register_parametrization(layer, "weight", Half())
    assert snapshot(layer) == before


@pytest.mark.parametrize("case", FIRST_ERRORS)
def test_a_failing_first_registration_spares_other_parametrized_tensors(case):
    make, error, _ = FIRST_ERRORS[case]
    module = register_parametrization(linear(3, 4), "bias", AddOne())
    before = snapshot(module)
    with pytest.raises(error):
        register_parametrization(module, "weight", make())
    assert snapshot(module) == before


@pytest.mark.parametrize("unsafe", [False, True])
@pytest.mark.parametrize("name", ["foo", "in_features", "forward", "parametrizations"])
def test_registering_on_what_is_no_tensor_raises(name, unsafe):
    module, new = linear(), Identity()
    before = snapshot(module)
    with pytest.raises(ValueError, match=f"does not have a parameter, a buffer, or.*'{name}'"):
        register_parametrization(module, name, new, unsafe=unsafe)
    assert snapshot(module) == before


def test_registering_on_an_empty_place_raises():
    module = nn.Linear(2, 2, bias=False)
    with pytest.raises(ValueError, match="does not have a parameter.*'bias'"):
        register_parametrization(module, "bias", Identity())


TOP_ERRORS = {
    "tuple": (lambda: module_of(lambda x: (x, x)), ValueError, "must return a tensor. Got tuple"),
    "dtype": (lambda: module_of(lambda x: x > 0), ValueError, "may not change the dtype"),
    "shape": (lambda: module_of(lambda x: x[:-1]), ValueError, "may not change the shape"),
    "inverse tuple": (lambda: module_of(lambda x: x, lambda x: (x, x)),
                      ValueError, "right_inverse must return a tensor. Got: tuple"),
    "inverse dtype": (lambda: module_of(lambda x: x, lambda x: x > 0),
                      ValueError, "must have the same dtype"),
    "inverse becomes complex": (lambda: module_of(lambda x: x, lambda x: x + 0j),
                                ValueError, "must have the same dtype"),
    "inverse shape": (lambda: module_of(lambda x: x, lambda x: x[:-1]),
                      ValueError, "must have the same shape"),
    "its own": (lambda: module_of(lambda x: 1 / 0), ZeroDivisionError, "division"),
    "its inverse's own": (lambda: module_of(lambda x: x, lambda w: 1 / 0),
                          ZeroDivisionError, "division"),
}


@pytest.mark.parametrize("case", TOP_ERRORS)
def test_a_failing_further_registration_changes_nothing(case):
    make, error, message = TOP_ERRORS[case]
    module, bad = register_parametrization(linear(3, 4), "weight", Identity()), make().eval()
    before, bad_before = snapshot(module), snapshot(bad)
    with pytest.raises(error, match=message):
        register_parametrization(module, "weight", bad)
    assert snapshot(module) == before and snapshot(bad) == bad_before
    assert len(module.parametrizations.weight) == 1


@pytest.mark.parametrize("case", TOP_ERRORS)
def test_a_failing_further_registration_does_not_move_the_power_iteration(case):
    # W of singular values 3, 2.9, 1: not converged after the 15 iterations of registration.
    make, error, _ = TOP_ERRORS[case]
    module = nn.Linear(3, 3, rng=0)
    module._parameters["weight"].data = np.diag([3.0, 2.9, 1.0])
    spectral_norm(module, rng=0)
    before = snapshot(module)
    with pytest.raises(error):
        register_parametrization(module, "weight", make())
    assert snapshot(module) == before


def test_an_inverse_that_is_not_implemented_is_no_error():
    def refuse(x):
        raise NotImplementedError

    module, data = linear(), linear().weight
    register_parametrization(module, "weight", module_of(lambda x: x + 1, refuse))
    register_parametrization(module, "weight", module_of(lambda x: 2 * x, refuse))
    assert_array_equal(module.weight, 2 * (data + 1))
    with pytest.raises(NotImplementedError):
        module.weight = data


def test_unsafe_skips_every_check():
    def fail(x):
        raise AssertionError("forward was tried out")

    module = linear()
    register_parametrization(module, "weight", module_of(fail), unsafe=True)
    assert is_parametrized(module, "weight")
    module = register_parametrization(linear(), "weight", Identity())
    register_parametrization(module, "weight", module_of(fail), unsafe=True)
    assert len(module.parametrizations.weight) == 2


def test_one_unsafe_parametrization_makes_the_chain_unsafe():
    module = register_parametrization(linear(), "weight", Identity())
    assert module.parametrizations.weight.unsafe is False
    register_parametrization(module, "weight", FirstRow(), unsafe=True)
    register_parametrization(module, "weight", Identity())
    assert module.parametrizations.weight.unsafe is True


def test_unsafe_may_change_the_dtype():
    module = register_parametrization(
        linear(), "weight", module_of(lambda x: x.astype(np.complex128)), unsafe=True)
    assert module.weight.dtype == np.complex128


def test_a_list_of_no_parametrizations_raises():
    with pytest.raises(ValueError, match="requires one or more modules"):
        ParametrizationList([], nn.Parameter(np.ones(2)))


# -- assignment --------------------------------------------------------------------------------------

def test_assigning_goes_through_right_inverse():
    module = linear(5, 5)
    skew = SkewFromUpper()
    module._parameters["weight"].data = skew(module.weight)
    register_parametrization(module, "weight", skew)
    X = np.random.default_rng(0).standard_normal((5, 5))
    before = snapshot(module)
    with pytest.raises(ValueError, match="not skew"):
        module.weight = X
    assert snapshot(module) == before
    module.weight = X - X.T
    assert_array_equal(module.parametrizations.weight.original, np.triu(X - X.T, 1))
    assert_array_equal(module.weight, X - X.T)
    register_parametrization(module, "weight", Cayley(5))
    with pytest.raises(ValueError, match="not orthogonal"):
        module.weight = X
    Q = np.linalg.qr(X)[0]
    module.weight = Q
    assert_allclose(module.weight, Q, rtol=1e-15)
    assert_array_equal(module.parametrizations.weight.original, np.zeros((5, 5)))


def test_an_assigned_array_is_copied():
    module, value = register_parametrization(linear(2, 2), "weight",
                                             module_of(lambda x: x, lambda x: x)), np.ones((2, 2))
    module.weight = value
    value[:] = 7.0
    assert_array_equal(module.weight, np.ones((2, 2)))


def test_a_list_or_a_parameter_can_be_assigned():
    module = register_parametrization(linear(2, 2), "weight", Double())
    module.weight = [[2.0, 4.0], [6.0, 8.0]]
    assert_array_equal(module.parametrizations.weight.original, [[1.0, 2.0], [3.0, 4.0]])
    module.weight = nn.Parameter(np.ones((2, 2)))
    assert_array_equal(module.weight, np.ones((2, 2)))
    assert "weight" not in module._parameters and len(list(module.parameters())) == 2


def test_assigning_keeps_the_parameters_identity():
    module = register_parametrization(linear(2, 2), "weight", Sum())
    parameters = list(module.parameters())
    module.weight = np.ones((2, 2))
    assert list(module.parameters()) == parameters


def switchable(forward, good):
    """Make a parametrization whose right_inverse can be exchanged after registration."""
    made = module_of(forward, lambda z: made.inverse(z))
    made.inverse = good
    return made


ONE, TWO = (lambda x: x, lambda z: z), (lambda x, y: x + y, lambda z: (z, 0 * z))
ASSIGN_ERRORS = {
    "one: int": (ONE, lambda z: 3, "`right_inverse` should return a tensor. Got int"),
    "one: tuple": (ONE, lambda z: (z,), "`right_inverse` should return a tensor. Got tuple"),
    "one: dtype": (ONE, lambda z: z.astype(np.float32), "dtype float32 while `original`.*float64"),
    "one: shape": (ONE, lambda z: z[:1], r"shape \(1, 2\) while `original` has shape \(2, 2\)"),
    "two: tensor": (TWO, lambda z: z, "must return a sequence of tensors. Got ndarray"),
    "two: int": (TWO, lambda z: 3, "must return a sequence of tensors. Got int"),
    "two: length": (TWO, lambda z: (z,), "of length 2. Got a sequence of length 1"),
    "two: element": (TWO, lambda z: (z, 3), "element 1 of the sequence with type int"),
    "two: dtype": (TWO, lambda z: (z, z.astype(np.float32)), "dtype float32 while `original1`"),
    "two: shape": (TWO, lambda z: (z, z[:1]), r"shape \(1, 2\) while `original1`"),
}


@pytest.mark.parametrize("case", ASSIGN_ERRORS)
def test_a_failing_assignment_changes_nothing(case):
    (forward, good), bad, message = ASSIGN_ERRORS[case]
    made = switchable(forward, good)
    module = register_parametrization(linear(2, 2), "weight", made)
    module.weight = np.ones((2, 2))
    made.inverse = bad
    before = snapshot(module)
    with pytest.raises(ValueError, match=message):
        module.weight = np.zeros((2, 2))
    assert snapshot(module) == before


def test_assigning_without_right_inverse_raises():
    module = register_parametrization(linear(2, 2), "weight", AddOne())
    before = snapshot(module)
    with pytest.raises(RuntimeError, match="AddOne does not implement right_inverse"):
        module.weight = np.zeros((2, 2))
    assert snapshot(module) == before


def test_a_later_failure_in_the_chain_restores_buffers():
    # orthogonal, last in the chain, moves its base before the first of the chain fails.
    module = register_parametrization(linear(), "weight", Identity())
    orthogonal(module, rng=0)
    module.parametrizations.weight[1].right_inverse(np.eye(4))
    before = snapshot(module)
    with pytest.raises(RuntimeError, match="Identity does not implement right_inverse"):
        module.weight = np.diag([1.0, -1.0, 1.0, 1.0])
    assert snapshot(module) == before


def test_a_failing_parametrized_original_restores_the_others():
    # original1 is parametrized itself, by something that cannot be inverted.
    module = register_parametrization(linear(2, 2), "weight", Sum())
    register_parametrization(module.parametrizations.weight, "original1", AddOne())
    before = snapshot(module)
    with pytest.raises(RuntimeError, match="AddOne does not implement right_inverse"):
        module.weight = np.zeros((2, 2))
    assert snapshot(module) == before


# -- nothing is left half changed --------------------------------------------------------------------

class Fail(nn.Module):
    def forward(self, x):
        raise ZeroDivisionError


def unconverged():
    """A spectral-normed layer whose every power iteration shows."""
    module = nn.Linear(3, 3, rng=0)
    module._parameters["weight"].data = np.diag([3.0, 2.9, 1.0])
    return spectral_norm(module, rng=0)


FAILING = {
    "map": lambda m: orthogonal(m, "weight", "foo"), "start": lambda m: orthogonal(m, start="haar"),
    "householder": lambda m: orthogonal(m, "weight", "householder"),
    "dim": lambda m: spectral_norm(m, dim=5), "iterations": lambda m: spectral_norm(m, "weight", 0),
    "eps": lambda m: spectral_norm(m, eps="small"), "rng": lambda m: spectral_norm(m, rng="seed"),
    "input_size": lambda m: spectral_norm(m, input_size=3),
    "weight norm": weight_norm, "lambda": lambda m: register_parametrization(m, "weight", lambda x: x),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_failing_call_moves_no_buffer(case):
    module = unconverged()
    before = snapshot(module)
    with pytest.raises((ValueError, IndexError, TypeError)):
        FAILING[case](module)
    assert snapshot(module) == before


@pytest.mark.parametrize("use", [
    lambda m: m.weight, lambda m: m(np.ones(3)), lambda m: remove_parametrizations(m, "weight"),
    lambda m: register_parametrization(m, "weight", Identity())],
    ids=["read", "call", "remove", "register"])
def test_a_later_failure_in_the_chain_moves_no_buffer(use):
    module = register_parametrization(unconverged(), "weight", Fail(), unsafe=True)
    before = snapshot(module)
    with cached(), pytest.raises(ZeroDivisionError):
        use(module)
    assert snapshot(module) == before


@pytest.mark.parametrize("parametrized", [False, True])
def test_a_transfer_that_fails_half_way_changes_nothing(parametrized):
    source = register_parametrization(unconverged(), "bias", Double())
    source.parametrizations.bias.append(Fail())
    target = nn.Linear(3, 3, rng=1).eval()
    if parametrized:
        spectral_norm(target, rng=1)
    before = snapshot(source), snapshot(target)
    with cached():
        weight = target.weight
        with pytest.raises(ZeroDivisionError):
            transfer_parametrizations_and_params(source, target)
        assert_array_equal(target.weight, weight)
    assert (snapshot(source), snapshot(target)) == before


def test_a_parametrization_must_be_a_module():
    with pytest.raises(TypeError, match="parametrization must be a Module.*lambda"):
        register_parametrization(linear(), "weight", lambda x: x)


@pytest.mark.parametrize("value", [[[1, 2], [3, 4]], np.eye(2, dtype=int), "text", None], ids=str)
@pytest.mark.parametrize("make", [orthogonal, spectral_norm, weight_norm])
def test_assigning_another_kind_of_number_names_it(make, value):
    module = make(linear(2, 2))
    before = snapshot(module)
    with pytest.raises(ValueError, match="cannot assign an array of dtype .* to 'weight': expected"):
        module.weight = value
    assert snapshot(module) == before


@pytest.mark.parametrize("make", [orthogonal, spectral_norm, weight_norm])
def test_the_order_of_bytes_does_not_matter(make):
    module, plain = make(linear(2, 2)), linear(2, 2)
    value = np.array([[0.0, 1.0], [1.0, 0.0]])
    module.weight = value.astype(">f8")
    assert_allclose(module.weight, value, atol=1e-15)
    plain.weight = nn.Parameter(value.astype(">f8"))
    assert plain.weight.dtype.isnative
    assert_array_equal(plain.weight, value)


# -- training mode, types ----------------------------------------------------------------------------

def test_a_parametrization_takes_the_modules_mode():
    module = linear().eval()
    register_parametrization(module, "weight", Identity())
    assert module.parametrizations.weight[0].training is False
    module.train()
    register_parametrization(module, "weight", Identity().eval())
    assert [p.training for p in module.parametrizations.weight] == [True, True]


def test_type_before_parametrizations():
    module = linear()
    assert type_before_parametrizations(module) is nn.Linear
    register_parametrization(module, "weight", Identity())
    assert type_before_parametrizations(module) is nn.Linear
    register_parametrization(module, "bias", Identity())
    assert type_before_parametrizations(module) is nn.Linear
    assert type_before_parametrizations(nn.Sequential(module)) is nn.Sequential


def test_is_parametrized():
    module = linear()
    assert is_parametrized(module) is False and is_parametrized(module, "weight") is False
    register_parametrization(module, "weight", Identity())
    assert is_parametrized(module) is True and is_parametrized(module, "weight") is True
    assert is_parametrized(module, "bias") is False and is_parametrized(module, "foo") is False
    assert is_parametrized(nn.Sequential(module)) is False


# -- state dicts, copies, pickles --------------------------------------------------------------------

class Rotated(nn.Module):
    """A parametrization with a state of its own."""

    def __init__(self, n, seed):
        super().__init__()
        Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
        self.register_buffer("B", Q)

    def forward(self, X):
        return self.B @ X


def test_a_state_dict_carries_a_parametrized_model():
    def model(seed):
        first = register_parametrization(nn.Linear(5, 5, rng=seed), "weight", Rotated(5, seed))
        return nn.Sequential(first, nn.ReLU(), nn.Linear(5, 1, rng=seed))

    old, new = model(0), model(1)
    assert not np.array_equal(old[0].weight, new[0].weight)
    new.load_state_dict(old.state_dict())
    assert is_parametrized(new[0], "weight")
    assert bits(new[0].weight) == bits(old[0].weight)
    assert bits(new[0].parametrizations.weight[0].B) == bits(old[0].parametrizations.weight[0].B)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(np.ones(4))
        self.bias = nn.Parameter(np.zeros(4))
        self.attr = [1.0, 2.0]


class WithDeepcopy(Plain):
    def __deepcopy__(self, memo):
        result = self.__new__(self.__class__)
        memo[id(self)] = result
        result.__dict__ = copy.deepcopy(self.__dict__, memo)
        return result


@pytest.mark.parametrize("cls", [Plain, WithDeepcopy])
@pytest.mark.parametrize("tensors", [["weight"], ["weight", "bias"], ["weight", "bias", "weight"]])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
                         ids=["deepcopy", "pickle"])
def test_copies_are_parametrized_and_share_nothing(cls, tensors, copied):
    module = cls()
    for name in tensors:
        register_parametrization(module, name, AddOne())
    weight = 1.0 + tensors.count("weight")
    before = snapshot(module)
    twin = copied(module)
    assert type(twin) is type(module) and type_before_parametrizations(twin) is cls
    assert twin.__dict__.keys() == module.__dict__.keys()
    assert twin.attr == module.attr and twin.attr is not module.attr
    assert_array_equal(twin.weight, np.full(4, weight))
    assert not set(twin.parameters()) & set(module.parameters())
    assert not set(twin.modules()) & set(module.modules())
    twin.parametrizations.weight.original[:] = 7.0
    remove_parametrizations(twin, "weight")
    assert_array_equal(twin.weight, np.full(4, 6.0 + weight))
    assert snapshot(module) == before and is_parametrized(module, "weight")
    assert_array_equal(module.weight, np.full(4, weight))


@pytest.mark.parametrize("parametrization", [orthogonal, spectral_norm, weight_norm])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
                         ids=["deepcopy", "pickle"])
def test_copies_compute_the_same(parametrization, copied):
    module = parametrization(nn.Linear(3, 5, rng=0))
    twin = copied(module)
    assert repr(twin) == repr(module)
    for _ in range(3):
        assert bits(twin.weight) == bits(module.weight)
    module.weight, twin.weight = np.eye(5, 3), np.eye(5, 3)
    assert_array_equal(twin.weight, module.weight)
    remove_parametrizations(twin, "weight")
    assert type(twin) is nn.Linear and is_parametrized(module, "weight")


# -- transfer ----------------------------------------------------------------------------------------

def chain_of(module, name, *parts):
    for part in parts:
        register_parametrization(module, name, part())
    return module


def test_everything_is_transferred():
    source = chain_of(linear(), "weight", AddOne, Double, AddOne)
    chain_of(source, "bias", Double)
    target = nn.Linear(4, 4, rng=1)
    before = snapshot(source)
    assert transfer_parametrizations_and_params(source, target) is target
    assert snapshot(source) == before
    for name in ("weight", "bias"):
        assert is_parametrized(target, name)
        assert bits(getattr(target, name)) == bits(getattr(source, name))
        mine, theirs = target.parametrizations[name], source.parametrizations[name]
        assert mine is not theirs and list(mine) == list(theirs)
        assert mine._parameters["original"] is theirs._parameters["original"]


def test_removing_from_the_target_does_not_reach_the_source():
    source = chain_of(linear(), "weight", AddOne, Double)
    target = transfer_parametrizations_and_params(source, linear())
    before = snapshot(source)
    remove_parametrizations(target, "weight", leave_parametrized=False)
    assert not is_parametrized(target, "weight") and type(target) is nn.Linear
    assert snapshot(source) == before
    assert target._parameters["weight"] is source.parametrizations.weight._parameters["original"]


def test_one_tensor_is_transferred():
    source = chain_of(chain_of(linear(), "weight", AddOne, Double), "bias", AddOne)
    target = transfer_parametrizations_and_params(source, nn.Linear(4, 4, rng=1), "weight")
    assert bits(target.weight) == bits(source.weight)
    assert list(target.parametrizations) == ["weight"] and "bias" in target._parameters


def test_a_tensor_that_the_target_lacks_is_created():
    source = linear()
    source.extra = nn.Parameter(np.arange(3.0))
    chain_of(source, "extra", Double)
    value = source.extra
    target = transfer_parametrizations_and_params(source, linear(), "extra")
    assert "weight" in target._parameters
    assert_array_equal(target.extra, value)
    assert_array_equal(source.extra, value)


@pytest.mark.parametrize("create", [False, True])
def test_many_to_one_is_transferred(create):
    source, target = nn.Linear(3, 3, rng=0), nn.Linear(3, 3, rng=1)
    name = "extra" if create else "weight"
    if create:
        source.extra = nn.Parameter(np.arange(9.0).reshape(3, 3))
    chain_of(source, name, RankOne, Double)
    value, before = getattr(source, name), snapshot(source)
    transfer_parametrizations_and_params(source, target, name)
    mine, theirs = target.parametrizations[name], source.parametrizations[name]
    assert mine._parameters == theirs._parameters and len(mine._parameters) == 2
    assert bits(getattr(target, name)) == bits(value) and snapshot(source) == before


PARAMETRIZATIONS = {
    "orthogonal": lambda m, name: orthogonal(m, name, rng=0),
    "spectral": lambda m, name: spectral_norm(m, name, rng=0),
    "both": lambda m, name: spectral_norm(orthogonal(m, name, rng=0), name, rng=0),
    "weight norm": lambda m, name: weight_norm(m, name),
}


@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
@pytest.mark.parametrize("create", [False, True], ids=["existing", "created"])
def test_transferring_moves_no_buffer_of_the_source(parametrization, create):
    source, target = nn.Linear(3, 3, rng=0), nn.Linear(3, 3, rng=1)
    name = "extra" if create else "weight"
    for module in (source,) if create else (source, target):
        setattr(module, name, nn.Parameter(np.diag([3.0, 2.9, 1.0])))
    if not create:
        target._parameters["weight"].data = np.ones((3, 3)) + np.eye(3)
    PARAMETRIZATIONS[parametrization](source, name)
    before = snapshot(source)
    transfer_parametrizations_and_params(source, target, name)
    assert snapshot(source) == before
    target.eval()
    assert bits(getattr(target, name)) == bits(getattr(source.eval(), name))


def test_nothing_to_transfer():
    source, target = linear(), linear()
    before = snapshot(target)
    assert transfer_parametrizations_and_params(source, target) is target
    assert snapshot(target) == before


def test_transferring_an_unknown_tensor_raises():
    target = linear()
    before = snapshot(target)
    with pytest.raises(KeyError, match="foo"):
        transfer_parametrizations_and_params(chain_of(linear(), "weight", Double), target, "foo")
    with pytest.raises(KeyError, match="bias"):
        transfer_parametrizations_and_params(chain_of(linear(), "weight", Double), target, "bias")
    assert snapshot(target) == before


def test_transferring_into_another_dtype_raises():
    class ToDouble(nn.Module):
        def forward(self, x):
            return x.astype(np.float64)

    source = chain_of(linear(), "weight", ToDouble)
    target = nn.Linear(4, 4, dtype=np.float32, rng=0)
    before, source_before = snapshot(target), snapshot(source)
    with pytest.raises(ValueError, match="may not change the dtype"):
        transfer_parametrizations_and_params(source, target)
    assert snapshot(target) == before and snapshot(source) == source_before


# -- cached ------------------------------------------------------------------------------------------

def test_cached_computes_once():
    made = module_of(lambda x: x + 0.0)
    module = register_parametrization(linear(), "weight", made)
    made.moved = np.zeros(1)
    with cached():
        assert module.weight is module.weight
        module(np.ones(4))
        assert made.moved == 1
    assert scope.cache is None
    assert module.weight is not module.weight and made.moved == 3


def test_cached_tells_modules_and_tensors_apart():
    source = chain_of(chain_of(linear(), "weight", AddOne), "bias", AddOne)
    target = transfer_parametrizations_and_params(source, linear())
    with cached():
        values = [source.weight, source.bias, target.weight, target.bias]
        assert all(a is b for a, b in zip(
            values, [source.weight, source.bias, target.weight, target.bias]))
        assert len(set(map(id, values))) == 4


def test_cached_nests():
    module = registered("one")
    with cached():
        outer = module.weight
        with cached():
            assert module.weight is outer
        assert module.weight is outer
    assert scope.cache is None


def test_cached_ends_with_an_exception():
    module = registered("one")
    with pytest.raises(ZeroDivisionError):
        with cached():
            inside = module.weight
            try:
                with cached():
                    raise KeyError
            except KeyError:
                assert module.weight is inside
            1 / 0
    assert scope.cache is None and module.weight is not inside


def test_cached_forgets_between_blocks():
    module = register_parametrization(linear(), "weight", AddOne())
    with cached():
        module.weight
    module.parametrizations.weight.original[:] = 1.0
    with cached():
        assert_array_equal(module.weight, np.full((4, 4), 2.0))


def test_an_assignment_inside_a_block_is_seen():
    module = register_parametrization(linear(2, 2), "weight", Double())
    with cached():
        module.weight
        module.weight = np.full((2, 2), 6.0)
        assert_array_equal(module.weight, np.full((2, 2), 6.0))
        before = module.weight
        with pytest.raises(ValueError):
            module.weight = np.zeros(3)
        assert_array_equal(module.weight, before)


def test_removing_inside_a_block_is_seen():
    module = register_parametrization(linear(2, 2), "weight", AddOne())
    with cached():
        assert_array_equal(module.weight, linear(2, 2).weight + 1)
        remove_parametrizations(module, "weight", leave_parametrized=False)
        assert_array_equal(module.weight, linear(2, 2).weight)
        register_parametrization(module, "weight", Double())
        assert_array_equal(module.weight, linear(2, 2).weight)


def test_registering_inside_a_block_is_seen():
    module = register_parametrization(linear(2, 2), "weight", AddOne())
    with cached():
        value = np.array(module.weight)
        register_parametrization(module, "weight", Double())
        assert_array_equal(module.weight, 2 * value)


def test_spectral_norm_iterates_once_in_a_block():
    module = nn.Linear(3, 3, rng=0)
    module._parameters["weight"].data = np.diag([3.0, 2.9, 1.0])
    module, twin = (spectral_norm(m, rng=0) for m in (module, copy.deepcopy(module)))
    twin.weight
    with cached():
        for _ in range(5):
            module.weight
            module(np.ones(3))
    assert bits(module.parametrizations.weight[0]._u) == bits(twin.parametrizations.weight[0]._u)


class Worker(threading.Thread):
    """Runs functions one after the other, each when told to, and hands its results back."""

    def __init__(self, *functions):
        super().__init__(daemon=True)
        self.functions, self.results = functions, []
        self.go = [threading.Event() for _ in functions]
        self.done = [threading.Event() for _ in functions]
        self.start()

    def run(self):
        for function, go, done in zip(self.functions, self.go, self.done):
            go.wait(20)
            self.results.append(function())
            done.set()

    def step(self, i):
        self.go[i].set()
        assert self.done[i].wait(20)
        return self.results[i]


def test_a_thread_does_not_see_anothers_cache():
    module = register_parametrization(linear(2, 2), "weight", AddOne())
    block = cached()
    other = Worker(
        lambda: (module.weight is module.weight, scope.cache),
        lambda: block.__enter__() or module.weight,
        lambda: module.weight,
        lambda: block.__exit__(None, None, None),
    )
    with cached():
        mine = module.weight
        assert other.step(0) == (False, None)
        module.parametrizations.weight.original[:] = 1.0
        theirs = other.step(1)
        assert_array_equal(theirs, np.full((2, 2), 2.0))
        assert theirs is not mine and module.weight is mine
    assert scope.cache is None
    assert other.step(2) is theirs  # the end of this thread's block did not end the other's
    with cached():
        mine = module.weight
        other.step(3)
        assert module.weight is mine


def test_a_thread_does_not_see_anothers_tracers():
    module = register_parametrization(linear(2, 2), "weight", AddOne())
    original = module.parametrizations.weight.original
    other = Worker(lambda: (type(module.weight), module.parametrizations.weight.original,
                            module.bias))
    seen = []

    def loss():
        seen.append(other.step(0))
        return np.sum(module.weight) + np.sum(module.bias)

    _, gradients = value_and_grad(loss, module)()
    (kind, theirs, bias), = seen
    assert kind is numpy.ndarray
    assert theirs is original and bias is module.bias
    assert_array_equal(gradients["bias"], np.ones(2))


def test_public_names():
    assert sorted(parametrize.__all__) == [
        "ParametrizationList", "cached", "is_parametrized", "register_parametrization",
        "remove_parametrizations", "transfer_parametrizations_and_params",
        "type_before_parametrizations"]
