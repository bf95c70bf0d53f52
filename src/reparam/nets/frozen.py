"""A finished model inside another one."""

from copy import deepcopy

from torch import nn


class Frozen(nn.Module):
    """Holds a model whose weights do not move, and which stays in evaluation mode while others train."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Frozen":
        return super().train(False)


def as_state(network: nn.Module) -> nn.Module:
    """A copy whose weights are buffers: state of the model that holds it, set by what its losses propose."""
    made = deepcopy(network)
    for module in made.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
    return made
