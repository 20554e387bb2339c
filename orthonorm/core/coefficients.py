r"""Coefficients of the Newton-Schulz iteration: those that were published, and the best ones.

A triple (a, b, c) stands for the polynomial :math:`p(s) = a s + b s^3 + c s^5`.
"""
import operator
from typing import Any, NamedTuple

import numpy as np


class Published(NamedTuple):
    """Coefficients that somebody published.

    Attributes
    ----------
    triples : tuple
        One for all steps, or one for each.
    source : str
    date : str
        Of the publication.
    """

    triples: tuple
    source: str
    date: str


POLAR_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
    (1.875, -1.25, 0.375),
)

PUBLISHED = {
    "classical": Published(
        (1.875, -1.25, 0.375),
        "Kovarik, SIAM J. Numer. Anal. 7; Bjorck and Bowie, SIAM J. Numer. Anal. 8", "1970"),
    "jordan": Published(
        (3.4445, -4.7750, 2.0315),
        "K. Jordan, github.com/KellerJordan/Muon; the default of torch.optim.Muon in PyTorch 2.13",
        "2024-11"),
    "cesista": Published(
        ((4.0848, -6.8946, 2.9270), (3.9505, -6.3029, 2.6377), (3.7418, -5.5913, 2.3037),
         (2.8769, -3.1427, 1.2046), (2.8366, -3.0525, 1.2012)),
        "Cesista, You and Jordan, leloykun.github.io/ponder/muon-opt-coeffs; modded-nanogpt",
        "2025-02"),
    "you": Published(
        tuple((a / 1024, b / 1024, c / 1024) for a, b, c in (
            (3955, -8306, 5008), (3735, -6681, 3463), (3799, -6499, 3211),
            (4019, -6385, 2906), (2677, -3029, 1162), (2172, -1833, 682))),
        "J. You, x.com/YouJiacheng/status/1893704552689303901; modula", "2025-02-23"),
    "polar_express": Published(
        POLAR_EXPRESS, "Amsel, Persson, Musco and Gower, arXiv:2505.16932, Algorithm 1", "2025-05"),
    "polar_express_safe": Published(
        tuple((a / 1.01, b / 1.01**3, c / 1.01**5) for a, b, c in POLAR_EXPRESS[:-1])
        + POLAR_EXPRESS[-1:],
        "the same, divided as Algorithm 1 divides them for half precision", "2025-05"),
    "cans": Published(
        ((8.4703, -25.1081, 18.6293), (4.1828, -3.1087, 0.5806), (3.9619, -2.9541, 0.5630),
         (3.2866, -2.4647, 0.5074), (2.2737, -1.6447, 0.4162)),
        "Grishina, Smirnov and Rakhuba, arXiv:2506.10935, as NVIDIA's Emerging-Optimizers has them",
        "2025-06"),
    "cesista_eight": Published(
        ((7.2086, -15.5131, 9.0178), (3.9623, -2.5813, 0.4542), (3.9466, -2.5765, 0.4544),
         (3.8991, -2.5671, 0.4566), (3.7186, -2.5308, 0.4653), (3.1390, -2.3073, 0.4733),
         (2.1715, -1.5246, 0.3885), (1.8648, -1.2224, 0.3577)),
        "F. L. Cesista; \"polar_express\" in DeepSpeed", "2025-07"),
    "pytorch_polar_express": Published(
        ((8.237312, -23.157747, 16.680568), (4.082442, -2.893048, 0.525285),
         (3.926348, -2.854747, 0.531802), (3.298219, -2.424542, 0.486320),
         (2.297037, -1.636626, 0.400263), (1.876381, -1.234790, 0.358919),
         (1.856442, -1.213245, 0.356800), (1.856435, -1.213237, 0.356799),
         (1.856431, -1.213229, 0.356795), (1.874995, -1.249991, 0.374995)),
        "PyTorch's main branch after 2.13, torch/optim/_muon.py: \"polar_express\"", "2026"),
}


