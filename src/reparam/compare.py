"""Several systems on the same data under one budget, side by side: training, measures, pictures, one page."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reparam import registry
from reparam.card import card
from reparam.data import Data
from reparam.data import load as load_data
from reparam.engine import Engine
from reparam.errors import ReparamError
from reparam.evaluate import MOST, Yardstick, check_data, cost, measured_checkpoint, seeds, yardstick_for
from reparam.evaluate_missing import MissingYardstick
from reparam.evaluate_ranking import RankingYardstick
from reparam.evaluate_text import TextYardstick
from reparam.report import page, pictures
from reparam.report.schema import Curves, DataInfo, Entry, HeldOut, Report
from reparam.run import read_log, reload_data, train
from reparam.system import System, build, load, write_json

PROBES = 16  # times along a run that the quality of samples is measured
SHOWN = 48  # samples in a picture
TEXTS = 16  # lines of a text

AnyYardstick = Yardstick | TextYardstick | RankingYardstick | MissingYardstick

Progress = Callable[[str, int, float, float], None]
"""Told after every step: the model's label, the step, the seconds used, and the part done (0 to 1)."""


def compare(
    names: list[str],
    *,
    data: str | Data | None = None,
    out: str | Path = "report",
    budget: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    settings: dict[str, dict[str, Any]] | None = None,
    split: HeldOut = "test",
    n: int = MOST,
    extractor: str | Callable[[Tensor], Tensor] | None = None,
    device: str = "auto",
    data_options: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Trains models, or takes finished runs (folders), and writes `index.html`, `report.json` and PNGs.

    settings are by model. All are measured by one `Yardstick`, to which split, n and extractor belong.
    Raises ReparamError for names that are neither models nor runs, for runs on different data, and if
    `out` holds something else than an earlier report.
    """
    out, settings = Path(out), settings or {}
    # A model's name is a model, even where a folder is called so; `./vae` is the folder.
    finished = [n for n in names if n not in registry.recipes() and (Path(n) / "system.json").is_file()]
    for name in set(names) - set(finished):
        registry.recipe(name)
    if len(set(names)) < len(names):
        raise ReparamError("each model or run is compared once; a name was given twice.")
    holes = {"missing": True} if names and all(map(registry.takes_missing, names)) else {}
    loaded = _data(data, finished, holes | (data_options or {}))
    for name in finished:
        check_data(Path(name), loaded)
    where = Engine.start(device).device
    systems = {
        name: load(name, str(where))
        if name in finished
        else build(name, loaded, seed=seed, **settings.get(name, {}))
        for name in names
    }
    _clear(out)
    yardstick = yardstick_for(loaded, split=split, n=n, extractor=extractor, seed=seed)
    entries = []
    for name, system in systems.items():
        label, run, probes = Path(name).name, Path(name), []
        if name not in finished:
            run = out / "runs" / name
            watch = _Watch(yardstick, system, label, progress, probes)
            train(system, run, data=loaded, budget=budget, steps=steps, device=device, progress=watch)
            system = load(run, str(where))
        entries.append(_entry(label, system, run, yardstick, out, probes))
    report = Report(
        title=f"{', '.join(Path(name).name for name in names)} on {loaded.name}",
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        data=_data_info(loaded, yardstick, out),
        budget=f"{budget:g} s" if budget else f"{steps} steps" if steps else None,
        conditions=yardstick.conditions(where),
        entries=entries,
    )
    page.write(report, out)
    return report


class _Watch:
    """Passes progress on, and measures the samples of a model in training at equal parts of its budget."""

    def __init__(
        self,
        yardstick: AnyYardstick,
        system: System,
        label: str,
        progress: Progress | None,
        probes: list[tuple[int, float]],
    ) -> None:
        self.yardstick, self.system, self.label = yardstick, system, label
        self.progress, self.probes = progress, probes

    def __call__(self, step: int, seconds: float, part: float) -> None:
        if part * PROBES >= len(self.probes) + 1:
            self.probes.append((step, self.yardstick.probe(self.system)))
        if self.progress:
            self.progress(self.label, step, seconds, part)


def _data(data: str | Data | None, finished: list[str], options: dict[str, Any]) -> Data:
    if isinstance(data, Data):
        return data
    if data is None and finished:
        return reload_data(load(finished[0]))
    return load_data("digits" if data is None else data, **options)


def _clear(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        raise ReparamError(f"{out} is not empty; choose another --out, or remove it first.")
    out.mkdir(parents=True, exist_ok=True)


def _entry(
    label: str, system: System, run: Path, yardstick: AnyYardstick, out: Path, probes: list[tuple[int, float]]
) -> Entry:
    own_card = card(
        system.model,
        system.data.shape,
        movers=system.recipe.optimisers,
        data_noise=yardstick.data.noise(),
        examples=len(yardstick.data.train.x),
        kind=system.data.kind,
    )
    folder = out / label
    bill = cost(system, run)
    if run.is_relative_to(out) and system.device.type == "cpu":
        # One process trained all of these one after another: its peak is not one model's.
        bill = bill.model_copy(update={"peak_memory_mib": None})
    measures = yardstick.measure(system, [value for _, value in probes])
    entry = Entry(
        name=label,
        model=system.name,
        paper=own_card.paper,
        settings={
            name: str(value) if isinstance(value, System) else value
            for name, value in system.settings.items()
            if not isinstance(value, torch.nn.Module)
        },
        card=own_card,
        checkpoint=measured_checkpoint(run),
        seeds=seeds(system, run),
        measures=measures,
        pictures=_pictures(system, yardstick, folder, out),
        texts=_texts(system, yardstick),
        curves=_curves(run, probes, yardstick.probed),
        cost=bill,
        notes=[note]
        if (note := pictures.channels_note(system.data.shape[0])) and system.data.kind == "image"
        else [],
    )
    write_json(folder / "entry.json", entry.model_dump(mode="json"))
    return entry


def _pictures(system: System, yardstick: AnyYardstick, folder: Path, out: Path) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    held_out = yardstick.held_out
    labels = yardstick.labels if system.conditional else None
    if system.data.kind == "image":
        if system.can("sample"):
            made["samples"] = pictures.grid(system.sample(SHOWN).cpu(), 8)
        if system.can("translate"):
            made["translations"] = pictures.pairs(held_out[:16], system.translate(held_out[:16]).cpu())
        if system.can("encode") and system.can("decode"):
            some = held_out[:16], None if labels is None else labels[:16]
            made["reconstructions"] = pictures.pairs(some[0], system.reconstruct(*some).cpu())
            half = min(6, len(held_out) // 2)
            if half:
                ends = held_out[:half], held_out[half : 2 * half]
                told = (None, None) if labels is None else (labels[:half], labels[half : 2 * half])
                made["interpolation"] = pictures.interpolation(system.interpolate(*ends, labels=told).cpu())
        elif system.can("sample"):
            made["interpolation"] = pictures.interpolation(system.interpolate_noise(6).cpu())
    elif system.data.shape == (2,) and (points := yardstick.made(system, held_out)):
        made["samples"] = pictures.scatter(points[0], limits=_limits(yardstick.goal))
    if system.can("encode") and not system.conditional:
        latent = system.encode(held_out).cpu()
        if latent.shape[1:] == (2,):
            made["latent"] = pictures.scatter(latent, yardstick.labels)
    return {
        kind: str(pictures.save(image, folder / f"{kind}.png").relative_to(out))
        for kind, image in made.items()
    }


def _texts(system: System, yardstick: AnyYardstick) -> dict[str, list[list[str]]]:
    if system.data.kind != "tokens":
        return {}
    text, x, made = system.data.text, yardstick.held_out[:TEXTS], {}
    if system.can("sample"):
        made["samples"] = [[line] for line in text(system.sample(TEXTS).cpu())]
    if system.can("encode") and system.can("decode"):
        again = text(system.reconstruct(x).cpu())
        made["reconstructions"] = [list(both) for both in zip(text(x), again, strict=True)]
        walk = system.interpolate(x[:1], x[1:2]).cpu()[0]
        made["interpolation"] = [[line] for line in text(walk)]
    return made


def _limits(points: Tensor) -> tuple[float, float, float, float]:
    low, high = points.min(0).values, points.max(0).values
    margin = 0.1 * (high - low)
    left, right = (low - margin).tolist(), (high + margin).tolist()
    return left[0], right[0], left[1], right[1]


def _curves(run: Path, probes: list[tuple[int, float]], probed: str) -> Curves:
    rows = read_log(run)
    terms = {name: [row["terms"].get(name) for row in rows] for name in (rows[-1]["terms"] if rows else ())}
    if probes and rows:
        # A probe is shown at the first row of the log that is not before it.
        line: list[float | None] = [None] * len(rows)
        for step, value in probes:
            line[next((i for i, row in enumerate(rows) if row["step"] >= step), len(rows) - 1)] = value
        terms[f"samples.{probed}"] = line
    return Curves(step=[r["step"] for r in rows], seconds=[r["seconds"] for r in rows], terms=terms)


def _data_info(data: Data, yardstick: AnyYardstick, out: Path) -> DataInfo:
    shown = {}
    if data.kind == "image":
        path = pictures.save(pictures.grid(yardstick.held_out[:SHOWN], 8), out / "data" / "samples.png")
        shown["samples"] = str(path.relative_to(out))
    elif data.shape == (2,):
        path = pictures.save(
            pictures.scatter(yardstick.held_out, limits=_limits(yardstick.held_out)),
            out / "data" / "samples.png",
        )
        shown["samples"] = str(path.relative_to(out))
    return DataInfo(
        name=data.name,
        kind=data.kind,
        shape=list(data.shape),
        train=len(data.train.x),
        validation=len(data.validation.x),
        test=len(data.test.x),
        licence=data.licence,
        source=data.source,
        pictures=shown,
        texts={"samples": [[line] for line in data.text(yardstick.held_out[:TEXTS])]}
        if data.kind == "tokens"
        else {},
    )
