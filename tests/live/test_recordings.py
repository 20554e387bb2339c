"""`equivalence --record` and `--recording`: another PyTorch's answers, in a file."""
import itertools

import pytest

from orthonorm.__main__ import main
from orthonorm.equivalence import report, runs, sources
from orthonorm.equivalence.cases import all_cases

FEW = list(itertools.islice(all_cases(), 0, None, 50))
RUN = [run for run in runs.all_runs() if run.name == "classifier, weight_norm"]


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(sources, "all_cases", lambda: iter(FEW))
    monkeypatch.setattr(report, "all_cases", lambda: iter(FEW))
    monkeypatch.setattr(runs, "all_runs", lambda: iter(RUN))


def test_what_is_recorded_is_compared(few, tmp_path, capsys):
    path = tmp_path / "r.npz"
    assert main(["equivalence", "--record", str(path), "--seed", "5"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{len(FEW)} cases and 1 training runs of PyTorch ")
    assert main(["equivalence", "--recording", str(path)]) == 0
    head, *_, summary = capsys.readouterr().out.splitlines()
    assert head.startswith("orthonorm against PyTorch ") and head.endswith(", recorded")
    assert summary.startswith(f"{len(FEW) + 2} cases, ")
    source = sources.from_file(path)
    assert not (source.case(FEW[0])["inputs"]["X"] == FEW[0].draw(0)["X"]).all()
    assert (source.case(FEW[0])["inputs"]["X"] == FEW[0].draw(5)["X"]).all()


def test_a_recording_of_a_wrong_answer_has_exit_status_1(few, tmp_path, capsys):
    path = tmp_path / "r.npz"
    assert main(["equivalence", "--record", str(path)]) == 0
    header, answers = sources.recording.load(path)
    for group in ("answers", "exact"):
        wrong = answers["cases"][FEW[0].id][group]
        wrong["weight"] = wrong["grad"]
    sources.recording.save(path, header, answers)
    assert main(["equivalence", "--recording", str(path)]) == 1
    assert f"{FEW[0].name}: weight" in capsys.readouterr().out


@pytest.mark.parametrize("device", ["cuda:63", "nothing"])
def test_no_such_device_is_one_line_and_exit_status_2(tmp_path, capsys, device):
    path = tmp_path / "r.npz"
    assert main(["equivalence", "--record", str(path), "--device", device]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"orthonorm: PyTorch has no device '{device}' here: ")
    assert error.count("\n") == 1 and not path.exists()
