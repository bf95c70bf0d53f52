"""What ails a run, in words, with the evidence, and what to change: one verdict a file.

A verdict is a function of a `Case` that returns None where it does not apply. All of them look at abilities,
terms and the log, and at no model's name.
"""

from pathlib import Path
from typing import Any

from reparam import checkpoint
from reparam.data import Data
from reparam.diagnosis.case import Case, Evidence, State, Verdict
from reparam.diagnosis.dead_codebook import dead_codebook
from reparam.diagnosis.discriminator_has_won import discriminator_has_won
from reparam.diagnosis.memorisation import memorisation
from reparam.diagnosis.missing_mode import missing_mode
from reparam.diagnosis.not_a_number import not_a_number
from reparam.diagnosis.posterior_collapse import posterior_collapse
from reparam.errors import ReparamError
from reparam.system import load

__all__ = ["Case", "Evidence", "State", "Verdict", "diagnose"]

STATES: tuple[State, ...] = ("ill", "unclear", "well")


def diagnose(
    run: str | Path, *, data: Data | None = None, device: str = "cpu", **networks: Any
) -> list[Verdict]:
    """Every verdict that applies to a run, the worst first.

    `data` are what it is judged on, its own if not given; networks given to `build` must be given again. A
    run that died before a step of it was saved is asked for the cause of its death alone. A verdict that
    cannot be reached is unclear, and says why. Raises ReparamError if there is no run, if it has neither
    begun nor failed, or if its data cannot be had or do not fit it.
    """
    run = Path(run)
    case = Case(run, load(run, device, **networks), data)
    found = [not_a_number(case)]
    begun = checkpoint.steps(run / "checkpoints")[-1] > 0 or not (run / "run.json").is_file()
    if begun:
        case.data  # noqa: B018  what is wrong with the data is said once, not by every verdict
        asked = (posterior_collapse, dead_codebook, discriminator_has_won, missing_mode, memorisation)
        if case.data.kind != "bag":  # which none of them can compare
            found += [_asked(verdict, case) for verdict in asked]
    elif case.failure is None:
        raise ReparamError(f"{run} has not been trained yet: `reparam resume {run}` begins.")
    return sorted((v for v in found if v), key=lambda verdict: STATES.index(verdict.state))


def _asked(verdict: Any, case: Case) -> Verdict | None:
    try:
        return verdict(case)
    except ReparamError as error:
        return Verdict(verdict.__name__.replace("_", " "), "unclear", str(error))
