"""docs/cli.md, from the signatures and docstrings of the help: `python -m reparam.commands.reference`."""

import inspect
import re
import typing
from collections.abc import Callable, Iterator
from types import NoneType, UnionType
from typing import Any

INTRODUCTION = """\
# Command line

Every command, by its own help: `reparam COMMAND --help`. This page is made from the same signatures and
docstrings by `python -m reparam.commands.reference > docs/cli.md`, and a test holds it to them.

A flag that takes several words may also be repeated: `--set a=1 b=2` is `--set a=1 --set b=2`. Values of
settings are read as YAML. Messages go to stderr, results to stdout. Exit codes: 0 done, 2 wrong usage or
something to be mended (one message says what), 130 interrupted.
"""


def reference() -> str:
    """The page, as Markdown."""
    from reparam.cli import COMMANDS, GROUPS

    commands = {name: command for name, command in COMMANDS.items() if name not in GROUPS}
    for group, members in GROUPS.items():
        commands |= {f"{group} {name}": command for name, command in members.items()}
    return INTRODUCTION + "".join(_section(name, command) for name, command in commands.items())


def _section(name: str, command: Callable[..., None]) -> str:
    about, _, arguments = (inspect.getdoc(command) or "").partition("\n\nArgs:\n")
    helps = {
        found[1]: " ".join(found[2].split())
        for found in re.finditer(r"^    (\w+): (.*(?:\n {8}.*)*)", arguments, re.MULTILINE)
    }
    flags, positional, escaped = [], [], "\\|"  # a bar inside a cell would end it
    for shown, is_flag, default, parameter in _arguments(command):
        ending = " Required." if default == "required" else f" Default: `{default}`." if default else ""
        words = helps[parameter] + ending
        cells = (f"`{shown}`", words)
        flags.append(f"| {' | '.join(cell.replace('|', escaped) for cell in cells)} |")
        if not is_flag:
            positional.append(shown)
    usage = " ".join(("reparam", name, *positional))
    table = "\n".join(("| | |", "|---|---|", *flags))
    return f"\n## {usage}\n\n{about}\n\n{table}\n"


def _arguments(command: Callable[..., None]) -> Iterator[tuple[str, bool, str, str]]:
    """How each is written, whether it is a flag, `required` or its default, and the parameter's name."""
    hints = typing.get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        marks, kind = _unwrapped(hints[name])
        named = [mark for mark in marks if hasattr(mark, "metavar")]
        metavar = next((m.metavar for m in named if m.metavar), None) or _metavar(kind)
        flag = "--" + (next((m.name for m in named if m.name), None) or name).replace("_", "-")
        default = parameter.default
        if any("POSITIONAL" in repr(mark).upper() for mark in marks):
            yield metavar, False, "", name
        elif kind is bool:
            yield flag, True, "", name
        else:
            empty = default in (None, (), inspect.Parameter.empty)
            words = "required" if default is inspect.Parameter.empty else "" if empty else str(default)
            yield f"{flag} {metavar}", True, words, name


def _unwrapped(hint: Any) -> tuple[list[Any], Any]:
    """The marks of nested `Annotated`, outermost first, and what they mark."""
    marks: list[Any] = []
    while typing.get_origin(hint) is typing.Annotated or (
        typing.get_origin(hint) in (typing.Union, UnionType) and NoneType in typing.get_args(hint)
    ):
        if typing.get_origin(hint) is typing.Annotated:
            hint, *found = typing.get_args(hint)
            marks = marks + found[::-1]
        else:
            hint = next(part for part in typing.get_args(hint) if part is not NoneType)
    return marks, hint


def _metavar(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(map(str, typing.get_args(kind)))
    return {int: "N", float: "X"}.get(kind, "WORD")


if __name__ == "__main__":
    print(reference(), end="")
