"""Who is judged: each adapter, where it runs, and what its package means by the same map."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """One row of the league.

    Attributes
    ----------
    adapter : str
        ``adapters/<adapter>.py``.
    environment : str
        ``environments/<environment>.txt`` holds its pinned requirements.
    distributions : tuple of str
        The names on the package index whose versions are shown; empty for this package.
    convention : str
        How the package writes the map, in the symbols of definitions.py.
    """

    adapter: str
    environment: str
    distributions: tuple[str, ...]
    convention: str


OURS = Package("orthonorm_package", "numpy", (), "core for values, gradients for derivatives")

PACKAGES = [
    Package("definitions", "numpy", (), "the definitions themselves, in the question's precision"),
    OURS,
    Package(
        "torch_orthogonal",
        "torch",
        ("torch",),
        "A = L - L^H from the lower triangle; signs are the integer part of the diagonal",
    ),
    Package(
        "torch_linalg", "torch", ("torch",), "Q of qr times the signs of R's diagonal; U V^H of svd"
    ),
    Package("torch_spectral_norm", "torch", ("torch",), "u first, then v; norms below eps become eps"),
    Package("torch_weight_norm", "torch", ("torch",), "g v / |v|, all dimensions but dim"),
    Package("torch_muon", "torch", ("torch",), "A / max(|A|, eps), then the polynomial, in bfloat16"),
    Package("geotorch", "torch", ("geotorch",), "A = L - L^T from the strict lower triangle, real"),
    Package(
        "torch_householder",
        "torch",
        ("torch-householder",),
        "reflectors as vectors of length sqrt(2), real",
    ),
    Package(
        "geoopt",
        "torch",
        ("geoopt",),
        "Cayley retraction: A = u x^T - x u^T, so that u has half of Omega",
    ),
    Package(
        "orthogonium",
        "torch",
        ("orthogonium",),
        "rows: W = L^-1 X with X X^T + 1e-5 I = L L^T; v before u",
    ),
    Package(
        "deel_torchlip",
        "torch",
        ("deel-torchlip",),
        "Bjorck's iteration 1.5 W - 0.5 W W^T W, |W| <= 1 wanted",
    ),
    Package(
        "peft_oft",
        "torch",
        ("peft",),
        "(I - Q)(I + Q)^-1, Q from the upper triangle: Q = A / 2 transposed",
    ),
    Package(
        "peft_boft", "torch", ("peft",), "(I - S)(I + S)^-1, S = (M - M^T) / 2 of a whole matrix M"
    ),
    Package("peft_psoft", "torch", ("peft",), "(I + Q)(I - Q)^-1, Q from the upper triangle"),
    Package("peft_hra", "torch", ("peft",), "reflections by columns of any direction and length"),
    Package(
        "heavyball",
        "torch",
        ("heavyball",),
        "five triples of its own; float32 is rounded to bfloat16 at random",
    ),
    Package("pytorch_optimizer", "torch", ("pytorch-optimizer",), "A / max(|A|, eps), dtype an option"),
    Package("gram_newton_schulz", "torch", ("gram-newton-schulz",), "A / (|A| + eps), in float16"),
    Package("muon_optimizer", "torch", ("muon-optimizer",), "A / (|A| + eps), in bfloat16"),
    Package("scipy_linalg", "numpy", ("scipy",), "polar: side='left' for wide matrices"),
    Package("autograd_linalg", "numpy", ("autograd",), "gradients are the conjugates of ours"),
    Package(
        "pymanopt",
        "numpy",
        ("pymanopt",),
        "retractions of a point plus a tangent; here the point is zero",
    ),
    Package("tinygrad", "numpy", ("tinygrad",), "A / (|A| + eps)"),
    Package("mlx", "numpy", ("mlx-cpu",), "A / (|A| + 1e-7), float32"),
    Package(
        "geomstats", "geomstats", ("geomstats",), "canonical exponential at E of the tangent (Omega; B)"
    ),
    Package(
        "jax_scipy", "jax", ("jax",), "gradients are the conjugates of ours; polar by QDWH, tall only"
    ),
    Package("flax_weight_norm", "jax", ("flax",), "one scale for each index of feature_axes"),
    Package("equinox_spectral_norm", "jax", ("equinox",), "u first, then v; real"),
    Package("equinox_weight_norm", "jax", ("equinox",), "g v / |v|, all axes but one"),
    Package("optax_muon", "jax", ("optax",), "A / (|A| + eps)"),
    Package("tensorflow", "tensorflow", ("tensorflow-cpu",), "expm only"),
]
