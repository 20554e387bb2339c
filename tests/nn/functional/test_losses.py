"""Losses against their definitions and 50 digits; their derivatives; what they do far out."""
import autograd.numpy as anp
import mpmath
import numpy as np
import pytest
import scipy.special
from autograd import grad, make_jvp

from orthonorm.nn import functional as F
from tests.differences import CHECKS
from tests.helpers import REAL, assert_within, eps, sample
from tests.nn.packing import gradients, packed, point

mpmath.mp.dps = 50
REDUCTIONS = ["mean", "sum", "none"]
reductions = pytest.mark.parametrize("reduction", REDUCTIONS)
real = pytest.mark.parametrize("dtype", REAL)


def reduced(losses, reduction, count=None):
    if reduction == "none":
        return losses
    return losses.sum() / (1 if reduction == "sum" else losses.size if count is None else count)


def probabilities(shape, seed=0):
    p = np.random.default_rng(seed).exponential(size=shape)
    return p / p.sum(axis=1, keepdims=True)


# -- mse_loss ----------------------------------------------------------------------------------------

@real
@reductions
def test_mse_loss(reduction, dtype):
    x, t = sample((3, 4), dtype), sample((3, 4), dtype, 1)
    loss = F.mse_loss(x, t, reduction)
    assert loss.dtype == dtype
    assert_within(loss, reduced((x.astype(float) - t) ** 2, reduction), 60 * eps(dtype))


def test_mse_loss_warns_where_shapes_differ():
    with pytest.warns(UserWarning, match=r"target has shape \(4,\) and input \(3, 4\)") as warned:
        assert F.mse_loss(np.ones((3, 4)), np.zeros(4)) == 1
    assert warned[0].filename == __file__  # the line of the caller


# -- cross_entropy -----------------------------------------------------------------------------------

def by_definition(x, t, weight=None, ignore_index=-100, label_smoothing=0.0):
    """Return the loss of each sample and position, and the weight it has in the mean."""
    classes = x.shape[1]
    weight = np.ones(classes) if weight is None else weight
    losses, weights = np.zeros((2, len(x), *x.shape[2:]))
    for at in np.ndindex(losses.shape):
        logits = x[at[0], :, *at[1:]].astype(float)
        if t.shape == x.shape:
            p, weights[at] = t[at[0], :, *at[1:]], 1
        elif t[at] == ignore_index:
            continue
        else:
            p, weights[at] = np.eye(classes)[t[at]], weight[t[at]]
        p = (1 - label_smoothing) * p + label_smoothing / classes
        losses[at] = -np.sum(weight * p * scipy.special.log_softmax(logits))
    return losses, weights


OPTIONS = [{}, {"weight": np.array([0.5, 2, 1, 0.1])}, {"ignore_index": 2}, {"label_smoothing": 0.3},
           {"weight": np.array([0.5, 2, 1, 0.1]), "ignore_index": 0, "label_smoothing": 0.1},
           {"label_smoothing": 1.0}]


@real
@reductions
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "plain")
@pytest.mark.parametrize("shape", [(6, 4), (2, 4, 3), (2, 4, 3, 2)], ids=str)
def test_cross_entropy_of_classes(shape, options, reduction, dtype):
    x = sample(shape, dtype)
    t = np.random.default_rng(0).integers(0, 4, shape[:1] + shape[2:])
    losses, weights = by_definition(x, t, **options)
    loss = F.cross_entropy(x, t, reduction=reduction, **options)
    assert (loss.dtype == dtype) or "weight" in options
    assert_within(loss, reduced(losses, reduction, weights.sum()), 60 * eps(dtype))


