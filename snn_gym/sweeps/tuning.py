"""Hyper-parameter search of an agent and its twin: Optuna proposes, trainings score.

Trials follow from the search alone, and Optuna keeps them in a database. A search that was killed
trains the interrupted seed again and ends with the results of an uninterrupted one.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
from snn_gym._base.extras import import_extra
from snn_gym._base.folders import locked, make_writable, toml_value
from snn_gym._base.names import did_you_mean, parse_seeds
from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import write_text_atomic
from snn_gym.envs.registry import unflattened_id
from snn_gym.leaderboard import evaluate
from snn_gym.leaderboard.plan import Seeds, read_table
from snn_gym.spiking import NetworkConfig
from snn_gym.training.settings import acts_in_spikes, make_run_settings
from snn_gym.zoo.algorithms import ALGORITHMS
from snn_gym.zoo.build import fitting_spec, make_agent, policy_arguments
from snn_gym.zoo.files import finite_or_raise, package_versions
from snn_gym.zoo.spec import AgentSpec, load_agent_spec

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

# ---- search --------------------------------------------------------------------------------------
FIRST_TUNING_SEED = 1000
"""Least training seed of a search; results are reported on the seeds below."""

_NETWORK = "network."


@dataclass(frozen=True)
class Values(Config):
    """Values of a hyper-parameter to try: a range of numbers, or choices."""

    low: int | float | None = None
    """Least number; where both ends are whole, so are the numbers between."""
    high: int | float | None = None
    log: bool = False
    """Draw numbers evenly by their logarithm."""
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
        """Return the value of a drawn number X, ``lin_X`` with a schedule, or of a JSON choice."""
        if self.choices is not None:
            return json.loads(drawn)
        return drawn if self.schedule is None else f"{self.schedule}_{drawn}"

    @property
    def is_whole(self) -> bool:
        """True for a range of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def distribution(self) -> BaseDistribution:
        """Return the values as a distribution of Optuna's, which takes choices as JSON."""
        from optuna import distributions

        if self.choices is not None:
            return distributions.CategoricalDistribution(list(map(json.dumps, self.choices)))
        low: Any = self.low
        high: Any = self.high
        if self.is_whole:
            return distributions.IntDistribution(low, high, log=self.log)
        return distributions.FloatDistribution(low, high, log=self.log)


@dataclass(frozen=True)
class Search(Config):
    """Search space; an agent and its twin are tuned by the same one."""

    agent: str
    """Agent of the zoo."""
    environment: RecordedId
    """Gymnasium id."""
    seeds: Seeds
    """Training seeds of each trial, such as ``1000-1002``."""
    trials: Count
    """Trials of each agent."""
    space: Annotated[Mapping[str, Values], Length(1, 100)]
    """Values by hyper-parameter; settings of the network are ``network.NAME``."""
    steps: Count | None = None
    """Environment steps of a training; None for the environment's budget."""
    episodes: Annotated[int, Range(at_least=1, at_most=10_000)] = 20
    """Episodes that score a training."""
    unpruned_trials: Natural = 5
    """Trials at the start that train all seeds, before those below the median are pruned."""
    sampler_seed: Natural = 0
    """Seed of the sampler."""

    def _check(self) -> None:
        if self.training_seeds[0] < FIRST_TUNING_SEED:
            raise ValueError(
                f"seeds {self.seeds} begin below {FIRST_TUNING_SEED}: results are reported on "
                "those, and seeds tuned on are not reported; use seeds such as 1000-1002"
            )

    @property
    def training_seeds(self) -> range:
        """``seeds`` as a range."""
        return parse_seeds(self.seeds) or range(0)

    @property
    def agents(self) -> tuple[str, ...]:
        """The agent and, if it has one, its twin."""
        twin = load_agent_spec(self.agent).twin
        return (self.agent,) if twin is None else (self.agent, twin)

    @property
    def budget(self) -> int:
        """Environment steps that tuning an agent takes at most; 0 before `steps` is filled in."""
        return self.trials * len(self.training_seeds) * (self.steps or 0)

    def values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a trial by hyper-parameter, from the drawn ones."""
        return {name: self.space[name].value(x) for name, x in drawn.items()}

    def space_of(self, agent: str) -> dict[str, Values]:
        """Return the values to try of an agent; of an ANN's network only ``hidden_sizes``."""
        spikes = acts_in_spikes(load_agent_spec(agent))
        return {
            name: values
            for name, values in self.space.items()
            if spikes or name == "network.hidden_sizes" or not name.startswith(_NETWORK)
        }