def newton_schulz_coefficients(name: str) -> np.ndarray:
    r"""Return published coefficients of the Newton-Schulz iteration by name.

    Parameters
    ----------
    name : str
        See below.

    Returns
    -------
    ndarray, shape (3,) or (steps, 3)
        One triple for any number of steps, or one for each step.

    Raises
    ------
    ValueError
        If the name is unknown.

    Notes
    -----
    Definition: the published numbers; ``tests/core/test_newton_schulz.py`` measures where each leads.
    Sources and dates are in ``PUBLISHED`` of :mod:`orthonorm.core.coefficients`. The gains are the
    smallest and the largest of singular values from 0.01 to 1, and, the smallest, from 0.001:

    =====================  =====  ==============  ======  ===========================================
    name                   steps  gains           0.001   who
    =====================  =====  ==============  ======  ===========================================
    classical              any    0.228 to 1.000  0.023   Kovarik 1970, Bjorck and Bowie 1971
    jordan                 any    0.682 to 1.134  0.471   Jordan 2024; PyTorch 2.13, optax
    cesista                5      0.978 to 1.032  0.475   Cesista, You and Jordan 2025; "quintic" in
                                                          Emerging-Optimizers, "dion" in optax
    you                    6      0.996 to 0.999  0.866   You 2025; modula
    polar_express          8      1.000 to 1.000  1.000   Amsel, Persson, Musco and Gower 2025
    polar_express_safe     8      1.000 to 1.000  1.000   the same, divided by 1.01, its third and
                                                          fifth power, but for the last, against
                                                          rounding
    cans                   5      0.884 to 1.120  0.884   Grishina, Smirnov and Rakhuba 2025
    cesista_eight          8      0.999 to 1.000  0.999   Cesista 2025
    pytorch_polar_express  10     1.000 to 1.000  1.000   PyTorch after 2.13
    =====================  =====  ==============  ======  ===========================================

    (Of any number of steps, after five.)

    Five packages call five different lists "polar_express". The paper's list is `polar_express`, its
    program's and Emerging-Optimizers' `polar_express_safe` (there rounded to four places), Dao-AILab's
    the first five of the paper divided by powers of 1.05, DeepSpeed's `cesista_eight`, PyTorch's
    `pytorch_polar_express`. :func:`minimax_coefficients` computes the paper's list with
    ``lower=1e-3, cushion=0.02407327424182761``, PyTorch's with ``cushion=0.02, safety=1.01``, and CANS
    with neither.

    Examples
    --------
    >>> newton_schulz_coefficients("jordan")
    array([ 3.4445, -4.775 ,  2.0315])
    >>> newton_schulz_coefficients("you").shape
    (6, 3)
    """
    if name not in PUBLISHED:
        raise ValueError(f"name must be one of {[*PUBLISHED]}, got {name!r}")
    return np.array(PUBLISHED[name].triples)


def minimax_coefficients(lower: float, steps: int, cushion: float = 0.0,
                         safety: float = 1.0) -> np.ndarray:
    r"""Compute the coefficients that bring all singular values in an interval closest to 1.

    Parameters
    ----------
    lower : float
        The interval is [`lower`, 1], 0 < `lower` <= 1.
    steps : int
        How many steps.
    cushion : float
        In each step, treat the interval as if its lower end were at least `cushion` times its upper
        end. What is below that grows more slowly, but the polynomial does not come near zero inside.
    safety : float
        Divide the argument of each polynomial by this number, 1 or a little more: rounding errors can
        push singular values out of the interval.

    Returns
    -------
    ndarray, shape (steps, 3)

    Raises
    ------
    ValueError
        If `lower`, `steps`, `cushion` or `safety` is out of range.

    Notes
    -----
    Definition: of all compositions of `steps` odd quintics, the one whose largest distance from 1 on
    the interval is smallest; ``tests/core/test_newton_schulz.py`` compares with those near by.

    Among all compositions of `steps` odd quintics, the one that minimises the largest distance from 1
    on the interval is greedy [1]_ [2]_: the polynomial nearest to 1 on [l, u], then the one nearest to
    1 on its image, the interval from its value at l to 2 minus that. The polynomial nearest to 1 is at
    the same distance E from it at four points, on alternating sides, l, two extrema q < r, and u [3]_:

    .. math:: p(l) = 1 - E, \quad p(q) = 1 + E, \quad p(r) = 1 - E, \quad p(u) = 1 + E.

    Remez's algorithm solves these equations for (a, b, c, E), takes q and r where p' is zero, and
    repeats. Where the interval is narrow, it is :math:`(15, -10, 3) / 8`, scaled by u.

    References
    ----------
    .. [1] N. Amsel, D. Persson, C. Musco, R. M. Gower, "The Polar Express: optimal matrix sign methods
       and their application to the Muon algorithm", 2025, arXiv:2505.16932.
    .. [2] E. Grishina, M. Smirnov, M. Rakhuba, "Accelerating Newton-Schulz iteration for
       orthogonalization via Chebyshev-type polynomials", 2025, arXiv:2506.10935.
    .. [3] L. N. Trefethen, "Approximation theory and approximation practice", 2013, chapter 10.

    Examples
    --------
    >>> minimax_coefficients(0.001, 2).round(4)
    array([[  8.4703, -25.1081,  18.6293],
           [  4.1828,  -3.1087,   0.5806]])
    """
    if not (0 < lower <= 1 and steps >= 0 and 0 <= cushion < 1 and safety >= 1):
        raise ValueError("lower must be in (0, 1], steps >= 0, cushion in [0, 1) and safety >= 1, got "
                         f"lower={lower}, steps={steps}, cushion={cushion}, safety={safety}")
    triples, l, u = np.empty((steps, 3)), lower, 1.0  # noqa: E741
    odd = np.array([1, 3, 5])
    for i in range(steps):
        triple = nearest_quintic(max(l, cushion * u), u)
        if l < cushion * u:  # center the image of [l, u] at 1
            triple *= 2 / (l**odd @ triple + u**odd @ triple)
        triples[i] = triple / safety**odd
        l = l**odd @ triples[i]  # noqa: E741
        u = 2 - l
    return triples


