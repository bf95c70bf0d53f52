"""The comparison as one page that needs nothing but itself: no network, fonts or scripts from elsewhere."""

import base64
import hashlib
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from reparam.report import cards, charts
from reparam.report.files import write_atomic
from reparam.report.schema import MeasureRecord, Report
from reparam.report.summary import BETTER, QUESTIONS, Cell, Row, Verdict, caveats, table, verdicts

# kind of picture -> heading, what is to be seen, alternative text
GALLERIES = {
    "samples": ("Samples", "What each model makes when asked for something new.", "Samples from"),
    "reconstructions": (
        "Reconstructions",
        "Each original above what the model gives back of it.",
        "Originals above their reconstructions by",
    ),
    "interpolation": (
        "Interpolations",
        "Straight walks between two codes, decoded on the way.",
        "Latent interpolations by",
    ),
    "latent": ("Latent plane", "Where the data's codes lie.", "Latent codes of the data under"),
}
MARKS = {
    "best": ('<span class="mark" title="best: its interval overlaps no other">●</span>', "best"),
    "tied": ('<span class="mark" title="tied for best: the intervals overlap">○</span>', "tied for best"),
}


def write(report: Report, directory: Path | str) -> Path:
    """Write ``index.html`` and ``report.json`` into the directory that holds the pictures."""
    directory = Path(directory)
    page = render(report, directory)
    write_atomic(directory / "report.json", (report.model_dump_json(indent=1) + "\n").encode())
    return write_atomic(directory / "index.html", page.encode())


def render(report: Report, directory: Path | str) -> str:
    """The page as HTML, with the pictures found in the directory inside it."""
    here = files("reparam.report")
    script = (here / "page.js").read_text("utf-8")
    return Template((here / "template.html").read_text("utf-8")).substitute(
        title=escape(report.title),
        style=(here / "page.css").read_text("utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        facts=_facts(report),
        answer=_answer(report),
        table=_comparison(report),
        methods=_methods(report),
        galleries=_galleries(report, Path(directory)) + _texts(report),
        curves=_curves(report),
        models="".join(_model(report, index) for index in range(len(report.entries))),
        machine=_machine(report),
    )


def _facts(report: Report) -> str:
    data, conditions = report.data, report.conditions
    shape = " × ".join(str(size) for size in data.shape)
    facts = {
        "Data": f"{data.name} ({data.kind}, {shape}); {data.train:,} train, {data.validation:,} validation, "
        f"{data.test:,} test",
        "Budget": f"{report.budget} of training for each model" if report.budget else "each model its own",
        "Measured on": f"{conditions.n:,} of the {conditions.split} split, and as many samples",
        "Device": f"{conditions.machine.device}, {conditions.machine.threads} threads",
        "Seed": str(conditions.seed),
    }
    return "".join(f"<div><dt>{name}</dt><dd>{escape(fact)}</dd></div>" for name, fact in facts.items())


def _answer(report: Report) -> str:
    """The summary's sentence, its winners in bold and its caveats smaller."""
    won = [
        f"{escape(answer.words.winner)}: <b>{escape(answer.row.winners)}</b>{escape(answer.row.proviso)}"
        for answer in verdicts(report)
        if answer.row.leaders
    ]
    lead = f'<p class="answer">{"; ".join(won)}.</p>' if won else ""
    return f'{lead} <p class="caveats">{escape(" ".join(caveats(report)))}</p>'


def _comparison(report: Report) -> str:
    head = "".join(
        f'<th scope="col"><a href="#model-{i}">{escape(entry.name)}</a></th>'
        for i, entry in enumerate(report.entries)
    )
    answers, groups = {verdict.question: verdict for verdict in verdicts(report)}, ""
    rows = table(report)
    for question in QUESTIONS:
        group = [row for row in rows if row.question == question]
        if group:
            groups += (
                f'<tbody><tr class="question"><th scope="rowgroup" colspan="{len(report.entries) + 1}">'
                f"<span>{_group_head(answers.get(question), question, len(report.entries))}</span></th></tr>"
                f"{''.join(_row(row) for row in group)}</tbody>"
            )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Comparison">'
        f'<table class="measures" style="--models:{max(len(report.entries), 1)}">'
        '<caption class="hidden">Measures of every model, grouped by question</caption>'
        f'<thead><tr><th scope="col">measure</th>{head}</tr></thead>{groups}</table></div>'
    )


