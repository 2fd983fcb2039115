"""The option ``--module`` of commands: what is imported before they run."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer


def _import_module(name: str | None) -> None:
    if name is not None:
        # A package in the folder that the command is run in is found, as by `python -m`.
        if "" not in sys.path:
            sys.path.insert(0, "")
        importlib.import_module(name)


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
