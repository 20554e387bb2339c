"""PEFT's OFT, BOFT, PSOFT and HRA against the weights that PEFT 0.21.2 merged itself."""
import json

import numpy as np
import pytest
from safetensors import safe_open

from orthonorm import __main__, core
from orthonorm.checkpoints import CheckpointError, adapter_rotations, load, save
from orthonorm.checkpoints.adapters import exact_blocks, recognized
from orthonorm.core.cayley_series import skew_of_upper
from tests.helpers import assert_within, gram_error, sample

from .test_parametrized import DATA

with safe_open(DATA / "peft_adapters.safetensors", "numpy") as file:
    CONFIGS = json.loads(file.metadata()["configs"])
    TENSORS = {key: file.get_tensor(key) for key in file.keys()}

CASES = list(CONFIGS)
ROTATIONS = [case for case in CASES if not case.startswith("PSOFT")]


def part(case, kind):
    prefix = f"{case}/{kind}/"
    return {key.removeprefix(prefix): x for key, x in TENSORS.items() if key.startswith(prefix)}


@pytest.mark.parametrize("case", ROTATIONS)
def test_the_weight_times_the_rotation_is_what_peft_merges(case):
    rotations = adapter_rotations(part(case, "adapter"), CONFIGS[case])
    weights, merged = part(case, "weight"), part(case, "merged")
    assert rotations.keys() == weights.keys()
    for layer, W in weights.items():
        assert rotations[layer].dtype == np.float64
        scale = part(case, "adapter").get(f"base_model.model.{layer}.boft_s", 1)
        assert_within(scale * (W @ rotations[layer]), merged[layer].astype(float), 2e-6)
        assert np.abs(merged[layer] - W).max() > 0.05


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("PSOFT")])
def test_psoft_turns_its_subspace(case):
    """Between the singular vectors of the weight; the scales are ones in these checkpoints."""
    rotations = adapter_rotations(part(case, "adapter"), CONFIGS[case])
    for layer, W in part(case, "weight").items():
        R = rotations[layer]
        assert_within(R, part(case, "rotation")[layer].astype(float), 2e-6)
        U, s, VT = np.linalg.svd(W.astype(float), full_matrices=False)
        r = len(R)
        merged = W + U[:, :r] * s[:r] @ (R - np.eye(r)) @ VT[:r]
        assert_within(merged, part(case, "merged")[layer].astype(float), 2e-6)


@pytest.mark.parametrize("case", CASES)
def test_without_a_config_the_rotations_are_orthogonal_to_rounding(case):
    for R in adapter_rotations(part(case, "adapter")).values():
        assert gram_error(R) <= 1e-14


def test_pefts_series_turns_the_other_way_than_its_exact_form():
    """The same file, with use_cayley_neumann and without: transposes of each other, nearly."""
    adapter, config = part("OFT exact", "adapter"), CONFIGS["OFT exact"]
    exact = adapter_rotations(adapter, config)["a"]
    series = adapter_rotations(adapter, {**config, "use_cayley_neumann": True,
                                         "num_cayley_neumann_terms": 30})["a"]
    assert_within(series, exact.T, 1e-12)
    assert np.abs(series - exact).max() > 0.1


def test_three_and_four_terms_are_the_same():
    three, four = (adapter_rotations(part("OFT series, 3 terms", "adapter"), CONFIGS[case])
                   for case in ("OFT series, 3 terms", "OFT series, 4 terms"))
    assert np.array_equal(three["a"], four["a"])


# -- each convention by this package's maps, and back --------------------------------------------------

