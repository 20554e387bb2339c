r"""What the maps mean: each one as its textbook line, with its inverse and its adjoint.

Slow and plain: everything is n x n. No other file is needed: copy this one, and run it.

How to read it:

1. X is what is trained: an unconstrained matrix (n, k), or a stack of them (..., n, k). Q is its
   frame: orthonormal columns if n >= k, orthonormal rows if n < k.
2. Each map is written for a tall X, n >= k. :func:`any_shape` takes a wide one by its plain
   transpose, f(X) = f(X^T)^T, for complex X too.
3. E is the first k columns of the n x n identity; H(A) is the conjugate transpose.
4. Two maps start from a skew-Hermitian A: :func:`skew`, :func:`matrix_exp`, :func:`cayley`. Two
   multiply reflectors: :func:`householder` and, for complex X, :func:`unitary_householder`.
5. ``f_vjp(X, G)`` is the gradient in X of a loss whose gradient in Q = f(X) is G. For complex numbers
   it is the direction of steepest ascent: the adjoint of Df(X) for the inner product Re tr(A^H B).
6. ``f_with_base(base, X)`` is ``base @ f(X)``, the dynamic trivialization; ``f_inverse(Q)`` goes back.
"""
import functools

import numpy as np
import scipy.linalg


def H(A):
    """Return the conjugate transpose of a matrix, or of each of a stack."""
    return np.conj(np.swapaxes(A, -1, -2))


def identity(A):
    """Return the identity with as many rows as `A` has, of its dtype."""
    return np.eye(A.shape[-2], dtype=A.dtype)


def any_shape(tall):
    """Extend a function of tall matrices to wide ones, by the plain transpose of all of them."""
    @functools.wraps(tall)
    def of_any_shape(*matrices):
        matrices = [np.asarray(A) for A in matrices]
        if matrices[0].shape[-2] >= matrices[0].shape[-1]:
            return tall(*matrices)
        return np.swapaxes(tall(*(np.swapaxes(A, -1, -2) for A in matrices)), -1, -2)
    return of_any_shape


# The exponential and the Cayley transform of a skew-Hermitian matrix
def skew(X):
    """Return A = L - L^H (..., n, n), where L has the lower triangle of a tall X and zero columns."""
    n, k = X.shape[-2:]
    L = np.zeros((*X.shape[:-1], n), X.dtype)
    L[..., :k] = np.tril(X)
    return L - H(L)


def skew_vjp(Abar, k):
    """Return the gradient in X (..., n, k) where `Abar` (..., n, n) is that in A = skew(X)."""
    return np.tril((Abar - H(Abar))[..., :k])


@any_shape
def matrix_exp(X):
    """Return exp(A) E, the first k columns of the exponential of A = skew(X)."""
    return expm(skew(X))[..., :X.shape[-1]]


@any_shape
def matrix_exp_vjp(X, G):
    """Return the adjoint of :func:`matrix_exp`: that of exp at A is the derivative of exp at A^H."""
    A = skew(X)
    return skew_vjp(expm_frechet(H(A), G @ H(identity(X)[:, :X.shape[-1]])), X.shape[-1])


@any_shape
def cayley(X):
    """Return (I - A/2)^-1 (I + A/2) E, for A = skew(X)."""
    A, I = skew(X), identity(X)  # noqa: E741
    return np.linalg.solve(I - A / 2, I + A / 2)[..., :X.shape[-1]]


@any_shape
def cayley_vjp(X, G):
    """Return the adjoint of :func:`cayley`.

    From (I - A/2) Q = (I + A/2) E follows dQ = (I - A/2)^-1 dA K with K = (Q + E)/2, so that
    Abar = J K^H with J = (I - A/2)^-H G = (I + A/2)^-1 G.
    """
    A, I = skew(X), identity(X)  # noqa: E741
    J = np.linalg.solve(I + A / 2, G)
    K = (cayley(X) + I[:, :X.shape[-1]]) / 2
    return skew_vjp(J @ H(K), X.shape[-1])


# Householder reflectors
def reflector_vector(X, j):
    """Return v (..., n, 1): zeros, then 1 in row j, then column j of X below the diagonal."""
    v = np.zeros((*X.shape[:-1], 1), X.dtype)
    v[..., j, 0] = 1
    v[..., j + 1:, 0] = X[..., j + 1:, j]
    return v


def reflector(v):
    """Return the reflection I - 2 v v^H / (v^H v) in the hyperplane orthogonal to v."""
    return identity(v) - 2 * v @ H(v) / (H(v) @ v)


