r"""The inverse of the exponential map: the logarithm of a frame.

For a square Q this is the principal logarithm. For a tall one, :math:`[Q\ P] = \exp(A)` has to be
solved for a completion P and a skew-Hermitian A whose lower right block vanishes: the logarithm on the
Stiefel manifold with its canonical metric. All is computed in double precision.

References
----------
.. [1] R. Zimmermann, K. Hueper, "Computing the Riemannian logarithm on the Stiefel manifold: metrics,
   methods, and performance", SIAM J. Matrix Anal. Appl. 43 (2022).
"""
from typing import NamedTuple

import numpy as np
import scipy.linalg

from .completion import complete
from .exponential import expm
from .matrices import H, any_shape
from .matrix_exp import matrix_exp
from .orthonormalize import orthonormalize
from .skew import from_skew_blocks, skew_blocks, skew_matrix, skew_part
from .spectrum import Spectrum

MOST_STEPS = 100
ROUNDING = 1e-14  # of the norm of a logarithm, relative


@any_shape("Q")
def matrix_exp_inverse(Q):
    r"""Find an unconstrained matrix whose exponential map is a given frame.

    Parameters
    ----------
    Q : array_like, shape (..., n, k)
        float32, float64, complex64 or complex128. A matrix that is not orthonormal is replaced by its
        orthonormal factor, as of :func:`.orthonormalize`; one of several where its rank is deficient.

    Returns
    -------
    ndarray, shape (..., n, k)
        Of the dtype of `Q`: X with ``matrix_exp(X)`` = Q. The lower triangle (upper where n < k) holds
        it; the rest, and the real part of the diagonal, is zero.

    Raises
    ------
    TypeError
        If the dtype is not float32, float64, complex64 or complex128.
    ValueError
        If `Q` is not finite, or not a matrix or stack of them. If it is real, square and of
        determinant -1: the exponential of a skew-symmetric matrix has determinant 1. If it is tall or
        wide and the iteration does not converge, which has not been observed.

    Notes
    -----
    Definition: the X nearest to 0 whose ``matrix_exp`` is Q (:func:`.definitions.matrix_exp_inverse`, a
    logarithm of n x n matrices at each of its steps).

    Square: the principal logarithm, from the (real) Schur form :math:`Q = U D U^H`, which is diagonal,
    or block diagonal with plane rotations, because Q is normal. The angles lie in
    :math:`[-\pi, \pi]`; eigenvalues -1 of a real Q come in pairs, each a rotation by :math:`\pi`.

    Tall: with a QR factorisation :math:`Q_2 = W N` of the lower n - k rows, p = min(k, n - k) columns
    in W, the frame :math:`[Q_1; N]` is completed to a unitary V of k + p rows. V may be replaced by
    :math:`V \operatorname{diag}(I, \Phi)` with any unitary :math:`\Phi`. Of all these,

    .. math:: \log\left(V \begin{pmatrix} I & \\ & \Phi \end{pmatrix}\right)
              = \begin{pmatrix} \Omega & -b^H \\ b & C \end{pmatrix}

    has C = 0 where its norm is stationary: half of the squared norm has the gradient C, and there, in
    the direction :math:`\Gamma`, the second derivative

    .. math:: J(\Gamma) = \left[ \tfrac{\mathrm{ad}}{2i} \cot \tfrac{\mathrm{ad}}{2i}
              \operatorname{diag}(0, \Gamma) \right]_{22}, \qquad
              \mathrm{ad}(M) = Z M - M Z, \quad Z = \log(V \operatorname{diag}(I, \Phi)).

    The steps :math:`\Phi \leftarrow \Phi e^\Gamma` are Newton's, :math:`J(\Gamma) = -C` solved by
    conjugate gradients. The step :math:`\Gamma = -C` is that of [1]_; it never increases the norm,
    since :math:`J \le I`, and is taken where Newton's does not decrease it. The Sylvester equation of
    [2]_ is :math:`J(\Gamma) = -C` with J to second order in Z. The start is the one of [2]_: the
    :math:`\Phi` that makes the lower right block of V positive semidefinite. Then :math:`B = W b`. The
    cost is O(n k^2) and some tens of eigenvalue problems of size k + p.

    Every tall frame has such a logarithm, because the Stiefel manifold is complete.

    References
    ----------
    .. [1] R. Zimmermann, "A matrix-algebraic algorithm for the Riemannian logarithm on the Stiefel
       manifold under the canonical metric", SIAM J. Matrix Anal. Appl. 38 (2017).
    .. [2] R. Zimmermann, K. Hueper, "Computing the Riemannian logarithm on the Stiefel manifold:
       metrics, methods, and performance", SIAM J. Matrix Anal. Appl. 43 (2022).

    Examples
    --------
    >>> matrix_exp_inverse(np.array([[0.0, -1.0], [1.0, 0.0]]))
    array([[0.        , 0.        ],
           [1.57079633, 0.        ]])
    >>> Q = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 3)))[0]
    >>> np.allclose(matrix_exp(matrix_exp_inverse(Q)), Q, atol=1e-14)
    True
    """
    frame = orthonormalize(Q.astype(np.result_type(Q, np.float64)))
    return logarithm(frame).astype(Q.dtype)


