"""equivalence.compare_modules on models of PyTorch: right ones, and one that is wrong on purpose."""
import copy

import numpy as np
import pytest
import torch

from orthonorm import nn
from orthonorm.equivalence import compare_modules
from orthonorm.gradients import stop_gradient
from orthonorm.nn.utils import parametrizations
from torch.nn.utils import parametrizations as torch_parametrizations

OURS, THEIRS = (nn, parametrizations), (torch.nn, torch_parametrizations)
FLOATS = ((np.float32, torch.float32), (np.float64, torch.float64))


def recurrent(library, norms, dtype, **options):
    return norms.orthogonal(library.RNN(3, 8, num_layers=2, dtype=dtype), "weight_hh_l0", **options)


def critic(library, norms, dtype):
    return library.Sequential(
        norms.spectral_norm(library.Conv2d(1, 4, 3, stride=2, dtype=dtype)), library.LeakyReLU(0.2),
        library.Flatten(), norms.spectral_norm(library.Linear(36, 1, dtype=dtype)))


def classifier(library, norms, dtype):
    return library.Sequential(
        norms.weight_norm(library.Conv2d(1, 4, 3, stride=2, dtype=dtype)), library.ReLU(),
        library.Flatten(), norms.weight_norm(library.Linear(36, 10, dtype=dtype), dim=None))


def input_of(make):
    shape = (12, 4, 3) if make is recurrent else (5, 1, 8, 8)
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("dtypes", FLOATS, ids=["float32", "float64"])
@pytest.mark.parametrize("make", [recurrent, critic, classifier])
def test_right_models_are_equal(make, dtypes, train):
    ours, theirs = make(*OURS, dtypes[0]), make(*THEIRS, dtypes[1])
    comparison = compare_modules(ours, theirs, input_of(make), train=train)
    assert comparison.passed, comparison
    names = [array.name for array in comparison.arrays]
    assert "gradient of input 0" in names
    assert set(names) >= {f"gradient of {name}" for name, _ in theirs.named_parameters()}
    assert set(names) >= {f"buffer {name}" for name, _ in theirs.named_buffers()}
    assert [array.verdict for array in comparison.arrays].count("rounding") == 0
    for array in comparison.arrays:
        if dtypes[0] is np.float64:
            assert array.our_error is array.their_error is None
        else:  # what rounding to 24 bits may do
            assert 0 <= array.our_error < 1e-4 and 0 <= array.their_error < 1e-4
    text = str(comparison)
    assert text.endswith(f"{len(names)} arrays: equal within rounding")
    assert ("nearer to double precision: ours " in text) == (dtypes[0] is np.float32)


def test_nothing_of_theirs_is_moved_and_ours_has_their_weights():
    ours, theirs = critic(*OURS, np.float32), critic(*THEIRS, torch.float32)
    theirs[0].eval()
    before = copy.deepcopy(theirs.state_dict())
    assert compare_modules(ours, theirs, input_of(critic), train=True).passed
    for key, value in theirs.state_dict().items():
        assert torch.equal(value, before[key])
        np.testing.assert_array_equal(ours.state_dict()[key], value.numpy())
    assert theirs.training and not theirs[0].training and ours.training
    assert all(parameter.grad is None for parameter in theirs.parameters())


def test_in_training_mode_the_vectors_have_moved_in_both():
    """The buffers compared are those after the call: once moved, and in evaluation mode not at all."""
    ours, theirs = critic(*OURS, np.float64), critic(*THEIRS, torch.float64)
    moved = copy.deepcopy(theirs)
    moved.train()(torch.from_numpy(input_of(critic)))
    key = "0.parametrizations.weight.0._u"
    for train in (True, False):
        comparison = compare_modules(ours, theirs, input_of(critic), train=train)
        u, = [array for array in comparison.arrays if array.name == f"buffer {key}"]
        assert u.verdict == "equal"
    assert not torch.equal(moved.state_dict()[key], theirs.state_dict()[key])


@pytest.mark.parametrize("dtypes", FLOATS, ids=["float32", "float64"])
def test_a_model_that_is_wrong_on_purpose(dtypes):
    """Another map: cayley for PyTorch's default, matrix_exp."""
    ours = recurrent(*OURS, dtypes[0], orthogonal_map="cayley")
    theirs = recurrent(*THEIRS, dtypes[1])
    with torch.no_grad():  # at the start the maps are the same
        theirs.parametrizations.weight_hh_l0.original.normal_()
    comparison = compare_modules(ours, theirs, input_of(recurrent))
    assert not comparison.passed
    assert comparison.first_difference.name == "output 0"
    assert comparison.first_difference.verdict.startswith("differs by ")
    assert "arrays differ; the first: output 0: differs by " in str(comparison)


class Shifted(nn.Linear):
    """Its output is right; its gradient in the bias is not."""

    def forward(self, x):
        return super().forward(x) + (self.bias - stop_gradient(self.bias))


