"""The command line, as processes."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from orthonorm import __main__
from orthonorm.checkpoints import save
from orthonorm.equivalence import report, runs


def run(*arguments, cwd, stdout=subprocess.PIPE, **environment):
    return subprocess.run([sys.executable, "-m", "orthonorm", *arguments], cwd=cwd, text=True,
                          stdout=stdout, stderr=subprocess.PIPE, env={**os.environ, **environment})


@pytest.fixture
def elsewhere(tmp_path, request):
    """A folder that is not the repository, and the repository on the path."""
    return {"cwd": tmp_path, "PYTHONPATH": str(request.config.rootpath)}


def test_equivalence_passes_from_any_folder(elsewhere, tmp_path):
    done = run("equivalence", "--json", "report.json", **elsewhere)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("orthonorm against PyTorch 2.13.0, recorded\n")
    assert "all equal within tolerance" in done.stdout.splitlines()[-1]
    assert json.loads((tmp_path / "report.json").read_text())["passed"] is True


def test_live_without_pytorch_is_one_clear_line(elsewhere, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('No module named torch')")
    done = run("equivalence", "--live", **elsewhere)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == ("orthonorm: --live needs PyTorch (No module named torch): "
                           "pip install torch\n")


@pytest.mark.parametrize("arguments", [
    [], ["nothing"], ["equivalence", "--seed", "x"], ["equivalence", "--seed", "-1"]], ids=str)
def test_usage_errors_have_exit_status_2(arguments, elsewhere):
    done = run(*arguments, **elsewhere)
    assert done.returncode == 2 and "usage: orthonorm" in done.stderr


def test_a_report_that_cannot_be_written_has_exit_status_2(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(report, "compare", lambda answers: [])
    monkeypatch.setattr(runs, "compare", lambda followed, digits: [])
    path = tmp_path / "nowhere" / "report.json"
    assert __main__.main(["equivalence", "--json", str(path)]) == 2
    assert capsys.readouterr().err == f"orthonorm: {path}: No such file or directory\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_is_one_line_and_exit_status_2(elsewhere, tmp_path, unbuffered):
    save({"weight": np.eye(2)}, tmp_path / "x.npz")
    reader, writer = os.pipe()
    os.close(reader)
    done = run("inspect", "x.npz", stdout=writer, **elsewhere, PYTHONUNBUFFERED=unbuffered)
    os.close(writer)
    assert done.returncode == 2 and done.stderr == "orthonorm: the report: Broken pipe\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_line_and_exit_status_2(elsewhere, tmp_path, unbuffered):
    save({"weight": np.eye(2)}, tmp_path / "x.npz")
    with open("/dev/full", "w") as full:
        done = run("inspect", "x.npz", stdout=full, **elsewhere, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 2
    assert done.stderr == "orthonorm: the report: No space left on device\n"


def test_a_name_that_the_terminal_cannot_show_is_escaped(elsewhere, tmp_path):
    save({"poids é": np.eye(2)}, tmp_path / "x.npz")
    done = run("inspect", "x.npz", PYTHONIOENCODING="ascii", **elsewhere)
    assert done.returncode == 0 and "\npoids \\xe9 " in done.stdout


def test_a_file_name_of_two_lines_is_reported_in_one(capsys):
    assert __main__.main(["inspect", "no\nfile.npz"]) == 2
    assert capsys.readouterr().err == "orthonorm: no file.npz: No such file or directory\n"


def test_a_difference_has_exit_status_1(monkeypatch, capsys):
    rows = [report.Row("family", "float64", cases=1, failures=["name: differs by 1"])]
    monkeypatch.setattr(report, "compare", lambda answers: rows)
    monkeypatch.setattr(runs, "compare", lambda followed, digits: [])
    assert __main__.main(["equivalence"]) == 1
    assert "FAIL family float64: name: differs by 1" in capsys.readouterr().out


def test_a_run_that_drifts_has_exit_status_1(monkeypatch, capsys):
    rows = [report.Row("run", "float64", cases=1, failures=["drifts from step 3: loss"])]
    monkeypatch.setattr(report, "compare", lambda answers: [])
    monkeypatch.setattr(runs, "compare", lambda followed, digits: rows)
    assert __main__.main(["equivalence"]) == 1
    assert "FAIL run float64: drifts from step 3: loss" in capsys.readouterr().out
