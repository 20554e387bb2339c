"""Power iteration, spectral and weight normalisation as programs for any arithmetic."""

from .arithmetic import H, conj, norm, plain, total
from .condition import rounded


def power_iteration(W, u, v, n_power_iterations, eps):
    u, v = u[..., None], v[..., None]
    for _ in range(n_power_iterations):
        u = normalize(W @ v, eps)
        v = normalize(H(W) @ u, eps)
    return u[..., 0], v[..., 0]


def normalize(x, eps):
    """Return x / max(|x|, eps)."""
    length = norm(x)
    return x / (length if plain(length).item() > eps else eps)


def sigma(W, u, v):
    return H(u[..., None]) @ W @ v[..., None]


def spectral_normalize(W, u, v):
    return W / sigma(W, u, v)


def spectral_normalize_vjp(W, u, v, G):
    s = sigma(W, u, v)
    inner = total(conj(rounded(W / s)) * G, (-2, -1))
    return (G - inner * (u[..., None] @ H(v[..., None]))) / conj(s)


def other_axes(v, dim):
    """Return the axes but `dim`, counted from the end; all for None and -1, as in PyTorch."""
    ndim = plain(v).ndim
    return tuple(i - ndim for i in range(ndim) if dim in (None, -1) or i != dim % ndim)


def weight_norm(g, v, dim):
    return g * v / norm(v, other_axes(v, dim))


def weight_norm_vjp(g, v, dim, G):
    length = norm(v, other_axes(v, dim))
    unit = rounded(v / length)
    gbar = total(G * unit, other_axes(v, dim))
    vbar = g / length * (G - gbar * unit)
    return (gbar[(..., *[0] * plain(v).ndim)] if plain(g).ndim == 0 else gbar), vbar
