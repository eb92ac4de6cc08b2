"""The Muon optimiser: momentum whose matrices are orthogonalised, all matrices of one shape in one go."""

from collections import defaultdict

import torch
from torch import Tensor
from torch.nn import Parameter


def orthogonalise(matrices: Tensor) -> Tensor:
    """[count, rows, columns]: the nearest matrices with singular values about 1, by five Newton-Schulz steps in bfloat16."""
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.transpose(1, 2) if tall else x


class Muon:
    """Updates matrices with a root mean square of 0.2 times the learning rate, as AdamW's updates have."""

    def __init__(self, parameters: list[Parameter], momentum: float = 0.95, weight_decay: float = 0.05):
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.shapes: dict[torch.Size, list[Parameter]] = defaultdict(list)
        for parameter in parameters:
            self.shapes[parameter.shape].append(parameter)
        self.state = {shape: torch.zeros(len(members), *shape, device=members[0].device)
                      for shape, members in self.shapes.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for shape, members in self.shapes.items():
            gradients = torch.stack([member.grad for member in members])
            average = self.state[shape].lerp_(gradients, 1 - self.momentum)
            updates = orthogonalise(gradients.lerp(average, self.momentum)).float() * (0.2 * max(shape) ** 0.5)
            torch._foreach_mul_(members, 1 - rate * self.weight_decay)
            torch._foreach_add_(members, list(updates.unbind()), alpha=-rate)
