"""Tests of rollouts: equality with single gymnasium episodes, and parts by hand."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snn_gym.envs.rollout
from snn_gym.envs.classic_control import BATCHED_TASKS, BatchedCartPole
from snn_gym.envs.registry import load_spike_settings
from snn_gym.envs.rollout import ObservationLimits, Samples, make_drive, output_size, play
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.population import Population, start_weights

SMALL = NetworkConfig(hidden_sizes=(6,), time_steps=3)
every_task = pytest.mark.parametrize("env_id", BATCHED_TASKS)


def limits_of(env_id):
    spikes = load_spike_settings(env_id)
    return ObservationLimits.of(spikes.low, spikes.high)


def prepare(env_id, networks, seed=0):
    """Return a population for a task, and weights under which its networks differ."""
    task = BATCHED_TASKS[env_id](1)
    population = Population(
        SMALL, task.single_observation_space.shape[0], output_size(task.single_action_space)
    )
    weights = start_weights(population, np.random.default_rng(seed), networks, head_scale=3.0)
    # Without these, actions depend on what is observed.
    table = population.synapses
    weights[:, table.is_bias & (table.layer == 1)] = 0.0
    return population, weights


def act(space, outputs):
    """Return the action of one network, computed independently."""
    if isinstance(space, gym.spaces.Discrete):
        return int(np.argmax(outputs))
    share = np.tanh(outputs.astype(np.float64))
    return (space.low + (share + 1.0) / 2.0 * (space.high - space.low)).astype(np.float32)


def play_alone(env_id, population, weights, seed):
    """Return the return and length of one episode of gymnasium, stepped by hand."""
    env, limits = gym.make(env_id), limits_of(env_id)
    span = limits.high - limits.low
    observation, _ = env.reset(seed=seed)
    total, length, over = 0.0, 0, False
    while not over:
        scaled = np.clip((2.0 * observation - limits.low - limits.high) / span, -1.0, 1.0)
        outputs = population.outputs(weights[np.newaxis], scaled[np.newaxis, np.newaxis])[0, 0]
        action = act(env.action_space, outputs)
        observation, reward, terminated, truncated, _ = env.step(action)
        total, length, over = total + float(reward), length + 1, terminated or truncated
    env.close()
    return total, length


@every_task
def test_rollouts_are_single_episodes_of_gymnasium(env_id):
    population, weights = prepare(env_id, 3)
    seeds = [7, 0]
    rollouts = play(BATCHED_TASKS[env_id](2), population, weights, seeds, limits_of(env_id))
    assert rollouts.returns.shape == rollouts.lengths.shape == (3, 2)
    for network in range(3):
        for episode, seed in enumerate(seeds):
            total, length = play_alone(env_id, population, weights[network], seed)
            assert rollouts.lengths[network, episode] == length
            assert rollouts.returns[network, episode] == pytest.approx(total, rel=1e-6, abs=1e-6)
    assert rollouts.steps == rollouts.lengths.sum()


@settings(max_examples=15, deadline=None)
@given(
    networks=st.integers(1, 5),
    episodes=st.integers(1, 4),
    own=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_other_networks_do_not_change_a_rollout(networks, episodes, own, seed):
    population, weights = prepare("CartPole-v1", networks, seed)
    limits = limits_of("CartPole-v1")
    shape = (networks, episodes) if own else (episodes,)
    seeds = np.random.default_rng(seed).integers(2**31, size=shape)
    together = play(BatchedCartPole(seeds.size), population, weights, seeds, limits)
    task = BatchedCartPole(1)
    for network in range(networks):
        for episode, one in enumerate(np.broadcast_to(seeds, (networks, episodes))[network]):
            alone = play(task, population, weights[[network]], [int(one)], limits)
            assert together.returns[network, episode] == alone.returns[0, 0]
            assert together.lengths[network, episode] == alone.lengths[0, 0]


@every_task
def test_blocks_do_not_change_rollouts(env_id, monkeypatch):
    population, weights = prepare(env_id, 3)
    task, limits = BATCHED_TASKS[env_id](2), limits_of(env_id)
    alone = play(task, population, weights, range(2), limits)
    monkeypatch.setattr(snn_gym.envs.rollout, "_BLOCK", 4)
    shared = play(task, population, weights, range(2), limits)
    for name in ("returns", "lengths", "observations"):
        assert np.array_equal(getattr(alone, name), getattr(shared, name))


def test_non_finite_rewards_are_named():
    class Broken(BatchedCartPole):
        def _advance(self, actions):
            rewards, terminated = super()._advance(actions)
            return np.full_like(rewards, np.nan), terminated

    population, weights = prepare("CartPole-v1", 2)
    with pytest.raises(
        ValueError, match="CartPole-v1 gave the reward nan at step 1 of the episode with seed 0"
    ):
        play(Broken(1), population, weights, [0], limits_of("CartPole-v1"))


def test_samples_are_observations_of_steps_1_2_4_and_up():
    population, weights = prepare("CartPole-v1", 3)
    limits, ledger = limits_of("CartPole-v1"), Ledger(6)
    rollouts = play(BatchedCartPole(2), population, weights, [4, 5], limits, observer=ledger)
    expected = [
        ledger.seen[lane][2**power - 1][0]
        for lane, length in enumerate(rollouts.lengths.ravel().tolist())
        for power in range(length.bit_length())
    ]
    assert np.array_equal(limits.scale(rollouts.observations), expected)


def test_samples_of_a_dict_are_sorted_by_their_lanes():
    samples, running = Samples(), np.array([True, False, True])
    lanes = np.array([5, 7, 2])
    for step in (1, 2, 3):
        values = np.array([10, 20, 30]) + step
        samples.add(step, lanes, {"a": values, "b": -values[:, None]}, running)
    joined = samples.joined()
    assert joined["a"].tolist() == [31, 32, 11, 12]
    assert joined["b"].ravel().tolist() == [-31, -32, -11, -12]


class Ledger:
    """Observer that stores all its input."""

    def __init__(self, lanes):
        self.seen = [[] for _ in range(lanes)]
        self.over = np.zeros(lanes, bool)
        self.ends = np.zeros((lanes, 2), int)

    def step(self, seen):
        lanes, activity, actions, rewards, terminated, truncated = seen
        assert len(set(lanes.tolist())) == len(lanes) == len(actions) == len(rewards)
        assert len(activity.outputs) == len(activity.inputs) == len(lanes)
        rows = zip(lanes, activity.inputs, activity.outputs, actions, rewards, strict=True)
        for lane, inputs, outputs, action, reward in rows:
            if self.over[lane]:  # an ended episode that was not dropped yet
                assert reward == 0.0
            else:
                self.seen[lane].append((inputs, outputs, action, reward))
        self.ends[lanes] += np.stack([terminated, truncated], axis=1)
        self.over[lanes] |= terminated | truncated


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0", "Pendulum-v1"])
def test_an_observer_sees_each_step_once(env_id):
    population, weights = prepare(env_id, 4)
    limits, seeds = limits_of(env_id), [3, 4, 5]
    ledger = Ledger(12)
    observed = play(
        BATCHED_TASKS[env_id](3), population, weights, seeds, limits, observer=ledger
    )  # fmt: skip
    plain = play(BATCHED_TASKS[env_id](3), population, weights, seeds, limits)
    assert np.array_equal(observed.returns, plain.returns)
    assert [len(steps) for steps in ledger.seen] == observed.lengths.ravel().tolist()
    totals = [sum(step[3] for step in steps) for steps in ledger.seen]
    assert totals == pytest.approx(observed.returns.ravel().tolist())
    assert ledger.over.all()
    assert (ledger.ends.sum(axis=1) >= 1).all()
    assert ledger.ends.max() == 1  # ends are reported once
    space = BATCHED_TASKS[env_id](1).single_action_space
    for lane in (0, 7):
        inputs, outputs, action, _ = ledger.seen[lane][-1]
        again = population.outputs(weights[[lane // 3]], inputs[np.newaxis, np.newaxis])[0, 0]
        assert np.array_equal(again, outputs)
        assert np.allclose(act(space, outputs), action)


def test_limits_scale_by_hand():
    limits = ObservationLimits.of([-1.0, 0.0], [3.0, 0.5])
    assert limits.middle.tolist() == [1.0, 0.25]
    assert limits.half_range.tolist() == [2.0, 0.25]
    seen = np.array([[1.0, 0.25], [3.0, 0.0], [2.0, 9.0], [-5.0, 0.125]], np.float32)
    assert limits.scale(seen).tolist() == [[0.0, 0.0], [1.0, -1.0], [0.5, 1.0], [-1.0, -0.5]]
    assert seen[2, 1] == 9.0  # the task's own observations stay as they are


@pytest.mark.parametrize(
    ("low", "high"),
    [([0.0], [0.0]), ([0.0, 1.0], [2.0]), ([0.0], [float("inf")]), ([[0.0]], [[1.0]])],
)
def test_invalid_limits_are_refused(low, high):
    with pytest.raises(ValueError, match="observation limits need as many finite lows as highs"):
        ObservationLimits.of(low, high)


def test_many_invalid_limits_are_counted():
    message = r"low -inf, -inf, -inf, … with high 1, 1, 1, …, wrong in 348 of 349 values$"
    with pytest.raises(ValueError, match=message):
        ObservationLimits.of([0.0, *[-np.inf] * 348], [1.0] * 349)


def test_drives_by_hand():
    outputs = np.array([[0.5, 0.2, 0.5], [-1.0, 0.0, 3.0]], np.float32)
    assert make_drive(gym.spaces.Discrete(3))(outputs).tolist() == [0, 2]
    box = gym.spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([3.0, 1.0], np.float32))
    actions = make_drive(box)(np.array([[0.0, 0.0], [99.0, -99.0], [np.arctanh(0.5), 0.0]]))
    assert np.allclose(actions, [[1.0, 0.5], [3.0, 0.0], [2.0, 0.5]])
    assert actions.dtype == np.float32
    assert (output_size(gym.spaces.Discrete(3)), output_size(box)) == (3, 2)


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Discrete(3, start=1),
        gym.spaces.MultiDiscrete([2, 2]),
        gym.spaces.MultiBinary(2),
        gym.spaces.Box(-np.inf, np.inf, (1,)),
        gym.spaces.Box(-1.0, 1.0, (2, 2)),
    ],
)
@pytest.mark.parametrize("ask", [make_drive, output_size])
def test_unsupported_action_spaces_are_refused(space, ask):
    with pytest.raises(ValueError, match="a controller chooses Discrete actions that count from 0"):
        ask(space)


class Blind(BatchedCartPole):
    """CartPole with non-finite observations after the second step."""

    def advance(self, actions):
        observations, *rest = super().advance(actions)
        return np.where(self._steps[:, np.newaxis] == 2, np.nan, observations), *rest


def test_non_finite_observations_are_named():
    population, weights = prepare("CartPole-v1", 2)
    with pytest.raises(ValueError, match="CartPole-v1 gave the observation nan at step 2 of the"):
        play(Blind(1), population, weights, [0], limits_of("CartPole-v1"))


def test_invalid_seeds_and_weights_are_refused():
    population, weights = prepare("CartPole-v1", 2)
    limits, task = limits_of("CartPole-v1"), BatchedCartPole(3)
    for seeds in (np.zeros((3, 1), int), np.zeros((1, 2, 3), int), np.zeros(0, int)):
        with pytest.raises(ValueError, match=r"seeds must have shape \(episodes,\) or \(2, episo"):
            play(task, population, weights, seeds, limits)
    with pytest.raises(ValueError, match="2 seeds need as many environments, got a task of 3; mak"):
        play(task, population, weights, [0, 1], limits)
    with pytest.raises(ValueError, match="weights must have shape"):
        play(task, population, weights[:, :-1], [0, 1, 2], limits)
