"""Public faults of these maps: where each stood, what shows it, and which questions notice it.

``python -m tests.league.museum`` runs every reproduction at the pinned version and at the newest,
judges the adapters, and writes ``museum.json`` and ``museum.rst``.
"""

from dataclasses import dataclass
import fnmatch
import json
import subprocess

from .running import HERE, RESULTS, ROOT, VARIABLES, environment, judged
from .packages import Package
from .table import grid, heading


@dataclass(frozen=True)
class Exhibit:
    """A fault.

    Attributes
    ----------
    name : str
        ``reproductions/<name>.py`` shows it; empty where the version cannot be installed.
    title, effect : str
    report : str
        The public report; "none known" where there is none.
    place : str
        The version, the file and the function with the fault.
    environments : tuple of str
        Where it is shown first, then the newest version of the package that was tried.
    adapter : str
        What the questions are put to.
    questions : str
        The pattern of `fnmatch` of the questions that notice it; empty where none can.
    """

    name: str
    title: str
    effect: str
    report: str
    place: str
    environments: tuple[str, ...]
    adapter: str = ""
    questions: str = ""


EXHIBITS = [
    Exhibit(
        "torch_householder_nested",
        "A second derivative of reflectors",
        "Forward mode over forward mode drops a term: jacfwd(jacfwd(f)) and jvp of jvp are wrong.",
        "pytorch 196698, 198017",
        "torch 2.13.0, torch/csrc/autograd/FunctionsManual.cpp, householder_product_jvp",
        ("torch", "torch-newest"),
        "torch_nested",
        "householder_hvp/float64/*",
    ),
    Exhibit(
        "torch_solve_nested",
        "A second derivative of a linear system, and of the Cayley map",
        "The same of linalg.solve: the second derivative of (I - A/2)^-1 (I + A/2) is wrong.",
        "pytorch 198017",
        "torch 2.13.0, torch/csrc/autograd/FunctionsManual.cpp, linalg_solve_jvp",
        ("torch", "torch-newest"),
        "torch_nested",
        "cayley_hvp/float64/*",
    ),
    Exhibit(
        "torch_expm_small",
        "An exponential with one wrong coefficient",
        "The coefficient of A^7 in the Taylor polynomial of degree 8 is wrong: "
        "errors of 2e-10 in double "
        "precision near the norm 0.05, of 2e-5 in single precision near 0.5. The orthogonal "
        "parametrization with matrix_exp has them.",
        "pytorch 196592",
        "torch 2.13.0, aten/src/ATen/native/LinearAlgebra.cpp, compute_T8",
        ("torch", "torch-newest"),
        "torch_linalg",
        "expm/*",
    ),
    Exhibit(
        "scipy_expm_skew",
        "An exponential that loses two to three digits at moderate norms",
        "Of small matrices whose 1-norm is above 2, so that the Pade approximant of "
        "degree 13 is taken.",
        "none known",
        "SciPy 1.17.1, scipy.linalg.expm",
        ("numpy", "scipy-newest"),
        "scipy_linalg",
        "expm/*",
    ),
    Exhibit(
        "tensorflow_expm_decay",
        "An exponential of a decay",
        "exp of -10.6 I is right to six digits in double precision.",
        "none known",
        "tensorflow-cpu 2.21.0, tf.linalg.expm",
        ("tensorflow",),
        "tensorflow",
        "expm/*",
    ),
    Exhibit(
        "torch_householder_decay",
        "Weight decay makes an orthogonal weight zero",
        "The signs of the columns are the integer part of the diagonal; -0.99999 becomes 0.",
        "none known",
        "torch 2.13.0, torch/nn/utils/parametrizations.py, _Orthogonal.forward",
        ("torch", "torch-newest"),
        "torch_orthogonal",
        "householder/*/decayed*",
    ),
    Exhibit(
        "torch_zero_start",
        "The orthogonal start of a rank-deficient weight has zero columns",
        "Columns are multiplied by the sign of R's diagonal, and the sign of 0 is 0.",
        "none known",
        "torch 2.13.0, torch/nn/utils/parametrizations.py, _Orthogonal.right_inverse",
        ("torch", "torch-newest"),
        "torch_start",
        "orthonormalize/*",
    ),
    Exhibit(
        "torch_spectral_norm_zero",
        "The spectral norm of a zero weight is NaN",
        "0 / 0; a layer that starts at zero is lost in its first call. The "
        "definition is 0 / 0 there too, and "
        "the questions take NaN for a refusal.",
        "none known",
        "torch 2.13.0, torch/nn/utils/parametrizations.py, _SpectralNorm.forward",
        ("torch", "torch-newest"),
        "",
        "",
    ),
    Exhibit(
        "torch_householder_huge",
        "Signs of a large diagonal overflow",
        "The integer part of 1e20 is no integer of 64 bits.",
        "none known",
        "torch 2.13.0, torch/nn/utils/parametrizations.py, _Orthogonal.forward",
        ("torch", "torch-newest"),
        "torch_orthogonal",
        "householder/*/huge*",
    ),
    Exhibit(
        "scipy_expm_stack",
        "A stack of exponentials",
        "The number of squarings of one matrix is taken for the next ones too.",
        "scipy 25924",
        "SciPy 1.18.0, scipy.linalg.expm",
        ("scipy-1.18.0", "scipy-newest"),
        "scipy_linalg",
        "expm/*stack*",
    ),
    Exhibit(
        "",
        "A single-precision exponential without the identity",
        "exp(A) - I instead of exp(A) for a small complex64 A.",
        "scipy 21584",
        "SciPy 1.15.0.dev0, never released; replayed",
        (),
        "scipy_single_expm",
        "expm/complex64/*",
    ),
    Exhibit(
        "peft_oft_transpose",
        "The series of OFT is the inverse rotation of its exact form",
        "use_cayley_neumann=True gives R^T: a checkpoint read with the other option turns back.",
        "none known",
        "peft 0.21.2, peft/tuners/oft/layer.py, OFTRotationModule._cayley_batch",
        ("torch",),
        "peft_neumann",
        "cayley/*",
    ),
    Exhibit(
        "peft_oft_terms",
        "The fourth term of OFT's series is not added",
        "num_cayley_neumann_terms=4 is bit for bit 3: the loop over range(3, terms - 1) starts at 5.",
        "none known",
        "peft 0.21.2, peft/tuners/oft/layer.py and psoft/layer.py",
        ("torch",),
    ),
    Exhibit(
        "peft_hra_start",
        "HRA with Gram-Schmidt does not start at the identity",
        "Its start has pairs of equal columns; their difference is normalised: noise or NaN.",
        "none known",
        "peft 0.21.2, peft/tuners/hra/layer.py, get_delta_weight",
        ("torch",),
    ),
    Exhibit(
        "heavyball_stack",
        "Newton-Schulz of a stack divides columns by norms of other matrices",
        "norm(dim=(-2, -1)) without keepdim is broadcast along the wrong axis.",
        "HeavyBall 96",
        "heavyball 3.1.0, heavyball/utils.py, zeropower_via_newtonschulz5",
        ("heavyball-3.1.0", "torch"),
        "heavyball_norm",
        "newton_schulz/float64/*stack*",
    ),
    Exhibit(
        "",
        "Newton-Schulz leaves small gradients as they are",
        "A norm below 1e-7 counts as 1e-7.",
        "Emerging-Optimizers 229, 230",
        "Emerging-Optimizers before 0.3.0, muon_utils.newton_schulz; replayed",
        (),
        "emerging_eps",
        "newton_schulz/float32/*",
    ),
    Exhibit(
        "orthogonium_eps",
        "Cholesky orthogonalisation adds 1e-5 to the Gram matrix, whatever its size",
        "A weight of entries near 1e-3 comes out 0.3 times an orthogonal one.",
        "none known",
        "orthogonium 0.0.4, orthogonium/reparametrizers.py, CholeskyOrthfn",
        ("torch",),
        "orthogonium",
        "orthonormalize/*",
    ),
    Exhibit(
        "geoopt_retraction",
        "A QR retraction without a gradient",
        "q is multiplied in place, which its gradient needs: autograd raises.",
        "none known",
        "geoopt 0.5.1, geoopt/manifolds/stiefel.py, EuclideanStiefel.retr",
        ("torch",),
        "geoopt",
        "orthonormalize_vjp/*",
    ),
    Exhibit(
        "tinygrad_svd",
        "The singular values of a 1 x 1 matrix",
        "Tensor.svd raises.",
        "none known",
        "tinygrad 0.14.0, tinygrad/mixin/op.py, svd",
        ("numpy",),
        "tinygrad",
        "polar/*1x1*",
    ),
]