def product_of_reflectors(X):
    """Return H_1 H_2 ... H_k E, one reflector for each column of X below its diagonal."""
    Q = np.broadcast_to(identity(X), (*X.shape[:-1], X.shape[-2]))
    for j in range(X.shape[-1]):
        Q = Q @ reflector(reflector_vector(X, j))
    return Q[..., :X.shape[-1]]


def product_of_reflectors_vjp(X, G):
    """Return the adjoint of :func:`product_of_reflectors`, one reflector at a time.

    With P before H_j and S after it, the gradient in H_j = I - 2 v v^H / (v^H v) is M = P^H G S^H, and
    that in v is -2/(v^H v) times the part of (M + M^H) v orthogonal to v.
    """
    n, k = X.shape[-2:]
    Xbar = np.zeros_like(X)
    vectors = [reflector_vector(X, j) for j in range(k)]
    for j, v in enumerate(vectors):
        P = functools.reduce(np.matmul, map(reflector, vectors[:j]), identity(X))
        S = functools.reduce(np.matmul, map(reflector, vectors[j + 1:]), identity(X))[..., :k]
        M = H(P) @ G @ H(S)
        a = (M + H(M)) @ v
        vbar = -2 / (H(v) @ v) * (a - v @ (H(v) @ a) / (H(v) @ v))
        Xbar[..., j + 1:, j] = vbar[..., j + 1:, 0]
    return Xbar


def diagonal(X):
    """Return the diagonal of a tall X as a row (..., 1, k)."""
    return np.diagonal(X, axis1=-2, axis2=-1)[..., None, :]


@any_shape
def householder(X):
    """Return H_1 ... H_k E diag(d) for real X: d = -1 where the diagonal's sign bit is set, else 1.

    >>> householder(np.array([[1.0, 1.0]]))
    array([[ 0., -1.]])
    """
    return product_of_reflectors(require_real(X)) * np.copysign(1, diagonal(X))


@any_shape
def householder_vjp(X, G):
    """Return the adjoint of :func:`householder`; no gradient flows to the signs."""
    return product_of_reflectors_vjp(require_real(X), G * np.copysign(1, diagonal(X)))


def require_real(X):
    """Return `X`, or raise ValueError if it is complex."""
    if np.iscomplexobj(X):
        raise ValueError(f"X must be real, got {X.dtype}; for complex X take unitary_householder")
    return X


@any_shape
def unitary_householder(X):
    """Return H_1 ... H_k E diag(d), d the phases x / |x| of the diagonal of X: NaN where x is zero."""
    return product_of_reflectors(X) * (diagonal(X) / np.abs(diagonal(X)))


@any_shape
def unitary_householder_vjp(X, G):
    """Return the adjoint of :func:`unitary_householder`: what is orthogonal to d in dbar counts."""
    x = diagonal(X)
    d = x / np.abs(x)
    dbar = np.sum(product_of_reflectors(X).conj() * G, axis=-2, keepdims=True)
    xbar = (dbar - d * np.real(d.conj() * dbar)) / np.abs(x)
    return product_of_reflectors_vjp(X, G * d.conj()) + np.eye(*X.shape[-2:], dtype=X.dtype) * xbar


# A base: the dynamic trivialization
def with_base(base, X, map):
    """Return base @ map(X) for a tall X, (base @ map(X^T))^T for a wide one; n is the longer side."""
    return any_shape(lambda X: np.asarray(base) @ map(X))(X)


def with_base_vjp(base, X, G, vjp):
    """Return the gradient in X: that of the map alone, for base^H G."""
    return any_shape(lambda X, G: vjp(X, H(np.asarray(base)) @ G))(X, G)


matrix_exp_with_base = functools.partial(with_base, map=matrix_exp)
matrix_exp_with_base_vjp = functools.partial(with_base_vjp, vjp=matrix_exp_vjp)
cayley_with_base = functools.partial(with_base, map=cayley)
cayley_with_base_vjp = functools.partial(with_base_vjp, vjp=cayley_vjp)
householder_with_base = functools.partial(with_base, map=householder)
householder_with_base_vjp = functools.partial(with_base_vjp, vjp=householder_vjp)
unitary_householder_with_base = functools.partial(with_base, map=unitary_householder)
unitary_householder_with_base_vjp = functools.partial(with_base_vjp, vjp=unitary_householder_vjp)


# The inverses: an X whose map is a given frame Q
def inverse_of(map):
    """Extend an inverse to wide Q, and raise ValueError where no X has the frame `Q`."""
    def decorate(inverse):
        @functools.wraps(inverse)
        def checked(Q):
            Q = np.asarray(Q)
            X = any_shape(inverse)(Q)
            if not np.all(np.abs(map(X) - Q) <= np.sqrt(np.finfo(Q.dtype).eps)):
                raise ValueError(f"Q must be a frame that {map.__name__} reaches")
            return X
        return checked
    return decorate


