"""Are samples copies of training examples?"""

from torch import Tensor

from reparam.diagnosis.case import MOST, Case, Evidence, State, Verdict
from reparam.evaluate import examples
from reparam.metrics import memorisation as distances
from reparam.metrics.arrays import squared_distances

NAME = "memorisation"
SEARCHED = 20_000  # training examples among which a copy's original is looked for
# A copy is nearer to one training example than to any other. Blur makes a sample nearer to all of them, so
# the ratio of its two smallest distances tells a copy from a blurred sample where one distance does not.
COPY = 0.5
# More copies than this share, beyond those that held-out data hold by chance.
SOME, MANY = 0.03, 0.1
NEAR = 0.3  # median distance to training data, over that of held-out data: copies though data hold doubles


def memorisation(case: Case) -> Verdict | None:
    """Samples against the run's own training data, held-out data being the measure of what is near."""
    if not case.system.can("sample") or case.data.kind == "tokens":  # ids have no distances
        return None
    own = case.trained_on
    train = case.vectors(examples(own, own.train, SEARCHED))
    held_out, samples = case.vectors(examples(own, own.validation, MOST)), case.vectors(case.samples)
    distance = distances.memorisation(samples, held_out, train).value
    copies, chance = _copies(samples, train), _copies(held_out, train)
    evidence = (
        Evidence(copies, f"share of samples less than half as far from one of {len(train)} training examples "
                         "as from the next"),
        Evidence(chance, "the same of held-out data"),
        Evidence(distance, "median distance to training data, samples over held-out data"),
    )  # fmt: skip
    state: State = "well"
    if copies - chance > MANY or distance < NEAR:
        state = "ill"
    elif copies - chance > SOME:
        state = "unclear"
    heads = {
        "ill": "samples are copies of training examples",
        "unclear": "some samples may be copies of training examples",
        "well": "samples are no nearer to one training example than fresh data are",
    }
    finding = (
        f"{heads[state]}: {copies:.0%} are at one (of held-out data {chance:.0%}), and they are "
        f"{distance:.2g} times as far from the training data as fresh data are."
    )
    change = () if state == "well" else (
        f"Give more data than {len(own.train.x)} examples, or --mirror.",
        f"Or train a smaller model, or a shorter time{case.settings('latent', 'width')}.",
    )  # fmt: skip
    return Verdict(NAME, state, finding, evidence, change)


def _copies(x: Tensor, train: Tensor) -> float:
    if len(train) < 2:
        return 0.0
    two = [squared_distances(rows, train).topk(2, largest=False).values for rows in x.split(500)]
    near = sum(int((pair[:, 0] < COPY**2 * pair[:, 1]).sum()) for pair in two)
    return near / len(x)
