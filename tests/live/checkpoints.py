"""Checkpoints exchanged with the installed PyTorch: ``python -m tests.live.checkpoints``.

A model trained here is loaded by PyTorch with ``strict=True`` and gives the same outputs; so are the
plain weights that it is exported to. Files that PyTorch writes, its own pickles too, are read here.
"""
import os
import sys
import tempfile
from pathlib import Path

import autograd.numpy as np

from orthonorm import nn
from orthonorm.checkpoints import CheckpointError, load, plain_weights, save
from orthonorm.func import value_and_grad
from orthonorm.nn.utils import parametrizations

SIZES = (6, 9, 9, 5, 5, 7, 4, 8, 8, 3, 6)


def parametrized(linears, library, **seeded):
    """Parametrize the layers of a chain, each in another way; the last one stays plain."""
    ortho, spectral, weight = library.orthogonal, library.spectral_norm, library.weight_norm
    ortho(linears[0], **seeded)
    ortho(linears[1], orthogonal_map="cayley", **seeded)
    ortho(linears[2], orthogonal_map="matrix_exp", **seeded)
    ortho(linears[3], orthogonal_map="householder", use_trivialization=False, **seeded)
    spectral(linears[4], **seeded)
    spectral(linears[5], n_power_iterations=3, dim=1, **seeded)
    weight(linears[6])
    weight(linears[7], dim=1)
    spectral(ortho(linears[8], **seeded), **seeded)
    return linears


def trained_here(dtype):
    """Make a model here and take ten steps of gradient descent, so that every parameter has moved."""
    model = nn.Sequential(*parametrized(
        [nn.Linear(a, b, dtype=dtype, rng=a) for a, b in zip(SIZES, SIZES[1:])],
        parametrizations, rng=0))
    rng = np.random.default_rng(0)
    x, target = (rng.standard_normal((20, size)).astype(dtype) for size in (SIZES[0], SIZES[-1]))
    step = value_and_grad(lambda: np.sum((model(x) - target) ** 2), model)
    for _ in range(10):
        _, gradients = step()
        for name, parameter in model.named_parameters():
            parameter.data = parameter.data - dtype(1e-3) * gradients[name]
    return model.eval(), x


def check_model_trained_here(torch, folder, dtype):
    """Load a model trained here into PyTorch, strictly, parametrized and exported."""
    from safetensors.torch import load_file
    model, x = trained_here(dtype)
    wanted = model(x)
    save(model.state_dict(), folder / "model.safetensors")
    maps = {"": "householder", "1.weight": "cayley", "2.weight": "matrix_exp"}
    save(plain_weights(load(folder / "model.safetensors"), maps), folder / "plain.safetensors")

    def linears():
        return [torch.nn.Linear(a, b, dtype=getattr(torch, dtype.__name__))
                for a, b in zip(SIZES, SIZES[1:])]
    theirs = torch.nn.Sequential(*parametrized(linears(), torch.nn.utils.parametrizations))
    theirs.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    plain = torch.nn.Sequential(*linears())
    plain.load_state_dict(load_file(folder / "plain.safetensors"), strict=True)
    for loaded in (theirs.eval(), plain):
        error = np.abs(loaded(torch.from_numpy(x)).detach().numpy() - wanted).max()
        assert error <= 100 * np.finfo(dtype).eps, error
    return theirs


def check_files_of_pytorch(torch, folder, theirs):
    """Read what PyTorch writes: its pickle, and half precision."""
    from safetensors.torch import save_file
    state = {name: x.contiguous() for name, x in theirs.state_dict().items()}
    for suffix in (".pt", ".pth", ".bin"):
        torch.save(state, folder / f"x{suffix}")
        assert_equal(load(folder / f"x{suffix}"), state)
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
