"""The command line, as processes."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from orthonorm import __main__
from orthonorm.checkpoints import save
from orthonorm.equivalence import report, sources


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


@pytest.mark.parametrize("option", ["--live", "--record"])
def test_without_pytorch_is_one_clear_line(elsewhere, tmp_path, option):
    (tmp_path / "torch.py").write_text("raise ImportError('No module named torch')")
    done = run("equivalence", option, *(["x.npz"] if option == "--record" else []), **elsewhere)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (f"orthonorm: {option} needs PyTorch (No module named torch): "
                           "pip install torch\n")


@pytest.mark.parametrize("arguments", [
    ["equivalence", "--record", "x"], ["equivalence", "--live", "--recording", "x.npz"],
    ["conformance"], ["conformance", "judge"], ["conformance", "questions", "--operation", "caley"],
    ["conformance", "questions", "--dtype", "float16"],
    [], ["nothing"], ["equivalence", "--seed", "x"], ["equivalence", "--seed", "-1"]], ids=str)
def test_usage_errors_have_exit_status_2(arguments, elsewhere):
    done = run(*arguments, **elsewhere)
    assert done.returncode == 2 and "usage: orthonorm" in done.stderr


def test_a_report_that_cannot_be_written_has_exit_status_2(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sources.Source, "rows", lambda self: iter([]))
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
    monkeypatch.setattr(sources.Source, "rows", lambda self: iter(rows))
    assert __main__.main(["equivalence"]) == 1
    assert "FAIL family float64: name: differs by 1" in capsys.readouterr().out


def test_a_run_that_drifts_has_exit_status_1(monkeypatch, capsys):
    rows = [report.Row("run", "float64", cases=1, failures=["drifts from step 3: loss"])]
    monkeypatch.setattr(sources.Source, "rows", lambda self: iter(rows))
    assert __main__.main(["equivalence"]) == 1
    assert "FAIL run float64: drifts from step 3: loss" in capsys.readouterr().out


MINE = """
from orthonorm.core.definitions import cayley, power_iteration
print("hello")
"""


def test_a_file_is_judged(elsewhere, tmp_path):
    """The table goes to the standard output; what the program prints does not."""
    (tmp_path / "mine.py").write_text(MINE)
    done = run("conformance", "judge", "mine.py", "--dtype", "float32", "--json", "said.json",
               **elsewhere)
    assert done.returncode == 0 and done.stderr == "hello\n"
    assert done.stdout.startswith("mine.py: how far from the exact answers, in units of the effect of")
    said = json.loads((tmp_path / "said.json").read_text())
    assert said["passed"] and {row["operation"] for row in said["operations"]} == {
        "cayley", "power_iteration"}


def test_a_module_in_this_folder_is_judged_and_a_wrong_one_has_exit_status_1(elsewhere, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "mine.py").write_text(MINE + "cayley = lambda X: X")
    done = run("conformance", "judge", "package.mine", "--operation", "cayley", **elsewhere)
    assert done.returncode == 1 and "\nFAIL cayley/" in done.stdout


@pytest.mark.parametrize("source, said", [
    ("x = 1", "nothing to ask: mine.py has none of the operations"),
    ("import os; os._exit(1)", "mine.py cannot be loaded: the process ended with exit status 1")])
def test_nothing_to_judge_has_exit_status_2(elsewhere, tmp_path, source, said):
    (tmp_path / "mine.py").write_text(source)
    done = run("conformance", "judge", "mine.py", **elsewhere)
    assert done.returncode == 2 and done.stdout == "" and done.stderr == f"orthonorm: {said}\n"


def test_questions_are_lines_of_json_without_answers(elsewhere):
    done = run("conformance", "questions", "--dtype", "complex64", **elsewhere)
    assert done.returncode == 0 and done.stderr == ""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) > 100 and all(line.keys() == {"id", "operation", "arguments"} for line in lines)
    assert {next(iter(line["arguments"].values()))["dtype"] for line in lines} == {"complex64"}
