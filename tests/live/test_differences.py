"""Where this package differs from PyTorch on purpose: what PyTorch itself does there."""
import numpy as np
import torch

from orthonorm import nn, optim
from orthonorm.checkpoints.inspection import examine, warnings
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm

ORIGINAL = "parametrizations.weight.original"


def test_one_step_of_weight_decay_makes_pytorchs_weight_zero_and_ours_stays():
    theirs = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(2, 3))
    ours = orthogonal(nn.Linear(2, 3, dtype=np.float32, rng=0))
    ours.load_state_dict(theirs.state_dict())
    before = ours.weight
    assert np.abs(before - theirs.weight.detach().numpy()).max() < 1e-6

    theirs(torch.zeros(1, 2)).sum().backward()
    torch.optim.AdamW(theirs.parameters()).step()
    optim.AdamW(ours.named_parameters()).step({name: np.zeros_like(p.data)
                                               for name, p in ours.named_parameters()})
    original = theirs.parametrizations.weight.original.detach().numpy()
    assert np.array_equal(original, ours.parametrizations.weight.original)
    assert not theirs.weight.detach().numpy().any()
    assert np.array_equal(ours.weight, before)


def test_pytorch_takes_the_integer_part_of_the_diagonal_as_inspect_says():
    theirs = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(3, 4))
    with torch.no_grad():
        theirs.parametrizations.weight.original[range(3), range(3)] = torch.tensor([-2.5, 0.9, 1.0])
    state = {key: x.numpy() for key, x in theirs.state_dict().items()}
    ours = orthogonal(nn.Linear(3, 4, dtype=np.float32))
    ours.load_state_dict(state)
    expected = ours.weight * np.array([2, 0, 1])
    assert np.abs(theirs.weight.detach().numpy() - expected).max() < 1e-6

    dtypes = {key: x.dtype.name for key, x in state.items()}
    said, = warnings([row for rows in examine(state, dtypes) for row in rows])
    assert said.startswith("weight: 2 of the 3 signs on the diagonal of original are not 1 or -1")
    assert said.endswith("PyTorch multiplies the columns by their integer parts, "
                         "and makes 1 columns zero")


def test_pytorchs_layer_norm_of_large_entries_is_zero_or_nan():
    x = np.array([1.0, 2.0, 4.0, -3.0], np.float32)
    for scale, theirs in ((5e18, 0.0), (2e19, np.nan), (1e38 / 4, np.nan)):
        large = np.float32(scale) * x
        answer = torch.nn.functional.layer_norm(torch.tensor(large), (4,)).numpy()
        assert np.array_equal(answer, np.full(4, theirs), equal_nan=True)
        assert np.abs(nn.functional.layer_norm(large, (4,)) - (x - 1) / np.sqrt(6.5)).max() < 1e-6


def test_pytorchs_mean_of_losses_is_infinite_where_their_sum_is():
    x = np.full(100, 1e38, np.float32)
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(*map(torch.tensor, (x, 0 * x)))
    assert theirs.item() == np.inf
    assert abs(nn.functional.binary_cross_entropy_with_logits(x, 0 * x) / 1e38 - 1) < 1e-6


def test_pytorchs_spectral_norm_stays_stuck_after_an_assignment():
    theirs = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(2, 2))
    ours = spectral_norm(nn.Linear(2, 2), rng=0)
    for W in (np.diag([1.0, 0.0]), np.diag([0.0, 1.0])):
        ours.weight = W
        theirs.weight = torch.tensor(W, dtype=torch.float32)
        for _ in range(30):
            our_weight, their_weight = ours.weight, theirs.weight.detach().numpy()
    assert np.array_equal(our_weight, W)
    assert np.isnan(their_weight).any()


def test_pytorchs_weight_of_averaged_state_dicts_is_too_large():
    model = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(20, 15))
    states = []
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        model.weight = torch.randn(15, 20, generator=generator)
        for _ in range(50):
            model.weight
        states.append({key: x.numpy().copy() for key, x in model.state_dict().items()})
    average = {key: np.mean([state[key] for state in states], axis=0) for key in states[0]}
    model.load_state_dict({key: torch.tensor(x) for key, x in average.items()})
    ours = spectral_norm(nn.Linear(20, 15, dtype=np.float32), rng=0)
    ours.load_state_dict(average)
    theirs = model.eval().weight.detach().numpy()
    assert np.linalg.norm(theirs, 2) > 1.5
    assert abs(np.linalg.norm(ours.eval().weight, 2) - 1) < 0.02
    estimate = average["parametrizations.weight.0._u"] @ average["parametrizations.weight.original"] @ (
        average["parametrizations.weight.0._v"])
    assert np.allclose(theirs, average["parametrizations.weight.original"] / estimate, rtol=1e-4)

    dtypes = {key: x.dtype.name for key, x in average.items()}
    said, = warnings([row for rows in examine(average, dtypes) for row in rows])
    assert "as in an average of state dicts: they are found anew here, PyTorch divides by" in said
