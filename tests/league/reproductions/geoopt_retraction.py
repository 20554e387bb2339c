import geoopt
import torch

x = torch.eye(3, 2, dtype=torch.float64)
u = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
geoopt.EuclideanStiefel().retr(x, u).sum().backward()
print(u.grad)
