"""Desynchronisation: calm a population of synchronous neurons with little stimulation."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym._base.config import Count, NonNegative, Positive, Range
from snn_gym.envs.batch import Infos, Rows, single_env
from snn_gym.envs.native.base import SpikeTask, SpikeTaskSettings
from snn_gym.envs.rendering import ACCENT, FAINT, GOOD, INK, WIDTH, blank, rectangle

# ---- kernel --------------------------------------------------------------------------------------
# Voltages are in thresholds above rest, currents in thresholds per membrane resistance. Synapses
# are all to all, so that a population's filtered spikes are one number. No fused multiply-adds and
# no reordered sums: a network of a batch equals the same network alone, bit for bit.
NEURONS = 40
EXCITATORY = 32
"""Number of excitatory neurons, the first ones; all others are inhibitory."""
MEMBRANE_MS = 20.0
EXCITATION_MS = 5.4
INHIBITION_MS = 9.75
REFRACTORY_MS = 2
# Mean external currents; only those of the excitatory neurons would cause spikes.
EXCITATORY_DRIVE = 1.79
INHIBITORY_DRIVE = 0.68
# Weights from excitatory to inhibitory neurons and back, at coupling 1.
TO_INHIBITORY = 4.8
FROM_INHIBITORY = 2.17
STIMULATION = 1.0
"""Current of a full stimulation into each excitatory neuron."""

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_MIDDLE_BYTE = np.float32(127.5)


@dataclass
class BurstingNeurons:
    """State of B networks, which ``run_network`` moves on in place."""

    voltage: NDArray[np.float32]  # (B, 40), thresholds
    waiting: NDArray[np.int8]  # (B, 40), time steps until a neuron can charge again
    excitation: NDArray[np.float32]  # (B,), filtered spikes of the excitatory neurons
    inhibition: NDArray[np.float32]  # (B,), filtered spikes of the inhibitory neurons
    drive: NDArray[np.float32]  # (B, 40), external current

    @classmethod
    def silent(cls, num_envs: int) -> BurstingNeurons:
        """Return networks at rest without drive."""
        shape = (num_envs, NEURONS)
        return cls(
            voltage=np.zeros(shape, np.float32),
            waiting=np.zeros(shape, np.int8),
            excitation=np.zeros(num_envs, np.float32),
            inhibition=np.zeros(num_envs, np.float32),
            drive=np.zeros(shape, np.float32),
        )

    def start(
        self,
        rows: NDArray[np.int64],
        voltage: NDArray[np.float64],
        drive_factor: NDArray[np.float64],
    ) -> None:
        """Set some networks to voltages and drive factors (n, 40), without synaptic currents."""
        self.voltage[rows] = voltage
        self.waiting[rows] = 0
        self.excitation[rows] = 0.0
        self.inhibition[rows] = 0.0
        drive = np.full(NEURONS, INHIBITORY_DRIVE)
        drive[:EXCITATORY] = EXCITATORY_DRIVE
        self.drive[rows] = drive * drive_factor

    def copy(self) -> BurstingNeurons:
        """Return an independent copy."""
        return copy.deepcopy(self)


def run_network(
    network: BurstingNeurons,
    rows: NDArray[np.int64],
    amplitude: NDArray[np.float64],
    noise: NDArray[np.uint8],
    noise_size: float,
    coupling: float,
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Run networks ``rows`` (n,) in place; return spikes (n, T * 40) and excitatory counts (n,).

    ``amplitude`` (n,) is the stimulation in [-1, 1]. ``noise`` is (n, T * 40) bytes, time steps
    outside, neurons inside; the byte 255 kicks a voltage by ``noise_size``, 0 by its negative.
    ``coupling`` multiplies all weights.
    """
    spikes = np.empty(noise.shape, np.bool_)
    counts = np.empty(len(rows), np.int64)
    excitation_decay = np.exp(-1.0 / EXCITATION_MS)
    inhibition_decay = np.exp(-1.0 / INHIBITION_MS)
    constants = np.array(
        [
            1.0 / MEMBRANE_MS,
            noise_size / 127.5,
            coupling * TO_INHIBITORY,
            coupling * FROM_INHIBITORY,
            excitation_decay,
            inhibition_decay,
            # A spike of one of n neurons moves their filtered sum by ms / n in total.
            (1.0 - excitation_decay) * EXCITATION_MS / EXCITATORY,
            (1.0 - inhibition_decay) * INHIBITION_MS / (NEURONS - EXCITATORY),
        ],
        np.float32,
    )
    _run(
        tuple(vars(network).values()),
        rows,
        (STIMULATION * amplitude).astype(np.float32),
        np.ascontiguousarray(noise),
        constants,
        spikes,
        counts,
    )
    return spikes, counts


