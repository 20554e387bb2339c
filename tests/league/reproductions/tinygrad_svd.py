from tinygrad import Tensor

U, s, Vh = Tensor([[2.0]]).svd()
print(U.numpy(), s.numpy(), Vh.numpy())
