"""A spiking network: encoder, spiking layers, decoder and linear head."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from snn_gym.spiking.acting import last_spikes
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.decoders import make_decoder
from snn_gym.spiking.encoders import ConstantEncoder, SpikeEncoder
from snn_gym.spiking.fused import supports
from snn_gym.spiking.initialisation import initialise
from snn_gym.spiking.layers import SpikingLayer, make_layers
from snn_gym.spiking.neurons import Neuron, State, make_neuron
from snn_gym.spiking.norse_cells import CellFactory
from snn_gym.spiking.recording import LayerRecording, Recording

# Standardised observations in [-3, 3] span a spike encoder's intensities in [0, 1].
INTENSITY_RANGE = 3.0


class SpikingNetwork(nn.Module):
    """A feed-forward spiking network.

    Analogue input is standardised observations: the constant encoder feeds them as currents, and
    spike encoders map [-3, 3] to intensities in [0, 1].

    Args:
        config: What the network is made of.
        input_size: Values of an observation, or channels of a spike train.
        output_size: Outputs of the linear head; None for no head, and the decoded activity of
            the last layer is the output.
        spike_steps: Time steps of a spike-train input, which no encoder touches and which sets
            the number of time steps; None for analogue input.
        cell_factory: For research: makes any Norse cell from a layer's size, in place of the
            configured neuron. Runs by Norse stepping.
    """

    dynamics: Tensor
    noise_state: Tensor

    def __init__(
        self,
        config: NetworkConfig,
        input_size: int,
        output_size: int | None = None,
        *,
        spike_steps: int | None = None,
        cell_factory: CellFactory | None = None,
    ) -> None:
        super().__init__()
        if spike_steps is not None:
            config = replace(config, time_steps=spike_steps)
        self.config = config
        self.spike_input = spike_steps is not None
        self.input_size = input_size
        channels = input_size if self.spike_input else self._encoder.channels(input_size)
        self.layers = nn.ModuleList(make_layers(config, channels, cell_factory))
        self._fusable = cell_factory is None and config.backend != "norse"
        self.decoder = make_decoder(config)
        self.head = None if output_size is None else nn.Linear(config.hidden_sizes[-1], output_size)
        self.output_size = config.hidden_sizes[-1] if output_size is None else output_size
        initialise(
            [layer.linear for layer in self._layers],
            make_neuron(config),
            config,
            spike_input=self.spike_input,
        )
        # Numbers that shape the dynamics travel with the weights: Norse keeps them out of
        # state_dict, and weights would load silently under other time constants.
        self.register_buffer("dynamics", _dynamics_numbers(config))
        if self._needs_noise:
            seed = torch.randint(2**31, (1,))
            self.register_buffer("noise_state", torch.cat([seed, torch.zeros_like(seed)]))

    @property
    def _layers(self) -> list[SpikingLayer]:
        # A ModuleList forgets the type of its members.
        return cast(list[SpikingLayer], list(self.layers))

    @property
    def _encoder(self) -> ConstantEncoder | SpikeEncoder:
        assert self.config.encoder_parameters is not None  # filled in by NetworkConfig
        return self.config.encoder_parameters

    @property
    def _needs_noise(self) -> bool:
        return not self.spike_input and self._encoder.needs_noise

    @property
    def state_size(self) -> int:
        """Numbers in the flat state of one sample."""
        return sum(self._state_sizes)

    @property
    def _state_sizes(self) -> list[int]:
        sizes = [layer.size for layer in self._layers for _ in layer.dynamics.state_names]
        return sizes + [self.config.hidden_sizes[-1]] * self.decoder.state_variables

    def reseed_noise(self, seed: int) -> None:
        """Restart the encoder's noise stream; without a noisy encoder nothing happens."""
        if self._needs_noise:
            self.noise_state.copy_(torch.tensor([seed, 0]))

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Decide on a batch.

        Args:
            inputs: Observations (B, input_size), or spike trains (B, T, input_size) of 0 and 1;
                float.
            state: Flat state (B, state_size) carried from the decision before, or None to start
                from rest.

        Returns:
            Output (B, output_size) and the flat state (B, state_size) to carry on.

        Raises:
            ValueError: Inputs or state have a wrong shape.
        """
        output, final, _ = self._run(inputs, state)
        return output, final

    def decide(self, inputs: Tensor) -> Tensor:
        """Return the output (B, output_size) for inputs as in ``forward``, from rest."""
        if torch.is_grad_enabled() or not self._fusable or not supports(inputs):
            return self._run(inputs, None)[0]
        layers = [(layer.linear, cast(Neuron, layer.dynamics)) for layer in self._layers]
        spikes = last_spikes(self._encode(inputs), layers, self.config.time_steps)
        output: Tensor = self.decoder(spikes, None)[0]
        return output if self.head is None else self.head(output)

    def record(
        self, inputs: Tensor, state: Tensor | None = None, *, readout_size: int | None = None
    ) -> Recording:
        """Record a forward pass, without changing what later passes give.

        Args:
            inputs: As in ``forward``.
            state: As in ``forward``.
            readout_size: Outputs of the head that reads this network, where the network has none
                of its own; counted as the last layer's fan-out.
        """
        noise_state = self.noise_state.clone() if self._needs_noise else None
        output, _, traces = self._run(inputs, state)
        if noise_state is not None:
            self.noise_state.copy_(noise_state)
        source, *layer_traces = traces
        readout = self.output_size if self.head is not None else (readout_size or 0)
        fan_outs = [*self.config.hidden_sizes[1:], readout]
        layers = [
            LayerRecording(f"hidden_{k + 1}", spikes, voltages, fan_out, layer.dynamics.v_threshold)
            for k, ((spikes, voltages), fan_out, layer) in enumerate(
                zip(layer_traces, fan_outs, self._layers, strict=True)
            )
        ]
        macs = {}
        if self.spike_input or isinstance(self._encoder, SpikeEncoder):
            layers.insert(0, LayerRecording("input", source[0], None, self.config.hidden_sizes[0]))
        else:
            macs["hidden_1"] = self.input_size * self.config.hidden_sizes[0]
        return Recording(tuple(layers), output, self.config.dt_ms, macs)

    def _run(
        self, inputs: Tensor, state: Tensor | None
    ) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        signal = self._encode(inputs)
        batch = signal.shape[1]
        states, readout_state = self._split_state(state, signal)
        traces, final = [(signal, signal)], []
        for layer, layer_state in zip(self._layers, states, strict=True):
            signal, voltages, new_state = layer(signal, layer_state, self.config.time_steps)
            traces.append((signal, voltages))
            final.extend(new_state)
        output, readout = self.decoder(signal, readout_state)
        if self.head is not None:
            output = self.head(output)
        # (S, B, N) -> S tensors (B, N), beside the layers' variables
        final.extend(readout)
        return output, torch.cat(final, dim=1).view(batch, -1), traces

    def _encode(self, inputs: Tensor) -> Tensor:
        """Return the first layer's input, (T, B, channels) or (1, B, channels)."""
        expected: tuple[int, ...] = (self.input_size,)
        if self.spike_input:
            expected = (self.config.time_steps, self.input_size)
        if inputs.shape[1:] != expected:
            raise ValueError(
                f"inputs must have shape (batch, {', '.join(map(str, expected))}), "
                f"got {tuple(inputs.shape)}"
            )
        if self.spike_input:
            return inputs.transpose(0, 1)
        encoder = self._encoder
        if isinstance(encoder, ConstantEncoder):
            return inputs.unsqueeze(0)
        intensity = inputs / (2.0 * INTENSITY_RANGE) + 0.5
        steps = self.config.time_steps
        noise = None
        if encoder.needs_noise:
            shape = (steps, inputs.shape[0], encoder.channels(self.input_size))
            noise = self._next_noise(shape)
        return encoder.encode(intensity, steps, noise=noise)

    def _next_noise(self, shape: tuple[int, ...]) -> Tensor:
        # Seed and position are two numbers in the state_dict, so a saved network continues its
        # noise where it stopped.
        seed, position = self.noise_state.tolist()
        generator = torch.Generator().manual_seed((seed << 32) ^ position)
        self.noise_state[1] += 1
        return torch.rand(shape, generator=generator)

    def _split_state(
        self, state: Tensor | None, signal: Tensor
    ) -> tuple[list[State], Tensor | None]:
        batch = signal.shape[1]
        if state is None:
            return [x.dynamics.initial_state(batch, x.size, signal) for x in self._layers], None
        if state.shape != (batch, self.state_size):
            raise ValueError(
                f"state must have shape ({batch}, {self.state_size}), got {tuple(state.shape)}"
            )
        parts = list(torch.split(state, self._state_sizes, dim=1))
        states: list[State] = []
        for layer in self._layers:
            count = len(layer.dynamics.state_names)
            states.append(tuple(parts[:count]))
            parts = parts[count:]
        return states, torch.stack(parts) if parts else None

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        saved = state_dict.get(f"{prefix}dynamics")
        if saved is not None and not torch.equal(saved.to(self.dynamics), self.dynamics):
            error_msgs: list[str] = args[-1]
            error_msgs.append(
                f"{prefix}dynamics: saved under other dynamics {saved.tolist()}, this network has "
                f"{self.dynamics.tolist()} (dt_ms, time_steps, surrogate_slope, then the "
                "parameters of neuron and decoder); build it from the same NetworkConfig"
            )
        super()._load_from_state_dict(state_dict, prefix, *args)


def _dynamics_numbers(config: NetworkConfig) -> Tensor:
    numbers = [config.dt_ms, config.time_steps, config.surrogate_slope]
    for parameters in (config.neuron_parameters, config.decoder_parameters):
        numbers.extend(astuple(parameters))  # type: ignore[arg-type]
    return torch.tensor(numbers, dtype=torch.float64)