@njit(cache=True, error_model="numpy")
def _run(
    state: Any, rows: Any, current: Any, noise: Any, constants: Any, spikes: Any, counts: Any
) -> None:
    """Run networks ``rows``; write ``state`` (fields of BurstingNeurons), spikes and counts."""
    voltage, waiting, excitation, inhibition, drive = state
    leak, kick = constants[0], constants[1]
    for n in range(rows.size):
        b = rows[n]
        v, wait, force, kicks, fired = voltage[b], waiting[b], drive[b], noise[n], spikes[n]
        total = 0
        for t in range(noise.shape[1] // NEURONS):
            start = t * NEURONS
            to_excitatory = current[n] - constants[3] * inhibition[b]
            to_inhibitory = constants[2] * excitation[b]
            for i in range(NEURONS):
                shared = to_excitatory if i < EXCITATORY else to_inhibitory
                noisy = kick * (np.float32(kicks[start + i]) - _MIDDLE_BYTE)
                charged = v[i] + leak * (force[i] + shared - v[i]) + noisy
                level = charged if wait[i] == 0 else v[i]
                fires = level >= _ONE
                v[i] = _ZERO if fires else level
                wait[i] = REFRACTORY_MS if fires else max(wait[i] - 1, 0)
                fired[start + i] = fires
            volley, answer = 0, 0
            for i in range(EXCITATORY):
                volley += fired[start + i]
            for i in range(EXCITATORY, NEURONS):
                answer += fired[start + i]
            excitation[b] = constants[4] * excitation[b] + constants[6] * np.float32(volley)
            inhibition[b] = constants[5] * inhibition[b] + constants[7] * np.float32(answer)
            total += volley
        counts[n] = total


# ---- task ----------------------------------------------------------------------------------------
BURN_IN_MS = 40
"""Least time without noise before an episode (ms)."""
_PHASE_BITS = (16, 8, 4, 2, 1)
PHASES_MS = 2 * _PHASE_BITS[0]
"""About a cycle: the time on top is a whole number below it, uniformly drawn (ms)."""
START_SPREAD = 0.1
"""Range of the voltages at the start of the network (thresholds)."""
_TRACE_LENGTH = 32


@dataclass(frozen=True)
class DesynchronisationSettings(SpikeTaskSettings):
    """Coupling and noise of the neurons, observed neurons, healthy rate and cost of energy."""

    channels: ClassVar[int] = NEURONS
    start_size: ClassVar[int] = 1 + 2 * NEURONS
    """Uniform numbers for a start: the phase, and each neuron's drive and deviation."""
    coupling: NonNegative = 1.0
    """Factor of all synaptic weights."""
    heterogeneity: Annotated[float, Range(at_least=0, below=1)] = 0.08
    """Largest deviation of a neuron's drive from the mean, as a share of it."""
    noise: NonNegative = 0.03
    """Largest kick that noise gives to a voltage in a time step (thresholds)."""
    observed: Annotated[int, Range(at_least=1, at_most=NEURONS)] = 40
    """Neurons whose spikes are seen, spread evenly; the other channels are silent."""
    healthy_rate_hz: Positive = 25.0
    """Rate of the excitatory neurons that counts as calm (Hz)."""
    energy_cost: NonNegative = 0.2
    """Cost of a full stimulation in every step, on the scale on which full calm earns 1."""
    episode_steps: Count = 40
    """Environment steps of an episode."""

    @property
    def healthy_count(self) -> float:
        """Spikes of the excitatory neurons in an environment step that count as calm."""
        return self.healthy_rate_hz / 1000.0 * self.time_steps * EXCITATORY

    @property
    def noise_size(self) -> int:
        """Bytes of noise for the dynamics: one for each neuron and time step."""
        return self.time_steps * NEURONS


class Desynchronisation(SpikeTask):
    """Task: keep neurons that fire in bursts at a healthy rate by little, well-timed stimulation.

    32 excitatory and 8 inhibitory leaky integrate-and-fire neurons; the inhibitory ones answer each
    volley of the excitatory ones, which keeps them in step. The action is a current into all
    excitatory neurons during the next environment step. The reward of a step is
    ``(1 - min(1, ((n - h) / h)^2) - energy_cost * |action|) / episode_steps`` for n spikes of the
    excitatory neurons and the healthy number h: silence is as bad as a burst.

    After Krylov, Dylov and Rosenblum, "Reinforcement learning for suppression of collective
    activity in oscillatory ensembles", Chaos 30 (2020), https://doi.org/10.1063/1.5128909. They
    observe the mean field of Bonhoeffer-van der Pol or Hindmarsh-Rose oscillators, with the reward
    ``-(x - <x>)^2 - 2 |action|``; here neurons are observed by their spikes, and the deviation is
    counted in spikes.
    """

    settings_class = DesynchronisationSettings
    settings: DesynchronisationSettings
    channels_per_band = NEURONS - EXCITATORY

    def _make_action_space(self) -> gym.Space[Any]:
        return gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def _allocate(self, num_envs: int) -> None:
        settings = self.settings
        self.network = BurstingNeurons.silent(num_envs)
        self._amplitude = np.zeros(num_envs)
        self._count = np.zeros(num_envs, np.int64)
        # The latest counts and amplitudes, newest last, for pictures.
        self._trace = np.zeros((num_envs, _TRACE_LENGTH, 2))
        self._fired = np.zeros((num_envs, self._spike_bytes), np.bool_)
        observed = np.arange(settings.observed) * NEURONS // settings.observed
        shown = np.zeros((self.time_steps, NEURONS), np.bool_)
        shown[:, observed] = True
        self._shown = shown.reshape(-1)
        self._all = np.arange(num_envs)

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        indices = self._all[rows]
        self.network.start(
            indices,
            voltage=START_SPREAD * numbers[:, 1 : 1 + NEURONS],
            drive_factor=1.0
            + self.settings.heterogeneity * (2.0 * numbers[:, 1 + NEURONS :] - 1.0),
        )
        self._run_quietly(indices, BURN_IN_MS)
        more = (numbers[:, 0] * PHASES_MS).astype(np.int64)
        # In powers of two, so that networks with different phases run together.
        for bit in _PHASE_BITS:
            self._run_quietly(indices[(more & bit) > 0], bit)
        self._amplitude[rows] = 0.0
        self._trace[rows] = 0.0

    def _run_quietly(self, indices: NDArray[np.int64], duration_ms: int) -> None:
        """Run some networks for some time without noise, stimulation or recorded spikes."""
        noise = np.zeros((len(indices), duration_ms * NEURONS), np.uint8)
        run_network(
            self.network, indices, np.zeros(len(indices)), noise, 0.0, self.settings.coupling
        )

    def _move(
        self, actions: NDArray[Any], noise: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        settings = self.settings
        self._amplitude = np.clip(actions[:, 0].astype(np.float64), -1.0, 1.0)
        self._fired, self._count = run_network(
            self.network, self._all, self._amplitude, noise, settings.noise, settings.coupling
        )
        calm = self.calm(self._count)
        rewards = (calm - settings.energy_cost * np.abs(self._amplitude)) / settings.episode_steps
        return rewards, self._steps + 1 >= settings.episode_steps

    def _emit(self, rows: Rows, noise: NDArray[np.uint8], spikes: NDArray[np.bool_]) -> None:
        settings = self.settings
        indices = self._all[rows]
        if not len(indices):
            return
        # Environments are observed together either at their starts or after a step.
        if self._steps[indices[0]] == 0:
            fired, count = run_network(
                self.network,
                indices,
                np.zeros(len(indices)),
                noise,
                settings.noise,
                settings.coupling,
            )
            self._count[rows] = count
        else:
            fired = self._fired
        np.logical_and(fired, self._shown, out=spikes)
        if self.render_mode is not None:
            self._trace[rows] = np.roll(self._trace[rows], -1, axis=1)
            self._trace[rows, -1, 0] = self._count[rows]
            self._trace[rows, -1, 1] = self._amplitude[rows]

    def calm(self, count: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the calm of steps by excitatory spikes (n,): 1 healthy, 0 silent or double."""
        deviation = count / self.settings.healthy_count - 1.0
        calm: NDArray[np.float64] = 1.0 - np.minimum(1.0, deviation * deviation)
        return calm

    def _info(self) -> Infos:
        return {"count": self._count, "inhibition": self.network.inhibition.astype(np.float64)}

    def _scene(self, index: int) -> NDArray[np.uint8]:
        passed = min(int(self._steps[index]) + 1, _TRACE_LENGTH)
        counts, amplitudes = self._trace[index, _TRACE_LENGTH - passed :].T
        return draw_desynchronisation(
            counts.tolist(), amplitudes.tolist(), self.settings.healthy_count, _TRACE_LENGTH
        )


DesynchronisationEnv = single_env(Desynchronisation)


# ---- image ---------------------------------------------------------------------------------------
MARGIN = 12.0
BASE_ROW = 176.0
STIMULATION_ROW = 218.0
_FULL_COUNT = 32.0
_ACTIVITY_HEIGHT = BASE_ROW - MARGIN
_STIMULATION_HEIGHT = 26.0


def draw_desynchronisation(
    counts: Sequence[float], amplitudes: Sequence[float], healthy: float, length: int
) -> NDArray[np.uint8]:
    """Draw counts and stimulations of the latest environment steps, newest at the right.

    The pale band marks calm above one half, the green line ``healthy``. Bars of excitatory spikes
    are green within the band, else blue; bars of stimulation are red, upwards if positive. The
    picture has room for ``length`` steps.
    """
    image = blank()
    width = (WIDTH - 2 * MARGIN) / length
    half = healthy * 0.5**0.5
    scale = _ACTIVITY_HEIGHT / _FULL_COUNT
    top = BASE_ROW - (healthy + half) * scale
    rectangle(image, top, MARGIN, 2 * half * scale, WIDTH - 2 * MARGIN, FAINT)
    for place, (count, amplitude) in enumerate(zip(counts, amplitudes, strict=True)):
        left = WIDTH - MARGIN - (len(counts) - place) * width
        height = min(count, _FULL_COUNT) * scale
        colour = GOOD if abs(count - healthy) <= half else INK
        rectangle(image, BASE_ROW - height, left + 1, height, width - 1, colour)
        size = abs(amplitude) * _STIMULATION_HEIGHT
        up = STIMULATION_ROW - size if amplitude > 0 else STIMULATION_ROW
        rectangle(image, up, left + 1, size, width - 1, ACCENT)
    row = BASE_ROW - healthy * scale
    rectangle(image, row, MARGIN, 1, WIDTH - 2 * MARGIN, GOOD)
    for row in (BASE_ROW, STIMULATION_ROW):
        rectangle(image, row, MARGIN, 1, WIDTH - 2 * MARGIN, INK)
    return image
