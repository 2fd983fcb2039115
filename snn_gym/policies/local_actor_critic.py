"""Policy of ``LocalActorCritic``: one spiking network that an actor and a critic read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor, nn

from snn_gym.policies.controller import SpikingControllerPolicy
from snn_gym.spiking.assembly import configured_neuron
from snn_gym.spiking.layers import SynapticLinear


class LocalActorCriticPolicy(SpikingControllerPolicy):
    """Policy for ``LocalActorCritic``: what it learns, and the weights that bring errors back.

    It acts as ``SpikingControllerPolicy`` does, and unless it is asked to be deterministic draws:
    a Discrete action from the softmax of the outputs, the values of a Box as ``tanh`` of Gaussians
    around them. The critic, which reads the last layer's decoded activity too, is needed for
    learning only, and so are the weights of random feedback, which never change.

    Biases of the first layer start uniform over [0, I] and its weights normal with standard
    deviation ``input_spread`` times I, where I is the rheobase; further layers start as in
    ``SpikingNetwork``, and the readouts at 0.

    Args:
        *args: As in ``SpikingControllerPolicy``.
        input_spread: Standard deviation of the first layer's weights, in rheobases.
        start_std: Standard deviation of a Box's actions at the start, before ``tanh``.
        **kwargs: As in ``SpikingControllerPolicy``.

    Raises:
        ValueError: A space or an argument is not supported; the message says what to use.
    """

    algorithms = ("LocalActorCritic",)

    def __init__(
        self, *args: Any, input_spread: float = 1.5, start_std: float = 0.5, **kwargs: Any
    ) -> None:
        if not (input_spread > 0 and start_std > 0):
            raise ValueError(
                f"input_spread and start_std must be above 0, got {input_spread} and {start_std}"
            )
        self.input_spread, self.start_std = input_spread, start_std
        super().__init__(*args, **kwargs)
        config, outputs = self.network, self.controller.output_size
        self.critic = nn.Linear(config.hidden_sizes[-1], 1)
        deviations = outputs if isinstance(self.action_space, spaces.Box) else 0
        self.log_std = nn.Parameter(torch.full((deviations,), math.log(start_std)))
        feedback = torch.randn(1 + outputs, sum(config.hidden_sizes))
        self.register_buffer("feedback", feedback)
        self._start()
        self.requires_grad_(False)

    feedback: Tensor
    """(1 + outputs, all hidden neurons), weights of random feedback; row 0 is the value's."""

    def _start(self) -> None:
        (first, *_), *_ = self.learned_parts()
        rheobase = configured_neuron(self.network).rheobase(self.network.time_steps)
        nn.init.normal_(first.weight, std=self.input_spread * rheobase)
        nn.init.uniform_(first.bias, 0.0, rheobase)
        for readout in (self.head, self.critic):
            nn.init.zeros_(readout.weight)
            nn.init.zeros_(readout.bias)

    @property
    def head(self) -> nn.Linear:
        """The actor's readout.

        Raises:
            ValueError: The decoder has another one.
        """
        head = self.controller.head
        if not isinstance(head, nn.Linear):
            raise ValueError(
                f"LocalActorCriticPolicy needs a linear readout, got decoder "
                f"{self.network.decoder!r}; use decoder='mean_rate' or 'last_voltage'"
            )
        return head

    def _get_constructor_parameters(self) -> dict[str, Any]:
        own = {"input_spread": self.input_spread, "start_std": self.start_std}
        return {**super()._get_constructor_parameters(), **own}

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        if deterministic:
            return super()._predict(observation, deterministic)
        outputs = self.forward(observation)
        if isinstance(self.action_space, spaces.Discrete):
            return torch.multinomial(torch.softmax(outputs, 1), 1).squeeze(1)
        return torch.tanh(torch.normal(outputs, self.log_std.exp().expand_as(outputs)))

    def seen(self, observations: Any) -> NDArray[np.float32]:
        """Return a batch of observations as numbers (B, D), float32, before they are scaled."""
        if isinstance(self.observation_space, spaces.Box):
            return np.ascontiguousarray(observations, np.float32).reshape(len(observations), -1)
        tensor, _ = self.obs_to_tensor(observations)
        inputs: NDArray[np.float32] = self.network_inputs(tensor).numpy()
        return inputs

    def learned_parts(self) -> tuple[list[nn.Linear], nn.Linear, nn.Linear]:
        """Return the synapses of the hidden layers, the actor's readout and the critic's."""
        hidden = [x for x in self.controller.modules() if isinstance(x, SynapticLinear)]
        return list(hidden), self.head, self.critic
