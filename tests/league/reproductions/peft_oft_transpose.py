import torch
from peft.tuners.oft.layer import OFTRotationModule

module = OFTRotationModule(1, 1, 2, 2)  # one 2 x 2 block: a rotation by an angle of one number
vector = torch.tensor([[0.1]], dtype=torch.float64)
for neumann, terms in (False, 0), (True, 30):
    print(
        "series of 30 terms" if neumann else "exact form",
        module._cayley_batch(vector, 2, neumann, terms)[0].tolist(),
    )
