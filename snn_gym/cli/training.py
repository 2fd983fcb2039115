"""The commands ``train``, ``new``, ``lean``, ``distil`` and ``smallest``."""

from __future__ import annotations

import importlib.resources
import importlib.util
import keyword
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated, Any, Literal

import gymnasium as gym
import typer

import snn_gym
from snn_gym._base.names import AGENT_NAME, AGENT_NAME_RULE, parse_seeds
from snn_gym._base.numerics import Numerics
from snn_gym._base.storage import write_text_atomic
from snn_gym.cli.options import (
    Device,
    Run,
    check_out,
    choose_numerics,
    fetched,
    load_shown,
    module_words,
    parse_changes,
    say,
    with_options,
)

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from snn_gym.learners.lean_algorithm import LeanAlgorithm
    from snn_gym.training import Training


# ---- train ---------------------------------------------------------------------------------------
_Changes = list[str] | None


@dataclass(frozen=True)
class TrainOptions:
    """Options of ``train``."""

    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="runs/AGENT/ENV/SEED")
    ] = None
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN|AGENT",
            help="Go on from the weights of a run's folder, of hf:USER/NAME, or of an agent that "
            "`snn-gym pretrained` lists for ENV.",
            callback=fetched,
            show_default="fresh weights",
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of all random numbers.", show_default="0, or that of --from"),
    ] = None
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Seeds of several runs, such as 0-4 or 0,3,7, each in a folder below --out.",
            show_default="the one of --seed",
        ),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            "--more-steps",
            help="Environment steps; further ones with --from.",
            show_default="the budget",
        ),
    ] = None
    checkpoint_interval: Annotated[
        int | None,
        typer.Option(
            help="Environment steps between checkpoints, at which environments are reset.",
            show_default="that of ENV, or 10,000 of each of its copies",
        ),
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder, if there is one.")
    ] = False
    progress: Annotated[
        bool | None,
        typer.Option(
            help="Show the progress on standard error, and the score at the end.",
            show_default="progress on a terminal only",
        ),
    ] = None
    dynamics: Annotated[
        bool, typer.Option("--dynamics", help="Log the network's dynamics, in dynamics.csv.")
    ] = False
    hyperparameters: Annotated[
        _Changes,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a hyper-parameter; may be repeated."),
    ] = None
    network: Annotated[
        _Changes,
        typer.Option(metavar="NAME=VALUE", help="Set a value of the network; may be repeated."),
    ] = None
    env_arg: Annotated[
        _Changes,
        typer.Option(
            metavar="NAME=VALUE", help="Set an argument of the environment; may be repeated."
        ),
    ] = None
    eval_every: Annotated[
        int,
        typer.Option(
            help="Environment steps between evaluations, which also save the best policy; 0 for "
            "none."
        ),
    ] = 0
    numerics: Annotated[
        Numerics,
        typer.Option(
            help="portable: the same weights on processors of Intel and AMD; native: faster."
        ),
    ] = "portable"
    device: Device = "cpu"

    def recipe(self) -> dict[str, Any]:
        """Return the options as the arguments ``**recipe`` of `snn_gym.training.train`."""
        return {
            **({} if self.seed is None else {"seed": self.seed}),
            "steps": self.steps,
            "checkpoint_interval": self.checkpoint_interval,
            "dynamics": self.dynamics,
            "hyperparameters": parse_changes("--set", self.hyperparameters or ()),
            "network": parse_changes("--network", self.network or ()),
            "environment_kwargs": parse_changes("--env-arg", self.env_arg or ()),
            "eval_every": self.eval_every,
            "device": self.device,
        }


