"""orthogonal, spectral_norm and weight_norm on modules: what PyTorch's own tests check, and more.

Wanted differences from PyTorch: a zero or rank-deficient weight gives an orthogonal start, a zero
weight stays zero under spectral_norm and weight_norm (PyTorch's are NaN).
"""
import copy

import autograd.numpy as anp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from orthonorm import core, nn
from orthonorm import gradients as maps
from orthonorm.func import functional_call, value_and_grad
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from orthonorm.nn.utils.parametrize import (
    is_parametrized, register_parametrization, remove_parametrizations,
)

from ..snapshots import bits, snapshot

MAPS = ("matrix_exp", "cayley", "householder", "unitary_householder")
REAL, COMPLEX = (np.float32, np.float64), (np.complex64, np.complex128)
SHAPES = {"square": (4, 4), "tall": (5, 3), "wide": (3, 5), "row": (1, 4), "column": (4, 1),
          "1x1": (1, 1)}


def random(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if np.issubdtype(dtype, np.complexfloating):
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


class Holder(nn.Module):
    """A module with one parameter of any shape."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        return x @ self.weight


def tall_side(W):
    return np.swapaxes(W, -1, -2) if W.shape[-2] < W.shape[-1] else W


def assert_orthogonal(W):
    W = tall_side(W)
    n, k = W.shape[-2:]
    gram = np.swapaxes(W.conj(), -1, -2) @ W
    assert_allclose(gram, np.broadcast_to(np.eye(k), gram.shape), rtol=0,
                    atol=10 * n * np.finfo(W.dtype).eps)


def orthogonal_factor(W):
    """Q of the QR factorisation with positive diagonal of R, by NumPy in double precision."""
    T = tall_side(W)
    Q, R = np.linalg.qr(T.astype(np.result_type(T, np.float64)))
    diagonal = np.diagonal(R, axis1=-2, axis2=-1)
    Q = Q * (diagonal / np.abs(diagonal))[..., None, :]
    return np.swapaxes(Q, -1, -2) if T is not W else Q


def near(dtype):
    return {"rtol": 0, "atol": 100 * np.finfo(dtype).eps}


# -- orthogonal --------------------------------------------------------------------------------------

grid = [pytest.param(m, t, s, d, id=f"{m}-{'base' if t else 'no base'}-{name}-{np.dtype(d)}")
        for m in MAPS for t in (True, False) for name, s in SHAPES.items() for d in REAL + COMPLEX
        if not (m == "householder" and d in COMPLEX)]
every_case = pytest.mark.parametrize("orthogonal_map, trivial, shape, dtype", grid)


def made(orthogonal_map, trivial, shape, dtype):
    return orthogonal(Holder(random(*shape, dtype=dtype)), "weight", orthogonal_map,
                      use_trivialization=trivial, rng=0)


def assert_assigns_or_changes_nothing(module, value, factor):
    """Hold an assignment to a map that reaches some frames only: the rotations, if real and square."""
    square_and_real = factor.shape[-1] == factor.shape[-2] and not np.iscomplexobj(factor)
    if square_and_real and np.linalg.det(factor) < 0:
        before = snapshot(module)
        with pytest.raises(ValueError, match="^Q must"):
            module.weight = value
        assert snapshot(module) == before
    else:
        module.weight = value
        X = module.parametrizations.weight.original
        error = 100 * np.finfo(factor.dtype).eps * max(1, np.linalg.norm(X))
        assert_allclose(module.weight, factor, rtol=0, atol=error)


@every_case
def test_orthogonal_start_assignment_and_training(orthogonal_map, trivial, shape, dtype):
    module, start = made(orthogonal_map, trivial, shape, dtype), random(*shape, dtype=dtype)
    original = module.parametrizations.weight._parameters["original"]
    assert module.weight.shape == shape and module.weight.dtype == original.dtype == dtype
    assert_orthogonal(module.weight)

    new = random(*shape, dtype=dtype, seed=1)
    Q = orthogonal_factor(new).astype(dtype)
    if trivial or orthogonal_map.endswith("householder"):
        assert_allclose(module.weight, orthogonal_factor(start), **near(dtype))
        module.weight = Q
        assert_allclose(module.weight, Q, **near(dtype))
        module.weight = new
        assert_allclose(module.weight, Q, **near(dtype))
        module.weight = -Q
        assert_allclose(module.weight, -Q, **near(dtype))
        assert module.parametrizations.weight._parameters["original"] is original
    else:
        # PyTorch raises NotImplementedError on assignment, and starts from f(weight).
        assert_array_equal(module.weight, getattr(maps, orthogonal_map)(start))
        for value, factor in ((Q, Q), (new, Q), (-Q, -Q)):
            assert_assigns_or_changes_nothing(module, value, factor)
        assert module.parametrizations.weight._parameters["original"] is original

    cotangent = random(*shape, dtype=dtype, seed=2)
    for _ in range(3):
        _, gradients = value_and_grad(
            lambda: anp.sum(anp.real(anp.conj(cotangent) * module.weight)), module)()
        gradient = gradients["parametrizations.weight.original"]
        assert gradient.dtype == dtype and gradient.shape == shape
        lower = tall_side(gradient)
        assert_array_equal(np.triu(lower, 1), np.zeros_like(lower))
        if orthogonal_map == "unitary_householder":  # only the phases matter
            radial = np.diagonal(lower) * np.diagonal(tall_side(original.data)).conj()
            assert_allclose(radial.real, np.zeros(min(shape)), rtol=0, atol=10 * np.finfo(dtype).eps)
        else:
            assert_array_equal(np.diagonal(lower).real, np.zeros(min(shape)))
        if min(shape) > 1 or max(shape) > 1 and trivial:
            assert np.any(gradient)
        original.data = original.data - np.asarray(0.1, original.data.real.dtype) * gradient
        assert_orthogonal(module.weight)


@pytest.mark.parametrize("shape, dtype, expected", [
    ((4, 4), np.float64, "matrix_exp"), ((5, 3), np.float64, "householder"),
    ((3, 5), np.float64, "householder"), ((5, 3), np.complex128, "matrix_exp"),
    ((2, 4, 4), np.float64, "matrix_exp"), ((4, 4, 2), np.float64, "householder")], ids=str)
def test_the_default_map(shape, dtype, expected):
    weight = random(*shape, dtype=dtype)
    default = orthogonal(Holder(weight), use_trivialization=False)
    named = orthogonal(Holder(weight), "weight", expected, use_trivialization=False)
    assert bits(default.weight) == bits(named.weight)
    for other in set(MAPS[:3]) - {expected} - ({"householder"} if dtype is np.complex128 else set()):
        different = orthogonal(Holder(weight), "weight", other, use_trivialization=False)
        assert not np.allclose(different.weight, default.weight)


@pytest.mark.parametrize("orthogonal_map", MAPS)
@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (3, 5, 2), (3, 2, 5), (0, 3, 3)], ids=str)
def test_a_stack_is_orthogonal_matrix_by_matrix(orthogonal_map, trivial, shape):
    module = made(orthogonal_map, trivial, shape, np.float64)
    assert module.weight.shape == shape
    assert_orthogonal(module.weight)
    if trivial:
        assert_allclose(module.weight, orthogonal_factor(random(*shape)), **near(np.float64))


def test_the_state_of_orthogonal_is_pytorchs():
    # PyTorch: base is n x n and its first k columns are the weight; original is minus the identity.
    module = made("householder", True, (5, 3), np.float64)
    base = module.parametrizations.weight[0].base
    assert base.shape == (5, 5)
    assert_orthogonal(base)
    assert_allclose(base[:, :3], module.weight, **near(np.float64))
    assert_array_equal(module.parametrizations.weight.original, -np.eye(5, 3))
    wide = made("householder", True, (3, 5), np.float64)
    assert_allclose(wide.parametrizations.weight[0].base[:, :3], wide.weight.T, **near(np.float64))


def test_loading_a_base_and_an_original():
    # weight = base @ f(original); Cayley of a 2 x 2 skew matrix [[0, -2 t], [2 t, 0]], t = tan(a / 2),
    # is the rotation by a.
    module = made("cayley", True, (2, 2), np.float64)
    base, a = np.array([[0.0, 1.0], [1.0, 0.0]]), 0.7
    module.load_state_dict({"parametrizations.weight.0.base": base,
                            "parametrizations.weight.original": [[5.0, 9.0], [2 * np.tan(a / 2), 5.0]]})
    rotation = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    assert_allclose(module.weight, base @ rotation, **near(np.float64))


DEFICIENT = {
    "zero": lambda n, k: np.zeros((n, k)),
    "rank one": lambda n, k: np.ones((n, k)),
    "a zero column": lambda n, k: random(n, k) * (np.arange(k) != 1),
    "a zero row": lambda n, k: random(n, k) * (np.arange(n) != 1)[:, None],
}


@pytest.mark.parametrize("orthogonal_map", MAPS)
@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("weight", DEFICIENT)
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (5, 1)], ids=str)
@pytest.mark.parametrize("dtype", REAL)
def test_a_deficient_weight_gives_an_orthogonal_start(orthogonal_map, trivial, weight, shape, dtype):
    module = Holder(DEFICIENT[weight](*shape).astype(dtype))
    orthogonal(module, "weight", orthogonal_map, use_trivialization=trivial, rng=0)
    assert_orthogonal(module.weight)
    if trivial or orthogonal_map.endswith("householder"):
        module.weight = DEFICIENT[weight](*shape).astype(dtype)
        assert_orthogonal(module.weight)


@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)], ids=str)
def test_a_zero_complex_weight_gives_a_unitary_start(orthogonal_map, shape):
    module = Holder(np.zeros(shape, complex))
    orthogonal(module, "weight", orthogonal_map, rng=0)
    assert_orthogonal(module.weight)


class Double(nn.Module):
    def forward(self, X):
        return 2 * X

    def right_inverse(self, X):
        return X / 2


def test_householder_on_top_of_another_raises():
    # PyTorch's weight has zero columns there, or its base is None and the first reading fails.
    module = register_parametrization(Holder(random(5, 3)), "weight", Double())
    before = bits(module.weight)
    with pytest.raises(ValueError, match="cannot follow another parametrization of weight"):
        orthogonal(module, orthogonal_map="householder")
    assert bits(module.weight) == before and len(module.parametrizations.weight) == 1


def test_default_map_on_top_of_another_is_matrix_exp():
    module = register_parametrization(Holder(random(5, 3)), "weight", Double())
    orthogonal(module)
    assert module.parametrizations.weight[1].orthogonal_map == "matrix_exp"
    assert_orthogonal(module.weight)


@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley"])
def test_orthogonal_on_top_of_another_has_no_base(orthogonal_map, trivial):
    module = Holder(random(4, 4))
    bare = orthogonal(Holder(np.eye(4)), "weight", orthogonal_map, use_trivialization=False)
    bare.parametrizations.weight.original[:] = random(4, 4)
    register_parametrization(module, "weight", Double())
    orthogonal(module, "weight", orthogonal_map, use_trivialization=trivial)
    assert_orthogonal(module.weight)
    assert_allclose(module.weight, bare.weight, **near(np.float64))
    if trivial:
        assert "parametrizations.weight.1.base" not in module.state_dict()
        Q = np.diag([1.0, -1.0, 1.0, 1.0])
        module.weight = Q
        assert_allclose(module.weight, Q, **near(np.float64))
        assert_array_equal(module.parametrizations.weight.original, -np.eye(4) / 2)
        assert "parametrizations.weight.1.base" in module.state_dict()


def test_orthogonal_on_a_buffer():
    module = nn.Module()
    module.register_buffer("W", random(4, 4))
    orthogonal(module, "W", rng=0)
    assert_orthogonal(module.W)
    assert list(module.parameters()) == [] and "original" in module.parametrizations.W._buffers
    remove_parametrizations(module, "W")
    assert_orthogonal(module._buffers["W"])


def test_removing_orthogonal_leaves_the_weight():
    module = made("matrix_exp", True, (5, 3), np.float64)
    weight = np.array(module.weight)
    remove_parametrizations(module, "weight")
    assert bits(module.weight) == bits(weight) and type(module) is Holder


ORTHOGONAL_ERRORS = {
    "map": (lambda m: orthogonal(m, "weight", "foo"), ValueError,
            "orthogonal_map has to be one of.*foo"),
    "vector": (lambda m: orthogonal(m, "bias"), ValueError, "Expected a matrix.*1 dimensions"),
    "missing": (lambda m: orthogonal(m, "foo"), ValueError, "no parameter or buffer with name 'foo'"),
    "no tensor": (lambda m: orthogonal(m, "in_features"), ValueError, "'in_features'"),
    "complex": (lambda m: orthogonal(m, "complex", "householder"), ValueError,
                "householder parametrization does not support complex tensors"),
    "nan": (lambda m: orthogonal(m, "nan"), ValueError, "nan must be finite, got 1 NaN or infinite"),
    "integers": (lambda m: orthogonal(m, "int"), TypeError, "int must have dtype float32"),
}


@pytest.mark.parametrize("case", ORTHOGONAL_ERRORS)
@pytest.mark.parametrize("other", [False, True])
def test_errors_of_orthogonal_change_nothing(case, other):
    call, error, message = ORTHOGONAL_ERRORS[case]
    module = nn.Linear(3, 4, rng=0)
    module.complex = nn.Parameter(np.eye(3, dtype=complex))
    module.nan = nn.Parameter(np.diag([1.0, np.nan]))
    module.register_buffer("int", np.eye(2, dtype=int))
    if other:
        weight_norm(module)
    before = snapshot(module)
    with pytest.raises(error, match=message):
        call(module)
    assert snapshot(module) == before


@pytest.mark.parametrize("value, message", [
    (random(5, 5), r"matrices of shape \(5, 3\).*\(5, 5\)"), (random(5), "matrices of shape"),
    (random(5, 3, dtype=np.float32), "dtype float32"),
    (random(5, 3, dtype=complex), "dtype complex128"),
    (np.full((5, 3), np.nan), "finite"), (np.full((5, 3), np.inf), "finite"),
], ids=["shape", "ndim", "float32", "complex", "nan", "inf"])
@pytest.mark.parametrize("orthogonal_map, trivial", [
    ("matrix_exp", True), ("cayley", True), ("householder", True), ("householder", False)])
def test_a_failing_assignment_to_orthogonal_changes_nothing(orthogonal_map, trivial, value, message):
    module = made(orthogonal_map, trivial, (5, 3), np.float64)
    before = snapshot(module)
    with pytest.raises(ValueError, match=message if trivial or "complex" not in message else None):
        module.weight = value
    assert snapshot(module) == before


# -- spectral_norm -----------------------------------------------------------------------------------

def unconverged():
    """A weight of singular values 3, 2.9, 1, for which every iteration shows."""
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (4, 3))
    layer = nn.Linear(3, 4, rng=0)
    layer._parameters["weight"].data = (U[:, :3] * [3.0, 2.9, 1.0]) @ V
    return layer


def iterated(W, v, times=1):
    """Power iteration, written out."""
    for _ in range(times):
        u = W @ v / np.linalg.norm(W @ v)
        v = W.conj().T @ u / np.linalg.norm(W.conj().T @ u)
    return u, v


@pytest.mark.parametrize("times", [1, 2, 5])
def test_each_access_in_training_mode_iterates(times):
    layer = spectral_norm(unconverged(), n_power_iterations=times, rng=0)
    part, W = layer.parametrizations.weight[0], layer.parametrizations.weight.original
    assert part._u.shape == (4,) and part._v.shape == (3,)
    u, v = part._u, part._v
    for _ in range(3):
        u, v = iterated(W, v, times)
        assert_allclose(layer.weight, W / (u @ W @ v), rtol=1e-13)
        assert_allclose(part._u, u, rtol=1e-12)
        assert_allclose(part._v, v, rtol=1e-12)


def test_registration_iterates_15_times():
    layer = spectral_norm(unconverged(), rng=0)
    # The same draws as in the code: u, then v, normal and normalised. Only v matters.
    rng = np.random.default_rng(0)
    W, (_, v) = layer.parametrizations.weight.original, (rng.standard_normal(n) for n in (4, 3))
    # One more than 15: registering reads the weight, in training mode.
    u, v = iterated(W, v / np.linalg.norm(v), 16)
    assert_allclose(layer.parametrizations.weight[0]._u, u, rtol=1e-10)
    assert_allclose(layer.parametrizations.weight[0]._v, v, rtol=1e-10)
    still = spectral_norm(unconverged().eval(), rng=0)
    u, v = iterated(W, np.random.default_rng(0).standard_normal(7)[4:], 15)
    assert_allclose(still.parametrizations.weight[0]._u, u, rtol=1e-10)


def test_no_access_in_evaluation_mode_moves_a_buffer():
    layer = spectral_norm(unconverged(), rng=0)
    last = layer.weight
    before = snapshot(layer.eval())
    for _ in range(3):
        assert bits(layer.weight) == bits(last)
        layer(np.ones(3))
    assert snapshot(layer) == before
    layer.train()
    assert bits(layer.weight) != bits(last)


def test_the_weight_has_spectral_norm_1():
    layer = spectral_norm(nn.Linear(5, 7, rng=0), n_power_iterations=200, rng=0)
    assert abs(np.linalg.norm(layer.weight, 2) - 1) < 1e-12
    W = layer.parametrizations.weight.original
    assert_allclose(layer.weight, W / np.linalg.norm(W, 2), rtol=1e-12)
    assert "weight" not in layer._parameters and "weight" not in layer._buffers


@pytest.mark.parametrize("dtype", REAL + COMPLEX)
def test_a_diagonal_weight_is_divided_by_its_largest_entry(dtype):
    diagonal = np.array([0.3, -2.0], dtype) * (1 + 1j if dtype in COMPLEX else 1)
    module = spectral_norm(Holder(np.diag(diagonal)), rng=0)
    assert module.weight.dtype == dtype
    # sigma = u^H W v is real and positive when v = W^H u / |W^H u|
    assert_allclose(module.weight, np.diag(diagonal / np.abs(diagonal).max()),
                    rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("shape, dim, size", [
    ((3, 4, 5, 6), 0, 3), ((3, 4, 5, 6), 1, 4), ((3, 4, 5, 6), -1, 6), ((3, 4, 5, 6), 2, 5),
    ((3, 4), 1, 4), ((3, 4), -2, 3)], ids=str)
def test_dim_chooses_the_rows(shape, dim, size):
    W = random(*shape)
    module = spectral_norm(Holder(W), dim=dim, n_power_iterations=300, rng=0)
    part = module.parametrizations.weight[0]
    assert part._u.shape == (size,) and part._v.shape == (W.size // size,)
    sigma = np.linalg.norm(np.moveaxis(W, dim, 0).reshape(size, -1), 2)
    assert_allclose(module.weight, W / sigma, rtol=1e-11)


def test_dim_is_1_for_transposed_convolutions():
    module = Holder(random(3, 4, 5, 6))
    assert spectral_norm(copy.deepcopy(module)).parametrizations.weight[0]._u.shape == (3,)
    module.transposed = True
    assert spectral_norm(copy.deepcopy(module)).parametrizations.weight[0]._u.shape == (4,)
    assert spectral_norm(module, dim=0).parametrizations.weight[0]._u.shape == (3,)


def test_a_vector_is_divided_by_its_norm():
    layer = spectral_norm(nn.Linear(3, 4, rng=0), "bias")
    b = layer.parametrizations.bias.original
    assert_allclose(layer.bias, b / np.linalg.norm(b), rtol=1e-15)
    assert list(layer.buffers()) == []
    layer.parametrizations.bias.original[:] = 0.0
    assert_array_equal(layer.bias, np.zeros(4))
    layer.parametrizations.bias.original[:] = [3e-13, 4e-13, 0.0, 0.0]  # below eps: divided by eps
    assert_allclose(layer.bias, [0.3, 0.4, 0.0, 0.0], rtol=1e-15)


def test_what_was_registered_as_a_vector_stays_one():
    layer = spectral_norm(nn.Linear(3, 4, rng=0), "bias")
    with pytest.raises(ValueError, match=r"one dimension .* got shape \(2, 4\)"):
        functional_call(layer, {"parametrizations.bias.original": np.ones((2, 4))}, np.ones(3))


@pytest.mark.parametrize("register, shape, said", [
    (spectral_norm, (), r"more dimensions when spectral_norm was registered, got shape \(\)"),
    (orthogonal, (3,), r"a matrix or batch of matrices, got shape \(3,\)")])
def test_an_original_of_too_few_dimensions_is_named(register, shape, said):
    layer = register(nn.Linear(3, 4, rng=0), rng=0)
    with pytest.raises(ValueError, match=said):
        functional_call(layer, {"parametrizations.weight.original": np.ones(shape)}, np.ones(3))


@pytest.mark.parametrize("training", [True, False])
def test_removing_iterates_once_more_in_training_mode_only(training):
    layer = spectral_norm(unconverged(), rng=0)
    parameter, v = layer.parametrizations.weight._parameters["original"], None
    last, W = layer.weight, parameter.data
    u, v = layer.parametrizations.weight[0]._u, layer.parametrizations.weight[0]._v
    if training:
        u, v = iterated(W, v)
    layer.train(training)
    remove_parametrizations(layer, "weight")
    assert layer._parameters["weight"] is parameter and type(layer) is nn.Linear
    assert_allclose(layer.weight, W / (u @ W @ v), rtol=1e-13)
    assert (bits(layer.weight) == bits(last)) is not training


def test_two_on_one_weight_and_one_on_the_bias():
    layer = nn.Linear(5, 7, rng=0)
    for name in ("weight", "weight", "bias"):
        assert spectral_norm(layer, name, rng=0) is layer
    assert len(layer.parametrizations.weight) == 2
    for _ in range(200):
        layer.weight
    assert abs(np.linalg.norm(layer.weight, 2) - 1) < 1e-12
    remove_parametrizations(layer, "bias")
    assert "bias" in layer._parameters and is_parametrized(layer, "weight")
    remove_parametrizations(layer, "weight")
    assert not is_parametrized(layer) and type(layer) is nn.Linear
    assert sorted(name for name, _ in layer.named_parameters()) == ["bias", "weight"]


def test_assigning_sets_the_original():
    layer, W = spectral_norm(unconverged(), rng=0), random(4, 3)
    layer.weight = W
    assert bits(layer.parametrizations.weight.original) == bits(W)
    before = snapshot(layer)
    for bad, message in ((np.full((4, 3), np.nan), "the weight must be finite"),
                         (random(3, 3), "shape"), (random(4, 3, dtype=np.float32), "dtype")):
        with pytest.raises(ValueError, match=message):
            layer.weight = bad
    assert snapshot(layer) == before


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", REAL + COMPLEX)
def test_a_zero_weight_stays_zero_and_recovers(training, dtype):
    module = Holder(np.zeros((4, 3), dtype)).train(training)
    spectral_norm(module, rng=0)
    assert_array_equal(module.weight, np.zeros((4, 3)))
    value, gradients = value_and_grad(lambda: anp.sum(anp.real(module.weight)), module)()
    # The zero weight is divided by the constant 1.
    assert_array_equal(gradients["parametrizations.weight.original"], np.ones((4, 3)))
    module.train()
    module.weight = random(4, 3, dtype=dtype)
    for _ in range(100):
        module.weight
    assert abs(np.linalg.norm(module.weight, 2) - 1) < 20 * np.finfo(dtype).eps


def test_a_weight_that_becomes_zero_recovers():
    layer = spectral_norm(unconverged(), rng=0)
    W = layer.parametrizations.weight.original.copy()
    layer.parametrizations.weight.original[:] = 0.0
    for _ in range(3):
        assert_array_equal(layer.weight, np.zeros((4, 3)))
    layer.weight = W
    for _ in range(400):
        layer.weight
    assert_allclose(layer.weight, W / 3.0, rtol=1e-8)


@pytest.mark.parametrize("activations", [0, 3])
def test_spectral_state_restores_the_sequence_of_outputs(activations):
    x, layer = random(2, 3), spectral_norm(unconverged(), rng=0)
    for _ in range(activations):
        layer(x)
    state = layer.state_dict()

    def outputs(layer):
        modes = (False, True, True, False)
        return [bits(layer.train(mode)(x)) for mode in modes]

    expected = outputs(layer)
    assert len(set(map(str, expected))) == 3
    remove_parametrizations(layer, "weight")
    spectral_norm(layer, rng=1)
    layer.load_state_dict(state)
    assert outputs(layer) == expected


def test_spectral_state_loads_in_part():
    layer = spectral_norm(unconverged(), rng=0)
    state = layer.state_dict()
    state["nonsense"] = "nonsense"
    with pytest.raises(RuntimeError, match='Unexpected key.*in state_dict: "nonsense"'):
        layer.load_state_dict(state)
    missing = []
    for key in (None, "parametrizations.weight.original", "parametrizations.weight.0._u",
                "parametrizations.weight.0._v", "bias"):
        if key is not None:
            del state[key]
            missing.append(key)
        before = snapshot(layer)
        keys = layer.load_state_dict(state, strict=False)
        assert sorted(keys.missing_keys) == sorted(missing)
        assert keys.unexpected_keys == ["nonsense"]
        assert snapshot(layer) == before


def test_rng_starts_the_iteration():
    def start(rng):
        return spectral_norm(unconverged(), rng=rng).parametrizations.weight[0]._u

    assert bits(start(1)) == bits(start(1)) == bits(start(np.random.default_rng(1)))
    assert not np.allclose(start(1), start(2), atol=1e-6)


SPECTRAL_ERRORS = {
    "dim": (lambda m: spectral_norm(m, dim=2), IndexError, r"Dimension out of range.*\[-2, 1\].*2"),
    "negative dim": (lambda m: spectral_norm(m, dim=-3), IndexError, "Dimension out of range.*-3"),
    "0 iterations": (lambda m: spectral_norm(m, n_power_iterations=0), ValueError,
                     "n_power_iterations to be positive.*n_power_iterations=0"),
    "-1 iterations": (lambda m: spectral_norm(m, "bias", -1), ValueError, "n_power_iterations=-1"),
    "missing": (lambda m: spectral_norm(m, "foo"), ValueError, "parameter or buffer with name 'foo'"),
    "nan": (lambda m: spectral_norm(m, "nan"), ValueError, "finite"),
}


@pytest.mark.parametrize("case", SPECTRAL_ERRORS)
def test_errors_of_spectral_norm_change_nothing(case):
    call, error, message = SPECTRAL_ERRORS[case]
    layer = unconverged()
    layer.nan = nn.Parameter(np.diag([1.0, np.nan]))
    before = snapshot(layer)
    with pytest.raises(error, match=message):
        call(layer)
    assert snapshot(layer) == before


# -- weight_norm -------------------------------------------------------------------------------------

@pytest.mark.parametrize("shape, dim, expected", [
    # The shapes are PyTorch 2.13's.
    ((5, 4), 0, (5, 1)), ((5, 4), 1, (1, 4)), ((5, 4), None, ()), ((5, 4), -1, ()),
    ((5, 4), -2, (5, 1)),
    ((3, 2, 4), 0, (3, 1, 1)), ((3, 2, 4), 1, (1, 2, 1)), ((3, 2, 4), 2, (1, 1, 4)), ((4,), 0, (4,)),
], ids=str)
@pytest.mark.parametrize("dtype", REAL)
def test_weight_norm_splits_length_and_direction(shape, dim, expected, dtype):
    W = random(*shape, dtype=dtype)
    module = Holder(W.copy())
    weight_norm(module, dim=dim)
    chain = module.parametrizations.weight
    assert chain.original0.shape == expected and chain.original1.shape == shape
    assert chain.original0.dtype == chain.original1.dtype == module.weight.dtype == dtype
    axes = None if dim in (None, -1) else tuple(i for i in range(len(shape)) if i != dim % len(shape))
    lengths = np.sqrt((W.astype(float) ** 2).sum(axes)).reshape(expected)
    assert_allclose(chain.original0, lengths, rtol=4 * np.finfo(dtype).eps)
    assert_array_equal(chain.original1, W)
    assert_allclose(module.weight, W, rtol=4 * np.finfo(dtype).eps)
    chain.original1[...] *= 3
    assert_allclose(module.weight, W, rtol=4 * np.finfo(dtype).eps)
    chain.original0[...] *= 2
    assert_allclose(module.weight, 2 * W, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dim", [0, 1, None])
def test_removing_weight_norm_leaves_the_output(dim):
    layer, x = nn.Linear(4, 5, rng=0), random(3, 4)
    expected = layer(x)
    weight_norm(layer, dim=dim)
    assert_allclose(layer(x), expected, rtol=1e-13)
    remove_parametrizations(layer, "weight")
    assert_allclose(layer(x), expected, rtol=1e-13)
    assert type(layer) is nn.Linear and len(list(layer.parameters())) == 2


def test_assigning_splits_the_value():
    layer = weight_norm(nn.Linear(2, 2, rng=0))
    layer.weight = np.array([[3.0, 4.0], [0.0, -2.0]])
    assert_allclose(layer.parametrizations.weight.original0, [[5.0], [2.0]], rtol=1e-15)
    assert_array_equal(layer.parametrizations.weight.original1, [[3.0, 4.0], [0.0, -2.0]])


@pytest.mark.parametrize("dim", [0, 1, None])
def test_a_zero_slice_stays_zero(dim):
    W = np.array([[0.0, 0.0], [0.0, 5.0]]) if dim is not None else np.zeros((2, 2))
    layer = nn.Linear(2, 2, rng=0)
    layer._parameters["weight"].data = W
    weight_norm(layer, dim=dim)
    assert_array_equal(layer.weight, W)
    _, gradients = value_and_grad(lambda: anp.sum(layer.weight), layer)()
    assert all(np.isfinite(g).all() for g in gradients.values())


def test_the_old_keys_are_understood():
    g, v = np.array([[2.0], [3.0]]), np.array([[3.0, 4.0], [0.0, 1.0]])
    expected = np.array([[1.2, 1.6], [0.0, 3.0]])
    layer = weight_norm(nn.Linear(2, 2, rng=0))
    old = {"weight_g": g, "weight_v": v, "bias": np.zeros(2)}
    assert layer.load_state_dict(old) == ([], [])
    assert sorted(old) == ["bias", "weight_g", "weight_v"]
    assert_allclose(layer.weight, expected, rtol=1e-15)

    inner = weight_norm(nn.Linear(2, 2, rng=0)), weight_norm(nn.Linear(2, 2, rng=0), "bias")
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Sequential(*inner))
    state = model.state_dict()
    for i, name, values in ((0, "weight", (g, v)), (1, "bias", (np.full(2, 6.0), np.array([1.0, -1])))):
        for j, letter in enumerate("gv"):
            del state[f"1.{i}.parametrizations.{name}.original{j}"]
            state[f"1.{i}.{name}_{letter}"] = values[j]
    assert model.load_state_dict(state) == ([], [])
    assert_allclose(model[1][0].weight, expected, rtol=1e-15)
    assert_allclose(model[1][1].bias, [6.0, -6.0], rtol=1e-15)


def test_the_old_keys_of_a_layer_with_two_names_are_understood():
    layer = weight_norm(nn.Linear(2, 2, bias=False, rng=0))
    model = nn.Sequential(layer, layer)
    old = {f"{i}.weight_{letter}": value for i in range(2)
           for letter, value in (("g", np.full((2, 1), 3.0)), ("v", np.eye(2)))}
    assert model.load_state_dict(old) == ([], [])
    assert_array_equal(layer.weight, 3 * np.eye(2))


def test_half_of_the_old_keys_is_an_error():
    layer = weight_norm(nn.Linear(2, 2, rng=0))
    before, state = snapshot(layer), layer.state_dict()
    del state["parametrizations.weight.original0"]
    state["weight_g"] = np.ones((2, 1))
    with pytest.raises(RuntimeError, match='(?s)Missing.*weight.original0".*Unexpected.*"weight_g"'):
        layer.load_state_dict(state)
    assert snapshot(layer) == before


def test_a_copy_understands_the_old_keys():
    layer = weight_norm(nn.Linear(2, 2, rng=0))
    twin = copy.deepcopy(layer)
    twin.load_state_dict({"weight_g": np.ones((2, 1)), "weight_v": np.eye(2), "bias": np.zeros(2)})
    assert_array_equal(twin.weight, np.eye(2))
    assert not np.allclose(layer.weight, np.eye(2))


def test_weight_norm_on_top_of_a_parametrization_is_refused_or_works():
    # PyTorch registers it and fails at the first reading.
    layer = register_parametrization(nn.Linear(2, 2, rng=0), "weight", nn.Identity())
    try:
        weight_norm(layer)
    except ValueError:
        assert len(layer.parametrizations.weight) == 1
    assert layer.weight.shape == (2, 2)


WEIGHT_NORM_ERRORS = {
    "dim": (lambda m: weight_norm(m, dim=2), IndexError, r"Dimension out of range.*\[-2, 1\].*2"),
    "negative dim": (lambda m: weight_norm(m, dim=-3), IndexError, "Dimension out of range.*-3"),
    "missing": (lambda m: weight_norm(m, "foo"), ValueError, "'foo'"),
    "complex": (lambda m: weight_norm(m, "complex"), ValueError, "real weight, got complex128"),
    "int": (lambda m: weight_norm(m, "int"), ValueError, "real weight, got int64"),
    "nan": (lambda m: weight_norm(m, "nan"), ValueError, "finite"),
}


@pytest.mark.parametrize("case", WEIGHT_NORM_ERRORS)
def test_errors_of_weight_norm_change_nothing(case):
    call, error, message = WEIGHT_NORM_ERRORS[case]
    layer = nn.Linear(3, 4, rng=0)
    layer.complex = nn.Parameter(np.eye(3, dtype=complex))
    layer.nan = nn.Parameter(np.diag([1.0, np.nan]))
    layer.register_buffer("int", np.eye(3, dtype=int))
    before = snapshot(layer)
    with pytest.raises(error, match=message):
        call(layer)
    assert snapshot(layer) == before and not layer._load_state_dict_pre_hooks


@pytest.mark.parametrize("g", [np.ones(3), np.ones((1, 3)), np.ones((3, 3)), np.ones(())])
def test_weight_norm_wants_one_length_for_each_direction(g):
    # They would be broadcast: np.ones(3) along the rows, to lengths of columns.
    layer = weight_norm(nn.Linear(3, 3, rng=0))
    with pytest.raises(ValueError, match=r"original0 must have shape \(3, 1\), got"):
        functional_call(layer, {"parametrizations.weight.original0": g}, np.ones(3))


def test_weight_norm_refuses_a_weight_that_became_complex():
    # PyTorch 2.13: NotImplementedError, '"weight_norm_kernel" not implemented for 'ComplexDouble''
    layer = weight_norm(nn.Linear(3, 4, rng=0)).to(np.complex128)
    with pytest.raises(ValueError, match="real weight, got complex128"):
        layer.weight


# -- beyond PyTorch: unitary_householder, assignment without trivialization --------------------------

@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("trivial", [True, False])
def test_householder_still_refuses_complex_matrices(dtype, trivial):
    module = Holder(random(4, 3, dtype=dtype))
    before = snapshot(module)
    with pytest.raises(ValueError, match="householder parametrization does not support complex"):
        orthogonal(module, "weight", "householder", use_trivialization=trivial)
    assert snapshot(module) == before


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 5, 3)], ids=str)
@pytest.mark.parametrize("orthogonal_map, trivial", [
    ("unitary_householder", True), ("unitary_householder", False), ("cayley", False),
    ("matrix_exp", False)])
def test_a_state_dict_restores_an_assigned_weight(orthogonal_map, trivial, shape, dtype):
    module = made(orthogonal_map, trivial, shape, dtype)
    module.weight = Q = core.cayley(random(*shape, dtype=dtype, seed=8))
    twin = made(orthogonal_map, trivial, shape, dtype)
    twin.load_state_dict(module.state_dict())
    assert bits(twin.weight) == bits(module.weight)
    X = module.parametrizations.weight.original
    assert_allclose(twin.weight, Q, rtol=0, atol=100 * np.finfo(dtype).eps * max(1, np.linalg.norm(X)))


def test_the_phases_of_unitary_householder_are_trained():
    """To a diagonal unitary matrix, which reflectors with fixed signs do not reach."""
    module = orthogonal(Holder(np.eye(2, dtype=complex)), "weight", "unitary_householder",
                        use_trivialization=False)
    target = np.diag(np.exp([1j, -2j]))
    parameter = module.parametrizations.weight._parameters["original"]
    for _ in range(200):
        value, gradients = value_and_grad(
            lambda: anp.sum(anp.abs(module.weight - target)**2), module)()
        parameter.data = parameter.data - 0.3 * gradients["parametrizations.weight.original"]
    assert value < 1e-20
    assert np.all(np.abs(np.diagonal(parameter.data)) >= 1)


@pytest.mark.parametrize("orthogonal_map, value", [
    ("cayley", np.diag([1.0, -1.0, 1.0])), ("matrix_exp", np.diag([1.0, -1.0, 1.0])),
    ("cayley", -np.eye(3)), ("cayley", np.diag([1.0, np.nan, 1.0])),
    ("matrix_exp", np.diag([1.0, np.inf, 1.0])), ("matrix_exp", np.eye(3, 2)),
    ("cayley", np.eye(2)), ("unitary_householder", np.diag([1.0, np.nan, 1.0])),
], ids=str)
def test_a_failing_assignment_changes_nothing(orthogonal_map, value):
    module = made(orthogonal_map, False, (3, 3), np.float64)
    before, weight = snapshot(module), bits(module.weight)
    with pytest.raises(ValueError):
        module.weight = value
    assert snapshot(module) == before and bits(module.weight) == weight


@pytest.mark.parametrize("orthogonal_map", ["cayley", "matrix_exp"])
def test_assigning_through_a_chain(orthogonal_map):
    module = orthogonal(Holder(random(5, 3)), "weight", orthogonal_map, use_trivialization=False)
    register_parametrization(module, "weight", Double())
    Q = core.cayley(0.2 * random(5, 3, seed=4))
    module.weight = 2 * Q
    assert_allclose(module.weight, 2 * Q, rtol=0, atol=1e-14)
    assert_allclose(module.parametrizations.weight.original[1:, 0], getattr(
        core, orthogonal_map + "_inverse")(Q)[1:, 0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("orthogonal_map", ["cayley", "matrix_exp"])
def test_a_further_registration_does_not_invert(orthogonal_map):
    """As in PyTorch: the map is put on top, `original` stays."""
    module = register_parametrization(Holder(random(4, 4)), "weight", Double())
    before = bits(module.parametrizations.weight.original)
    weight = np.array(module.weight)
    orthogonal(module, "weight", orthogonal_map, use_trivialization=False)
    assert bits(module.parametrizations.weight.original) == before
    assert_array_equal(module.weight, getattr(maps, orthogonal_map)(weight))
