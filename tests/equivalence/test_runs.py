"""The comparison of training runs: what it must find, and what the recording holds."""
import copy
import dataclasses
import json
import math
import zipfile
import zlib

import numpy as np
import pytest

from orthonorm import nn
from orthonorm.equivalence import runs, training
from orthonorm.equivalence.libraries import Orthonorm
from orthonorm.equivalence.report import Row

HEADER, DIGITS, RECORDED = runs.load()
RUNS = {run.name: run for run in runs.all_runs()}
CHEAP = RUNS["classifier, weight_norm"]


def row_of(ours, theirs, exact=None):
    row = Row("run", "float64" if exact is None else "float32")
    runs.compare_paths(row, ours, theirs, exact)
    return row


def compared(run, dtype, change=lambda recorded: None):
    """Compare one run with a recording that was changed."""
    recorded = {run.name: copy.deepcopy(RECORDED[run.name])}
    change(recorded[run.name])
    rows = {row.dtype: row for row in runs.compare(recorded, DIGITS, [run])}
    return rows[dtype]


# -- the runs -----------------------------------------------------------------------------------------

def test_every_recorded_run_is_ours_too():
    """What `make equivalence` says, as a test."""
    rows = runs.compare(RECORDED, DIGITS)
    assert [(row.family, row.dtype) for row in rows] == [
        (name, dtype) for name in RUNS for dtype in ("float32", "float64")]
    assert [failure for row in rows for failure in row.failures] == []
    assert all(row.relative < RUNS[row.family].tolerance for row in rows if row.dtype == "float64")
    assert [name for name, run in RUNS.items() if run.tolerance != 1e-9] == ["perceptron, Muon"]
    assert all(row.arrays == sum(map(len, RECORDED[row.family][row.dtype].values())) for row in rows)


@pytest.mark.parametrize("name", RUNS)
def test_training_gets_somewhere(name):
    """Losses fall; of two adversaries', at least one does."""
    losses = [path for key, path in RECORDED[name]["float64"].items() if key.endswith("loss")]
    assert min(loss[-5:].mean() / loss[0] for loss in losses) < 0.7
    assert all(np.isfinite(loss).all() for loss in losses)


def test_the_memory_is_learned():
    """Whoever forgets the bits loses log 2 at two of the seven times."""
    loss = RECORDED["RNN, orthogonal"]["float64"]["loss"]
    assert loss[-5:].mean() < 0.6 * 2 / 7 * math.log(2)


@pytest.mark.parametrize("name, steps", [
    ("autoencoder, cayley", 100), ("RNN, orthogonal", 60), ("GAN, spectral_norm", 40),
    ("GAN, gradient penalty", 40), ("classifier, weight_norm", 60), ("perceptron, Muon", 30)])
def test_loss_parameters_and_buffers_are_recorded_at_every_step(name, steps):
    recorded = RECORDED[name]
    assert recorded["start"].keys() == {key for key in recorded["float64"] if not key.endswith("loss")}
    for dtype in ("float32", "float64"):
        for key, path in recorded[dtype].items():
            assert path.dtype == dtype and len(path) == steps
            assert key.endswith("loss") or path.shape[1:] == recorded["start"][key].shape


@pytest.mark.parametrize("name, part", [
    ("autoencoder, householder, base", "0.base"), ("GAN, spectral_norm", "_u"),
    ("GAN, spectral_norm", "original"), ("RNN, orthogonal", "weight_hh.original"),
    ("classifier, weight_norm", "original0")])
def test_what_a_run_is_about_is_compared(name, part):
    assert any(key.endswith(part) for key in RECORDED[name]["float64"])


@pytest.mark.parametrize("name", RUNS)
def test_every_parameter_and_singular_vector_moves(name):
    for key, path in RECORDED[name]["float64"].items():
        # A unit vector of one entry has nowhere to go.
        if not key.endswith((".base", "loss")) and path.shape[1:] != (1,):
            assert np.abs(path[-1] - RECORDED[name]["start"][key]).max() > 5e-3, key


# -- what the comparison finds ------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_parameter_that_leaves_the_path_is_found_at_its_step(dtype):
    def change(recorded):
        for path in {dtype, "float64"}:
            recorded[path]["2.bias"][7:] += 1e-3
    row = compared(CHEAP, dtype, change)
    assert len(row.failures) == 1
    assert row.failures[0].startswith("drifts from step 8: 2.bias is off by ")


def test_a_wrong_loss_is_found_at_its_step():
    def change(recorded):
        recorded["float64"]["loss"][3] *= 1 + 1e-8
    assert compared(CHEAP, "float64", change).failures[0].startswith("drifts from step 4: loss ")


