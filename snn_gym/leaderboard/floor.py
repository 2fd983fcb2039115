"""Search for the cheapest network of each family that keeps a trained agent's return."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
import torch
from cmaes import CMA
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import nn

from snn_gym._base.config import Config, Count, Natural, NonNegative, PositiveShare, Range
from snn_gym._base.numerics import one_thread
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.registry import known_ids, load_environment_spec
from snn_gym.envs.stable_baselines import make_vec_env
from snn_gym.leaderboard.comparison import MARGIN
from snn_gym.leaderboard.evaluation import Evaluation, evaluate, evaluation_seeds
from snn_gym.learners.students import (
    BURN_IN,
    FAMILIES,
    Bank,
    Family,
    Scaling,
    State,
    Windows,
    fit,
    scaling_of,
)
from snn_gym.learners.visited import follow
from snn_gym.policies.behaviour import value_scale
from snn_gym.policies.frozen import FrozenPolicy
from snn_gym.policies.observations import spike_steps_of
from snn_gym.policies.raw_observations import bare_policy
from snn_gym.program.layers import DenseLayer, GatedLayer, LeakyLayer
from snn_gym.program.neuron import equations
from snn_gym.program.prices import Price, known_price
from snn_gym.program.program import Program
from snn_gym.zoo.build import build_agent, identify, make_agent, resolve_settings
from snn_gym.zoo.spec import load_agent_spec

_VALIDATION_SEEDS = range(1_600_000_000, 1_700_000_000)
_EXPLORING = 0.03  # share of random actions while states are collected
_LANES = 40  # environments that are played side by side, about
_CERTAIN = 8.0  # log-odds of a right action
_POPULATION, _EPISODES, _SPREAD = 24, 12, 0.3  # of CMA-ES: networks, episodes of each, first std
_CHEAPER = 0.9  # largest share of the least cost so far at which a network is worth CMA-ES
_KEPT = 0.8  # share of synapses that a network keeps when it is pruned after CMA-ES


@dataclass(frozen=True)
class Effort(Config):
    """Effort of the search on each family."""

    sizes: tuple[Count, ...] = (1, 2, 3, 4)
    """Units of the networks."""
    starts: Count = 4
    """Networks of each size, with initial weights of their own."""
    rounds: Count = 4
    """Times that the networks play, the teacher labels the states, and they learn from these."""
    decisions: Count = 9_600
    """Decisions that are labelled at the start, in each round and after each pruning, about."""
    updates: Count = 400
    """Updates in each round; twice as many after the last round, and for each pruning."""
    step_size: NonNegative = 0.02
    """Largest step size of Adam."""
    shares: tuple[PositiveShare, ...] = (0.7,) * 6
    """Share of the remaining synapses that each pruning keeps."""
    window: Annotated[int, Range(at_least=BURN_IN + 1)] = 24
    """Decisions of a window; it is one episode where right actions are known."""
    refined: Natural = 4
    """Networks of each family that learn from the return by CMA-ES, one after the other: that which
    earns most of those cheaper than the cheapest that keeps the return. What then keeps it loses
    synapses."""
    generations: Natural = 0
    """Most generations of CMA-ES, 24 networks of 12 episodes each; 0 for none."""
    validation_episodes: Count = 20
    """Episodes by which networks are chosen; finalists play five times as many."""
    finalists: Count = 8
    """Cheapest networks of a family that are played again."""


@dataclass(frozen=True)
class SmallNetwork:
    """A network of a family, with its evaluation."""

    family: Family
    program: Program
    evaluation: Evaluation
    cost: float
    """Price of a decision."""


@dataclass(frozen=True)
class SearchResult:
    """Result of a search on a task."""

    env_id: str
    env_kwargs: Mapping[str, Any]
    price: str
    teacher: Evaluation | None
    """Evaluation of the teacher on validation episodes, from which ``least_return`` follows; None
    for right actions, which earn 1."""
    least_return: float
    """Least mean return that counts as kept."""
    cheapest: dict[Family, SmallNetwork | None] = field(default_factory=dict)
    """Cheapest network of each family that keeps the return in validation, with its evaluation on
    fresh episodes, which may be below ``least_return``; None if no network does."""
    starts_above: dict[Family, int] = field(default_factory=dict)
    """Networks of each family that kept the return in validation before they were pruned."""
    tried: dict[Family, list[tuple[float, float]]] = field(default_factory=dict)
    """Price and mean return in validation of each network of a family."""
    seconds: dict[Family, float] = field(default_factory=dict)
    """Processor time of each family."""

    def front(self, family: Family) -> list[tuple[float, float]]:
        """Return price and mean return of the networks that earn more than all cheaper ones."""
        points: list[tuple[float, float]] = []
        for cost, mean in sorted(self.tried[family], key=lambda point: (point[0], -point[1])):
            if not points or mean > points[-1][1]:
                points.append((cost, mean))
        return points

    def in_words(self, family: Family) -> str:
        """Return a one-line summary of a family."""
        small, effort = self.cheapest[family], f"{self.seconds[family]:.0f} s"
        if small is None:
            return f"{family}: no network keeps the return ({effort})"
        count = sum(small.program.sizes)
        units = f"{count or 'no'} unit{'s' * (count != 1)}"
        earned, cost = f"mean return {small.evaluation.mean:.2f}", f"{small.cost:,.2f}"
        below = small.evaluation.mean < self.least_return
        earned += f" (below {self.least_return:.2f})" if below else ""
        return f"{family}: {units}, {earned}, {cost} {self.price} a decision ({effort})"


def smallest(
    teacher: BaseAlgorithm | str,
    families: Sequence[Family] = FAMILIES,
    *,
    price: str = "operations",
    effort: Effort | None = None,
    margin: float | None = None,
    episodes: int = 1_000,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
    report: Callable[[str], None] | None = None,
) -> SearchResult:
    """Search for the cheapest network of each family that keeps a trained agent's return.

    Networks of one family learn side by side to act as the teacher does in the states that they
    visit (DAgger, Ross et al. 2011, https://arxiv.org/abs/1011.0686), or by the right actions where
    a native task knows them. Then they lose synapses in several rounds, and learn again after each.
    If ``effort`` has generations, cheap networks learn from the return itself (CMA-ES, Hansen 2016,
    https://arxiv.org/abs/1604.00772), and lose more synapses where they keep it. All families get
    the same updates, as many networks and about as many labelled decisions. A network keeps the
    return if its mean over validation episodes, less one standard error, is at most the margin
    below the teacher's. The cheapest of each family plays fresh episodes.

    Spiking units fire in one time step a decision and carry their potential on. All spikes of an
    observed spike train enter at once.

    Args:
        teacher: Trained agent, as for ``distil``, or the id of a native task that knows the right
            actions; these earn 1.
        families: Kinds of networks; see ``Family``.
        price: Price of a decision by which networks are compared, such as ``operations``.
        effort: Effort on each family; None for the defaults.
        margin: Loss of mean return that is accepted; None for 5 % of the way from random play to
            ``solved``, which a registered environment states.
        episodes: Fresh episodes, with the public seeds, that the cheapest network of each family
            plays.
        seed: Seed of initial weights, minibatches, environments and random actions of a family.
        env_kwargs: Arguments of the task of an id; an agent has its own.
        report: Called with a line on each family, such as ``print``; None for nothing.

    Raises:
        ValueError: A family or the price is unknown, the task is unknown and ``margin`` is None,
            its spaces are not those of small networks, an id's task knows no right actions, or an
            agent comes with ``env_kwargs``.

    Example:
        >>> import snn_gym
        >>> from snn_gym.leaderboard import Effort
        >>> teacher = snn_gym.load_pretrained("ppo-mlp", "CartPole-v1")
        >>> quick = Effort(starts=2, rounds=1, updates=60, shares=())
        >>> result = snn_gym.smallest(teacher, ["linear"], effort=quick, episodes=5)
        >>> result.cheapest["linear"].program.sizes
        ()
    """
    unknown = [x for x in families if x not in FAMILIES]
    if unknown:
        known = ", ".join(FAMILIES)
        raise ValueError(f"family {unknown[0]!r} is unknown; known: {known}")
    priced, untrained = known_price(price), isinstance(teacher, str)
    if env_kwargs is not None and not untrained:
        raise ValueError("env_kwargs are for an id, and an agent has its own; leave them out")
    if isinstance(teacher, str):
        teacher = make_agent(_GATED, teacher, seed, env_kwargs=env_kwargs)
    identity = identify(teacher)
    env_id = identity.environment
    if margin is None and env_id not in known_ids():
        raise ValueError(f"{env_id} states no scores from which a margin follows; give margin")
    accepted = load_environment_spec(env_id).reference.loss(MARGIN) if margin is None else margin
    with one_thread():
        search = _Search(teacher, effort or Effort(), seed)
        if untrained and not search.answers:
            raise ValueError(
                f"{env_id} knows no right actions; give a trained agent as the teacher"
            )
        best = None if untrained else search.evaluated(teacher, search.more_seeds)
        task = env_id, identity.environment_kwargs
        result = SearchResult(*task, price, best, (best.mean if best else 1.0) - accepted)
        for family in families:
            began, least = time.process_time(), result.least_return
            whole, made = search.networks(family, priced, least)
            result.starts_above[family] = sum(x.evaluation.mean >= least for x in whole)
            result.tried[family] = [(x.cost, x.evaluation.mean) for x in made]
            ranked = sorted((x for x in made if x.evaluation.mean >= least), key=lambda x: x.cost)
            result.cheapest[family] = search.judged(ranked, least, episodes, priced)
            result.seconds[family] = time.process_time() - began
            if report is not None:
                report(result.in_words(family))
    return result


# ---- agents --------------------------------------------------------------------------------------
_STATELESS, _GATED, _SPIKING = "ppo-mlp", "recurrent-ppo-gru", "recurrent-ppo-lsnn"
"""Agents of the zoo of which small networks become actors, with their hyper-parameters."""


def agent_of(
    small: SmallNetwork,
    env_id: str,
    *,
    seed: int | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> BaseAlgorithm:
    """Return an agent that acts by a small network.

    It can be saved, exported and trained further: by PPO, or by StatefulPPO if units carry a state.
    Its critic is new and untrained.

    Args:
        small: Network of a result of ``smallest``.
        env_id: Its task.
        seed: Seed of later learning.
        env_kwargs: Arguments of the task, as its teacher had them.
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
    model = build_agent(name, env_id, seed, resolved, env_kwargs=env_kwargs)
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
                np.atleast_1d(layer.constants[equations(layer.neuron).constants.index(x)])
                for x in ("mem_gain", "v_fall")
            )
            # As LearnedConstant computes them: a logistic function, and softplus.
            own["learned.tau_mem_ms.raw"] = np.log(gain / (1 - gain))
            own["learned.v_fall.raw"] = np.log(np.expm1(fall))
            if layer.recurrent is not None:
                own["recurrent.weight"] = layer.recurrent.T
        tensors |= {place + x: y for x, y in own.items()}
    return tensors


Trained = tuple[SmallNetwork, Bank]
"""A network, and a bank of it alone, which can learn on."""


# ---- search --------------------------------------------------------------------------------------
class _Search:
    """Teacher, task and data of one search."""

    def __init__(self, teacher: BaseAlgorithm, effort: Effort, seed: int) -> None:
        self._policy, self.effort, self._seed = bare_policy(teacher, "a teacher"), effort, seed
        identity = identify(teacher)
        self._env_id, self._arguments = identity.environment, identity.environment_kwargs
        self._seen_space, self._space = _checked(teacher)
        self._rows = spike_steps_of(self._seen_space, FlattenExtractor) or 0
        """Rows of an observed spike train; 0 for other observations."""
        inputs = math.prod(self._seen_space.shape or ()) // max(1, self._rows)
        self._scaling = Scaling(np.zeros(inputs, np.float32), np.ones(inputs, np.float32))
        self._temperature, self._window = 1.0, self.effort.window
        self._begin(0)
        env = self._make_env(1)
        self.answers = _right_actions(env) is not None
        if self.answers:
            self._window = env.vector_env.settings.episode_steps
        env.close()
        first = self._play(None)
        if self._policy.rates_actions and not self.answers:
            self._temperature = value_scale(first.behaviour.flatten(0, 1))
        if not self._rows:
            self._scaling = scaling_of(first.observations.flatten(0, 1).numpy())
        self._first = self._scaled(first)

    @property
    def more_seeds(self) -> range:
        """Seeds of the validation episodes of teacher and finalists."""
        return _VALIDATION_SEEDS[: 5 * self.effort.validation_episodes]

    def networks(
        self, family: Family, price: Price, least: float
    ) -> tuple[list[SmallNetwork], list[SmallNetwork]]:
        """Train networks of a family; return those before any pruning, and all."""
        effort = self.effort
        self._begin(1 + FAMILIES.index(family))
        sizes = [size for size in effort.sizes for _ in range(effort.starts)]
        inputs = self._first.observations.shape[-1]
        bank = Bank(family, sizes, inputs, self._space, self._generator)
        windows = self._first
        for _ in range(effort.rounds):
            fit(bank, windows, effort.updates, effort.step_size, self._generator)
            windows = windows.joined(self._scaled(self._play(bank)))
        fit(bank, windows, 2 * effort.updates, effort.step_size, self._generator)
        pairs = list(self._trained(bank, price))
        whole = [network for network, _ in pairs]
        for share in effort.shares:
            bank.prune(share, windows, self._generator)
            fit(bank, windows, effort.updates, effort.step_size / 2, self._generator)
            windows = windows.joined(self._scaled(self._play(bank)))
            fit(bank, windows, effort.updates, effort.step_size / 2, self._generator)
            pairs += self._trained(bank, price)
        if effort.generations:
            pairs += self._refined(pairs, windows, price, least)
        return whole, [network for network, _ in pairs]

    def _refined(
        self, pairs: Sequence[Trained], windows: Windows, price: Price, least: float
    ) -> Iterator[Trained]:
        """Let cheap networks learn from the return, by CMA-ES; prune those that then keep it.

        The next network is that which earns most of all that are at least a tenth cheaper than the
        cheapest that keeps the return.
        """
        pool, tried = list(pairs), set[bytes]()
        for _ in range(self.effort.refined):
            bound = min((x.cost for x, _ in pool if x.evaluation.mean >= least), default=math.inf)
            untried = [(x, y) for x, y in pool if y.synapses not in tried]
            hopeful = [pair for pair in untried if pair[0].cost <= _CHEAPER * bound]
            if not hopeful:
                return
            _, bank = max(hopeful, key=lambda pair: pair[0].evaluation.mean)
            tried.add(bank.synapses)
            self._evolve(bank, least)
            made = list(self._trained(bank, price))
            if made[0][0].evaluation.mean >= least:
                children = bank.copies(0, self.effort.starts)
                children.prune(_KEPT, windows, self._generator)
                made += self._trained(children, price)
            pool += made
            yield from made

    def _evolve(self, bank: Bank, least: float) -> None:
        """Let a bank's one network learn until most of a generation keep the return."""
        mean, lanes = bank.numbers()[0], bank.copies(0, _POPULATION)
        strategy = CMA(mean, _SPREAD, population_size=_POPULATION, seed=self._seed)
        for _ in range(self.effort.generations):
            asked = np.stack([strategy.ask() for _ in range(_POPULATION)])
            lanes.load_numbers(asked)
            returns = self._returns(lanes)
            strategy.tell(list(zip(asked, -returns, strict=True)))
            if np.quantile(returns, 0.25) >= least:
                break
        bank.load_numbers(strategy.mean[np.newaxis])

    def _trained(self, bank: Bank, price: Price) -> Iterator[Trained]:
        """Yield each network of a bank, validated, with a bank of its own."""
        for place, network in enumerate(self._validated(bank, price)):
            yield network, bank.copies(place)

    def _returns(self, bank: Bank) -> NDArray[np.float64]:
        """Return the mean return (M,) of each network of a bank in episodes of its own."""
        count = bank.networks * _EPISODES
        self._plays += 1
        env = self._make_env(count)
        observations: Any = env.reset()
        returns, running = np.zeros(count), np.ones(count, np.bool_)
        started, state = running.copy(), None
        while running.any():
            actions, state = self._chosen(bank, observations, started, state)
            observations, rewards, started, _ = env.step(actions)
            returns += rewards * running
            running &= ~started
        env.close()
        mean: NDArray[np.float64] = returns.reshape(bank.networks, -1).mean(1)
        return mean

    def judged(
        self, ranked: Sequence[SmallNetwork], least: float, episodes: int, price: Price
    ) -> SmallNetwork | None:
        """Return the cheapest network that keeps the return in more validation episodes.

        It keeps it with a standard error to spare, because it was chosen for what it earned.
        Its evaluation is that of fresh episodes, whatever it earns there.
        """
        for network in ranked[: self.effort.finalists]:
            acting = self._acting(network.program)
            returns = np.array(self.evaluated(acting, self.more_seeds).returns)
            if returns.mean() - returns.std() / math.sqrt(len(returns)) >= least:
                fresh = self.evaluated(acting, evaluation_seeds(episodes))
                return replace(network, evaluation=fresh, cost=_cost(fresh, price))
        return None

    def evaluated(self, model: Any, seeds: Sequence[int]) -> Evaluation:
        """Evaluate a model, or an object that acts, on the teacher's task."""
        return evaluate(model, self._env_id, seeds=seeds, env_kwargs=self._arguments)

    def _begin(self, stream: int) -> None:
        """Begin random streams that do not depend on other families."""
        self._generator = torch.Generator().manual_seed(1_000 * self._seed + stream)
        self._plays = 1_000 * stream

    def _make_env(self, lanes: int) -> Any:
        """Return environments with seeds of this play of this search, below those of validation."""
        drawn = np.random.SeedSequence((self._seed, self._plays)).generate_state(1)[0]
        seed = int(drawn) % (_VALIDATION_SEEDS.start - lanes)
        return make_vec_env(self._env_id, lanes, seed=seed, env_kwargs=self._arguments)

    def _validated(self, bank: Bank, price: Price) -> Iterator[SmallNetwork]:
        seeds = _VALIDATION_SEEDS[: self.effort.validation_episodes]
        for place in range(bank.networks):
            program = bank.program(place, self._scaling, self._rows)
            played = self.evaluated(self._acting(program), seeds)
            yield SmallNetwork(bank.family, program, played, _cost(played, price))

    def _acting(self, program: Program) -> FrozenPolicy:
        return FrozenPolicy(program, self._seen_space, self._space)

    def _play(self, bank: Bank | None) -> Windows:
        """Play with the teacher, or a bank whose networks have as many lanes each."""
        lanes = _LANES if bank is None else bank.networks * max(1, _LANES // bank.networks)
        # At least one window of each lane, wherever its episodes start
        fewest = 2 * self._window
        steps = max(fewest, self.effort.decisions // (lanes * self._window) * self._window)
        self._plays += 1
        env = self._make_env(lanes)
        if self.answers:
            seen, starts, behaviour, counts = _with_right_actions(env, steps)
        else:
            seen, starts = self._visited(env, steps, bank)
            behaviour, _ = follow(self._policy, torch.from_numpy(seen).float(), starts, None)
            counts = torch.ones(starts.shape)
        env.close()
        return self._windows(seen, starts, behaviour, counts)

    def _visited(
        self, env: Any, steps: int, bank: Bank | None
    ) -> tuple[NDArray[Any], torch.Tensor]:
        """Return what the teacher or a bank's networks see (L, B, ...), and starts (L, B)."""
        rng = np.random.default_rng((self._seed, self._plays))
        seen, starts, started = [], [], np.ones(env.num_envs, np.bool_)
        observations: Any = env.reset()
        state = None
        for _ in range(steps):
            seen.append(np.array(observations))
            starts.append(started)
            if bank is None:
                actions, state = self._policy.predict(
                    observations, state, started, deterministic=True
                )
            else:
                actions, state = self._chosen(bank, observations, started, state)
            for lane in np.flatnonzero(rng.random(env.num_envs) < _EXPLORING):
                actions[lane] = _drawn(self._space, rng)
            observations, _, started, _ = env.step(actions)
        return np.array(seen), torch.from_numpy(np.array(starts))

    def _chosen(
        self, bank: Bank, observations: Any, started: NDArray[np.bool_], state: State | None
    ) -> tuple[NDArray[Any], State]:
        """Return actions of the lanes of a bank's networks, and their next state."""
        scaling, space = self._scaling, self._space
        values = (self._shown(observations[np.newaxis])[0] - scaling.mean) / scaling.std
        rows = torch.from_numpy(values).view(bank.networks, -1, values.shape[-1])
        state = bank.rest(rows.shape[1]) if state is None else state
        going_on = torch.from_numpy(~started).view(bank.networks, -1, 1)
        with torch.no_grad():
            outputs, state = bank.step(rows, State(*(x * going_on for x in state)))
        flat = outputs.flatten(0, 1)
        if isinstance(space, spaces.Discrete):
            return flat.argmax(1).numpy(), state
        middle, half = (space.low + space.high) / 2, (space.high - space.low) / 2
        actions = middle + half * flat.clamp(-1, 1).numpy().reshape(-1, *space.shape)
        return actions.astype(space.dtype), state

    def _shown(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        """Return observations (L, B, ...) as networks see them, (L, B, D)."""
        values = observations.astype(np.float32).reshape(*observations.shape[:2], -1)
        if not self._rows:
            return values
        summed: NDArray[np.float32] = values.reshape(*values.shape[:2], self._rows, -1).sum(2)
        return summed

    def _windows(self, seen: NDArray[Any], *played: torch.Tensor) -> Windows:
        """Return windows of observations (L, B, ...) and of what was played, (L, B, ...) each.

        They follow each other, or begin where episodes do if right actions are known, because what
        came before a window may decide.
        """
        length, starts = self._window, played[0]
        if self.answers:
            first, lane = starts[: len(starts) - length + 1].nonzero(as_tuple=True)
        else:
            blocks = torch.arange(0, len(starts) - length + 1, length)
            first, lane = torch.cartesian_prod(blocks, torch.arange(starts.shape[1])).T
        places = first[:, None] + torch.arange(length), lane[:, None]
        cut = (torch.from_numpy(self._shown(seen)), *played)
        observations, starts, behaviour, counts = (x[places] for x in cut)
        return Windows(observations, behaviour, starts, counts)

    def _scaled(self, windows: Windows) -> Windows:
        """Return windows with scaled observations and behaviour."""
        seen = (windows.observations - torch.from_numpy(self._scaling.mean)) / torch.from_numpy(
            self._scaling.std
        )
        return replace(windows, observations=seen, behaviour=windows.behaviour / self._temperature)


def _right_actions(env: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Return the right actions (B,) of environments and their weights, if they are known."""
    task = getattr(env, "vector_env", None)
    return task.right_actions() if isinstance(task, SpikeTask) else None


def _with_right_actions(
    env: Any, steps: int
) -> tuple[NDArray[Any], torch.Tensor, torch.Tensor, torch.Tensor]:
    """Take action 0; return observations (L, B, ...), starts, right actions and their weights.

    Right actions (L, B, A) are log-odds; the others are (L, B).
    """
    rows: list[tuple[NDArray[Any], ...]] = []
    started, idle = np.ones(env.num_envs, np.bool_), np.zeros(env.num_envs, np.int64)
    observations = env.reset()
    for _ in range(steps):
        known = _right_actions(env)
        assert known is not None  # so the caller found
        rows.append((np.array(observations), started, *known))
        observations, _, started, _ = env.step(idle)
    seen, *others = (np.stack(x) for x in zip(*rows, strict=True))
    starts, right, weights = (torch.from_numpy(x) for x in others)
    odds = _CERTAIN * nn.functional.one_hot(right, int(env.action_space.n)).float()
    return seen, starts, odds, weights.float()


def _checked(teacher: BaseAlgorithm) -> tuple[spaces.Space[Any], spaces.Discrete | spaces.Box]:
    """Return a teacher's spaces; refuse those that small networks lack."""
    seen, space = teacher.observation_space, teacher.action_space
    bounded = isinstance(space, spaces.Box) and space.is_bounded()
    if not (bounded or isinstance(space, spaces.Discrete)):
        raise ValueError(
            f"small networks act by Discrete or bounded Box actions, got {space}; wrap the "
            "environment"
        )
    if not isinstance(seen, spaces.Box | spaces.MultiBinary):
        raise ValueError(
            f"small networks see a Box, flags or a spike train, got {seen}; wrap the environment"
        )
    assert isinstance(space, spaces.Box | spaces.Discrete)
    return seen, space


def _cost(evaluation: Evaluation, price: Price) -> float:
    return math.inf if (cost := price.of(evaluation)) is None else float(cost)


def _drawn(space: spaces.Discrete | spaces.Box, rng: np.random.Generator) -> Any:
    """Return a random action."""
    if isinstance(space, spaces.Discrete):
        return rng.integers(int(space.n))
    return rng.uniform(space.low, space.high).astype(space.dtype)
