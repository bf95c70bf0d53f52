"""Generated pages: the README's tables from the registry and `benchmarks/results`, the command line's page,
the JSON schemas. `make docs` runs it; a test holds the committed pages to it."""

import json
import re
from pathlib import Path
from typing import Any

from reparam.checkpoint import Content
from reparam.commands.reference import reference
from reparam.contract import clauses
from reparam.registry import models
from reparam.report.schema import Card, Evaluation, Report
from reparam.run import RunSettings

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"


def systems() -> str:
    """A row a system."""
    rows = ["| system | takes | paper |", "|---|---|---|"]
    rows += [f"| `{name}` | {', '.join(cls.takes)} | {cls.paper} |" for name, cls in models().items()]
    return "\n".join(rows) + f"\n\nEvery one passes the {len(clauses())} clauses of the contract."


def figures() -> str:
    """A row a figure that was measured."""
    rows = ["| figure | asked | measured |", "|---|---|---|"]
    for name, words in {
        "vae-mnist": _vae,
        "25gaussians": _toys,
        "aae-ring": _ring,
        "vae-gan": _avatars,
        "vqvae": _codes,
        "25gaussians-pairs": _toys,
        "lines": _lines,
    }.items():
        path = RESULTS / f"{name}.json"
        if path.is_file():
            content = json.loads(path.read_text())
            rows += [f"| {label} | {content['target']} | {measured} |" for label, measured in words(content)]
        else:
            rows.append(f"| {name} | see `benchmarks/figures.py` | not measured yet |")
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
        for side in ("pythae", "reparam") if "target" in r else ():
            error, distance = (_with_interval(r[side][name]) for name in ("squared_error", "kernel_distance"))
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


def _vae(content: dict[str, Any]) -> list[tuple[str, str]]:
    low, high = content["interval"]
    return [
        (
            "VAE on dynamically binarised MNIST, importance-weighted, K = 500, whole test set",
            f"{content['negative_log_likelihood']:.2f} nats ({low:.2f} – {high:.2f}) "
            f"in {content['cpu_minutes']:.0f} CPU minutes; negative ELBO {content['negative_elbo']:.2f}",
        )
    ]


def _toys(content: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for model in dict.fromkeys(row["model"] for row in content["rows"]):
        rows = [row for row in content["rows"] if row["model"] == model]
        modes = ", ".join(f"{row['modes']:.0f}" for row in rows)
        quality = ", ".join(f"{100 * row['quality']:.0f} %" for row in rows)
        found.append(
            (f"25 Gaussians, {model}, {len(rows)} seeds", f"modes {modes}; of high quality {quality}")
        )
    return found


def _lines(content: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for row in content["rows"]:
        words = []
        for key in ("distance", "smoothness"):
            low, high = row[key]["interval"]
            words.append(f"{key} {row[key]['value']:.4f} ({low:.4f} – {high:.4f})")
        found.append((f"Walks between lines, {row['model']}", "; ".join(words)))
    return found


def _ring(content: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for model in ("aae", "vae"):
        rows = [row for row in content["rows"] if row["model"] == model]
        words = "; ".join(f"{row['mmd2']:.5f} ({row['ratio']:.1f} ×)" for row in rows)
        found.append(
            (f"Codes against prior in the plane, {model}, MNIST, {len(rows)} seeds", f"MMD² {words}")
        )
    return found


def _avatars(content: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for row in content["rows"]:
        low, high = row["kernel_distance_interval"]
        found.append(
            (
                f"{row['model']} on avatars",
                f"sharpness {row['sharpness']:.2f} of the data's; "
                f"kernel distance {row['kernel_distance']:.3f} ({low:.3f} – {high:.3f}); "
                f"Fréchet {row['frechet']:.1f} (floor {row['frechet_floor']:.1f})",
            )
        )
    return found


def _codes(content: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for row in content["rows"]:
        low, high = row["samples"]["interval"]
        made = row["reconstructions"]["kernel_distance"]
        used = f"{row['used']} of {row['entries']} entries used; " if "used" in row else ""
        found.append(
            (
                f"{row['model']} on avatars, {row['codes']} codes",
                f"{used}samples' kernel distance {row['samples']['kernel_distance']:.3f} "
                f"({low:.3f} – {high:.3f}), reconstructions' {made:.3f}; "
                f"{row['bits_per_dim']:.2f} bits/dim with the codes' cost",
            )
        )
    return found


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
