"""Networks in training as environments of gymnasium, Stable-Baselines3 and PettingZoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import ArrayLike, NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from snn_gym._base.extras import import_extra
from snn_gym.envs.batch import BatchEnv, Infos, Rows, SingleEnv
from snn_gym.envs.stable_baselines import BatchVecEnv, StableBaselinesVecEnv
from snn_gym.envs.synapses.jobs import Job
from snn_gym.envs.synapses.world import HORIZON, MOVES, PlasticityCore, draw_scene, weight_matrices
from snn_gym.spiking.network_config import NetworkConfig

if TYPE_CHECKING:
    from snn_gym.envs.synapses.parallel import PlasticityParallelEnv


# ---- environment ---------------------------------------------------------------------------------
class BatchedPlasticityEnv(BatchEnv):
    """Many networks in training, made by ``gym.make_vec("snn/Plasticity-Teacher-v0", 8)``.

    ``settings`` are fields of ``PlasticitySettings``; the other arguments are as in
    ``PlasticityEnv`` and ``BatchEnv``.
    """

    metadata: dict[str, Any] = {**BatchEnv.metadata, "render_fps": 8}  # noqa: RUF012 - gymnasium's own type

    def __init__(
        self,
        job: str | Job,
        num_envs: int = 1,
        max_episode_steps: int = HORIZON,
        network: NetworkConfig | Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        **settings: Any,
    ) -> None:
        self.core = PlasticityCore(job, num_envs, network, **settings)
        super().__init__(
            num_envs, max_episode_steps, *spaces(self.core), render_mode, autoreset_mode
        )
        # Scores of each network since its episode began, for images.
        self._scores: list[list[float]] = [[] for _ in range(num_envs)]

    def checked(self, actions: ArrayLike) -> NDArray[np.integer]:
        """Return actions (N, W) as an array, unchecked: the core checks them."""
        return np.asarray(actions)

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return the image (256, 256, 3), uint8, of a network's weights and scores."""
        core = self.core
        matrices = weight_matrices(core.weights[index], core.population.synapses)
        return draw_scene(matrices, core.settings.weight_limit, self._scores[index])

    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[np.float32]:
        del options
        networks = np.arange(self.num_envs)[rows]
        if seeds is not None:
            self.core.seed(seeds, networks)
        self.core.start(networks)
        for index in networks:
            self._scores[index] = []
        self._note_scores(networks)
        return self._observe()[rows]

    def _advance(
        self, actions: NDArray[np.integer]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        # Networks that begin an episode after this step keep their random streams.
        generators = [self.core.generators[index].bit_generator for index in self._waiting]
        states = [generator.state for generator in generators]
        rewards = self.core.step(actions)
        for generator, state in zip(generators, states, strict=True):
            generator.state = state
        self._note_scores(np.arange(self.num_envs))
        return rewards, np.zeros(self.num_envs, np.bool_)

    def _note_scores(self, networks: NDArray[np.int64]) -> None:
        if self.render_mode is not None:
            scores = self.core.scores
            for index in networks:
                self._scores[index].append(float(scores[index]))

    def _observe(self) -> NDArray[np.float32]:
        return self.core.observe().reshape(self.num_envs, -1)

    def _info(self) -> Infos:
        core = self.core
        return {"score": core.scores, "steps": core.steps, "weights": core.weights}


class PlasticityEnv(SingleEnv):
    """A spiking network in training, made by ``gym.make("snn/Plasticity-Teacher-v0")``.

    An action is a move for each of the W synapses: 0 lowers its weight by a step, 1 leaves it, 2
    raises it. The reward says whether the network does its job better, judged before and after the
    move on one probe. An observation holds the F features of every synapse, side by side. Infos
    hold the ``score``, the ``steps`` of judging since the episode began (environment steps of the
    controlled task, or samples) and the ``weights`` (W,), float32.

    Args:
        job: The job, or its name; fixed by the registered id.
        network: Configuration of the network. Default: the job's.
        render_mode: ``human``, ``rgb_array`` or None.
        **settings: Fields of ``PlasticitySettings``.

    Raises:
        ValueError: An argument is not allowed; the message names the allowed values.
        gymnasium.error.DependencyNotInstalled: A package that the job needs is absent.
    """

    def __init__(
        self,
        job: str | Job,
        network: NetworkConfig | Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(BatchedPlasticityEnv, render_mode, job=job, network=network, **settings)

    @property
    def core(self) -> PlasticityCore:
        """The network in training."""
        assert isinstance(self.batch, BatchedPlasticityEnv)  # made by __init__
        return self.batch.core


def spaces(core: PlasticityCore) -> tuple[gym.Space[Any], gym.Space[Any]]:
    """Return the spaces of observations, all synapses' features, and actions, their moves."""
    size = core.synapses * len(core.features.names)
    moves = gym.spaces.MultiDiscrete(np.full(core.synapses, MOVES))
    return gym.spaces.Box(-1.0, 1.0, (size,), np.float32), moves


# ---- vec env -------------------------------------------------------------------------------------
class PlasticityVecEnv(BatchVecEnv):
    """Networks in training whose synapses are the environments.

    Synapse w of network n is environment ``n * W + w``: it observes its features, moves its weight,
    and gets the reward of its network. Stock PPO or DQN thus learns one policy that all synapses
    share. Seeding with s gives network n the seed s + n, as in ``gym.make`` of its job.

    All synapses of a network share one reward, so a value function of one synapse credits it with
    the progress of the others. A discount ``gamma`` of 0, or little more, prevents that.

    Infos hold the network's ``score``, ``steps`` and ``weights`` (W,), and at the horizon
    ``episode`` as ``Monitor`` writes it. Synapses of a network share one info: treat it as
    read-only.

    Args:
        job: The job, or its name: ``Teacher``, ``XOR``, ``Digits``, ``CartPole``, ``Acrobot``,
            ``MountainCar``.
        networks: Number N of networks.
        network: Configuration of the networks. Default: the job's.
        horizon: Moves after which an episode is truncated.
        **settings: ``render_mode``, and fields of ``PlasticitySettings``.

    Raises:
        ValueError: An argument is not allowed; the message names the allowed values.
        gymnasium.error.DependencyNotInstalled: A package that the job needs is absent.

    Example:
        >>> from stable_baselines3 import PPO
        >>> from snn_gym.envs.synapses import PlasticityVecEnv
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
        """Seed the next reset, network n with seed + n; return the networks' seeds (N,)."""
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
        """Store a move, 0, 1 or 2, of every synapse (N * W,) for ``step_wait``.

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
        """Move the weights by the stored moves; ValueError for others than 0, 1 and 2.

        Returns:
            Features (N * W, F), float32; rewards (N * W,), float32; dones (N * W,), bool; and N * W
            infos.
        """
        assert self._actions is not None, "step_wait() without step_async()"
        moves = self._actions.reshape(self._networks.num_envs, -1)
        self._actions = None
        observations, rewards, dones, infos = self._networks.step(moves)
        shared = self._shared(infos)
        synapses = self.core.synapses
        # Infos of ended episodes are not shared: each synapse has its own last observation.
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
        """Do nothing, because the networks hold no resources."""

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
        """Return an image (256, 256, 3), uint8, or None of each network, not of each synapse.

        None, with a warning, is for other render modes than ``rgb_array``.
        """
        return self._networks.get_images()

    def _flat(self, features: Any) -> NDArray[np.float32]:
        """Reshape features (..., W * F) of networks to those of their synapses (..., F)."""
        flat: NDArray[np.float32] = features.reshape(-1, len(self.core.features.names))
        return flat

    def _shared(self, infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Repeat the dict of each network for each of its synapses, without copies."""
        return [info for info in infos for _ in range(self.core.synapses)]


# ---- multiagent ----------------------------------------------------------------------------------
def plasticity_parallel_env(
    job: str | Job,
    network: NetworkConfig | Mapping[str, Any] | None = None,
    horizon: int = HORIZON,
    **settings: Any,
) -> PlasticityParallelEnv:
    """Make a PettingZoo ``ParallelEnv`` in which every synapse of a network is an agent.

    With one seed, moves and rewards equal those of ``gym.make`` of the job.

    Args:
        job: The job, or its name: ``Teacher``, ``XOR``, ``Digits``, ``CartPole``, ``Acrobot``,
            ``MountainCar``.
        network: Configuration of the network. Default: the job's.
        horizon: Moves after which an episode is truncated.
        **settings: Fields of ``PlasticitySettings``.

    Raises:
        ValueError: An argument is not allowed, or the network has more than 500 synapses; use
            ``PlasticityVecEnv`` for those.
        gymnasium.error.DependencyNotInstalled: PettingZoo, or a package of the job, is absent.
    """
    need = "plasticity_parallel_env needs PettingZoo"
    import_extra("pettingzoo", need, "multiagent", gym.error.DependencyNotInstalled)
    from snn_gym.envs.synapses.parallel import PlasticityParallelEnv

    return PlasticityParallelEnv(PlasticityCore(job, 1, network, **settings), horizon)