def logarithm(Q: np.ndarray) -> np.ndarray:
    """Compute :func:`matrix_exp_inverse` of frames in double precision.

    Parameters
    ----------
    Q : ndarray, shape (..., n, k), n >= k
        Orthonormal columns.

    Returns
    -------
    ndarray, shape (..., n, k)
    """
    X = np.zeros_like(Q)
    for index in np.ndindex(Q.shape[:-2] if Q.size else (0,)):
        X[index] = _logarithm_of_frame(Q[index])
    return X


def _logarithm_of_frame(Q: np.ndarray) -> np.ndarray:
    n, k = Q.shape
    W, N = np.linalg.qr(Q[k:])
    V = complete(np.concatenate([Q[:k], N]))
    Z = logarithm_of_unitary(V) if n == k else _shortest_logarithm(_nearest_to_identity(V, k), k)
    X = from_skew_blocks(Z[:k, :k], W @ Z[k:, :k])
    error = np.max(np.abs(matrix_exp(X) - Q))
    if not error <= 1000 * n * np.finfo(float).eps:
        raise ValueError(f"Q must be the exponential of a skew matrix: no logarithm was found, after "
                         f"{MOST_STEPS} steps it is off by {error:.1e}")
    return X


def logarithm_of_unitary(V: np.ndarray) -> np.ndarray:
    """Compute the principal logarithm of a unitary, or real orthogonal, matrix.

    Parameters
    ----------
    V : ndarray, shape (m, m)
        float64 or complex128.

    Returns
    -------
    ndarray, shape (m, m)
        Skew-Hermitian, of the dtype of `V`.

    Raises
    ------
    ValueError
        If `V` is real and of determinant -1.
    """
    T, U = scipy.linalg.schur(V, check_finite=False)
    if np.iscomplexobj(V):
        return skew_part(U * (1j * np.angle(np.diagonal(T))) @ H(U))
    L = np.zeros_like(T)
    rotations = np.flatnonzero(np.diagonal(T, -1))
    i, j = rotations, rotations + 1
    L[j, i] = np.arctan2(T[j, i] - T[i, j], T[i, i] + T[j, j])
    negative = np.setdiff1d(np.flatnonzero(np.diagonal(T) < 0), np.union1d(i, j))
    if negative.size % 2:
        raise ValueError("Q must have determinant 1, got -1: no rotation, and no exponential of a real "
                         "skew-symmetric matrix, has that")
    L[negative[1::2], negative[::2]] = np.pi
    return skew_part(U @ (L - L.T) @ U.T)


def _nearest_to_identity(V: np.ndarray, k: int) -> np.ndarray:
    """Rotate the last columns of V so that its lower right block is positive semidefinite.

    Where that gives a real V of determinant -1, turn the direction that is farthest from the
    identity.
    """
    left, _, right = np.linalg.svd(V[k:, k:])
    if not np.iscomplexobj(V) and np.linalg.det(V) * np.linalg.det(left @ right) < 0:
        right[-1] = -right[-1]
    return np.concatenate([V[:, :k], V[:, k:] @ H(right) @ H(left)], axis=1)


def _shortest_logarithm(V: np.ndarray, k: int) -> np.ndarray:
    """Minimise the norm of the logarithm over rotations of the last columns of V."""
    Z = logarithm_of_unitary(V)
    tolerance = 4 * len(V) * np.finfo(float).eps
    for _ in range(MOST_STEPS):
        C = Z[k:, k:]
        if np.linalg.norm(C) <= tolerance:
            break
        newton = -Spectrum.of(Z, k).solve(C, tolerance=min(0.1, float(np.linalg.norm(C))))
        for Gamma in (newton, newton / 4, newton / 16, -C):
            V_new, Z_new = _rotate(V, k, Gamma)
            shorter = np.linalg.norm(Z_new) < (1 - ROUNDING) * np.linalg.norm(Z)
            as_short = np.linalg.norm(Z_new) < (1 + ROUNDING) * np.linalg.norm(Z)
            if shorter or as_short and np.linalg.norm(Z_new[k:, k:]) < 0.9 * np.linalg.norm(C):
                break
        V, Z = V_new, Z_new
    return Z


