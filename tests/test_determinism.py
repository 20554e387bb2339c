"""The same seed gives the same bits: start, training and files, in every process."""
import os
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib, os, sys, tempfile
import autograd.numpy as np
from orthonorm import nn, optim
from orthonorm.checkpoints import save
from orthonorm.func import value_and_grad
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

seed = int(sys.argv[1])
model = nn.Sequential(
    orthogonal(nn.Linear(6, 6, rng=seed), start="haar", rng=seed),
    spectral_norm(nn.Linear(6, 5, rng=seed), rng=seed),
    orthogonal(nn.Linear(5, 3, rng=seed), orthogonal_map="cayley"),
    orthogonal(nn.Linear(3, 5, rng=seed)),
    weight_norm(nn.Linear(5, 2, rng=seed)))

def show(what, data):
    print(what, hashlib.sha256(data).hexdigest())

def show_state(what):
    state = model.state_dict()
    show(what, b"".join(key.encode() + state[key].tobytes() for key in state))

show_state("start")
x = np.random.default_rng(seed).standard_normal((4, 6))
optimizer = optim.Adam(model.named_parameters(), lr=0.01)
step = value_and_grad(lambda: np.mean(model(x) ** 2), model)
for _ in range(20):
    optimizer.step(step()[1])
show_state("trained")
for ending in ("npz", "safetensors"):
    path = os.path.join(tempfile.mkdtemp(), "model." + ending)
    save(model.state_dict(), path)
    with open(path, "rb") as file:
        show(ending, file.read())
"""


def run(seed, hash_seed):
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(seed)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def first():
    return run(0, "0")


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_seed_decides_every_bit(first, hash_seed):
    assert run(0, hash_seed) == first


def test_another_seed_gives_another_model(first):
    other = run(1, "0")
    assert other.keys() == first.keys() == {"start", "trained", "npz", "safetensors"}
    assert all(other[what] != first[what] for what in first)
