"""Networks in training: moves of their weights, and environments of gymnasium and of SB3."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from numpy.typing import ArrayLike, NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from snn_gym._base.config import Config, Count, Positive, from_arguments
from snn_gym.envs.batch import BatchEnv, Infos, Rows, SingleEnv
from snn_gym.envs.rendering import (
    ACCENT,
    FAINT,
    INK,
    PAPER,
    WIDTH,
    blank,
    enlarged,
    line,
    rectangle,
)
from snn_gym.envs.stable_baselines import BatchVecEnv, StableBaselinesVecEnv
from snn_gym.envs.synapses.jobs import Job, Judgement, Probe, Weights, make_job
from snn_gym.envs.synapses.plasticity import (
    LOCAL_MEASURES,
    MEASURED,
    PRESETS,
    RULES,
    PlasticityRule,
    SynapseFeatures,
    check_features,
    check_rule,
    check_seen_rule,
)
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.population import Population, SynapseTable, start_weights

# ---- loop ----------------------------------------------------------------------------------------
JudgeWeights = Callable[[Weights, Probe], Judgement]
"""Function that judges networks (P, W), each on its own probe (P, E)."""

_NONE = np.empty(0, np.int64)


@dataclass
class MovingNetworks:
    """N networks with their probes, scores and histories, filled by ``SynapseLoop``."""

    weights: NDArray[np.float32]  # (N, W)
    probes: Probe  # (N, E)
    scores: NDArray[np.float64]  # (N,), of the weights on the probe
    steps: NDArray[np.int64]  # (N,), environment steps, or samples, of all judging
    moves: NDArray[np.int8]  # (N, h, W), past moves in {-1, 0, 1}, the latest first
    rewards: NDArray[np.float32]  # (N, h), past rewards, the latest first
    dynamics: NDArray[np.float32]
    """(N, W, K), ``LOCAL_MEASURES`` of the judged weights and, with a rule of plasticity, its
    eligibility; 0 if not measured.
    """

    @classmethod
    def empty(
        cls,
        networks: int,
        synapses: int,
        probe_size: int,
        history: int,
        rule: PlasticityRule | None = None,
    ) -> MovingNetworks:
        """Return N networks of W synapses with weights of 0 and scores of NaN."""
        measures = len(LOCAL_MEASURES) + (rule is not None)
        return cls(
            weights=np.zeros((networks, synapses), np.float32),
            probes=np.zeros((networks, probe_size), np.int64),
            scores=np.full(networks, np.nan),
            steps=np.zeros(networks, np.int64),
            moves=np.zeros((networks, history, synapses), np.int8),
            rewards=np.zeros((networks, history), np.float32),
            dynamics=np.zeros((networks, synapses, measures), np.float32),
        )


class SynapseLoop:
    """Loop that moves, judges and observes networks, which it changes in place.

    Old and new weights are always compared on one probe. ``features`` are observed, ``judge``
    judges, ``weight_limit`` bounds every weight, and ``addressees`` (W,) name the synapse whose
    dynamics each synapse sees (default: itself).
    """

    def __init__(
        self,
        networks: MovingNetworks,
        features: SynapseFeatures,
        judge: JudgeWeights,
        weight_limit: float,
        addressees: NDArray[np.int64] | None = None,
    ) -> None:
        self._networks = networks
        self._features = features
        self._judge = judge
        self._weight_limit = weight_limit
        self._addressees = addressees

    @property
    def seen_dynamics(self) -> NDArray[np.float32]:
        """Local measures (N, W, K) that each synapse sees."""
        dynamics = self._networks.dynamics
        return dynamics if self._addressees is None else dynamics[:, self._addressees]

    def observe(self) -> NDArray[np.float32]:
        """Return the features of every synapse (N, W, F), float32 in [-1, 1]; a new array."""
        networks = self._networks
        return self._features.observe(
            networks.weights, networks.moves, networks.rewards, self.seen_dynamics
        )

    def begin(
        self, indices: NDArray[np.int64], weights: NDArray[np.float32], probes: Probe
    ) -> None:
        """Set weights (n, W) and probes (n, E) of some networks, clear histories, judge."""
        networks = self._networks
        networks.weights[indices] = self._clipped(weights)
        networks.probes[indices] = probes
        networks.steps[indices] = 0
        networks.moves[indices] = 0
        networks.rewards[indices] = 0.0
        self.judge_present(indices)

    def judge_present(self, indices: NDArray[np.int64]) -> None:
        """Judge some networks (n,) on their probes; store scores, steps and dynamics."""
        networks = self._networks
        judgement = self._judge(networks.weights[indices], networks.probes[indices])
        networks.scores[indices] = judgement.scores
        networks.steps[indices] += judgement.network_steps
        if judgement.dynamics is not None:
            networks.dynamics[indices] = judgement.dynamics

    def move(
        self,
        steps: NDArray[np.floating],
        anew: NDArray[np.int64] = _NONE,
        *,
        takes_back: bool = False,
    ) -> NDArray[np.float64]:
        """Move all weights by steps (N, W) within their limit; return the gains in score (N,).

        Networks ``anew`` (n,) have a new probe, on which their old weights are judged too. With
        ``takes_back``, networks that got worse keep their old weights, scores and dynamics.
        """
        networks, count = self._networks, len(steps)
        moved = self._clipped(networks.weights + steps)
        judgement = self._judge(
            np.concatenate([moved, networks.weights[anew]]),
            np.concatenate([networks.probes, networks.probes[anew]]),
        )
        networks.scores[anew] = judgement.scores[count:]
        networks.steps += judgement.network_steps[:count]
        networks.steps[anew] += judgement.network_steps[count:]
        gains = judgement.scores[:count] - networks.scores
        stays = gains >= 0.0 if takes_back else np.ones(count, np.bool_)
        networks.weights[stays] = moved[stays]
        networks.scores[stays] = judgement.scores[:count][stays]
        if judgement.dynamics is not None:
            networks.dynamics[stays] = judgement.dynamics[:count][stays]
        return gains

    def remember(self, moves: NDArray[np.int8], rewards: NDArray[np.floating]) -> None:
        """Put moves (N, W) and rewards (N,) before the past ones, and drop the oldest."""
        networks = self._networks
        for past, latest in ((networks.moves, moves), (networks.rewards, rewards)):
            past[:, 1:] = past[:, :-1]
            past[:, 0] = latest

    def _clipped(self, weights: NDArray[np.floating]) -> NDArray[np.float32]:
        clipped: NDArray[np.floating] = np.clip(weights, -self._weight_limit, self._weight_limit)
        return clipped.astype(np.float32, copy=False)


# ---- core ----------------------------------------------------------------------------------------
MOVES = 3
"""Moves of a synapse: 0 lowers its weight by a step, 1 leaves it, 2 raises it."""

HORIZON = 100
"""Default number of moves in an episode."""


@dataclass(frozen=True)
class PlasticitySettings(Config):
    """Observation, moves and judging of a network in training."""

    step_size: Positive
    """Change of a weight by one move. Default: the job's."""
    probe_size: Count
    """Episodes or samples that weights are judged on. Default: the job's."""
    weight_limit: Positive = 4.0
    """Bound of every weight's absolute value."""
    renew_probe_every: Count = 30
    """Moves after which a new probe is drawn, on which old weights are then judged too; the default
    is that of Bhargava et al. 2022."""
    reward: Literal["sign", "difference"] = "sign"
    """``sign``: 1 if the score rose, else -1, ties too; or the ``difference`` of scores."""
    features: tuple[str, ...] = PRESETS["weight+topology"]
    """Features of a synapse that are observed, out of ``action_history``, ``reward_history``,
    ``weight``, ``topology``, ``dynamics`` and ``eligibility``; a name of ``PRESETS`` serves too."""
    history: Count = 2
    """Number of past moves and rewards in ``action_history`` and ``reward_history``."""
    rule: Annotated[str, check_rule] | None = None
    """Rule of plasticity behind ``eligibility``: ``three_factor``, ``r_stdp``, or a name given to
    ``register_rule``."""

    def __post_init__(self) -> None:
        """Check the values and sort the features."""
        super().__post_init__()
        object.__setattr__(self, "features", check_features(self.features))

    def _check(self) -> None:
        check_seen_rule(self.features, self.rule)