def _group_head(verdict: Verdict | None, question: str, models: int) -> str:
    asked = f"<b>{QUESTIONS[question].asked}</b>"  # type: ignore[index]
    if verdict is None or models < 2:
        return asked
    said = f"{verdict.words.winner}: {verdict.row.verdict}" if verdict.row.leaders else verdict.row.verdict
    others = "".join(f"; by {row.label}: {row.winners}{row.proviso}" for row in verdict.dissent)
    return f'{asked} <span class="verdict">{escape(said + others)}</span>'


def _row(row: Row) -> str:
    unit = f' <span class="quiet">{escape(row.unit)}</span>' if row.unit else ""
    arrow = ""
    if row.better:
        sign, meaning = BETTER[row.better]
        arrow = f' <span class="arrow" title="{meaning}" aria-label="{meaning}" role="img">{sign}</span>'
    scale = _scale(row.cells)
    cells = "".join(_cell(cell, scale) for cell in row.cells)
    return f'<tr><th scope="row">{escape(row.label)}{unit}{arrow}</th>{cells}</tr>'


def _cell(cell: Cell, scale: tuple[float, float] | None) -> str:
    title = escape(cell.how)
    if cell.record is None or cell.record.value is None:
        return f'<td class="none" title="{title}">—<span class="hidden"> ({title})</span></td>'
    sign, said = MARKS.get(cell.mark, ("", ""))
    mark = f'{sign}<span class="hidden"> ({said})</span>' if sign else ""
    interval = f'<span class="interval">{cell.interval}</span>' if cell.interval else ""
    style = f' class="{cell.mark}"' if cell.mark else ""
    value = f'<span class="value">{mark}{cell.text}</span>{interval}{_whisker(cell, scale)}'
    return f'<td{style} title="{title}">{value}</td>'


def _scale(cells: list[Cell]) -> tuple[float, float] | None:
    """The common scale of a row's intervals, so that overlaps can be seen."""
    ends = [cell.record.interval for cell in cells if cell.interval and cell.record and cell.record.interval]
    if len(ends) < 2:
        return None
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return (low, high) if high > low else None


def _whisker(cell: Cell, scale: tuple[float, float] | None) -> str:
    record: MeasureRecord | None = cell.record
    if scale is None or record is None or record.value is None or record.interval is None:
        return ""
    left, right, at = (
        100 * min(max((x - scale[0]) / (scale[1] - scale[0]), 0.0), 1.0)
        for x in (*record.interval, record.value)
    )
    return (
        f'<span class="whisker" aria-hidden="true" '
        f'style="--left:{left:.1f}%;--width:{right - left:.1f}%;--at:{at:.1f}%"></span>'
    )


def _methods(report: Report) -> str:
    """How each measure was got, and why a model lacks it: what the tooltips say, for all."""
    items = ""
    for row in table(report):
        whole = next((cell.record for cell in row.cells if cell.record and cell.has_value), None)
        how = f"{escape(whole.how)} ({escape(_facts_of(whole))})" if whole else ""
        missing = [f"{cell.entry}: {cell.how.rstrip('.')}" for cell in row.cells if not cell.has_value]
        gaps = f' <span class="quiet">Not for {escape("; ".join(missing))}.</span>' if missing else ""
        items += f"<div><dt>{escape(row.label)}</dt><dd>{how}{gaps}</dd></div>"
    return f'<dl class="methods">{items}</dl>'


def _facts_of(record: MeasureRecord) -> str:
    draws, taken = record.importance_samples, record.seconds
    parts = [f"n = {record.n:,}", record.sampling, f"K = {draws}" if draws else None]
    return "; ".join(part for part in (*parts, f"{taken:.2g} s" if taken is not None else None) if part)


def _galleries(report: Report, directory: Path) -> str:
    kinds = list(GALLERIES)
    kinds += sorted({kind for entry in report.entries for kind in entry.pictures} - set(GALLERIES))
    return "".join(_gallery(report, kind, directory) for kind in kinds)


