"""Virtual environments with pinned requirements, and the judge run in them."""
import datetime
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys

from orthonorm.conformance.report import EXACT

from .packages import Package

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results"
VECTORS = ROOT / "orthonorm" / "conformance" / "vectors"
MINUTES = 10  # for one package
VARIABLES = os.environ | {
    "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "DEV": "CPU"}
COMPILED = {"torch": "torch-householder==1.0.1"}  # against the torch that is installed


def environment(name: str) -> pathlib.Path:
    """Make a virtual environment where it is not there yet; return its python.

    Parameters
    ----------
    name : str
        ``environments/<name>.txt`` has the requirements. Its first line may say "Python 3.12:".

    Raises
    ------
    subprocess.CalledProcessError, OSError
        If that Python is not there, or a package cannot be installed.
    """
    requirements = HERE / "environments" / f"{name}.txt"
    folder = ROOT / f".venv-league-{name}"
    stamp = folder / digest(requirements)
    python = folder / "bin" / "python"
    if not stamp.exists():
        wanted = "python3.12" if "Python 3.12:" in requirements.read_text() else sys.executable
        subprocess.run([wanted, "-m", "venv", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, "--requirement", requirements], check=True)
        if name in COMPILED:
            subprocess.run([*install, "--no-build-isolation", COMPILED[name]])
        stamp.touch()
    return python


def digest(*files: pathlib.Path) -> str:
    """Return a short hash of what is in some files."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def fingerprint(package: Package) -> str:
    """Return what changes when a package has to be judged again."""
    files = [HERE / "adapters" / f"{package.adapter}.py", *HERE.glob("with_*.py"),
             HERE / "environments" / f"{package.environment}.txt", *VECTORS.glob("*.json")]
    if not package.distributions:  # this package
        files += [*(ROOT / "orthonorm" / "core").glob("*.py"),
                  *(ROOT / "orthonorm" / "gradients").glob("*.py")]
    return digest(*sorted(files))


def judged(package: Package) -> dict:
    """Run the judge in the environment of a package; return what is kept of its report."""
    result = {"adapter": package.adapter, "environment": package.environment,
              "fingerprint": fingerprint(package), "date": datetime.date.today().isoformat()}
    try:
        python = environment(package.environment)
    except (subprocess.CalledProcessError, OSError) as error:
        return result | {"error": f"cannot be installed: {error}"}
    report = RESULTS / f"{package.adapter}.report.json"
    report.unlink(missing_ok=True)
    command = [python, "-m", "orthonorm", "conformance", "judge",
               f"tests.league.adapters.{package.adapter}", "--json", report]
    try:
        run = subprocess.run(command, cwd=ROOT, env=VARIABLES, capture_output=True, text=True,
                             timeout=60 * MINUTES)
        whole = json.loads(report.read_text())
    except subprocess.TimeoutExpired:
        return result | {"error": f"not judged within {MINUTES} minutes"}
    except FileNotFoundError:
        return result | {"error": (run.stderr.strip() or "no report").splitlines()[-1]}
    finally:
        report.unlink(missing_ok=True)
    wrong = [question for question in whole["questions"] if question["outcome"] in ("failed", "error")]
    ratios = {question["id"]: question["ratio"] for question in whole["questions"]
              if question["outcome"] == "passed" and question["ratio"] is not None}
    return result | {"versions": versions(python, package), "operations": whole["operations"],
                     "wrong": wrong, "ratios": ratios}


def compare(result: dict, ours: dict[str, float]) -> None:
    """Put the two mean ratios on the questions that both answer rightly into each row of a result."""
    ratios = result.pop("ratios", {})
    for row in result.get("operations", []):
        start = f"{row['operation']}/{row['dtype']}/"
        both = [id for id in ratios if id in ours and id.startswith(start)]
        row["both"] = len(both)
        row["theirs"], row["ours"] = (
            statistics.geometric_mean(max(each[id], EXACT) for id in both) if both else None
            for each in (ratios, ours))


def versions(python: pathlib.Path, package: Package) -> dict[str, str]:
    """Ask an environment which versions of the package and of NumPy and SciPy it has."""
    names = [*package.distributions, "numpy", "scipy"]
    program = f"""
import importlib.metadata, json
print(json.dumps({{name: importlib.metadata.version(name) for name in {names!r}}}))
"""
    run = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)
