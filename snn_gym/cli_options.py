"""Options that commands share, and what they stand for."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from snn_gym.content import checkout_root

MOST_EPISODES = 1_000_000
"""Most episodes that a command takes: those of `scoring.evaluation`, which is slow to load."""


def _import_module(name: str | None) -> None:
    if name is not None:
        # A package in the folder that the command is run in is found, as by `python -m`.
        if "" not in sys.path:
            sys.path.insert(0, "")
        importlib.import_module(name)


Leaderboard = Annotated[
    Path | None,
    typer.Option(help="Folder of the results table.", show_default="the checkout's leaderboard/"),
]
Run = Annotated[Path, typer.Argument(help="Folder that `snn-gym train` wrote.")]
Module = Annotated[
    str | None,
    typer.Option(
        help="Import this first: it registers environments, neurons or learners of your own.",
        show_default=False,
    ),
]


def with_module(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option --module, which is imported before it runs.

    Args:
        command: Function of a command.
    """

    @functools.wraps(command)
    def run(*args: Any, module: str | None = None, **kwargs: Any) -> None:
        _import_module(module)
        command(*args, **kwargs)

    signature = inspect.signature(command, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    option = inspect.Parameter("module", keyword, default=None, annotation=Module)
    parameters = [*signature.parameters.values(), option]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, "module": Module}
    return run


def leaderboard_folder(given: Path | None) -> Path:
    """Return the folder of the results table.

    Args:
        given: The one that was named; None for the checkout's.

    Raises:
        ValueError: None was named, and this is no checkout.
    """
    if given is not None:
        return given
    root = checkout_root()
    if root is None:
        raise ValueError("this is no checkout of snn_gym; name the folder with --leaderboard")
    return root / "leaderboard"
