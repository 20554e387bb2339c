"""What torch.save and PyTorch's older functions write, read here."""
import warnings

import numpy as np
import pytest
import torch

from orthonorm import __main__
from orthonorm.checkpoints import CheckpointError, load, plain_weights


def older():
    """Make layers parametrized by the older functions, which warn of their age."""
    with warnings.catch_warnings(action="ignore"):
        model = torch.nn.ModuleDict({
            "spectral": torch.nn.utils.spectral_norm(torch.nn.Linear(4, 3)),
            "transposed": torch.nn.utils.spectral_norm(torch.nn.ConvTranspose1d(4, 3, 2)),
            "length": torch.nn.utils.weight_norm(torch.nn.Linear(4, 3)),
            "whole": torch.nn.utils.weight_norm(torch.nn.Conv2d(2, 3, 2), dim=None),
            "rnn": torch.nn.utils.weight_norm(torch.nn.RNN(2, 3), "weight_hh_l0"),
        })
    inputs = {"spectral": (2, 4), "transposed": (2, 4, 5), "length": (2, 4), "whole": (1, 2, 4, 4),
              "rnn": (3, 1, 2)}
    for mode in (True, False):
        model.train(mode)
        for name, size in inputs.items():
            model[name](torch.ones(size))
    return model


def test_weights_of_older_functions_are_those_of_pytorch(tmp_path):
    model = older()
    path, out = tmp_path / "model.pt", tmp_path / "plain.npz"
    torch.save(model.state_dict(), path)
    assert __main__.main(["inspect", str(path), f"--export={out}"]) in (0, 1)  # estimates may be off
    for plain in (plain_weights(load(path)), load(out)):
        for name, layer in model.items():
            weight = "weight_hh_l0" if name == "rnn" else "weight"
            theirs = getattr(layer, weight).detach().numpy()
            assert np.abs(plain[f"{name}.{weight}"] - theirs).max() <= 1e-6
        assert not [key for key in plain if key.endswith(("_g", "_v", "_u", "_orig"))]


def test_a_tensor_of_one_number_expanded_is_counted_in_bytes(tmp_path):
    path = tmp_path / "bomb.pt"
    torch.save({"w": torch.ones(1, dtype=torch.float64).expand(10**7)}, path)
    with pytest.raises(CheckpointError, match="would expand to 80000000 bytes"):
        load(path)


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_a_checkpoint_of_a_training_run_is_refused_with_the_way_out(key, tmp_path, capsys):
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    path = tmp_path / "run.pt"
    torch.save({"epoch": 3, "optimizer": optimizer.state_dict(), key: model.state_dict()}, path)
    advice = rf"a dict under '{key}', .*: save torch.load\(..., weights_only=True\)\['{key}'\] alone"
    with pytest.raises(CheckpointError, match=advice):
        load(path)
    assert __main__.main(["inspect", str(path)]) == 2
    assert f"under '{key}'" in capsys.readouterr().err

    torch.save(torch.load(path, weights_only=True)[key], path)
    assert load(path).keys() == {"weight", "bias"}
