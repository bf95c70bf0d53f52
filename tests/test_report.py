"""The report: its models, its judgement, its pictures and its page, on made-up numbers."""

import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from rich.console import Console

from reparam.errors import ReparamError
from reparam.report import page, pictures, schema, summary
from reparam.report.ranking import join, leaders, number
from reparam.report.schema import Entry, MeasureRecord, Report
from reparam.report.ticks import short, ticks

MODELS = ("VAE", "GAN", "AAE", "VAE-GAN")
VOID = {"meta", "img", "input", "br", "link", "hr"}
HOSTILE = '<script>alert("&")</script>$title${x}'


def measure(value: float | None, half: float | None = None, **given: Any) -> MeasureRecord:
    """A record with the interval value ± half."""
    low, high = (None, None) if value is None or half is None else (value - half, value + half)
    fields = {
        "label": "Sharpness",
        "question": "blurred",
        "n": 1000,
        "better": "higher",
        "how": "how it was got",
    }
    return MeasureRecord(value=value, low=low, high=high, **{**fields, **given})


def measures(which: int) -> dict[str, MeasureRecord]:
    """Made-up values of one of the four models, like those of a real run."""

    def pick(values: list[float | None], halves: float, **given: Any) -> MeasureRecord:
        return measure(values[which], halves, **given)

    none = "the model has no encoder, so nothing to reconstruct with"
    pixels: list[float | None] = [0.0113, None, 0.0131, 0.0240]
    codes: list[float | None] = [0.951, None, 0.944, 0.902]
    bound: list[float | None] = [97.4, None, None, None]
    return {
        "sharpness": pick([0.62, 1.02, 0.71, 0.97], 0.02, label="Sharpness against the data", better="one",
                          how="variance of the Laplacian of 1000 samples over that of 1000 test images"),
        "edges": pick([0.22, 0.04, 0.18, 0.06], 0.03, label="Edge-strength distance", better="lower"),
        "pixel_error": pick(pixels, 0.0006, label="Squared error of reconstructions", question="faithful",
                            better="lower", unit="per pixel",
                            how=none if pixels[which] is None else "mean over 1000 test images"),
        "class_kept": pick(codes, 0.01, label="Class kept", question="faithful", unit="share",
                           how=none if codes[which] is None else "a classifier's label before and after"),
        "recall": pick([0.55, 0.31, 0.54, 0.44], 0.03, label="Recall", question="diverse", unit="share"),
        "classes": pick([2.27, 2.10, 2.25, 2.26], 0.03, label="Class entropy", question="diverse"),
        "spread": pick([0.021, 0.19, 0.05, 0.09], 0.012, label="Spread of losses in the last fifth",
                       question="steady", better="lower"),
        "fid": pick([21.3, 19.8, 22.0, 20.6], 2.0, label="Fréchet", better="lower", question="quality"),
        "elbo": pick(bound, 1.1, label="Negative ELBO", question="likelihood", better="lower", unit="nats",
                     how="no tractable bound" if bound[which] is None else "test images, one draw"),
    }  # fmt: skip


def card(name: str) -> schema.Card:
    """A card with every field filled."""
    layers = [
        schema.Layer(layer="conv 4×4 / 2", output="32 × 14 × 14"),
        schema.Layer(layer="linear", output="16"),
    ]
    return schema.Card(
        name=name.lower(),
        title=f"{name}: a model for this test",
        paper="Somebody (2014), arXiv:1312.6114",
        flow="x ─encoder→ q(z|x) ─eps→ z ─decoder→ p(x|z)",
        players=[
            schema.Player(
                name="encoder", description="image to posterior", shapes=layers, parameters=201_344
            ),
            schema.Player(name="decoder", description="code to image", shapes=layers, parameters=230_241),
            schema.Player(name="discriminator", parameters=120_001),
        ],
        turns=[
            schema.TurnCard(
                name="negative_elbo",
                moves=[
                    schema.Move(
                        players=["encoder", "decoder"], lowers={"distortion": "1", "rate": "ramp(0→1)"}
                    )
                ],
            ),
            schema.TurnCard(
                name="discrimination",
                repeats=5,
                moves=[schema.Move(players=["discriminator"], lowers={"real": "1", "fake": "1"})],
            ),
        ],
        losses=[
            schema.LossCard(
                name="negative_elbo",
                summary="An upper bound on −log p(x).",
                terms={"distortion": "−log p(x|z)", "rate": "KL(q(z|x) ‖ N(0, I))"},
            ),
            schema.LossCard(
                name="discrimination", terms={"real": "softplus(−D(x))", "fake": "softplus(D(G(z)))"}
            ),
        ],
        noise=[
            schema.NoiseCard(
                name="eps",
                law="Normal(0, I), 16 numbers an example",
                enters=["negative_elbo"],
                redrawn="every step",
                evaluation="0: the posterior's mean",
            ),
            schema.NoiseCard(
                name="z",
                law="Normal(0, I), 16 numbers",
                enters=[],
                redrawn="every step",
                evaluation="drawn to sample",
            ),
        ],
        takes=["images"],
    )


