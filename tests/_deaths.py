"""Deaths inside the process: an exception that nothing catches, at a chosen line of the library."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import reparam

HOME = Path(reparam.__file__).parent
WATCHED = {str(HOME / f"{name}.py") for name in ("run", "checkpoint", "trainer", "system", "engine")}

Place = tuple[str, str]
"""The file and the function of a line."""


class Death(BaseException):
    """Stands for SIGKILL: no handler of errors sees it."""


@contextmanager
def lines(at: Callable[[int, Place], None]) -> Iterator[None]:
    """Calls `at` before every line of the library's core that is played, with its number."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line":
            count += 1
            at(count, (Path(frame.f_code.co_filename).stem, frame.f_code.co_name))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def counted(work: Callable[[], Any]) -> list[Place]:
    """The place of every line that some work plays."""
    places: list[Place] = []
    with lines(lambda _, place: places.append(place)):
        work()
    return places


def dies(work: Callable[[], Any], moment: int) -> bool:
    """Whether the work died before that line; False if it ended earlier."""

    def strike(count: int, _: Place) -> None:
        if count == moment:
            raise Death

    try:
        with lines(strike):
            work()
    except Death:
        return True
    return False
