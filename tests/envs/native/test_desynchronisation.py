"""Tests of desynchronisation: network equations, synchrony, rewards, controllers."""

import numpy as np
import pytest

import snn_gym  # noqa: F401 - registers the ids
from references import play, scripted_policy
from references.desynchronisation import constant
from snn_gym.envs.native.desynchronisation import (
    BURN_IN_MS,
    EXCITATION_MS,
    EXCITATORY,
    EXCITATORY_DRIVE,
    FROM_INHIBITORY,
    INHIBITION_MS,
    INHIBITORY_DRIVE,
    MEMBRANE_MS,
    NEURONS,
    REFRACTORY_MS,
    STIMULATION,
    TO_INHIBITORY,
    BurstingNeurons,
    Desynchronisation,
    draw_desynchronisation,
    run_network,
)
from snn_gym.envs.registry import load_environment_spec
from snn_gym.envs.rendering import ACCENT, GOOD, INK, PAPER

IDS = (
    "snn/Desynchronisation-v0",
    "snn/Desynchronisation-medium-v0",
    "snn/Desynchronisation-hard-v0",
)
every_level = pytest.mark.parametrize("env_id", IDS)
ONE = np.array([0])


def level(env_id, num_envs):
    return Desynchronisation(num_envs, **load_environment_spec(env_id).task.arguments)


def lone_network(voltage=0.0):
    network = BurstingNeurons.silent(1)
    network.start(ONE, np.full((1, NEURONS), voltage), np.ones(NEURONS))
    return network


def quiet(time_steps):
    return np.zeros((1, time_steps * NEURONS), np.uint8)


def mean_returns(env_id, kind, num_envs=200):
    task = level(env_id, num_envs)
    return play(task, scripted_policy(task, kind), seed=0).mean()


def test_volley_and_response_step_by_step():
    network = lone_network()
    network.voltage[0, :EXCITATORY] = 0.97
    spikes, count = run_network(network, ONE, np.zeros(1), quiet(1), 0.0, 1.0)
    # 0.97 + (1.79 - 0.97) / 20 = 1.011: all excitatory neurons fire at once.
    assert spikes[0].tolist() == [True] * EXCITATORY + [False] * (NEURONS - EXCITATORY)
    assert count[0] == EXCITATORY
    assert (network.voltage[0, :EXCITATORY] == 0.0).all()
    assert (network.waiting[0, :EXCITATORY] == REFRACTORY_MS).all()
    charge = INHIBITORY_DRIVE / MEMBRANE_MS
    assert network.voltage[0, EXCITATORY:] == pytest.approx(charge, rel=1e-5)
    volley = (1 - np.exp(-1 / EXCITATION_MS)) * EXCITATION_MS
    assert network.excitation[0] == pytest.approx(volley, rel=1e-5)
    run_network(network, ONE, np.zeros(1), quiet(1), 0.0, 2.0)
    # Dead time for the ones; the others feel the volley at twice the weight.
    assert (network.voltage[0, :EXCITATORY] == 0.0).all()
    charge += (INHIBITORY_DRIVE + 2 * TO_INHIBITORY * volley - charge) / MEMBRANE_MS
    assert network.voltage[0, EXCITATORY:] == pytest.approx(charge, rel=1e-5)
    volley *= np.exp(-1 / EXCITATION_MS)
    assert network.excitation[0] == pytest.approx(volley, rel=1e-5)


def test_inhibition_stimulation_and_noise_act_on_the_right_neurons():
    network = lone_network()
    network.inhibition[0] = 0.5
    noise = quiet(1)
    noise[0, :2] = 255
    run_network(network, ONE, np.array([-0.25]), noise, 0.04, 1.0)
    charge = (EXCITATORY_DRIVE - 0.25 * STIMULATION - FROM_INHIBITORY * 0.5) / MEMBRANE_MS
    assert network.voltage[0, :2] == pytest.approx(charge + 0.04, abs=1e-6)
    assert network.voltage[0, 2:EXCITATORY] == pytest.approx(charge - 0.04, abs=1e-6)
    assert network.voltage[0, EXCITATORY:] == pytest.approx(
        INHIBITORY_DRIVE / MEMBRANE_MS - 0.04, abs=1e-6
    )
    assert network.inhibition[0] == pytest.approx(0.5 * np.exp(-1 / INHIBITION_MS), rel=1e-5)


def test_only_selected_networks_run():
    network = BurstingNeurons.silent(3)
    network.start(np.arange(3), np.full((3, NEURONS), 0.5), np.ones(NEURONS))
    before = network.copy()
    run_network(network, np.array([1]), np.zeros(1), quiet(5), 0.0, 1.0)
    moved = (network.voltage != before.voltage).any(axis=1)
    assert moved.tolist() == [False, True, False]


