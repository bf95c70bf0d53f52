"""The walk-through of CONTRIBUTING.md is run as it stands there."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import reparam
from reparam import registry
from reparam.contract import check
from reparam.data import load

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
FILES = dict(re.findall(r"`src/(reparam/\S+\.py)`:\n\n```python\n(.*?)```", TEXT, re.DOTALL))


def imported(path: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    file = folder / Path(path).name.replace(".py", f"_{Path(path).parent.name}.py")
    file.write_text(FILES[path])
    name = path.removesuffix(".py").replace("/", ".")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_the_example_trains_and_passes_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported("reparam/models/laplace_vae.py", tmp_path, monkeypatch)
    recipe = imported("reparam/recipes/laplace_vae.py", tmp_path, monkeypatch).laplace_vae
    monkeypatch.setattr(registry, "recipes", lambda: {"laplace-vae": recipe})
    x = torch.rand(64, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    data = load({"x": x.numpy()})
    system = reparam.build("laplace-vae", data, latent=2, width=16)
    check(system, data.batch(data.train, torch.arange(6)))
    trained = reparam.train(system, tmp_path / "run", steps=5, device="cpu")
    assert trained.sample(3).isfinite().all()
