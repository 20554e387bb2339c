"""python -m orthonorm inspect: the numbers, the warnings, the exported weights, the exit status."""
import json
import subprocess
import sys

import numpy as np
import pytest

from orthonorm import __main__, nn
from orthonorm.checkpoints import load, save
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from ..helpers import H, assert_identical, sample
from .hostile import HOSTILE, safetensors_bytes, tensor
from .test_parametrized import DATA, MAPS

ORIGINAL, BASE, U, V = (f"parametrizations.weight.{part}"
                        for part in ("original", "0.base", "0._u", "0._v"))
PYTORCH = DATA / "pytorch_model.safetensors"


@pytest.fixture
def inspected(tmp_path, capsys):
    """Save a state dict, inspect it, and return the exit status, the rows by name and the report."""
    def inspect(state_dict, *options, name="x.npz"):
        path = tmp_path / name
        save(state_dict, path)
        status = __main__.main(["inspect", str(path), "--json", *options])
        rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["tensors"]}
        __main__.main(["inspect", str(path), *options])
        return status, rows, capsys.readouterr().out
    return inspect


def wide_rows(W, dim=0):
    return np.moveaxis(W, dim, 0).reshape(W.shape[dim], -1).astype(np.result_type(W, float))


# -- the numbers -------------------------------------------------------------------------------------

def assert_measured(row, W):
    """Hold a row to the singular values of a matrix, found as eigenvalues of a Hermitian one."""
    n, k = W.shape
    s = np.linalg.eigvalsh(np.block([[np.zeros((n, n)), W], [H(W), np.zeros((k, k))]]))[-min(n, k):]
    assert row["largest"] == pytest.approx(s.max(), rel=1e-10)
    assert row["smallest"] == pytest.approx(s.min(), rel=1e-10)
    assert row["condition"] == pytest.approx(s.max() / s.min(), rel=1e-10)
    assert row["orthogonality_error"] == pytest.approx(np.abs(s**2 - 1).max(), rel=1e-8)
    assert row["nan"] == row["infinite"] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("shape", [(4, 4), (7, 3), (3, 7), (1, 5), (4, 3, 2, 2)], ids=str)
def test_plain_weights_are_measured(inspected, shape, dtype):
    W = sample(shape, dtype)
    status, rows, report = inspected({"0.weight": W, "0.bias": np.ones(4)})
    assert status == 0 and rows.keys() == {"0.weight", "0.bias"}
    assert rows["0.weight"]["shape"] == list(shape)
    assert rows["0.weight"]["dtype"] == np.dtype(dtype).name
    assert_measured(rows["0.weight"], wide_rows(W))
    assert rows["0.bias"]["largest"] is None
    assert report.endswith("2 tensors, 1 of them matrices, 0 parametrized: no warnings\n")


def test_the_table_shows_the_numbers(inspected):
    _, _, report = inspected({"w": np.diag([3.0, 0.5]), "indices": np.arange(4).reshape(2, 2)})
    lines = [line.split() for line in report.splitlines()]
    bounds = ["2.99999", "3.00001"]  # rounded outwards: what is printed is a bound
    assert ["w", "2x2", "float64", "3", *bounds, "0.5", "6", "8.0e+00", "0", "0"] in lines
    assert ["indices", "2x2", "int64", *6 * ["-"], "0", "0"] in lines


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 4, 3, 1)], ids=str)
def test_the_bounds_enclose_the_largest_singular_value(inspected, shape, dtype):
    W = sample(shape, dtype)
    _, rows, report = inspected({"w": W})
    norm = np.linalg.norm(wide_rows(W), 2)
    assert norm * (1 - 1e-13) < rows["w"]["lower"] < norm < rows["w"]["upper"] < norm * (1 + 1e-3)
    printed = next(line.split() for line in report.splitlines() if line.startswith("w "))
    assert norm * (1 - 2e-5) < float(printed[4]) < norm < float(printed[5]) < norm * (1 + 1e-3)


