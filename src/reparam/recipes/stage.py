"""First stages: finished runs that a second one learns from."""

from typing import Annotated

from pydantic import PlainValidator

from reparam.errors import ReparamError
from reparam.registry import DataFacts
from reparam.system import System, finished

Stage = Annotated[System, PlainValidator(finished)]
"""A finished run by its folder, or its system; kept in a run of the second stage by its description."""


def same_shape(stage1: System, data: DataFacts) -> System:
    """The first stage. Raises ReparamError where it is of other data."""
    if stage1.data.shape != data.shape:
        raise ReparamError(
            f"stage1 was trained on {stage1.data.name} {stage1.data.shape}, and {data.name} is {data.shape}; "
            "give the data of the first stage."
        )
    return stage1
