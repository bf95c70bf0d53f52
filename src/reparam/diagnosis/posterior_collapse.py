"""Does the code say anything of the data, and does the decoder listen to it?"""

import torch
from torch import Tensor

from reparam.diagnosis.case import Case, Evidence, State, Verdict
from reparam.metrics.codes import active_units

NAME = "posterior collapse"
# The mean rate bounds the mutual information of data and code, and exp of that is how many examples the
# codes can tell apart: below 0.1 nats it is 1.1 of them.
RATE = 0.1
# Share of the error of another example's code that one's own code saves. Blurred models save a fifth of it
# within seconds; below a fiftieth the decoder draws the same whatever the code.
DEAF, LISTENING = 0.02, 0.05


def posterior_collapse(case: Case) -> Verdict | None:
    """For models that encode and decode, those with a codebook aside."""
    system, x = case.system, case.held_out
    if not (system.can("encode") and system.can("decode")) or system.can("indices") or len(x) < 2:
        return None
    codes = system.encode(x)
    own, other = (_error(x, system.decode(z).cpu()) for z in (codes, codes.roll(len(x) // 2, 0)))
    use = 1 - (own / other) if other else 0.0
    means = codes.flatten(1)
    evidence = [
        Evidence(use, "share of another code's error that an example's own code saves; 0: it is ignored")
    ]
    rates = [term.mean().item() for name, term in case.terms().items() if name.endswith(".rate")]
    words = f"an example's own code saves {use:.1%} of the error that another's makes"
    silent = False
    if rates:
        rate, active = min(rates), active_units(means).value
        silent = rate < RATE or active == 0
        evidence += [
            Evidence(rate, "nats of mean rate: the bound on the mutual information of data and code"),
            Evidence(rate / means.shape[1], "nats of rate per latent dimension"),
            Evidence(active, f"active units of {means.shape[1]}: variance of the posterior mean above 0.01"),
        ]
        words += f"; the rate is {rate:.3g} nats, {active:.0f} of {means.shape[1]} units are active"
    state: State = "well"
    if silent or use < LISTENING:
        state = "ill" if use < DEAF or (silent and use < LISTENING) else "unclear"
    change = ()
    if state != "well":
        change = (
            f"Lower the weight of the rate{case.settings('beta')}, or let it rise from 0 over some epochs."
            if rates
            else f"Train longer, or at another learning rate{case.settings('lr')}.",
            "A likelihood whose noise is too high needs no code: learn it, or lower it"
            f"{case.settings('likelihood', 'std')}.",
        )
    heads = {
        "ill": "the codes say nothing of the data",
        "unclear": "the codes say little of the data",
        "well": "the codes tell examples apart",
    }
    return Verdict(NAME, state, f"{heads[state]}: {words}.", tuple(evidence), change)


def _error(x: Tensor, made: Tensor) -> float:
    return (torch.as_tensor(x) - made).double().square().flatten(1).sum(1).mean().item()