def curves(which: int, points: int = 1500) -> schema.Curves:
    """Losses that fall, wobble, and in one model diverge for a while."""
    noise = np.random.default_rng(which)
    at = np.arange(points)
    fall = 95 + 450 * np.exp(-at / 18) + noise.normal(0, 3, points)
    rate = 25 * (1 - np.exp(-at / 200)) + noise.normal(0, 0.4, points)
    duel = 1.38 - 0.3 * np.tanh(at / 400) + noise.normal(0, 0.08, points)
    terms = [
        {"distortion": fall, "rate": rate, "elbo": fall + rate},
        {"real": duel / 2, "fake": duel / 2 + noise.normal(0, 0.05, points), "deception": 2 - duel / 2},
        {"distortion": fall, "real": duel / 2, "fake": duel / 2, "deception": 2 - duel / 2},
        {"rate": rate, "feature_distance": fall / 9, "real": duel / 2, "fake": duel / 2},
    ][which]
    logged: dict[str, list[float | None]] = {
        name: [float(v) for v in values] for name, values in terms.items()
    }
    if which == 3:
        logged["fake"][700:760] = [math.nan] * 60
    pace = 60 / points
    return schema.Curves(
        step=[int(s) * (which + 1) for s in at], seconds=[float(s) * pace for s in at], terms=logged
    )


def entry(which: int, **given: Any) -> Entry:
    """One of the four models."""
    name = MODELS[which]
    cost = schema.Cost(
        seconds=60.02 + which / 100, steps=1500 * (4 - which),
        parameters=[431_585, 350_242, 551_586, 551_586][which],
        ms_per_step=[10.1, 13.3, 20.0, 40.1][which], ms_per_step_low=[10.0, 13.1, 19.7, 39.0][which],
        ms_per_step_high=[10.2, 13.5, 20.3, 41.2][which], peak_memory_mib=None,
        examples=192_000 * (4 - which),
    )  # fmt: skip
    fields: dict[str, Any] = {
        "name": name, "model": name.lower(), "paper": "Somebody (2014), arXiv:1312.6114",
        "settings": {"latent": 16, "beta": 1.0, "widths": [32, 64], "activation": "silu"}, "card": card(name),
        "checkpoint": schema.Checkpoint(step=1500 * (4 - which), averaged=None),
        "seeds": {"weights": 0, "run": 0},
        "measures": measures(which), "curves": curves(which), "cost": cost,
        "notes": ["Trained in one process."],
    }  # fmt: skip
    return Entry(**{**fields, **given})


def report(**given: Any) -> Report:
    """A made-up comparison of four models."""
    fields: dict[str, Any] = {
        "title": "VAE, GAN, AAE and VAE-GAN on digits",
        "created": "2026-01-02 03:04 UTC",
        "data": schema.DataInfo(
            name="digits", kind="images", shape=[1, 28, 28], train=8000, validation=1000, test=1000,
            licence="CC BY-SA 3.0", source="MNIST, ten thousand of them",
        ),
        "budget": "60 s",
        "conditions": schema.Conditions(
            data="digits", fingerprint="0123", split="test", n=1000, binarisation="none", seed=0,
            machine=schema.Machine(
                device="cpu", threads=2, platform="Linux", python="3.12.1", versions={"torch": "2.11.0"}
            ),
        ),
        "entries": [entry(which) for which in range(4)],
    }  # fmt: skip
    return Report(**{**fields, **given})


