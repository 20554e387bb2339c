"""What a failure at a flagged question means, in words, and where the fault is known from."""

NOTES = {
    "wide": (
        "a wide matrix is taken by its plain transpose; the adjoint is right for real ones only",
        None,
    ),
    "complex": ("the imaginary part is lost, or a transpose stands where the adjoint is meant", None),
    "base": (
        "the base is on the wrong side, transposed, or multiplies the wrong side of a wide frame",
        None,
    ),
    "batch": ("the matrices of a stack are mixed up", "SciPy 1.18.0, issue 25924: batched expm"),
    "non-contiguous": ("memory is read in its own order; the argument comes as a strided view", None),
    "empty": ("an array without entries is given another shape or dtype", None),
    "zero": ("division by the zero matrix's norm, or columns of zeros instead of a frame", None),
    "rank-deficient": (
        "columns of zeros, NaN or a direction that is not orthonormal",
        "torch.nn.utils.parametrizations.orthogonal multiplies by sign(0)",
    ),
    "near -1": ("digits are lost where Q has eigenvalues near -1", None),
    "eigenvalue -1": ("an inverse returns a matrix that is mapped elsewhere", None),
    "determinant -1": ("an inverse returns a matrix that is mapped elsewhere", None),
    "huge norm": ("squares overflow, or a series is used beyond its radius", None),
    "tiny norm": ("small numbers are lost in a floor, or divided by rounded to zero", None),
    "subnormal": (
        "numbers below the normal range are flushed to zero, or their squares underflow",
        None,
    ),
    "multiple eigenvalues": (
        "division by the difference of equal eigenvalues or singular values",
        None,
    ),
    "NaN": ("NaN goes in and finite numbers come out", "torch issue 82282: matrix_exp of NaN"),
    "non-normal": ("too many squarings: the powers of the matrix are small, its norm is large", None),
    "infinity": ("infinity goes in and finite numbers come out", None),
    "wrong shape": ("arguments of the wrong shape are accepted", None),
    "diagonal not +-1": (
        "weight decay on the diagonal: zero columns",
        "torch.nn.utils.parametrizations.orthogonal takes the integer part of the diagonal",
    ),
    "small norm": (
        "digits are lost where a polynomial of low degree serves, at norms from 0.01 to 0.5",
        "torch.linalg.matrix_exp 2.13.0 in double precision at 0.03; its gradient in single precision",
    ),
    "second order": (
        "first derivatives are right, their derivatives are not",
        "torch issue 196698: forward over forward of householder_product",
    ),
    "eps": ("the norm is divided by without its floor eps, or eps is added to it", None),
    "sequence": ("an answer is right alone, but is no right start for the next call", None),
    "eval": ("u and v move although no iteration was asked for", None),
    "one norm": (
        "all matrices of a stack are divided by one norm",
        "HeavyBall issue 96: the batch is normalised as a whole",
    ),
    "norms of a stack": (
        "what fits the norm of one matrix of a stack, a number of squarings, is taken for the others",
        "scipy 25924: the batched expm of SciPy 1.18.0",
    ),
    "norm floor": (
        "a floor of the norm, or a number added to it, leaves small matrices small",
        "Emerging-Optimizers issues 229 and 230; eps=1e-7 in torch.optim.Muon",
    ),
    "ill-conditioned": ("small singular values are lost, or the answer is not orthonormal", None),
    "coefficients": ("one triple is used where there is one for each step", None),
    "unstable": ("inaccurate", "the textbook form in the precision of the question"),
    "1-norm above 2": (
        "digits are lost by a Pade approximant of degree 13, or by too many squarings",
        "scipy.linalg.expm in double precision",
    ),
    "complex 1x1": ("digits are lost for one complex number", "jax.scipy.linalg.expm, JAX 0.10.2"),
    "complex64": ("single precision complex matrices are wrong", "SciPy 1.18.0, issue 21584"),
}


def notes_for(flags):
    """Return the notes of some flags as the files have them."""
    return {flag: {"effect": NOTES[flag][0], "source": NOTES[flag][1]} for flag in sorted(flags)}