def from_blocks(Omega, B):
    """Return the lower triangular X for which A = skew(X) has the blocks [[Omega, -B^H], [B, 0]]."""
    half = np.eye(Omega.shape[-1]) / 2
    return np.concatenate([np.tril(Omega) - half.astype(Omega.dtype) * Omega, B], axis=-2)


@inverse_of(cayley)
def cayley_inverse(Q):
    """Solve (I - A/2) K = E, K = (Q + E)/2, for the blocks of A; raise LinAlgError if there is no A.

    With Y the top k rows of K and Q_2 those of Q below: B Y = Q_2, Omega Y = 2 (Y - I) + B^H Q_2 / 2.
    """
    k = Q.shape[-1]
    Y = (Q[..., :k, :] + np.eye(k, dtype=Q.dtype)) / 2
    B = Q[..., k:, :] @ np.linalg.inv(Y)
    return from_blocks(2 * (np.eye(k, dtype=Q.dtype) + H(B) @ B / 4 - np.linalg.inv(Y)), B)


@inverse_of(matrix_exp)
def matrix_exp_inverse(Q):
    """Return X for A = log [Q, P], P a completion of Q for which the lower right block of A is zero.

    Start with any P; take the logarithm, and turn P by the exponential of minus that block, until the
    block is zero (Zimmermann 2017). A square Q has no P: it is the principal logarithm.
    """
    n, k = Q.shape[-2:]
    square = np.concatenate([Q, np.linalg.qr(Q, mode="complete")[0][..., k:]], axis=-1)
    if np.isrealobj(Q) and n > k:  # only matrices of determinant 1 have a real logarithm
        square[..., -1] *= np.linalg.det(square)[..., None]
    for step in range(1000):
        A = logm(square)
        C = A[..., k:, k:]
        if np.all(np.abs(C) <= 4 * np.finfo(Q.dtype).eps):
            break
        square[..., k:] = square[..., k:] @ expm(-C)
    return from_blocks(A[..., :k, :k], A[..., k:, :k])


def logm(Q):
    """Return the principal logarithm of unitary matrices: the phases of the Schur form's diagonal."""
    A = np.empty_like(Q)
    for index in np.ndindex(Q.shape[:-2]):
        T, Z = scipy.linalg.schur(Q[index], output="complex")
        logarithm = Z @ np.diag(1j * np.angle(np.diag(T))) @ H(Z)
        A[index] = logarithm if np.iscomplexobj(Q) else logarithm.real
    return A


@inverse_of(unitary_householder)
def unitary_householder_inverse(Q):
    """Bring Q to diag(d), one reflector a column: v = x + |x| (x_1 / |x_1|) e_1, scaled to v_1 = 1."""
    X, R = np.zeros_like(Q), Q
    for j in range(Q.shape[-1]):
        v = R[..., :, j:j + 1] * (np.arange(Q.shape[-2]) >= j)[:, None]
        pivot = v[..., j:j + 1, :]
        phase = np.where(pivot == 0, 1, pivot) / np.where(pivot == 0, 1, np.abs(pivot))
        v[..., j:j + 1, :] += np.linalg.norm(v, axis=-2, keepdims=True) * phase
        v = v / v[..., j:j + 1, :]
        R = reflector(v) @ R
        X[..., j + 1:, j] = v[..., j + 1:, 0]
        X[..., j, j] = -phase[..., 0, 0]
    return X


def householder_inverse(Q):
    """Return :func:`unitary_householder_inverse` of a real Q, whose phases are signs."""
    return unitary_householder_inverse(require_real(np.asarray(Q)))


# Functions of a general square matrix A
expm = scipy.linalg.expm  # I + A + A^2/2 + ..., of one matrix or a stack


def expm_frechet(A, E):
    """Return the derivative of exp at A along E, the upper right block of exp([[A, E], [0, A]])."""
    A, n = np.asarray(A), np.shape(A)[-1]
    return expm(np.block([[A, E], [np.zeros_like(A), A]]))[..., :n, n:]


def expm_vjp(A, G):
    """Return the adjoint of :func:`expm`: the derivative of exp at A^H along G."""
    return expm_frechet(H(np.asarray(A)), G)


# Orthonormal factors of a matrix A of full rank
@any_shape
def orthonormalize(A):
    """Return Q of A = Q R, the diagonal of R real and positive: what Gram and Schmidt make of A."""
    Q, R = np.linalg.qr(A)
    return Q * (diagonal(R) / np.abs(diagonal(R)))


