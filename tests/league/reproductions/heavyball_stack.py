import torch
from heavyball import utils

utils.compile_mode = None
A = torch.stack([torch.eye(2, dtype=torch.float64), 100 * torch.eye(2, dtype=torch.float64)])
iterate = getattr(
    utils.zeropower_via_newtonschulz5, "__wrapped__", utils.zeropower_via_newtonschulz5
)
print("first of a stack:", iterate(A.clone())[0].tolist(), "alone:", iterate(A[0].clone()).tolist())
