"""Which term became infinite or no number, and what came before."""

import math

from reparam.diagnosis.case import Case, Evidence, Verdict

NAME = "not a number"
GROWTH = 10.0  # a term that grew so much in the steps before it was lost diverged; another broke in one step


def not_a_number(case: Case) -> Verdict | None:
    """From the record that a run leaves when it stops; without one, every logged term was finite."""
    lost = case.failure
    if lost is None:
        if not case.log:
            return None
        rows, steps = len(case.log), case.log[-1]["step"]
        finding = f"every term of every loss was finite over {steps} steps."
        return Verdict(NAME, "well", finding, (Evidence(rows, "rows of the log, all finite"),))
    step, rate = (
        lost["step"],
        "the learning rate" + case.settings("lr", "generator_lr", "decoder_lr", "adversarial_lr"),
    )
    evidence = [Evidence(step, "step at which it was lost")]
    if "weights" in lost:
        what = f"{lost['weights']} became {lost['value']}"
        finding = f"the weights {what} by step {step}, while every term was finite."
        change = (
            f"Lower {rate}.",
            "If that does not help, look in the losses for a gradient that is infinite where the value is "
            "not: a square root or a norm at 0.",
        )
        return Verdict(NAME, "ill", finding, tuple(evidence), change)
    name = f"{lost['turn']}.{lost['term']}"
    before = [terms[name] for terms in (*(row["terms"] for row in case.log), *lost["before"])]
    finding = f"term {lost['term']!r} of turn {lost['turn']!r} became {lost['value']} at step {step}"
    grew = False
    if before:
        first, last = before[0], before[-1]
        grew = abs(last) > GROWTH * max(abs(first), 1e-12)
        evidence += [
            Evidence(first, f"{name} where the log begins"),
            Evidence(last, f"{name} in the last row before"),
        ]
        finding += f", after {last:.4g} just before and {first:.4g} at first"
    if grew or step <= 20 or math.isinf(float(lost["value"])):
        change = (f"It diverged: lower {rate}, ten times to begin with.",)
    else:
        change = (
            f"It broke in one step, without growing before: look at the batch of step {step}, and in the "
            "loss for a logarithm, a square root or a division at 0.",
            f"Or lower {rate}.",
        )
    return Verdict(NAME, "ill", finding + ".", tuple(evidence), change)
