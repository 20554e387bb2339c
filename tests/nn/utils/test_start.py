"""``orthogonal(start=...)``: where the weight starts. tests/core/test_starts.py has the laws."""
import autograd.numpy as anp
import numpy as np
import pytest

from orthonorm import core, nn
from orthonorm.func import value_and_grad
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm
from tests.helpers import assert_within, eps, is_complex, sample

from ..snapshots import snapshot

MAPS = ("matrix_exp", "cayley", "householder")
DRAWS = {"haar": core.haar, "torus": core.torus}
SHAPES = {"haar": [(5, 5), (7, 3), (3, 7), (2, 4, 3), (2, 3, 4)], "torus": [(5, 5), (4, 4), (2, 3, 3)]}
CASES = [(start, shape) for start, shapes in SHAPES.items() for shape in shapes]

cases = pytest.mark.parametrize("start, shape", CASES, ids=str)


class Holder(nn.Module):
    def __init__(self, weight, buffer=False):
        super().__init__()
        if buffer:
            self.register_buffer("weight", weight)
        else:
            self.weight = nn.Parameter(weight)


@cases
@pytest.mark.parametrize("orthogonal_map", MAPS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128, np.complex64])
def test_the_weight_starts_at_the_draw(start, shape, orthogonal_map, dtype):
    if orthogonal_map == "householder" and is_complex(dtype):
        return
    module = orthogonal(Holder(sample(shape, dtype)), "weight", orthogonal_map, start=start, rng=3)
    assert module.weight.dtype == dtype
    assert_within(module.weight, DRAWS[start](shape, dtype, rng=3), 20 * eps(dtype))
    assert_within(module.parametrizations.weight.original, -np.eye(*shape[-2:]) + np.zeros(shape) * (
        1j if is_complex(dtype) else 1), 0)


@cases
def test_householder_reaches_every_start_without_a_base(start, shape):
    for seed in range(4):  # of either determinant
        module = orthogonal(Holder(sample(shape)), "weight", "householder", use_trivialization=False,
                            start=start, rng=seed)
        assert_within(module.weight, DRAWS[start](shape, rng=seed), 1e-14)


@cases
@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley"])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_without_a_base_the_start_is_the_draw_or_a_rotation(start, shape, orthogonal_map, dtype):
    for seed in range(4):
        module = orthogonal(Holder(sample(shape, dtype)), "weight", orthogonal_map,
                            use_trivialization=False, start=start, rng=seed)
        Q = DRAWS[start](shape, dtype, rng=seed)
        if shape[-1] == shape[-2] and not is_complex(dtype):  # uniform on O(n) -> uniform on SO(n)
            Q[..., 0] *= np.sign(np.linalg.det(Q))[..., None]
        X = module.parametrizations.weight.original
        assert_within(module.weight, Q, 1e-14 * max(1, np.max(np.abs(X))) ** 2)


@cases
@pytest.mark.parametrize("trivial", [True, False])
def test_unitary_householder_starts_at_the_draw(start, shape, trivial):
    module = orthogonal(Holder(sample(shape, complex)), "weight", "unitary_householder",
                        use_trivialization=trivial, start=start, rng=3)
    assert_within(module.weight, DRAWS[start](shape, complex, rng=3), 1e-14)


def test_both_determinants_occur_with_a_base():
    weights = [orthogonal(nn.Linear(4, 4), start="haar", rng=seed).weight for seed in range(20)]
    assert {round(np.linalg.det(W)) for W in weights} == {-1, 1}


def test_a_buffer_can_start_too():
    module = orthogonal(Holder(sample((4, 4)), buffer=True), start="torus", rng=0)
    assert_within(module.weight, core.torus((4, 4), rng=0), 1e-15)


def test_the_present_weight_does_not_matter():
    zero, identity = (orthogonal(Holder(W), start="haar", rng=1)
                      for W in (np.zeros((4, 3)), np.eye(4, 3)))
    np.testing.assert_array_equal(zero.weight, identity.weight)


@pytest.mark.parametrize("start", [None, "haar"])
def test_the_parameter_keeps_its_identity(start):
    module = Holder(sample((4, 3)))
    parameter = module._parameters["weight"]
    orthogonal(module, start=start, rng=0)
    assert module.parametrizations.weight._parameters["original"] is parameter


def test_without_a_start_rng_draws_nothing():
    rng = np.random.default_rng(0)
    a, b = (orthogonal(Holder(sample((4, 3))), rng=given) for given in (rng, 1))
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state
    np.testing.assert_array_equal(a.weight, b.weight)


def test_training_moves_on_from_the_start():
    module = orthogonal(Holder(sample((4, 4))), start="haar", rng=0)

    def distance():
        return anp.sum((module.weight - sample((4, 4))) ** 2)

    first, gradients = value_and_grad(distance, module)()
    parameter = module.parametrizations.weight._parameters["original"]
    parameter.data = parameter.data - 0.1 * gradients["parametrizations.weight.original"]
    assert distance() < first


def test_a_start_assigned_by_hand_is_the_same():
    by_hand = orthogonal(nn.Linear(4, 4, rng=0))
    by_hand.weight = core.haar((4, 4), rng=2)
    np.testing.assert_array_equal(
        orthogonal(nn.Linear(4, 4, rng=0), start="haar", rng=2).weight, by_hand.weight)


def square():
    return Holder(sample((3, 3)))


REFUSED = {
    "unknown": (square(), {"start": "uniform"}, "start has to be None"),
    "not square": (Holder(sample((4, 3))), {"start": "torus"}, r"square matrices, got shape \(4, 3\)"),
    "on top": (spectral_norm(square(), rng=0), {"start": "haar"}, "first parametrization"),
}


@pytest.mark.parametrize("module, arguments, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_start_is_refused_and_changes_nothing(module, arguments, message):
    before = snapshot(module)
    with pytest.raises(ValueError, match=message):
        orthogonal(module, **arguments)
    assert snapshot(module) == before


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (2, 4, 3)], ids=str)
@pytest.mark.parametrize("orthogonal_map", MAPS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
def test_the_nearest_start_is_the_polar_factor(shape, orthogonal_map, dtype):
    if orthogonal_map == "householder" and is_complex(dtype):
        return
    W = sample(shape, dtype)
    module = orthogonal(Holder(W), "weight", orthogonal_map, start="nearest")
    assert module.weight.dtype == dtype
    assert_within(module.weight, core.polar(W), 20 * eps(dtype))
    assert np.linalg.norm(W - module.weight) < np.linalg.norm(W - core.orthonormalize(W))


@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley"])
def test_without_a_base_the_nearest_start_is_the_nearest_rotation(orthogonal_map):
    """Its squared distance, of the singular values s from 1, is that with s_n < 0 if det < 0."""
    signs = set()
    for seed in range(6):
        W = sample((4, 4), seed=seed)
        module = orthogonal(Holder(W), "weight", orthogonal_map, use_trivialization=False,
                            start="nearest")
        signs.add(np.sign(np.linalg.det(W)))
        s = np.linalg.svd(W, compute_uv=False)
        s[-1] *= np.sign(np.linalg.det(W))
        assert abs(np.linalg.det(module.weight) - 1) < 1e-10
        assert abs(np.linalg.norm(W - module.weight) - np.linalg.norm(s - 1)) < 1e-9
    assert signs == {-1, 1}


def test_an_orthogonal_weight_is_its_own_nearest_start():
    Q = core.haar((6, 4), rng=5)
    assert_within(orthogonal(Holder(Q), start="nearest").weight, Q, 1e-14)