def _rotate(V: np.ndarray, k: int, Gamma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    V = np.concatenate([V[:, :k], V[:, k:] @ expm(Gamma)], axis=1)
    return V, logarithm_of_unitary(V)


def logarithm_tangent(X: np.ndarray, dQ: np.ndarray) -> np.ndarray:
    r"""Invert the derivative of the exponential map: find dX with :math:`D\exp(X)[dX] = dQ`.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k
        What :func:`logarithm` returned.
    dQ : ndarray, shape (..., n, k)
        Its part that is not tangent to the frames has no effect.

    Returns
    -------
    ndarray, shape (..., n, k)
        Lower triangular.

    Raises
    ------
    numpy.linalg.LinAlgError
        If there is no derivative: the completed frame has the eigenvalue -1 twice, or another
        logarithm is as short.

    Notes
    -----
    With the completed frame :math:`V = e^Z`, :math:`V^H \dot V = K` gives :math:`\dot Z =
    \psi(\mathrm{ad}_Z) K`, :math:`\psi(z) = z / (1 - e^{-z})`. The lower right block of K is such that
    that of :math:`\dot Z` is zero. What :math:`\dot Q` moves out of the columns of W moves B there, by
    :math:`\dot Q_2 = \dot B \int_0^1 Q_1(e^{tZ}) \, dt`.
    """
    dX = np.zeros_like(X)
    for index in np.ndindex(X.shape[:-2] if X.size else (0,)):
        geodesic = Geodesic.of(X[index])
        k, W = X.shape[-1], geodesic.W
        inside = np.concatenate([dQ[index][:k], H(W) @ dQ[index][k:]])
        M = H(geodesic.V) @ inside
        zero = np.zeros((W.shape[-1],) * 2, M.dtype)
        dZ = geodesic.without_corner(np.block([[skew_part(M[:k]), -H(M[k:])], [M[k:], zero]]))
        outside = dQ[index][k:] - W @ inside[k:]
        dB = W @ dZ[k:, :k] + outside @ np.linalg.inv(geodesic.Phi)
        dX[index] = from_skew_blocks(dZ[:k, :k], dB)
    return dX


def logarithm_adjoint(X: np.ndarray, Xbar: np.ndarray) -> np.ndarray:
    r"""Apply the adjoint of :func:`logarithm_tangent`.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k
    Xbar : ndarray, shape (..., n, k)
        Only what can be a derivative of :func:`logarithm` has an effect: the lower triangle.

    Returns
    -------
    ndarray, shape (..., n, k)
        Tangent to the frames.

    Raises
    ------
    numpy.linalg.LinAlgError
        As :func:`logarithm_tangent`.
    """
    Qbar = np.zeros_like(X)
    for index in np.ndindex(X.shape[:-2] if X.size else (0,)):
        geodesic = Geodesic.of(X[index])
        k, W = X.shape[-1], geodesic.W
        Bbar = Xbar[index][k:]
        bbar = H(W) @ Bbar / 2
        zero = np.zeros((W.shape[-1],) * 2, bbar.dtype)
        Omegabar = skew_part(from_skew_blocks(Xbar[index][:k], Bbar[:0]))
        K = geodesic.without_corner(np.block([[Omegabar, -H(bbar)], [bbar, zero]]), adjoint=True)
        inside = geodesic.V @ np.concatenate([K[:k, :k], 2 * K[k:, :k]])
        outside = (Bbar - 2 * W @ bbar) @ H(np.linalg.inv(geodesic.Phi))
        Qbar[index] = np.concatenate([inside[:k], W @ inside[k:] + outside])
    return Qbar


class Geodesic(NamedTuple):
    r"""What the derivatives of the logarithm at a frame need.

    Attributes
    ----------
    W : ndarray, shape (n - k, p)
        Orthonormal columns: B = W b.
    spectrum : Spectrum
        Of Z = [[Omega, -b^H], [b, 0]].
    V : ndarray, shape (k + p, k + p)
        The exponential of Z.
    Phi : ndarray, shape (k, k)
        The integral of the leading block of :math:`e^{tZ}` from 0 to 1.
    """

    W: np.ndarray
    spectrum: Spectrum
    V: np.ndarray
    Phi: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray) -> "Geodesic":
        """Find them from one lower triangular X."""
        k = X.shape[-1]
        Omega, B = skew_blocks(X)
        W, b = np.linalg.qr(B)
        spectrum = Spectrum.of(skew_matrix(Omega, b), k)
        if np.ptp(spectrum.theta) > 2 * np.pi - 1e-7:
            raise np.linalg.LinAlgError("the logarithm has no derivative where the eigenvalue -1 "
                                        "is double")
        half = spectrum.theta / 2
        V = spectrum.function_of_Z(np.exp(2j * half))
        Phi = spectrum.function_of_Z(np.exp(1j * half) * np.sinc(half / np.pi))[:k, :k]
        return cls(W, spectrum, V, Phi)

    def without_corner(self, K: np.ndarray, adjoint: bool = False) -> np.ndarray:
        r"""Apply :math:`\psi(\mathrm{ad})`, or its adjoint, to K with the corner that makes that of
        the result zero."""
        k, psi = self.spectrum.k, self.spectrum.inverse_derivative()
        psi = psi.conj() if adjoint else psi
        corner = skew_part(self.spectrum.apply(psi, K)[k:, k:])
        K = K.copy()
        K[k:, k:] = -self.spectrum.solve(corner, tolerance=1e-15)
        result = skew_part(self.spectrum.apply(psi, K))
        if not np.linalg.norm(result[k:, k:]) <= 1e-6 * np.linalg.norm(K):
            raise np.linalg.LinAlgError("the logarithm has no derivative here: it is not the shortest")
        return result
