"""Searches: what is tried of an agent's hyper-parameters, on which seeds, at what cost."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from snn_gym.config import Config, Count, Length, Natural, Range, from_mapping
from snn_gym.names import did_you_mean
from snn_gym.recorded import RecordedId
from snn_gym.scoring.plan import Seeds, read_table
from snn_gym.seeds import parse_seeds
from snn_gym.spiking import NetworkConfig
from snn_gym.training.settings import acts_in_spikes, make_run_settings
from snn_gym.zoo.algorithms import ALGORITHMS
from snn_gym.zoo.build import policy_arguments
from snn_gym.zoo.spec import AgentSpec, load_agent_spec

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
    """What is tried; an agent and its twin are tuned by the same search."""

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
