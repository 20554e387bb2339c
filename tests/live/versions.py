"""Random programs against an older PyTorch: ``python -m tests.live.versions PROGRAMS [SEED]``.

orthonorm does what PyTorch 2.13 does. `CHANGES` makes an older one do so too where it differs, so that
the programs find only what is not known. README.rst of the tests says what changed.
"""
import runpy

import torch


def layer_norm_shows_bias():
    """Let LayerNorm's repr say whether there is a bias."""
    LayerNorm = torch.nn.LayerNorm
    of_old = LayerNorm.extra_repr
    LayerNorm.extra_repr = lambda self: f"{of_old(self)}, bias={self.bias is not None}"


CHANGES = [((2, 12), layer_norm_shows_bias)]


def version():
    """Return PyTorch's version as two numbers."""
    return tuple(map(int, torch.__version__.split(".")[:2]))


if __name__ == "__main__":
    for since, change in CHANGES:
        if version() < since:
            change()
    runpy.run_module("tests.live.differential", run_name="__main__", alter_sys=True)