@real
@reductions
@pytest.mark.parametrize("options", [o for o in OPTIONS if "ignore_index" not in o], ids=str)
@pytest.mark.parametrize("shape", [(6, 4), (2, 4, 3)], ids=str)
def test_cross_entropy_of_probabilities(shape, options, reduction, dtype):
    x, t = sample(shape, dtype), probabilities(shape).astype(dtype)
    losses, weights = by_definition(x, t, **options)
    loss = F.cross_entropy(x, t, reduction=reduction, **options)
    assert_within(loss, reduced(losses, reduction, weights.sum()), 60 * eps(dtype))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_classes_may_be_any_integers(dtype):
    x = sample((2, 4))
    assert F.cross_entropy(x, np.array([3, 1], dtype)) == F.cross_entropy(x, np.array([3, 1]))


@reductions
def test_a_single_sample_needs_no_batch(reduction):
    x = sample((4,))
    one = F.cross_entropy(x[None], np.array([2]))
    assert F.cross_entropy(x, np.array(2), reduction=reduction) == one
    assert F.cross_entropy(x, 2, reduction=reduction).shape == ()
    p = probabilities((1, 4))
    assert F.cross_entropy(x, p[0], reduction=reduction) == F.cross_entropy(x[None], p)


def test_masked_classes_and_ignored_samples_do_no_harm():
    """A logit of minus infinity says that a class is excluded; the others' loss does not see it."""
    x = np.array([[0.0, 1.0, -np.inf], [-np.inf, 3.0, 3.0]])
    t = np.array([1, -100])
    assert_within(F.cross_entropy(x, t), np.log1p(np.exp(-1)), 1e-15)
    g = grad(lambda x: F.cross_entropy(x, t))(x)
    assert_within(g, [[1 / (1 + np.e), -1 / (1 + np.e), 0], [0, 0, 0]], 1e-15)


@reductions
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_ignored_samples_count_nothing_whatever_they_hold(bad, smoothing, reduction):
    """PyTorch's value is the same; its gradient is NaN there."""
    x, t = sample((3, 4)), np.array([1, -100, 2])
    x[1, 2:] = bad
    weight = np.array([np.inf, 2.0, 0.5, 1.0]) if not smoothing else None  # that of class 0 is not used

    def loss(x, t, reduction):
        return F.cross_entropy(x, t, weight, reduction=reduction, label_smoothing=smoothing)
    expected = loss(x[::2], t[::2], reduction)
    found = loss(x, t, reduction)
    np.testing.assert_array_equal(found[::2] if reduction == "none" else found, expected)
    assert reduction != "none" or found[1] == 0
    g = grad(lambda x: anp.sum(loss(x, t, reduction)))(x)
    np.testing.assert_array_equal(g[::2], grad(lambda x: anp.sum(loss(x, t[::2], reduction)))(x[::2]))
    np.testing.assert_array_equal(g[1], np.zeros(4))


def test_an_infinite_weight_does_not_reach_an_ignored_sample():
    weight = np.array([np.inf, 1.0])
    assert F.cross_entropy(np.zeros(2), -100, weight, reduction="sum", label_smoothing=0.1) == 0


def test_binary_cross_entropy_at_infinity():
    for x, t in ((-np.inf, 1.0), (np.inf, 0.0), (-np.inf, 0.5)):
        assert F.binary_cross_entropy_with_logits(np.array(x), np.array(t)) == np.inf


@real
def test_cross_entropy_does_not_overflow(dtype):
    x = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype)
    loss = F.cross_entropy(x, np.array([1, 2]), reduction="none")
    assert_within(loss, [2e4, np.log(2)], 2e4 * eps(dtype))
    g = grad(lambda x: F.cross_entropy(x, np.array([1, 2]), reduction="sum"))(x)
    np.testing.assert_array_equal(g, [[1, -1, 0], [0, 0.5, -0.5]])


@pytest.mark.parametrize("t", [np.full(3, -100), np.zeros(0, int)], ids=["all ignored", "none"])
def test_the_mean_of_no_losses_is_nan_and_the_sum_zero(t):
    x = sample((len(t), 4))
    assert np.isnan(F.cross_entropy(x, t)) and F.cross_entropy(x, t, reduction="sum") == 0
    # PyTorch 2.13: zeros
    assert not np.any(grad(lambda x: F.cross_entropy(x, t))(x))


