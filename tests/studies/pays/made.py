"""Agents and questions that tests of the page make up."""

import dataclasses
from types import MappingProxyType

from snn_gym.envs.registry import ReferenceScores
from snn_gym.leaderboard.table import TableRow
from studies.pays.contenders import Contender, Field
from studies.pays.question import Question

TASK, OTHER_TASK = "CartPole-v1", "Acrobot-v1"
# The margin of 5 % is a return of 5.
REFERENCE = ReferenceScores(
    random=0.0, random_standard_error=0.0, random_episodes=100, solved=100.0, maximum=110.0
)
QUESTION = Question(
    tasks=(TASK,),
    context=(),
    prices=("operations",),
    margin=0.05,
    families=MappingProxyType({"spiking": ("lif",), "ANN": ("mlp",)}),
    expected=MappingProxyType({}),
    needed=frozenset(),
    pairs=(),
)


def contender(
    agent, returns, prices, *, spiking, teacher=None, family="family", task=TASK, trained_again=5
):
    """Return an agent with one return and price for each seed, made from a teacher if named."""
    count = len(returns)
    line = TableRow(
        environment=task,
        environment_version=1,
        budget_class="gradient",
        agent=agent,
        origin=teacher,
        seeds=tuple(range(count)),
        seed_means=tuple(map(float, returns)),
        reference=REFERENCE,
        spiking=spiking,
        **{x.name: 1.0 for x in dataclasses.fields(TableRow) if x.name.endswith("_per_decision")},
        spikes_per_synapse=1.0,
        firing_rate=None,
        parameters=1,
        steps=(1,) * count,
        trained_again=trained_again,
        derived=teacher is not None,
    )
    return Contender(line, family, {"operations": tuple(map(float, prices))})


def field(*contenders, missing=(), task=TASK):
    """Return a task with agents."""
    return Field(task, contenders, tuple(missing))
