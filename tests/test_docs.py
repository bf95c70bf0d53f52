"""Generated pages are as their generator makes them; what is embedded stays small."""

import importlib.util
from pathlib import Path

import reparam.data

ROOT = Path(__file__).parent.parent


def test_generated_pages_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "benchmarks" / "tables.py")
    assert spec
    assert spec.loader
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    stale = [path.name for path, content in tables.pages().items() if path.read_text() != content]
    assert not stale, f"run `make docs`: {', '.join(stale)}"


def test_embedded_data_stay_small_and_licensed() -> None:
    folder = Path(reparam.data.__file__).parent / "embedded"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 12e6
    assert (folder / "LICENSES.md").is_file()


def test_nothing_is_unpickled() -> None:
    banned = ("torch.load(", "pickle.load", "allow_pickle=True", "torch.save(")
    for file in (ROOT / "src").rglob("*.py"):
        text = file.read_text()
        if file.name == "features.py":  # the extractor's published weights, tensors alone
            assert text.count("torch.load(") == text.count("weights_only=True") == 1
            text = text.replace("torch.load(", "")
        found = [call for call in banned if call in text]
        assert not found, f"{file.name}: {found}"
