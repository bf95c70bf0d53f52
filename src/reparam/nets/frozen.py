"""A finished model inside another one."""

from torch import nn


class Frozen(nn.Module):
    """Holds a model whose weights do not move, and which stays in evaluation mode while others train."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Frozen":
        return super().train(False)
