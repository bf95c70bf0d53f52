"""Who is better, said no more firmly than the numbers allow: the sentence that answers, and the table."""

from dataclasses import dataclass
from statistics import median_low
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from reparam.report.ranking import Mark, join, leaders, number
from reparam.report.schema import Better, Cost, MeasureRecord, Question, Report


class Words(NamedTuple):
    """How a question is asked, how its winner is called, and what the matter is."""

    asked: str
    winner: str
    matter: str


QUESTIONS: dict[Question, Words] = {
    "recommended": Words("How well recommended?", "best recommendations", "recommendation"),
    "blurred": Words("How blurred?", "sharpest", "sharpness"),
    "faithful": Words("How faithful?", "most faithful", "faithfulness"),
    "codes": Words("What do the codes hold?", "most telling codes", "what the codes hold"),
    "diverse": Words("How diverse?", "most diverse", "diversity"),
    "steady": Words("How steady?", "steadiest", "steadiness"),
    "costly": Words("How costly?", "cheapest", "cost"),
    "quality": Words("How close overall?", "closest to the data overall", "overall closeness"),
    "likelihood": Words("How likely?", "highest likelihood", "likelihood"),
}
BETTER: dict[Better, tuple[str, str]] = {
    "lower": ("↓", "lower is better"),
    "higher": ("↑", "higher is better"),
    "one": ("→ 1", "nearer to one is better"),
    "zero": ("→ 0", "nearer to zero is better"),
}
LEGEND = "● best, ○ tied. No mark: the 95 % intervals (small) overlap, or there is none; nothing is ranked."


@dataclass(frozen=True)
class Cell:
    """One model's value of one measure; ``half`` is the half-width that sets its row's decimals."""

    entry: str
    record: MeasureRecord | None
    mark: Mark = ""
    half: float | None = None

    @property
    def text(self) -> str:
        """The value, with the decimals its interval deserves."""
        return number(self.record.value, self.half) if self.record else "—"

    @property
    def interval(self) -> str:
        """The 95 % interval; empty where there is none, or the value is exact."""
        ends = self.record.interval if self.record else None
        if ends is None or ends[0] == ends[1]:
            return ""
        return f"{number(ends[0], self.half)} – {number(ends[1], self.half)}"

    @property
    def how(self) -> str:
        """How the value was got, or why there is none."""
        return self.record.how if self.record else "not measured for this model"

    @property
    def has_value(self) -> bool:
        """Whether there is a value at all."""
        return self.record is not None and self.record.value is not None


@dataclass(frozen=True)
class Row:
    """One measure over all models; ``better`` is None for a plain fact, which is not ranked."""

    key: str
    question: Question
    label: str
    unit: str
    better: Better | None
    cells: list[Cell]

    @property
    def leaders(self) -> list[str]:
        """The models ahead of the rest; none where the intervals do not tell."""
        return [cell.entry for cell in self.cells if cell.mark]

    @property
    def measured(self) -> int:
        """How many models have a value."""
        return sum(cell.has_value for cell in self.cells)

    @property
    def rankable(self) -> bool:
        """Whether at least two values can be compared: each has an interval."""
        records = [cell.record for cell in self.cells if cell.record and cell.has_value]
        return len(records) > 1 and all(record.interval is not None for record in records)

    @property
    def winners(self) -> str:
        """The leaders in words."""
        return join(self.leaders)

    @property
    def proviso(self) -> str:
        """Whether the leaders are tied, and among how many, where not all have the measure."""
        tied = ["tied"] if len(self.leaders) > 1 else []
        partial = [f"of the {self.measured} that have it"] if self.measured < len(self.cells) else []
        return f" ({', '.join(tied + partial)})" if tied or partial else ""

    @property
    def verdict(self) -> str:
        """Who leads, or why nobody does."""
        if self.leaders:
            return self.winners + self.proviso
        if self.measured < 2:
            return "not compared: fewer than two models have it"
        return "too close to call: 95 % intervals overlap" if self.rankable else "not ranked: no interval"


@dataclass(frozen=True)
class Verdict:
    """The answer to one question: its first measure decides; ``dissent`` names those that say otherwise."""

    question: Question
    words: Words
    row: Row
    dissent: list[Row]


def table(report: Report) -> list[Row]:
    """The comparison: rows in the order of the questions, cells in the order of the entries."""
    found: dict[str, dict[str, MeasureRecord]] = {}
    for measures in ("measured", "billed"):  # what was measured comes before the bill
        for entry in report.entries:
            records = entry.measures if measures == "measured" else _bill(entry.cost)
            for key, record in records.items():
                found.setdefault(key, {}).setdefault(entry.name, record)
    names = [entry.name for entry in report.entries]
    measured = {key for entry in report.entries for key in entry.measures}
    rows = [
        _row(key, names, records, fact=key in _FACTS and key not in measured)
        for key, records in found.items()
        if key in measured or any(record.value is not None for record in records.values())
    ]
    order = list(QUESTIONS)
    return sorted(rows, key=lambda row: order.index(row.question))