def test_rewards_are_calm_less_energy():
    task = Desynchronisation(1, healthy_rate_hz=31.25, energy_cost=0.4, episode_steps=5)
    assert task.settings.healthy_count == pytest.approx(8.0)
    calm = task.calm(np.array([8, 4, 12, 0, 16, 32]))
    assert calm.tolist() == pytest.approx([1.0, 0.75, 0.75, 0.0, 0.0, 0.0])
    task.reset(seed=0)
    for step in range(5):
        spikes, rewards, terminated, _, info = task.advance(np.array([[-3.0]], np.float32))
        assert info["count"][0] == spikes[0, :, :EXCITATORY].sum()
        expected = (task.calm(info["count"])[0] - 0.4) / 5
        assert rewards[0] == pytest.approx(expected)
        assert terminated[0] == (step == 4)


def test_unobserved_channels_are_silent_without_other_effect():
    whole, part = Desynchronisation(4), Desynchronisation(4, observed=10)
    action = np.full((4, 1), 0.3, np.float32)
    pairs = [(whole.reset(seed=0)[0], part.reset(seed=0)[0])]
    for _ in range(20):
        one, other = whole.step(action), part.step(action)
        assert np.array_equal(one[1], other[1])
        pairs.append((one[0], other[0]))
    seen = np.zeros(NEURONS, bool)
    seen[::4] = True
    assert all(np.array_equal(full * seen, some) for full, some in pairs)
    assert sum(full[..., ~seen].sum() for full, _ in pairs) > 0


def observed_counts(task, kind):
    """Return the excitatory counts (steps, B) of one episode, and spikes each ms (B, steps * T)."""
    policy = scripted_policy(task, kind)
    spikes, _ = task.reset(seed=0)
    counts, trains = [], []
    for step in range(task.settings.episode_steps - 1):
        starts = np.full(task.num_envs, step == 0)
        spikes, *_, info = task.step(policy.act(spikes, starts))
        counts.append(info["count"])
        trains.append(spikes[..., :EXCITATORY].sum(axis=2))
    return np.array(counts)[8:], np.concatenate(trains[8:], axis=1)


def test_oracle_desynchronises_the_population():
    task = Desynchronisation(100)
    alone, alone_ms = observed_counts(task, "no_stimulation")
    calmed, calmed_ms = observed_counts(task, "oracle")
    healthy = task.settings.healthy_count
    # Without stimulation, the mean rate is healthy too; only the timing is not.
    assert alone.mean() == pytest.approx(healthy, rel=0.06)
    assert calmed.mean() == pytest.approx(healthy, rel=0.06)
    assert alone.var(axis=0).mean() > 6 * calmed.var(axis=0).mean()
    # At a resolution of 1 ms too, so that no faster rhythm takes the place of the old one.
    assert alone_ms.var(axis=1).mean() > 1.5 * calmed_ms.var(axis=1).mean()


def test_the_rhythm_has_about_32_hz():
    _, trains = observed_counts(Desynchronisation(100), "no_stimulation")
    centred = trains - trains.mean(axis=1, keepdims=True)
    power = (np.abs(np.fft.rfft(centred, axis=1)) ** 2).mean(axis=0)
    peak = np.fft.rfftfreq(trains.shape[1], 0.001)[power.argmax()]
    assert 28.0 <= peak <= 36.0


def test_episodes_start_at_different_phases():
    task = Desynchronisation(300)
    task.reset(seed=0)
    silent = (task._count == 0).mean()
    assert 0.1 < silent < 0.6
    assert 0.15 < (task._count > 12).mean() < 0.6


def test_starts_cover_all_phases_of_a_cycle(monkeypatch):
    task = Desynchronisation(640)
    quiet_ms = np.zeros(640, int)
    monkeypatch.setattr(task, "_run_quietly", lambda which, ms: np.add.at(quiet_ms, which, ms))
    task.reset(seed=0)
    phases, counts = np.unique(quiet_ms - BURN_IN_MS, return_counts=True)
    assert phases.tolist() == list(range(32))
    assert 5 < counts.min() <= counts.max() < 40  # 20 each, give or take 4 standard deviations


@every_level
def test_calm_needs_a_closed_loop(env_id):
    reference = load_environment_spec(env_id).reference
    alone = mean_returns(env_id, "no_stimulation")
    # No open loop reaches the solved score: no current, a constant current, or silence.
    assert reference.normalise(alone) < 0.35
    assert mean_returns(env_id, "constant") < alone + 0.01
    assert mean_returns(env_id, "silencing") < reference.random - 0.05
    assert reference.memoryless > alone + 0.04
    assert reference.oracle > alone + 0.25


def test_no_constant_current_helps_as_much_as_control():
    task = level(IDS[0], 200)
    alone = play(task, constant(0.0), seed=0).mean()
    for amplitude in (-1.0, -0.5, -0.2, -0.05, 0.05, 0.2, 0.5, 1.0):
        assert play(task, constant(amplitude), seed=0).mean() < alone + 0.005
    assert mean_returns(IDS[0], "memoryless") > alone + 0.04


def test_the_scene_shows_activity_and_stimulation():
    image = draw_desynchronisation([32, 8], [1.0, -1.0], healthy=8.0, length=2)
    places = (20, 60), (160, 180), (30, 180), (200, 60), (200, 180), (235, 180)
    colours = [tuple(image[place].tolist()) for place in places]
    assert colours == [INK, GOOD, PAPER, ACCENT, PAPER, ACCENT]
