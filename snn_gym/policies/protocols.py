"""Protocols of policies, and the check of tensors that they load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from snn_gym.program.program import Program
from snn_gym.spiking.recording import Recording


class Acting(Protocol):
    """Protocol of Stable-Baselines3's models and policies that act."""

    def predict(
        self, observation: Any, state: Any = ..., episode_start: Any = ..., /, *,
        deterministic: bool = ...,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:  # fmt: skip
        """Return actions for observations, and the state to pass on, None if there is none."""


class ActingPolicy(Acting, Protocol):
    """A policy whose acting weights are stored apart from those of training."""

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """Space of observations."""

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Space of actions."""

    def acting_state_dict(self) -> dict[str, Tensor]:
        """Return copies of the tensors that acting needs, by name."""

    def load_acting_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Load all tensors of ``acting_state_dict``, none missing; others stay unchanged."""

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield names and values of the learned parameters."""


class RecordedPolicy(ActingPolicy, Protocol):
    """A policy whose network's activity can be recorded."""

    @property
    def carries_state(self) -> bool:
        """Whether the network's state lasts from one decision to the next."""

    def acting_network(self) -> Any:
        """Return the network that chooses actions."""

    def record(self, obs: Any, state: Any = None) -> Recording:
        """Return the acting network's activity and costs in decisions on observations."""

    def reseed_noise(self, seed: int) -> None:
        """Restart the noise stream of a noisy encoder; without one nothing happens."""

    def program(self) -> Program:
        """Return the acting network and choice of actions as a ``Program``."""


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], kind: str) -> None:
    """Refuse tensors of a kind that have other names, shapes or dtypes than expected."""
    wrong = sorted(tensors.keys() ^ expected.keys())
    if wrong:
        raise ValueError(
            f"{kind}s do not match: {', '.join(wrong)}; expected {', '.join(expected) or 'none'}"
        )
    for name, tensor in tensors.items():
        model = expected[name]
        if (tensor.shape, tensor.dtype) != (model.shape, model.dtype):
            raise ValueError(
                f"{kind} {name}: expected shape {tuple(model.shape)} and {model.dtype}, got "
                f"{tuple(tensor.shape)} and {tensor.dtype}"
            )
