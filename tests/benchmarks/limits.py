"""What bounds the cells that miss their aim: bare arithmetic, and a loss without a parametrization.

For each cell, on one thread: PyTorch's time over the aim, which is the time that was asked for; our
time; the time of the matrix products (or of the passes over memory) of our algorithm with their results
in place, and, backwards, that of the same loss of a plain parameter, ``sum(C * W)`` and its gradient
through autograd, both of which our time contains.

Then the cells in which compiled JAX is ahead, with the same columns, JAX's time being what was asked
for. Then the steps of training that are bounded by products of matrices, and these products alone.
"""
from typing import Any, Callable

import autograd.numpy as np
import numpy
import scipy.linalg

from orthonorm import nn
from orthonorm.core.exponential import Exponential
from orthonorm.core.householder import product_of_reflectors
from orthonorm.core.inverses import inverse, inverse_upper, lapack
from orthonorm.core.skew import skew_blocks, skew_matrix, tall_qr
from orthonorm.equivalence.libraries import Orthonorm, PyTorch
from orthonorm.func import value_and_grad

from . import training
from .cells import DTYPES, Cell, arrays
from .jax_programs import program as jax_program
from .libraries import orthonorm_program, pytorch_program
from .timing import clock, paired, quartiles, threads

# (map, shape, direction, how much faster than PyTorch it was to be)
AIMS = [("cayley", (512, 64), "forward+backward", 25), ("cayley", (1024, 64), "forward+backward", 60),
        ("cayley", (64, 64), "forward", 1), ("householder", (64, 32, 32), "forward", 1),
        *(("spectral_norm", shape, "forward+backward", 1.5)
          for shape in ((32, 32), (256, 256), (1024, 1024), (256, 128, 3, 3)))]
# (map, shape, JAX's form), forward and backward: a compiled call of a small map, and tall matrices.
AGAINST_JAX = [*((name, (16, 16), "n x n") for name in ("matrix_exp", "cayley", "householder")),
               *((name, shape, "closed form") for name, shape in (
                   ("matrix_exp", (1024, 64)), ("matrix_exp", (4096, 64)), ("matrix_exp", (16384, 32)),
                   ("cayley", (512, 64)), ("householder", (512, 64)), ("householder", (4096, 64))))]
SECONDS = 8.0  # for a cell

# For a step of training: what was asked for, and (m, l, n, how many) of the products of m x l by l x n
# matrices in it: of the value, of the gradient by what came before, of that by the weights.
STEPS = {
    "LSTM 8 to 64, 100 steps": (1, [(256, 73, 32, 100), (64, 256, 32, 100), (256, 3200, 73, 1)]),
    "Conv2d 16 to 32, 3x3 on 32x32": (
        0.85, [(32, 144, 1024, 16), (144, 32, 1024, 16), (144, 1024, 32, 16)]),
    "Conv2d 64 to 64, 3x3, stride 2 on 16x16": (
        0.85, [(64, 576, 64, 16), (576, 64, 64, 16), (576, 64, 64, 16)]),
    "ConvTranspose2d 32 to 16, 4x4, stride 2 on 16x16": (
        0.85, [(256, 32, 256, 16), (32, 256, 256, 16), (256, 256, 32, 16)]),
}


def main() -> None:
    columns = f"{'ours':>8}{'arithmetic':>12}{'loss':>8}"
    print(f"{'milliseconds':60}{'asked':>8}{columns}")
    with threads(1):
        for dtype in DTYPES:
            for name, shape, direction, aim in AIMS:
                cell = Cell(name, shape, dtype, direction)
                print_cell(cell, pytorch_program(cell), f"{aim} x", aim)
        print(f"\n{'milliseconds':60}{'JAX':>8}{columns}")
        for dtype in DTYPES:
            for name, shape, form in AGAINST_JAX:
                cell = Cell(name, shape, dtype, "forward+backward")
                print_cell(cell, jax_program(f"JAX, {form}", cell), form, 1)
        print(f"\n{'milliseconds a step':60}{'asked':>8}{'ours':>8}{'products':>10}")
        for workload in training.workloads():
            if workload.name in STEPS:
                print_step(workload)