def test_the_bounds_of_a_stack_are_those_of_its_largest(inspected):
    base = np.stack([np.eye(2), np.diag([4.0, 2.0]), np.diag([3.0, 1.0])])
    _, rows, _ = inspected({ORIGINAL: np.stack([-np.eye(2)] * 3), BASE: base})
    assert 4 - 1e-12 < rows[BASE]["lower"] <= 4 <= rows[BASE]["upper"] < 4 + 1e-12


def test_the_norm_of_a_convolution_at_an_input_size_is_not_in_the_file(inspected):
    layer = spectral_norm(nn.Conv2d(2, 3, 3, rng=0), input_size=(5, 7), rng=0)
    status, rows, report = inspected(layer.state_dict())
    assert status == 0 and rows["weight"]["made_by"] == ["unknown"]
    assert "spectral_norm of a convolution on inputs of the size 5x7, whose stride" in report


def test_every_weight_of_a_pytorch_model_is_measured(capsys):
    weights = load(DATA / "pytorch_weights.safetensors")
    maps = [f"--orthogonal-map={name}={known}" for name in weights for known in MAPS
            if name.startswith(known)]
    assert __main__.main(["inspect", str(PYTORCH), "--json", *maps]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["tensors"]}
    assert rows.keys() >= weights.keys() | load(PYTORCH).keys()
    for name, W in weights.items():
        if name == "chain_spectral_orthogonal.weight":  # the file does not tell of the second
            continue
        row = rows[name]
        assert row["shape"] == list(W.shape) and row["dtype"] == W.dtype.name
        kind = name.partition("_")[0]
        if kind in ("default", *MAPS):
            assert row["made_by"][0].startswith(f"orthogonal ({kind if kind in MAPS else ''}")
            assert row["orthogonality_error"] < 20 * np.finfo(W.dtype).eps
        dim = 1 if "transposed" in name or "spectral_dim_1" in name else 0
        if W.ndim == 2 or kind != "default":
            s = np.linalg.svd(wide_rows(W, dim), compute_uv=False)
            assert row["largest"] == pytest.approx(s[0], rel=1e-5)
            assert row["smallest"] == pytest.approx(s[-1], rel=1e-4)
        for estimate, norm in row["estimates"]:
            assert estimate == pytest.approx(norm, rel=1e-3)
        assert len(row["estimates"]) == name.count("spectral") - (name.startswith("chain_spectral_o"))
        assert all(("estimate" in step) == ("spectral_norm (" in step) for step in row["made_by"])
        assert ("weight_norm" in row["made_by"][0]) == ("weight" in kind or "chain_weight" in name)


def test_a_stack_of_orthogonal_matrices_is_measured_one_by_one(inspected):
    module = nn.Module()
    module.weight = nn.Parameter(sample((2, 3, 5, 4)))
    status, rows, _ = inspected(orthogonal(module, rng=0).state_dict())
    assert status == 0 and rows["weight"]["orthogonality_error"] < 1e-13
    assert rows[BASE]["shape"] == [2, 3, 5, 5] and rows[BASE]["orthogonality_error"] < 1e-13


def test_the_condition_of_a_stack_is_its_worst(inspected):
    base = np.stack([np.diag([1.25, 1.0]), np.diag([1.0, 0.75]), np.eye(2)])
    _, rows, _ = inspected({ORIGINAL: np.stack([-np.eye(2)] * 3), BASE: base})
    for name in ("weight", BASE):
        row = rows[name]
        assert (row["largest"], row["smallest"], row["condition"]) == (1.25, 0.75, 1 / 0.75)
        assert row["orthogonality_error"] == 0.5625