class OtherLearningRate(training.Classifier):
    """The learning rate is another from the 20th step."""

    def step(self, i):
        if i == 19:
            self.optimizer.param_groups[0]["lr"] *= 1 + 1e-6
        return super().step(i)


class MovedParameter(training.Classifier):
    """Between the 30th and the 31st step something moves one entry of one weight."""

    def step(self, i):
        losses = super().step(i)
        if i == 29:
            bias = self.model[5]._parameters["bias"]
            bias.data = bias.data + 1e-7 * np.eye(10)[3]
        return losses


@pytest.mark.parametrize("broken, step", [(OtherLearningRate, 20), (MovedParameter, 30)])
def test_a_step_that_differs_is_reported_as_the_first(broken, step):
    row = compared(dataclasses.replace(CHEAP, program=broken), "float64")
    assert row.failures[0].startswith(f"drifts from step {step}: ")


def test_stale_singular_vectors_are_found():
    """A library whose power iteration stands still after step 5."""
    class Still(training.Adversaries):
        def step(self, i):
            if i == 5:
                self.critic.eval()
            return super().step(i)
    row = compared(runs.Run("GAN, spectral_norm", Still), "float64")
    assert row.failures[0].startswith("drifts from step 6: critic")


def test_a_run_that_raises_fails():
    class Raises(training.Classifier):
        def step(self, i):
            raise OSError("no")
    assert compared(dataclasses.replace(CHEAP, program=Raises), "float64").failures == ["OSError: no"]


def test_a_run_that_is_not_recorded_fails():
    rows = runs.compare({}, DIGITS, [CHEAP])
    assert [row.failures for row in rows] == [["not in the recording"]] * 2


def path(*values, dtype=np.float64):
    return {"w": np.array(values, dtype).reshape(-1, 1)}


@pytest.mark.parametrize("off, fails", [(0.9e-9, False), (1.1e-9, True)])
def test_tolerance_in_double_precision(off, fails):
    row = row_of(path(1, 2, 4 * (1 + off)), path(1, 2, 4))
    assert bool(row.failures) == fails
    assert row.relative == pytest.approx(off) and row.worst == "step 3: w"


def test_differences_count_by_the_largest_entry_of_the_run():
    assert not row_of(path(1 + 4e-9, 0, 8), path(1, 0, 8)).failures
    assert row_of(path(0, 0, 1e-300), path(0, 0, 0)).relative == 1e-300


@pytest.mark.parametrize("ours, fails", [
    ((1, 1 + 3e-3, 1), False), ((1, 1 + 5e-3, 1), True), ((1 + 2e-5, 1, 1), False),
    ((1 + 4e-5, 1, 1), True), ((1, 1, 1 + 3e-3), False)])
