"""Avatars of one style in another, learned without pairs: what of a person is kept. Photographs drawn."""

import dataclasses
from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained
from torch import Tensor

from reparam.data import Data, Split
from reparam.data import load as load_data
from reparam.data.dataset import real
from reparam.data.pictures import fit
from reparam.metrics import classifier
from reparam.metrics.bootstrap import interval, mean
from reparam.report.pictures import pairs, save, stacked
from reparam.system import System

# Group norm and one halving: under instance norm a picture's tint is lost, and flat drawings are little else.
SYSTEMS: dict[str, dict[str, Any]] = {
    "cyclegan": {
        "steps": 5500, "width": 32, "blocks": 3, "norm": "group", "halvings": 1, "lr": 5e-4, "identity": 20.0,
    },
}  # fmt: skip
SIZE = 32  # pixels to a side: of 64 a CPU sees too few
OPTIONS = {"batch_size": 4, "average": 0.999, "precision": "bf16"}
ATTRIBUTES = ("skin", "hair", "long", "glasses")
SOURCE, TARGET = "avatars:avataaars", "avatars:adventurer"
# Photographs to drawings of living things: nothing says which drawing is right, so they are only looked at.
STAMPS: dict[str, Any] = {"spec": "stamps", "to": "emoji:living", "size": SIZE}
STAMPS_STEPS = 1500
PICTURES = {name: [f"avatars-{name}.png"] for name in SYSTEMS}
PICTURES["cyclegan"].append("stamps-cyclegan.png")


def figure() -> None:
    """Trains, measures and records; the settings were chosen on validation, where the same is measured."""
    data, judges, rows = domains(), judges_of_target(), []
    styles, whole = judge_of_styles(data), load_data(SOURCE, size=SIZE)
    for split in ("validation", "test"):
        x, twin = _pictures(getattr(data, split))
        # Nobody's twin: each picture of the target style beside the next person's.
        shown = {"target style itself": twin, "another person": twin.roll(1, 0), "untranslated": x}
        shown["untranslated, whole picture"] = real(getattr(whole, split).x)
        for name in SYSTEMS:
            system = taught(name, data)
            shown[name] = system.translate(x)
            if split == "test":
                save(stacked(x[:16], shown[name][:16], twin[:16]), RESULTS / PICTURES[name][0])
        for name, pictures in shown.items():
            truth = {a: data.attributes[a][split] for a in ATTRIBUTES}
            rows.append({"shown": name, "split": split, **measured(pictures, twin, truth, judges)})
            in_style = classifier.accuracy(styles, pictures, torch.ones(len(pictures)))
            rows[-1] |= {"in_style": in_style.value, "in_style_interval": [in_style.low, in_style.high]}
            if name in SYSTEMS:
                rows[-1] |= {
                    "cpu_minutes": cpu_seconds(f"styles-{name}") / 60,
                    "steps": SYSTEMS[name]["steps"],
                }
            print(rows[-1], flush=True)
    target = "attributes kept ≥ 80 % of what the classifiers reach on real pictures of the target style"
    shown_as = f"{SOURCE}, its upper 48 × 48 of 64 × 64 → {TARGET}, disjoint, {SIZE} × {SIZE}"
    found = {"target": target, "data": shown_as, "settings": SYSTEMS, **OPTIONS, "rows": rows}
    record("translation", {**found, "photographs": photographs()})


def photographs() -> dict[str, Any]:
    """Cut-out photographs translated to emoji by the same networks: a picture of 16 test rows."""
    data, own = load_data(**STAMPS), SYSTEMS["cyclegan"] | {"steps": STAMPS_STEPS}
    system = trained("stamps-cyclegan", "cyclegan", data, **own, options=OPTIONS)
    x = real(data.test.x[:16])
    save(pairs(x, system.translate(x)), RESULTS / "stamps-cyclegan.png")
    return {"data": data.name, "steps": STAMPS_STEPS, "cpu_minutes": cpu_seconds("stamps-cyclegan") / 60}


def domains() -> Data:
    """The two styles, trained on different people; of the first the heads, since the second draws no more."""
    data = load_data(SOURCE, to=TARGET, disjoint=True)

    def ready(split: Split) -> Split:
        assert split.other is not None
        return split._replace(x=_fitted(split.x[:, :, :48, 8:56]), other=_fitted(split.other))

    splits = {name: ready(getattr(data, name)) for name in ("train", "validation", "test")}
    shape = (3, SIZE, SIZE)
    return dataclasses.replace(data, shape=shape, fingerprint=f"{data.fingerprint} heads {SIZE}", **splits)


def judges_of_target() -> dict[str, classifier.Judge]:
    """A classifier of each attribute, of pictures in the target style."""
    style = load_data(TARGET, size=SIZE)
    whole = real(style.train.x)
    return {name: classifier.train(whole, style.attributes[name]["train"], epochs=10) for name in ATTRIBUTES}


def judge_of_styles(data: Data) -> classifier.Judge:
    """A classifier of the two styles, 1 the target's, of the training pictures of both."""
    first, second = _pictures(data.train)
    labels = torch.cat([torch.zeros(len(first)), torch.ones(len(second))])
    return classifier.train(torch.cat([first, second]), labels, epochs=10)


def taught(name: str, data: Data) -> System:
    """A translator, trained or taken up where it was left."""
    return trained(f"styles-{name}", name, data, **SYSTEMS[name], options=OPTIONS)


def measured(
    shown: Tensor, twin: Tensor, truth: dict[str, Tensor], judges: dict[str, classifier.Judge]
) -> dict[str, Any]:
    """How often each judge sees the attribute that the person has, chance, and the distance to the twin."""
    found: dict[str, Any] = {}
    for name, judge in judges.items():
        kept = classifier.accuracy(judge, shown, truth[name])
        ceiling = classifier.accuracy(judge, twin, truth[name]).value
        found[name] = {
            "accuracy": kept.value,
            "interval": [kept.low, kept.high],
            "of_real": kept.value / ceiling,
            "chance": float(truth[name].bincount().max() / len(truth[name])),
        }
    distances = (shown - twin).abs().flatten(1).mean(1).double()
    found["distance"] = distances.mean().item()
    found["distance_interval"] = list(interval(mean, distances))
    return found


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        if row["split"] == "test":
            kept = ", ".join(
                f"{name} {row[name]['accuracy']:.0%} ({row[name]['of_real']:.0%} of real)"
                for name in ATTRIBUTES
            )
            what = f"{row['shown']}, avataaars → adventurer"
            style = f"in the target's style {row['in_style']:.0%}"
            found.append((what, f"{kept}; {style}; distance to the twin {row['distance']:.3f}"))
    return found


def _fitted(x: Tensor) -> Tensor:
    return torch.from_numpy(fit(x.numpy(), SIZE))


def _pictures(split: Split) -> tuple[Tensor, Tensor]:
    assert split.other is not None
    return real(split.x), real(split.other)