@pytest.mark.parametrize("scale", [1.0, 1e-7, 1e-10])
def test_a_wrong_gradient_is_the_first_difference_however_small(scale):
    ours, theirs = Shifted(3, 2, dtype=np.float32), torch.nn.Linear(3, 2)
    comparison = compare_modules(ours, theirs, np.ones((4, 3)), loss=lambda y: scale * (y ** 2).sum())
    assert comparison.first_difference.name == "gradient of bias"
    assert comparison.first_difference.verdict == "differs by 1.0e+00, and not by rounding"


def test_ours_in_another_dtype_is_run_in_theirs():
    ours, theirs = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    comparison = compare_modules(ours, theirs, torch.ones(4, 3))
    assert comparison.passed and ours.weight.dtype == np.float64
    assert "float32, eval" in comparison.against


def test_complex_models_integers_and_frozen_parameters():
    ours = parametrizations.orthogonal(nn.Linear(3, 3, dtype=np.complex64))
    theirs = torch_parametrizations.orthogonal(torch.nn.Linear(3, 3, dtype=torch.complex64))
    comparison = compare_modules(ours, theirs, np.ones((2, 3), np.complex64))
    assert comparison.passed, comparison
    ours, theirs = nn.Embedding(5, 3), torch.nn.Embedding(5, 3)
    comparison = compare_modules(ours, theirs, np.array([1, 4, 4]))
    assert comparison.passed and [x.name for x in comparison.arrays] == ["output", "gradient of weight"]
    theirs.weight.requires_grad_(False)
    comparison = compare_modules(ours, theirs, np.array([1, 4, 4]), loss=lambda y: y.sum())
    assert comparison.first_difference.verdict == "PyTorch has none"


def test_what_cannot_be_compared():
    with pytest.raises(TypeError, match="theirs must be a torch.nn.Module, got Linear"):
        compare_modules(nn.Linear(3, 2), nn.Linear(3, 2), np.ones(3))
    with pytest.raises(TypeError, match="in single or double precision, got float16; compare"):
        compare_modules(nn.Linear(3, 2), torch.nn.Linear(3, 2).half(), np.ones(3))
    with pytest.raises(RuntimeError, match="weight"):
        compare_modules(nn.Linear(3, 3), torch.nn.Linear(3, 2), np.ones(3))
    with pytest.raises(TypeError, match="output 1 must be an array, a number.* got str"):
        compare_modules(*returning(lambda y: (y, "text")), np.ones(3))
    with pytest.raises(TypeError, match="no output is real or complex: give a loss"):
        compare_modules(*returning(lambda y: (3, [True])), np.ones(3))


def returning(what, off=0.0):
    """Make a linear layer of each library; `what` takes its output, and `off` is added to ours."""
    class Ours(nn.Linear):
        def forward(self, input):
            return what(super().forward(input) + off)

    class Theirs(torch.nn.Linear):
        def forward(self, input):
            return what(super().forward(input))
    return Ours(3, 4), Theirs(3, 4)


def masked(y):
    """Give the first entry minus infinity, as attention does to what is not to be seen."""
    mask = np.where(np.arange(4) == 0, -np.inf, 0).astype(str(y.dtype).removeprefix("torch."))
    return y + (torch.tensor(mask) if isinstance(y, torch.Tensor) else mask)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_beside_an_infinity_what_differs_is_seen(dtype):
    ours, theirs = returning(masked)
    comparison = compare_modules(ours, theirs.to(dtype), torch.ones(3))
    assert comparison.passed and np.isneginf(stop_gradient(ours(np.ones(3)))[0])
    ours, theirs = returning(masked, off=1e-3)
    comparison = compare_modules(ours, theirs.to(dtype), torch.ones(3))
    assert comparison.first_difference.name == "output"
    assert 1e-4 < comparison.first_difference.difference < 0.1


def test_the_same_nan_is_no_difference():
    x = np.array([[np.nan, 1, 2], [3, 4, 5]])
    assert compare_modules(*returning(lambda y: y), x).passed
    ours, theirs = returning(lambda y: y, off=1e-3)
    assert compare_modules(ours, theirs, x).first_difference.name == "output"


def test_numbers_beside_the_outputs_are_compared_too():
    comparison = compare_modules(*returning(lambda y: {"y": y, "n": len(y), "last": None}), np.ones(3))
    assert comparison.passed and [x.name for x in comparison.arrays][:2] == ["output y", "output n"]
    ours, theirs = returning(lambda y: (y, 3 + isinstance(y, torch.Tensor)))
    assert compare_modules(ours, theirs, np.ones(3)).first_difference.name == "output 1"


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_recurrent_model_that_was_called_and_moved(kind):
    """PyTorch's keeps weights that it computed, which deepcopy refuses."""
    ours = parametrizations.orthogonal(getattr(nn, kind)(3, 8), "weight_hh_l0")
    theirs = torch_parametrizations.orthogonal(getattr(torch.nn, kind)(3, 8), "weight_hh_l0")
    x = torch.ones(5, 3)
    theirs(x)[0].sum().backward()
    with pytest.raises(RuntimeError, match="deepcopy protocol"):
        copy.deepcopy(theirs)
    kept = [*theirs.to("cpu")._flat_weights]
    assert compare_modules(ours, theirs, x).passed
    assert all(a is b for a, b in zip(kept, theirs._flat_weights))