def split(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the algorithm's hyper-parameters, and the network's settings without their prefix."""
    network = {name: x for name, x in values.items() if name.startswith(_NETWORK)}
    overrides = {name: x for name, x in values.items() if name not in network}
    return overrides, {name.removeprefix(_NETWORK): x for name, x in network.items()}


def read_search(path: Path) -> Search:
    """Read and check a search from a TOML file, with the number of steps filled in."""
    table = read_table(path)
    space = table.get("space")
    if isinstance(space, dict) and isinstance(space.get("network"), dict):
        # TOML reads network.NAME without quotes as a table.
        network = {f"{_NETWORK}{name}": x for name, x in space.pop("network").items()}
        table["space"] = {**space, **network}
    search = from_mapping(Search, table, str(path))
    try:
        for seed in (search.training_seeds[-1], search.training_seeds[0]):
            run = make_run_settings(search.agent, search.environment, seed=seed, steps=search.steps)
        for agent in search.agents:
            _check_space(fitting_spec(agent, search.environment), search)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return replace(search, steps=run.steps)


def _check_space(spec: AgentSpec, search: Search) -> None:
    """Refuse unknown hyper-parameters of an agent, and values that it cannot take."""
    known = [
        *(x.name for x in fields(ALGORITHMS[spec.algorithm].settings) if x.init),
        *(f"{_NETWORK}{x.name}" for x in fields(NetworkConfig)),
    ]
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
        for value in values.choices or map(values.value, (values.low, values.high)):
            _check_value(spec, search.environment, name, value)
        if not values.is_whole:
            continue
        low: Any = values.low
        try:
            _check_value(spec, search.environment, name, values.value(low + 0.5))
        except ValueError:
            continue
        raise ValueError(  # of 0 to 1 nothing between would be tried
            f"{name!r} may be any number, but from low {low} to high {values.high} only whole "
            f"ones are tried; write low = {float(low)}, or choices"
        )


def _check_value(spec: AgentSpec, env_id: str, name: str, value: Any) -> None:
    overrides, network = split({name: value})
    spec.settings(env_id, overrides)
    policy_arguments(spec, env_id, network)


# ---- trials --------------------------------------------------------------------------------------
SCORES = "scores"
"""Attribute of a trial: mean return of each seed that was trained."""
FAILURE = "failure"
"""Attribute of a failed trial: the reason in one line."""


def finished(study: Study) -> list[FrozenTrial]:
    """Return the trials that ended, pruned and failed ones included, in the order of their start.

    Optuna's state FAIL marks an interrupted trial, which was tried again.
    """
    from optuna.trial import TrialState

    return study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def _state(trial: FrozenTrial) -> str:
    if FAILURE in trial.user_attrs:
        return "failed"
    return "finished" if trial.state.name == "COMPLETE" else "pruned"


def _describe(trial: FrozenTrial, search: Search) -> str:
    scores = trial.user_attrs.get(SCORES, [])
    state = _state(trial)
    if state == "failed":
        seed = search.training_seeds[len(scores)]
        return f"failed with seed {seed}: {trial.user_attrs[FAILURE]}"
    pruned = "pruned at " if state == "pruned" else ""
    return f"{pruned}mean return {trial.value:.2f} ({', '.join(f'{x:.2f}' for x in scores)})"


def _write_results(folder: Path, search: Search, agent: str, trials: Sequence[FrozenTrial]) -> str:
    """Write ``trials.csv`` and, if a trial finished, ``best.toml``; return it in words, else ""."""
    write_text_atomic(folder / "trials.csv", _csv(search, agent, trials))
    states = Counter(map(_state, trials))
    complete = [trial for trial in trials if _state(trial) == "finished"]
    if not complete:
        return ""
    best = max(complete, key=lambda trial: trial.value or 0.0)  # the first of equal ones
    values = search.values(best.params)
    counts = ", ".join(f"{states[state]} {state}" for state in ("finished", "pruned", "failed"))
    summary = (
        f"best mean return {best.value:.2f} of seeds {search.seeds}; trials {counts}: "
        f"{', '.join(_assignments(values))}"
    )
    lines = [
        f"# snn-gym tune, {len(trials)} trials: {summary}.",
        *_agent_table(search, agent, values),
    ]
    write_text_atomic(folder / "best.toml", "\n".join(lines) + "\n")
    return summary


def _csv(search: Search, agent: str, trials: Sequence[FrozenTrial]) -> str:
    returns = [f"return_of_{seed}" for seed in search.training_seeds]
    text = io.StringIO()
    header = ["trial", "state", "mean_return", *returns, *search.space_of(agent), "failure"]
    writer = csv.DictWriter(text, header, restval="", lineterminator="\n")
    writer.writeheader()
    for number, trial in enumerate(trials, 1):
        state, scores = _state(trial), trial.user_attrs.get(SCORES, [])
        values = search.values(trial.params)
        writer.writerow(
            {
                "trial": number,
                "state": state,
                "mean_return": "" if state == "failed" else trial.value,
                **dict(zip(returns, scores, strict=False)),
                **{name: x if isinstance(x, str) else toml_value(x) for name, x in values.items()},
                "failure": trial.user_attrs.get(FAILURE, ""),
            }
        )
    return text.getvalue()


def _agent_table(search: Search, agent: str, values: Mapping[str, Any]) -> list[str]:
    """Return the environment's table of an agent's file, with the values of a trial put in."""
    env_id = unflattened_id(search.environment)
    overrides, network = split(values)
    table = {**fitting_spec(agent, search.environment).table(env_id), **overrides}
    network = {**table.pop("network", {}), **network}
    heading = f"environments.{toml_value(env_id)}"
    lines = [f"[{heading}]", *_assignments(table)]
    if network:
        lines += ["", f"[{heading}.network]", *_assignments(network)]
    return lines


def _assignments(table: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {toml_value(value)}" for name, value in table.items()]


# ---- tuning --------------------------------------------------------------------------------------
FIRST_TUNING_EPISODE_SEED = 1_700_000_000
"""Seed of the first episode that scores a trial: apart from training seeds, from the public ones
of evaluations, and from hidden ones."""

SEARCH_FILE = "search.json"


def tune(path: Path, out: Path, agent: str | None = None) -> Iterator[str]:
    """Tune an agent and its twin by the same search, one after the other.

    Args:
        path: The search.
        out: Folder of the results, which gets a folder for each agent.
        agent: Tune this one of the two only; None for both.

    Yields:
        Lines to print: the cost, then one for each trial, then the best.

    Raises:
        ValueError: The search is wrong, the folder cannot be used, or no trial could be finished.
        ImportError: Optuna is not installed.
    """
    search = read_search(path)
    if agent is not None and agent not in search.agents:
        raise ValueError(f"{path} tunes {' and '.join(search.agents)}, not {agent!r}")
    optuna: Any = import_extra("optuna", "searching needs Optuna", "tune")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield (
        f"{' and '.join(search.agents)} on {search.environment}: {search.trials} trials × "
        f"{len(search.training_seeds)} seeds × {search.steps or 0:,} steps = {search.budget:,} "
        "environment steps at most for each"
    )
    for name in search.agents if agent is None else (agent,):
        yield from tune_agent(search, name, out / name)


def tune_agent(search: Search, agent: str, folder: Path) -> Iterator[str]:
    """Carry out the rest of a search for one agent, in a folder; yield lines to print.

    ValueError for a folder of another search, and after it if no trial finished.
    """
    # Before any training: its spaces may not suit the algorithm.
    untrained: Any = make_agent(agent, search.environment, search.training_seeds[0])
    untrained.env.close()
    make_writable(folder)
    with locked(folder, wait=False):
        _check_folder(folder, search, agent)
        study = _open_study(folder, search)
        for number in range(len(finished(study)), search.trials):
            _try(study, search, agent, number)
            trials = finished(study)
            _write_results(folder, search, agent, trials)
            yield f"{agent} trial {number + 1} of {search.trials}: {_describe(trials[-1], search)}"
        trials = finished(study)
        summary = _write_results(folder, search, agent, trials)  # it may have been killed before
    if not summary:
        reason = trials[-1].user_attrs.get(FAILURE)
        raise ValueError(f"none of {len(trials)} trials was finished; the last: {reason}")
    yield f"{agent}: {summary}"
    yield f"{agent}: {folder / 'best.toml'} is for agents/{agent}/agent.toml"


def _check_folder(folder: Path, search: Search, agent: str) -> None:
    """Write the search's description into an empty folder; refuse one of another search.

    Other files are refused, too, and other settings, network or package versions.
    """
    spec = fitting_spec(agent, search.environment)
    description = {
        "agent": agent,
        "search": to_mapping(search),
        "environment_steps_at_most": search.budget,
        # The values of a trial take the place of these.
        "settings": to_mapping(spec.settings(search.environment)),
        "network": spec.network_settings(search.environment),
        "versions": package_versions(),
    }
    file = folder / SEARCH_FILE
    if not file.exists():
        if any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty and holds no search; use another folder")
        write_text_atomic(file, json.dumps(description, indent=2) + "\n")
        return
    old = json.loads(file.read_text(encoding="utf-8"))
    changed = [name for name, value in description.items() if old.get(name) != value]
    if changed:
        raise ValueError(
            f"{folder} holds a search with other {', '.join(changed)}; go on with the "
            f"search that {SEARCH_FILE} describes, or use another folder"
        )


def _open_study(folder: Path, search: Search) -> Study:
    """Open or create the database; an interrupted trial comes next again, with its scores."""
    import optuna

    study = optuna.create_study(
        storage=f"sqlite:///{folder.resolve() / 'study.db'}",
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
    """Carry out trial ``number``, counted from 0, and store its score or pruning in the study."""
    import optuna

    # A new generator for each trial, so that a resumed search draws the same values.
    seed = int(np.random.SeedSequence([search.sampler_seed, number]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    space = search.space_of(agent)
    trial = study.ask({name: values.distribution() for name, values in space.items()})
    try:
        study.tell(trial, _objective(trial, search, agent))
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def _objective(trial: Trial, search: Search, agent: str) -> float:
    """Return the mean score of all seeds, -inf after a failure; raise ``TrialPruned`` if pruned."""
    import optuna

    scores: list[float] = list(trial.user_attrs.get(SCORES, ()))
    seeds, values = search.training_seeds, search.values(trial.params)
    for index, seed in enumerate(seeds):
        if index == len(scores):
            try:
                scores.append(score(search, agent, seed, values))
            except ValueError as error:
                trial.set_user_attr(FAILURE, " ".join(str(error).split()))
                return float("-inf")  # so that the sampler keeps away from it
        trial.report(float(np.mean(scores[: index + 1])), index)
        trial.set_user_attr(SCORES, scores)
        if index + 1 < len(seeds) and trial.should_prune():
            raise optuna.TrialPruned
    return float(np.mean(scores))


def score(search: Search, agent: str, seed: int, values: dict[str, Any]) -> float:
    """Train with one seed and return the final policy's mean return, deterministically.

    Raises:
        ValueError: The values do not fit each other, or training diverged.
    """
    overrides, network = split(values)
    episode_seeds = range(FIRST_TUNING_EPISODE_SEED, FIRST_TUNING_EPISODE_SEED + search.episodes)
    with one_thread():
        model: Any = make_agent(agent, search.environment, seed, network=network, **overrides)
        try:
            model.learn(search.steps or 0)
            finite_or_raise(model.policy.state_dict(), f"seed {seed}")
            return evaluate(model, search.environment, seeds=episode_seeds).mean
        finally:
            model.env.close()
