"""Write ``pytorch_model.safetensors`` and ``pytorch_weights.safetensors`` beside this file.

Run by hand where PyTorch and safetensors are: ``python tests/data/make_pytorch_model.py``. The first
file is the state dict of a PyTorch model with parametrized layers, after some training steps have moved
every parameter; the second, the weights as PyTorch computes them from it in evaluation mode.

A name that begins with a map's says that the layer's orthogonal map is that one, not PyTorch's default.
"""
from pathlib import Path


def layers(torch):
    """Make the layers, by name."""
    from torch import nn
    from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

    def made(layer, *parametrizations, name="weight"):
        for parametrize, options in parametrizations:
            parametrize(layer, name, **options)
        return layer

    ortho, spectral, weight = (lambda **options: (orthogonal, options),
                               lambda **options: (spectral_norm, options),
                               lambda **options: (weight_norm, options))
    complex64 = torch.complex64
    named = {
        "plain": nn.Linear(5, 4),
        "norm": nn.BatchNorm1d(4),
        "default_square": made(nn.Linear(6, 6), ortho()),
        "default_tall": made(nn.Linear(4, 7), ortho()),
        "default_wide": made(nn.Linear(7, 4), ortho()),
        "default_complex": made(nn.Linear(4, 7, dtype=complex64), ortho()),
        "default_double": made(nn.Linear(3, 9, dtype=torch.float64), ortho()),
        "default_stack": made(Stack(torch, 3, 5, 2), ortho()),
        "default_recurrent": made(nn.RNN(3, 5), ortho(), name="weight_hh_l0"),
        "spectral_linear": made(nn.Linear(5, 8), spectral()),
        "spectral_square": made(nn.Linear(6, 6), spectral()),
        "spectral_dim_1": made(nn.Linear(6, 6), spectral(dim=1)),
        "spectral_conv1d": made(nn.Conv1d(2, 4, 3), spectral()),
        "spectral_conv2d": made(nn.Conv2d(3, 5, 3), spectral(n_power_iterations=3)),
        "spectral_conv3d": made(nn.Conv3d(2, 3, 2), spectral()),
        "spectral_transposed": made(nn.ConvTranspose2d(4, 3, 3), spectral()),
        "spectral_transposed_square": made(nn.ConvTranspose2d(4, 4, 2), spectral()),
        "spectral_complex": made(nn.Linear(5, 4, dtype=complex64), spectral()),
        "spectral_double": made(nn.Linear(5, 4, dtype=torch.float64), spectral()),
        "weight_linear": made(nn.Linear(5, 4), weight()),
        "weight_dim_1": made(nn.Linear(5, 4), weight(dim=1)),
        "weight_whole": made(nn.Linear(5, 4), weight(dim=None)),
        "weight_conv2d": made(nn.Conv2d(3, 5, 3), weight(dim=0)),
        "weight_conv2d_dim_2": made(nn.Conv2d(3, 5, 3), weight(dim=2)),
        "chain_orthogonal_spectral": made(nn.Linear(4, 6), ortho(), spectral()),
        "chain_spectral_spectral": made(nn.Linear(4, 6), spectral(), spectral(dim=1)),
        "chain_weight_spectral": made(nn.Conv1d(3, 5, 2), weight(), spectral()),
        "chain_spectral_orthogonal": made(nn.Linear(4, 6), spectral(),
                                          ortho(use_trivialization=False)),
    }
    for orthogonal_map in ("matrix_exp", "cayley", "householder"):
        for shape in ((5, 5), (3, 7), (7, 3)):
            for base in (True, False):
                kind = f"{shape[1]}x{shape[0]}_{'base' if base else 'bare'}"
                named[f"{orthogonal_map}_{kind}"] = made(
                    nn.Linear(*shape), ortho(orthogonal_map=orthogonal_map, use_trivialization=base))
    return nn.ModuleDict(named)


def Stack(torch, *shape):
    """Make a module whose weight is a stack of matrices."""
    module = torch.nn.Module()
    module.weight = torch.nn.Parameter(torch.randn(*shape))
    return module


def main():
    """Train a little, so that no parameter is where it started, and write both files."""
    import torch
    from safetensors.torch import save_file
    from torch.nn.utils.parametrize import is_parametrized

    torch.manual_seed(0)
    model = layers(torch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def weights():
        return {f"{name}.{tensor}": getattr(layer, tensor)
                for name, layer in model.items() if is_parametrized(layer)
                for tensor in layer.parametrizations}

    targets = {name: torch.randn_like(weight) for name, weight in weights().items()}
    for _ in range(20):
        optimizer.zero_grad()
        sum((weight - targets[name]).abs().square().sum()
            for name, weight in weights().items()).backward()
        optimizer.step()
    for _ in range(200):  # power iteration catches up
        weights()
    model.eval()
    folder = Path(__file__).parent
    for name, tensors in (("model", model.state_dict()), ("weights", weights())):
        # PyTorch's base is stored by columns, which safetensors refuses.
        tensors = {key: x.detach().resolve_conj().contiguous() for key, x in tensors.items()}
        save_file(tensors, folder / f"pytorch_{name}.safetensors")
    print(f"{len(targets)} parametrized weights of PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
