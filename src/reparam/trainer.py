"""Plays the turns of a game: terms, gradients of the players alone, one message, step. Knows no model."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from reparam.coupling import gather
from reparam.data import Data
from reparam.engine import Engine
from reparam.errors import ReparamError
from reparam.model import Average, Model, Move, Replace, Terms, Turn, asks, move_name
from reparam.nets.batch_norm import BatchNorm
from reparam.noise import Dirac, Permutation, Source, Streams
from reparam.optimisers import Optimiser
from reparam.samplers import Chain, Mover
from reparam.schedules import at


class NotFinite(ReparamError):
    """A term or a weight became infinite or no number at a step; `found` names it: turn, term and value, or
    weights and value."""

    def __init__(self, message: str, step: int, **found: str) -> None:
        super().__init__(message)
        self.step, self.found = step, found


class Order:
    """Which rows of the training data each batch holds: a pure function of (data size, seed, batch number).

    Epochs are independent permutations laid end to end, so every example is seen once an epoch and
    every batch is full.
    """

    def __init__(self, examples: int, batch_size: int, streams: Streams) -> None:
        self.source = Permutation(size=examples)
        self.batch_size, self.streams = batch_size, streams
        self._epochs: dict[int, Tensor] = {}

    def rows(self, batch: int) -> Tensor:
        """The rows of a batch, counted from 0: (batch size,) int64."""
        n, start = self.source.size, batch * self.batch_size
        parts, stop = [], start + self.batch_size
        while start < stop:
            epoch, offset = divmod(start, n)
            parts.append(self._epoch(epoch)[offset : offset + stop - start])
            start += len(parts[-1])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _epoch(self, epoch: int) -> Tensor:
        if epoch not in self._epochs:
            self._epochs = {e: order for e, order in self._epochs.items() if e == epoch - 1}
            self._epochs[epoch] = self.streams.draw("order", self.source, 1, epoch)
        return self._epochs[epoch]


@dataclass
class _Play:
    """A turn made ready: its loss, what it asks for, its moves, and those of them that sample."""

    number: int
    turn: Turn
    loss: Any
    fields: tuple[str, ...]
    noise: tuple[str, ...]
    moves: list[tuple[Move, str, list[nn.Parameter], torch.optim.Optimizer, Optimiser]]
    chains: list[Chain]
    stateful: set[BatchNorm]


class Trainer:
    """Takes steps. Everything that a step depends on is the weights, the optimisers, the state and `step`."""

    def __init__(
        self,
        model: Model,
        data: Data,
        optimisers: Mapping[str, Mover],
        *,
        batch_size: int,
        streams: Streams,
        engine: Engine,
        average: float | None = None,
    ) -> None:
        self.model, self.data, self.streams, self.engine = model, data, streams, engine
        self.batch_size, self.local = batch_size, engine.rows(batch_size)
        self.step = 0
        self.sources: dict[str, Source] = {**data.noise(), **model.noise()}
        self.plays = [self._prepare(k, turn, optimisers) for k, turn in enumerate(model.turns())]
        names = [play.turn.name for play in self.plays]
        if len(set(names)) < len(names):
            raise TypeError(
                f"two turns lower the same loss ({', '.join(names)}): give each a name of its own"
            )
        self.normalising = [m for m in model.modules() if isinstance(m, BatchNorm)]
        self.repeats = max(play.turn.repeat for play in self.plays)
        self.order = Order(len(data.train.x), batch_size, streams)
        self.buffers = {name: (model.get_buffer(name), rule) for name, rule in model.state().items()}
        # Weights averaged over the steps (Polyak): what is sampled from, where it is asked for.
        self.average_decay = average
        self.averaged = (
            {name: p.detach().clone() for name, p in model.named_parameters()} if average else None
        )
        self.parameters = list(model.parameters())  # finding them anew costs more than averaging them
        # Whether a network draws by itself (dropout in one of a user's): found out at the first step.
        self.draws_itself: bool | None = None

    def _prepare(self, number: int, turn: Turn, optimisers: Mapping[str, Mover]) -> _Play:
        wants = asks(turn.loss)
        moves, chains = [], []
        for move in turn.moves:
            parameters = [p for player in move.players for p in player.parameters() if p.requires_grad]
            name = move_name(self.model, turn, move)
            rule = optimisers.get(name) or optimisers["default"]
            if isinstance(rule, Optimiser):
                moves.append((move, name, parameters, rule.make(parameters), rule))
            else:
                drawn = [self.sources[asked] for asked in (*wants.noise, *self.data.noise())]
                self._check_sampled(turn, name, drawn)
                exact = all(isinstance(source, Dirac) for source in drawn)
                chains.append(Chain(move, name, parameters, rule, len(self.data.train.x), exact))
        inside = (m for move in turn.moves for player in move.players for m in player.modules())
        stateful = {m for m in inside if isinstance(m, BatchNorm)}
        loss = self.engine.loss(turn)
        return _Play(number, turn, loss, wants.fields, wants.noise, moves, chains, stateful)

    def _check_sampled(self, turn: Turn, name: str, drawn: Sequence[Source]) -> None:
        """Raises ReparamError where the terms of one batch do not say what those of all examples are."""
        if any(getattr(module, "couples_batch", False) for module in self.model.modules()):
            why = "its terms are of the whole batch, and a test needs those of single examples"
        elif any(source.shared for source in drawn):
            why = "it draws noise that a whole batch shares, and a test needs examples that are independent"
        elif turn.second_order:
            why = "a loss that holds a gradient is no likelihood"
        else:
            return
        raise ReparamError(f"the move {name} cannot be sampled: {why}.")

    @property
    def batches_seen(self) -> int:
        """Batches consumed so far, counting the fresh ones of repeated turns."""
        return self.step * self.repeats

    def take_step(self) -> dict[str, Tensor]:
        """Plays every turn once (a repeated one several times); returns the batch means of all terms.

        They are this process's means, as tensors, so that nothing waits for a device.
        """
        if self.draws_itself is False:
            return self._play()
        # Seeded by the step, a network's own draws are as repeatable as ours; seeding costs time.
        with self.streams.ambient("foreign", self.step, self.engine.rank):
            before = self._generators()
            means = self._play()
            if self.draws_itself is None:
                after = self._generators()
                self.draws_itself = not all(map(torch.equal, before, after))
                if self.draws_itself and any(play.chains for play in self.plays):
                    raise ReparamError(
                        "a network that draws by itself, as dropout does, cannot be sampled: two of its "
                        "values differ by more than its weights. Leave that layer out."
                    )
        return means

    def _generators(self) -> list[Tensor]:
        on_device = self.engine.device.type == "cuda"
        return [torch.get_rng_state(), *([torch.cuda.get_rng_state(self.engine.device)] if on_device else [])]

    def _play(self) -> dict[str, Tensor]:
        means: dict[str, Tensor] = {}
        fields: dict[int, dict[str, Tensor]] = {}
        noise: dict[tuple[str, int], Tensor] = {}
        for play in self.plays:
            for i in range(play.turn.repeat):
                given = [self._batch(i, fields)[name] for name in play.fields]
                drawn = {name: self._noise(name, i, noise) for name in play.noise}
                means |= self._move(play, i, given, drawn)
        if self.averaged is not None and self.average_decay is not None:
            for mean, p in zip(self.averaged.values(), self.parameters, strict=True):
                mean.lerp_(p.detach(), 1 - self.average_decay)
        self.step += 1
        return means

    def _batch(self, i: int, made: dict[int, dict[str, Tensor]]) -> dict[str, Tensor]:
        """The step's i-th batch: every turn of a step that asks for it sees the same."""
        if i not in made:
            rows = self.order.rows(self.step * self.repeats + i)[self.local]
            noise = {name: self._draw(name, source, i) for name, source in self.data.noise().items()}
            batch = self.data.batch(self.data.train, rows, **noise)
            made[i] = {name: self.engine.cast(field) for name, field in batch.items()}
        return made[i]

    def _noise(self, name: str, i: int, drawn: dict[tuple[str, int], Tensor]) -> Tensor:
        """The step's i-th draw of a source: every turn of a step that asks for it sees the same."""
        if (name, i) not in drawn:
            drawn[name, i] = self.engine.cast(self._draw(name, self.sources[name], i))
        return drawn[name, i]

    def _draw(self, name: str, source: Source, i: int) -> Tensor:
        # Every process draws the whole batch's noise and takes its own rows: the number of processes
        # changes nothing.
        draw = self.streams.draw(name, source, self.batch_size, self.step, i)
        return draw if source.shared or self.engine.world == 1 else draw[self.local]

    def _move(self, play: _Play, i: int, given: list[Tensor], drawn: dict[str, Tensor]) -> dict[str, Tensor]:
        """Makes the moves of a turn: all gradients at one point, then all steps, then the state.

        Chains go on before the others step, so that these are the same to all that is tried.
        """
        terms: Terms = play.loss(*given, **drawn)
        proposals = {name: terms.pop(name) for name in self.buffers if name in terms}
        means = {name: term.mean() for name, term in terms.items()}
        admitted = self._admitted(play, means)
        moves = [each for each in play.moves if admitted(each[0])]
        gradients: list[list[Tensor | None]] = []
        for k, (move, _, parameters, _, _) in enumerate(moves):
            # No player's gradient reaches another: only these parameters are differentiated for.
            each = torch.autograd.grad(
                self._objective(move, means), parameters, retain_graph=k < len(moves) - 1, allow_unused=True
            )
            gradients.append([_laid_out(g, p) for g, p in zip(each, parameters, strict=True)])
        self.engine.average(g for each in gradients for g in each)
        logged = {f"{play.turn.name}.{name}": mean.detach() for name, mean in means.items()}
        for k, chain in enumerate(play.chains):
            accepted, used = False, 0
            if admitted(chain.move):
                accepted, used = chain.advance(self.step, _Sampling(self, play, k, i, given, drawn))
            like = next(iter(logged.values()))
            logged |= {
                f"{chain.name}.accepted": like.new_tensor(accepted),
                f"{chain.name}.examples": like.new_tensor(used),
            }
        for (_, _, parameters, optimiser, rule), each in zip(moves, gradients, strict=True):
            for parameter, gradient in zip(parameters, each, strict=True):
                parameter.grad = gradient
            if callable(rule.lr):
                for group in optimiser.param_groups:
                    group["lr"] = rule.lr(self.step)
            optimiser.step()
            for parameter in parameters:
                parameter.grad = None
        self._propose(proposals)
        for network in self.normalising:
            network.settle(network in play.stateful)
        return logged

    def _admitted(self, play: _Play, means: Mapping[str, Tensor]) -> Callable[[Move], bool]:
        if all(move.when is None for move in play.turn.moves):
            return lambda move: True
        joint = torch.stack([mean.detach() for mean in means.values()])
        self.engine.average([joint])
        values = dict(zip(means, joint.tolist(), strict=True))
        return lambda move: move.when is None or move.when(values)

    def _objective(self, move: Move, terms: Mapping[str, Tensor]) -> Tensor:
        """What a move lowers, of terms of any shape."""
        weights = move.weights or dict.fromkeys(terms, 1.0)
        return _weighted(terms, {name: at(weight, self.step) for name, weight in weights.items()})

    def _propose(self, proposals: Terms) -> None:
        for name, proposal in proposals.items():
            buffer, rule = self.buffers[name]
            match rule:
                case Average(decay):
                    mean = proposal.detach().mean(0)
                    self.engine.average([mean])
                    buffer.lerp_(mean, 1 - decay)
                case Replace():
                    buffer.copy_(proposal.detach())
                    self.engine.share(buffer)

    def check_finite(self, rows: list[dict[str, float]], first: int) -> None:
        """Raises NotFinite naming the step, turn and term of the first value that is not a number.

        rows are the terms of consecutive steps, from step `first` on.
        """
        for offset, row in enumerate(rows):
            for name, value in row.items():
                if not math.isfinite(value):
                    turn, term = name.split(".", 1)
                    raise NotFinite(
                        f"the loss became {value} at step {first + offset}: turn {turn!r}, term {term!r}. "
                        "Lower the learning rate, or look at that batch; the last good checkpoint is kept.",
                        first + offset,
                        turn=turn,
                        term=term,
                        value=str(value),
                    )

    def check_weights(self) -> None:
        """Raises NotFinite naming the first weight or state that is not finite."""
        for name, p in self.model.state_dict().items():
            if not torch.isfinite(p).all():
                raise NotFinite(
                    f"the weights {name} became infinite or no number by step {self.step}. "
                    "Lower the learning rate; the last good checkpoint is kept.",
                    self.step,
                    weights=name,
                    value="nan" if torch.isnan(p).any() else "inf",
                )

    def use_averaged(self) -> None:
        """Ends the training: the model takes the averaged weights, if they were kept."""
        for name, average in (self.averaged or {}).items():
            self.model.get_parameter(name).data.copy_(average)

    def tensors(self) -> dict[str, Tensor]:
        """What training holds besides the weights, by name: optimisers' memories, averaged weights."""
        found = {
            f"optimiser/{name}/{index}/{key}": value
            for play in self.plays
            for _, name, _, optimiser, _ in play.moves
            for index, memory in optimiser.state_dict()["state"].items()
            for key, value in memory.items()
            if isinstance(value, Tensor)
        }
        return found | {f"average/{name}": t for name, t in (self.averaged or {}).items()}

    def restore(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Takes up what `tensors` gave at a step."""
        self.step = step
        for name, average in (self.averaged or {}).items():
            average.copy_(tensors[f"average/{name}"])
        for play in self.plays:
            for _, name, _, optimiser, _ in play.moves:
                memories: dict[int, dict[str, Tensor]] = {}
                for key, value in tensors.items():
                    if key.startswith(f"optimiser/{name}/"):
                        index, field = key.removeprefix(f"optimiser/{name}/").split("/")
                        memories.setdefault(int(index), {})[field] = value.clone()  # of the file's map
                groups = optimiser.state_dict()["param_groups"]
                optimiser.load_state_dict({"state": memories, "param_groups": groups})


@dataclass(frozen=True)
class _Sampling:
    """A turn's loss as one of its chains asks for it."""

    trainer: Trainer
    play: _Play
    number: int
    repetition: int
    given: list[Tensor]
    drawn: dict[str, Tensor]

    @property
    def chain(self) -> Chain:
        return self.play.chains[self.number]

    def draw(self, name: str, n: int, *key: int) -> Tensor:
        return self._draw(name, self.chain.sources[name], n, *key)

    def gradient(self) -> Sequence[Tensor | None]:
        means = {name: term.mean() for name, term in self._terms(self.given, self.drawn).items()}
        objective = self.trainer._objective(self.chain.move, means)
        gradients = torch.autograd.grad(objective, self.chain.parameters, allow_unused=True)
        self.trainer.engine.average(gradients)
        return gradients

    def objective(self, rows: Tensor, key: int) -> Callable[[], Tensor]:
        trainer, play, n = self.trainer, self.play, len(rows)
        # Each process takes its part, and the last parts are filled up.
        whole = n + -n % trainer.engine.world
        mine = trainer.engine.rows(whole)

        def drawn(sources: Mapping[str, Source]) -> dict[str, Tensor]:
            return {name: self._draw(name, law, whole, key)[mine] for name, law in sources.items()}

        of_data, of_model = drawn(trainer.data.noise()), {name: trainer.sources[name] for name in play.noise}
        rows = rows[torch.arange(whole) % n][mine]
        batch = trainer.data.batch(trainer.data.train, rows, **of_data)
        given = [trainer.engine.cast(batch[name]) for name in play.fields]
        noise = {name: trainer.engine.cast(draw) for name, draw in drawn(of_model).items()}

        return lambda: gather(trainer._objective(self.chain.move, self._terms(given, noise)))[:n]

    def _draw(self, name: str, source: Source, n: int, *key: int) -> Tensor:
        step, streams = self.trainer.step, self.trainer.streams
        return streams.draw(name, source, n, step, self.play.number, self.number, self.repetition, *key)

    def _terms(self, given: Sequence[Tensor], drawn: Mapping[str, Tensor]) -> Terms:
        # In the weights' own precision whatever else is computed in less: small differences are summed up.
        terms = self.play.turn.loss(*given, **drawn)
        return {name: term for name, term in terms.items() if name not in self.trainer.buffers}


def _laid_out(gradient: Tensor | None, parameter: Tensor) -> Tensor | None:
    """The gradient in the parameter's layout: fused optimisers read past an expanded one without a word."""
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def _weighted(means: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    parts = [means[name] if weight == 1 else weight * means[name] for name, weight in weights.items()]
    return reduce(torch.add, parts)