def _settings(job: Job, given: Mapping[str, Any]) -> PlasticitySettings:
    values = {"step_size": job.step_size, "probe_size": job.probe_size, **given}
    features = values.get("features")
    if isinstance(features, str):
        if features not in PRESETS:
            raise ValueError(
                f"features {features!r} are unknown; allowed: {', '.join(PRESETS)}, or a list of "
                "blocks"
            )
        values["features"] = PRESETS[features]
    return from_arguments(PlasticitySettings, values, "plasticity")


# ---- scene ---------------------------------------------------------------------------------------
_MARGIN = 12
_MATRIX_HEIGHT = 160
_SCORE_TOP, _SCORE_HEIGHT = 188, 56


def weight_matrices(weights: NDArray[np.float32], table: SynapseTable) -> list[NDArray[np.float32]]:
    """Return a network's weights (W,) as matrices (post, pre + 1), one a layer, biases last."""
    matrices = []
    for layer in range(int(table.layer.max()) + 1):
        in_layer = table.layer == layer
        post, pre = table.post[in_layer], table.pre[in_layer]
        matrix = np.zeros((post.max() + 1, pre.max() + 1), np.float32)
        matrix[post, pre] = weights[in_layer]
        matrices.append(matrix)
    return matrices


def draw_scene(
    matrices: Sequence[NDArray[np.float32]], limit: float, scores: Sequence[float]
) -> NDArray[np.uint8]:
    """Draw weight matrices side by side, above the scores since the episode began, (256, 256, 3).

    A row holds the weights of a neuron, its bias at the right: red above 0, blue below, full colour
    at the limit.
    """
    image = blank()
    width = (WIDTH - _MARGIN) // len(matrices) - _MARGIN
    for place, matrix in enumerate(matrices):
        left = _MARGIN + place * (width + _MARGIN)
        cells = enlarged(_coloured(matrix / limit), _MATRIX_HEIGHT, width)
        image[_MARGIN : _MARGIN + _MATRIX_HEIGHT, left : left + width] = cells
    rectangle(image, _SCORE_TOP, _MARGIN, _SCORE_HEIGHT, WIDTH - 2 * _MARGIN, FAINT)
    low, high = min(scores), max(scores)
    heights = (np.array(scores) - low) / (high - low) if high > low else np.full(len(scores), 0.5)
    rows = _SCORE_TOP + _SCORE_HEIGHT * (1.0 - heights)
    columns = np.linspace(_MARGIN, WIDTH - _MARGIN, max(len(scores), 2))
    for start, end in pairwise(zip(rows, columns, strict=False)):
        line(image, start, end, INK)
    return image