def print_cell(cell: Cell, theirs: Any, wanted: str, aim: float) -> None:
    """Print their time over the aim, ours, and what ours contains."""
    arithmetic = ARITHMETIC.get((cell.map, cell.direction))
    programs = {"theirs": theirs, "ours": orthonorm_program(cell),
                "arithmetic": arithmetic and cell.shape != (16, 16) and arithmetic(cell),
                "loss": cell.backward and loss_of_a_plain_weight(cell)}
    times = paired({name: program for name, program in programs.items() if program}, SECONDS, clock(1))
    ms = {name: f"{1e3 * quartiles(seconds)[1]:.3f}" for name, seconds in times.items()}
    ms["theirs"] = f"{1e3 * quartiles(times['theirs'])[1] / aim:.3f}"
    print(f"{str(cell):47} {wanted:>12}{ms['theirs']:>8}{ms['ours']:>8}{ms.get('arithmetic', ''):>12}"
          f"{ms.get('loss', ''):>8}", flush=True)


def print_step(workload: training.Workload) -> None:
    aim, products = STEPS[workload.name]
    times = paired({"PyTorch": workload.prepare(PyTorch(), workload.dtype),
                    "ours": workload.prepare(Orthonorm(), workload.dtype),
                    "products": bare_products(products, workload.dtype)}, SECONDS, clock(1))
    ms = {name: 1e3 * quartiles(seconds)[1] for name, seconds in times.items()}
    print(f"{str(workload):60}{ms['PyTorch'] / aim:8.3f}{ms['ours']:8.3f}{ms['products']:10.3f}",
          flush=True)


def bare_products(products: list[tuple[int, int, int, int]], dtype: str) -> Callable[[], Any]:
    """Multiply matrices of the given shapes into arrays that are there already."""
    operands = [(numpy.ones((m, k), dtype), numpy.ones((k, n), dtype), numpy.empty((m, n), dtype),
                 count) for m, k, n, count in products]

    def run() -> None:
        for A, B, out, count in operands:
            for _ in range(count):
                numpy.matmul(A, B, out=out)
    return run


def loss_of_a_plain_weight(cell: Cell) -> Callable[[], Any]:
    X, C = arrays(cell)
    module = nn.Module()
    module.weight = nn.Parameter(X)
    return value_and_grad(lambda: np.sum(C * module.weight), module)


def reflectors(V: Any, T: Any, G: Any) -> Callable[[], Any]:
    """Multiply G by V T V^T, as a base or its adjoint does."""
    small, other, tall = numpy.empty_like(T), numpy.empty_like(T), numpy.empty_like(V)

    def run() -> None:
        numpy.matmul(V.T, G, out=small)
        numpy.matmul(T, small, out=other)
        numpy.matmul(V, other, out=tall)
    return run


def cayley(cell: Cell) -> Callable[[], Any]:
    """Do the products of S, Y and B Y, and of their adjoints, and multiply by the base twice."""
    V, G = arrays(cell)
    n, k = cell.shape
    B, G2, T, Y = V[k:], G[k:], V[:k], numpy.eye(k, dtype=V.dtype)
    low, small, other = (numpy.empty_like(A) for A in (B, T, T))
    base = reflectors(V, T, G)

    def run() -> None:
        numpy.matmul(B.T, B, out=small)
        inverse(Y)
        numpy.matmul(B, Y, out=low)
        base()
        base()
        numpy.matmul(B.T, G2, out=small)
        numpy.matmul(Y.T, small, out=other)
        numpy.matmul(other, Y.T, out=small)
        numpy.matmul(G2, Y.T, out=low)
        numpy.matmul(B, small, out=low)
    return run


