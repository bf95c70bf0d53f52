"""Why does one draw of the code a step suffice to train a VAE?"""

import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reparam import checkpoint, evaluate_likelihood
from reparam.data import Data, Split
from reparam.engine import Engine
from reparam.errors import ReparamError
from reparam.metrics.gradient_noise import GradientNoise
from reparam.model import Model, Terms, Turn, asks, player_names
from reparam.noise import Streams, Uniform
from reparam.report.plots import Line, lines
from reparam.run import read_settings, reload_data
from reparam.schedules import at
from reparam.studies.study import Study, play, spaced
from reparam.system import System, described, restore
from reparam.trainer import Trainer

DRAWS = (1, 5, 50)
REPEATS = 4  # gradients of each batch, by other draws
Batch = dict[str, Tensor]


def one_sample(
    run: str | Path,
    *,
    data: Data | None = None,
    steps: int = 1000,
    points: int = 7,
    examples: int = 100,
    batches: int = 12,
    seed: int = 0,
    **networks: nn.Module,
) -> Study:
    """Why does one draw of the code a step suffice to train a VAE?

    Measured while the first part of a run is played again from its seed, and at its last checkpoint: a run is
    a function of its seeds, so that what is played again is what was.

    Args:
        run: the folder of a run whose first loss has a distortion −log p(x|z).
        data: needed only where the run's were given as arrays.
        steps: how many are played again, at most all that the run has.
        points: of the steps at which is measured, besides the first and the run's last.
        examples: of validation data, for what is not a gradient.
        batches: of training data, of the run's size, behind a gradient's variance.
        seed: of what is drawn to measure.
        networks: those that were given to `build`.

    Raises ReparamError if there is no run, if its model has no such loss, or if its data has changed.
    """
    if min(steps, points) < 1 or min(examples, batches) < 2:
        raise ReparamError(
            f"one-sample: steps={steps}, points={points}, examples={examples}, batches={batches}; give at "
            "least 1, 1, 2 and 2."
        )
    run = Path(run)
    system, settings = described(run, **networks), read_settings(run)
    data, end = data or reload_data(system), checkpoint.load(run / "checkpoints")
    if end.step == 0:
        raise ReparamError(f"{run} has not been trained yet: `reparam resume {run}` begins.")
    if data.fingerprint != settings.fingerprint:
        raise ReparamError(f"the data of {run} has changed since the run began; the study needs the same.")
    engine = Engine.start("cpu", settings.precision)
    engine.place(system.model)
    playing = Trainer(
        system.model, data, system.recipe.optimisers, batch_size=settings.batch_size,
        streams=Streams(settings.control), engine=engine,
    )  # fmt: skip
    held_out = _batch(
        data, data.validation, torch.arange(min(examples, data.validation.n)), engine, Streams(seed)
    )
    _check(system, held_out, engine)

    def measured(step: int) -> dict[str, Any]:
        gradients = _gradients(system.model, data, engine, step, settings.batch_size, batches, seed)
        return {"step": step, **_bounds(system, held_out, engine, seed), "gradient": gradients}

    again = min(steps, end.step)
    rows = []
    for step in spaced(again, points):
        play(playing, step)
        rows.append(measured(step))
    if end.step > again:
        restore(system.model, end.files["weights"])
        rows.append(measured(end.step))
    told = {
        "system": str(system),
        "played_again": again,
        "batch_size": settings.batch_size,
        "examples": len(held_out["x"]),
        "batches": batches,
        "seed": seed,
    }
    question = "Why does one draw of the code a step suffice to train a VAE?"
    return Study("one-sample", question, _answer(rows, told), told, {"rows": rows}, _pictures(rows))


def _check(system: System, batch: Batch, engine: Engine) -> None:
    turn = system.model.turns()[0]
    asked = asks(turn.loss).fields
    if not set(asked) <= set(batch) or "distortion" not in _terms(
        system.model, turn, batch, engine, Streams(0), 0
    ):
        raise ReparamError(
            "one-sample asks how −log p(x|z) varies with the draw of z, and the first loss of "
            f"{system.name}, {turn.name}({', '.join(asked)}), has no term `distortion`, or asks for more "
            "than held-out data have; take a VAE of any kind."
        )


def _batch(data: Data, split: Split, rows: Tensor, engine: Engine, streams: Streams, *step: int) -> Batch:
    """Rows of a split, with the randomness that the data declare."""
    drawn = {name: streams.draw(name, law, len(rows), *step) for name, law in data.noise().items()}
    return {name: engine.cast(field) for name, field in data.batch(split, rows, **drawn).items()}


def _terms(model: Model, turn: Turn, batch: Batch, engine: Engine, streams: Streams, *step: int) -> Terms:
    """A turn's terms, without what it proposes for the state; the model's noise is drawn by the step."""
    laws, wants, n = model.noise(), asks(turn.loss), len(batch["x"])
    noise = {name: engine.cast(streams.draw(name, laws[name], n, *step)) for name in wants.noise}
    terms = turn.loss(*(batch[name] for name in wants.fields), **noise)
    return {name: term for name, term in terms.items() if name not in model.state()}