def lower(Q):
    """Return the X whose lower triangle the maps read A from."""
    return np.tril(Q, -1)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_round_trip_of_oft(n):
    v = 0.3 * sample((3, n * (n - 1) // 2))
    R = exact_blocks(recognized("layer.oft_R.weight", v)) if v.size else np.ones((3, 1, 1))
    X = core.cayley_inverse(R)
    back = -X.swapaxes(-1, -2)[..., *np.triu_indices(n, 1)] / 2  # sign, half, triangle
    assert_within(core.cayley(lower(2 * skew_of_upper(v))), R, 1e-15)
    assert_within(back, v, 1e-14)


def test_round_trip_of_boft():
    D = 0.3 * sample((1, 3, 4, 4))
    R = exact_blocks(recognized("layer.boft_R", D))
    skew = core.cayley_inverse(R)  # lower triangle of D - D^T
    assert_within(skew, np.tril(D - D.swapaxes(-1, -2), -1), 1e-14)


def test_round_trip_of_hra():
    """The product of r reflectors is 1 apart from r dimensions; ours of n reflectors is the same."""
    u = sample((6, 4))
    R = exact_blocks(recognized("layer.hra_u", u))
    assert_within(np.linalg.det(R), 1.0, 1e-13)
    outside = np.linalg.qr(u, mode="complete")[0][:, 4:]
    assert_within(R @ outside, outside, 1e-14)
    assert_within(core.householder(core.householder_inverse(R)), R, 1e-14)


def test_hra_with_pairs_of_equal_vectors_is_the_identity_unless_apply_gs():
    """PEFT's default start. With apply_GS the second of each pair is normalised rounding error."""
    u = np.repeat(sample((8, 2)), 2, axis=1)
    adapter = recognized("layer.hra_u", u)
    assert_within(exact_blocks(adapter), np.eye(8), 1e-14)
    assert np.abs(exact_blocks(adapter, apply_GS=True) - np.eye(8)).max() > 0.1


# -- what is recognised, and what is refused -----------------------------------------------------------

@pytest.mark.parametrize("key, shape, expected", [
    ("base_model.model.a.b.oft_R.weight", (3, 6), ("OFT", "a.b")),
    ("a.oft_R.default.weight", (3, 6), ("OFT", "a")), ("a.boft_R", (1, 3, 4, 4), ("BOFT", "a")),
    ("a.boft_R.default", (1, 3, 4, 4), ("BOFT", "a")), ("a.hra_u", (12, 4), ("HRA", "a")),
    ("a.psoft_R.weight", (6,), ("PSOFT", "a")), ("a.psoft_R.vector_a", (4,), None),
    ("a.oft_R.weight", (6,), None), ("a.boft_R", (1, 3, 4, 5), None), ("a.weight", (3, 6), None),
    ("a.lora_A.weight", (3, 6), None), ("oft_R.weight", (3, 6), None)])
def test_recognized(key, shape, expected):
    adapter = recognized(key, np.zeros(shape, np.float32))
    assert (adapter and adapter[:2]) == expected


def test_integers_and_nothing_are_no_adapters():
    assert recognized("a.oft_R.weight", np.zeros((3, 6), int)) is None
    assert recognized("a.oft_R.weight", np.zeros((0, 6))) is None


@pytest.mark.parametrize("state, message", [
    ({"a.weight": np.eye(3)}, "there is no adapter of OFT, BOFT, PSOFT or HRA"),
    ({"a.oft_R.weight": np.zeros((2, 5))}, "the OFT adapter of a: vectors must have n"),
    ({"a.boft_R": np.zeros((2, 3, 4, 4))}, "the BOFT adapter of a has 2 butterfly factors"),
    ({"a.hra_u": np.eye(3, 2) * [1, 0]}, "the HRA adapter of a has a vector of zeros")], ids=str)
def test_what_is_no_rotation_raises(state, message):
    with pytest.raises(CheckpointError, match=f"^{message}"):
        adapter_rotations(state)


# -- inspect -------------------------------------------------------------------------------------------

def inspect(state, tmp_path, capsys):
    save(state, tmp_path / "x.npz")
    status = __main__.main(["inspect", str(tmp_path / "x.npz"), "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["tensors"]}
    __main__.main(["inspect", str(tmp_path / "x.npz")])
    return status, rows, capsys.readouterr().out


@pytest.mark.parametrize("case, key, made_by", [
    ("OFT exact", "oft_R.weight", "OFT, 3 blocks of 4 x 4"),
    ("BOFT", "boft_R", "BOFT, 3 blocks of 4 x 4"), ("HRA", "hra_u", "HRA, 4 reflectors"),
    ("PSOFT exact", "psoft_R.weight", "PSOFT, 1 block of 4 x 4")])
def test_inspect_reports_the_rotation(case, key, made_by, tmp_path, capsys):
    status, rows, text = inspect(part(case, "adapter"), tmp_path, capsys)
    row = rows[f"base_model.model.a.{key}"]
    assert status == 0 and row["made_by"] == [made_by] and made_by in text
    assert row["orthogonality_error"] < 1e-14 and abs(row["largest"] - 1) < 1e-14
    assert ("PEFT's series is off by" in text) == (case in ("OFT exact", "PSOFT exact"))


def test_inspect_warns_of_what_is_broken(tmp_path, capsys):
    state = {"a.oft_R.weight": np.zeros((2, 5)), "b.hra_u": np.zeros((4, 2)),
             "c.oft_R.weight": np.full((1, 6), np.nan), "d.oft_R.weight": 5 * np.ones((1, 6))}
    status, rows, text = inspect(state, tmp_path, capsys)
    assert status == 1
    assert rows["a.oft_R.weight"]["made_by"] == ["broken"]
    assert "vectors must have n (n - 1) / 2 entries, got 5" in text
    assert "a vector of zeros" in text and "6 entries are NaN" in text
    assert "d.oft_R.weight: the skew matrix has the norm" in text


@pytest.mark.parametrize("case", ["OFT series", "HRA GS"])
@pytest.mark.parametrize("with_config", [True, False])
def test_export_writes_the_rotations(case, with_config, tmp_path, capsys):
    """By the configuration beside the file; exact ones without it."""
    adapter = {**part(case, "adapter"), "a.bias": np.arange(3.0)}
    save(adapter, tmp_path / "adapter_model.safetensors")
    if with_config:
        (tmp_path / "adapter_config.json").write_text(json.dumps(CONFIGS[case]))
    assert __main__.main(["inspect", str(tmp_path / "adapter_model.safetensors"),
                          "--export", str(tmp_path / "out.npz")]) == 0
    expected = adapter_rotations(adapter, CONFIGS[case] if with_config else None)
    exported = load(tmp_path / "out.npz")
    assert exported.keys() == {"a.bias", *(f"{layer}.rotation" for layer in expected)}
    for layer, R in expected.items():
        assert np.array_equal(exported[f"{layer}.rotation"], R)


@pytest.mark.parametrize("text, message", [
    ("{", "is not JSON"), ("[1]", "must hold a JSON object, got list")])
def test_a_broken_configuration_is_an_error(text, message, tmp_path, capsys):
    save(part("HRA", "adapter"), tmp_path / "x.npz")
    (tmp_path / "adapter_config.json").write_text(text)
    assert __main__.main(["inspect", str(tmp_path / "x.npz"), "--export", str(tmp_path / "y.npz")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "y.npz").exists()


def test_an_input_that_no_mirror_of_hra_moves():
    Q = exact_blocks(recognized("a.hra_u", np.eye(3, 2)))
    assert np.array_equal(Q, np.diag([-1.0, -1, 1]))
