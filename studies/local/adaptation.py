"""Changes in mid-life: a solved CartPole-v1 whose body or brain is another than before.

An agent that has solved the task is deployed as ``OnlineActor``, with one step size that never
falls, since nobody tells a deployed agent when its life ends. Then something changes, and it lives
on until it has recovered: to the end of the first window by which ``runs`` calls a run solved,
counted from the change; or until ``STEPS`` environment steps are spent. An agent at rest, which can
only go on as it began, has one window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor

from snn_gym import load_pretrained
from snn_gym._base.config import Config
from snn_gym._base.numerics import one_thread
from snn_gym.envs.stable_baselines import CheckedVecEnv
from snn_gym.learners import LocalActorCritic
from snn_gym.learners.local.online import Moments, OnlineActor
from snn_gym.spiking.spiking_layer import SynapticLinear
from snn_gym.zoo import make_agent
from studies.changed import make_changed
from studies.local.learning import (
    ENV_ID,
    EVALUATION_EPISODES,
    STEPS,
    WINDOW,
    UntilSolved,
    mean_return,
    play_without_exploration,
    solved_after,
)
from studies.runs import Planned

AGENT = "local-actor-critic"
GRADIENT_AGENT = "ppo-lif"
SEEDS = tuple(range(200, 210))
"""Seeds of the table; nothing is tuned on seeds below 1000."""
STEP_SIZE = 2.5e-4
"""Step size of a deployed agent's readouts: half of the initial one of learning."""
FIRST = 20
"""Episodes after the change over which the first mean is taken."""


@dataclass(frozen=True)
class Change:
    """Change of the body or the brain."""

    says: str
    """Label in the table."""
    attributes: Mapping[str, float] = field(default_factory=dict)
    """Attributes of the environment that have another value."""
    deleted: float = 0.0
    """Share of the hidden neurons that are gone."""


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "none": Change("nothing"),
        "pole": Change("pole of twice the length", {"length": 1.0, "polemass_length": 0.1}),
        "motor": Change("motor reversed", {"force_mag": -10.0}),
        "neurons": Change("half of the neurons deleted", deleted=0.5),
    }
)
"""Changes by name."""
STORED = "gradient"
"""Arm of the agents of the results table."""
ARMS: Mapping[str, str] = MappingProxyType(
    {
        "learning": f"`{AGENT}`, goes on learning",
        "resting": "the same, learning off",
        "new": "a new one, from scratch",
        STORED: f"`{GRADIENT_AGENT}`, at rest",
    }
)
"""Agents that live on after a change, by name."""


@dataclass(frozen=True)
class Life(Config):
    """Result of a life after a change."""

    change: str
    """Key of ``CHANGES``."""
    arm: str
    """Key of ``ARMS``."""
    seed: int
    """Seed of the agent, of its actions and of the environment."""
    before: float
    """Mean return without exploration before the change; of a new agent before it learns."""
    first: float
    """Mean return of the first episodes after the change, exploration included."""
    solved_after: int | None
    """Episodes to the end of the first window that solves the task; None for none."""
    recovery_steps: int | None
    """Environment steps of those episodes; None for none."""
    final: float
    """Mean return at the end, without exploration, in fresh episodes of the changed task."""


def adaptation_runs() -> Iterator[Planned]:
    """Yield all lives."""
    for change in CHANGES:
        for seed in SEEDS:
            for arm in ARMS:
                yield Planned(f"adaptation/{change}/{arm}/{seed}", partial(live, change, arm, seed))


def live(
    change: str, arm: str, seed: int, *, steps: int = STEPS, step_size: float = STEP_SIZE
) -> Life:
    """Let an agent live after a change."""
    given = CHANGES[change]
    with one_thread():
        if arm == STORED:
            model, before = _resting_gradient_agent(given, seed)
            returns: tuple[float, ...] = ()
        elif arm == "new":
            model = _made(given, seed)
            before = mean_return(model, given.attributes)
            returns = _learn_anew(model, given, seed, steps)
        else:
            solved = make_agent(AGENT, ENV_ID, seed)
            solved.learn(STEPS, callback=UntilSolved())
            before = mean_return(solved, {})
            model = damaged(solved, given, seed)
            size = step_size if arm == "learning" else 0.0
            returns = deploy(model, given, seed, steps, size)
        evaluation = play_without_exploration(model, EVALUATION_EPISODES, given.attributes)
    returns = returns or evaluation
    window = solved_after(returns)
    return Life(
        change, arm, seed, before, float(np.mean(returns[:FIRST])), window,
        None if window is None else int(sum(returns[:window])), float(np.mean(evaluation)),
    )  # fmt: skip