def verdicts(report: Report) -> list[Verdict]:
    """One answer a question, from its first measure that two models have (or its first, if none has)."""
    answers = []
    rows = [row for row in table(report) if row.better]
    for question, words in QUESTIONS.items():
        asked = [row for row in rows if row.question == question]
        if not asked:
            continue
        first = next((row for row in asked if row.measured > 1), asked[0])
        if question == "blurred" and first.better == "one":
            words = words._replace(winner="closest to the data's sharpness")
        dissent = [row for row in asked if row.leaders and not {*row.leaders} & {*first.leaders}]
        answers.append(Verdict(question, words, first, dissent))
    return answers


def sentence(report: Report) -> str:
    """The sentence that answers: who leads in what; then what the numbers cannot tell apart."""
    won = "; ".join(
        f"{v.words.winner}: {v.row.winners}{v.row.proviso}" for v in verdicts(report) if v.row.leaders
    )
    return " ".join([*([f"{won[0].upper()}{won[1:]}."] if won else []), *caveats(report)])


def caveats(report: Report) -> list[str]:
    """The sentences after the first: what is too close to call, what is not ranked, what is not compared."""
    if len(report.entries) < 2:
        return ["One model alone: nothing to compare it with."]
    answers = verdicts(report)
    unsettled = [answer for answer in answers if not answer.row.leaders]
    close = [answer.words.matter for answer in unsettled if answer.row.rankable]
    blind = [a.words.matter for a in unsettled if not a.row.rankable and a.row.measured > 1]
    alone = [answer.words.matter for answer in unsettled if answer.row.measured < 2]
    parts = ["By these numbers no model can be told from another."] if len(unsettled) == len(answers) else []
    parts += [f"Too close to call (95 % intervals overlap): {join(close)}."] if close else []
    parts += [f"Not ranked (no interval): {join(blind)}."] if blind else []
    parts += [f"Not compared (fewer than two models have it): {join(alone)}."] if alone else []
    return parts


def terminal_table(report: Report) -> Table:
    """The comparison for the terminal, the sentence that answers and the meaning of the marks below it."""
    out = Table(title=Text(report.title), caption_justify="left")
    out.caption = Text(f"{sentence(report)}\n\n{LEGEND}")
    out.add_column("measure")
    for entry in report.entries:
        out.add_column(Text(entry.name), justify="right")
    question = None
    for row in table(report):
        if row.question != question:
            question = row.question
            out.add_section()
            out.add_row(Text(QUESTIONS[question].asked, style="bold"))
        arrow = BETTER[row.better][0] if row.better else ""
        label = " ".join(part for part in (row.label, f"({row.unit})" if row.unit else "", arrow) if part)
        out.add_row(Text(f"  {label}"), *(_terminal_cell(cell) for cell in row.cells))
    return out


_FACTS = {"steps": "Steps taken", "examples": "Examples seen", "seconds": "Training time"}


def _bill(cost: Cost) -> dict[str, MeasureRecord]:
    """What training took, as measures. Parameters are exact; speed has the interval it was given."""

    def record(label: str, value: float | None, low: float | None, high: float | None, unit: str, how: str):
        return MeasureRecord(
            label=label,
            question="costly",
            value=value,
            low=low,
            high=high,
            n=1,
            unit=unit,
            better="lower",
            how=how,
        )

    size, low, high, memory = (
        cost.parameters,
        cost.ms_per_step_low,
        cost.ms_per_step_high,
        cost.peak_memory_mib,
    )
    seen = (
        "highest while training, seen once: of the tensors on a GPU; on a CPU of the whole process, with the "
        "library, the data and whatever else it held"
        if memory is not None
        else "not known: this system does not tell, or one process trained several models"
    )
    speed = record(
        "Time per step",
        cost.ms_per_step,
        low,
        high,
        "ms",
        "training time over steps; a step is one round of all turns",
    )
    return {
        "ms_per_step": speed.model_copy(update={"n": cost.steps}),
        "parameters": record(
            "Parameters", size, size, size, "", "counted: every trainable number of every player"
        ),
        "peak_memory_mib": record("Peak memory", memory, None, None, "MiB", seen),
        "steps": record(_FACTS["steps"], cost.steps, None, None, "", "rounds of all turns within the budget"),
        "examples": record(
            _FACTS["examples"], cost.examples, None, None, "", "training examples seen, repeats counted"
        ),
        "seconds": record(_FACTS["seconds"], cost.seconds, None, None, "s", "wall-clock time"),
    }


def _row(key: str, names: list[str], records: dict[str, MeasureRecord], fact: bool) -> Row:
    first = next(iter(records.values()))
    marks = leaders([None if fact else records.get(name) for name in names])
    ends = [record.interval for record in records.values() if record.interval]
    halves = [(high - low) / 2 for low, high in ends if high > low]
    half = median_low(halves) if halves else None
    cells = [Cell(name, records.get(name), mark, half) for name, mark in zip(names, marks, strict=True)]
    return Row(key, first.question, first.label, first.unit, None if fact else first.better, cells)


def _terminal_cell(cell: Cell) -> Text:
    text = Text(cell.text, style={"best": "bold green", "tied": "green", "": ""}[cell.mark])
    text.append({"best": " ●", "tied": " ○", "": ""}[cell.mark])
    if cell.interval:
        text.append(f"\n{cell.interval}", style="dim")
    return text