def _coloured(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return colours (..., 3) of shares in [-1, 1]: blue, white, red."""
    strength = np.clip(np.abs(shares), 0.0, 1.0)[..., np.newaxis]
    full = np.where(shares[..., np.newaxis] > 0, ACCENT, INK)
    return np.round(strength * full + (1.0 - strength) * PAPER).astype(np.uint8)


# ---- environment ---------------------------------------------------------------------------------
class BatchedPlasticityEnv(BatchEnv):
    """Many networks in training, made by ``gym.make_vec("snn/Plasticity-Teacher-v0", 8)``.

    An episode begins with random weights. A move changes every weight by ``-step_size``, 0 or
    ``step_size``, within ``weight_limit``; the reward says whether the job is done better, judged
    before and after the move on one probe. ``settings`` are fields of ``PlasticitySettings``; the
    other arguments are as in ``PlasticityEnv`` and ``BatchEnv``.
    """

    metadata: dict[str, Any] = {**BatchEnv.metadata, "render_fps": 8}  # noqa: RUF012 - gymnasium's own type

    def __init__(
        self,
        job: str | Job,
        num_envs: int = 1,
        max_episode_steps: int = HORIZON,
        network: NetworkConfig | Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        self.job = make_job(job)
        self.settings = _settings(self.job, settings)
        if isinstance(network, Mapping):
            network = NetworkConfig.from_dict(network)
        config = self.job.network if network is None else network
        self.population = Population(config, self.job.input_size, self.job.output_size)
        self.features = SynapseFeatures(
            self.settings.features, self.population.synapses,
            self.settings.weight_limit, self.settings.history,
        )  # fmt: skip
        size = self.synapses * len(self.features.names)
        seen = gym.spaces.Box(-1.0, 1.0, (size,), np.float32)
        moves = gym.spaces.MultiDiscrete(np.full(self.synapses, MOVES))
        super().__init__(num_envs, max_episode_steps, seen, moves, render_mode)
        self.networks = MovingNetworks.empty(
            num_envs, self.synapses, self.settings.probe_size, self.settings.history, self.rule
        )
        """Weights, probes, scores and histories."""
        self._generators = [seeding.np_random()[0] for _ in range(num_envs)]
        self._loop = SynapseLoop(
            self.networks, self.features, self._judge, self.settings.weight_limit
        )
        # Scores of each network since its episode began, for images.
        self._scores: list[list[float]] = [[] for _ in range(num_envs)]

    @property
    def rule(self) -> PlasticityRule | None:
        """Rule of plasticity behind the feature ``eligibility``; None for none."""
        return None if self.settings.rule is None else RULES[self.settings.rule]

    @property
    def synapses(self) -> int:
        """Number W of weights and biases of a network."""
        return self.population.parameter_count

    def observe(self) -> NDArray[np.float32]:
        """Return the features of every synapse (N, W, F), float32 in [-1, 1]; a new array."""
        return self._loop.observe()

    def checked(self, actions: ArrayLike) -> NDArray[np.integer]:
        """Return valid actions (N, W) in {0, 1, 2} as an array; raise as ``step`` does."""
        if not self._started:
            raise gym.error.ResetNeeded("call reset() before step()")
        moves, shape = np.asarray(actions), self.action_space.shape
        fits = moves.shape == shape and moves.dtype.kind in "iu"
        if not fits or moves.min() < 0 or moves.max() >= MOVES:
            raise ValueError(
                f"actions must be integers 0, 1 or 2 of shape {shape}, one for each network and "
                f"synapse; got {moves.dtype} of shape {moves.shape}: {moves}"
            )
        return moves

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return the image (256, 256, 3), uint8, of a network's weights and scores."""
        matrices = weight_matrices(self.networks.weights[index], self.population.synapses)
        return draw_scene(matrices, self.settings.weight_limit, self._scores[index])

    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[np.float32]:
        del options
        networks = np.arange(self.num_envs)[rows]
        for index in networks:
            if seeds is not None and seeds[index] is not None:
                self._generators[index], _ = seeding.np_random(seeds[index])
            self._scores[index] = []
        weights = [start_weights(self.population, self._generators[k], 1)[0] for k in networks]
        self._loop.begin(networks, np.stack(weights), self._probes(networks))
        self._note_scores(networks)
        return self._observe()[rows]

    def _advance(
        self, actions: NDArray[np.integer]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        moves = actions.astype(np.int8) - np.int8(1)
        # The old weights are judged again only where there is a new probe to compare on.
        is_due = (self._steps > 0) & (self._steps % self.settings.renew_probe_every == 0)
        anew = np.flatnonzero(is_due)
        if len(anew):
            self.networks.probes[anew] = self._probes(anew)
        gains = self._loop.move(np.float32(self.settings.step_size) * moves, anew)
        is_difference = self.settings.reward == "difference"
        rewards = gains if is_difference else np.where(gains > 0.0, 1.0, -1.0)
        self._loop.remember(moves, rewards)
        self._note_scores(np.arange(self.num_envs))
        return rewards, np.zeros(self.num_envs, np.bool_)

    def _probes(self, networks: NDArray[np.int64]) -> Probe:
        """Return new probes (n, E) of some networks."""
        size = self.settings.probe_size
        return np.stack([self.job.draw_probe(self._generators[index], size) for index in networks])

    def _judge(self, weights: Weights, probes: Probe) -> Judgement:
        measure = not set(MEASURED).isdisjoint(self.settings.features)
        # A user's job need not take a rule.
        optional = {} if self.rule is None else {"rule": self.rule}
        judgement = self.job.judge(self.population, weights, probes, measure=measure, **optional)
        scores = judgement.scores
        if not np.isfinite(scores).all():
            raise ValueError(
                f"job {self.job.name!r} gave the score {scores[~np.isfinite(scores)][0]}; scores "
                "must be finite, or no move can be called an improvement: bound them in Job.judge"
            )
        return judgement

    def _note_scores(self, networks: NDArray[np.int64]) -> None:
        if self.render_mode is not None:
            for index in networks:
                self._scores[index].append(float(self.networks.scores[index]))

    def _observe(self) -> NDArray[np.float32]:
        return self.observe().reshape(self.num_envs, -1)

    def _info(self) -> Infos:
        state = self.networks
        return {"score": state.scores, "steps": state.steps, "weights": state.weights}


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
    def core(self) -> BatchedPlasticityEnv:
        """The network in training, as a batch of one."""
        assert isinstance(self.batch, BatchedPlasticityEnv)  # made by __init__
        return self.batch


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
        self.core = BatchedPlasticityEnv(job, networks, horizon, network, **settings)
        """The networks in training."""
        self._networks = StableBaselinesVecEnv(self.core)
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
        """Move the weights as ``step_async`` was told: 0 lowers, 1 leaves and 2 raises a weight.

        Returns:
            Of N networks with W synapses each: features (N * W, F), float32; rewards (N * W,),
            float32; dones (N * W,), bool; and N * W infos.

        Raises:
            ValueError: A move is not 0, 1 or 2.
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
        """Return features of N networks, (N, W * F) or (W * F,), by synapse, (N * W, F)."""
        flat: NDArray[np.float32] = features.reshape(-1, len(self.core.features.names))
        return flat

    def _shared(self, infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Repeat the dict of each network for each of its synapses, without copies."""
        return [info for info in infos for _ in range(self.core.synapses)]
