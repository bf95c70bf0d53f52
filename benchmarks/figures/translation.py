"""Avatars of one style in another, learned without pairs: what of a person is kept."""

from typing import Any

from common import trained

from reparam.data import Data
from reparam.data import load as load_data
from reparam.system import System

SYSTEMS: dict[str, dict[str, Any]] = {
    "cyclegan": {"steps": 3000, "width": 64, "blocks": 4, "lr": 4e-4},
    "u-gat-it": {"steps": 1800, "width": 64, "blocks": 3, "lr": 4e-4},
    "munit": {"steps": 2300, "width": 64, "blocks": 3, "lr": 4e-4},
}


def taught(name: str, data: Data) -> System:
    """A translator, trained or taken up where it was left."""
    return trained(f"styles-{name}", name, data, **SYSTEMS[name], options={"batch_size": 4})


def domains() -> Data:
    """avataaars → adventurer; nobody is seen in both."""
    return load_data("avatars:avataaars", to="avatars:adventurer", disjoint=True)
