import json
import zipfile

import numpy as np
import pytest

from orthonorm.equivalence import recording
from orthonorm.equivalence.cases import all_cases


def test_what_is_saved_is_loaded(tmp_path):
    answers = {"a": {"inputs": {"X": np.arange(6.0).reshape(2, 3)},
                     "answers": {"e": "ValueError", "Z": np.array([1j, 2], np.complex64)}},
               "b": {"inputs": {"X": np.zeros((0, 2)), "s": np.float32(3) * np.ones((), np.float32)}}}
    recording.save(tmp_path / "r.npz", {"pytorch": "1"}, answers)
    header, loaded = recording.load(tmp_path / "r.npz")
    assert header == {"pytorch": "1"}
    assert loaded["a"]["answers"]["e"] == "ValueError"
    for case, group, name in [("a", "inputs", "X"), ("a", "answers", "Z"), ("b", "inputs", "X"),
                              ("b", "inputs", "s")]:
        ours, theirs = loaded[case][group][name], answers[case][group][name]
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        assert np.array_equal(ours, theirs)


def test_the_recording_is_small_and_holds_no_pickles():
    assert recording.PATH.stat().st_size < 2e6
    with zipfile.ZipFile(recording.PATH) as file:
        for name in file.namelist():
            with file.open(name) as member:
                np.lib.format.read_magic(member)
                assert not np.lib.format.read_array_header_1_0(member)[2].hasobject


def test_every_case_is_recorded_with_the_pytorch_version():
    header, answers = recording.load()
    assert header["pytorch"] == "2.13.0"
    assert {case.id for case in all_cases()} == set(answers)
    json.dumps(header)


def test_ids_are_unique():
    ids = [case.id for case in all_cases()]
    assert len(ids) == len(set(ids)) >= 600


@pytest.mark.parametrize("case", list(all_cases())[::50], ids=lambda case: case.id)
def test_inputs_depend_on_the_seed_and_on_nothing_else(case):
    first, again, other = case.draw(1), case.draw(1), case.draw(2)
    for name in first:
        assert first[name].dtype == case.dtype and first[name].shape == case.shapes[name]
        assert np.array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name]) or first[name].size == 1


def test_the_recorded_inputs_are_those_that_the_cases_draw():
    """Up to the rounding of the factorisations in them, which differs from machine to machine."""
    header, answers = recording.load()
    for case in all_cases():
        recorded, drawn = answers[case.id]["inputs"], case.draw(header["seed"])
        assert recorded.keys() == drawn.keys()
        for name, x in drawn.items():
            assert (x.shape, x.dtype) == (recorded[name].shape, recorded[name].dtype), (case.id, name)
            error = np.abs(x - recorded[name]).max(initial=0)
            assert error <= 100 * np.finfo(x.dtype).eps * np.abs(x).max(initial=0), (case.id, name)


@pytest.mark.parametrize("case", list(all_cases())[::10], ids=lambda case: case.id)
def test_inputs_are_what_their_names_say(case):
    rounding = 20 * np.finfo(case.dtype).eps
    for name, x in case.draw(3).items():
        if name.startswith("Q"):
            tall = x if x.shape[-2] >= x.shape[-1] else np.swapaxes(x, -1, -2)
            gram = np.swapaxes(tall.conj(), -1, -2) @ tall
            assert np.abs(gram - np.eye(tall.shape[-1])).max(initial=0) < rounding
        elif name in ("u", "v"):
            assert abs(np.linalg.norm(x) - 1) < rounding
        elif name == "probabilities":
            assert (x > 0).all() and np.abs(x.sum(axis=1) - 1).max() < rounding
        elif name in ("classes", "chances", "factor", "pos_factor"):
            low, high = {"classes": (0, 3), "chances": (0, 1)}.get(name, (0.5, 2))
            assert (x >= low).all() and (x <= high).all()


def test_recorded_inputs_are_finite_and_the_answers_too():
    _, answers = recording.load()
    for case in answers.values():
        for group in case.values():
            for array in group.values():
                assert isinstance(array, str) or np.all(np.isfinite(array))
