import torch
from peft.tuners.oft.layer import OFTRotationModule

module = OFTRotationModule(1, 1, 2, 2)
vector = torch.tensor([[0.1]], dtype=torch.float64)
three, four, five = (module._cayley_batch(vector, 2, True, terms) for terms in (3, 4, 5))
print("4 terms equal 3:", torch.equal(three, four), "5 equal 4:", torch.equal(four, five))