# -- binary cross-entropy ----------------------------------------------------------------------------

@real
@reductions
@pytest.mark.parametrize("options", [
    {}, {"weight": np.array([[0.5], [2], [1]])}, {"pos_weight": np.array([3, 0.5, 1, 2])},
    {"weight": np.array([0.5, 1, 1, 2]), "pos_weight": np.full((3, 4), 2.0)}], ids="+".join)
def test_binary_cross_entropy(options, reduction, dtype):
    x, t = sample((3, 4), dtype), np.random.default_rng(0).uniform(size=(3, 4)).astype(dtype)
    s = scipy.special.expit(x.astype(float))
    losses = -options.get("weight", 1) * (options.get("pos_weight", 1) * t * np.log(s)
                                          + (1 - t) * np.log1p(-s))
    loss = F.binary_cross_entropy_with_logits(x, t, reduction=reduction, **options)
    assert_within(loss, reduced(losses, reduction), 60 * eps(dtype))


@real
@pytest.mark.parametrize("t", [0.0, 1.0, 0.25])
@pytest.mark.parametrize("x", [-1e4, -80.0, -30.0, -1.0, 0.0, 2.0, 35.0, 80.0, 1e4])
def test_binary_cross_entropy_keeps_every_digit(x, t, dtype):
    x = dtype(x)
    exact = (t * mpmath.log1p(mpmath.exp(-mpmath.mpf(float(x))))
             + (1 - t) * mpmath.log1p(mpmath.exp(mpmath.mpf(float(x)))))
    ours = F.binary_cross_entropy_with_logits(x, dtype(t))
    assert abs(ours - exact) <= 4 * eps(dtype) * exact + np.finfo(dtype).tiny
    slope = grad(F.binary_cross_entropy_with_logits)(np.array(x), np.array(dtype(t)))
    positive = 1 / (1 + mpmath.exp(-mpmath.mpf(float(x))))
    assert slope.dtype == dtype
    assert abs(slope - (positive - t)) <= 4 * eps(dtype)


def test_integer_labels():
    x = sample((5,), np.float32)
    loss = F.binary_cross_entropy_with_logits(x, np.array([0, 1, 1, 0, 1]))
    assert loss.dtype == np.float32
    assert loss == F.binary_cross_entropy_with_logits(x, np.array([0, 1, 1, 0, 1], np.float32))


# -- derivatives -------------------------------------------------------------------------------------