@any_shape
def orthonormalize_vjp(A, G):
    """Return the adjoint of :func:`orthonormalize`.

    dQ = Q W + (I - Q Q^H) dA R^-1, where the skew-Hermitian W has the lower triangle of C = Q^H dA R^-1
    and the imaginary part of its diagonal. So Abar = (Q T + G - Q M) R^-H, with M = Q^H G.
    """
    Q = orthonormalize(A)
    R, M = H(Q) @ A, H(Q) @ G
    T = np.tril(M - H(M)) - (M - H(M)) * identity(M) / 2
    return (Q @ T + G - Q @ M) @ np.linalg.inv(H(R))


@any_shape
def polar(A):
    """Return U V^H of A = U S V^H, the orthonormal frame nearest to A."""
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    return U @ Vh


@any_shape
def polar_vjp(A, G):
    """Return U Y V^H + (I - U U^H) G V S^-1 V^H, Z = U^H G V, Y_ij = (Z - Z^H)_ij / (s_i + s_j)."""
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    Z = H(U) @ G @ H(Vh)
    Abar = U @ ((Z - H(Z)) / (s[..., :, None] + s[..., None, :])) @ Vh
    if A.shape[-2] == A.shape[-1]:
        return Abar  # I = U U^H
    return Abar + (G @ H(Vh) - U @ Z) / s[..., None, :] @ Vh


def newton_schulz(A, coefficients, steps):
    """Divide A by |A|; repeat A <- a A + b A A^H A + c A A^H A A^H A, (a, b, c) from coefficients."""
    return newton_schulz_iterates(np.asarray(A), coefficients, steps)[-1]


def newton_schulz_iterates(A, coefficients, steps):
    """Return A / |A| and what it is after each step."""
    iterates = [A / np.linalg.norm(A, axis=(-2, -1), keepdims=True)]
    for a, b, c in np.broadcast_to(coefficients, (steps, 3)).tolist():
        X = iterates[-1]
        iterates.append(a * X + b * X @ H(X) @ X + c * X @ H(X) @ X @ H(X) @ X)
    return iterates


def newton_schulz_vjp(A, coefficients, steps, G):
    """Return the gradient in A: each factor of X X^H X and X X^H X X^H X in turn, then the norm."""
    A, G = np.asarray(A), np.asarray(G)
    B, *others = newton_schulz_iterates(A, coefficients, steps)
    triples = np.broadcast_to(coefficients, (steps, 3)).tolist()
    for X, (a, b, c) in zip([B, *others[:-1]][::-1], triples[::-1]):
        P, R = X @ H(X), H(X) @ X
        cubic = G @ R + X @ H(G) @ X + P @ G
        quintic = G @ R @ R + P @ X @ H(G) @ X + P @ G @ R + X @ H(G) @ X @ R + P @ P @ G
        G = a * G + b * cubic + c * quintic
    along = np.sum(np.real(np.conj(B) * G), axis=(-2, -1), keepdims=True)
    return (G - B * along) / np.linalg.norm(A, axis=(-2, -1), keepdims=True)


# Spectral and weight normalisation
def power_iteration(W, u, v, n_power_iterations=1, eps=1e-12):
    """Improve u and v, leading singular vectors of W: u <- Wv / |Wv|, then v <- W^H u / |W^H u|."""
    for _ in range(n_power_iterations):
        u = W @ v / max(np.linalg.norm(W @ v), eps)
        v = H(W) @ u / max(np.linalg.norm(H(W) @ u), eps)
    return u, v


def spectral_normalize(W, u, v):
    """Return W / sigma, sigma = u^H W v: the estimate of the largest singular value of W (h, w)."""
    return W / (np.conj(u) @ W @ v)


def spectral_normalize_vjp(W, u, v, G):
    """Return the gradient in W, u and v held constant."""
    sigma = np.conj(u) @ W @ v
    return (G - np.sum(np.conj(W / sigma) * G) * np.outer(u, np.conj(v))) / np.conj(sigma)


def sum_except(v, dim):
    """Return the sum over all axes but `dim`, which is kept; over all of them for None and -1."""
    if dim is None or dim == -1:
        return np.sum(v)
    return np.sum(v, axis=tuple(i for i in range(v.ndim) if i != dim % v.ndim), keepdims=True)


def weight_norm(g, v, dim=0):
    """Return g v / |v| for real lengths g and directions v, one of each for every index of `dim`."""
    return g * v / np.sqrt(sum_except(v * v, dim))


def weight_norm_vjp(g, v, dim, G):
    """Return the gradients in g and in v: the part of G along v / |v|, and g / |v| times the rest."""
    norm = np.sqrt(sum_except(v * v, dim))
    gbar = sum_except(G * v / norm, dim)
    return gbar, g / norm * (G - gbar * v / norm)
