"""Best actions of a stateless spiking policy without PyTorch: normaliser, network, head, choice.

Between an observation and its action, PyTorch and Stable-Baselines3 cost several times what the
network does. Where nothing is drawn and all parts are plain ones, the same numbers go through numpy
and one compiled call; weights and statistics are read where PyTorch keeps them. Spikes are those
of the long way, bit for bit; outputs have the rounding of another library.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import Tensor, nn

from snn_gym.spiking.coding.encoders import ConstantEncoder
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.normaliser import ObservationNormaliser


def best_actions(
    policy: BasePolicy,
    network: nn.Module,
    head: nn.Module | None,
    normaliser: ObservationNormaliser | None,
    observation: Any,
) -> NDArray[Any] | None:
    """Return what ``predict`` does without exploration, or None where this is not the way.

    Args:
        policy: Whose actions these are.
        network: Its acting network.
        head: What reads the network, by which the best discrete action has the highest output and
            the best continuous one is the output; None for another meaning.
        normaliser: Normaliser of its observations, or None.
        observation: One observation or a batch.
    """
    if type(head) is not nn.Linear or not isinstance(network, SpikingNetwork):
        return None
    if not isinstance(observation, np.ndarray) or not _is_plain(policy, network, head):
        return None
    shape = policy.observation_space.shape
    batch = observation[np.newaxis] if observation.shape == shape else observation
    if batch.shape[1:] != shape or not len(batch):
        return None
    found = _outputs(network, head, normaliser, batch)
    space = policy.action_space
    if isinstance(space, spaces.Discrete):
        actions: NDArray[Any] = found.argmax(1)
    else:
        assert isinstance(space, spaces.Box)  # as _is_plain has found
        actions = np.clip(found.reshape(-1, *space.shape), space.low, space.high)
    return actions if batch is observation else actions.squeeze(axis=0)


def _is_plain(policy: BasePolicy, network: SpikingNetwork, head: nn.Linear) -> bool:
    """Tell whether kernels run the network on observations as they are."""
    seen, chosen = policy.observation_space, policy.action_space
    if isinstance(seen, spaces.Box) and not np.issubdtype(seen.dtype, np.floating):
        return False
    if isinstance(chosen, spaces.Box) and policy.squash_output:
        return False
    return (
        network.compiled is not None
        and not network.decoder.takes_maximum
        and (network.spike_input or isinstance(network.config.encoder_parameters, ConstantEncoder))
        and isinstance(seen, (spaces.Box, spaces.MultiBinary))
        and isinstance(chosen, (spaces.Box, spaces.Discrete))
        and policy.features_extractor_class is FlattenExtractor
        and head.weight.dtype == torch.float32
        and head.weight.device.type == "cpu"
    )


def _outputs(
    network: SpikingNetwork,
    head: nn.Linear,
    normaliser: ObservationNormaliser | None,
    observations: NDArray[Any],
) -> NDArray[np.float32]:
    """Return what the head gives (B, outputs) for observations (B, ...)."""
    # (B, ...) -> (K, B, channels)
    inputs = observations.reshape(len(observations), -1, network.input_size).swapaxes(0, 1)
    inputs = np.ascontiguousarray(inputs, np.float32)
    if normaliser is not None:
        inputs = (inputs - _read(normaliser.mean)) / _read(normaliser.std)
        np.clip(inputs, -normaliser.clip, normaliser.clip, out=inputs)
    assert network.compiled is not None  # as _is_plain has found
    result: NDArray[np.float32] = network.compiled.run(inputs)[0] @ _read(head.weight).T
    result += _read(head.bias)
    return result


def _read(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().numpy()
    return array