@pytest.mark.parametrize("orthogonal_map", MAPS)
@pytest.mark.parametrize("named", [True, False])
def test_the_map_is_what_the_option_says(inspected, tmp_path, orthogonal_map, named):
    layer = orthogonal(nn.Linear(3, 5, rng=0), "weight", orthogonal_map, rng=0)
    layer.parametrizations.weight._parameters["original"].data = sample((5, 3)) - np.eye(5, 3)
    bare = orthogonal(nn.Linear(3, 5, rng=1), "weight", orthogonal_map, use_trivialization=False)
    state = {**layer.state_dict(prefix="0."), **bare.state_dict(prefix="1.")}
    # The diagonal holds householder's signs.
    state[f"0.{ORIGINAL}"][range(3), range(3)] = -1
    layer.load_state_dict({key[2:]: x for key, x in state.items() if key[0] == "0"})
    options = ([f"--orthogonal-map={i}.weight={orthogonal_map}" for i in (0, 1)] if named
               else [f"--orthogonal-map={orthogonal_map}"])
    out = tmp_path / "plain.npz"
    status, rows, _ = inspected(state, *options, f"--export={out}")
    assert status == 0
    assert rows["0.weight"]["made_by"] == [f"orthogonal ({orthogonal_map})"]
    assert rows["1.weight"]["made_by"] == [f"orthogonal ({orthogonal_map})"]
    plain = load(out)
    assert np.abs(plain["0.weight"] - layer.weight).max() < 1e-14
    assert np.abs(plain["1.weight"] - bare.weight).max() < 1e-14


def test_what_the_file_does_not_tell_is_a_note_and_no_warning(inspected):
    bare = orthogonal(nn.Linear(3, 5, rng=0), use_trivialization=False)
    vector = spectral_norm(nn.Linear(3, 5, rng=0), "bias")
    masked = {f"2.{ORIGINAL}": np.eye(2), "2.parametrizations.weight.0.mask": np.eye(2)}
    triple = {f"3.{ORIGINAL}{i}": np.ones(2) for i in range(3)}
    stacks = {f"{4 + i}.{ORIGINAL}": np.stack([np.eye(4, 3), d * np.eye(4, 3)])
              for i, d in enumerate((-1, -2))}
    status, rows, report = inspected({**bare.state_dict(prefix="0."), **vector.state_dict(prefix="1."),
                                      **masked, **triple, **stacks})
    assert status == 0
    for name in ("0.weight", "1.bias", "2.weight", "3.weight", "4.weight", "5.weight"):
        assert rows[name]["made_by"] == ["unknown"] and rows[name]["warnings"] == []
    assert rows["0.weight"]["largest"] is None and "say so with --orthogonal-map" in report
    for name, hinted in (("0.weight", True), ("4.weight", True), ("5.weight", False)):
        note, = rows[name]["notes"]
        assert ("(its diagonal is all 1 and -1, as householder's)" in note) == hinted
    assert "spectral_norm of a vector" in rows["1.bias"]["notes"][0]
    assert "is not known here, and has mask" in rows["2.weight"]["notes"][0]
    _, rows, _ = inspected(vector.state_dict(), "--orthogonal-map=cayley")  # of matrices
    assert rows["bias"]["made_by"] == ["unknown"] and rows["bias"]["warnings"] == []


@pytest.mark.parametrize("dim, shape", [(0, (4, 4)), (1, (4, 4)), (0, (3, 3, 2)), (1, (3, 3, 2)),
                                        (2, (6, 2, 2)), (0, (6, 2, 2))])
def test_the_dim_of_spectral_norm_is_the_one_its_vectors_fit(inspected, dim, shape):
    module = nn.Module()
    module.weight = nn.Parameter(sample(shape))
    state = spectral_norm(module, n_power_iterations=30, dim=dim, rng=0).state_dict()
    status, rows, _ = inspected(state)
    assert status == 0 and f"dim {dim}" in rows["weight"]["made_by"][0]
    assert rows["weight"]["largest"] == pytest.approx(1, rel=1e-2)
    assert ("that fit" in rows["weight"]["made_by"][0]) == (shape[:2] != (6, 2) or dim > 0)


def test_originals_are_shown_before_what_is_kept_beside_them(inspected):
    _, rows, report = inspected({V: np.eye(3)[0], U: np.eye(2)[0], ORIGINAL: np.eye(2, 3)})
    assert list(rows) == ["weight", ORIGINAL, U, V]
    assert [line.split()[0] for line in report.splitlines()[3:5]] == ["weight", "original"]


