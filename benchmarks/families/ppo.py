"""Environment steps per second of PPO: spiking, its twin, and Stable-Baselines3's own policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env as sb3_make_vec_env
from stable_baselines3.common.vec_env import VecEnv

import snn_gym
from benchmarks.agents import ENV_ID, lean_agent, stock, twin
from benchmarks.measurement import Effort, Experiment, Measurement, Readings, faster
from benchmarks.timing import Run, Samples, per_step, race
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.zoo import load_agent_spec, policy_arguments

STEPS = 2048
"""Environment steps of one measured stretch."""
MANY = 64
"""Environments where there are more than the zoo's 8."""
SPIKING, LEAN, BOTH = "ppo-lif", "ppo-lif, lean", "ppo-lif, spiking critic"
TWIN, STOCK, DUMMY = "ppo-mlp", "MlpPolicy", "MlpPolicy on DummyVecEnv"
_ZOO, _MANY = "ppo", "ppo-64-environments"


def learner(model: BaseAlgorithm, steps: int) -> Run:
    """Return a function that learns for a stretch."""
    return lambda: model.learn(steps, reset_num_timesteps=False)


def rates(contenders: dict[str, Run], steps: int, effort: Effort) -> Samples:
    """Return seconds of an environment step of contenders that make as many in a call."""
    rounds = 2 if effort.quick else 8
    return per_step(race(contenders, 0.0, rounds), dict.fromkeys(contenders, steps))


def _lean(effort: Effort) -> BaseAlgorithm:
    """Return ``ppo-lif`` that goes on from a lean agent, at a step size that keeps it lean."""
    spiking = snn_gym.make_agent("ppo-lif", ENV_ID, seed=0, learning_rate=1e-9)
    weights: Any = lean_agent(64, effort.scratch).model.policy
    policy: Any = spiking.policy
    policy.load_acting_state_dict(
        {
            **weights.acting_state_dict(),
            **{
                name: x
                for name, x in policy.acting_state_dict().items()
                if name.endswith(".neuron_constants")
            },
        }
    )
    return spiking


def _both_spiking() -> BaseAlgorithm:
    model = snn_gym.make_agent("ppo-lif", ENV_ID, seed=0)
    model.policy = SpikingActorCriticPolicy(
        model.observation_space,
        model.action_space,
        model.lr_schedule,
        network=policy_arguments(load_agent_spec("ppo-lif"), ENV_ID)["network"],
        spiking_critic=True,
    )
    return model


def _as_in_the_zoo(effort: Effort) -> Readings:
    models = {
        SPIKING: snn_gym.make_agent("ppo-lif", ENV_ID, seed=0),
        LEAN: _lean(effort),
        BOTH: _both_spiking(),
        TWIN: twin(64),
        STOCK: stock(64),
        DUMMY: stock(64, sb3_make_vec_env(ENV_ID, 8, seed=0)),
    }
    contenders = {name: learner(model, STEPS) for name, model in models.items()}
    note = (
        "Seconds of one environment step, updates included; 8 environments, the hyper-parameters "
        "of the zoo for all. Twin is `ppo-mlp`, stock is Stable-Baselines3's `MlpPolicy`."
    )
    lean = lean_agent(64, effort.scratch).describe("The lean agent goes on from a trained one")
    return Readings(rates(contenders, STEPS, effort), notes=(note, lean))


def _in_many(policy: str, env: VecEnv) -> PPO:
    """Return PPO in 64 environments, with rollouts and updates as the zoo has for CartPole."""
    arguments: dict[str, Any] = {}
    if policy == "ppo-lif":
        arguments = {"policy_kwargs": policy_arguments(load_agent_spec("ppo-lif"), ENV_ID)}
        arguments["policy_kwargs"]["spiking_critic"] = False
    return PPO(
        SpikingActorCriticPolicy if policy == "ppo-lif" else policy,
        env,
        n_steps=STEPS // MANY,
        batch_size=256,
        n_epochs=20,
        gamma=0.98,
        gae_lambda=0.8,
        seed=0,
        device="cpu",
        **arguments,
    )


def _collector(model: PPO) -> Run:
    """Return a function that makes the steps of a stretch without learning from them."""
    _, callback = model._setup_learn(STEPS)
    env = model.get_env()
    assert env is not None
    return lambda: model.collect_rollouts(env, callback, model.rollout_buffer, model.n_steps)


_MAKERS: dict[str, Callable[..., VecEnv]] = {
    "make_vec_env": snn_gym.make_vec_env,
    "DummyVecEnv": sb3_make_vec_env,
}


def _with_many(effort: Effort) -> Readings:
    contenders = {
        f"{policy}, {phase}, {where}": (
            _collector(_in_many(policy, make(ENV_ID, MANY, seed=0)))
            if phase == "collecting"
            else learner(_in_many(policy, make(ENV_ID, MANY, seed=0)), STEPS)
        )
        for policy in ("ppo-lif", "MlpPolicy")
        for phase in ("collecting", "learning")
        for where, make in _MAKERS.items()
    }
    return Readings(rates(contenders, STEPS, effort), notes=("Seconds of one environment step.",))


EXPERIMENTS = (
    Experiment(_ZOO, f"PPO on {ENV_ID}, 64-64, T = 8", _as_in_the_zoo),
    Experiment(_MANY, f"PPO in {MANY} environments of {ENV_ID}", _with_many, quick=False),
)


def _steps(name: str, subject: str, other: str, bar: float, stretch: float) -> Measurement:
    return Measurement(
        f"ppo-{name}",
        _ZOO,
        f"PPO environment steps/s, {subject}",
        other,
        "×",
        faster(subject, other),
        bar,
        stretch,
    )


MEASUREMENTS = (
    _steps("twin", SPIKING, TWIN, 0.8, 1.0),
    _steps("stock", SPIKING, STOCK, 0.65, 0.8),
    _steps("lean", LEAN, TWIN, 0.9, 1.0),
    _steps("zoo", SPIKING, DUMMY, 1.5, 3.0),
    Measurement(
        "ppo-both", _ZOO, f"PPO environment steps/s, {BOTH}", TWIN, "×", faster(BOTH, TWIN)
    ),
    *(
        Measurement(
            f"ppo-64-{policy}-{phase}",
            _MANY,
            f"PPO environment steps/s, {policy}, {phase}, make_vec_env",
            "DummyVecEnv",
            "×",
            faster(f"{policy}, {phase}, make_vec_env", f"{policy}, {phase}, DummyVecEnv"),
        )
        for policy in ("ppo-lif", "MlpPolicy")
        for phase in ("collecting", "learning")
    ),
)
