"""Tune an agent by a search: Optuna asks, trainings on tuning seeds answer."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import numpy as np

from snn_gym._base.config import (
    Config,
    Count,
    Length,
    Natural,
    Range,
    RecordedId,
    from_mapping,
    to_mapping,
)
from snn_gym._base.folders import locked, make_writable
from snn_gym._base.names import did_you_mean, parse_seeds
from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import write_text_atomic
from snn_gym.envs.registry import unflattened_id
from snn_gym.leaderboard import evaluate
from snn_gym.leaderboard.plan import Seeds, read_table
from snn_gym.spiking import NetworkConfig
from snn_gym.training.settings import acts_in_spikes, make_run_settings
from snn_gym.zoo import make_agent
from snn_gym.zoo.algorithms import ALGORITHMS
from snn_gym.zoo.build import policy_arguments
from snn_gym.zoo.files import finite_or_raise, package_versions
from snn_gym.zoo.spec import AgentSpec, load_agent_spec

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


# ---- search --------------------------------------------------------------------------------------
FIRST_TUNING_SEED = 1000
"""Least seed of a search. Those below are for results that are reported."""

_NETWORK = "network"
_OF_NETWORK = "network."
# Of a network's settings, the one that an ANN has too.
_OF_ANY_NETWORK = "network.hidden_sizes"


@dataclass(frozen=True)
class Values(Config):
    """Values of a hyper-parameter that are tried: numbers of a range, or some choices."""

    low: int | float | None = None
    """Least number; where both ends are whole, so are the numbers between."""
    high: int | float | None = None
    """Largest number."""
    log: bool = False
    """Whether numbers are drawn evenly by their logarithm."""
    schedule: Literal["lin"] | None = None
    """``lin`` for schedules that fall from such a number to 0 over training."""
    choices: Annotated[tuple[Any, ...], Length(2, 1000)] | None = None
    """All values, in place of a range."""

    def _check(self) -> None:
        ends = self.low, self.high
        if self.choices is not None:
            if ends != (None, None) or self.log or self.schedule is not None:
                raise ValueError("choices stand alone; leave out low, high, log and schedule")
        elif self.low is None or self.high is None:
            raise ValueError("expected low and high, or choices")
        elif self.low >= self.high or (self.log and self.low <= 0):
            bound = "0 < low < high" if self.log else "low < high"
            raise ValueError(f"expected {bound}, got low {self.low} and high {self.high}")

    def value(self, drawn: Any) -> Any:
        """Return the hyper-parameter's value.

        Args:
            drawn: A number from low to high, or one of the choices as JSON.
        """
        if self.choices is not None:
            return json.loads(drawn)
        return drawn if self.schedule is None else f"{self.schedule}_{drawn}"

    @property
    def extremes(self) -> tuple[Any, ...]:
        """The choices, or the values at both ends."""
        if self.choices is not None:
            return self.choices
        return self.value(self.low), self.value(self.high)


@dataclass(frozen=True)
class Search(Config):
    """Search space; an agent and its twin are tuned by the same one."""

    agent: str
    """Agent of the zoo."""
    environment: RecordedId
    """Gymnasium id."""
    seeds: Seeds
    """Seeds that each trial trains, such as ``1000-1002``."""
    trials: Count
    """Settings that are tried of each agent."""
    space: Annotated[Mapping[str, Values], Length(1, 100)]
    """Values by hyper-parameter; settings of the network are ``network.NAME``."""
    steps: Count | None = None
    """Environment steps of a training; None for the environment's budget."""
    episodes: Annotated[int, Range(at_least=1, at_most=10_000)] = 20
    """Episodes that score a training."""
    unpruned_trials: Natural = 5
    """Trials at the start that train all seeds, before those below the median are pruned."""
    sampler_seed: Natural = 0
    """Seed of what is drawn."""

    def _check(self) -> None:
        if self.training_seeds[0] < FIRST_TUNING_SEED:
            raise ValueError(
                f"seeds {self.seeds} begin below {FIRST_TUNING_SEED}: results are reported on "
                "those, and seeds tuned on are not reported; use seeds such as 1000-1002"
            )

    @property
    def training_seeds(self) -> range:
        """The seeds."""
        return parse_seeds(self.seeds) or range(0)

    @property
    def agents(self) -> tuple[str, ...]:
        """The agent and, if it has one, its twin."""
        twin = load_agent_spec(self.agent).twin
        return (self.agent,) if twin is None else (self.agent, twin)

    def budget(self, steps: int) -> int:
        """Return the environment steps that tuning an agent takes at most.

        Args:
            steps: Those of a training.
        """
        return self.trials * len(self.training_seeds) * steps

    def values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a trial.

        Args:
            drawn: What was drawn, by hyper-parameter.
        """
        return {name: self.space[name].value(x) for name, x in drawn.items()}

    def space_of(self, agent: str) -> dict[str, Values]:
        """Return what is tried of an agent: of one that does not spike, nothing about spikes.

        Args:
            agent: Agent of the zoo.
        """
        spikes = acts_in_spikes(load_agent_spec(agent))
        return {
            name: values
            for name, values in self.space.items()
            if spikes or name == _OF_ANY_NETWORK or not name.startswith(_OF_NETWORK)
        }


def split(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an algorithm's hyper-parameters, and the network's settings by their own names.

    Args:
        values: Both, as a search names them.
    """
    of_network = {
        name.removeprefix(_OF_NETWORK): value
        for name, value in values.items()
        if name.startswith(_OF_NETWORK)
    }
    others = {name: x for name, x in values.items() if not name.startswith(_OF_NETWORK)}
    return others, of_network