def test_single_precision_may_drift_four_times_as_far_as_pytorchs(ours, fails):
    """PyTorch drifts 1e-3 in the second step."""
    row = row_of(path(*ours), path(1, 1 - 1e-3, 1), path(1, 1, 1))
    assert bool(row.failures) == fails
    assert row.pytorch_error == pytest.approx(1e-3)
    assert row.our_error == pytest.approx(max(np.abs(np.array(ours) - 1)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_never_pass(value):
    for ours, theirs in [((1, value), (1, 1)), ((1, 1), (1, value)), ((1, value), (1, value))]:
        row = row_of(path(*ours), path(*theirs))
        assert row.failures[0].startswith("drifts from step 2: w") and row.relative == math.inf
    assert row_of(path(1, value), path(1, value), path(1, 1)).failures


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pytorch_that_is_not_finite_in_single_precision_does_not_pass(value):
    """How far it has drifted says how far we may."""
    ours = {"w": np.ones((3, 2), np.float32)}
    theirs = {"w": np.where([[0, 0], [0, 1], [0, 0]], value, ours["w"]).astype(np.float32)}
    row = row_of(ours, theirs, {"w": np.ones((3, 2))})
    assert row.failures == ["PyTorch's numbers are not all finite"]


@pytest.mark.parametrize("ours", [
    {}, {"w": np.ones((3, 1)), "x": np.ones(3)}, {"w": np.ones((3, 2))}, {"w": np.ones((2, 1))},
    {"w": np.ones((3, 1), np.float32)}], ids=["missing", "more", "shape", "steps", "dtype"])
def test_another_layout_fails(ours):
    row = row_of(ours, path(1, 1, 1))
    assert len(row.failures) == 1 and row.failures[0].startswith("other names, shapes or dtypes")


# -- the recording ------------------------------------------------------------------------------------

def test_what_is_saved_is_loaded(tmp_path):
    rng = np.random.default_rng(0)
    exact = {"w": np.cumsum(rng.standard_normal((5, 2, 3)), axis=0), "loss": rng.standard_normal(5),
             "empty": np.zeros((5, 0)), "odd": np.array([0.0, -0.0, np.inf, -1e300, 5e-324])}
    single = {name: values.astype(np.float32) for name, values in exact.items() if name != "odd"}
    single["odd"] = np.array([-0.0, 1, np.inf, -np.inf, 1e-45], np.float32)
    single["w"][2] *= 1.01
    recorded = {"run": {"inputs": {"batches": np.arange(4)}, "start": {"w": np.ones((2, 3))},
                        "float64": exact, "float32": single}}
    with np.errstate(over="ignore"):
        pixels = {"pixels": np.ones((1, 8, 8), np.uint8)}
        runs.save(tmp_path / "r.npz", {"pytorch": "1"}, pixels, recorded)
        header, digits, loaded = runs.load(tmp_path / "r.npz")
    assert header == {"pytorch": "1"} and digits["pixels"].shape == (1, 8, 8)
    for group, arrays in recorded["run"].items():
        for name, array in arrays.items():
            assert loaded["run"][group][name].dtype == array.dtype
            assert loaded["run"][group][name].tobytes() == array.tobytes()
            assert loaded["run"][group][name].shape == array.shape


def test_the_recording_is_small_and_holds_no_pickles():
    assert runs.PATH.stat().st_size < 3.2e6
    with zipfile.ZipFile(runs.PATH) as file:
        for name in file.namelist():
            with file.open(name) as member:
                np.lib.format.read_magic(member)
                assert not np.lib.format.read_array_header_1_0(member)[2].hasobject


def test_every_run_is_recorded_with_the_pytorch_version():
    assert HEADER["pytorch"] == "2.13.0"
    assert RECORDED.keys() == RUNS.keys()
    json.dumps(HEADER)


@pytest.mark.parametrize("name", RUNS)
def test_the_recorded_batches_are_those_that_the_run_draws(name):
    seed = zlib.crc32(f"{HEADER['seed']} {name}".encode())
    drawn = RUNS[name].program.draw(np.random.default_rng(seed), DIGITS)
    recorded = RECORDED[name]["inputs"]
    assert recorded.keys() == drawn.keys()
    for key, x in drawn.items():
        np.testing.assert_array_equal(recorded[key], x, strict=True)


def test_the_digits_are_scikit_learns():
    assert DIGITS["pixels"].dtype == np.uint8 and DIGITS["pixels"].shape[1:] == (8, 8)
    assert DIGITS["pixels"].max() == 16 and len(DIGITS["labels"]) == len(DIGITS["pixels"])
    # The first picture of the set, a nought.
    assert DIGITS["labels"][0] == 0
    assert DIGITS["pixels"][0, 1].tolist() == [0, 0, 13, 15, 10, 15, 5, 0]


def test_a_run_starts_where_it_is_told():
    recorded = RECORDED[CHEAP.name]
    start, _ = runs.follow(Orthonorm(), CHEAP, "float64", DIGITS, recorded["inputs"], recorded["start"])
    assert start.keys() == recorded["start"].keys()
    assert all(np.array_equal(start[key], recorded["start"][key]) for key in start)


def test_models_are_built_of_public_layers():
    """The classifier's first step, written out by hand."""
    recorded = RECORDED[CHEAP.name]
    state, i = recorded["start"], recorded["inputs"]["batches"][0]
    x = DIGITS["pixels"][i][:, np.newaxis] / 16
    for layer, (stride, padding) in {"0": (2, 1), "2": (2, 1)}.items():
        v, g = (state[f"{layer}.parametrizations.weight.original{k}"] for k in (1, 0))
        w = g * v / np.sqrt((v ** 2).sum((1, 2, 3), keepdims=True))
        x = nn.functional.relu(nn.functional.conv2d(x, w, state[f"{layer}.bias"], stride, padding))
    v, g = (state[f"5.parametrizations.weight.original{k}"] for k in (1, 0))
    logits = x.reshape(16, -1) @ (g * v / np.linalg.norm(v, axis=1, keepdims=True)).T + state["5.bias"]
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    loss = -np.log(chances[np.arange(16), DIGITS["labels"][i]]).mean()
    assert loss == pytest.approx(recorded["float64"]["loss"][0], rel=1e-13)