def square_cayley(cell: Cell) -> Callable[[], Any]:
    """Invert, and multiply by the base."""
    _, C = arrays(cell)
    S, result = numpy.eye(len(C), dtype=C.dtype), numpy.empty_like(C)

    def run() -> None:
        numpy.matmul(C, inverse(S), out=result)
    return run


def householder(cell: Cell) -> Callable[[], Any]:
    """Multiply reflectors and base, a matrix of the stack at a time, by LAPACK."""
    X, C = arrays(cell)
    product = product_of_reflectors(X)
    ormqr, tau = lapack("ormqr", X.dtype), product.tau.astype(X.dtype)
    stack = [(numpy.asfortranarray(v), t, numpy.asfortranarray(c))
             for v, t, c in zip(product.V, tau, C)]

    def run() -> None:
        for v, t, c in stack:
            ormqr("R", "N", v, t, c, 64 * len(c), overwrite_c=True)
    return run


def tall_householder(cell: Cell) -> Callable[[], Any]:
    """Do the products of T, of V with k x k matrices and of its adjoint; multiply by the base twice."""
    V, G = arrays(cell)
    _, k = cell.shape
    T, W, small = (numpy.empty((k, k), V.dtype) for _ in range(3))
    tall, base = numpy.empty_like(V), reflectors(V, T, G)

    def run() -> None:
        numpy.matmul(V.T, V, out=T)
        inverse_upper(T)
        numpy.matmul(T, V[:k].T, out=W)
        numpy.matmul(V, W, out=tall)
        base()
        base()
        numpy.matmul(V.T, G, out=small)
        numpy.matmul(T.T, small, out=W)
        numpy.matmul(W, small, out=T)
        numpy.matmul(V, T, out=tall)
        numpy.matmul(G, W, out=tall)
    return run


def tall_matrix_exp(cell: Cell) -> Callable[[], Any]:
    """Factor B, exponentiate a 2k x 2k matrix and differentiate; three products with P; the base."""
    X, G = arrays(cell)
    n, k = cell.shape
    wide = numpy.float64 if numpy.linalg.norm(X) > 4 * numpy.sqrt(2 * k) else X.dtype
    Omega, B = (block.astype(wide) for block in skew_blocks(X))
    G2, low = G[k:].astype(wide), numpy.empty_like(B)
    base = reflectors(X, numpy.eye(k, dtype=X.dtype), G)

    def run() -> None:
        P, R = tall_qr(B)
        exponential = Exponential(skew_matrix(Omega, R))
        F = exponential.value
        numpy.matmul(P, F[k:, :k], out=low)
        base()
        base()
        P.T @ G2
        exponential.derivative(F, adjoint=True)
        Phi = exponential.integral(k)[:k]
        numpy.matmul(P, Phi, out=low)
        numpy.matmul(G2, Phi, out=low)
    return run


def spectral_norm(cell: Cell) -> Callable[[], Any]:
    """Compute W v twice, u W, W / sigma; then <P, G>, G / sigma and its sum with u v^T."""
    W, C = (A.reshape(len(A), -1) for A in arrays(cell))
    u, v, two = W[:, 0].copy(), W[0].copy(), W.dtype.type(2)
    P, result = numpy.empty_like(W), numpy.empty_like(W)
    add_outer = scipy.linalg.get_blas_funcs("ger", dtype=W.dtype)

    def run() -> None:
        W @ v, u @ W, W @ v
        numpy.divide(W, two, out=P)
        numpy.vdot(P, C)
        numpy.divide(C, two, out=result)
        add_outer(1, v, u, a=result.T, overwrite_a=True)
    return run


ARITHMETIC = {("cayley", "forward+backward"): cayley, ("cayley", "forward"): square_cayley,
              ("householder", "forward"): householder,
              ("householder", "forward+backward"): tall_householder,
              ("matrix_exp", "forward+backward"): tall_matrix_exp,
              ("spectral_norm", "forward+backward"): spectral_norm}

if __name__ == "__main__":
    main()
