r"""Products of Householder reflectors in blocks: the compact WY representation.

A reflector is :math:`H_j = I - \tau_j v_j v_j^H`. With k of them in the columns of V,

.. math:: H_1 \cdots H_k = I - V T V^H, \qquad T^{-1} = \operatorname{diag}(1 / \tau) +
          \operatorname{triu}(V^H V, 1),

so that their product is applied by matrix products [1]_, [2]_. For real reflectors
:math:`\tau_j = 2 / \|v_j\|^2`; LAPACK's complex ones have a complex :math:`\tau_j`.

References
----------
.. [1] R. Schreiber, C. Van Loan, "A storage-efficient WY representation for products of Householder
   transformations", SIAM J. Sci. Stat. Comput. 10 (1989).
.. [2] T. Joffrain, T. M. Low, E. S. Quintana-Orti, R. van de Geijn, F. G. Van Zee, "Accumulating
   Householder transformations, revisited", ACM Trans. Math. Softw. 32 (2006).
"""
import functools

import numpy as np

from .inverses import inverse_upper, lapack
from .matrices import H, add_to_diagonal, mT, tril


BLOCK = 64  # columns, or rows


class CompactWY:
    r"""The n x n orthogonal matrix :math:`(I - V T V^H) \operatorname{diag}(d, I)`, as its factors.

    A product of k reflectors, and the signs of its first k columns. It takes O(n k) memory, and
    O(n k m) operations to multiply by m columns.

    Parameters
    ----------
    V : ndarray, shape (..., n, k)
        The reflectors, unit lower trapezoidal.
    tau : ndarray, shape (..., k)
        Zero where a reflection is left out. Of the dtype of `V`, or in double precision.
    signs : ndarray, shape (..., k)
        Real: d.
    """

    def __init__(self, V: np.ndarray, tau: np.ndarray, signs: np.ndarray):
        self.V, self.tau, self.signs = V, tau, signs

    @functools.cached_property
    def T(self) -> np.ndarray:
        """The triangle of the block of reflectors, of shape (..., k, k).

        It is computed in double precision: nearly parallel reflectors cancel in V T V^H.
        """
        double = np.result_type(self.V, np.float64)
        return triangle(self.V.astype(double, copy=False), self.tau).astype(self.V.dtype, copy=False)

    def frame(self) -> np.ndarray:
        """Return the first k columns, of shape (..., n, k)."""
        n, k = self.V.shape[-2:]
        if n == k:
            identity = np.eye(n, dtype=self.V.dtype)
            return self.multiply_from_right(np.broadcast_to(identity, self.V.shape))
        # The signs are multiplied to the small matrix.
        Q = self.V @ (self.T @ H(-self.V[..., :k, :]) * self.signs[..., None, :])
        add_to_diagonal(Q[..., :k, :], self.signs)
        return Q

    def __matmul__(self, Z: np.ndarray) -> np.ndarray:
        """Multiply by `Z`, of shape (..., n, m)."""
        k = self.V.shape[-1]
        top, rest = Z[..., :k, :] * self.signs[..., None], Z[..., k:, :]
        inner = H(self.V[..., :k, :]) @ top + H(self.V[..., k:, :]) @ rest
        product = self.V @ (self.T @ -inner)
        product[..., :k, :] += top
        product[..., k:, :] += rest
        return product

    def adjoint_matmul(self, Z: np.ndarray) -> np.ndarray:
        """Multiply the conjugate transpose by `Z`, of shape (..., n, m)."""
        product = self.V @ (H(-self.T) @ (H(self.V) @ Z))
        product += Z
        product[..., :self.V.shape[-1], :] *= self.signs[..., None]
        return product

    def multiply_from_right(self, Z: np.ndarray) -> np.ndarray:
        """Multiply `Z`, of shape (..., m, n), by this product of n = k.

        Small real matrices go through LAPACK's ``ormqr``. For others its blocks of reflectors are
        applied here, by NumPy's threads (:mod:`.inverses`).
        """
        n, tau = Z.shape[-1], self.tau.astype(Z.dtype, copy=False)
        if n <= BLOCK and Z.dtype.kind != "c":
            ormqr = lapack("ormqr", Z.dtype)
            V, product = mT(mT(self.V).copy()), mT(mT(Z).copy())  # columns in one piece, as in Fortran
            for i in np.ndindex(Z.shape[:-2] if Z.size else 0):
                ormqr("R", "N", V[i], tau[i], product[i], 64 * Z.shape[-2], overwrite_c=True)
        else:
            product = Z.copy()
            for j in range(0, n, BLOCK):
                V = self.V[..., j:, j:j + BLOCK]
                T = triangle(V, tau[..., j:j + BLOCK])
                product[..., j:] -= (product[..., j:] @ V) @ (T @ H(V))
        product *= self.signs[..., None, :]
        return product


