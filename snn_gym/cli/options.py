"""Options that commands share, and their output: lines, tables, evaluations."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import sys
import tomllib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import snn_gym
from snn_gym._base.folders import checkout_root
from snn_gym._base.names import without_controls
from snn_gym._base.numerics import Numerics, native, portable, why_not_portable

if TYPE_CHECKING:
    from snn_gym.leaderboard import Evaluation

MOST_EPISODES = 1_000_000
"""Most episodes that a command takes: those of `leaderboard.evaluation`, which is slow to load."""

ELSEWHERE = (
    "{} comes with snn-gym-deploy, which is not installed: in the clone of snn_gym, run "
    "pip install -e deploy"
)
"""Answer to a command of the distribution beside this one."""

_PYTHON_VALUES = {"True": True, "False": False, "None": None}

_imported: list[str] = []
"""The modules of --module."""


def module_words() -> str:
    """Return " --module NAME" as given to this command, for a next command; empty if not given."""
    return "".join(f" --module {name}" for name in _imported)


def _import_module(name: str) -> None:
    _imported.append(name)
    # Modules in the working folder count, as with `python -m`.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        fix = (
            f"leave out .py: --module {name.removesuffix('.py')}"
            if name.endswith(".py")
            else "install it, or run the command in the folder of its file"
        )
        raise ImportError(f"--module {name}: {error}; {fix}") from error
    except SyntaxError as error:
        raise ImportError(f"--module {name}: {error}; mend that line") from error


Leaderboard = Annotated[
    Path | None,
    typer.Option(help="Folder of the results table.", show_default="the checkout's leaderboard/"),
]


def fetched(run: Any) -> Any:
    """Return a Path or text as it is; of an address hf:USER/NAME the folder of the download."""
    if not str(run).startswith("hf:"):
        return run
    from snn_gym.zoo.hub import run_folder

    return type(run)(run_folder(run))


def check_out(run: Path, out: Path | None) -> None:
    """Refuse to write beside a run that lies among the downloads."""
    from snn_gym.zoo.hub import cache_folder

    if out is None and run.is_relative_to(cache_folder()):
        raise ValueError("an agent of the hub has no folder here; name one to write with --out")


Run = Annotated[
    Path,
    typer.Argument(
        help="Folder that `snn-gym train` wrote, or hf:USER/NAME for an agent of the hub.",
        callback=fetched,
    ),
]
Shown = Annotated[
    str,
    typer.Argument(
        help="Folder of a run, an agent that `snn-gym pretrained` lists, or hf:USER/NAME.",
        callback=fetched,
    ),
]
ShownEnvironment = Annotated[
    str | None,
    typer.Argument(
        help="Environment.",
        show_default="that of the run",
    ),
]
Device = Annotated[
    str, typer.Option(help="PyTorch device: cpu, cuda, cuda:1, auto (a GPU if there is one)…")
]
Module = Annotated[
    list[str] | None,
    typer.Option(
        help="Module to import first, which registers your environments, agents, neurons…; may be "
        "repeated.",
        show_default=False,
    ),
]


def choose_numerics(kind: Numerics) -> None:
    """Compute by these numerics in this process, before torch does; say why if it cannot be."""
    problem = None if kind == "native" else why_not_portable()
    if problem is not None:
        warnings.warn(
            f"numerics are native: {problem}; trained again on another kind of processor, the "
            "agent may get other weights, so that it cannot be submitted to the results table",
            stacklevel=2,
        )
    elif kind == "portable":
        portable()
    else:
        native()


def with_module(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option --module: modules to import before it runs."""

    @functools.wraps(command)
    def run(*args: Any, module: Sequence[str] | None = None, **kwargs: Any) -> None:
        _imported.clear()
        for name in module or ():
            _import_module(name)
        command(*args, **kwargs)

    signature = inspect.signature(command, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    option = inspect.Parameter("module", keyword, default=None, annotation=Module)
    parameters = [*signature.parameters.values(), option]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, "module": Module}
    return run