def nearest_quintic(l: float, u: float) -> np.ndarray:  # noqa: E741
    """Return the triple of the odd quintic that is nearest to 1 on the interval [l, u], by Remez.

    Parameters
    ----------
    l, u : float
        0 < l <= u

    Returns
    -------
    ndarray, shape (3,)
    """
    odd = np.array([1, 3, 5])
    if l > (1 - 5e-6) * u:  # the equations are singular to rounding
        return np.array([15, -10, 3]) / 8 / u**odd
    points, before = np.linspace(l, u, 4), np.inf
    while True:
        equations = np.column_stack([points[:, None]**odd, [1, -1, 1, -1]])
        *triple, error = np.linalg.solve(equations, np.ones(4))
        if abs(error - before) < 1e-15:
            return np.array(triple)
        points[1:3], before = critical_points(*triple), error


def critical_points(a: float, b: float, c: float) -> np.ndarray:
    """Return the positive numbers s with a + 3 b s^2 + 5 c s^4 = 0, in ascending order.

    Parameters
    ----------
    a, b, c : float

    Returns
    -------
    ndarray, shape (0,), (1,) or (2,)
    """
    squares = np.roots([5 * c, 3 * b, a])
    return np.sqrt(np.sort(squares[(squares.imag == 0) & (squares.real > 0)].real))


def as_triples(coefficients: Any, steps: int | None) -> list[list[float]]:
    """Check coefficients and return a triple for each step.

    Parameters
    ----------
    coefficients : array_like, shape (3,) or (steps, 3)
    steps : int, optional
        Default: one for each triple.

    Returns
    -------
    list of [float, float, float]

    Raises
    ------
    TypeError
        If `steps` is not an integer.
    ValueError
        If `coefficients` is of another shape or not finite, or `steps` is negative.
    """
    triples = np.asarray(coefficients)
    if (triples.ndim not in (1, 2) or triples.shape[-1] != 3 or triples.dtype.kind not in "iuf"
            or not np.isfinite(triples).all()):
        raise ValueError("coefficients must be a triple of finite numbers (a, b, c), or one for each "
                         f"step, got {coefficients!r}")
    given = len(triples) if triples.ndim == 2 else 1
    steps = given if steps is None else operator.index(steps)
    if steps < 0:
        raise ValueError(f"steps must not be negative, got {steps}")
    if triples.ndim == 2 and given != steps:
        raise ValueError(f"coefficients has {given} triples for {steps} steps: give one triple, or one "
                         "for each step")
    listed = triples.astype(float).tolist()
    return listed if triples.ndim == 2 else [listed] * steps