def read_search(path: Path) -> Search:
    """Read a search.

    Args:
        path: TOML file.

    Returns:
        The search, with the number of steps filled in.

    Raises:
        ValueError: It does not fit the schema, what it names does not exist, or an agent cannot
            have a value that it names.
    """
    table = read_table(path)
    if isinstance(space := table.get("space"), dict) and isinstance(space.get(_NETWORK), dict):
        # TOML's network.NAME without quotes.
        of_network = {f"{_OF_NETWORK}{name}": x for name, x in space.pop(_NETWORK).items()}
        table["space"] = {**space, **of_network}
    search = from_mapping(Search, table, str(path))
    try:
        for agent in search.agents:
            _check_space(load_agent_spec(agent), search)
        first, last = search.training_seeds[0], search.training_seeds[-1]
        make_run_settings(search.agent, search.environment, seed=last, steps=search.steps)
        run = make_run_settings(search.agent, search.environment, seed=first, steps=search.steps)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return dataclasses.replace(search, steps=run.steps)


def _check_space(spec: AgentSpec, search: Search) -> None:
    kind = ALGORITHMS[spec.algorithm].settings
    known = [field.name for field in dataclasses.fields(kind) if field.init]
    known += [f"{_OF_NETWORK}{field.name}" for field in dataclasses.fields(NetworkConfig)]
    space = search.space_of(spec.name)
    if not space:
        raise ValueError(
            f"space has nothing that {spec.name} can be tuned in, because it does not spike; name "
            f"a hyper-parameter of {spec.algorithm}"
        )
    for name, values in space.items():
        if name not in known:
            hint = did_you_mean(name, known, f"; known: {', '.join(known)}")
            raise ValueError(f"{name!r} is no hyper-parameter of {spec.name}{hint}")
        for value in values.extremes:
            _check_value(spec, search.environment, name, value)
        if isinstance(values.low, int) and isinstance(values.high, int):
            _check_whole(spec, search.environment, name, values)


def _check_value(spec: AgentSpec, env_id: str, name: str, value: Any) -> None:
    overrides, network = split({name: value})
    spec.settings(env_id, overrides)
    policy_arguments(spec, env_id, network)


def _check_whole(spec: AgentSpec, env_id: str, name: str, values: Values) -> None:
    """Refuse whole ends of what need not be whole: of 0 to 1 nothing between would be tried."""
    assert values.low is not None
    try:
        _check_value(spec, env_id, name, values.value(values.low + 0.5))
    except ValueError:
        return
    raise ValueError(
        f"{name!r} may be any number, but from low {values.low} to high {values.high} only whole "
        f"ones are tried; write low = {float(values.low)}, or choices"
    )


