"""Generated pages: the README's tables from the registry and `benchmarks/results`, the command line's page,
the JSON schemas. `make docs` runs it; a test holds the committed pages to it."""

import importlib
import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

from reparam.checkpoint import Content
from reparam.commands.reference import reference
from reparam.contract import clauses
from reparam.registry import models
from reparam.report.schema import Card, Evaluation, Report
from reparam.run import RunSettings

ROOT = Path(__file__).parent.parent
RESULTS, FIGURES = Path(__file__).parent / "results", Path(__file__).parent / "figures"


def systems() -> str:
    """A row a system."""
    rows = ["| system | takes | paper |", "|---|---|---|"]
    rows += [f"| `{name}` | {', '.join(cls.takes)} | {cls.paper} |" for name, cls in models().items()]
    return "\n".join(rows) + f"\n\nEvery one passes the {len(clauses())} clauses of the contract."


def figures() -> str:
    """The rows of every figure: what was asked and what was measured."""
    rows = ["| figure | asked | measured |", "|---|---|---|"]
    sys.path.insert(0, str(FIGURES))
    for name in runpy.run_path(str(FIGURES / "__main__.py"))["FIGURES"]:
        path = RESULTS / f"{name}.json"
        if not path.is_file():
            rows.append(
                f"| {name} | see `benchmarks/figures/{name.replace('-', '_')}.py` | not measured yet |"
            )
            continue
        content = json.loads(path.read_text())
        for what, measured in importlib.import_module(name.replace("-", "_")).words(content):
            cells = (what, content["target"], measured)
            rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(rows)


def steps() -> str:
    """A row a model and network: the cost of a step beside the hand-written loop's."""
    path = RESULTS / "step.json"
    if not path.is_file():
        return "Not measured yet: `make benchmark-step`."
    content = json.loads(path.read_text())
    rows = ["| model | network | by hand | reparam | ratio | asked |", "|---|---|---|---|---|---|"]
    rows += [
        f"| {r['model']} | {r['network']}, batch {r['batch']} | {r['hand_written_ms']:.2f} ms "
        f"| {r['ours_ms']:.2f} ms | {r['ratio']:.3f} | ≤ {r['limit']:.2f} |"
        for r in content["rows"]
    ]
    pairs = content["rows"][0]["pairs"]
    about = f"Medians of {pairs} pairs on {content['device']}, {content['threads']} thread(s)."
    return "\n".join(rows) + f"\n\n{about}"


def peers() -> str:
    """A row a model and setting: pythae beside reparam on the same work."""
    path = RESULTS / "peers.json"
    if not path.is_file():
        return "Not measured yet: `make benchmark-peers`."
    content = json.loads(path.read_text())
    rows = [
        "| model | setting | pythae, digits/s | reparam, digits/s | ratio | asked |",
        "|---|---|---|---|---|---|",
    ]
    for r in content["rows"]:
        asked = f"≥ {r['target']:.1f}" if "target" in r else ""
        ours, theirs = (f"{r[side]['samples_a_second']:,.0f}" for side in ("reparam", "pythae"))
        spread = f"{r['ratio']:.2f} ({r['ratios'][0]:.2f} – {r['ratios'][-1]:.2f})"
        rows.append(f"| {r['model']} | {r['setting']} | {theirs} | {ours} | {spread} | {asked} |")
    rows += ["", "| as it ships | | squared error | kernel distance | peak memory |", "|---|---|---|---|---|"]
    for r in content["rows"]:
        for side in ("pythae", "reparam") if r["setting"] == "as it ships" else ():
            error, distance = (
                _with_interval(r[side][name]) if name in r[side] else "no prior"
                for name in ("squared_error", "kernel_distance")
            )
            rows.append(f"| {r['model']} | {side} | {error} | {distance} | {r[side]['peak_mib']:.0f} MiB |")
    first = content["rows"][0]
    about = (
        f"{content['data']}, {content['networks']}, {first['epochs']} epochs; medians of {first['pairs']} "
        f"pairs (and their range), {content['threads']} thread(s), pythae {content['versions']['pythae']}. "
        f"Quality on {content['measured_on']}."
    )
    return "\n".join(rows) + f"\n\n{about}"


def _with_interval(measured: dict[str, Any]) -> str:
    return f"{measured['mean']:.4f} ({measured['low']:.4f} – {measured['high']:.4f})"


def readme(text: str) -> str:
    """The README with its generated parts anew."""
    parts = {"systems": systems(), "figures": figures(), "steps": steps(), "peers": peers()}
    for name, part in parts.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text = re.sub(pattern, lambda m, part=part: f"{m[1]}{part}\n{m[2]}", text, flags=re.DOTALL)
    return text


def pages() -> dict[Path, str]:
    """Every generated page and what it must hold."""
    path = ROOT / "README.md"
    schemas = {
        "report": Report.model_json_schema(),
        "measures": Evaluation.model_json_schema(),
        "card": Card.model_json_schema(),
        "run": RunSettings.model_json_schema(),
        "checkpoint": Content.model_json_schema(),
    }
    return {
        path: readme(path.read_text()),
        ROOT / "docs" / "cli.md": reference(),
        **{
            ROOT / "docs" / "schemas" / f"{name}.json": json.dumps(schema, indent=1, ensure_ascii=False)
            + "\n"
            for name, schema in schemas.items()
        },
    }


if __name__ == "__main__":
    for path, content in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
