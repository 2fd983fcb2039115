"""The command line, ``snn-gym``: it reads arguments and prints; the work is done elsewhere.

What a command needs is imported inside it, so that ``snn-gym --help`` does not wait for torch.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import typer

from snn_gym._version import __version__
from snn_gym.cli.options import (
    MOST_EPISODES,
    Device,
    Leaderboard,
    Run,
    leaderboard_folder,
    with_module,
)
from snn_gym.cli.printing import (
    describe_refusal,
    in_one_line,
    print_columns,
    print_evaluation,
    print_lines,
    print_played,
    say,
)
from snn_gym.cli.results import submit, verify
from snn_gym.cli.trained import compare, export, plot, pretrained, watch
from snn_gym.cli.training import new, train

app = typer.Typer(
    name="snn-gym",
    help="Spiking neural networks in reinforcement learning: train, submit, verify, compare.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

BAD_INPUT = 2
_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after ``snn-gym``; those of the process if None.

    Returns:
        Exit code: 0 if done, 2 if the input was bad (one line on standard error says why), 130
        if interrupted.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = app(words or ["--help"], prog_name="snn-gym", standalone_mode=False)
    except typer.TyperException as error:
        said = error.format_message().rstrip(".")
        return _refuse(f"{said}{' ' if said.endswith('?') else '; '}see `{_help_of(words)}`")
    except OSError as error:
        return _refuse(describe_refusal(error))
    except (ValueError, ImportError, OverflowError, gym.error.Error) as error:
        return _refuse(str(error))
    except MemoryError as error:
        return _refuse(f"not enough memory; ask for less at once ({error!s:.200})")
    if code == _INTERRUPTED:
        hint = "; --resume goes on from the last checkpoint" if words[0] == "train" else ""
        print(f"snn-gym: interrupted{hint}", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _help_of(words: list[str]) -> str:
    """Return the command that says what the one that was given takes."""
    callbacks = (command.callback for command in app.registered_commands)
    known = {callback.__name__ for callback in callbacks if callback is not None}
    return " ".join(["snn-gym", *(word for word in words[:1] if word in known), "--help"])


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print("snn-gym:", in_one_line(str(message)), file=sys.stderr)


def _refuse(message: str) -> int:
    print("snn-gym:", in_one_line(message), file=sys.stderr)
    return BAD_INPUT


def _print_version(wanted: bool) -> None:
    if wanted:
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
    """Hold the options of the program itself."""


@app.command()
def envs() -> None:
    """List the environments: id, base task, and budget in environment steps."""
    from snn_gym.envs.registry import flat_ids, known_ids, load_environment_spec

    shown = sorted(known_ids().difference(flat_ids()))
    specs = [(env_id, load_environment_spec(env_id)) for env_id in shown]
    rows = [
        (env_id, spec.base_id, f"{spec.budget['gradient']:,}", f"{spec.budget['local']:,}")
        for env_id, spec in specs
    ]
    print_columns(("environment", "base task", "gradient budget", "local budget"), rows)
    say(f"\nsnn/X-flat-vN is snn/X-vN with flat spikes, for {len(flat_ids())} of these.")


@app.command()
def agents() -> None:
    """List the agents of the zoo and the environments each has hyper-parameters for."""
    from snn_gym.zoo import agent_ids, load_agent_spec

    for spec in map(load_agent_spec, agent_ids()):
        say(f"{spec.name}: {spec.description}")
        twin = "no twin" if spec.twin is None else f"twin {spec.twin}"
        say(f"    {twin}; environments {', '.join(spec.environments)}")


app.command()(with_module(train))
app.command()(with_module(export))


@app.command()
@with_module
def lean(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write.", show_default="RUN-lean")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Environment steps.", show_default="a fifth of those trained"),
    ] = None,
    bound: Annotated[
        float | None, typer.Option(help="Divergence from the run's policy that is allowed.")
    ] = None,
    max_synops: Annotated[
        float | None, typer.Option(help="Synaptic operations that a decision may cost.")
    ] = None,
    time_steps: Annotated[int | None, typer.Option(help="Time steps of a decision.")] = None,
    student: Annotated[
        str | None, typer.Option(help="Agent to teach, where the run's own is an ANN.")
    ] = None,
    device: Device = "cpu",
) -> None:
    """Make an agent of a run's that does the same with fewer spikes."""
    from snn_gym.leaderboard import evaluate as evaluate_model
    from snn_gym.zoo import load_agent, make_lean, read_manifest, save_agent

    found, folder = read_manifest(run), out or run.resolve().with_name(f"{run.resolve().name}-lean")
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; name another folder with --out")
    given = {"bound": bound, "max_synops": max_synops}
    settings: dict[str, Any] = {name: x for name, x in given.items() if x is not None}
    network = {} if time_steps is None else {"time_steps": time_steps}
    trained = load_agent(run, device=device)
    made = make_lean(trained, steps, student=student, network=network, **settings)
    save_agent(made, folder)
    for name, model in (("before", trained), ("after", made)):
        result = evaluate_model(
            model, found.environment, episodes=20, env_kwargs=found.environment_kwargs
        )
        say(f"{name}: mean return {result.mean:.2f}, {result.in_words()}")
    say(f"lean agent: {folder}")