class Balance(HTMLParser):
    """Checks that tags close in order, and collects what a browser would fetch, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.counts: dict[str, int] = {}
        self.said = ""
        self.attributes: list[dict[str, str | None]] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        given = dict(attrs)
        self.attributes.append({"tag": tag, **given})
        if tag in ("img", "script", "iframe", "source", "image") and given.get("src"):
            self.sources.append(str(given["src"]))
        if tag == "link":
            self.sources.append(str(given.get("href")))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data


# Judgement


@pytest.mark.parametrize(
    ("better", "spans", "expected"),
    [
        ("higher", [(1, 2), (3, 4), (5, 6)], ["", "", "best"]),
        ("lower", [(1, 2), (3, 4), (5, 6)], ["best", "", ""]),
        ("higher", [(1, 3), (2, 4), (3, 5)], ["", "", ""]),  # all overlap: no ranking
        ("lower", [(1, 3), (2, 4), (5, 6)], ["tied", "tied", ""]),
        ("lower", [(1, 3), (2, 5), (4, 6), (7, 8)], ["tied", "tied", "tied", ""]),  # a chain hangs together
        ("lower", [(1, 2), (2, 3)], ["", ""]),  # touching is overlapping
        ("one", [(0.6, 0.7), (0.95, 1.05), (1.4, 1.6)], ["", "best", ""]),
        ("one", [(0.9, 0.95), (1.06, 1.09)], ["", ""]),  # equally far on the two sides
        ("zero", [(-0.1, 0.2), (-3.0, -2.0)], ["best", ""]),
        ("lower", [(5, 5), (7, 7)], ["best", ""]),  # exact values
        ("lower", [(1, 2)], [""]),
    ],
)
def test_leaders(better: str, spans: list[tuple[float, float]], expected: list[str]) -> None:
    records = [measure((low + high) / 2, (high - low) / 2, better=better) for low, high in spans]
    assert leaders(records) == expected


def test_without_an_interval_nothing_is_ranked() -> None:
    assert leaders([measure(1.0), measure(5.0, 0.1)]) == ["", ""]
    assert leaders([measure(1.0), measure(5.0)]) == ["", ""]
    assert leaders([measure(1.0, 0.1), None, measure(None), measure(5.0, 0.1)]) == ["", "", "", "best"]


def test_sentence_names_winners_and_ties_and_what_is_open() -> None:
    said = summary.sentence(report())
    assert (
        "closest to the data's sharpness: GAN;" not in said
    )  # 1.00–1.04 and 0.95–0.99: one interval has |x − 1|
    # 1.00–1.04 and 0.95–0.99 are 0–0.04 and 0.01–0.05 away from one: they overlap
    assert "sharpness: GAN and VAE-GAN (tied)" in said
    assert "most faithful: VAE (of the 3 that have it)" in said
    assert "most diverse: VAE and AAE (tied)" in said
    assert "steadiest: VAE" in said
    assert "cheapest: VAE" in said
    assert "Too close to call (95 % intervals overlap): overall closeness." in said
    assert "Not compared (fewer than two models have it): likelihood." in said


def test_sentence_when_all_overlap() -> None:
    same = [entry(0, name=name, measures={"sharpness": measure(0.5, 0.1)}) for name in ("a", "b")]
    said = summary.sentence(report(entries=same))
    assert said.startswith("By these numbers no model can be told from another.")
    assert "sharpness" in said
    assert not any(cell.mark for row in summary.table(report(entries=same)) for cell in row.cells)


def test_sentence_without_intervals_and_alone() -> None:
    loose = [entry(0, name=name, measures={"sharpness": measure(v)}) for name, v in (("a", 0.1), ("b", 0.9))]
    assert "Not ranked (no interval): sharpness." in summary.sentence(report(entries=loose))
    assert "nothing to compare" in summary.sentence(report(entries=[entry(0)]))
    assert summary.sentence(report(entries=[]))


def test_table_groups_by_question_and_keeps_facts_unranked() -> None:
    rows = summary.table(report())
    order = [row.question for row in rows]
    assert order == sorted(order, key=list(summary.QUESTIONS).index)
    by_key = {row.key: row for row in rows}
    assert by_key["steps"].better is None
    assert not by_key["steps"].leaders
    assert by_key["parameters"].leaders == ["GAN"]  # counts are exact
    assert by_key["pixel_error"].cells[1].text == "—"
    assert "no encoder" in by_key["pixel_error"].cells[1].how
    assert "peak_memory_mib" not in by_key  # no model's could be read


def test_a_second_measure_that_disagrees_is_named() -> None:
    answers = {verdict.question: verdict for verdict in summary.verdicts(report())}
    assert [row.key for row in answers["costly"].dissent] == ["parameters"]
    assert answers["blurred"].dissent == []


def test_terminal_table() -> None:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(summary.terminal_table(report(entries=[entry(0, name="[bold]a"), entry(1)])))
    text = console.export_text()
    assert "[bold]a" in text
    assert "How faithful?" in text
    assert "—" in text


def test_the_terminal_refuses_to_rank_where_intervals_overlap() -> None:
    def shown(second: float) -> str:
        both = [
            entry(0, name=name, measures={"sharpness": measure(value, 0.1, question="quality")})
            for name, value in (("a", 0.5), ("b", second))
        ]
        console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        console.print(summary.terminal_table(report(entries=both)))
        return " ".join(console.export_text().split())

    overlapping, apart = shown(0.6), shown(0.8)
    assert "(95 % intervals overlap): cost and overall closeness." in overlapping
    assert "●" not in overlapping.split("How close overall?")[1].split("└")[0]
    assert "0.80 ●" in apart
    assert "Closest to the data overall: b." in apart
    assert all(summary.LEGEND.split(". ")[0] in text for text in (overlapping, apart))


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (None, None, "—"), (0.0, None, "0"), (0.61803, None, "0.618"), (431585, None, "431,585"),
        (97.4321, 1.1, "97.4"), (0.0113, 0.0006, "0.0113"), (-3.14159, 0.05, "−3.14"),
        (1234.5, 220.0, "1,234"),
        (1.5e12, None, "1.5e+12"), (1e-12, None, "1e−12"),
    ],
)  # fmt: skip
def test_numbers_for_people(value: float | None, half: float | None, text: str) -> None:
    assert number(value, half) == text


def test_join() -> None:
    assert [join(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


# Models


def test_json_round_trip(tmp_path: Path) -> None:
    path = page.write(report(), tmp_path)
    assert path == tmp_path / "index.html"
    again = schema.load(tmp_path / "report.json")
    assert again.entries[3].curves.terms["fake"][700] is None  # what was not finite is null
    assert again.model_dump_json() == Report.model_validate_json(report().model_dump_json()).model_dump_json()
    assert not list(tmp_path.glob(".*"))


def test_schema_is_strict() -> None:
    document = Report.model_json_schema()
    assert document["additionalProperties"] is False
    assert set(document["required"]) >= {"title", "data", "conditions", "entries"}
    with pytest.raises(ValidationError):
        Report(**{**report().model_dump(), "surprise": 1})
    with pytest.raises(ValidationError, match="unique"):
        report(entries=[entry(0), entry(0)])
    with pytest.raises(ValidationError, match="low end"):
        measure(1.0, -0.5)
    with pytest.raises(ValidationError, match="points but"):
        schema.Curves(step=[1, 2], seconds=[0.1, 0.2], terms={"loss": [1.0]})
    for path in ("/etc/passwd", "../secret.png", "a/../../b.png", "a\\b.png", ""):
        with pytest.raises(ValidationError, match="relative path"):
            entry(0, pictures={"samples": path})


def test_infinite_value_is_missing() -> None:
    record = measure(math.inf, 1.0)
    assert record.value is None
    assert record.interval is None


def test_load_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ReparamError, match="cannot read"):
        schema.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ReparamError, match="not a report"):
        schema.load(tmp_path / "bad.json")


# Page


def with_pictures(directory: Path) -> Report:
    """The comparison with small pictures of every kind on disk."""
    image = pictures.grid(torch.rand(4, 1, 8, 8))
    entries = []
    for which in range(4):
        kinds = {"samples": f"{which}-samples.png", "odd_kind": f"pictures/{which}.png"}
        if which != 1:
            kinds["reconstructions"] = f"{which}-reconstructions.png"
        for path in kinds.values():
            pictures.save(image, directory / path)
        entries.append(entry(which, pictures=kinds))
    pictures.save(image, directory / "data.png")
    data = report().data.model_copy(update={"pictures": {"samples": "data.png"}})
    return report(entries=entries, data=data)


def test_page_is_whole_and_self_contained(tmp_path: Path) -> None:
    found = with_pictures(tmp_path)
    html = page.write(found, tmp_path).read_text()
    parsed = Balance(html)
    assert (
        parsed.counts["img"] == 1 + 4 + 4 + 3 + 1
    )  # the data's samples, three kinds, the empty frame that enlarges
    assert parsed.sources
    assert all(source.startswith("data:image/png;base64,") for source in parsed.sources)
    assert "link" not in parsed.counts
    outside = re.sub(r"http://www\.w3\.org/2000/svg", "", html)  # the name of a language, not an address
    assert not re.search(r"https?://|@import|url\(", outside)
    assert all(given.get("alt") for given in parsed.attributes if given["tag"] == "img" and given.get("src"))
    assert all(given.get("scope") for given in parsed.attributes if given["tag"] == "th")
    assert summary.sentence(found).lower() in parsed.said.lower()
    assert "None for GAN." in parsed.said
    assert "Odd kind" in parsed.said
    assert "60 s of training for each model" in parsed.said
    assert "$" not in re.sub(r"\$\{", "", html.split("<body>")[0])


def test_page_escapes_hostile_names(tmp_path: Path) -> None:
    bad = HOSTILE
    spoiled = card(bad).model_copy(
        update={
            "title": bad,
            "flow": bad,
            "players": [
                schema.Player(
                    name=bad, description=bad, shapes=[schema.Layer(layer=bad, output=bad)], parameters=1
                )
            ],
            "turns": [schema.TurnCard(name=bad, moves=[schema.Move(players=[bad], lowers={bad: bad})])],
            "losses": [schema.LossCard(name=bad, summary=bad, terms={bad: bad})],
            "noise": [schema.NoiseCard(name=bad, law=bad, enters=[bad], redrawn=bad, evaluation=bad)],
            "takes": [bad],
        }
    )
    line = schema.Curves(step=[0, 1], seconds=[0.0, 1.0], terms={bad: [1.0, 2.0]})
    worst = entry(
        0, name=bad, paper=bad, settings={bad: bad}, card=spoiled, curves=line, notes=[bad],
        measures={bad: measure(None, label=bad, unit=bad, how=bad)},
        pictures={bad.replace("/", ""): "gone.png"},
    )  # fmt: skip
    data = schema.DataInfo(
        name=bad, kind=bad, shape=[2], train=1, validation=1, test=1, licence=bad, source=bad,
        pictures={bad.replace("/", ""): f"{bad.replace('/', '')}.png"},
    )  # fmt: skip
    machine = schema.Machine(python=bad, device=bad, threads=1, platform=bad, versions={bad: bad})
    spoiled_conditions = report().conditions.model_copy(
        update={"data": bad, "fingerprint": bad, "machine": machine}
    )
    worst = worst.model_copy(update={"seeds": {bad: 0}})
    found = report(
        title=bad, created=bad, budget=bad, entries=[worst, entry(1)], data=data,
        conditions=spoiled_conditions,
    )  # fmt: skip
    html = page.render(found, tmp_path)
    parsed = Balance(html)
    assert parsed.counts["script"] == 1
    assert "<script>alert" not in html
    assert bad in parsed.said
    assert "was not found" in parsed.said  # a lost picture is said, not fatal


def test_page_with_little_in_it(tmp_path: Path) -> None:
    poor = entry(0, measures={}, curves=schema.Curves(), settings={}, notes=[])
    flat = schema.Curves(step=[1], seconds=[0.0], terms={"loss": [3.0], "broken": [math.nan]})
    for entries in ([], [poor], [poor, entry(1, curves=flat)]):
        Balance(page.render(report(entries=entries, budget=None), tmp_path))


def test_marks_only_where_intervals_tell(tmp_path: Path) -> None:
    same = [
        entry(0, name=name, measures={"sharpness": measure(v, 1.0)}) for name, v in (("a", 0.4), ("b", 0.6))
    ]
    parsed = Balance(page.render(report(entries=same), tmp_path))
    assert not any(given.get("class") in ("best", "tied") for given in parsed.attributes)
    apart = [
        entry(0, name=name, measures={"sharpness": measure(v, 0.1)}) for name, v in (("a", 0.1), ("b", 0.9))
    ]
    parsed = Balance(page.render(report(entries=apart), tmp_path))
    assert sum(given.get("class") == "best" for given in parsed.attributes) == 1


# Pictures


def test_grid_keeps_pixels_and_enlarges_by_whole_numbers() -> None:
    images = torch.zeros(3, 1, 2, 2)
    images[2] = torch.tensor([[0.0, 1.0], [0.5, 2.0]])  # out of range is clamped
    picture = pictures.grid(images, columns=2, gap=1, scale=3)
    assert picture.mode == "LA"
    assert picture.size == (2 * 6 + 1, 2 * 6 + 1)
    pixels = np.asarray(picture)
    assert pixels[7:, :6, 0].reshape(2, 3, 2, 3).mean(axis=(1, 3)).tolist() == [[0, 255], [128, 255]]
    assert (pixels[6, :, 1] == 0).all()  # the gap
    assert (pixels[7:, 7:, 1] == 0).all()  # the cell that is not there


def test_automatic_enlargement() -> None:
    assert pictures.grid(torch.rand(64, 1, 28, 28)).size == (8 * 84 + 14, 8 * 84 + 14)
    assert pictures.grid(torch.rand(4, 3, 128, 128)).size == (258, 258)


@pytest.mark.parametrize(("channels", "mode"), [(1, "LA"), (2, "LA"), (3, "RGBA"), (4, "RGBA"), (7, "RGBA")])
def test_channels(channels: int, mode: str) -> None:
    assert pictures.grid(torch.rand(2, channels, 4, 4)).mode == mode
    assert (pictures.channels_note(channels) is None) == (channels in (1, 3))


def test_opacity_is_over_white() -> None:
    clear = torch.zeros(1, 4, 2, 2)
    assert np.asarray(pictures.grid(clear, scale=1))[0, 0].tolist() == [255, 255, 255, 255]


def test_what_is_not_finite_shows() -> None:
    images = torch.zeros(1, 1, 2, 2)
    images[0, 0, 0, 0] = math.nan
    pixels = np.asarray(pictures.grid(images, scale=1))
    assert pixels[0, 0].tolist() == [255, 0, 255, 255]
    assert pixels[1, 1].tolist() == [0, 0, 0, 255]
    assert pictures.pairs(torch.zeros(1, 1, 2, 2), images).mode == "RGBA"


def test_pairs_put_originals_above() -> None:
    pixels = np.asarray(
        pictures.pairs(torch.zeros(3, 1, 2, 2), torch.ones(3, 1, 2, 2), columns=2, gap=1, scale=1)
    )
    assert pixels[:2, :2, 0].max() == 0
    assert pixels[3:5, :2, 0].min() == 255
    assert pixels.shape[0] == 4 * 2 + 1 + 4 + 1


def test_interpolation_is_one_walk_a_row() -> None:
    strip = torch.linspace(0, 1, 5).expand(2, 5)[..., None, None, None].expand(2, 5, 1, 2, 2)
    pixels = np.asarray(pictures.interpolation(strip, gap=0, scale=1))
    assert pixels.shape == (4, 10, 2)
    assert pixels[0, ::2, 0].tolist() == [0, 64, 128, 191, 255]


def test_wrong_shapes_are_explained() -> None:
    with pytest.raises(ReparamError, match=r"\(n, c, h, w\)"):
        pictures.grid(torch.rand(28, 28))
    with pytest.raises(ReparamError, match="differ in shape"):
        pictures.pairs(torch.rand(2, 1, 4, 4), torch.rand(3, 1, 4, 4))
    with pytest.raises(ReparamError, match="steps"):
        pictures.interpolation(torch.rand(4, 1, 4, 4))
    with pytest.raises(ReparamError, match=r"\(n, 2\)"):
        pictures.scatter(torch.rand(5, 3))
    with pytest.raises(ReparamError, match="labels"):
        pictures.scatter(torch.rand(5, 2), labels=torch.zeros(4))


def test_scatter() -> None:
    points = torch.randn(200, 2)
    points[0] = math.nan
    plain = pictures.scatter(points)
    assert plain.size == (480 + 34, 480 + 34)
    full = pictures.scatter(points, torch.arange(200) % 12, torch.randn(100, 2), names=["one", "two"])
    assert full.width > plain.width
    assert len({tuple(pixel) for pixel in np.asarray(full).reshape(-1, 4)[:, :3]}) > 10
    pictures.scatter(np.full((3, 2), np.nan))
    pictures.scatter(np.zeros((1, 2)), limits=(-1, 1, -1, 1))


def test_save_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = pictures.save(pictures.grid(torch.rand(1, 1, 2, 2)), tmp_path / "deep" / "a.png")
    before = path.read_bytes()
    with Image.open(path) as image:
        assert image.mode == "LA"

    class Broken(Image.Image):
        def save(self, *_: Any, **__: Any) -> None:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        pictures.save(Broken(), path)
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == ["a.png"]


def test_ticks() -> None:
    assert ticks(0, 59.96, 4) == [0, 20, 40, 60]
    assert ticks(-0.13, 0.21, 4) == [-0.1, 0, 0.1, 0.2]
    assert [short(tick) for tick in (-0.5, 20_000, 3e6)] == ["−0.5", "20k", "3M"]