CLASSES = np.array([2, 0, 3])
WEIGHT = np.array([0.5, 2, 1, 0.1])
DERIVED = {
    "mse": (F.mse_loss, [(2, 3), (2, 3)]),
    "mse, none": (lambda x, t: F.mse_loss(x, t, "none"), [(2, 3), (2, 3)]),
    "classes": (lambda x: F.cross_entropy(x, CLASSES, WEIGHT, 0, label_smoothing=0.2), [(3, 4)]),
    "classes, weight": (lambda w: F.cross_entropy(sample((3, 4)), CLASSES, 2 + w * w), [(4,)]),
    "classes, none": (lambda x: F.cross_entropy(x, CLASSES[None], reduction="none"), [(1, 4, 3)]),
    "probabilities": (lambda x, t: F.cross_entropy(x, t, WEIGHT, label_smoothing=0.2),
                      [(2, 4), (2, 4)]),
    "binary": (lambda x, t: F.binary_cross_entropy_with_logits(x, t, WEIGHT, "sum", 2 * WEIGHT),
               [(3, 4), (3, 4)]),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", DERIVED)
def test_derivatives(name, check):
    function, shapes = DERIVED[name]
    f = packed(function, *shapes)
    CHECKS[check](lambda X: f(X) * anp.sum(X * X), point(*shapes))  # bent, where mse's slope is not


@pytest.mark.parametrize("loss, arguments", [
    (F.mse_loss, [sample((3, 4)), sample((3, 4))]),
    (lambda x: F.cross_entropy(x, CLASSES, WEIGHT.astype(np.float32), 0, label_smoothing=0.2),
     [sample((3, 4))]),
    (F.cross_entropy, [sample((3, 4)), probabilities((3, 4))]),
    (F.binary_cross_entropy_with_logits, [sample((3, 4)), probabilities((3, 4))]),
], ids=["mse", "classes", "probabilities", "binary"])
def test_single_precision_stays(loss, arguments):
    arguments = [a.astype(np.float32) for a in arguments]
    value, found = gradients(loss, arguments, np.float32(1))
    assert value.dtype == np.float32
    assert all(g.dtype == np.float32 for g in found)
    value, tangent = make_jvp(loss)(*arguments)(arguments[0])
    assert value.dtype == tangent.dtype == np.float32


@pytest.mark.parametrize("loss", [F.mse_loss, F.binary_cross_entropy_with_logits])
def test_targets_of_another_precision(loss):
    """The loss has the larger precision, as in PyTorch; each gradient that of its argument."""
    x, t = sample((3,), np.float32), probabilities((1, 3))[0]
    value, found = gradients(loss, (x, t), np.float64(1))
    assert value.dtype == np.float64
    assert [g.dtype for g in found] == [np.float32, np.float64]


# -- errors ------------------------------------------------------------------------------------------

X, T, P = np.zeros((3, 4)), np.zeros(3, int), np.full((3, 4), 0.25)
ERRORS = [
    (F.mse_loss, (X, X), {"reduction": "max"}, ValueError, "max is not a valid value for reduction"),
    (F.mse_loss, (X, X[:, :2]), {}, RuntimeError, r"shape \(3, 4\) and target of shape \(3, 2\)"),
    (F.cross_entropy, (X, T), {"reduction": "max"}, ValueError, "max is not a valid value"),
    (F.cross_entropy, (X, T), {"label_smoothing": 1.5}, RuntimeError, "label_smoothing must be from 0"),
    (F.cross_entropy, (X, T), {"label_smoothing": -1}, RuntimeError, "label_smoothing must be from 0"),
    (F.cross_entropy, (X, T), {"weight": np.ones(3)}, RuntimeError, r"weight must have shape \(4,\)"),
    (F.cross_entropy, (X, T[:2]), {}, ValueError, "as many samples as target"),
    (F.cross_entropy, (X, T + 0.0), {}, RuntimeError, "target must hold integer classes"),
    (F.cross_entropy, (X, T == 0), {}, RuntimeError, "target must hold integer classes"),
    (F.cross_entropy, (X, T + 4), {}, IndexError, "target must hold classes from 0 to 3, got 4 to 4"),
    (F.cross_entropy, (X, T - 1), {}, IndexError, "got -1 to -1"),
    (F.cross_entropy, (X, P.astype(int)), {}, RuntimeError, "must hold float probabilities"),
    (F.cross_entropy, (X, P[:, :2]), {}, RuntimeError, "a class for each sample and position"),
    (F.cross_entropy, (X[..., None], T), {}, RuntimeError, "a class for each sample and position"),
    (F.cross_entropy, (X, P), {"ignore_index": 1}, RuntimeError, "does not go with probabilities"),
    (F.cross_entropy, (np.zeros(()), np.zeros((), int)), {}, RuntimeError, "a dimension of classes"),
    (F.binary_cross_entropy_with_logits, (X, X[:, :1]), {}, ValueError, "target must have the shape"),
    (F.binary_cross_entropy_with_logits, (X, P), {"reduction": "max"}, ValueError, "max is not"),
    (F.binary_cross_entropy_with_logits, (X, P), {"weight": np.ones(3)}, RuntimeError,
     "weight must broadcast to the shape of input"),
    (F.binary_cross_entropy_with_logits, (X, P), {"pos_weight": np.ones((2, 3, 4))}, RuntimeError,
     "pos_weight must broadcast to the shape of input"),
]


@pytest.mark.parametrize("loss, arguments, options, error, message", ERRORS)
def test_errors(loss, arguments, options, error, message):
    with pytest.raises(error, match=message):
        loss(*arguments, **options)