@app.command()
@with_module
def evaluate(
    run: Run,
    episodes: Annotated[
        int, typer.Option(min=1, max=MOST_EPISODES, help="Episodes, one seed each.")
    ] = 100,
    observation_noise: Annotated[
        float, typer.Option(min=0, help="Deviation of noise on observations, standardised.")
    ] = 0.0,
    weights_bits: Annotated[
        int | None, typer.Option(min=2, max=16, help="Round weights to so many bits.")
    ] = None,
    weight_noise: Annotated[
        float, typer.Option(min=0, help="Deviation of each weight, in units of itself.")
    ] = 0.0,
    dead_neurons: Annotated[
        float, typer.Option(min=0, max=1, help="Share of hidden neurons that nobody hears.")
    ] = 0.0,
    spike_loss: Annotated[
        float, typer.Option(min=0, max=1, help="Probability that a hidden spike is lost.")
    ] = 0.0,
    tau_jitter: Annotated[
        float, typer.Option(min=0, help="Deviation of time constants' logarithm.")
    ] = 0.0,
    faults_seed: Annotated[int, typer.Option(min=0, help="Seed of what is drawn.")] = 0,
    device: Device = "cpu",
) -> None:
    """Evaluate the final policy of a run, deterministically; on request with faults."""
    from snn_gym.leaderboard import evaluate as evaluate_model
    from snn_gym.leaderboard.faults import Faults, with_faults
    from snn_gym.zoo import load_agent, read_manifest

    trained = read_manifest(run)
    faults = Faults(
        observation_noise=observation_noise, weights_bits=weights_bits, weight_noise=weight_noise,
        dead_neurons=dead_neurons, spike_loss=spike_loss, tau_jitter=tau_jitter, seed=faults_seed,
    )  # fmt: skip
    model: Any = load_agent(run, device=device)
    whole = faults == Faults(seed=faults_seed)
    if not whole and model.device.type != "cpu":
        raise ValueError(f"faults are put into agents on the CPU; leave out --device {device}")
    policy = model if whole else with_faults(model, faults)
    arguments = trained.environment_kwargs
    result = evaluate_model(policy, trained.environment, episodes, env_kwargs=arguments)
    print_evaluation(result)


app.command()(with_module(submit))


app.command()(verify)


@app.command()
def audit(
    leaderboard: Leaderboard = None,
    evaluate: Annotated[bool, typer.Option("--evaluate", help="Also play all rows again.")] = False,
    processes: Annotated[int, typer.Option(min=1, help="Rows at a time, with --evaluate.")] = 1,
) -> None:
    """Check that rows, weights and table are what was verified."""
    from snn_gym.leaderboard import audit as audit_leaderboard
    from snn_gym.leaderboard.reevaluation import play_again

    folder = leaderboard_folder(leaderboard)
    problems = audit_leaderboard(folder)
    if problems:
        say(*problems)
        raise ValueError(f"problems in {folder}: {len(problems)}; see the lines above")
    if evaluate:
        print_played(play_again(folder, processes=processes), "hold, {} do not")
    say(f"{folder} is as it was verified")


@app.command()
def sweep(
    plan: Annotated[Path, typer.Argument(help="TOML file of the runs, in groups.")],
    leaderboard: Leaderboard = None,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/results"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time.", show_default="one for each core")
    ] = None,
    nice: Annotated[
        int, typer.Option(min=0, max=19, help="Niceness that is added; 19 lets all else go first.")
    ] = 0,
    ray: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster that carries out the runs.")
    ] = None,
) -> None:
    """Train, submit and verify the runs of a plan that have no row yet."""
    from snn_gym.sweeps.progress import carry_out_plan

    board = leaderboard_folder(leaderboard)
    print_lines(carry_out_plan(plan, board, runs, workers=workers, niceness=nice, ray=ray))


@app.command()
@with_module
def tune(
    search: Annotated[Path, typer.Argument(help="TOML file that says what is tried.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results.", show_default="runs/tuning/SEARCH")
    ] = None,
    agent: Annotated[
        str | None, typer.Option(help="Only this one.", show_default="the agent and its twin")
    ] = None,
) -> None:
    """Search hyper-parameters of an agent and, at the same cost, of its twin."""
    from snn_gym.sweeps.tuning import tune as tune_agents

    print_lines(tune_agents(search, out or Path("runs/tuning") / search.stem, agent))


@app.command()
def table(
    leaderboard: Leaderboard = None,
    site: Annotated[
        Path | None,
        typer.Option(help="Folder to write the table to as a site, too.", show_default=False),
    ] = None,
) -> None:
    """Print the results table and write it to the leaderboard's README.md."""
    from snn_gym.leaderboard import write_site, write_table

    board = leaderboard_folder(leaderboard)
    path = write_table(board)
    first_page = None if site is None else write_site(board, site)
    say(path.read_text(encoding="utf-8"))
    if first_page is not None:
        say(f"site: {first_page}")


app.command()(new)
app.command()(pretrained)
app.command()(with_module(compare))
app.command()(with_module(plot))
app.command()(with_module(watch))

if __name__ == "__main__":
    sys.exit(main())
