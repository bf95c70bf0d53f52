"""The comparison as a whole, on pictures made here: training, measures, pictures, page."""

from pathlib import Path

import numpy as np
import pytest

import reparam
from reparam.compare import compare
from reparam.data import Data, load
from reparam.report import schema


@pytest.fixture(scope="module")
def data() -> Data:
    rng = np.random.default_rng(0)
    return load({"x": rng.random((60, 16, 16), dtype=np.float32), "y": np.arange(60) % 3})


def test_a_comparison_measures_draws_and_writes(data: Data, tmp_path: Path) -> None:
    small = {"autoencoder": {"width": 16}, "gan": {"width": 16}}
    told: list[str] = []
    report = compare(
        ["autoencoder", "gan"],
        data=data,
        out=tmp_path / "report",
        steps=16,
        settings=small,
        device="cpu",
        progress=lambda label, *_: told.append(label),
    )
    assert told == ["autoencoder"] * 16 + ["gan"] * 16
    assert schema.load(tmp_path / "report" / "report.json") == report
    autoencoder, gan = report.entries
    for entry in report.entries:
        assert {"sharpness", "recall", "kernel_distance", "steadiness"} <= set(entry.measures)
        assert all((tmp_path / "report" / path).is_file() for path in entry.pictures.values())
        assert entry.cost.steps == 16
        assert entry.cost.peak_memory_mib is None  # one process trained both
        # Sixteen probes were made, one a step, and are drawn at the log's rows.
        assert [v for v in entry.curves.terms["samples.kernel distance to validation"] if v is not None]
    assert autoencoder.measures["mse"].value is not None
    assert gan.measures["mse"].value is None
    assert "reconstructions" not in gan.pictures
    assert "data:image/png" in (tmp_path / "report" / "index.html").read_text()

    with pytest.raises(reparam.ReparamError, match="not empty"):
        compare(["gan"], data=data, out=tmp_path / "report", steps=1)


def test_finished_runs_are_measured_and_compared(data: Data, tmp_path: Path) -> None:
    runs = []
    for name in ("vae", "sigma-vae"):
        run = tmp_path / name
        reparam.train(reparam.build(name, data, width=16, latent=2), run, data=data, steps=3, device="cpu")
        runs.append(str(run))
    report = compare(
        runs, data=data, out=tmp_path / "report", device="cpu", split="validation", extractor="pixels"
    )
    assert report.conditions.split == "validation"
    assert {entry.measures["recall"].extractor for entry in report.entries} == {"pixels"}
    assert [entry.name for entry in report.entries] == ["vae", "sigma-vae"]
    assert all("latent" in entry.pictures for entry in report.entries)
    for entry in report.entries:
        codes = {key: m for key, m in entry.measures.items() if m.question == "codes"}
        assert {"probe", "mutual_information", "active_units", "code_use"} <= set(codes)
        assert codes["active_units"].value is not None
        assert "validation split" in codes["active_units"].how