@with_options(TrainOptions)
def train(
    options: TrainOptions,
    agent: Annotated[
        str | None,
        typer.Argument(
            help="Agent of the zoo, such as ppo-lif.",
            show_default="that of --from",
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Argument(
            help="Environment, such as CartPole-v1.",
            show_default="that of --from",
        ),
    ] = None,
) -> None:
    """Train an agent, with checkpoints and TensorBoard logs, or train one further."""
    choose_numerics(options.numerics)
    if None not in (options.seed, options.seeds):
        raise ValueError("--seed is for one run and --seeds for several; leave out one of them")
    texts = () if options.seeds is None else options.seeds.split(",")
    seeds = sorted({seed for text in texts for seed in parse_seeds(text.strip()) or ()})
    for seed in (*seeds,) or (options.seed,):
        out = options.out / str(seed) if options.out and seeds else options.out
        _train(replace(options, seed=seed, out=out), agent, env)


def _train(options: TrainOptions, agent: str | None, env: str | None) -> None:
    """Train one run."""
    from snn_gym.training import make_training
    from snn_gym.training.run import carry_out

    origin = None
    if options.source is not None:
        agent, env, origin = _open_source(options.source, agent, env)
    if agent is None or env is None:
        raise ValueError(
            "train needs an agent and an environment, such as ppo-lif CartPole-v1, or --from RUN; "
            "see `snn-gym train --help`"
        )
    _check_order(agent, env)
    training = make_training(agent, env, origin, **options.recipe())
    name, more = str(training.seed), ""
    if origin is not None:
        # Beside the folder of the run that it goes on from.
        name, more = f"{name}-{training.last_step}", "more "
    folder = options.out or Path("runs") / agent / env.replace("/", "__") / name
    say(f"training {agent} on {env}: {training.steps:,} {more}steps, seed {training.seed}")
    if origin is not None:
        say(_origin_in_words(options.source, origin, training))
    run = carry_out(
        training,
        folder,
        origin,
        resume=options.resume,
        progress_bar=sys.stderr.isatty() if options.progress is None else options.progress,
    )
    if run.was_finished:
        say(f"{folder} had already finished after {run.steps:,} steps; nothing to do")
        return
    since = "" if run.resumed_at is None else f" (resumed at {run.resumed_at:,})"
    say(f"trained {run.steps:,} steps{since}: {folder}")
    if run.outcome:
        say(run.outcome)
    if options.progress is not False:
        _print_result(folder, training)


def _open_source(source: str, agent: str | None, env: str | None) -> tuple[str, str, Any]:
    """Return agent, environment and model for --from; a name that no agent has is the latter."""
    from snn_gym.training.run import open_parent
    from snn_gym.zoo.build import identify

    if env is None and agent not in snn_gym.agent_ids():
        agent, env = None, agent
    if Path(source).is_dir():
        model = open_parent(source, env)
    else:
        model = load_shown("train --from", source, env)[0]
    identity = identify(model)
    agent = agent or identity.agent
    if agent is None:
        raise ValueError(
            f"{source} holds a model made by hand, and train builds agents of the zoo; name one "
            "with its network: snn-gym train AGENT ENV --from RUN. In Python, go on with "
            f"snn_gym.load_agent({source!r}).learn(STEPS)"
        )
    return agent, env or identity.environment, model


def _origin_in_words(source: str | None, parent: Any, training: Training) -> str:
    """Return in words which parts of a parent's training go on, and which begin anew."""
    from snn_gym.training.checkpoint import has_optimiser_state

    parts = "all weights; optimisers begin anew"
    if source is None or not Path(source).is_dir():
        parts = "acting weights; critics and optimisers begin anew"
    elif has_optimiser_state(parent):
        parts = "all weights, optimisers and replay buffer of its checkpoint"
    return (
        f"going on from {source} after {parent.num_timesteps:,} steps: {parts}; schedules go on as "
        f"in one training of {training.last_step:,} steps"
    )


def _check_order(agent: str, env: str) -> None:
    if agent not in snn_gym.agent_ids() and agent in gym.registry:
        raise ValueError(
            f"{agent} is an environment, and the agent comes first: snn-gym train "
            f"{env if env in snn_gym.agent_ids() else 'ppo-lif'} {agent}"
        )


def _print_result(folder: Path, training: Training) -> None:
    """Print score, operations and files of a finished run, and commands to try next."""
    from snn_gym.training.logs import BEST_FOLDER, TENSORBOARD_FOLDER
    from snn_gym.training.run import EPISODES_FILE
    from snn_gym.zoo import read_manifest

    model = snn_gym.load_agent(folder)
    say(_score(model, training))
    if training.eval_every:
        best = read_manifest(folder / BEST_FOLDER).num_timesteps
        say(f"best policy of the evaluations, after {best:,} steps: {folder / BEST_FOLDER}")
    say(f"episodes: {folder / EPISODES_FILE}")
    say(f"curves: tensorboard --logdir {folder / TENSORBOARD_FOLDER}")
    words = f"{shlex.quote(str(folder))}{module_words()}"
    say(f"next: snn-gym watch {words} --save film.gif, or plot, evaluate or submit it")


def _score(model: Any, training: Training) -> str:
    """Return the final policy's score in words, on the seeds of evaluations during training."""
    from snn_gym.training.logs import EVALUATION_EPISODES, FIRST_SEED

    seeds = range(FIRST_SEED, FIRST_SEED + EVALUATION_EPISODES)
    arguments = training.environment_kwargs
    result = snn_gym.evaluate(model, training.environment, seeds=seeds, env_kwargs=arguments)
    score = f"score: mean return {result.mean:,.2f} in {len(seeds)} episodes on other seeds"
    return f"{score}; {result.in_words()}"


# ---- new -----------------------------------------------------------------------------------------
Kind = Literal["agent", "env", "neuron"]
_NAMES = {
    "agent": ("an agent", AGENT_NAME, f"{AGENT_NAME_RULE}, such as my-agent"),
    "env": (
        "an environment",
        r"[A-Z][A-Za-z0-9]*(-v[0-9]+)?",
        "a word with a capital, such as Corridor",
    ),
    "neuron": (
        "a neuron",
        r"[a-z][a-z0-9_]*",
        "small letters, digits and underscores, such as my_neuron",
    ),
}
"""By kind its noun, the pattern of its names, and the pattern in words."""


def new(
    kind: Annotated[Kind, typer.Argument(help="Kind of the new file: agent, env or neuron.")],
    name: Annotated[str, typer.Argument(help="Name of the agent, environment or neuron.")],
) -> None:
    """Write a working file to start from: a new agent, environment or neuron."""
    values = _values(kind, name)
    file = Path(f"{values['module']}.py")
    if file.exists():
        raise ValueError(f"{file} is there already; take another name, or move it away")
    if importlib.util.find_spec(values["module"]) is not None:
        raise ValueError(
            f"a module {values['module']!r} is installed already, which {file} would hide; take "
            "another name"
        )
    template = importlib.resources.files("snn_gym") / "templates" / f"{kind}.txt"
    text = Template(template.read_text(encoding="utf-8")).substitute(values)
    write_text_atomic(file, text)
    say(f"written: {file}")
    (command,) = re.findall(r"^    (snn-gym .*)$", text, re.MULTILINE)
    say(f"next: {command}")


def _values(kind: Kind, name: str) -> dict[str, str]:
    """Return the values of the template's placeholders; raise ``ValueError`` for a bad name."""
    noun, pattern, expected = _NAMES[kind]
    if re.fullmatch(pattern, name) is None:
        raise ValueError(f"the name of {noun} is {expected}; got {name!r}")
    if kind == "agent" and name in snn_gym.agent_ids():
        raise ValueError(f"the zoo has an agent {name!r} already; take another name")
    word = re.sub(r"-v[0-9]+$", "", name)
    parts = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", word)
    module = "_".join(part.lower() for part in parts)
    if not module.isidentifier() or keyword.iskeyword(module):
        raise ValueError(f"{module!r} can't be imported as a module; take another name")
    class_name = word if kind == "env" else "".join(part.capitalize() for part in parts)
    return {
        "name": name,
        "module": module,
        "id": name if name != word else f"{word}-v0",
        "class_name": class_name,
        "parameters_name": f"{class_name}Parameters",
    }


# ---- lean and distil -----------------------------------------------------------------------------
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

    limits = {"bound": bound, "max_synops": max_synops, "cost": cost}
    settings: dict[str, Any] = {name: x for name, x in limits.items() if x is not None}
    network = {} if time_steps is None else {"time_steps": time_steps}

    def make(trained: BaseAlgorithm) -> LeanAlgorithm:
        return snn_gym.make_lean(trained, steps, student=student, network=network, **settings)

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
    own = parse_changes("--network", network or ())
    settings = parse_changes("--set", changes or ())

    def make(trained: BaseAlgorithm) -> LeanAlgorithm:
        return snn_gym.distil(trained, student, steps, network=own, seed=seed, **settings)

    _teach(run, out, "distilled", cost, device, make)


def _new_folder(run: Path, out: Path | None, kind: str) -> Path:
    """Return the folder to write, by default beside the run; refuse one that is in use."""
    check_out(run, out)
    folder = out or run.resolve().with_name(f"{run.resolve().name}-{kind}")
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; name another folder with --out")
    return folder


def _teach(
    run: Path,
    out: Path | None,
    kind: str,
    cost: str,
    device: str,
    make: Callable[[BaseAlgorithm], LeanAlgorithm],
) -> None:
    """Make an agent from a run's, save it and print how both do."""
    from snn_gym.leaderboard.comparison import describe_loss
    from snn_gym.program.prices import known_price
    from snn_gym.zoo import read_manifest

    price = known_price(cost)
    manifest, folder = read_manifest(run), _new_folder(run, out, kind)
    trained = snn_gym.load_agent(run, device=device)
    made = make(trained)
    snn_gym.save_agent(made, folder)
    env_id, arguments = manifest.environment, manifest.environment_kwargs
    before, after = (
        snn_gym.evaluate(model, env_id, episodes=EPISODES, env_kwargs=arguments)
        for model in (trained, made)
    )
    say(f"divergence of their behaviour: {made.divergence:.3g}")
    say(describe_loss(after, before, arguments))
    for name, result in (("before", before), ("after", after)):
        by_price = "" if cost == "operations" else f", {price.in_words(result)}"
        say(f"{name}: mean return {result.mean:.2f}, {result.in_words()}{by_price}")
    say(f"{kind} agent: {folder}")


def smallest(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the agents.", show_default="RUN-smallest")
    ] = None,
    families: Annotated[
        str | None,
        typer.Option(help="Kinds of networks, such as linear,lif.", show_default="all"),
    ] = None,
    cost: Annotated[
        str, typer.Option(help="Price of a decision: operations, cmos45 or loihi.")
    ] = "operations",
    margin: Annotated[
        float | None,
        typer.Option(help="Accepted loss of mean return.", show_default="that of the table"),
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Fresh episodes that judge.")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search.")] = 0,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting of the effort, such as starts=8."),
    ] = None,
    device: Device = "cpu",
) -> None:
    """Search for the smallest network of each family that keeps a run's return (minutes)."""
    from snn_gym._base.config import from_mapping
    from snn_gym.leaderboard import Effort, agent_of
    from snn_gym.learners.students import FAMILIES
    from snn_gym.plots import save_front

    folder = _new_folder(run, out, "smallest")
    effort = from_mapping(Effort, parse_changes("--set", changes or ()), "smallest")
    chosen: Any = FAMILIES if families is None else families.split(",")
    result = snn_gym.smallest(
        snn_gym.load_agent(run, device=device), chosen, price=cost, effort=effort, margin=margin,
        episodes=episodes, seed=seed, report=say,
    )  # fmt: skip
    assert result.teacher is not None  # an agent
    least, best = result.least_return, result.teacher.mean
    say(f"kept from a mean return of {least:.2f}; the run earns {best:.2f}")
    made = {family: x for family, x in result.cheapest.items() if x is not None}
    for family, network in made.items():
        agent = agent_of(network, result.env_id, seed=seed, env_kwargs=result.env_kwargs)
        snn_gym.save_agent(agent, folder / family)
    if made:
        say(f"agents, by family: {folder}")
    say(f"picture: {save_front(result, folder / 'front.png')}")
