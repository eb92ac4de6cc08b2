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
    """Updates matrices with a root mean square of 0.2 times the learning rate, as AdamW's updates have.

    Each parameter comes with the number of matrices that it stacks by rows. They are orthogonalised apart: in a fused
    query, key and value projection a larger gradient of one could leave the others little update (not measured).
    """

    def __init__(self, parameters: list[tuple[Parameter, int]], momentum: float = 0.95, weight_decay: float = 0.05):
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.shapes: dict[torch.Size, list[tuple[Parameter, int]]] = defaultdict(list)
        for parameter, parts in parameters:
            self.shapes[parameter.chunk(parts)[0].shape].append((parameter, parts))
        self.averages = {shape: torch.zeros(sum(parts for _, parts in members), *shape, device=members[0][0].device)
                         for shape, members in self.shapes.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for shape, members in self.shapes.items():
            matrices = [part for parameter, parts in members for part in parameter.chunk(parts)]
            gradients = torch.stack([part for parameter, parts in members for part in parameter.grad.chunk(parts)])
            average = self.averages[shape].lerp_(gradients, 1 - self.momentum)
            updates = orthogonalise(gradients.lerp(average, self.momentum)).float() * (0.2 * max(shape) ** 0.5)
            torch._foreach_mul_(matrices, 1 - rate * self.weight_decay)
            torch._foreach_add_(matrices, list(updates.unbind()), alpha=-rate)