def shown(exhibit: Exhibit, name: str) -> str:
    """Run a reproduction in an environment; return the last line of what it prints."""
    try:
        python = environment(name)
    except (subprocess.CalledProcessError, OSError) as error:
        return f"cannot be installed: {error}"
    run = subprocess.run(
        [python, "-W", "ignore", HERE / "reproductions" / f"{exhibit.name}.py"],
        cwd=ROOT,
        env=VARIABLES,
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = run.stdout.strip() or run.stderr.strip().splitlines()[-1]
    return "\n".join(said.splitlines()[-3:])


def noticed(exhibit: Exhibit) -> list[dict]:
    """Return the questions that notice an exhibit."""
    file = RESULTS / f"{exhibit.adapter}.json"
    name = exhibit.environments[0] if exhibit.environments else "numpy"
    known = json.loads(file.read_text()) if file.exists() else {}
    if name != known.get("environment"):
        known = judged(Package(exhibit.adapter, name, (), ""))
    wrong = known.get("wrong", [])
    return [question for question in wrong if fnmatch.fnmatch(question["id"], exhibit.questions)]


def page(exhibits: list[tuple[Exhibit, dict]]) -> str:
    """Return museum.rst."""
    text = heading("The museum of faults") + (
        "Faults of public implementations of these maps. The reproductions are in ``reproductions/``.\n"
        "What they print was printed on the machine that made this page. The last column counts the\n"
        "questions of the conformance kit that notice the fault by themselves.\n\n"
    )
    rows = [
        [
            exhibit.title,
            exhibit.report,
            str(len(found["noticed"])) if exhibit.questions else "none can",
        ]
        for exhibit, found in exhibits
    ]
    text += grid(["fault", "report", "noticed by"], rows)
    for exhibit, found in exhibits:
        text += heading(exhibit.title, "-") + f"{exhibit.effect}\n\n"
        text += f":Place: {exhibit.place}\n:Report: {exhibit.report}\n"
        if exhibit.name:
            text += f":Reproduction: ``reproductions/{exhibit.name}.py``\n"
        text += "\n"
        for name, said in found["shown"].items():
            lines = "".join(f"    {line[:160]}\n" for line in said.splitlines())
            text += f"``{name}`` prints::\n\n{lines}\n"
        if found["noticed"]:
            flags = sorted({flag for question in found["noticed"] for flag in question["flags"]})
            text += f"Noticed by {len(found['noticed'])} questions, "
            text += f"among them ``{found['noticed'][0]['id']}``"
            text += f" (flags: {', '.join(flags)}).\n\n" if flags else ".\n\n"
    return text


def main() -> None:
    exhibits = []
    for exhibit in EXHIBITS:
        print(exhibit.title, flush=True)
        found = {
            "shown": {name: shown(exhibit, name) for name in exhibit.environments if exhibit.name},
            "noticed": noticed(exhibit) if exhibit.questions else [],
        }
        exhibits.append((exhibit, found))
    (RESULTS / "museum.json").write_text(
        json.dumps({exhibit.title: found for exhibit, found in exhibits}, indent=1) + "\n"
    )
    (HERE / "museum.rst").write_text(page(exhibits))


if __name__ == "__main__":
    main()