def _gallery(report: Report, kind: str, directory: Path) -> str:
    heading, seen, alternative = GALLERIES.get(kind, (kind.replace("_", " ").capitalize(), "", kind + " of"))
    having = [(entry.name, entry.pictures[kind]) for entry in report.entries if kind in entry.pictures]
    if not having:
        return ""
    missing = [entry.name for entry in report.entries if kind not in entry.pictures]
    if kind in report.data.pictures:
        having.insert(0, (f"data: {report.data.name}", report.data.pictures[kind]))
    shown = "".join(_figure(name, path, f"{alternative} {name}", directory) for name, path in having)
    none = f" None for {escape(', '.join(missing))}." if missing else ""
    wide = " wide" if kind == "interpolation" else ""
    return (
        f'<section id="{escape(kind)}"><h2>{escape(heading)}</h2><p class="quiet">{escape(seen)}{none}</p>'
        f'<div class="gallery{wide}" style="--columns:{len(having)}">{shown}</div></section>'
    )


def _texts(report: Report) -> str:
    """What models of text wrote, a small table of lines each, beside the data's."""
    sections = ""
    for kind, (heading, seen, _) in GALLERIES.items():
        having = [(entry.name, entry.texts[kind]) for entry in report.entries if kind in entry.texts]
        if not having:
            continue
        if kind in report.data.texts:
            having.insert(0, (f"data: {report.data.name}", report.data.texts[kind]))
        shown = "".join(
            f"<figure><figcaption>{escape(name)}</figcaption>{_lines(rows)}</figure>" for name, rows in having
        )
        sections += (
            f'<section id="{kind}"><h2>{heading}</h2><p class="quiet">{seen}</p>'
            f'<div class="gallery" style="--columns:{len(having)}">{shown}</div></section>'
        )
    return sections


def _lines(rows: list[list[str]]) -> str:
    cells = ("".join(f"<td>{escape(line)}</td>" for line in row) for row in rows)
    return f'<table class="plain lines">{"".join(f"<tr>{row}</tr>" for row in cells)}</table>'


def _figure(name: str, path: str, alternative: str, directory: Path) -> str:
    caption, alt = escape(name), escape(alternative)
    try:
        content = (directory / path).read_bytes()
    except OSError:
        lost = f'<p class="lost">{escape(path)} was not found.</p>'
        return f"<figure><figcaption>{caption}</figcaption>{lost}</figure>"
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return (
        f'<figure><figcaption>{caption}</figcaption><button class="zoom" title="enlarge">'
        f'<img src="{source}" alt="{alt}"></button></figure>'
    )


def _curves(report: Report) -> str:
    end = max((entry.curves.seconds[-1] for entry in report.entries if entry.curves.seconds), default=1.0)
    return "".join(
        f"<h3>{escape(entry.name)} "
        f"<small>{entry.cost.steps:,} steps in {entry.cost.seconds:,.1f} s</small></h3>"
        f"{charts.charts(entry.name, entry.curves, end)}"
        for entry in report.entries
    )


def _model(report: Report, index: int) -> str:
    entry = report.entries[index]
    title = f"{escape(entry.card.title)}. " if entry.card.title and entry.card.title != entry.name else ""
    takes = f" Takes {escape(', '.join(entry.card.takes))}." if entry.card.takes else ""
    averaged = entry.checkpoint.averaged
    weights = f"weights averaged with decay {averaged:g}" if averaged else "weights not averaged"
    seeds = ", ".join(f"{name} {seed}" for name, seed in entry.seeds.items())
    measured = (
        f"Measured: the {entry.checkpoint.rule} checkpoint, step {entry.checkpoint.step:,}, {weights}. "
    )
    return (
        f'<article class="model" id="model-{index}"><h3>{escape(entry.name)}</h3>'
        f'<p class="quiet">{title}{escape(entry.paper)}.{takes}</p>'
        f'<p class="quiet">{escape(measured)}Seeds: {escape(seeds)}.</p>{cards.card(entry)}</article>'
    )


def _machine(report: Report) -> str:
    machine, data = report.conditions.machine, report.data
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return escape(
        f"{report.created}. Python {machine.python}, {versions}, {machine.device}, "
        f"{machine.threads} threads, {machine.platform}. Data: {data.name}, {data.licence}; {data.source}; "
        f"binarisation: {report.conditions.binarisation}; fingerprint {report.conditions.fingerprint}."
    )
