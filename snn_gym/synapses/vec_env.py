"""The Stable-Baselines3 ``VecEnv`` in which every synapse is an environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from snn_gym.spiking.config import NetworkConfig
from snn_gym.synapses.core import HORIZON, MOVES
from snn_gym.synapses.environment import BatchedPlasticityEnv
from snn_gym.synapses.jobs import Job
from snn_gym.wrappers.batch_vec_env import BatchVecEnv
from snn_gym.wrappers.stable_baselines import StableBaselinesVecEnv


class PlasticityVecEnv(BatchVecEnv):
    """Networks in training whose synapses are environments of their own.

    Synapse w of network n is environment ``n * W + w``: it sees its own features, moves its own
    weight, and gets the reward of its network. Stock PPO or DQN so learns one policy that all
    synapses share. Seeding with s gives network n the seed s + n, with which it does what
    ``gym.make`` of its job does.

    Rewards are everyone's: a value function that sees one synapse takes the others' progress for
    its own, and a discount ``gamma`` of 0 or little more keeps it from that.

    Infos hold the network's ``score``, ``steps`` and ``weights`` (W,), and at the horizon
    ``episode`` as ``Monitor`` writes it. Synapses of a network share one info: treat it as
    read-only.

    Args:
        job: The job, or its name: ``Teacher``, ``XOR``, ``Digits``, ``CartPole``, ``Acrobot``,
            ``MountainCar``.
        networks: Number N of networks.
        network: What the networks are made of; the job's default if None.
        horizon: Moves after which an episode is truncated.
        **settings: ``render_mode``, and fields of ``PlasticitySettings``.

    Raises:
        ValueError: An argument is not allowed; the message names what is.
        gymnasium.error.DependencyNotInstalled: A package that the job needs is absent.

    Example:
        >>> from stable_baselines3 import PPO
        >>> from snn_gym.synapses import PlasticityVecEnv
        >>> env = PlasticityVecEnv("XOR")
        >>> model = PPO("MlpPolicy", env, n_steps=8, gamma=0.0).learn(8 * env.num_envs)
    """

    def __init__(
        self,
        job: str | Job,
        networks: int = 1,
        network: NetworkConfig | Mapping[str, Any] | None = None,
        horizon: int = HORIZON,
        **settings: Any,
    ) -> None:
        batch = BatchedPlasticityEnv(job, networks, horizon, network, **settings)
        self.core = batch.core
        self._networks = StableBaselinesVecEnv(batch)
        self._actions: NDArray[np.integer] | None = None
        features = gym.spaces.Box(-1.0, 1.0, (len(self.core.features.names),), np.float32)
        super().__init__(networks * self.core.synapses, features, gym.spaces.Discrete(MOVES))

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the next reset; see the class.

        Returns:
            The networks' seeds (N,).
        """
        return self._networks.seed(seed)

    def reset(self) -> NDArray[np.float32]:
        """Start an episode in every network, with the seeds set before.

        Returns:
            Features (N * W, F), float32 in [-1, 1].
        """
        observations = self._networks.reset()
        self.reset_infos = self._shared(self._networks.reset_infos)
        return self._flat(observations)

    def step_async(self, actions: NDArray[np.integer]) -> None:
        """Take a move, 0, 1 or 2, of every synapse (N * W,).

        Raises:
            ValueError: There is not one move for each synapse.
        """
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,):
            raise ValueError(
                f"got actions of shape {actions.shape} for {self.num_envs} synapses; expected one "
                "for each"
            )
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Move the weights.

        Returns:
            Features (N * W, F), float32; rewards (N * W,), float32; dones (N * W,), bool; and
            N * W infos.
        """
        assert self._actions is not None, "step_wait() without step_async()"
        moves = self._actions.reshape(self._networks.num_envs, -1)
        self._actions = None
        observations, rewards, dones, infos = self._networks.step(moves)
        shared = self._shared(infos)
        synapses = self.core.synapses
        for network in np.flatnonzero(dones).tolist():
            first = network * synapses
            last = self._flat(infos[network]["terminal_observation"])
            for synapse, features in enumerate(last, first):
                shared[synapse] = {**infos[network], "terminal_observation": features}
        if dones.any():
            self.reset_infos = self._shared(self._networks.reset_infos)
        return (
            self._flat(observations),
            np.repeat(rewards, synapses),
            np.repeat(dones, synapses),
            shared,
        )

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _common_attributes(self) -> dict[str, Any]:
        return {
            "render_mode": self._networks.render_mode,
            "metadata": self._networks.metadata,
            "observation_space": getattr(self, "observation_space", None),
            "action_space": getattr(self, "action_space", None),
        }

    def _no_single_environments(self, name: str) -> AttributeError:
        return AttributeError(
            f"synapses are moved as one batch and have no {name!r} of their own; "
            "PlasticityVecEnv.core holds the networks"
        )

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return an image (height, width, 3), uint8, of each network, or None."""
        return self._networks.get_images()

    def _flat(self, features: Any) -> NDArray[np.float32]:
        """Return features (..., W * F) of networks as those of their synapses (..., F)."""
        flat: NDArray[np.float32] = features.reshape(-1, len(self.core.features.names))
        return flat

    def _shared(self, infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return every synapse's info: its network's, not a copy."""
        return [info for info in infos for _ in range(self.core.synapses)]