# Trials follow from the search alone, and are kept in a database. A search that was killed trains
# the seed that was under way again, goes on from there, and ends as if it had not been killed.
# ---- trials --------------------------------------------------------------------------------------
State = Literal["finished", "pruned", "failed"]

SCORES = "scores"
"""Attribute of a trial: mean return of each seed that was trained."""
FAILURE = "failure"
"""Attribute of a trial that failed: why, in one line."""


def finished(study: Study) -> list[FrozenTrial]:
    """Return the trials that ended, whatever came of them, in the order in which they were tried.

    Args:
        study: Optuna's study; a trial that was interrupted is its state FAIL, and was tried again.
    """
    from optuna.trial import TrialState

    return study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def state(trial: FrozenTrial) -> State:
    """Say what came of a trial.

    Args:
        trial: One that ended.
    """
    if FAILURE in trial.user_attrs:
        return "failed"
    return "finished" if trial.state.name == "COMPLETE" else "pruned"


def best(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Return the first of the best trials, None if none was finished.

    Args:
        trials: Trials that ended.
    """
    complete = [trial for trial in trials if state(trial) == "finished"]
    return max(complete, key=_value, default=None)


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def describe(trial: FrozenTrial, search: Search) -> str:
    """Say in words what came of a trial.

    Args:
        trial: One that ended.
        search: Its search.
    """
    scores = trial.user_attrs.get(SCORES, [])
    seeds = ", ".join(f"{x:.2f}" for x in scores)
    if state(trial) == "failed":
        seed = search.training_seeds[len(scores)]
        return f"failed with seed {seed}: {trial.user_attrs[FAILURE]}"
    mean = sum(scores) / len(scores)
    if state(trial) == "pruned":
        return f"pruned at mean return {mean:.2f} ({seeds})"
    return f"mean return {mean:.2f} ({seeds})"


def summary(trials: Sequence[FrozenTrial], search: Search) -> str:
    """Say in words what came of all, and which was best.

    Args:
        trials: Trials that ended.
        search: Their search.

    Raises:
        ValueError: None was finished.
    """
    found = best(trials)
    states = [state(trial) for trial in trials]
    if found is None:
        reasons = [trial.user_attrs.get(FAILURE) for trial in trials]
        raise ValueError(f"none of {len(trials)} trials was finished; the last: {reasons[-1]}")
    counts = ", ".join(f"{states.count(kind)} {kind}" for kind in get_args(State))
    shown = ", ".join(f"{name} = {_toml(x)}" for name, x in search.values(found.params).items())
    return f"best mean return {found.value:.2f} of seeds {search.seeds}; trials {counts}: {shown}"


def write_results(folder: Path, search: Search, agent: str, trials: Sequence[FrozenTrial]) -> None:
    """Write ``trials.csv`` and, if a trial was finished, ``best.toml``.

    Args:
        folder: Folder of the results.
        search: The search.
        agent: The agent.
        trials: Trials that ended.
    """
    write_text_atomic(folder / "trials.csv", _csv(search, agent, trials))
    found = best(trials)
    if found is not None:
        lines = [f"# snn-gym tune, {len(trials)} trials: {summary(trials, search)}."]
        lines += table_lines(search, agent, search.values(found.params))
        write_text_atomic(folder / "best.toml", "\n".join(lines) + "\n")


def _csv(search: Search, agent: str, trials: Sequence[FrozenTrial]) -> str:
    names = list(search.space_of(agent))
    seeds = list(search.training_seeds)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = ["trial", "state", "mean_return", *(f"return_of_{seed}" for seed in seeds)]
    writer.writerow([*header, *names, "failure"])
    for number, trial in enumerate(trials, 1):
        scores = trial.user_attrs.get(SCORES, [])
        blanks = [""] * (len(seeds) - len(scores))
        mean = "" if state(trial) == "failed" else trial.value
        values = search.values(trial.params)
        shown = [x if isinstance(x := values[name], str) else _toml(x) for name in names]
        reason = trial.user_attrs.get(FAILURE, "")
        writer.writerow([number, state(trial), mean, *scores, *blanks, *shown, reason])
    return text.getvalue()


def table_lines(search: Search, agent: str, values: Mapping[str, Any]) -> list[str]:
    """Return the environment's table of an agent's file, with some values in the place of its own.

    Args:
        search: The search.
        agent: The agent.
        values: Values by hyper-parameter, as the search names them.
    """
    env_id = unflattened_id(search.environment)
    overrides, network = split(values)
    table = load_agent_spec(agent).table(env_id)
    merged = {**table, **overrides}
    network = {**table.get("network", {}), **network}
    merged.pop("network", None)
    heading = f"environments.{_toml(env_id)}"
    lines = [f"[{heading}]", *(f"{name} = {_toml(value)}" for name, value in merged.items())]
    if network:
        lines += ["", f"[{heading}.network]"]
        lines += [f"{name} = {_toml(value)}" for name, value in network.items()]
    return lines


def _toml(value: Any) -> str:
    """Write a value in TOML, whose texts, numbers and flags JSON writes alike."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{json.dumps(key)} = {_toml(x)}" for key, x in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


# ---- tuning --------------------------------------------------------------------------------------
FIRST_TUNING_EPISODE_SEED = 1_700_000_000
"""Seed of the first episode that scores a trial: apart from training seeds, from the public ones
of evaluations, and from hidden ones."""

SEARCH_FILE = "search.json"
STUDY_FILE = "study.db"


def tune(path: Path, out: Path, agent: str | None = None) -> Iterator[str]:
    """Tune an agent and its twin by the same search, one after the other.

    Args:
        path: The search.
        out: Folder of the results, which gets a folder for each agent.
        agent: The one of the two that is tuned; both if None.

    Yields:
        Lines to print: what it costs, then one for each trial, then the best.

    Raises:
        ValueError: The search is wrong, the folder cannot be used, or no trial could be finished.
        ImportError: Optuna is not installed.
    """
    search = read_search(path)
    if agent is not None and agent not in search.agents:
        raise ValueError(f"{path} tunes {' and '.join(search.agents)}, not {agent!r}")
    _import_optuna()
    steps = search.steps or 0
    yield (
        f"{' and '.join(search.agents)} on {search.environment}: {search.trials} trials × "
        f"{len(search.training_seeds)} seeds × {steps:,} steps = {search.budget(steps):,} "
        "environment steps at most for each"
    )
    for name in search.agents if agent is None else (agent,):
        yield from tune_agent(search, name, out / name)


def tune_agent(search: Search, agent: str, folder: Path) -> Iterator[str]:
    """Carry out a search for one agent, or what is left of it.

    Args:
        search: The search, with its steps.
        agent: The agent.
        folder: Folder of the results: ``study.db``, ``search.json``, ``trials.csv``, ``best.toml``.

    Yields:
        Lines to print.

    Raises:
        ValueError: As in ``tune``.
    """
    # Before any training: its spaces may not suit the algorithm.
    _close(make_agent(agent, search.environment, search.training_seeds[0]))
    make_writable(folder)
    with locked(folder, wait=False):
        _begin_or_find(folder, search, agent)
        study = _open_study(folder, search)
        while (number := len(finished(study))) < search.trials:
            _try(study, search, agent, number)
            trials = finished(study)
            write_results(folder, search, agent, trials)
            yield f"{agent} trial {number + 1} of {search.trials}: {describe(trials[-1], search)}"
        trials = finished(study)
        write_results(folder, search, agent, trials)
    yield f"{agent}: {summary(trials, search)}"
    yield f"{agent}: {folder / 'best.toml'} is for agents/{agent}/agent.toml"


def _import_optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise ImportError(
            'searching needs Optuna, which is not installed: pip install "snn-gym[tune]"'
        ) from error
    return optuna


def _begin_or_find(folder: Path, search: Search, agent: str) -> None:
    """Make a folder this search's own, or make sure that it is."""
    spec = load_agent_spec(agent)
    begun = {
        "agent": agent,
        "search": to_mapping(search),
        "environment_steps_at_most": search.budget(search.steps or 0),
        # What the values that are tried are laid over.
        "settings": to_mapping(spec.settings(search.environment)),
        "network": spec.network_settings(search.environment),
        "versions": package_versions(),
    }
    file = folder / SEARCH_FILE
    if not file.exists():
        if any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty and holds no search; use another folder")
        write_text_atomic(file, json.dumps(begun, indent=2) + "\n")
        return
    old = json.loads(file.read_text(encoding="utf-8"))
    changed = [name for name, value in begun.items() if old.get(name) != value]
    if changed:
        raise ValueError(
            f"{folder} holds a search with other {', '.join(changed)}; go on with what it was "
            f"begun with, which {SEARCH_FILE} says, or use another folder"
        )


def _open_study(folder: Path, search: Search) -> Study:
    """Open the database; a trial that was under way is the next again, with its seeds' scores."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{folder.resolve() / STUDY_FILE}",
        study_name="tune",
        direction="maximize",
        # Running means are compared with those of the same seeds.
        pruner=optuna.pruners.MedianPruner(n_startup_trials=search.unpruned_trials),
        load_if_exists=True,
    )
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        # In this order: killed between the two, the same values are drawn once more.
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)
    return study


def _try(study: Study, search: Search, agent: str, number: int) -> None:
    """Try one more of the settings."""
    import optuna

    # A generator of each trial's own, so that a search that is resumed draws the same.
    seed = int(np.random.SeedSequence([search.sampler_seed, number]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    space = search.space_of(agent)
    trial = study.ask({name: _distribution(values) for name, values in space.items()})
    try:
        scores = _train_seeds(trial, search, agent, search.values(trial.params))
    except ValueError as error:
        # Worse than all that learned, so that the sampler keeps away from it.
        trial.set_user_attr(FAILURE, " ".join(str(error).split()))
        study.tell(trial, float("-inf"))
        return
    if len(scores) < len(search.training_seeds):
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, float(np.mean(scores)))


def _train_seeds(trial: Trial, search: Search, agent: str, values: dict[str, Any]) -> list[float]:
    """Return the scores of the seeds, of fewer if the trial was pruned."""
    scores: list[float] = list(trial.user_attrs.get(SCORES, ()))
    for index, seed in enumerate(search.training_seeds):
        if index == len(scores):
            scores.append(score(search, agent, seed, values))
        trial.report(float(np.mean(scores[: index + 1])), index)
        trial.set_user_attr(SCORES, scores)
        if index + 1 < len(search.training_seeds) and trial.should_prune():
            break
    return scores


def score(search: Search, agent: str, seed: int, values: dict[str, Any]) -> float:
    """Train with one seed and return what the final policy earns, deterministically.

    Args:
        search: The search, with its steps.
        agent: The agent.
        seed: Training seed.
        values: Values of the search's hyper-parameters.

    Returns:
        Mean return of the search's episodes.

    Raises:
        ValueError: The values do not fit each other, or training diverged.
    """
    overrides, network = split(values)
    with one_thread():
        model = make_agent(agent, search.environment, seed, network=network, **overrides)
        try:
            model.learn(search.steps or 0)
            finite_or_raise(model.policy.state_dict(), f"seed {seed}")
            first = FIRST_TUNING_EPISODE_SEED
            seeds: Sequence[int] = range(first, first + search.episodes)
            return evaluate(model, search.environment, seeds=seeds).mean
        finally:
            _close(model)


def _close(model: Any) -> None:
    model.env.close()


def _distribution(values: Values) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if values.choices is not None:
        return CategoricalDistribution([json.dumps(choice) for choice in values.choices])
    low, high = values.low, values.high
    assert low is not None
    assert high is not None
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=values.log)
    return FloatDistribution(low, high, log=values.log)
