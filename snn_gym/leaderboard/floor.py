"""The cheapest networks of several families that keep a trained agent's return."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import FlattenExtractor

from snn_gym._base.config import Config, Count, NonNegative, Share
from snn_gym._base.numerics import one_thread
from snn_gym.envs.registry import known_ids, load_environment_spec
from snn_gym.envs.stable_baselines import make_vec_env
from snn_gym.leaderboard.comparison import MARGIN
from snn_gym.leaderboard.evaluation import Evaluation, evaluate
from snn_gym.learners.students import FAMILIES, Bank, Family, Scaling, Windows, fit, scaling_of
from snn_gym.learners.visited import follow
from snn_gym.policies.behaviour import value_scale
from snn_gym.policies.frozen import FrozenPolicy
from snn_gym.policies.observations import spike_steps_of
from snn_gym.policies.raw_observations import bare_policy
from snn_gym.program.layers import DenseLayer, GatedLayer, LeakyLayer
from snn_gym.program.neuron import equations
from snn_gym.program.prices import known_price
from snn_gym.program.program import Program
from snn_gym.zoo.build import build_agent, identify, resolve_settings
from snn_gym.zoo.spec import load_agent_spec

_VALIDATION_SEED = 1_600_000_000
_EXPLORING = 0.03  # share of random actions while states are collected


@dataclass(frozen=True)
class Effort(Config):
    """What the search spends on each family alike."""

    sizes: tuple[Count, ...] = (1, 2, 3, 4)
    """Units of the networks."""
    starts: Count = 4
    """Networks of each size, with initial weights of their own."""
    rounds: Count = 4
    """Times that the students play, the teacher labels what they see, and they learn from it."""
    decisions: Count = 9_600
    """Decisions that are labelled in a round."""
    updates: Count = 400
    """Updates in a round, and twice for each share."""
    step_size: NonNegative = 0.02
    """Largest step size of Adam."""
    shares: tuple[float, ...] = (0.8, 0.65, 0.5, 0.35, 0.2)
    """Synapses that are kept by each pruning, of those left by the one before."""
    window: Count = 24
    """Decisions of a window."""
    worst_share: Share = 1.0
    """Share of the decisions, those farthest from the teacher, from which networks learn: fewer
    where most decisions do not matter, as in tasks with one answer an episode."""
    validation_episodes: Count = 20
    """Episodes by which networks are chosen; finalists play five times as many."""
    finalists: Count = 8
    """Cheapest networks of a family that are played again."""


@dataclass(frozen=True)
class Small:
    """A network of a family, with what it earned and cost."""

    family: Family
    program: Program
    evaluation: Evaluation
    cost: float
    """Price of a decision."""


@dataclass(frozen=True)
class Floor:
    """What a search found on a task."""

    env_id: str
    price: str
    teacher: Evaluation
    kept: float
    """Least mean return that counts as kept."""
    found: dict[Family, Small | None]
    """Cheapest network of each family that keeps the return on fresh episodes; None for none."""
    kept_starts: dict[Family, int]
    """Networks of each family, before pruning, that kept the return in validation."""
    seconds: dict[Family, float]
    """Processor time of each family."""

    def in_words(self, family: Family) -> str:
        """Return a line on what was found of a family."""
        small, effort = self.found[family], f"{self.seconds[family]:.0f} s"
        if small is None:
            return f"{family}: no network keeps the return ({effort})"
        units = f"{sum(small.program.sizes)} units" if small.program.sizes else "no units"
        earned, cost = f"mean return {small.evaluation.mean:.2f}", f"{small.cost:,.2f}"
        return f"{family}: {units}, {earned}, {cost} {self.price} a decision ({effort})"


def smallest(
    teacher: BaseAlgorithm,
    families: Sequence[Family] = FAMILIES,
    *,
    price: str = "operations",
    effort: Effort | None = None,
    margin: float | None = None,
    episodes: int = 1_000,
    seed: int = 0,
    report: Callable[[str], None] | None = None,
) -> Floor:
    """Search the cheapest network of each family that keeps a trained agent's return.

    Networks of one family learn side by side to act as the teacher does in the states that they
    visit (DAgger, Ross et al. 2011, https://arxiv.org/abs/1011.0686), then lose synapses in rounds
    with learning between. All families get the same trials, decisions and updates. Networks are
    chosen on validation episodes, and the cheapest of each family is judged on fresh ones.

    Spiking units fire in one time step a decision and carry their potential on. All spikes of an
    observed spike train enter at once.

    Args:
        teacher: Trained agent, as of ``distil``.
        families: Kinds of networks; see ``Family``.
        price: Price of a decision by which networks are compared, such as ``operations``.
        effort: What is spent on each family.
        margin: Loss of mean return that is accepted; None for 5 % of the way from random play to
            ``solved``, which a registered environment states.
        episodes: Fresh episodes, with the public seeds, by which the cheapest network of each
            family is judged.
        seed: Seed of initial weights, minibatches and the students' environments.
        report: Called with a line on each family, such as ``print``; None for nothing.

    Raises:
        ValueError: A family or the price is unknown, the task is unknown and ``margin`` is None, or
            its spaces have no student.

    Example:
        >>> import snn_gym
        >>> from snn_gym.leaderboard import Effort
        >>> teacher = snn_gym.load_pretrained("ppo-mlp", "CartPole-v1")
        >>> quick = Effort(starts=2, rounds=1, updates=60, shares=())
        >>> floor = snn_gym.smallest(teacher, ["linear"], effort=quick, episodes=5)
        >>> floor.found["linear"].program.sizes
        ()
    """
    unknown = [x for x in families if x not in FAMILIES]
    if unknown:
        known = ", ".join(FAMILIES)
        raise ValueError(f"family {unknown[0]!r} is unknown; known: {known}")
    policy, identity = bare_policy(teacher, "a teacher of small networks"), identify(teacher)
    env_id, priced = identity.environment, known_price(price, measured=False)
    if margin is None and env_id not in known_ids():
        raise ValueError(f"{env_id} states no scores from which a margin follows; give margin")
    accepted = load_environment_spec(env_id).reference.loss(MARGIN) if margin is None else margin
    search = _Search(teacher, policy, env_id, effort or Effort(), seed)
    with one_thread():
        best = evaluate(teacher, env_id, seeds=_seeds(5 * search.effort.validation_episodes))
        kept = best.mean - accepted
        floor = Floor(env_id, price, best, kept, {}, {}, {})
        for family in families:
            began = time.process_time()
            made = list(search.networks(family))
            whole = [x for stage, x in made if stage == 0]
            floor.kept_starts[family] = sum(x.evaluation.mean >= kept for x in whole)
            ranked = sorted(
                (replace(x, cost=_cost(x, priced)) for _, x in made if x.evaluation.mean >= kept),
                key=lambda x: x.cost,
            )
            floor.found[family] = search.judged(ranked, kept, episodes, priced)
            floor.seconds[family] = time.process_time() - began
            if report is not None:
                report(floor.in_words(family))
    return floor


# ---- agents --------------------------------------------------------------------------------------
_STATELESS, _GATED, _SPIKING = "ppo-mlp", "recurrent-ppo-gru", "recurrent-ppo-lsnn"
"""Agents of the zoo of which small networks become actors, with their hyper-parameters."""


def agent_of(small: Small, env_id: str, *, seed: int | None = None) -> BaseAlgorithm:
    """Return an agent that acts by a small network; it is saved, exported and learns as others.

    It learns by PPO, or StatefulPPO where units carry a state, with a critic of its own that has
    not learned yet.

    Args:
        small: Network that ``smallest`` found.
        env_id: Its task.
        seed: Seed of later learning.
    """
    program, family = small.program, small.family
    sizes, rows = list(program.sizes), program.rows_per_step
    network: dict[str, Any] = {"hidden_sizes": sizes, "rows_per_step": rows}
    arguments: dict[str, Any] = {"normalise_observations": False, "critic_hidden_sizes": [64, 64]}
    name = _STATELESS
    if program.spiking:
        name = _SPIKING
        network |= {
            "neuron": "lif_soft", "neuron_parameters": {}, "learnable": ["tau_mem", "v_fall"],
            "recurrent": family == "recurrent_lif", "time_steps": 1,
        }  # fmt: skip
    elif program.stateful:
        name, arguments["gated"] = _GATED, family
    elif family != "linear":
        arguments["actor_activation"] = family
    resolved = resolve_settings(load_agent_spec(name), env_id, network)
    resolved = replace(resolved, policy_kwargs={**resolved.policy_kwargs, **arguments})
    model = build_agent(name, env_id, seed, resolved)
    policy: Any = model.policy
    given = {k: torch.from_numpy(np.asarray(x, np.float32)) for k, x in _tensors(program).items()}
    policy.load_acting_state_dict({**policy.acting_state_dict(), **given})
    return model


def _tensors(program: Program) -> dict[str, NDArray[Any]]:
    """Return the acting tensors of a policy that acts by a program of one hidden layer."""
    tensors: dict[str, NDArray[Any]] = {
        "action_net.weight": program.head.weights,
        "action_net.bias": program.head.biases,
    }
    for layer in program.layers:
        own: dict[str, NDArray[Any]] = {"weight": layer.weights.T, "bias": layer.biases}
        place = "mlp_extractor.actor.layers.0."
        if isinstance(layer, DenseLayer):
            place = "mlp_extractor.actor.0."
        elif isinstance(layer, LeakyLayer):
            own["decay_logit"] = np.log(layer.decay / (1 - layer.decay))
        elif isinstance(layer, GatedLayer):
            own = {
                "weight_ih_l0": layer.weights.T, "bias_ih_l0": layer.biases,
                "weight_hh_l0": layer.recurrent.T, "bias_hh_l0": layer.recurrent_biases,
            }  # fmt: skip
        else:
            own = {f"linear.{x}": y for x, y in own.items()}
            gain, fall = (
                layer.constants[equations(layer.neuron).constants.index(x)]
                for x in ("mem_gain", "v_fall")
            )
            # As LearnedConstant computes them: a logistic function, and softplus.
            own["learned.tau_mem_ms.raw"] = np.log(gain / (1 - gain))
            own["learned.v_fall.raw"] = np.log(np.expm1(fall))
            if layer.recurrent is not None:
                own["recurrent.weight"] = layer.recurrent.T
        tensors |= {place + x: y for x, y in own.items()}
    return tensors


# ---- search --------------------------------------------------------------------------------------
def _seeds(count: int) -> range:
    return range(_VALIDATION_SEED, _VALIDATION_SEED + count)


def _cost(network: Small, price: Any) -> float:
    cost = price.of(network.evaluation)
    return math.inf if cost is None else float(cost)


class _Search:
    """Teacher, task and data of one search."""

    def __init__(
        self, teacher: BaseAlgorithm, policy: Any, env_id: str, effort: Effort, seed: int
    ) -> None:
        self.policy, self.env_id, self.effort, self.seed = policy, env_id, effort, seed
        self._seen_space, space = teacher.observation_space, teacher.action_space
        bounded = isinstance(space, spaces.Box) and space.is_bounded()
        if not (bounded or isinstance(space, spaces.Discrete)):
            raise ValueError(
                f"small networks act by Discrete or bounded Box actions, got {space}; wrap the "
                "environment"
            )
        assert isinstance(space, spaces.Box | spaces.Discrete)
        self.space = space
        self.rows = spike_steps_of(self._seen_space, FlattenExtractor) or 0
        """Rows of an observed spike train; 0 for other observations."""
        self._temperature = 1.0
        self._generator = torch.Generator().manual_seed(seed)
        self._made = 0
        raw, starts, behaviour = self._play(None, effort.decisions)
        if policy.rates_actions:
            self._temperature = value_scale(behaviour.flatten(0, 1))
            behaviour = behaviour / self._temperature
        flat = raw.reshape(-1, raw.shape[-1])
        inputs = flat.shape[1]
        plain = Scaling(np.zeros(inputs, np.float32), np.ones(inputs, np.float32))
        self.scaling = plain if self.rows else scaling_of(flat)
        self.first = self._windows(raw, starts, behaviour)

    def networks(self, family: Family) -> Iterator[tuple[int, Small]]:
        """Yield trained networks of a family with their stage, 0 before any pruning."""
        effort = self.effort
        sizes = [size for size in effort.sizes for _ in range(effort.starts)]
        if family == "linear":
            sizes = sizes[: effort.starts]
        inputs = self.first.observations.shape[-1]
        bank = Bank(family, sizes, inputs, self.space, self._generator)
        windows = self.first
        for _ in range(effort.rounds):
            self._fit(bank, windows, effort.updates, effort.step_size)
            windows = windows.joined(self._students(bank))
        self._fit(bank, windows, 2 * effort.updates, effort.step_size)
        yield from ((0, x) for x in self._evaluated(bank))
        for stage, share in enumerate(effort.shares, start=1):
            bank.prune(share, windows)
            self._fit(bank, windows, effort.updates, effort.step_size / 2)
            windows = windows.joined(self._students(bank))
            self._fit(bank, windows, effort.updates, effort.step_size / 2)
            yield from ((stage, x) for x in self._evaluated(bank))

    def _fit(self, bank: Bank, windows: Windows, updates: int, step_size: float) -> None:
        share = self.effort.worst_share
        fit(bank, windows, updates, step_size, self._generator, worst_share=share)

    def judged(
        self, ranked: Sequence[Small], kept: float, episodes: int, price: Any
    ) -> Small | None:
        """Return the cheapest network that keeps the return in more validation episodes.

        Its evaluation is that of fresh episodes, whatever it earns there.
        """
        for network in ranked[: self.effort.finalists]:
            many = _seeds(5 * self.effort.validation_episodes)
            if self._evaluate(network.program, many).mean >= kept:
                fresh = evaluate(self._acting(network.program), self.env_id, episodes)
                made = replace(network, evaluation=fresh)
                return replace(made, cost=_cost(made, price))
        return None

    def _evaluated(self, bank: Bank) -> Iterator[Small]:
        for place in range(bank.networks):
            program = bank.program(place, self.scaling, self.rows)
            played = self._evaluate(program, _seeds(self.effort.validation_episodes))
            yield Small(bank.family, program, played, math.nan)

    def _evaluate(self, program: Program, seeds: range) -> Evaluation:
        return evaluate(self._acting(program), self.env_id, seeds=seeds)

    def _acting(self, program: Program) -> FrozenPolicy:
        return FrozenPolicy(program, self._seen_space, self.space)

    def _students(self, bank: Bank) -> Windows:
        """Let the networks of a bank play, and return what they see with the teacher's labels."""
        raw, starts, behaviour = self._play(bank, self.effort.decisions)
        return self._windows(raw, starts, behaviour / self._temperature)

    def _play(
        self, bank: Bank | None, decisions: int
    ) -> tuple[NDArray[np.float32], torch.Tensor, torch.Tensor]:
        """Play with the teacher, or a bank whose networks have as many lanes each.

        Returns observations as students see them (L, B, D), starts (L, B) and the teacher's
        behaviour (L, B, A).
        """
        lanes = 40 if bank is None else bank.networks * max(1, 40 // bank.networks)
        window = self.effort.window
        steps = max(1, decisions // (lanes * window)) * window
        self._made += 1
        env = make_vec_env(self.env_id, lanes, seed=1_100_000_000 + 10_000 * self._made + self.seed)
        rng = np.random.default_rng((self.seed, self._made))
        seen, starts, started = [], [], np.ones(lanes, np.bool_)
        observations: Any = env.reset()
        teacher_state, state = None, None
        for _ in range(steps):
            seen.append(np.array(observations))
            starts.append(started)
            if bank is None:
                actions, teacher_state = self.policy.predict(
                    observations, teacher_state, started, deterministic=True
                )
            else:
                actions, state = self._chosen(bank, observations, started, state)
            exploring = rng.random(lanes) < _EXPLORING
            drawn = [
                self._drawn(rng) if x else action
                for x, action in zip(exploring, actions, strict=True)
            ]
            observations, _, started, _ = env.step(np.array(drawn))
        env.close()
        began = torch.from_numpy(np.array(starts))
        shown = torch.from_numpy(np.array(seen))
        behaviour, _ = follow(self.policy, shown.to(torch.float32), began, None)
        return self._shown(np.array(seen)), began, behaviour

    def _chosen(
        self, bank: Bank, observations: Any, started: NDArray[np.bool_], state: Any
    ) -> tuple[NDArray[Any], Any]:
        values = (self._shown(observations[np.newaxis])[0] - self.scaling.mean) / self.scaling.std
        rows = torch.from_numpy(values).view(bank.networks, -1, values.shape[-1])
        state = bank.rest(rows.shape[1]) if state is None else state
        kept = torch.from_numpy(~started).view(bank.networks, -1, 1)
        with torch.no_grad():
            outputs, state = bank.step(rows, type(state)(*(x * kept for x in state)))
        flat = outputs.flatten(0, 1)
        if isinstance(self.space, spaces.Discrete):
            return flat.argmax(1).numpy(), state
        low, high = self.space.low, self.space.high
        actions = (low + high) / 2 + (high - low) / 2 * flat.clamp(-1, 1).numpy().reshape(
            -1, *low.shape
        )
        return actions.astype(self.space.dtype), state

    def _drawn(self, rng: np.random.Generator) -> Any:
        if isinstance(self.space, spaces.Discrete):
            return rng.integers(int(self.space.n))
        return rng.uniform(self.space.low, self.space.high).astype(self.space.dtype)

    def _shown(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        """Return observations (L, B, ...) as students see them, (L, B, D)."""
        values = observations.astype(np.float32).reshape(*observations.shape[:2], -1)
        if not self.rows:
            return values
        summed: NDArray[np.float32] = values.reshape(*values.shape[:2], self.rows, -1).sum(2)
        return summed

    def _windows(
        self, raw: NDArray[np.float32], starts: torch.Tensor, behaviour: torch.Tensor
    ) -> Windows:
        """Return windows of scaled observations, cut from play."""
        length = self.effort.window
        scaled = torch.from_numpy((raw - self.scaling.mean) / self.scaling.std)

        def cut(played: torch.Tensor) -> torch.Tensor:
            # (k * L, B, ...) -> (k, L, B, ...) -> (k * B, L, ...)
            parts = played.view(-1, length, *played.shape[1:])
            return parts.transpose(1, 2).flatten(0, 1)

        return Windows(cut(scaled), cut(behaviour), cut(starts))