def with_options(kind: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each field of a dataclass; it gets them as ``options``.

    The dataclass's fields are annotated as options and have defaults.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        names = [field.name for field in dataclasses.fields(kind)]

        @functools.wraps(command)
        def run(*args: Any, **kwargs: Any) -> None:
            given = {name: kwargs.pop(name) for name in names}
            command(*args, options=kind(**given), **kwargs)

        signature = inspect.signature(command, eval_str=True)
        keyword = inspect.Parameter.KEYWORD_ONLY
        arguments = [x for name, x in signature.parameters.items() if name != "options"]
        added = [
            x.replace(kind=keyword)
            for x in inspect.signature(kind, eval_str=True).parameters.values()
        ]
        run.__signature__ = signature.replace(parameters=[*arguments, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {x.name: x.annotation for x in (*arguments, *added)}
        return run

    return decorate


def parse_changes(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """Return the values of an option that is given as NAME=VALUE, maybe more than once.

    A value is read as TOML (``0.98``, ``true``, ``[32, 32]``), or as Python's ``True``, ``False``
    and ``None``; any other is a text. ``a.b=1`` is the entry ``b`` of the table ``a``.

    Raises:
        ValueError: A text has no name or no value, or a name comes twice.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        *tables, key = [part.strip() for part in name.split(".")]
        if not equals or not all([*tables, key]):
            raise ValueError(f"{option} {text!r} is not NAME=VALUE, such as {option} gamma=0.98")
        place: Any = changes
        for table in tables:
            place = place.setdefault(table, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict) or key in place:
            raise ValueError(f"{option} gives {name.strip()!r} twice; leave out one of them")
        place[key] = _parse_value(value.strip())
    return changes


def _parse_value(text: str) -> Any:
    if text in _PYTHON_VALUES:
        return _PYTHON_VALUES[text]
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def leaderboard_folder(given: Path | None) -> Path:
    """Return the given folder, or the checkout's leaderboard/; ValueError outside a checkout."""
    if given is not None:
        return given
    root = checkout_root()
    if root is None:
        raise ValueError("this is no checkout of snn_gym; name the folder with --leaderboard")
    return root / "leaderboard"


def load_shown(
    command: str, agent: str, env: str | None
) -> tuple[Any, str, str, Mapping[str, Any]]:
    """Load the pretrained median of a zoo agent, or the agent of a run's folder, for ``command``.

    Returns model, environment, name and arguments of the environment. A run's environment is the
    default; another one has no arguments. Raises ``ValueError`` if there is no such agent, or for a
    zoo agent without an environment.
    """
    from snn_gym._base.names import did_you_mean
    from snn_gym.zoo import read_manifest
    from snn_gym.zoo.files import load_agent_in

    run = Path(agent)
    if agent in snn_gym.agent_ids() and not run.is_dir():
        if env is None:
            raise ValueError(f"{command} {agent} needs an environment, such as CartPole-v1")
        return snn_gym.load_pretrained(agent, env), env, agent, {}
    if not run.is_dir():
        raise ValueError(
            f"{agent!r} is neither a folder of a run nor an agent of the zoo"
            f"{did_you_mean(agent, snn_gym.agent_ids())} `snn-gym pretrained` lists stored agents, "
            "and `snn-gym train` makes runs"
        )
    manifest = read_manifest(run)
    regulation = manifest.policy_kwargs.get("network", {}).get("regulation") or {}
    is_lean = manifest.parent_sha256 is not None and regulation.get("lean") is not None
    lean = "lean " if is_lean else ""
    arguments = manifest.environment_kwargs if env in (None, manifest.environment) else {}
    name = f"{lean}{manifest.agent or manifest.policy}"
    return load_agent_in(run, env), env or manifest.environment, name, arguments


# ---- output --------------------------------------------------------------------------------------


def say(*texts: object) -> None:
    """Print each text to standard output, or an empty line if there is none.

    A text may quote a stranger's file, so its control characters are shown as ``?``.
    """
    for text in texts or ("",):
        typer.echo(without_controls(str(text)))


def print_columns(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table, each column as wide as its widest text."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        say("  ".join(map(str.ljust, row, widths)).rstrip())


def print_evaluation(result: Evaluation) -> None:
    """Print the score of a policy and the costs of its decisions, if every module is counted."""
    from snn_gym.program.costs import COST_COLUMNS, NOT_COUNTED

    scores = f"IQM {result.iqm:.2f}, mean {result.mean:.2f}"
    say(f"{result.env_id}: {scores}, {len(result.returns)} episodes")
    if result.spiking_layers and not result.spikes_reach_outputs:
        say("  its spikes reach no output: in a ranking it is no spiking agent")
    left_out = ", ".join(result.uncounted)
    if left_out:
        say(f"  costs of a decision: {NOT_COUNTED}, for {left_out} is not")
        return
    for name, column in COST_COLUMNS.items():
        value = getattr(result, name)
        layers = value if isinstance(value, dict) else {"all layers": value}
        shown = ", ".join(f"{layer} {x:,.2f}" for layer, x in layers.items() if x is not None)
        say(f"  {column.heading} per decision: {shown or 'none'}")
