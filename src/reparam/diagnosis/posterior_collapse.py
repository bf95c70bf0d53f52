"""Does the code say anything of the data, and does the decoder listen to it?"""

from reparam.diagnosis.case import Case, Evidence, State, Verdict
from reparam.evaluate_codes import errors, posterior
from reparam.metrics.active_units import active_units
from reparam.metrics.aggregate_posterior import aggregate_posterior
from reparam.metrics.code_use import code_use

NAME = "posterior collapse"
SILENT = 0.1  # nats of mutual information: exp of it is how many examples codes tell apart, here 1.1
# Share of the error of another example's code that one's own code saves. Models that are still all blur save
# a fifth of it; below a fiftieth the decoder draws the same whatever the code.
DEAF, LISTENING = 0.02, 0.05


def posterior_collapse(case: Case) -> Verdict | None:
    """For models that encode and decode, those with a codebook aside."""
    system, x = case.system, case.held_out
    if not (system.can("encode") and system.can("decode")) or system.can("indices"):
        return None
    codes = system.encode(x)
    # Half the data away: neighbours in a file are often of one kind.
    own, other = (errors(system, z, x) for z in (codes, codes.roll(len(x) // 2, 0)))
    use = code_use(own, other).value
    evidence = [Evidence(use, "share of another code's error that an example's own saves; 0: it is ignored")]
    words = f"an example's own code saves {use:.1%} of the error that another's makes"
    silent, q = False, posterior(system, x)
    if q is not None:
        told = aggregate_posterior(q.mean, q.log_std)["mutual_information"].value
        active, units = active_units(q.mean).value, q.mean.shape[1]
        silent = told < SILENT or active == 0
        evidence += [
            Evidence(told, "nats of mutual information of data and code"),
            Evidence(
                active / units, f"share of {units} units that are active: a mean of variance above 0.01"
            ),
        ]
        words += f"; they share {told:.2g} nats with the data, {active:.0f} of {units} units are active"
    state: State = "well"
    if silent or use < LISTENING:
        state = "ill" if use < DEAF or (silent and use < LISTENING) else "unclear"
    heads = {
        "ill": "the codes say nothing of the data",
        "unclear": "the codes say little of the data",
        "well": "the codes tell examples apart",
    }
    finding = f"{heads[state]}: {words}."
    return Verdict(NAME, state, finding, tuple(evidence), () if state == "well" else _change(case, silent))


def _change(case: Case, silent: bool) -> tuple[str, ...]:
    first = (
        f"Lower the weight of the rate{case.settings('beta')}, or let it rise from 0 over some epochs."
        if silent
        else f"The codes know what the decoder ignores: train longer, or otherwise{case.settings('lr')}."
    )
    return (
        first,
        "A likelihood whose noise is too high needs no code: learn it, or lower it"
        f"{case.settings('likelihood', 'std')}.",
    )
