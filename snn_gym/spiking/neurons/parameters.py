"""Typed parameters of the registered neurons, in milliseconds.

They hold numbers only, so that reading a configuration loads neither torch nor Norse.
``snn_gym.spiking.neurons.registered`` turns them into Norse's parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from snn_gym.config import Config, NonNegative, Positive


@dataclass(frozen=True)
class NeuronParameters(Config):
    """Base of every neuron's parameters.

    A neuron's own are a frozen dataclass of numbers with defaults, ``v_threshold`` and ``v_reset``
    among them; time constants are named ``tau_..._ms``.
    """

    learnable_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that ``NetworkConfig.learnable`` can name. A registered neuron of one's own has none:
    it makes an ``nn.Parameter`` of what it learns."""

    if TYPE_CHECKING:
        # Fields of the subclasses. Declared as fields here they would come first there.
        @property
        def v_threshold(self) -> float:
            """Potential above which the neuron fires."""
            raise NotImplementedError

        @property
        def v_reset(self) -> float:
            """Potential after a spike."""
            raise NotImplementedError


@dataclass(frozen=True)
class _BuiltInParameters(NeuronParameters):
    """Parameters of a neuron that rests at ``v_leak``, or at ``v_reset`` if it does not leak."""

    def _check(self) -> None:
        v_threshold, v_reset = self.v_threshold, self.v_reset
        v_leak = getattr(self, "v_leak", v_reset)
        if v_leak >= v_threshold:
            raise ValueError(
                f"v_leak must be below v_threshold, or the neuron fires without input; "
                f"got v_leak={v_leak}, v_threshold={v_threshold}"
            )
        if v_reset >= v_threshold:
            raise ValueError(
                f"v_reset must be below v_threshold, or the neuron never stops firing; "
                f"got v_reset={v_reset}, v_threshold={v_threshold}"
            )


@dataclass(frozen=True)
class LIFBoxParameters(_BuiltInParameters):
    """Leaky integrate-and-fire without synaptic current: ``tau_mem dv/dt = v_leak - v + x``."""

    learnable_fields = ("tau_mem_ms", "v_threshold")

    tau_mem_ms: Positive = 2.0
    """Membrane time constant (ms)."""
    v_threshold: float = 1.0
    """Potential above which the neuron fires."""
    v_reset: float = 0.0
    """Potential after a spike."""
    v_leak: float = 0.0
    """Resting potential."""


@dataclass(frozen=True)
class LIFParameters(_BuiltInParameters):
    """Current-based leaky integrate-and-fire.

    ``tau_mem dv/dt = v_leak - v + i`` and ``tau_syn di/dt = -i``; an input jumps the current.
    """

    learnable_fields = ("tau_mem_ms", "tau_syn_ms", "v_threshold")

    tau_mem_ms: Positive = 2.0
    """Membrane time constant (ms)."""
    tau_syn_ms: Positive = 2.0
    """Time constant of the synaptic current (ms)."""
    v_threshold: float = 1.0
    """Potential above which the neuron fires."""
    v_reset: float = 0.0
    """Potential after a spike."""
    v_leak: float = 0.0
    """Resting potential."""


@dataclass(frozen=True)
class IAFParameters(_BuiltInParameters):
    """Integrate-and-fire without leak: every time step adds its input to ``v``."""

    learnable_fields = ("v_threshold",)

    v_threshold: float = 1.0
    """Potential above which the neuron fires."""
    v_reset: float = 0.0
    """Potential after a spike."""


@dataclass(frozen=True)
class SoftIAFParameters(NeuronParameters):
    """Integrate-and-fire whose spike takes the threshold off the potential, and keeps the rest."""

    v_threshold: Positive = 1.0
    """Potential above which the neuron fires, and what a spike takes off."""
    v_start: float = 0.5
    """Potential at the start."""

    @property
    def v_reset(self) -> float:
        """Potential that a spike leaves of one that was at the threshold."""
        return 0.0


@dataclass(frozen=True)
class ALIFParameters(_BuiltInParameters):
    """Adaptive leaky integrate-and-fire: Norse's LSNN, whose threshold ``b`` rises with each spike.

    ``tau_mem dv/dt = v_leak - v + i``, ``tau_syn di/dt = -i`` and ``tau_adapt db/dt = v_threshold -
    b``; the neuron fires where ``v > b``, and a spike raises ``b`` by ``beta``. As in Norse, an
    input jumps the current after the potential has moved, and so is felt one time step late.

    Bellec et al. 2018, https://arxiv.org/abs/1803.09574, have ``beta (1 - exp(-dt / tau_adapt))``
    where Norse and we have ``beta``: their 1.8 is 0.09 at the defaults below.
    """

    learnable_fields = ("tau_mem_ms", "tau_syn_ms", "tau_adapt_ms", "beta", "v_threshold")

    tau_mem_ms: Positive = 2.0
    """Membrane time constant (ms)."""
    tau_syn_ms: Positive = 2.0
    """Time constant of the synaptic current (ms)."""
    tau_adapt_ms: Positive = 20.0
    """Time constant of the threshold's return to rest (ms)."""
    beta: NonNegative = 0.1
    """Rise of the threshold by one spike."""
    v_threshold: float = 1.0
    """Threshold at rest."""
    v_reset: float = 0.0
    """Potential after a spike."""
    v_leak: float = 0.0
    """Resting potential."""


NEURON_PARAMETERS: dict[str, type[NeuronParameters]] = {
    "lif_box": LIFBoxParameters,
    "lif": LIFParameters,
    "iaf": IAFParameters,
    "alif": ALIFParameters,
    "iaf_soft": SoftIAFParameters,
}
"""Parameter type of each registered neuron; ``register_neuron`` adds to it."""
