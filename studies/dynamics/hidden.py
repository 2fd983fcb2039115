"""DQSN by its number of hidden neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from snn_gym import evaluate, make_agent
from snn_gym._base.config import to_mapping
from snn_gym._base.numerics import one_thread
from snn_gym.spiking import NetworkConfig
from snn_gym.zoo import load_agent_spec
from studies.dynamics.outcome import Outcome, reduced_curve

AGENT = "dqsn"
ENVIRONMENT = "CartPole-v1"


class EpisodeRows(BaseCallback):
    """Keep when every training episode ended, and its return."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, float]] = []
        """(environment steps of the training at its end, return) of every episode."""

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.rows.append((self.num_timesteps, float(info["episode"]["r"])))
        return True


@dataclass(frozen=True)
class HiddenCase:
    """The agent ``dqsn`` on CartPole-v1 with another number of hidden neurons."""

    hidden: int
    """Hidden neurons."""
    steps: int
    """Environment steps to train."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that was chosen, as plain data."""
        spec = load_agent_spec(AGENT)
        network = NetworkConfig.from_dict({**spec.network_settings(ENVIRONMENT), **self._network})
        return {
            "agent": AGENT,
            "environment": ENVIRONMENT,
            "hyperparameters": to_mapping(spec.settings(ENVIRONMENT)),
            "network": to_mapping(network),
            "steps": self.steps,
        }

    def train(self, seed: int) -> Outcome:
        """Train and evaluate one seed."""
        episodes = EpisodeRows()
        with one_thread():
            model = make_agent(AGENT, ENVIRONMENT, seed, network=self._network)
            model.learn(self.steps, callback=episodes)
        returns = evaluate(model, ENVIRONMENT).returns
        return hidden_outcome(returns, episodes.rows, model.num_timesteps)

    @property
    def _network(self) -> dict[str, Any]:
        return {"hidden_sizes": [self.hidden]}


def hidden_outcome(
    returns: Sequence[float], episodes: Sequence[tuple[int, float]], steps: int
) -> Outcome:
    """Return the stored outcome of a run."""
    return Outcome(
        scores=tuple(returns), episodes=len(episodes), steps=steps, curve=reduced_curve(episodes)
    )
