"""Protocols of policies, for those who use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from gymnasium import spaces
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

    from snn_gym.program.network import Program
    from snn_gym.spiking.normaliser import ObservationNormaliser
    from snn_gym.spiking.recording import Recording


class Acting(Protocol):
    """Protocol of Stable-Baselines3's models and policies that act."""

    def predict(
        self, observation: Any, state: Any = ..., episode_start: Any = ..., /, *,
        deterministic: bool = ...,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:  # fmt: skip
        """Return actions for observations, and the state to pass on."""
        ...


class ActingPolicy(Acting, Protocol):
    """A policy whose weights are stored apart from what only training needs."""

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """Space of what it sees."""
        ...

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Space of its actions."""
        ...

    def acting_state_dict(self) -> dict[str, Tensor]:
        """Return copies of the tensors that acting needs, by name."""
        ...

    def load_acting_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Load tensors as ``acting_state_dict`` gives them; all else stays as it is."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield names and values of what it has learned."""
        ...


class RecordedPolicy(ActingPolicy, Protocol):
    """A policy that says what its network does."""

    @property
    def carries_state(self) -> bool:
        """Whether the network's state lasts from one decision to the next."""
        ...

    def acting_network(self) -> Any:
        """Return the network that chooses actions."""
        ...

    def record(self, obs: Any, state: Any = None) -> Recording:
        """Record how the policy decides on observations."""
        ...

    def reseed_noise(self, seed: int) -> None:
        """Restart the noise stream of a noisy encoder."""
        ...

    def program(self) -> Program:
        """Return what the policy acts by as one value."""
        ...


class ProgramPolicy(RecordedPolicy, Protocol):
    """A policy of a network that can be written down as one value."""

    @property
    def normaliser(self) -> ObservationNormaliser | None:
        """Standardisation of observations, None for none."""
        ...

    def readout(self) -> nn.Module | None:
        """Return the head after the acting network, None if the network has its own."""
        ...

    @property
    def squash_output(self) -> bool:
        """Whether actions are squashed to their range."""
        ...

    @property
    def features_extractor_class(self) -> type[nn.Module]:
        """Class of the features extractor between observations and network."""
        ...
