"""What is known of each failure: a convention, a documented limit, something missing, or a fault.

The first entry that fits a question's id says it. What none fits is "unsettled".
"""

from dataclasses import dataclass
import fnmatch

KINDS = ("convention", "documented limit", "missing", "fault", "unsettled")


@dataclass(frozen=True)
class Finding:
    """What a group of failures of one adapter is.

    Attributes
    ----------
    adapter, question : str
        Patterns of `fnmatch` for the adapter and the id of the question.
    kind : str
        One of `KINDS`.
    text : str
        The effect in words, and where it is documented.
    """

    adapter: str
    question: str
    kind: str
    text: str


HALF = (
    "Its iteration runs in half precision on purpose (bfloat16 or float16): three digits are right."
)
FLOOR = "Norms are at least 1e-7 (eps), so that small matrices are not orthogonalised."
SIGNS = (
    "The signs of the columns are the integer part of the diagonal: wrong off +-1. After weight decay, "
    "or where state dicts are averaged, whole columns are zero."
)
EXPONENTIAL = (
    "One coefficient of matrix_exp's Taylor polynomial of degree 8 is wrong "
    "(pytorch 196592): up to six "
    "of sixteen digits are lost near the norm 0.05, and its gradient inherits that."
)
SINGULAR = (
    "The derivative of a singular value decomposition divides by differences of singular values; "
    "that of the polar factor exists where they are equal. torch.linalg.svd documents it."
)
PRECISION = "float32 and complex64 come back in double precision."

FINDINGS = [
    Finding("torch_muon", "*", "documented limit", HALF + " " + FLOOR),
    Finding("muon_optimizer", "*", "documented limit", HALF + " " + FLOOR),
    Finding("gram_newton_schulz", "*", "documented limit", HALF + " " + FLOOR),
    Finding("heavyball", "*/float32/*", "documented limit", HALF + " " + FLOOR),
    Finding("heavyball", "*/float64/*", "documented limit", FLOOR),
    Finding("torch_orthogonal", "householder*", "fault", SIGNS),
    Finding("torch_orthogonal", "matrix_exp*", "fault", EXPONENTIAL),
    Finding("torch_linalg", "expm*", "fault", EXPONENTIAL),
    Finding("geoopt", "expm*", "fault", EXPONENTIAL + " geoopt calls it."),
    Finding("torch_linalg", "polar_*", "documented limit", SINGULAR),
    Finding("geoopt", "polar_*", "documented limit", SINGULAR),
    Finding("autograd_linalg", "polar_vjp/float32/*", "fault", PRECISION),
    Finding("autograd_linalg", "polar_vjp/complex64/*", "fault", PRECISION),
    Finding("autograd_linalg", "polar_*", "documented limit", SINGULAR),
    Finding(
        "torch_linalg",
        "orthonormalize/*",
        "convention",
        "sgn of a zero on R's diagonal is 0: a rank-deficient matrix loses columns. "
        "It is this adapter's "
        "way to fix the signs, and that of PyTorch's own orthogonal start.",
    ),
    Finding("torch_householder", "*_hvp/*", "missing", "There is no second derivative; it raises."),
    Finding("torch_householder", "*_jvp/*", "missing", "There is no forward mode; it raises."),
    Finding(
        "geoopt",
        "orthonormalize_*",
        "fault",
        "EuclideanStiefel.retr multiplies q in place, which its gradient needs: autograd raises.",
    ),
    Finding("scipy_linalg", "expm_*/float32/*", "documented limit", PRECISION),
    Finding("scipy_linalg", "expm_*/complex64/*", "documented limit", PRECISION),
    Finding(
        "deel_torchlip",
        "polar/*",
        "documented limit",
        "Bjorck's iteration converges for full rank; a zero singular value stays zero.",
    ),
    Finding(
        "orthogonium",
        "orthonormalize*",
        "fault",
        "1e-5 is added to the diagonal of the Gram matrix, whatever its size: five digits at most are "
        "right at entries near 1, none at 1e-3.",
    ),
    Finding(
        "definitions",
        "*",
        "documented limit",
        "The textbook form is unstable here, and the question says so: squares under- or overflow, or "
        "scipy.linalg.expm loses digits.",
    ),
    Finding(
        "pymanopt",
        "expm/*",
        "fault",
        "scipy.linalg.expm loses one to three digits at 1-norms above 2.",
    ),
    Finding(
        "geomstats",
        "expm/*",
        "fault",
        "scipy.linalg.expm loses one to three digits at 1-norms above 2.",
    ),
    Finding(
        "geomstats", "matrix_exp/*", "fault", "scipy.linalg.expm loses digits at 1-norms above 2."
    ),
    Finding(
        "scipy_linalg",
        "expm*",
        "fault",
        "The Pade approximant of degree 13 loses one to three digits of "
        "small matrices at 1-norms above 2.",
    ),
    Finding("torch_weight_norm", "*wrong*", "missing", "Lengths g of a wrong shape are broadcast."),
    Finding("flax_weight_norm", "*wrong*", "missing", "Lengths g of a wrong shape are broadcast."),
    Finding("equinox_weight_norm", "*wrong*", "missing", "Lengths g of a wrong shape are broadcast."),
    Finding("flax_weight_norm", "*", "fault", "The squares of the entries under- or overflow."),
    Finding("equinox_weight_norm", "*", "fault", "The squares of the entries under- or overflow."),
    Finding(
        "jax_scipy",
        "expm*/refused/*",
        "missing",
        "The derivative along an infinite direction is finite numbers.",
    ),
    Finding("jax_scipy", "polar_*", "missing", "Its loop has no reverse mode; it raises."),
    Finding("jax_scipy", "polar/*wide*", "missing", "QDWH takes tall matrices only."),
    Finding(
        "jax_scipy",
        "expm*",
        "fault",
        "One to four digits are lost where the exponential decays, in the derivative at norms of 10 "
        "and more, and in stacks of different norms.",
    ),
    Finding("torch_weight_norm", "*", "fault", "The squares of the entries under- or overflow."),
    Finding(
        "torch_householder",
        "householder*/*/huge*",
        "documented limit",
        "The squares of the entries overflow.",
    ),
    Finding(
        "geomstats",
        "*",
        "missing",
        "Frames of one column: an axis is squeezed away, and it raises.",
    ),
    Finding("mlx", "newton_schulz/*", "documented limit", "1e-7 is added to the norm."),
    Finding(
        "orthogonium",
        "power_iteration/*",
        "convention",
        "1e-8 is added to the norms, where the definition takes eps if that is larger.",
    ),
    Finding(
        "tensorflow",
        "expm*",
        "fault",
        "Four digits are lost where the exponential decays, and two in the derivative at a norm of 10.",
    ),
    Finding("tinygrad", "polar/*", "fault", "Tensor.svd raises for matrices of one column or row."),
    Finding(
        "peft_hra",
        "householder/*/huge*",
        "documented limit",
        "The squares of the entries overflow.",
    ),
    Finding(
        "jax_scipy",
        "householder/*/huge*",
        "documented limit",
        "The squares of the entries overflow in the adapter's tau.",
    ),
]


def settle(adapter: str, question: str) -> Finding:
    """Return what is known of a failure."""
    for finding in FINDINGS:
        if fnmatch.fnmatch(adapter, finding.adapter) and fnmatch.fnmatch(
            question, finding.question
        ):
            return finding
    return Finding(adapter, question, "unsettled", "")