def triangle(V: np.ndarray, tau: np.ndarray) -> np.ndarray:
    r"""Find T such that :math:`I - V T V^H` is the product of reflectors.

    Parameters
    ----------
    V : ndarray, shape (..., n, k)
        Unit lower trapezoidal.
    tau : ndarray, shape (..., k)

    Returns
    -------
    ndarray, shape (..., k, k)
        Upper triangular.

    Notes
    -----
    The triangles of two halves make one, as in [1]_: for :math:`V = [V_1, V_2]`

    .. math:: T = \begin{pmatrix} T_1 & -T_1 V_1^H V_2 T_2 \\ 0 & T_2 \end{pmatrix}.

    Up to 64 columns have :math:`T = \Lambda (I + N \Lambda)^{-1}` with
    :math:`N = \operatorname{triu}(V^H V, 1)` and :math:`\Lambda = \operatorname{diag}(\tau)`, which
    may have zeros.

    References
    ----------
    .. [1] E. Elmroth, F. G. Gustavson, "Applying recursion to serial and parallel QR factorization
       leads to better performance", IBM J. Res. Dev. 44 (2000).
    """
    k = V.shape[-1]
    if k <= (BLOCK if V.ndim == 2 else 8):
        N = H(tril(gram(V), -1))
        N *= tau[..., None, :]
        add_to_diagonal(N, 1)
        return tau[..., None] * inverse_upper(N)
    h = k // 2
    V1, V2 = V[..., h:, :h], V[..., h:, h:]  # the rows of V_2 above are zero
    T = np.zeros((*V.shape[:-2], k, k), V.dtype)
    T1, T2 = T[..., :h, :h], T[..., h:, h:]
    T1[...], T2[...] = triangle(V[..., :h], tau[..., :h]), triangle(V2, tau[..., h:])
    T[..., :h, h:] = -T1 @ (H(V1) @ V2) @ T2
    return T


def gram(V: np.ndarray) -> np.ndarray:
    r"""Return :math:`V^H V` as a sum over up to 16 blocks of rows.

    The triangle of nearly parallel reflectors multiplies its error, and the error of a product grows
    with the length of the sums in it.

    Parameters
    ----------
    V : ndarray, shape (..., n, k)

    Returns
    -------
    ndarray, shape (..., k, k)
    """
    *batch, n, k = V.shape
    blocks = min(n // BLOCK, 16)
    if blocks < 2:
        return H(V) @ V
    rows = n // blocks
    in_blocks = V[..., :blocks * rows, :].reshape(*batch, blocks, rows, k)
    rest = V[..., blocks * rows:, :]
    return (H(in_blocks) @ in_blocks).sum(axis=-3) + H(rest) @ rest


def reflectors(X: np.ndarray) -> np.ndarray:
    r"""Return :math:`V = \operatorname{tril}(X, -1) + E`, unit lower trapezoidal.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    ndarray, shape (..., n, k)
    """
    V = tril(X, -1)
    add_to_diagonal(V[..., :X.shape[-1], :], 1)
    return V


def reflectors_and_tau(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return :math:`V = \operatorname{tril}(X, -1) + E` and :math:`\tau_j = 2 / \|v_j\|^2`.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    V : ndarray, shape (..., n, k)
    tau : ndarray, shape (..., k)
        float64 for any dtype of X.

    Raises
    ------
    ValueError
        If a squared norm is not finite in the dtype of `X`.
    """
    L = tril(X, -1)
    # In double precision, and the 1 last: a long sum of small squares would be lost beside it.
    with np.errstate(over="ignore"):
        squares = np.einsum("...ij,...ij->...j", L.real, L.real, dtype=float)
        if L.dtype.kind == "c":
            squares += np.einsum("...ij,...ij->...j", L.imag, L.imag, dtype=float)
        squares += 1
    if not squares.max(initial=1) <= np.finfo(X.dtype).max:
        raise ValueError(f"X must hold reflectors whose squared norms are finite in {X.dtype}")
    add_to_diagonal(L[..., :X.shape[-1], :], 1)
    return L, 2 / squares


def factor(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factor each matrix of a stack into reflectors and a triangle (LAPACK ``geqrf``).

    Parameters
    ----------
    A : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    factored : ndarray, shape (..., n, k)
        R in the upper triangle, the reflectors below the diagonal.
    tau : ndarray, shape (..., k)
        Their factors.
    """
    with np.errstate(over="ignore"):  # on the way back from double to single precision
        factored, tau = np.linalg.qr(A, mode="raw")
    return mT(factored), tau
