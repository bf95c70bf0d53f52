"""Who is better, said no more firmly than the numbers allow: the sentence that answers, and the table."""

from dataclasses import dataclass
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
    "blurred": Words("How blurred?", "sharpest", "sharpness"),
    "faithful": Words("How faithful?", "most faithful", "faithfulness"),
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


@dataclass(frozen=True)
class Cell:
    """One model's value of one measure, ready to show; ``how`` says how it was got, or why it is missing."""

    entry: str
    record: MeasureRecord | None
    mark: Mark = ""

    @property
    def text(self) -> str:
        """The value, with the decimals its interval deserves."""
        return number(self.record.value, self._half) if self.record else "—"

    @property
    def interval(self) -> str:
        """The 95 % interval; empty where there is none, or the value is exact."""
        ends = self.record.interval if self.record else None
        return f"{number(ends[0], self._half)} – {number(ends[1], self._half)}" if ends and self._half else ""

    @property
    def how(self) -> str:
        return self.record.how if self.record else "not measured for this model"

    @property
    def has_value(self) -> bool:
        return self.record is not None and self.record.value is not None

    @property
    def _half(self) -> float | None:
        ends = self.record.interval if self.record else None
        return (ends[1] - ends[0]) / 2 if ends else None


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
        """The leaders in words: tied or not, and of how many."""
        tied = " (tied)" if len(self.leaders) > 1 else ""
        partial = f" (of the {self.measured} that have it)" if self.measured < len(self.cells) else ""
        return join(self.leaders) + tied + partial

    @property
    def verdict(self) -> str:
        """Who leads, or why nobody does."""
        if self.leaders:
            return self.winners
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
        _row(key, names, records, key in _FACTS and key not in measured) for key, records in found.items()
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
    """The sentence that answers: who leads in what, and what the numbers cannot tell apart."""
    if len(report.entries) < 2:
        return "One model alone: nothing to compare it with."
    answers = verdicts(report)
    open_ones = [answer for answer in answers if not answer.row.leaders]
    won = [f"{answer.words.winner}: {answer.row.winners}" for answer in answers if answer.row.leaders]
    close = [answer.words.matter for answer in open_ones if answer.row.rankable]
    blind = [a.words.matter for a in open_ones if not a.row.rankable and a.row.measured > 1]
    alone = [answer.words.matter for answer in open_ones if answer.row.measured < 2]
    parts = ["; ".join(won) if won else "by these numbers no model can be told from another"]
    parts += [f"too close to call (95 % intervals overlap): {join(close)}"] if close else []
    parts += [f"not ranked (no interval): {join(blind)}"] if blind else []
    parts += [f"not compared (fewer than two models have it): {join(alone)}"] if alone else []
    return " ".join(part[0].upper() + part[1:] + "." for part in parts)


def terminal_table(report: Report) -> Table:
    """The comparison for the terminal: ● the best, ○ tied for it, nothing where the intervals overlap."""
    out = Table(title=Text(report.title), caption=Text(sentence(report)), caption_justify="left")
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
        cost.peak_memory_mb,
    )
    seen = "highest use while training, seen once" if memory is not None else "cannot be read on this device"
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
        "peak_memory_mb": record("Peak memory", memory, None, None, "MB", seen),
        "steps": record(_FACTS["steps"], cost.steps, None, None, "", "rounds of all turns within the budget"),
        "examples": record(
            _FACTS["examples"], cost.examples, None, None, "", "training examples seen, repeats counted"
        ),
        "seconds": record(_FACTS["seconds"], cost.seconds, None, None, "s", "wall-clock time"),
    }


def _row(key: str, names: list[str], records: dict[str, MeasureRecord], fact: bool) -> Row:
    first = next(iter(records.values()))
    marks = leaders([None if fact else records.get(name) for name in names])
    cells = [Cell(name, records.get(name), mark) for name, mark in zip(names, marks, strict=True)]
    return Row(key, first.question, first.label, first.unit, None if fact else first.better, cells)


def _terminal_cell(cell: Cell) -> Text:
    text = Text(cell.text, style={"best": "bold green", "tied": "green", "": ""}[cell.mark])
    text.append({"best": " ●", "tied": " ○", "": ""}[cell.mark])
    if cell.interval:
        text.append(f"\n{cell.interval}", style="dim")
    return text