def test_half_precision_is_examined_as_float32_and_says_so(tmp_path, capsys):
    values = np.array([[1.5, 0.25], [-2.0, 3.0]], np.float32)
    state = {"b": tensor("BF16", (2, 2), (0, 8)), "h": tensor("F16", (2, 2), (8, 16))}
    bits = (values.view(np.uint32) >> 16).astype("<u2").tobytes() + values.astype("<f2").tobytes()
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors_bytes(state, bits))
    assert __main__.main(["inspect", str(path), "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["tensors"]}
    assert rows["b"]["dtype"] == "bfloat16" and rows["h"]["dtype"] == "float16"
    assert_measured(rows["b"], values.astype(float))
    assert_measured(rows["h"], values.astype(float))
    __main__.main(["inspect", str(path)])
    assert "note: bfloat16 and float16 entries were examined as float32" in capsys.readouterr().out


def test_a_parametrized_weight_in_float16_is_computed_in_float32(inspected, tmp_path):
    layer = spectral_norm(nn.Linear(5, 4, rng=0), rng=0).eval()
    half = {key: x.astype(np.float16) for key, x in layer.state_dict().items()}
    status, rows, _ = inspected(half, f"--export={tmp_path / 'plain.npz'}")
    assert status == 0 and rows["weight"]["dtype"] == "float16"
    plain = load(tmp_path / "plain.npz")
    assert plain["weight"].dtype == np.float32 and plain["bias"].dtype == np.float16
    assert np.abs(plain["weight"] - layer.weight).max() < 2e-3


# -- the warnings ------------------------------------------------------------------------------------

def orthogonal_state(**changes):
    return {**orthogonal(nn.Linear(3, 5, rng=0), rng=0).state_dict(), **changes}


def spectral_state(off=1.0):
    """State of spectral_norm with an estimate that is `off` times the norm."""
    W = np.diag([2.0, 1.0, 0.5])
    u = np.array([off, 0, 0])
    return {ORIGINAL: W, U: u, V: np.eye(3)[0]}


def with_entry(array, index, value):
    array = array.copy()
    array[index] = value
    return array


FAILS = "weight: cannot be computed: "
WRONG = {
    "base": (
        orthogonal_state(**{BASE: np.eye(5) + 1e-3 * sample((5, 5))}),
        ["weight: the weight should be orthogonal, and its orthogonality error is",
         f"{BASE}: base should be orthogonal, and its orthogonality error is"]),
    "a column of base that the weight does not have": (
        orthogonal_state(**{BASE: with_entry(np.eye(5), (4, 4), 1 + 1e-13), ORIGINAL: -np.eye(5, 3)}),
        [f"{BASE}: base should be orthogonal, and its orthogonality error is 2.0e-13"]),
    "householder's signs decayed": (
        orthogonal_state(**{ORIGINAL: -0.99999 * np.eye(5, 3)}),
        ["weight: 3 of the 3 signs on the diagonal of original are not 1 or -1, as after weight decay "
         "or averaging: the weight is orthogonal here, where only the sign of each is read, but "
         "PyTorch multiplies the columns by their integer parts, and makes 3 columns zero"]),
    "householder's signs of a wide weight": (
        {ORIGINAL: np.diag([-2.5, 1, -1])[:, [0, 1, 2, 1]], BASE: np.eye(4)},
        ["weight: 1 of the 3 signs on the diagonal of original are not 1 or -1, as after weight decay "
         "or averaging: the weight is orthogonal here, where only the sign of each is read, but "
         "PyTorch multiplies the rows by their integer parts"]),
    "householder's signs of a stack of wide weights": (
        {ORIGINAL: np.stack([np.eye(3, 4), -2.5 * np.eye(3, 4)]), BASE: np.stack([np.eye(4)] * 2)},
        ["weight: 3 of the 6 signs on the diagonal of original are not 1 or -1, as after weight decay "
         "or averaging: the weight is orthogonal here, where only the sign of each is read, but "
         "PyTorch multiplies the rows by their integer parts"]),
    "high estimate": (
        spectral_state(1.02),
        ["weight: the estimate of the norm is off by 2.0%: it is 2.04, the norm 2"]),
    "low estimate": (
        spectral_state(0.5),
        ["weight: the estimate of the norm is off by 50.0%: it is 1, the norm 2. _u and _v have the "
         "norms 0.5 and 1, as in an average of state dicts: they are found anew here, PyTorch divides "
         "by that estimate"]),
    "vectors of another weight": (
        {**spectral_state(), ORIGINAL: np.diag([1.0, 2.0, 0.5])},
        ["weight: the estimate of the norm is off by 50.0%: it is 1, the norm 2"]),
    "zero estimate": (
        spectral_state(0.0), [FAILS + "u and v estimate a spectral norm of zero"]),
    "NaN": (
        {"weight": with_entry(np.ones((2, 2)), (0, 0), np.nan)},
        ["weight: 1 entries are NaN and 0 infinite, of 4"]),
    "infinity in a vector": (
        {"bias": np.array([np.inf, -np.inf, 1])}, ["bias: 0 entries are NaN and 2 infinite, of 3"]),
    "NaN in original": (
        orthogonal_state(**{ORIGINAL: with_entry(-np.eye(5, 3), (3, 0), np.nan)}),
        [FAILS + "X must be finite", f"{ORIGINAL}: 1 entries are NaN"]),
    "zero columns": (
        {"weight": with_entry(np.ones((3, 4)), np.s_[:, 1:3], 0)},
        ["weight: 2 of 4 columns are zero"]),
    "zero column of a wide spectral weight": (
        {ORIGINAL: np.array([[3.0, 0, 0], [0, 1, 0]]), U: np.eye(2)[0], V: np.eye(3)[0]},
        ["weight: 1 of 3 columns are zero"]),
    "zero weight": (
        {ORIGINAL: np.zeros((2, 2)), U: np.eye(2)[0], V: np.eye(2)[0]},
        ["weight: spectral_norm of a zero weight: PyTorch's is NaN",
         "weight: 2 of 2 columns are zero"]),
    "zero direction": (
        {ORIGINAL + "0": np.ones((3, 1)), ORIGINAL + "1": with_entry(np.ones((3, 2)), 1, 0)},
        ["weight: 1 slices of original1 are zero and have no direction"]),
    "shape of base": (
        orthogonal_state(**{BASE: np.eye(4)}), [FAILS + "a base of the shape (4, 4) does not fit"]),
    "base that would broadcast": (
        {ORIGINAL: np.ones((1, 9, 3, 3)), BASE: np.ones((9, 1, 3, 3))},
        [FAILS + "a base of the shape (9, 1, 3, 3)", BASE]),
    "lengths of u and v": (
        {**spectral_state(), U: np.ones(2)}, [FAILS + "_u of (2,) and _v of (3,) fit no dimension"]),
    "u and v of a vector": (
        {ORIGINAL: np.ones(3), U: np.ones(3), V: np.ones(1)}, [FAILS]),
    "integers": (
        {ORIGINAL: np.eye(3, dtype=int), BASE: np.eye(3)}, [FAILS + "a parameter must have dtype"]),
    "no dimension": (
        {ORIGINAL: np.array(1.0), BASE: np.eye(3)}, [FAILS + "original has the shape (), which is no"]),
    "endless chain": (
        {ORIGINAL: np.eye(3), "parametrizations.weight.999999999._u": np.ones(3)},
        [FAILS + "no chain of parametrizations has the parts"]),
    "no position": (
        {ORIGINAL: np.eye(3), "parametrizations.weight.parametrizations.x.y": np.ones(3)},
        [FAILS + "no chain of parametrizations has the parts"]),
    "two kinds": (
        {ORIGINAL: np.eye(3), ORIGINAL + "0": np.ones(3)},
        [FAILS + "no chain of parametrizations has the parts"]),
}


@pytest.mark.parametrize("state, wanted", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(inspected, state, wanted):
    status, rows, report = inspected(state)
    found = [f"{name}: {warning}" for name, row in rows.items() for warning in row["warnings"]]
    assert status == 1
    assert len(found) == len(wanted), found
    for text, start in zip(found, wanted):
        assert text.startswith(start)
        assert f"warning: {text}\n" in report
    assert report.endswith(f": {len(wanted)} warning{'s' * (len(wanted) > 1)}\n")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.complex64, np.float64])
@pytest.mark.parametrize("units, status", [(24, 0), (26, 1)])
def test_what_is_orthogonal_has_pytorchs_tolerance(inspected, dtype, units, status):
    """Ten times the size, here 50, in units of rounding: an entry 1 + x has the error 2 x + x^2."""
    base = with_entry(np.eye(5, dtype=dtype), (4, 4), 1 + units * np.finfo(dtype).eps)
    assert inspected({ORIGINAL: -np.eye(5, 3, dtype=dtype), BASE: base})[0] == status


WHOLE = {ORIGINAL + "0": np.array(2.0), ORIGINAL + "1": np.array([[1.0, 2.0], [0.0, 0.0]])}
HALF = orthogonal_state()
HALF = {**HALF, BASE: HALF[BASE].astype(np.float16)}  # orthogonal as far as float16 can tell
WIDE = {ORIGINAL: -np.eye(3, 5), BASE: np.eye(5)}  # its weight has two zero columns
CHAIN = {ORIGINAL: np.diag([2.0, 1.0, 0.0]), U: np.eye(3)[0], V: np.eye(3)[0],
         "parametrizations.weight.1.base": np.eye(3)}  # a zero column, that becomes one of length 1


@pytest.mark.parametrize("state", [
    orthogonal_state(), HALF, WIDE, CHAIN, WHOLE, spectral_state(1.009), spectral_state(0.992)],
    ids=["orthogonal", "half", "wide", "chain", "one length", "high", "low"])
def test_what_is_right_is_not_warned_of(inspected, state):
    assert inspected(state)[0] == 0


def test_entries_without_elements_are_no_trouble(inspected):
    status, rows, _ = inspected({"a": np.zeros((0, 3)), "b": np.zeros((3, 0, 2)), BASE: np.eye(3),
                                 ORIGINAL: np.zeros((3, 0))})
    assert status == 0
    assert rows["a"]["largest"] is rows["b"]["largest"] is rows["weight"]["largest"] is None


def test_singular_values_beyond_the_numbers_are_null(inspected):
    _, rows, report = inspected({"w": np.full((2, 2), np.finfo(float).max), "s": np.diag([1.0, 0.0])})
    assert rows["w"]["largest"] is None and "inf" in report
    assert rows["s"]["condition"] is None and rows["s"]["smallest"] == 0


# -- exporting ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_exported_weights_load_into_a_model_without_parametrizations(inspected, tmp_path, suffix):
    def linears():
        return nn.Sequential(*(nn.Linear(a, b, rng=a) for a, b in ((3, 5), (5, 4), (4, 4))))
    model, plain, x = linears(), linears(), sample((6, 3))
    orthogonal(model[0], rng=0)
    spectral_norm(model[1], rng=0)
    weight_norm(model[2])
    out = tmp_path / f"plain{suffix}"
    assert inspected(model.eval().state_dict(), f"--export={out}")[0] == 0
    plain.load_state_dict(load(out))
    assert np.abs(plain(x) - model(x)).max() < 1e-14
    assert_identical(load(out)["1.bias"], model.state_dict()["1.bias"])


def test_the_file_itself_may_be_the_export(tmp_path):
    path = tmp_path / "x.safetensors"
    layer = spectral_norm(nn.Linear(3, 2, rng=0), rng=0).eval()
    save(layer.state_dict(), path)
    assert __main__.main(["inspect", str(path), "--export", str(path)]) == 0
    assert load(path).keys() == {"weight", "bias"}


@pytest.mark.parametrize("out, message", [
    ("out.npz", "weight cannot be computed: its parametrization may be orthogonal"),
    ("out.pt", "can be written as"), ("no/out.npz", "no/out.npz: No such file")])
def test_an_export_that_fails_is_one_line_and_writes_nothing(tmp_path, capsys, out, message):
    path = tmp_path / "x.npz"
    save({ORIGINAL if out == "out.npz" else "w": np.eye(2)}, path)
    assert __main__.main(["inspect", str(path), "--export", str(tmp_path / out)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["x.npz"]


# -- the command -------------------------------------------------------------------------------------

def run(*args):
    return subprocess.run([sys.executable, "-m", "orthonorm", "inspect", *map(str, args)],
                          capture_output=True, text=True)


def test_the_command_runs_as_a_process():
    done = run(PYTORCH)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.endswith("193 tensors, 112 of them matrices, 44 parametrized: no warnings\n")


@pytest.mark.parametrize("suffix, content", HOSTILE)
def test_a_hostile_file_is_one_line_and_status_2(tmp_path, capsys, suffix, content):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    assert __main__.main(["inspect", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith(f"orthonorm: {path}: ")


@pytest.mark.parametrize("suffix, content", [case for case in HOSTILE if case.id in {
    "safetensors: truncated", "safetensors: pickle", "npz: truncated", "npz: bomb", "npz: object array",
    "npz: code in header", "npz: nested header"}])
def test_a_hostile_file_is_one_line_and_status_2_of_the_process(tmp_path, suffix, content):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    done = run(path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(f"orthonorm: {path}: ")


@pytest.mark.parametrize("args, message", [
    (["missing.npz"], "orthonorm: missing.npz: No such file or directory"),
    (["missing"], "orthonorm: missing: No such file or directory"),
    ([DATA], "is not a file"),
    ([__file__], "not a kind of file known here"),
    ([PYTORCH, "--orthogonal-map=qr"], "has to be one of matrix_exp, cayley"),
    ([PYTORCH, "--orthogonal-map=plain.weight=cayley"], "plain.weight, which is not parametrized"),
], ids=["missing", "missing without suffix", "folder", "foreign", "map", "tensor"])
def test_what_cannot_be_done_is_one_line_and_status_2(capsys, args, message):
    assert __main__.main(["inspect", *map(str, args)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and message in captured.err


@pytest.mark.parametrize("error, message", [
    (MemoryError(), "MemoryError"), (np.linalg.LinAlgError("no convergence"), "no convergence")])
def test_an_analysis_that_fails_is_one_line_and_status_2(monkeypatch, capsys, error, message):
    def svd(*args, **kwargs):
        raise error
    monkeypatch.setattr(np.linalg, "svd", svd)
    assert __main__.main(["inspect", str(PYTORCH)]) == 2
    assert capsys.readouterr().err == f"orthonorm: {message}\n"


@pytest.mark.parametrize("tty, large, shown", [
    (True, True, True), (True, False, False), (False, True, False)])
def test_a_progress_bar_on_large_files_at_a_terminal(tmp_path, monkeypatch, capsys, tty, large, shown):
    path = tmp_path / "x.npz"
    save({**orthogonal_state(), "other": np.eye(2)}, path)
    monkeypatch.setattr(__main__, "LARGE_FILE", 0 if large else 10**9)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: tty, raising=False)
    assert __main__.main(["inspect", str(path)]) == 0
    bar = capsys.readouterr().err
    assert (f"\r[{'#' * 30}] 4/4 entries" in bar) == shown and (bar == "") != shown


def test_the_help_explains_the_exit_status(capsys):
    with pytest.raises(SystemExit) as end:
        __main__.main(["inspect", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0
    assert "status 0 if nothing is, 1 if there are warnings, 2 if the file cannot be read" in text
