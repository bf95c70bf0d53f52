"""The command line, made from the signatures and docstrings of `reparam.commands`.

Something a user can mend is one message on stderr and exit code 2, never a traceback; so is wrong usage.
torch is imported inside the commands, so that `--help` answers at once.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import tyro

from reparam.commands import catalogue, datasets, measure, study, training, use, words
from reparam.errors import ReparamError, unknown

ABOUT = "Latent-variable generative models: the VAE, the GAN, and everything between."


def data() -> None:
    """List, show and fetch datasets."""


def studies() -> None:
    """Run a small experiment that teaches, with its pictures."""


COMMANDS: dict[str, Callable[..., None]] = {
    "models": catalogue.models,
    "card": catalogue.card,
    "train": training.train,
    "resume": training.resume,
    "sample": use.sample,
    "reconstruct": use.reconstruct,
    "interpolate": use.interpolate,
    "translate": use.translate,
    "complete": use.complete,
    "encode": use.encode,
    "nearest": words.nearest,
    "export": words.export,
    "recommend": use.recommend,
    "score": use.score,
    "evaluate": measure.evaluate,
    "diagnose": measure.diagnose,
    "compare": measure.compare,
    "study": studies,
    "data": data,
}
DATA_COMMANDS: dict[str, Callable[..., None]] = {
    "list": datasets.list_all,
    "show": datasets.show,
    "fetch": datasets.fetch,
}
STUDY_COMMANDS: dict[str, Callable[..., None]] = {
    "one-sample": study.one_sample,
    "vae-as-pca": study.vae_as_pca,
    "vae-against-gan": study.vae_against_gan,
}
GROUPS = {"data": DATA_COMMANDS, "study": STUDY_COMMANDS}  # of commands with commands of their own


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0: done. 1: the reader of a pipe went away. 2: wrong usage, or something to be mended. 130: interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        print(f"reparam {version('reparam')}")
        return 0
    rank = int(os.environ.get("RANK", 0))
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.showwarning = _warn if rank == 0 else _silent
            if rank:  # of several processes, the first speaks
                quiet = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(contextlib.redirect_stdout(quiet))
            _run(arguments, speaks=rank == 0)
            sys.stdout.flush()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except ReparamError as error:
        return _say(str(error), rank)
    except KeyboardInterrupt as stop:
        return _say(str(stop) or "stopped.", rank, code=130)
    except BrokenPipeError:
        # Python would complain once more when it flushes stdout at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.", rank)
    return 0


def _run(arguments: list[str], speaks: bool) -> None:
    commands, prog, about = COMMANDS, "reparam", ABOUT
    if arguments and arguments[0] in GROUPS:
        name, *arguments = arguments
        commands, prog, about = GROUPS[name], f"reparam {name}", COMMANDS[name].__doc__ or ""
    if not arguments:
        _parse(commands, prog, about, ["--help"], speaks, ends=False)
        sys.exit(2)
    if not arguments[0].startswith("-") and arguments[0] not in commands:
        raise unknown("command", arguments[0], commands)
    _parse(commands, prog, about, arguments, speaks)


def _parse(
    commands: dict[str, Callable[..., None]],
    prog: str,
    about: str,
    arguments: list[str],
    speaks: bool,
    ends: bool = True,
) -> Any:
    with contextlib.nullcontext() if ends else contextlib.suppress(SystemExit):
        return tyro.extras.subcommand_cli_from_dict(
            commands, prog=prog, description=about, args=arguments, console_outputs=speaks
        )


def _say(message: str, rank: int, code: int = 2) -> int:
    # The other processes mostly fail of the same; but if one fails alone, it must be heard.
    who = "reparam" if rank == 0 else f"reparam (process {rank})"
    print(f"{who}: {message}", file=sys.stderr)
    return code


def _warn(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    print(f"reparam: warning: {message}", file=sys.stderr)


def _silent(*_: Any, **__: Any) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
