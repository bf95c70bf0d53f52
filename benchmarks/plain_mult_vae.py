"""Mult-VAE by hand, in plain PyTorch on dense rows: what `benchmarks/figures/mult_vae.py` is paired with.

Written anew after the published notebook's description (Liang et al. 2018, arXiv:1802.05814, §3.5 and §4.3):
I → 600 → 200 → 600 → I with tanh, input of unit length and then dropout 0.5, Xavier weights, biases truncated
normal at σ = 0.001, Adam at 1e-3, β linear to its cap. It uses nothing of this project.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN, LATENT = 600, 200


class PlainMultVAE(nn.Module):
    """(n, items) of 0 and 1 → logits (n, items), and the mean and log-variance of the codes (n, 200)."""

    def __init__(self, items: int) -> None:
        super().__init__()
        sizes = [(items, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, items)]
        self.layers = nn.ModuleList(nn.Linear(*size) for size in sizes)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.trunc_normal_(parameter, std=0.001, a=-0.002, b=0.002)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first, code, third, last = self.layers
        hidden = torch.tanh(first(F.dropout(F.normalize(x), 0.5, self.training)))
        mean, log_variance = code(hidden).split(LATENT, 1)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance) if self.training else mean
        return last(torch.tanh(third(z))), mean, log_variance


def step(model: PlainMultVAE, optimiser: torch.optim.Optimizer, x: Tensor, beta: float) -> float:
    """One step on rows (n, items); the loss."""
    logits, mean, log_variance = model(x)
    distortion = -(F.log_softmax(logits, 1) * x).sum(1).mean()
    rate = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
    loss = distortion + beta * rate
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def train(x: Tensor, *, steps: int, batch: int, cap: float, anneal: int, seed: int) -> PlainMultVAE:
    """Trained on the rows of x (users, items), epoch by epoch in a new order; in evaluation mode."""
    torch.manual_seed(seed)
    model = PlainMultVAE(x.shape[1])
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    done = 0
    while done < steps:
        for rows in torch.randperm(len(x)).split(batch)[: steps - done]:
            step(model, optimiser, x[rows], min(cap, cap * done / anneal))
            done += 1
    return model.eval()
