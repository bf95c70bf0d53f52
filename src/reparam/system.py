"""A model in a user's hands: sampled, asked for codes, saved and loaded."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reparam import checkpoint, registry
from reparam.data import Data
from reparam.data import load as load_data
from reparam.data.bags import Bags
from reparam.data.text import SPECIALS, Writing, side
from reparam.distributions import AT_ONCE, Prior, StandardNormal
from reparam.engine import versions
from reparam.errors import ReparamError, unknown
from reparam.model import Model, asks
from reparam.noise import Control, Normal, Streams, Uniform
from reparam.registry import DataFacts, Recipe

LISTS = (
    "classes",
    "domains",
    "vocabulary",
    "other_vocabulary",
    "counts",
    "other_counts",
)  # facts that JSON keeps as lists
WRITINGS = ("writing", "other_writing")
CHUNK = 500  # examples at once, where nothing else says how many


def facts(data: Data) -> DataFacts:
    """What a recipe may know of the data."""
    return DataFacts(
        name=data.name,
        kind=data.kind,
        shape=data.shape,
        levels=data.levels,
        classes=data.classes,
        examples=len(data.train.x),
        domains=data.domains,
        labelled=None if data.train.known is None else len(data.train.known),
        vocabulary=data.vocabulary,
        writing=data.writing,
        aligned=data.aligned,
        other_vocabulary=data.other_vocabulary,
        other_writing=data.other_writing,
        counts=_counts(data.train.x, data.vocabulary),
        other_counts=_counts(data.train.other, data.other_vocabulary),
        missing=data.missing,
    )


def _counts(x: Tensor | Bags | None, vocabulary: tuple[str, ...] | None) -> tuple[int, ...] | None:
    if x is None or vocabulary is None:
        return None
    ids = x.items if isinstance(x, Bags) else x.flatten()
    return tuple(ids.bincount(minlength=len(vocabulary)).tolist())


@dataclass
class System:
    """A model with the recipe and the settings that made it, and what is known of its data.

    Abilities that a model lacks raise ReparamError: a GAN has no encoder.
    """

    name: str
    recipe: Recipe
    settings: dict[str, Any]
    data: DataFacts
    data_spec: dict[str, Any] | None
    seed: int = 0
    training_data: Data | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.name} on {self.data.name}"

    @property
    def model(self) -> Model:
        """The network module itself."""
        return self.recipe.model

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def can(self, ability: str) -> bool:
        """Whether the model has `sample`, `encode`, `decode`, `translate`, `rank`, `score` or another."""
        return hasattr(self.model, ability)

    @property
    def conditional(self) -> bool:
        """Whether its encoder must be told the class."""
        return self.can("encode") and "y" in asks(self._ability("encode", "encoder")).fields

    def prior_law(self) -> Prior:
        """The law that makes codes of the noise of samples: N(0, I), which leaves it, or the model's own."""
        law = getattr(self.model, "prior_law", None)
        return StandardNormal() if law is None else law()

    @torch.inference_mode()
    def sample(
        self,
        n: int = 64,
        seed: int | Control = 0,
        *,
        freeze: tuple[str, ...] = (),
        pin: Mapping[str, float | list[float]] | None = None,
        label: str | int | None = None,
    ) -> Tensor:
        """n samples: (n, *shape). A frozen source has one draw for all, a pinned one is a constant.

        label is the class of all, by its name or number, in a model that samples by class.
        """
        sample = self._ability("sample", "sampler")
        control = _control(seed, freeze, pin or {})
        if label is not None:
            if "y" in (*control.pin, *control.freeze, *control.seeds):
                raise ReparamError("a label pins y: say no more of that source, or leave the label out.")
            control = replace(control, pin={**control.pin, "y": self.label(label)})
        noise = self.draw(asks(sample).noise, n, control)
        return self._chunked(sample, n, **noise)

    def label(self, name: str | int) -> int:
        """The class of that name, or number counted from 0.

        Raises ReparamError for an unknown one, and where the model does not sample by class.
        """
        sample, classes = self._ability("sample", "sampler"), self.data.classes
        if "y" not in asks(sample).noise or classes is None:
            having = ", ".join(n for n, cls in registry.models().items() if _by_class(cls))
            raise ReparamError(f"{self.name} does not sample by class; systems that do: {having}.")
        if str(name) in classes:
            return classes.index(str(name))
        if str(name).isdecimal() and int(name) < len(classes):
            return int(name)
        raise unknown(f"label of {self.data.name}", str(name), classes)

    @torch.inference_mode()
    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes of data (n, *shape), the means where the encoder is stochastic: (n, latent).

        y (n,) are the classes, which a conditional model must be told.
        """
        encode = self._ability("encode", "encoder")
        return self._chunked(encode, len(x), **self._fields(encode, x, y))

    @torch.inference_mode()
    def decode(self, z: Tensor) -> Tensor:
        """The data that codes (n, latent) stand for, without the noise of p(x|z): (n, *shape)."""
        decode = self._ability("decode", "decoder")
        return self._chunked(decode, len(z), z=z.to(self.device))

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Decoded codes: (n, *shape) → (n, *shape)."""
        return self.decode(self.encode(x, y))

    def interpolate(
        self,
        start: Tensor,
        end: Tensor,
        steps: int = 8,
        *,
        labels: tuple[Tensor | None, Tensor | None] = (None, None),
    ) -> Tensor:
        """Straight lines between the codes of two sets of examples: (n, steps, *shape).

        labels are the classes of both, for a conditional model: between two classes it morphs.
        """
        a, b = self.encode(start, labels[0]), self.encode(end, labels[1])
        t = torch.linspace(0, 1, steps, device=a.device).view(1, -1, *[1] * (a.dim() - 1))
        codes = a[:, None] + t * (b - a)[:, None]
        return self.decode(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])

    def interpolate_noise(self, n: int = 8, steps: int = 8, seed: int = 0) -> Tensor:
        """Ways between two draws of the sampler's noise: (n, steps, *shape).

        What a model without an encoder can show. Normal draws go on a great circle, on which they keep
        their length: a straight line would pass through points that are never drawn. Other laws go
        straight, and choices stay what they were.
        """
        sample = self._ability("sample", "sampler")
        names, sources = asks(sample).noise, self.model.noise()
        ends = [self.draw(names, n, Control(seed + i)) for i in (0, 1)]
        t = torch.linspace(0, 1, steps, device=self.device).view(1, -1, 1)
        circle = ((t * torch.pi / 2).cos(), (t * torch.pi / 2).sin())
        noise = {}
        for name in names:
            a, b = (end[name].reshape(n, 1, -1) for end in ends)
            if not a.is_floating_point():
                line = a.expand(-1, steps, -1)
            else:
                start, end = circle if isinstance(sources[name], Normal) else (1 - t, t)
                line = start * a + end * b
            noise[name] = line.flatten(0, 1).view(n * steps, *ends[0][name].shape[1:])
        with torch.inference_mode():
            x = self._chunked(sample, n * steps, **noise)
        return x.unflatten(0, (n, steps))

    @torch.inference_mode()
    def translate(
        self,
        x: Tensor,
        *,
        back: bool = False,
        seed: int | Control = 0,
        freeze: tuple[str, ...] = (),
        pin: Mapping[str, float | list[float]] | None = None,
        like: Tensor | None = None,
    ) -> Tensor:
        """Examples of one domain as examples of the other, (n, *shape); back: of the second as the first.

        Where the translation's look is drawn, seed, freeze and pin act on that source, and `like`, as many
        examples of the domain that is translated to, takes its place: each lends its look to one of x.
        """
        translate = self._ability("translate_back" if back else "translate", "translator")
        named = asks(translate)
        if like is None:
            noise = self.draw(named.noise, len(x), _control(seed, freeze, pin or {}))
        else:
            if len(like) != len(x):
                raise ReparamError(
                    f"{len(x)} examples to translate and {len(like)} to be like: give as many."
                )
            style_of = self._ability("style_of_back" if back else "style_of", "style")
            noise = {
                named.noise[0]: self._chunked(
                    style_of, len(x), **{asks(style_of).fields[0]: self._checked(like)}
                )
            }
        return self._chunked(translate, len(x), **{named.fields[0]: self._checked(x)}, **noise)

    @torch.inference_mode()
    def complete(
        self,
        x: Tensor,
        missing: Tensor,
        y: Tensor | None = None,
        *,
        rounds: int = 30,
        seed: int | Control = 0,
        freeze: tuple[str, ...] = (),
        pin: Mapping[str, float | list[float]] | None = None,
    ) -> Tensor:
        """x (n, *shape) with its missing part filled in from the code; the rest stays as it is.

        After Rezende et al. 2014 (arXiv:1401.4082), appendix F: what is missing is drawn at first (the source
        `fill`), then encoded and decoded with all that is known, over and over. Theirs draws the code and
        the data each time; here both are the means, so that another seed is another start, and a chain ends.

        Args:
            missing: 1 or True where x is not known; it broadcasts to x's shape.
            y: (n,) the classes, which a conditional model must be told.
            rounds: how often it is encoded and decoded.

        Raises ReparamError if nothing or all is missing, or the model cannot encode and decode.
        """
        for ability, part in (("encode", "encoder"), ("decode", "decoder")):
            self._ability(ability, part)
        x, missing = self._checked(x), missing.to(self.device) > 0.5
        try:
            missing = missing.expand_as(x)
        except RuntimeError:
            raise ReparamError(
                f"what is missing has shape {tuple(missing.shape)}, and the data {tuple(x.shape)}."
            ) from None
        if not missing.any() or missing.flatten(1).all(1).any():
            raise ReparamError("something of every example must be missing, and something must be known.")
        streams = Streams(control := _control(seed, freeze, pin or {}), self.device)
        control.check(("fill",))
        made = torch.where(missing, streams.draw("fill", Uniform(self.data.shape), len(x), -1), x)
        for _ in range(rounds):
            made = torch.where(missing, self.reconstruct(made, y), x)
        return made

    @torch.inference_mode()
    def impute(
        self,
        x: Tensor,
        *,
        draws: int = 1000,
        once: bool = False,
        seed: int | Control = 0,
        freeze: tuple[str, ...] = (),
        pin: Mapping[str, float | list[float]] | None = None,
    ) -> Tensor:
        """x (n, *shape), NaN where missing, with that filled in given the rest; the rest stays as it is.

        Args:
            draws: of each example's code, which are weighed by how well they explain what is known.
            once: take a draw of what is missing, in the place of its expectation; another seed gives another.

        Raises ReparamError for draws below 1, and where the model cannot impute.
        """
        impute = self._ability("impute_once" if once else "impute", "imputation")
        if draws < 1:
            raise ReparamError(f"draws={draws}: an imputation weighs at least one draw of the code.")
        x, control = self._checked(x), _control(seed, freeze, pin or {})
        sources = {name: self.model.noise()[name] for name in asks(impute).noise}
        control.check(sources)
        sources["eps"] = replace(sources["eps"], shape=(draws, *sources["eps"].shape[1:]))
        streams, made = Streams(control, self.device), []
        for i, part in enumerate(x.split(max(AT_ONCE // (draws * x[0].numel()), 1))):
            noise = {name: streams.draw(name, law, len(part), -1, i) for name, law in sources.items()}
            made.append(impute(part, **noise))
        return torch.cat(made)

    @torch.inference_mode()
    def rank(self, x: Bags) -> Tensor:
        """For each bag, of every item, larger for those that are rather chosen next: (n, items)."""
        return self._chunked(self._ability("rank", "ranking of items"), len(x), x=self._checked(x))

    @torch.inference_mode()
    def recommend(self, x: Bags, n: int = 10) -> Tensor:
        """The n best items for each bag, (n bags, n), best first; what it holds already is left out.

        Raises ReparamError where so many are not left.
        """
        left = x.catalogue - int(x.lengths.max())
        if not 1 <= n <= left:
            raise ReparamError(f"{n} items cannot be recommended: of {x.catalogue}, {left} are not held yet.")
        scores = self.rank(x)
        x = x.to(scores.device)
        scores[x.rows, x.items.long()] = -torch.inf
        return scores.topk(n, 1).indices

    @torch.inference_mode()
    def score(self, x: Tensor, seed: int = 0, *, y: Tensor | None = None) -> Tensor:
        """The model's own score of each example, larger for more typical ones: (n,)."""
        score = self._ability("score", "score")
        noise = self.draw(asks(score).noise, len(x), Control(seed))
        return self._chunked(score, len(x), **self._fields(score, x, y), **noise)

    @torch.inference_mode()
    def word_vectors(self, language: str) -> tuple[tuple[str, ...], Tensor]:
        """The words of a language, named as in the data, without specials, and their vectors (words, d)."""
        vectors = self._ability("word_vectors", "word vectors")()
        other = self._language(language)
        vocabulary, _ = side(self.data, other)
        return vocabulary[len(SPECIALS) :], vectors[other][len(SPECIALS) :].detach().cpu()

    def nearest(
        self, word: str, n: int = 10, *, to: str | None = None, of: str | None = None
    ) -> list[tuple[str, float]]:
        """The n words of the language `to` (the second, if not given) nearest to a word, with their cosines.

        of is the word's own language; without it, the other one, or `to` if the word stands there alone.
        Raises ReparamError for a word that the vocabulary does not hold.
        """
        names = self.data.domains or ("", "")
        to = to or names[1]
        candidates, others = self.word_vectors(to)
        if self.data.writing is not None and self.data.writing.lower:
            word = word.lower()
        if of is None:
            of = names[1] if to == names[0] else names[0]
            of = of if word in self.word_vectors(of)[0] or word not in candidates else to
        words, vectors = self.word_vectors(of)
        if word not in words:
            raise unknown(f"word of {of}", word, words)
        cosine = nn.functional.cosine_similarity(vectors[words.index(word)], others, dim=1)
        places = (i for i in cosine.argsort(descending=True).tolist() if (to, candidates[i]) != (of, word))
        return [(candidates[i], cosine[i].item()) for i, _ in zip(places, range(n), strict=False)]

    def _language(self, name: str) -> bool:
        """Whether a language is the second one. Raises ReparamError for one that the data do not have."""
        names = self.data.domains or ()
        if name not in names:
            raise unknown("language", name, names)
        return names.index(name) == 1

    def draw(self, names: tuple[str, ...], n: int, control: Control) -> dict[str, Tensor]:
        """Draws of the model's sources outside training; its keys meet those of no training step."""
        sources = self.model.noise()
        control.check(names)
        streams = Streams(control, self.device)
        return {name: streams.draw(name, sources[name], n, -1) for name in names}

    def save(self, folder: str | Path) -> Path:
        """Writes the system (not its training) to a folder that `reparam.load` reads."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "system.json", self.description())
        checkpoint.save(folder / "checkpoints", 0, {"weights": self.model.state_dict()}, {"trained": False})
        return folder

    def description(self) -> dict[str, Any]:
        """What rebuilds the system, as JSON."""
        own = sorted(key for key, value in self.settings.items() if isinstance(value, nn.Module))
        plain = {key: _plain(value) for key, value in self.settings.items() if key not in own}
        return {
            "version": 1,
            "name": self.name,
            "settings": plain,
            "networks_given": own,
            "seed": self.seed,
            "data": asdict(self.data),
            "data_spec": self.data_spec,
            "versions": versions(),
        }

    def _ability(self, name: str, part: str) -> Any:
        if not self.can(name):
            having = ", ".join(n for n, cls in registry.models().items() if hasattr(cls, name))
            raise ReparamError(f"{self.name} has no {part}; systems that have one: {having}.")
        return getattr(self.model, name)

    def _fields(self, function: Any, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """x, and y where the function asks for it. Raises ReparamError where it is missing."""
        if "y" not in asks(function).fields:
            return {"x": self._checked(x)}
        if y is None:
            raise ReparamError(f"{self.name} is of data given their class: give the labels y of these too.")
        return {"x": self._checked(x), "y": y.to(self.device)}

    def _checked(self, x: Any) -> Any:
        if tuple(x.shape[1:]) != self.data.shape:
            raise ReparamError(
                f"{self.name} was built for data of shape {self.data.shape}; this is {tuple(x.shape[1:])}."
            )
        return x.to(self.device)

    def _chunked(self, function: Any, n: int, **tensors: Any) -> Tensor:
        parts = []
        for start in range(0, n, CHUNK):
            part = {name: t[start : start + CHUNK] for name, t in tensors.items()}
            fields = [part.pop(name) for name in asks(function).fields if name in part]
            parts.append(function(*fields, **part))
        return torch.cat(parts)


def _control(seed: int | Control, freeze: tuple[str, ...], pin: Mapping[str, float | list[float]]) -> Control:
    """What was asked of the randomness, whichever way it was said."""
    if isinstance(seed, int):
        return Control(seed, {}, freeze, pin)
    return replace(seed, freeze=(*seed.freeze, *freeze), pin={**seed.pin, **pin})


def _by_class(cls: type[Model]) -> bool:
    return hasattr(cls, "sample") and "y" in asks(cls.sample).noise  # pyright: ignore[reportAttributeAccessIssue]


def build(name: str, data: Data | str | Any, *, seed: int | Control = 0, **settings: Any) -> System:
    """A system ready to be trained on data; settings are the recipe's, networks in place of players included.

    Raises ReparamError for unknown names, and for data that the system does not take.
    """
    if not isinstance(data, Data):
        data = load_data(data, missing=registry.takes_missing(name))
    system = _build(name, facts(data), data.spec, settings, seed)
    system.training_data = data
    return system


def _build(
    name: str, about: DataFacts, spec: dict[str, Any] | None, settings: dict[str, Any], seed: int | Control
) -> System:
    checked = registry.validated(name, settings)
    # Initial weights are a named source like any other: foreign code, under a seed of its own.
    with Streams(seed).ambient("weights"):
        recipe = registry.recipe(name)(about, **checked)
    recipe.model.eval()  # in which its abilities work; training switches it for as long as it lasts
    if about.kind not in recipe.model.takes:
        raise ReparamError(
            f"{name} takes data of kind {' or '.join(recipe.model.takes)}, and {about.name} is {about.kind}."
        )
    if about.missing and not recipe.model.takes_missing:
        having = ", ".join(n for n, cls in registry.models().items() if cls.takes_missing)
        raise ReparamError(
            f"{about.missing:.1%} of the numbers of {about.name} are missing, and {name} takes no data with "
            f"holes: take {having}, or fill them in first."
        )
    return System(name, recipe, checked, about, spec, seed if isinstance(seed, int) else seed.seed)


def load(folder: str | Path, device: str = "cpu", *, averaged: bool = True, **networks: nn.Module) -> System:
    """The system of a run or of `save`, with the weights of its newest whole checkpoint.

    Networks given to `build` must be given again. `averaged` takes a run's averaged weights, if it kept any.
    Raises ReparamError if the folder holds none, or does not fit the networks.
    """
    folder = Path(folder)
    system = described(folder, **networks)
    read = checkpoint.load(folder / "checkpoints")
    weights = dict(read.files["weights"])
    if averaged:
        training = read.files.get("training", {})
        weights |= {
            key.removeprefix("average/"): t for key, t in training.items() if key.startswith("average/")
        }
    restore(system.model, weights)
    system.model.to(device)
    return system


def described(folder: Path, **networks: Any) -> System:
    """The system of a folder before its weights are read."""
    path = folder / "system.json"
    if not path.is_file():
        raise ReparamError(f"{folder} holds no run: there is no {path.name} in it.")
    try:
        about = json.loads(path.read_text())
    except ValueError as error:
        raise ReparamError(f"{path} is damaged: {error!r}.") from None
    return _rebuilt(about, str(path), networks)


def finished(given: Any) -> System:
    """The first stage that a recipe is given: a system, the folder of its run, or a description of it.

    What is described has no weights: they are those of the run that holds the description.
    Raises ReparamError for anything else.
    """
    if isinstance(given, System):
        return given
    if isinstance(given, Mapping):
        return _rebuilt(given, "the first stage's description", {})
    if isinstance(given, str | Path):
        return load(given)
    raise ReparamError(f"{given!r} is no first stage; give the folder of a finished run, or its system.")


def _plain(setting: Any) -> Any:
    """A setting as JSON: a first stage by its description, so that its run is not needed again."""
    if not isinstance(setting, System):
        return setting
    return {key: value for key, value in setting.description().items() if key != "versions"}


def _rebuilt(about: Mapping[str, Any], where: str, networks: Mapping[str, Any]) -> System:
    try:
        facts_ = about["data"] | {
            "shape": tuple(about["data"]["shape"]),
            **{key: tuple(v) if (v := about["data"].get(key)) else None for key in LISTS},
            **{key: Writing(**v) if (v := about["data"].get(key)) else None for key in WRITINGS},
        }
        missing = set(about["networks_given"]) - set(networks)
        name, settings, spec = about["name"], about["settings"], about["data_spec"]
    except (KeyError, TypeError) as error:
        raise ReparamError(f"{where} is damaged: {error!r}.") from None
    if missing:
        raise ReparamError(
            f"this {name} was built with networks of yours; give {', '.join(sorted(missing))}=…."
        )
    return _build(name, DataFacts(**facts_), spec, settings | networks, about["seed"])


def restore(model: Model, weights: Mapping[str, Tensor]) -> None:
    """Loads weights strictly. Raises ReparamError naming what does not fit."""
    try:
        model.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise ReparamError(f"the weights do not fit the networks: {error}") from None


def write_json(path: Path, content: Any) -> None:
    """Writes JSON whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content, indent=1, ensure_ascii=False))
    draft.replace(path)
