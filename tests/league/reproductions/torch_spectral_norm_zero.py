import torch

layer = torch.nn.Linear(2, 3)
torch.nn.init.zeros_(layer.weight)
torch.nn.utils.parametrizations.spectral_norm(layer)
print("weight:", layer.weight.tolist(), "exact: zero, the limit of every u^T W v <= |W|")
