"""Checkpoints exchanged with the installed PyTorch: ``python -m tests.live.checkpoints``.

A model trained here, of all kinds of layers and parametrizations, is loaded by PyTorch with
``strict=True`` and gives the same outputs; so are the plain weights that it is exported to. Saved by
PyTorch, it comes back. Files that PyTorch writes, its own pickles too, are read here.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import autograd.numpy as np

from orthonorm import nn
from orthonorm.checkpoints import CheckpointError, load, plain_weights, save
from orthonorm.checkpoints.formats import CONVERT
from orthonorm.func import value_and_grad
from orthonorm.nn.utils import parametrizations

LINEAR = 9  # linear layers, each parametrized in another way
MAPS = {"linear1.weight": "cayley", "linear2.weight": "matrix_exp", "linear3.weight": "householder",
        "recurrent.weight_hh_l1": "cayley"}  # where they are not PyTorch's default


def layers(library, **options):
    """Make the layers of a model, of this package or of PyTorch."""
    return library.ModuleDict({
        **{f"linear{i}": library.Linear(5 + i, 9 - i, **options) for i in range(LINEAR - 1)},
        f"linear{LINEAR - 1}": library.Linear(3, 8, bias=False, **options),
        "convolution": library.Conv2d(3, 8, 3, stride=2, padding=1, **options),
        "grouped": library.Conv1d(4, 6, 3, groups=2, dilation=2, **options),
        "kernels": library.Conv2d(2, 3, (4, 3), **options),
        "transposed": library.ConvTranspose2d(4, 3, 4, stride=2, **options),
        "solid": library.ConvTranspose3d(2, 3, 2, **options),
        "embedding": library.Embedding(12, 5, **options),
        "codes": library.Embedding(4, 7, **options),
        "cell": library.GRUCell(4, 6, **options),
        "recurrent": library.RNN(4, 6, num_layers=2, batch_first=True, **options),
        "norm": library.LayerNorm(6, dtype=options["dtype"]),
    })


def parametrize(model, library, **seeded):
    """Parametrize 23 weights of these layers; what is left out stays plain."""
    ortho, spectral, weight = library.orthogonal, library.spectral_norm, library.weight_norm
    linears = [model[f"linear{i}"] for i in range(LINEAR)]
    ortho(linears[0], **seeded)
    ortho(linears[1], orthogonal_map="cayley", **seeded)
    ortho(linears[2], orthogonal_map="matrix_exp", **seeded)
    ortho(linears[3], orthogonal_map="householder", use_trivialization=False, **seeded)
    spectral(linears[4], **seeded)
    spectral(linears[5], n_power_iterations=3, dim=1, **seeded)
    weight(linears[6])
    weight(linears[7], dim=1)
    spectral(ortho(linears[8], **seeded), **seeded)
    spectral(model["convolution"], **seeded)
    weight(model["grouped"])
    ortho(model["kernels"], **seeded)
    spectral(model["transposed"], **seeded)
    weight(model["solid"], dim=1)
    ortho(model["embedding"], **seeded)
    spectral(model["codes"], **seeded)
    ortho(model["cell"], "weight_hh", **seeded)
    spectral(model["cell"], "weight_ih", **seeded)
    ortho(model["recurrent"], "weight_hh_l0", **seeded)
    ortho(model["recurrent"], "weight_hh_l1", orthogonal_map="cayley", **seeded)
    weight(model["recurrent"], "weight_ih_l0")
    spectral(model["recurrent"], "weight_ih_l1", **seeded)
    weight(model["norm"], dim=None)
    return model


def inputs(dtype):
    """Draw an input for each layer."""
    rng = np.random.default_rng(0)
    shapes = {**{f"linear{i}": (7, 5 + i) for i in range(LINEAR - 1)}, f"linear{LINEAR - 1}": (7, 3),
              "convolution": (2, 3, 7, 7), "grouped": (2, 4, 9), "kernels": (2, 2, 6, 6),
              "transposed": (2, 4, 5, 5), "solid": (2, 2, 3, 4, 3), "cell": (7, 4),
              "recurrent": (3, 5, 4), "norm": (7, 6)}
    drawn = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    return {**drawn, "embedding": rng.integers(0, 12, (3, 4)), "codes": rng.integers(0, 4, 6)}


def outputs(model, given):
    """Call each layer on its input, the cell twice; of the two answers of the RNN take the first."""
    of_layers = {name: model[name](x) for name, x in given.items()}
    of_layers["cell"] = model["cell"](given["cell"], of_layers["cell"])
    return {name: y[0] if isinstance(y, tuple) else y for name, y in of_layers.items()}


def trained_here(dtype):
    """Make a model here and take ten steps of gradient descent, so that every parameter has moved."""
    model, given = parametrize(layers(nn, dtype=dtype, rng=1), parametrizations, rng=0), inputs(dtype)
    before = {name: parameter.data for name, parameter in model.named_parameters()}
    step = value_and_grad(
        lambda: sum(np.mean((y - dtype(0.3)) ** 2) for y in outputs(model, given).values()), model)
    for _ in range(10):
        _, gradients = step()
        for name, parameter in model.named_parameters():
            parameter.data = parameter.data - dtype(1e-2) * gradients[name]
    assert all(np.any(parameter.data != before[name]) for name, parameter in model.named_parameters())
    return model.eval(), given


def check_model_trained_here(torch, folder, dtype):
    """Load a model trained here into PyTorch, strictly, parametrized and exported, and back."""
    from safetensors.torch import load_file, save_file
    model, given = trained_here(dtype)
    wanted = outputs(model, given)
    save(model.state_dict(), folder / "model.safetensors")
    save(plain_weights(load(folder / "model.safetensors"), MAPS), folder / "plain.safetensors")

    options = {"dtype": getattr(torch, dtype.__name__)}
    theirs = parametrize(layers(torch.nn, **options), torch.nn.utils.parametrizations)
    theirs.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    plain = layers(torch.nn, **options)
    plain.load_state_dict(load_file(folder / "plain.safetensors"), strict=True)
    tensors = {name: torch.from_numpy(x) for name, x in given.items()}
    for loaded in (theirs.eval(), plain):
        assert_close({name: y.detach().numpy() for name, y in outputs(loaded, tensors).items()}, wanted)

    state = {name: x.contiguous() for name, x in theirs.state_dict().items()}
    save_file(state, folder / "theirs.safetensors")
    ours = parametrize(layers(nn, dtype=dtype, rng=2), parametrizations, rng=3).eval()
    ours.load_state_dict(load(folder / "theirs.safetensors"), strict=True)
    assert_close(outputs(ours, given), wanted)
    return theirs


def assert_close(outputs, wanted):
    """Hold every output to the tolerances of the equivalence report."""
    for name, y in wanted.items():
        error = np.abs(outputs[name] - y).max()
        # PyTorch's exponential of a matrix of norm 0.02 is off by 1e-12.
        assert error <= (1e-11 if y.dtype == np.float64 else 1e-5), (name, error)


def check_files_of_pytorch(torch, folder, theirs):
    """Read what PyTorch writes: its pickle, also as converted where it is, and half precision."""
    from safetensors.torch import save_file
    state = {name: x.contiguous() for name, x in theirs.state_dict().items()}
    for suffix in (".pt", ".pth", ".bin"):
        torch.save(state, folder / f"x{suffix}")
        assert_equal(load(folder / f"x{suffix}"), state)
    tied = theirs.state_dict()
    tied["tied.weight"] = tied["linear0.bias"]
    torch.save(tied, folder / "tied.pt")
    convert = [sys.executable, "-c", CONVERT, "tied.pt", "tied.safetensors"]
    subprocess.run(convert, cwd=folder, check=True)
    assert_equal(load(folder / "tied.safetensors"), tied)
    for half in (torch.float16, torch.bfloat16):
        halves = {name: x.to(half) for name, x in state.items()}
        save_file(halves, folder / "half.safetensors")
        torch.save(halves, folder / "half.pt")
        for name in ("half.safetensors", "half.pt"):
            assert_equal(load(folder / name), {key: x.float() for key, x in halves.items()})


def assert_equal(arrays, tensors):
    """Hold every value to the bit."""
    assert arrays.keys() == tensors.keys()
    assert all(np.array_equal(array, tensors[name].numpy()) for name, array in arrays.items())


class Harmful:
    """What a pickle may do."""

    def __reduce__(self):
        return os.mkdir, ("hacked",)


def check_hostile_files(torch, folder):
    """Refuse PyTorch files that run code, hold something else, are damaged, or would fill memory."""
    os.chdir(folder)
    torch.save({"w": Harmful()}, "code.pt")
    torch.save({"model": {"w": torch.ones(2)}}, "nested.pt")
    torch.save({"w": torch.ones(1).expand(10**12)}, "bomb.pt")
    torch.save({"../w": torch.ones(1)}, "name.pt")
    torch.save({"w": torch.eye(2).to_sparse()}, "sparse.pt")
    Path("truncated.pt").write_bytes(Path("nested.pt").read_bytes()[:200])
    Path("empty.pt").write_bytes(b"")
    for path in sorted(Path().glob("[a-gi-w]*.pt")):
        try:
            load(path)
        except CheckpointError as error:
            print(f"  {error}")
            assert "\n" not in str(error)
        else:
            raise AssertionError(path)
    assert not os.path.exists("hacked")


def main():
    """Run every check."""
    import torch
    with tempfile.TemporaryDirectory() as folder:
        for dtype in (np.float64, np.float32):
            theirs = check_model_trained_here(torch, Path(folder), dtype)
            print(f"trained here, {dtype.__name__}, loaded by PyTorch {torch.__version__}: same output")
        check_files_of_pytorch(torch, Path(folder), theirs)
        print("written by PyTorch, read here: same values")
    with tempfile.TemporaryDirectory() as folder:
        check_hostile_files(torch, Path(folder))
        os.chdir("/")
        print("hostile files of PyTorch: refused")


if __name__ == "__main__":
    sys.exit(main())
