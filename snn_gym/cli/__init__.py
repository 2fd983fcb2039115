"""Command line ``snn-gym``: it reads arguments and prints; other packages do the work.

Commands import them in their functions, so that ``snn-gym --help`` does not wait for torch.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from importlib.metadata import entry_points
from typing import Annotated

import gymnasium as gym
import typer

from snn_gym._base.names import printable
from snn_gym._base.numerics import portable
from snn_gym._version import __version__
from snn_gym.cli.options import (
    ELSEWHERE,
    MOST_EPISODES,
    Device,
    Leaderboard,
    Run,
    Shown,
    ShownEnvironment,
    leaderboard_folder,
    load_shown,
    print_columns,
    print_evaluation,
    say,
    with_module,
    with_options,
)
from snn_gym.cli.trained import compare, plot, pretrained, submit, verify, watch
from snn_gym.cli.training import distil, lean, new, smallest, train

__all__ = ["Shown", "ShownEnvironment", "app", "load_shown", "main", "say", "with_options"]

app = typer.Typer(
    name="snn-gym",
    help="Spiking neural networks in reinforcement learning: train, submit, verify, compare.",
    rich_markup_mode=None,  # whose columns cut names of options at 80 characters
    pretty_exceptions_enable=False,
)

BAD_INPUT = 2
_ABSENT = {"export", "submit-nir"}
"""Commands of snn-gym-deploy."""
_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after ``snn-gym``; those of the process if None.

    Returns:
        Exit code: 0 if done, 2 for bad input, with one line on standard error, 130 if interrupted.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        add_installed_commands()
        if _ABSENT.intersection(words[:1]).difference(_names()):
            return _refuse(ELSEWHERE.format(f"snn-gym {words[0]}"))
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = app(words or ["--help"], prog_name="snn-gym", standalone_mode=False)
    except typer.TyperException as error:
        problem = error.format_message().rstrip(".")
        mark = "" if problem.endswith("?") else ";"
        return _refuse(f"{problem}{mark} see `{_help_of(words)}`")
    except OSError as error:
        return _refuse(_describe(error))
    except (ValueError, ImportError, OverflowError, gym.error.Error) as error:
        return _refuse(str(error))
    except MemoryError as error:
        return _refuse(f"not enough memory; ask for less at once ({error!s:.200})")
    if code == _INTERRUPTED:
        hint = "; --resume goes on from the last checkpoint" if words[0] == "train" else ""
        print(f"snn-gym: interrupted{hint}", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _describe(error: OSError) -> str:
    """Return an OSError as file, problem and fix; the plain error if it names no file."""
    if error.filename is None or error.strerror is None:
        return str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename} is a file; expected a folder; name another"
    problem = f"{error.strerror[:1].lower()}{error.strerror[1:]}"
    return f"{error.filename}: {problem}; name a place that can be read and written"


def _help_of(words: list[str]) -> str:
    """Return the command that prints the help of the given command, or of all if unknown."""
    return " ".join(["snn-gym", *(word for word in words[:1] if word in _names()), "--help"])


def _names() -> set[str]:
    """Return the names of all commands."""
    return {str(x.name or getattr(x.callback, "__name__", "")) for x in app.registered_commands}


def add_installed_commands() -> None:
    """Add the commands of other distributions, by their entry points ``snn_gym.commands``."""
    for found in entry_points(group="snn_gym.commands"):
        if found.name not in _names():
            app.command(found.name)(with_module(found.load()))


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print("snn-gym:", printable(str(message)), file=sys.stderr)


def _refuse(message: str) -> int:
    print("snn-gym:", printable(message), file=sys.stderr)
    return BAD_INPUT


def _print_version(given: bool) -> None:
    if given:
        say(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Compute by portable numerics where that is possible; declare the program's own options."""
    del version
    with suppress(RuntimeError):  # before --module can load torch; train says why if it cannot
        portable()


def envs() -> None:
    """List the environments: id, base task, and budget in environment steps."""
    from snn_gym.envs.registry import flat_ids, known_ids, load_environment_spec

    rows = []
    for env_id in sorted(known_ids().difference(flat_ids())):
        spec = load_environment_spec(env_id)
        budgets = f"{spec.budget['gradient']:,}", f"{spec.budget['local']:,}"
        rows.append((env_id, spec.base_id, *budgets))
    print_columns(("environment", "base task", "gradient budget", "local budget"), rows)
    say(f"\nsnn/X-flat-vN is snn/X-vN with flat spikes, for {len(flat_ids())} of these.")


def agents() -> None:
    """List the agents of the zoo, their twins, and the environments that each is tuned for."""
    from snn_gym.zoo import agent_ids, load_agent_spec

    for spec in map(load_agent_spec, agent_ids()):
        say(f"{spec.name}: {spec.description}")
        twin = "no twin" if spec.twin is None else f"twin {spec.twin}"
        say(f"    {twin}; environments {', '.join(spec.environments)}")


def evaluate(
    run: Run,
    episodes: Annotated[
        int, typer.Option(min=1, max=MOST_EPISODES, help="Episodes, one seed each.")
    ] = 100,
    device: Device = "cpu",
) -> None:
    """Evaluate the final policy of a run deterministically."""
    from snn_gym.leaderboard import evaluate as evaluate_model
    from snn_gym.zoo import load_agent, read_manifest

    manifest = read_manifest(run)
    policy = load_agent(run, device=device)
    arguments = manifest.environment_kwargs
    print_evaluation(evaluate_model(policy, manifest.environment, episodes, env_kwargs=arguments))


def table(leaderboard: Leaderboard = None) -> None:
    """Print the results table and write it to the leaderboard's README.md."""
    from snn_gym.leaderboard import write_table

    say(write_table(leaderboard_folder(leaderboard)).read_text(encoding="utf-8"))


_IMPORTING = (train, lean, distil, smallest, evaluate, submit, compare, plot, watch)
"""Commands with the option --module."""
for _command in (
    envs, agents, pretrained, train, evaluate, watch, compare, plot, lean, distil, smallest, submit,
    verify, table, new,
):  # fmt: skip
    app.command()(with_module(_command) if _command in _IMPORTING else _command)

if __name__ == "__main__":
    sys.exit(main())
