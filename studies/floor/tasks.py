"""Tasks of the study, and the effort of their searches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import snn_gym
from snn_gym.leaderboard.floor import Effort, SearchResult
from snn_gym.learners.students import Family

CONTROL: tuple[Family, ...] = ("linear", "relu", "threshold", "lif")
"""Families on control tasks, where an observation shows the whole state."""
MEMORY: tuple[Family, ...] = ("leaky", "rectified_leaky", "rnn", "lif", "recurrent_lif")
"""Families on tasks that need a memory."""
GROWING: tuple[Family, ...] = ("rectified_leaky", "rnn_relu", "lif", "recurrent_lif")
"""Families on memory tasks that grow."""
CLASSIC = Effort(generations=60, refined=8)
LANDER = Effort()
"""Without CMA-ES, for which Box2D is too slow."""
NATIVE = Effort(sizes=(1, 2, 3), starts=6, updates=600, validation_episodes=100)
LONGER = replace(NATIVE, sizes=(2, 3, 4))
"""For intervals, which two units hardly tell apart."""


@dataclass(frozen=True)
class Task:
    """A task, its teacher, and what is searched."""

    teacher: str | None
    """An agent; None for the right actions."""
    effort: Effort
    families: tuple[Family, ...]
    seeds: range
    pilot: str = ""
    """Cheapest ANN and spiking network of the pilot, some of them the best of several."""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    margin: float | None = None
    """Loss of mean return that is accepted; None for that of the results table."""
    later: tuple[Family, ...] = ()
    """Families that were searched after the registration, and do not count in its verdicts."""


def _with_memory(effort: Effort, pilot: str) -> Task:
    return Task("recurrent-ppo-gru", effort, MEMORY, range(10), pilot, later=("gru",))


FLOORS: Mapping[str, Task] = {
    "CartPole-v1": Task("ppo-mlp", CLASSIC, CONTROL, range(5), "2.0; 3.5"),
    "Acrobot-v1": Task("ppo-mlp", CLASSIC, CONTROL, range(5), "1.0; 3.5"),
    "Pendulum-v1": Task("sb3-sac", CLASSIC, CONTROL, range(5), "7.7; 7.5"),
    "snn/CueAccumulation-v0": _with_memory(NATIVE, "8.9; 8.4"),
    "snn/DelayedMatchToSample-v0": _with_memory(NATIVE, "10.9; 9.2"),
    "snn/IntervalTiming-v0": _with_memory(LONGER, "13.2; 9.6"),
    "LunarLander-v3": Task("ppo-mlp", LANDER, CONTROL, range(5), "10.4; 15.3"),
    "LunarLanderContinuous-v3": Task("ppo-mlp", LANDER, CONTROL, range(5), "6.0; 15.5"),
}


def _growing(numbers: Mapping[int, Mapping[str, int]]) -> Iterator[tuple[int, Task]]:
    """Yield the tasks of numbers of things to remember, which ask for about as many units."""
    for number, arguments in numbers.items():
        sizes = (number, number + number // 2, 2 * number)
        updates = 1200 if number > 4 else 600
        effort = Effort(sizes, 3, updates=updates, shares=(0.8,) * 8, validation_episodes=400)
        yield number, Task(None, effort, GROWING, range(1, 6), env_kwargs=arguments, margin=0.05)


GROWTH: Mapping[str, Mapping[int, Task]] = {
    "snn/DelayedMatchToSample-v0": dict(_growing({k: {"patterns": k} for k in (2, 4, 8)}))
}
"""Tasks with a growing number of patterns."""
TASKS: Mapping[str, Task] = {
    **FLOORS,
    **{f"{x} {number}": task for x, grown in GROWTH.items() for number, task in grown.items()},
}
"""All tasks by a name: the id, and behind it a number of patterns or another teacher."""


@dataclass(frozen=True)
class Played:
    """Return of a network in fresh episodes, beside the least that counts as kept."""

    least_return: float
    mean_return: float | None
    """In 1,000 fresh episodes; None if no network kept the return before."""

    @property
    def keeps(self) -> bool:
        """Whether there is a network that keeps the return in fresh episodes."""
        return self.mean_return is not None and self.mean_return >= self.least_return


def search(name: str, family: Family, seed: int) -> SearchResult:
    """Search for the smallest network of a family on a task."""
    task, env_id = TASKS[name], name.partition(" ")[0]
    given: Any = snn_gym.load_pretrained(task.teacher, env_id) if task.teacher else env_id
    return snn_gym.smallest(
        given, [family], effort=task.effort, margin=task.margin, seed=seed,
        env_kwargs=task.env_kwargs or None,
    )  # fmt: skip
