"""torch.linalg: matrix_exp, qr with the signs of R moved to Q, and the polar factor from svd."""

import torch

from tests.league.with_torch import jvp, map_operations


def _orthonormalize(A):
    tall = A.shape[-2] >= A.shape[-1]
    Q, R = torch.linalg.qr(A if tall else A.mT)
    Q = Q * torch.sgn(torch.diagonal(R, dim1=-2, dim2=-1)).unsqueeze(-2)
    return Q if tall else Q.mT


def _polar(A):
    U, _, Vh = torch.linalg.svd(A, full_matrices=False)
    return U @ Vh


globals().update(map_operations("expm", torch.linalg.matrix_exp))
globals().update(map_operations("orthonormalize", _orthonormalize))
globals().update(map_operations("polar", _polar))


def expm_frechet(A, E):
    return jvp(torch.linalg.matrix_exp, A, E)
