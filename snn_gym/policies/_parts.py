"""Parts of policies whose networks see observations through one normaliser."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from stable_baselines3.common.policies import BaseModel
from torch import Tensor, nn

from snn_gym.policies.networks import NetworkBuilder, StatelessNetwork, network_inputs
from snn_gym.spiking.normaliser import ObservationNormaliser
from snn_gym.spiking.tracing import is_traced


class NormalisedModule(nn.Module):
    """Networks that see features through the normaliser of their policy."""

    normaliser: ObservationNormaliser | None
    spike_steps: int | None
    """Time steps of spike-train observations, None for analogue ones."""

    def normalised(self, features: Tensor) -> Tensor:
        """Standardise features (B, F)."""
        return features if self.normaliser is None else self.normaliser(features)

    def training_data(
        self, counts: bool = True, *, differentiated: bool = False
    ) -> AbstractContextManager[None]:
        """Return a context in which features that pass the normaliser are its training data.

        On-policy algorithms count what their rollouts show, the others what updates differentiate
        (``updating``).

        Args:
            counts: Whether they are; if not the context does nothing.
            differentiated: Whether an update takes gradients of them.
        """
        if self.normaliser is None or not counts or is_traced():
            return nullcontext()
        return self.normaliser.accumulating(differentiated)

    def first_training_data(self) -> AbstractContextManager[None]:
        """Return a context for a differentiated pass of an on-policy algorithm.

        Features are training data there only where no rollout has shown any.
        """
        if self.normaliser is None or is_traced() or not torch.is_grad_enabled():
            return nullcontext()
        return self.training_data(self.normaliser.awaits_data, differentiated=True)

    @property
    def updating(self) -> bool:
        """Whether this is a pass that an update differentiates."""
        return self.training and torch.is_grad_enabled()


class SingleNetworkModule(NormalisedModule):
    """One network behind the normaliser, trained on replayed observations."""

    network: Any

    def inputs(self, features: Tensor) -> Tensor:
        """Return what the network sees of features (B, F)."""
        with self.training_data(self.updating, differentiated=True):
            features = self.normalised(features)
        return network_inputs(features, self.network, self.spike_steps)


class FeatureNetwork(SingleNetworkModule):
    """The normaliser and a network, from features to its output.

    Args:
        builder: Builds the network.
        spiking: Whether the network spikes.
        output_size: Outputs of the network's own head; None for none.
        population_outputs: Without a head, the outputs that will read the network.
    """

    def __init__(
        self,
        builder: NetworkBuilder,
        spiking: bool,
        output_size: int | None = None,
        population_outputs: int | None = None,
    ) -> None:
        super().__init__()
        self.network: StatelessNetwork = builder.build(
            spiking, output_size, population_outputs=population_outputs
        )
        self.normaliser = builder.normaliser
        self.spike_steps = builder.spike_steps

    @property
    def output_size(self) -> int:
        """Values that the network returns."""
        return self.network.output_size

    def forward(self, features: Tensor) -> Tensor:
        """Return the network's output (B, output_size) for features (B, F)."""
        output: Tensor = self.network(self.inputs(features))[0]
        return output


class BuiltPart(BaseModel):
    """An actor, critic or Q-network that can be saved and loaded alone."""

    builder: NetworkBuilder
    spiking: bool

    def _get_constructor_parameters(self) -> dict[str, Any]:
        parameters = super()._get_constructor_parameters()
        return {**parameters, "builder": self.builder, "spiking": self.spiking}
