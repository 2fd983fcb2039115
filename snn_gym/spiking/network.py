"""A spiking network: encoder, spiking layers, decoder and linear head."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from snn_gym.program.costs import READOUT, costs_of
from snn_gym.program.encoders import (
    INTEGRATED,
    INTENSITY_RANGE,
    NOTHING_SEEN,
    ConstantEncoder,
    ReceptiveFields,
    SpikeEncoder,
)
from snn_gym.program.program import UNCHOSEN, Encoder, Program
from snn_gym.spiking.assembly import (
    initialise_layers,
    make_layers,
    neuron_constants,
    todays_names,
)
from snn_gym.spiking.bookkeeping import BookkeepingModule
from snn_gym.spiking.decoders import make_decoder, make_head, read_head
from snn_gym.spiking.execution import (
    CompiledLayers,
    NetworkRun,
    Observer,
    in_order,
    join_state,
    make_breaks,
    next_noise,
    run_layers,
    seen_before,
)
from snn_gym.spiking.layer_neurons import Breaks, State, as_array, is_traced
from snn_gym.spiking.network_config import (
    LearnablePopulationParameters,
    NetworkConfig,
    NetworkEncoder,
)
from snn_gym.spiking.recording import AnyHead, Recording, layer_names, record_layers
from snn_gym.spiking.regulation import Regulation


# ---- encoder that is learned ---------------------------------------------------------------------
class _RegularSpikes(torch.autograd.Function):
    """Spikes (T, ...) of neurons without leak that integrate a constant activity (...)."""

    @staticmethod
    def forward(_ctx: Any, activity: Tensor, time_steps: int) -> Tensor:
        spikes = []
        voltage = torch.zeros_like(activity)
        for _ in range(time_steps):
            voltage += activity
            fired = voltage.clone().gt_(INTEGRATED)
            voltage.sub_(fired, alpha=INTEGRATED)
            spikes.append(fired)
        return torch.stack(spikes)

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0].sum(0), None


class LearnablePopulationEncoder(nn.Module):
    """Gaussian receptive fields with learned centres and widths, encoded as regular spikes.

    Neuron i of value s has the activity ``exp(-((s - centre_i) / width_i)^2 / 2)``, which it adds
    to its potential at every time step; above ``1 - ε = 0.999`` it fires and loses as much. The
    gradient of every spike with respect to the activity is taken as 1 (straight-through). Channels
    are ordered value by value.

    Tang et al. 2020, "Deep reinforcement learning with population-coded spiking neural network for
    continuous control", https://arxiv.org/abs/2010.09635, deterministic encoding. Differences:
    initial widths are in units of the centres' spacing, not of the observation; the gradient
    through the soft reset, a factor of ε, is left out.
    """

    def __init__(
        self, dimensions: int, parameters: LearnablePopulationParameters, value_range: float
    ) -> None:
        super().__init__()
        neurons = parameters.neurons_per_dimension
        centres = torch.linspace(-value_range, value_range, neurons)
        spacing = 2.0 * value_range / (neurons - 1)
        self.centres = nn.Parameter(centres.repeat(dimensions, 1))
        self.widths = nn.Parameter(torch.full((dimensions, neurons), parameters.width * spacing))

    def forward(self, values: Tensor, time_steps: int) -> Tensor:
        """Encode standardised observations (B, D) as differentiable spikes (T, B, D * n)."""
        # (B, D, 1) against (D, n) -> (B, D, n) -> (B, D * n)
        distance = (values.unsqueeze(-1) - self.centres) / self.widths
        activity = torch.exp(-0.5 * distance.square()).flatten(1)
        spikes: Tensor = _RegularSpikes.apply(activity, time_steps)
        return spikes


# ---- network -------------------------------------------------------------------------------------
class SpikingNetwork(BookkeepingModule):
    """A spiking network, feed-forward or with recurrent layers.

    Analogue input is standardised observations. The constant encoder feeds them as currents,
    encoders of intensities map [-3, 3] to [0, 1], and the learnable population initially spreads
    its centres over [-3, 3].

    The decoder ``population`` adds a spiking layer of the outputs' populations after the hidden
    ones; it is called ``output`` in recordings and is never recurrent.

    Args:
        config: Configuration of the network.
        input_size: Values of an observation, or channels of a spike train.
        output_size: Outputs of the linear head; None for no head, so that the output is the decoded
            activity of the last layer.
        population_outputs: Without a head, the number of outputs whose populations the decoder
            ``population`` needs; the caller makes the head with ``make_head``. Other decoders
            ignore it.
        spike_steps: Time steps of a spike-train input, which replaces encoder and ``time_steps``;
            None for analogue input.

    Raises:
        ValueError: The decoder is ``population`` and the number of outputs is unknown.
    """

    neuron_constants: Tensor
    noise_state: Tensor

    def __init__(
        self,
        config: NetworkConfig,
        input_size: int,
        output_size: int | None = None,
        *,
        population_outputs: int | None = None,
        spike_steps: int | None = None,
    ) -> None:
        super().__init__()
        if spike_steps is not None:
            config = replace(config, time_steps=spike_steps)
        assert config.encoder_parameters is not None  # filled in by NetworkConfig
        self.config = config
        self.spike_input = spike_input = spike_steps is not None
        self.input_size = input_size
        self._encoder: NetworkEncoder = config.encoder_parameters
        self._needs_noise = not spike_input and self._encoder.needs_noise
        self._keeps_intensity = not spike_input and self._encoder.needs_previous
        self.spikes_enter = spike_input or not isinstance(self._encoder, ConstantEncoder)
        """Whether the first layer receives spikes, not a constant current."""
        channels = input_size if spike_input else self._encoder.channels(input_size)
        if config.shapes and math.prod(config.shapes[0]) != channels:
            raise ValueError(
                f"convolutions read planes {config.shapes[0]}, which are "
                f"{math.prod(config.shapes[0])} values, and the first layer has {channels} inputs; "
                "use the encoder 'constant' and observations of planes=(C, H, W)"
            )
        outputs = population_outputs if output_size is None else output_size
        layers = make_layers(config, channels, outputs)
        self.layers = nn.ModuleList(layers)
        self._layers = layers  # a ModuleList forgets the type of its members
        readout, features = config.decoder_parameters, layers[-1].size
        self.decoder = make_decoder(readout, config.dt_ms, config.time_steps)
        self._state_sizes = [
            *(layer.size for layer in layers for _ in layer.state_names),
            *[features] * self.decoder.state_variables,
            *[input_size] * self._keeps_intensity,
        ]
        self.state_size = sum(self._state_sizes)
        """Numbers in the flat state of one sample."""
        self.compiled = self._compile()
        self.head = None if output_size is None else make_head(readout, features, output_size)
        self.output_size = features if output_size is None else output_size
        initialise_layers(config, layers, spike_input=spike_input)
        self.receptive_fields: LearnablePopulationEncoder | None = None
        if not spike_input and isinstance(self._encoder, LearnablePopulationParameters):
            fields = LearnablePopulationEncoder(input_size, self._encoder, INTENSITY_RANGE)
            self.receptive_fields = fields
        self.regulation = (
            None if config.regulation is None else Regulation(config.regulation, layers)
        )
        self.register_bookkeeping("neuron_constants", neuron_constants(config))
        if self._needs_noise:
            seed = torch.randint(2**31, (1,))
            self.register_bookkeeping("noise_state", torch.cat([seed, torch.zeros_like(seed)]))

    def rest_state(self, batch: int) -> Tensor:
        """Return the flat state (batch, state_size) at rest, which ``None`` stands for."""
        like = self._layers[0].linear.weight
        parts = [x for layer in self._layers for x in layer.initial_state(batch, like)]
        parts += [like.new_zeros(batch, size) for size in self._state_sizes[len(parts) :]]
        if self._keeps_intensity:
            parts[-1].fill_(NOTHING_SEEN)
        return torch.cat(parts, dim=1)

    def _compile(self) -> CompiledLayers | None:
        fusable = all(layer.fusable and not layer.learned for layer in self._layers)
        return CompiledLayers(self._layers, self.decoder.coefficients) if fusable else None

    def set_time_steps(self, time_steps: int) -> None:
        """Decide in another number of time steps from now on, with the same weights.

        Raises:
            ValueError: Spike trains give the number.
        """
        if self.spike_input:
            raise ValueError(
                f"spike trains of {self.config.time_steps} time steps can't be read in "
                f"{time_steps}; change the encoder of the environment"
            )
        config = self.config = replace(self.config, time_steps=time_steps)
        decoder = make_decoder(config.decoder_parameters, config.dt_ms, time_steps)
        self.decoder = decoder.to(self.neuron_constants.device)
        self.compiled = self._compile()
        self.neuron_constants.copy_(neuron_constants(config))

    def reseed_noise(self, seed: int) -> None:
        """Restart a noisy encoder's noise stream from ``seed``; ignored by other encoders."""
        if self._needs_noise:
            self.noise_state.copy_(torch.tensor([seed, 0]))

    def rollout_started(self) -> None:
        """Let a controller, if any, act on its measurements since it last acted."""
        if self.regulation is not None:
            self.regulation.rollout_started(self._layers)

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, *,
        optimised: bool = True, observer: Observer | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Decide on a batch; a noisy encoder draws new noise.

        Args:
            inputs: Observations (B, input_size), or spike trains (B, T, input_size) of 0 and 1;
                float.
            state: Flat state (B, state_size) carried from the previous decision; None for rest.
            optimised: Whether gradients of this pass optimise the network. If not, as where an
                actor learns through a critic, nothing is regulated.
            observer: Called once, with a ``NetworkRun`` of all layers, from which gradients can be
                taken too.

        Returns:
            Output (B, output_size) and the flat state (B, state_size) to carry to the next
            decision.

        Raises:
            ValueError: Inputs or state have a wrong shape.
        """
        self._check_inputs(inputs)
        compiled = self._served(inputs, state, optimised) if observer is None else None
        if compiled is None:
            return self._run(inputs, state, None, optimised=optimised, observer=observer)
        readout, seen = None, None
        if state is not None:
            _, readout, seen = self._split_state(state, inputs)
        signal, seen = self._encode(inputs, seen)
        decoded, layers = compiled.decoded(signal, state)
        output, readout = self.decoder.read(decoded, readout, self.head)
        return output, join_state([layers], readout, seen)

    def _served(
        self, inputs: Tensor, state: Tensor | None, optimised: bool
    ) -> CompiledLayers | None:
        """Return the compiled layers if they support this pass, else None."""
        if self.compiled is None or not self.compiled.serves(inputs):
            return None
        regulation = self.regulation if torch.is_grad_enabled() else None
        if regulation is None or regulation.is_idle:
            return self.compiled
        # A network without a rescue ends with the weights, to the bit, that it has unregulated.
        if regulation.waits and not self._needs_noise and optimised and self.training:
            self._await_rescue(regulation, inputs, state)
        return self.compiled if regulation.waits and not self._needs_noise else None

    @torch.no_grad()
    def _await_rescue(self, regulation: Regulation, inputs: Tensor, state: Tensor | None) -> None:
        """Run the layers once more, without gradients, and measure the rates of their neurons.

        If more than half of the neurons are silent or saturated, a rescue begins: the rates are
        penalised from the present pass on.
        """
        states, _, intensity = self._split_state(state, inputs)
        signal, _ = self._encode(inputs, intensity)
        runs = run_layers(self._layers, None, signal, states, self.config.time_steps, None)
        for index, (layer, run) in enumerate(zip(self._layers, runs, strict=True)):
            regulation.measure(index, layer, run)

    def sequence(
        self, inputs: Tensor, state: Tensor | None, starts: Tensor, *,
        recurrent_gradient: bool = True, optimised: bool = True, observer: Observer | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Decide at every environment step of a sequence, as ``forward`` does one after the other.

        Args:
            inputs: Observations (L, B, input_size), or spike trains (L, B, T, input_size); float.
            state: Flat state (B, state_size) from the previous environment step; None for rest.
            starts: (L, B) bool: an episode starts at that step, so that the state is reset before
                it.
            recurrent_gradient: Whether gradients pass back through recurrent spikes.
            optimised: As in ``forward``.
            observer: As in ``forward``.

        Returns:
            Outputs (L, B, output_size) and the flat state (B, state_size) to carry to the next
            step.

        Raises:
            ValueError: A shape is wrong.
        """
        self._check_inputs(inputs, ("environment steps", "batch"))
        breaks = make_breaks(inputs, starts, recurrent_gradient)
        return self._run(inputs, state, breaks, optimised=optimised, observer=observer)

    def record(
        self,
        inputs: Tensor,
        state: Tensor | None = None,
        *,
        head: AnyHead | None = None,
    ) -> Recording:
        """Record a forward pass, unregulated, without advancing the noise stream.

        Args:
            inputs: As in ``forward``.
            state: As in ``forward``.
            head: Head that reads this network, where the network has none; its synapses are the
                last layer's fan-out.
        """
        noise_state = self.noise_state.clone() if self._needs_noise else None
        runs = list[NetworkRun]()
        output, _ = self.forward(inputs, state, optimised=False, observer=runs.append)
        (run,) = runs
        if noise_state is not None:
            self.noise_state.copy_(noise_state)
        return self.recorded(run, output, self.any_head(head))

    def recorded(self, run: NetworkRun, output: Tensor, head: AnyHead | None) -> Recording:
        """Return the recording of a pass, also of another network with the same synapses."""
        signal = run.signal if self.spikes_enter else None
        layers = record_layers(self.config, self._layers, run.layers, signal, head)
        names = (*layer_names(self.config, self._layers), READOUT)
        costs = costs_of(
            self._program(head),
            as_array(run.signal),
            [as_array(x.spikes) for x in run.layers],
            names=names,
        )
        return Recording(tuple(layers), output, self.config.dt_ms, costs)

    def program(self, head: nn.Module | None = None) -> Program:
        """Return the network as a program, with copies of its numbers, up to its outputs.

        Args:
            head: Head that reads this network, where the network has none.
        """
        return self._program(head if self.head is None else self.head)

    def _program(self, head: nn.Module | None) -> Program:
        fields = self.receptive_fields
        encoder: Encoder = self._encoder if isinstance(self._encoder, SpikeEncoder) else "constant"
        if self.spike_input:
            encoder = "spikes"
        elif fields is not None:
            encoder = ReceptiveFields(as_array(fields.centres), as_array(fields.widths))
        return Program(
            inputs=self.input_size,
            encoder=encoder,
            normalisers=(),
            layers=tuple(x.program() for x in self._layers),
            time_steps=self.config.time_steps,
            rows_per_step=self.config.rows_per_step if self.spike_input else 1,
            decoder=self.decoder.program(),
            head=read_head(head, self._layers[-1].size),
            choice=UNCHOSEN,
        )

    def any_head(self, head: AnyHead | None = None) -> AnyHead | None:
        """Return the network's head, or else the given one, which a policy has."""
        own = self.head
        assert own is None or isinstance(own, AnyHead)  # as make_head made it
        return head if own is None else own

    def _run(
        self,
        inputs: Tensor,
        state: Tensor | None,
        breaks: Breaks | None,
        *,
        optimised: bool,
        observer: Observer | None,
    ) -> tuple[Tensor, Tensor]:
        """Decide once, or with ``breaks`` at every environment step of a sequence."""
        first = inputs if breaks is None else inputs[0]
        states, readout_state, intensity = self._split_state(state, first)
        samples = inputs if breaks is None else inputs.flatten(0, 1)
        signal, intensity = self._encode(samples, intensity, breaks)
        watching = None
        if optimised and self.training and torch.is_grad_enabled():
            watching = self.regulation
        source = signal if breaks is None else in_order(signal, len(breaks.starts))
        runs = run_layers(self._layers, watching, source, states, self.config.time_steps, breaks)
        output, readout = self.decoder(runs[-1].spikes, readout_state, self.head, breaks)
        last = None if intensity is None else intensity[-len(first) :]
        if observer is not None:
            observer(NetworkRun(signal, runs))
        return output, join_state([x for run in runs for x in run.final], readout, last)

    def _check_inputs(self, inputs: Tensor, axes: tuple[str, ...] = ("batch",)) -> None:
        steps = (self.config.time_steps,) if self.spike_input else ()
        expected = (*steps, self.input_size)
        if inputs.shape[len(axes) :] != expected:
            raise ValueError(
                f"inputs must have shape ({', '.join(map(str, axes + expected))}), got "
                f"{tuple(inputs.shape)}; reshape them, or build the network for them"
            )

    def _encode(
        self, inputs: Tensor, previous: Tensor | None, breaks: Breaks | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the first layer's input (T or 1, L * B, channels), and the intensity to carry.

        The intensity is (L * B, D), None for encoders that compare with no previous one.
        """
        if self.spike_input:
            return inputs.transpose(0, 1), None
        encoder, steps = self._encoder, self.config.time_steps
        if isinstance(encoder, ConstantEncoder):
            return inputs.unsqueeze(0), None
        if self.receptive_fields is not None:
            return self.receptive_fields(inputs, steps), None
        assert isinstance(encoder, SpikeEncoder)  # the two others are served above
        if is_traced():
            raise ValueError(
                f"encoder {self.config.encoder!r} is computed outside of PyTorch, and a trace "
                "would freeze its spikes; export a network of encoder 'constant' or "
                "'learnable_population', or one that observes spike trains"
            )
        intensity = inputs / (2.0 * INTENSITY_RANGE) + 0.5
        if encoder.needs_previous:
            intensity = intensity.detach().clamp(0.0, 1.0)
            previous = seen_before(intensity, previous, breaks)
            return encoder.encode(intensity, steps, previous=previous), intensity
        noise = None
        if encoder.needs_noise:
            rounds = 1 if breaks is None else len(breaks.starts)
            shape = (steps, len(inputs) // rounds, encoder.channels(self.input_size))
            noise = next_noise(self.noise_state, shape, rounds)
        return encoder.encode(intensity, steps, noise=noise), None

    def _split_state(
        self, state: Tensor | None, inputs: Tensor
    ) -> tuple[list[State], Tensor | None, Tensor | None]:
        """Return each layer's state, the decoder's (S, B, N) and the intensity, None if absent."""
        batch = inputs.shape[0]
        if state is None:
            return [layer.initial_state(batch, inputs) for layer in self._layers], None, None
        if state.shape != (batch, self.state_size):
            raise ValueError(
                f"state must have shape ({batch}, {self.state_size}), got {tuple(state.shape)}; "
                "carry the one that this network returned, or None"
            )
        parts = list(torch.split(state, self._state_sizes, dim=1))
        intensity = parts.pop() if self._keeps_intensity else None
        states = [tuple(parts.pop(0) for _ in layer.state_names) for layer in self._layers]
        return states, torch.stack(parts) if parts else None, intensity

    def _load_from_state_dict(self, state_dict: dict[str, Any], *args: Any) -> None:
        renamed = todays_names(state_dict)
        state_dict.clear()
        state_dict.update(renamed)
        super()._load_from_state_dict(state_dict, *args)

    def load_bookkeeping(self, saved: dict[str, Tensor], prefix: str, errors: list[str]) -> None:
        """Load saved tensors; append to ``errors`` if they have other neuron constants."""
        own = self.neuron_constants
        numbers = saved.pop("neuron_constants", own)
        if not torch.equal(numbers.to(own), own):
            errors.append(
                f"{prefix}neuron_constants: saved under other dynamics {numbers.tolist()}, this "
                f"network has {own.tolist()} (dt_ms, time_steps, surrogate_slope, then the "
                "parameters of neuron and decoder); build it from the same NetworkConfig"
            )
        super().load_bookkeeping(saved, prefix, errors)
