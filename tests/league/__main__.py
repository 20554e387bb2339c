"""Judge every package: ``python -m tests.league``, or with names of adapters only these.

What has been judged already by the same questions, adapter and requirements is not judged again.
"""

import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

from .packages import PACKAGES, Package
from .table import write_pages

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results"
VECTORS = ROOT / "orthonorm" / "conformance" / "vectors"
MINUTES = 10  # for one package


def environment(package: Package) -> pathlib.Path:
    """Make the virtual environment of a package where it is not there yet; return its python."""
    requirements = HERE / "environments" / f"{package.environment}.txt"
    folder = ROOT / f".venv-league-{package.environment}"
    stamp = folder / digest(requirements)
    python = folder / "bin" / "python"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        # torch-householder compiles against the torch that is installed
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True
        )
        if package.environment == "torch":
            subprocess.run(
                [
                    python,
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--no-build-isolation",
                    "torch-householder==1.0.1",
                ]
            )
        stamp.touch()
    return python


def digest(*files: pathlib.Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def fingerprint(package: Package) -> str:
    """Return what changes when a package has to be judged again."""
    files = [
        HERE / "adapters" / f"{package.adapter}.py",
        *HERE.glob("with_*.py"),
        HERE / "environments" / f"{package.environment}.txt",
        *VECTORS.glob("*.json"),
    ]
    if not package.distributions:  # this package
        files += [
            *(ROOT / "orthonorm" / "core").glob("*.py"),
            *(ROOT / "orthonorm" / "gradients").glob("*.py"),
        ]
    return digest(*sorted(files))


def judged(package: Package) -> dict:
    """Run the judge in the environment of a package; return what is kept of its report."""
    result = {
        "adapter": package.adapter,
        "fingerprint": fingerprint(package),
        "date": datetime.date.today().isoformat(),
    }
    try:
        python = environment(package)
    except (subprocess.CalledProcessError, OSError) as error:
        return result | {"error": f"cannot be installed: {error}"}
    report = RESULTS / f"{package.adapter}.report.json"
    report.unlink(missing_ok=True)
    command = [
        python,
        "-m",
        "orthonorm",
        "conformance",
        "judge",
        f"tests.league.adapters.{package.adapter}",
        "--json",
        report,
    ]
    variables = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    try:
        run = subprocess.run(
            command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60 * MINUTES
        )
        whole = json.loads(report.read_text())
    except subprocess.TimeoutExpired:
        return result | {"error": f"not judged within {MINUTES} minutes"}
    except FileNotFoundError:
        return result | {
            "error": run.stderr.strip().splitlines()[-1] if run.stderr.strip() else "no report"
        }
    finally:
        report.unlink(missing_ok=True)
    wrong = [question for question in whole["questions"] if question["outcome"] in ("failed", "error")]
    return result | {
        "versions": versions(python, package),
        "operations": whole["operations"],
        "wrong": wrong,
    }


def versions(python: pathlib.Path, package: Package) -> dict[str, str]:
    """Ask an environment which versions of the package and of NumPy and SciPy it has."""
    names = [*package.distributions, "numpy", "scipy"]
    program = f"""
import importlib.metadata, json
print(json.dumps({{name: importlib.metadata.version(name) for name in {names!r}}}))
"""
    run = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def main(names: list[str]) -> int:
    RESULTS.mkdir(exist_ok=True)
    packages = [package for package in PACKAGES if not names or package.adapter in names]
    for number, package in enumerate(packages, 1):
        file = RESULTS / f"{package.adapter}.json"
        kept = json.loads(file.read_text()) if file.exists() else {}
        print(f"{number:2d}/{len(packages)} {package.adapter} ", end="", flush=True)
        if kept.get("fingerprint") == fingerprint(package) and "error" not in kept:
            print("already judged")
            continue
        start = time.monotonic()
        result = judged(package)
        file.write_text(json.dumps(result, indent=1) + "\n")
        print(
            result.get("error", f"{len(result.get('wrong', []))} wrong"),
            f"({time.monotonic() - start:.0f} s)",
        )
    write_pages(RESULTS)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