@torch.no_grad()
def _bounds(system: System, batch: Batch, engine: Engine, seed: int) -> dict[str, Any]:
    """How −log p(x|z) varies, and what few draws and many say of the bound, in nats."""
    model, streams = system.model, Streams(seed)
    turn = model.turns()[0]
    each = [_terms(model, turn, batch, engine, streams, i) for i in range(max(DRAWS))]
    distortion = torch.stack([terms["distortion"] for terms in each])
    found: dict[str, Any] = {
        "over_draws": distortion.std(0).mean().item(),
        "over_examples": distortion.mean(0).std().item(),
    }
    if "rate" in each[0]:
        elbo = -distortion - torch.stack([terms["rate"] for terms in each])
        found["elbo"] = {k: elbo[:k].mean().item() for k in DRAWS}
    if evaluate_likelihood.sampled(system):
        found["weighted"] = {
            k: evaluate_likelihood.bounds(system, batch["x"], k, seed).mean().item() for k in DRAWS
        }
    return found


def _gradients(
    model: Model, data: Data, engine: Engine, step: int, size: int, batches: int, seed: int
) -> dict[str, dict[str, Any]]:
    """By player of the first turn: how long its gradient is, and what makes it vary."""
    # Of a copy: batch norm notes what it sees, and what is played on must not be changed.
    model, streams = deepcopy(model).train(), Streams(seed)
    turn = model.turns()[0]
    move = turn.moves[0]
    names = {id(player): name for name, player in player_names(model).items()}
    players = {
        names[id(player)]: [p for p in player.parameters() if p.requires_grad] for player in move.players
    }
    noise = {name: GradientNoise() for name in players}
    for b in range(batches):
        u = streams.draw("rows", Uniform(), size, b)
        rows = (u * data.train.n).long().clamp_max(data.train.n - 1)
        batch = _batch(data, data.train, rows, engine, streams, b)
        found: dict[str, list[Tensor]] = {name: [] for name in players}
        for r in range(REPEATS):
            terms = _terms(model, turn, batch, engine, streams, b, r)
            means = {name: term.mean() for name, term in terms.items()}
            weights = move.weights or dict.fromkeys(means, 1.0)
            objective = torch.stack(
                [at(weight, step) * means[name] for name, weight in weights.items()]
            ).sum()
            for name, parameters in players.items():
                gradients = torch.autograd.grad(
                    objective, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
                )
                found[name].append(torch.cat([g.flatten() for g in gradients]))
        for name, gradients in found.items():
            noise[name].add(torch.stack(gradients))
    parts = {name: each.parts() for name, each in noise.items()}
    return {
        name: {
            **part._asdict(),
            "share_of_draws": part.share_of_draws,
            "signal_to_noise": {k: part.ratio(k) for k in DRAWS},
        }
        for name, part in parts.items()
    }


def _answer(rows: list[dict[str, Any]], told: dict[str, Any]) -> tuple[str, ...]:
    first, last, most = rows[0], rows[-1], max(DRAWS)

    def listed(values: dict[int, float]) -> str:
        return ", ".join(f"{values[k]:.2f}" for k in DRAWS)

    sentences = [
        f"log p(x|z) varies by {first['over_draws']:.1f} nats over the draws of an example at the start, and "
        f"by {last['over_draws']:.1f} at step {last['step']:,}; over examples by {last['over_examples']:.1f}."
    ]
    if "elbo" in last:
        sentences.append(
            f"The mean ELBO of {told['examples']} examples by 1, 5 and 50 draws is {listed(last['elbo'])} "
            "nats: more draws estimate the same number."
        )
    if "weighted" in last:
        sentences.append(
            f"Weighted by importance, as many draws give another bound: {listed(last['weighted'])}."
        )
    for name, parts in last["gradient"].items():
        ratio = parts["signal_to_noise"]
        sentences.append(
            f"Of the variance of the {name}'s gradient in a batch of {told['batch_size']}, the draws make "
            f"{parts['share_of_draws']:.0%}, and the choice of examples the rest: signal to noise is "
            f"{ratio[1]:.2f} by one draw and {ratio[most]:.2f} by {most}, at {most} times the decoder's "
            f"cost; as many times the batch makes it {ratio[1] * math.sqrt(most):.2f}."
        )
    return tuple(sentences)


def _pictures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    steps, most = [row["step"] for row in rows], max(DRAWS)

    def over(of: Any) -> Line:
        return Line(steps, [of(row) for row in rows])

    drawn = {
        "spread": lines(
            {
                "over draws": over(lambda row: row["over_draws"]),
                "over examples": over(lambda row: row["over_examples"]),
            },
            across="step", up="deviation of log p(x|z), nats", log=True, floor=0,
        ),
        "gradients": lines(
            {
                f"{player}, {k} draws": over(
                    lambda row, player=player, k=k: row["gradient"][player]["signal_to_noise"][k]
                )
                for player in rows[0]["gradient"]
                for k in (1, most)
            },
            across="step", up="signal to noise of a step's gradient", log=True, floor=0,
        ),
    }  # fmt: skip
    if "elbo" in rows[0]:
        bounds = {
            f"{words} {k}": over(lambda row, key=key, k=k: row[key][k] - row["elbo"][most])
            for key, words in (("elbo", "ELBO by"), ("weighted", "weighted by"))
            if key in rows[0]
            for k in DRAWS
            if (key, k) not in (("elbo", most), ("weighted", 1))
        }
        drawn["bounds"] = lines(bounds, across="step", up=f"nats above the ELBO by {most} draws", log=True)
    return drawn