def _resting_gradient_agent(change: Change, seed: int) -> tuple[BaseAlgorithm, float]:
    """Return an agent of version 1's table, seeds 0 to 9, changed, and its return before."""
    model: BaseAlgorithm = load_pretrained(GRADIENT_AGENT, ENV_ID, pick=seed - SEEDS[0])
    before = mean_return(model, {})
    policy: Any = model.policy
    hidden = [x for x in policy.mlp_extractor.actor.modules() if isinstance(x, SynapticLinear)]
    for above in (*hidden[1:], policy.action_net):  # a neuron that nothing hears is deleted
        above.weight.data[:, deleted_neurons(above.in_features, change, seed)] = 0.0
    return model, before


def deleted_neurons(neurons: int, change: Change, seed: int) -> NDArray[np.int64]:
    """Draw which neurons of a layer are gone."""
    order = np.random.default_rng(seed).permutation(neurons)
    return order[: round(change.deleted * neurons)]


def _made(change: Change, seed: int) -> LocalActorCritic:
    """Make a new agent of as many neurons as are left."""
    model = make_agent(AGENT, ENV_ID, seed)
    assert isinstance(model, LocalActorCritic)
    sizes = model.policy.network.hidden_sizes
    left = [size - len(deleted_neurons(size, change, seed)) for size in sizes]
    if left != list(sizes):
        model = make_agent(AGENT, ENV_ID, seed, network={"hidden_sizes": left})
    assert isinstance(model, LocalActorCritic)
    return model


def damaged(solved: BaseAlgorithm, change: Change, seed: int) -> LocalActorCritic:
    """Return the agent without its deleted neurons: their synapses and all that these carried."""
    assert isinstance(solved, LocalActorCritic)
    if not change.deleted:
        return solved
    (hidden,), head, critic = solved.policy.learned_parts()
    gone = deleted_neurons(hidden.out_features, change, seed)
    kept = np.setdiff1d(np.arange(hidden.out_features), gone)
    model = _made(change, seed)
    (new_hidden,), new_head, new_critic = model.policy.learned_parts()
    new_hidden.weight.data[:] = hidden.weight[kept]
    new_hidden.bias.data[:] = hidden.bias[kept]
    for new, old in ((new_head, head), (new_critic, critic)):
        new.weight.data[:] = old.weight[:, kept]
        new.bias.data[:] = old.bias
    model.policy.feedback[:] = solved.policy.feedback[:, kept]
    moments, shape = solved.moments, (hidden.in_features + 1, 1 + head.out_features, kept)
    assert moments is not None
    model.moments = Moments(
        _thinned(moments.first, *shape), _thinned(moments.second, *shape), moments.updates
    )
    return model


def _thinned(
    values: NDArray[np.float32], rows: int, readouts: int, kept: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the remaining synapses' numbers in the order of ``local.kernels``."""
    neurons = (values.size - readouts) // (rows + readouts)
    hidden = values[: rows * neurons].reshape(rows, neurons)[:, kept]
    read = values[rows * neurons :].reshape(readouts, neurons + 1)[:, [*kept, neurons]]
    return np.concatenate([hidden.ravel(), read.ravel()])


def _learn_anew(
    model: LocalActorCritic, change: Change, seed: int, steps: int
) -> tuple[float, ...]:
    """Learn the changed task as the agent's file says."""
    env = CheckedVecEnv([lambda: Monitor(make_changed(ENV_ID, change.attributes))])
    env.seed(seed)
    model.set_env(env)
    log = UntilSolved()
    model.learn(steps, callback=log)
    return tuple(log.returns)


def deploy(
    model: LocalActorCritic, change: Change, seed: int, steps: int, step_size: float
) -> tuple[float, ...]:
    """Live on in the changed task."""
    env: gym.Env[Any, Any] = make_changed(ENV_ID, change.attributes)
    model.reseed(seed)
    actor = model.online(step_size)
    returns: list[float] = []
    lived, most = 0.0, WINDOW if step_size == 0.0 else steps
    while lived < steps and len(returns) < most and solved_after(returns[-WINDOW:]) is None:
        returns.append(_episode(actor, env, None if returns else seed))
        lived += returns[-1]
    env.close()
    return tuple(returns)


def _episode(actor: OnlineActor, env: gym.Env[Any, Any], seed: int | None) -> float:
    """Live through an episode; return its return."""
    observation, _ = env.reset(seed=seed)
    action, total, over = actor.reset(observation), 0.0, False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(action)
        action = actor.step(observation, float(reward), terminated, truncated)
        total, over = total + float(reward), terminated or truncated
    return total
