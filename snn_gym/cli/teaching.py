"""Commands that teach an agent by another: ``lean`` and ``distil``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_gym.cli.options import Device, Run, check_out, parse_changes
from snn_gym.cli.printing import say

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from snn_gym.learners.lean_algorithm import LeanAlgorithm

EPISODES = 20
"""Episodes of teacher and student, with the same seeds."""

_Steps = Annotated[
    int | None,
    typer.Option(min=1, help="Environment steps.", show_default="a fifth of those trained"),
]


def lean(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write.", show_default="RUN-lean")
    ] = None,
    steps: _Steps = None,
    bound: Annotated[
        float | None, typer.Option(help="Largest divergence from the run's policy.")
    ] = None,
    max_synops: Annotated[
        float | None, typer.Option(help="Most synaptic operations of a decision.")
    ] = None,
    time_steps: Annotated[int | None, typer.Option(help="Time steps of a decision.")] = None,
    student: Annotated[
        str | None, typer.Option(help="Agent to teach.", show_default="the run's own")
    ] = None,
    cost: Annotated[
        str | None,
        typer.Option(
            help="Price by which to shed neurons, inputs and time steps too: operations, cmos45 "
            "or loihi; synops for spikes and synapses alone.",
            show_default="that of the agent, or synops",
        ),
    ] = None,
    device: Device = "cpu",
) -> None:
    """Train a run's agent further, so that it acts the same with fewer spikes."""
    from snn_gym.program.prices import DEFAULT, PRICES
    from snn_gym.zoo import make_lean

    limits = {"bound": bound, "max_synops": max_synops, "cost": cost}
    settings: dict[str, Any] = {name: x for name, x in limits.items() if x is not None}
    network = {} if time_steps is None else {"time_steps": time_steps}

    def make(trained: BaseAlgorithm) -> LeanAlgorithm:
        return make_lean(trained, steps, student=student, network=network, **settings)

    _teach(run, out, "lean", cost if cost and cost in PRICES else DEFAULT, device, make)


def distil(
    run: Run,
    student: Annotated[
        str | None,
        typer.Argument(help="Agent of the zoo to teach.", show_default="the run's own"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write.", show_default="RUN-distilled")
    ] = None,
    steps: _Steps = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the student.", show_default="that of the run")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(help="Setting of the student's network, such as hidden_sizes=[8,8]."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting of the teaching, such as updates=3000."),
    ] = None,
    cost: Annotated[
        str,
        typer.Option(help="Price of a decision to print too: operations, cmos45 or loihi."),
    ] = "operations",
    device: Device = "cpu",
) -> None:
    """Teach a cheaper agent to act as a run's agent does."""
    from snn_gym.zoo import distil as distil_agent

    own = parse_changes("--network", network or ())
    settings = parse_changes("--set", changes or ())

    def make(trained: BaseAlgorithm) -> LeanAlgorithm:
        return distil_agent(trained, student, steps, network=own, seed=seed, **settings)

    _teach(run, out, "distilled", cost, device, make)


def _teach(
    run: Path,
    out: Path | None,
    kind: str,
    cost: str,
    device: str,
    make: Callable[[BaseAlgorithm], LeanAlgorithm],
) -> None:
    """Make an agent from a run's, save it and print how both do."""
    from snn_gym.leaderboard import evaluate
    from snn_gym.leaderboard.comparison import describe_loss
    from snn_gym.program.prices import known_price
    from snn_gym.zoo import load_agent, read_manifest, save_agent

    price = known_price(cost, measured=False)
    check_out(run, out)
    manifest = read_manifest(run)
    folder = out or run.resolve().with_name(f"{run.resolve().name}-{kind}")
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; name another folder with --out")
    trained = load_agent(run, device=device)
    made = make(trained)
    save_agent(made, folder)
    env_id, arguments = manifest.environment, manifest.environment_kwargs
    before, after = (
        evaluate(model, env_id, episodes=EPISODES, env_kwargs=arguments)
        for model in (trained, made)
    )
    say(f"divergence of their behaviour: {made.divergence:.3g}")
    say(describe_loss(after, before, arguments))
    for name, result in (("before", before), ("after", after)):
        by_price = "" if cost == "operations" else f", {price.in_words(result)}"
        say(f"{name}: mean return {result.mean:.2f}, {result.in_words()}{by_price}")
    say(f"{kind} agent: {folder}")
