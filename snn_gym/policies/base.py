"""``SpikingPolicy``, from which every policy derives: arguments, checks, acting and recording."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from typing_extensions import override

from snn_gym._base.lazy import collector_paused
from snn_gym.policies.acting import (
    CompiledActing,
    Decider,
    as_taken,
    choice_of,
    read_program,
    rows_of,
)
from snn_gym.policies.networks import (
    CriticKey,
    CriticSizes,
    NetworkArgument,
    NetworkBuilder,
    network_config,
    read_net_arch,
)
from snn_gym.policies.observations import (
    check_extractor_arguments,
    check_observation_space,
    check_start,
    default_extractor,
    extractor_class,
    make_normaliser,
    spike_steps_of,
    with_planes,
)
from snn_gym.policies.raw_observations import check_tensors
from snn_gym.policies.units import Memory, Units
from snn_gym.program.costs import ACTION, NORMALISER, Counter, sum_costs
from snn_gym.program.encoders import SpikeEncoder
from snn_gym.program.layers import Array
from snn_gym.program.program import Program
from snn_gym.spiking.assembly import todays_names
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.spiking.decoders import PopulationHead
from snn_gym.spiking.execution import NetworkRun, spikes_of
from snn_gym.spiking.modules import ModuleConfig
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.normaliser import ObservationNormaliser
from snn_gym.spiking.recording import Recording, counted_extractor
from snn_gym.spiking.spiking_layer import SharedLinear, SynapticConvolution, SynapticLinear

# ---- optimiser ---------------------------------------------------------------------------------
_IMPLEMENTATIONS = {"fused", "foreach", "capturable", "differentiable"}
"""Options of PyTorch's Adam that each ask for an implementation."""


_ADAM = inspect.signature(Adam).parameters.keys() - {"params", "lr"}


def choose_adam(arguments: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    """Set ``optimizer_kwargs`` in ``arguments``: the given ones, else ``defaults``, and fused.

    Options that choose another implementation, such as ``foreach``, are not fused. Arguments with
    another optimiser than Adam stay unchanged.
    """
    if arguments.get("optimizer_class", Adam) is not Adam:
        return
    options = arguments.get("optimizer_kwargs")
    options = defaults if options is None else options
    if not isinstance(options, Mapping) or not options.keys() <= _ADAM:
        raise ValueError(
            "optimizer_kwargs must be a mapping of arguments of Adam, such as {'eps': 1e-8}, got "
            f"{options!r}"
        )
    # Fused is the fastest implementation by far.
    if options.keys().isdisjoint(_IMPLEMENTATIONS):
        options = {**options, "fused": True}
    arguments["optimizer_kwargs"] = options


class LateOptimiser(BasePolicy):
    """Mixin before a Stable-Baselines3 policy: a default Adam is created on first use."""

    adam_defaults: ClassVar[Mapping[str, Any]]
    _optimizer: Optimizer | partial[Adam] | None

    @property
    def optimizer(self) -> Any:
        """The optimiser, which the first access creates if it was put off."""
        if isinstance(self._optimizer, partial):
            # The first optimiser of a process imports PyTorch's compiler, which takes twice as
            # long as everything else between loading an agent and its first decision.
            with collector_paused():
                self._optimizer = self._optimizer()
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimiser: Any) -> None:
        self._optimizer = optimiser

    def _build(self, lr_schedule: Schedule) -> None:
        chosen = self.optimizer_class
        # Stable-Baselines3 calls the class itself, in the middle of its build.
        self.optimizer_class = cast(type[Optimizer], partial(self._optimiser, chosen))
        super()._build(lr_schedule)  # type: ignore[misc]
        self.optimizer_class = chosen

    def _optimiser(
        self, kind: type[Optimizer], parameters: Iterable[nn.Parameter], **options: Any
    ) -> Optimizer | partial[Adam]:
        """Return a ``partial`` of an Adam whose options are surely valid; create others at once."""
        ours = {**self.adam_defaults, "fused": True}
        numbers = {name: x for name, x in options.items() if name in ("lr", "eps")}
        valid = all(isinstance(x, float) and x >= 0 for x in numbers.values())
        if kind is Adam and valid and options == {**ours, **numbers}:
            return partial(Adam, list(parameters), **options)
        return kind(parameters, **options)


# ---- program -------------------------------------------------------------------------------------
class ProgramPolicy(BasePolicy):
    """A policy whose acting network can be recorded, saved alone and exported as a program."""

    network: NetworkConfig
    critic_key: ClassVar[CriticKey | None] = None
    """Name of the critic's hidden sizes in ``net_arch``; None for those of the actor."""
    rates_actions: bool = False
    """Whether ``behaviour`` returns values of actions, on any scale, and not log-odds."""

    @property
    def normaliser(self) -> ObservationNormaliser | None:
        """The observation normaliser that all networks share, or None."""
        return None

    @property
    def carries_state(self) -> bool:
        """Whether the network's state lasts from one decision to the next."""
        return False

    @abstractmethod
    def acting_network(self) -> Any:
        """Return the network that chooses actions."""

    @abstractmethod
    def network_inputs(self, observation: PyTorchObs) -> Tensor:
        """Return the acting network's inputs (B, ...) for a batch of observations, as tensors."""

    @abstractmethod
    def behaviour(self, output: Tensor) -> Tensor:
        """Return the policy's choice (B, A) for outputs (B, O) of the acting network.

        Log-odds or values of discrete actions; the best continuous action in units of half the
        range of the action space, whose middle is 0.
        """

    def watched(self, observations: Any) -> tuple[Tensor, list[Tensor]]:
        """Return behaviour (B, A) from rest and each layer's spikes (T, B, N), differentiable."""
        behaviour, runs = self.observed(observations)
        return behaviour, spikes_of(runs)

    def observed(self, observations: Any) -> tuple[Tensor, list[NetworkRun]]:
        """Return behaviour (B, A) from rest and the pass through spiking layers, if there are."""
        inputs = self.network_inputs(observations)
        runs: list[NetworkRun] = []
        output, _ = self.acting_network()(inputs, optimised=False, observer=runs.append)
        return self.behaviour(output), runs

    @abstractmethod
    def acting_modules(self) -> dict[str, nn.Module]:
        """Return the modules that acting needs, by the prefix of their tensors in state_dict."""

    def readout(self) -> nn.Linear | PopulationHead | None:
        """Return the head after the acting network, None if the network has its own."""
        return None

    @abstractmethod
    def acting_extractor(self) -> nn.Module:
        """Return the features extractor before the acting network."""

    def program(self) -> Program:
        """Return the acting network and choice of actions as a ``Program`` of copied arrays.

        Raises:
            ValueError: A part has no form outside of PyTorch; the message names a supported one.
        """
        return read_program(self)

    def record(self, obs: np.ndarray[Any, Any], state: Any = None) -> Recording:
        """Record how the policy decides on observations.

        Args:
            obs: One observation or a batch of B, as the environment gives them.
            state: State (B, S) from the decision before, also as ``predict`` of a stateful policy
                returns it; None starts from rest.

        Returns:
            Activity of the acting network's layers, none if it does not spike, and the costs of a
            decision. With operations of PyTorch whose products are not known, or code outside of
            PyTorch, a features extractor is not counted: ``costs.uncounted`` names it, and no total
            is known.

        Raises:
            ValueError: The state does not fit.
        """
        tensor, _ = self.obs_to_tensor(obs)
        extractor = self.acting_extractor()
        with torch.no_grad():
            with counted_extractor(extractor) as counted:
                inputs = self.network_inputs(tensor)
            carried = None if state is None else self._state_tensor(state, len(inputs))
            recording: Recording = self.acting_network().record(
                inputs, carried, head=self.readout()
            )
        counter = Counter(len(inputs))
        counted.count(counter)
        if self.normaliser is not None:
            counter.scaling(NORMALISER, self.normaliser.mean.numel())
        if (choice := choice_of(self)).rule == "squash":
            counter.scaling(ACTION, len(choice.low))
        around = counter.costs((type(extractor).__name__,) * (counted.unknown or counted.outside))
        return replace(recording, costs=sum_costs(around, recording.costs))

    def _state_tensor(self, state: Any, batch: int) -> Tensor:
        """Return a state, not None, as a tensor (batch, S); a stateless policy leaves it as is."""
        del batch
        carried: Tensor = state
        return carried

    def reseed_noise(self, seed: int) -> None:
        """Restart the noise stream of a noisy encoder; without one nothing happens."""
        self.acting_network().reseed_noise(seed)

    def acting_state_dict(self) -> dict[str, Tensor]:
        """Return copies of the tensors that acting needs, by name."""
        state = full_state(self)
        names = {
            f"{prefix}.{name}"
            for prefix, module in self.acting_modules().items()
            for name in full_state(module)
            if ".regulation." not in f".{name}" and name.rpartition(".")[2] not in _TRAINING_NAMES
        }
        return {name: state[name].detach().clone() for name in sorted(names)}

    def load_acting_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Load the tensors that acting needs, named as in ``acting_state_dict``.

        All of them are needed; others stay unchanged. Names of older versions are accepted.

        Raises:
            ValueError: Names, shapes, dtypes or the neurons' constants do not fit.
        """
        tensors, expected = todays_names(tensors), self.acting_state_dict()
        check_tensors(tensors, expected, "acting tensor")
        for name, tensor in tensors.items():
            if name.endswith(".neuron_constants") and not torch.equal(tensor, expected[name]):
                raise ValueError(
                    f"tensor {name}: expected {expected[name].tolist()}, got {tensor.tolist()}; "
                    "the weights belong to a network of other dynamics"
                )
        self.load_state_dict({**self.state_dict(), **tensors})


# ---- policy --------------------------------------------------------------------------------------
_STOCK_PACKAGES = ("stable_baselines3.", "sb3_contrib.")
# Last parts of the names of tensors that only training needs.
_TRAINING_NAMES = ("count", "total", "total_of_squares", "due", "feedback")


class SpikingPolicy(ProgramPolicy):
    """A policy on spiking networks, the base of the policies of all algorithms.

    Unless a policy says otherwise, the state of its networks starts from rest at every decision.
    Observations are standardised inside the policy, by one normaliser that all of its networks
    share. A two-dimensional MultiBinary((T, N)) observation is a spike train and sets the number of
    time steps; everything else is analogue.

    Args:
        observation_space: Observation space.
        action_space: Action space.
        lr_schedule: Learning rate over the remaining progress.
        network: Configuration of the networks, also as a mapping; its defaults if None. A module of
            PyTorch, a function that makes one or a ``ModuleConfig`` takes the place of the networks
            that spike.
        normalise_observations: Whether Box observations, also those in a Dict, are standardised;
            those that convolutions read never are, for their places share weights.
        activation_fn: Activation of networks that do not spike; None for Stable-Baselines3's
            default.
        net_arch: Stable-Baselines3's name of hidden sizes: a list, in place of
            ``network.hidden_sizes``, not beside them; with a critic also ``dict(pi=..., vf=...)``,
            of off-policy algorithms ``dict(pi=..., qf=...)``, where the critic's are
            ``critic_hidden_sizes``.
        **kwargs: As in the policy of Stable-Baselines3 that follows.

    Raises:
        ValueError: A space or an argument is not supported, or the network needs a state that no
            policy of this kind carries.
    """

    normalise_observations: bool
    module_config: ModuleConfig | None = None  # a user's module in place of ``network``
    algorithms: tuple[str, ...]
    action_spaces: tuple[type[spaces.Space[Any]], ...]
    """Kinds of action spaces that the policy's algorithms have."""
    own_arguments: tuple[str, ...]
    """Arguments that a saved policy needs beside those that its base classes save."""
    activation_fn: type[nn.Module] = nn.ReLU
    gated: Memory | Sequence[Units] | None = None
    """Units of networks that carry a state and do not spike; None where none carries a state."""
    memory_steps: int | None = None
    """Environment steps that fresh gated units remember, at most; None for PyTorch's biases."""
    critic_hidden_sizes: tuple[int, ...] | None = None
    """Hidden sizes of the critic; None for those of the actor."""
    adam_defaults: ClassVar[Mapping[str, Any]] = {}
    """Options that Stable-Baselines3's policy gives Adam where the user gives none."""
    builder: NetworkBuilder
    explores_nothing: bool = False
    """Whether rollouts take the best actions, for as long as an algorithm sets it."""
    _predicting: bool = False

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        network: NetworkArgument | None = None,
        normalise_observations: bool = True,
        activation_fn: type[nn.Module] | None = None,
        net_arch: Any = None,
        **kwargs: Any,
    ) -> None:
        # Of classes, those of modules alone make a network.
        if callable(network) and (not isinstance(network, type) or issubclass(network, nn.Module)):
            network = ModuleConfig(network)
        if isinstance(network, ModuleConfig):
            self.module_config, network = network, NetworkConfig(time_steps=network.time_steps)
        self.network = network_config(network)
        if net_arch is not None:
            assert not isinstance(network, type)  # which network_config refuses
            self._take_net_arch(net_arch, self.network if network is None else network)
        self.normalise_observations = normalise_observations
        self._configure(observation_space, action_space, kwargs)
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=[],  # networks of our own take the place of Stable-Baselines3's
            activation_fn=self.activation_fn if activation_fn is None else activation_fn,
            **kwargs,
        )

    def _take_net_arch(self, net_arch: Any, network: NetworkConfig | Mapping[str, Any]) -> None:
        """Replace hidden sizes by those of ``net_arch``; refuse it beside others.

        ``network`` is the argument, which may state hidden sizes, too.
        """
        if self.critic_hidden_sizes is not None:
            raise ValueError(
                f"net_arch {net_arch!r} and critic_hidden_sizes {self.critic_hidden_sizes} both "
                "say what the critic has; leave one out"
            )
        actor, critic = read_net_arch(net_arch, self.critic_key, network)
        self.network = replace(self.network, hidden_sizes=actor)
        if self.critic_key is not None:
            self.critic_hidden_sizes = CriticSizes(critic).critic_hidden_sizes

    def _configure(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        arguments: dict[str, Any],
    ) -> None:
        """Check ``arguments`` for Stable-Baselines3's policy and complete them in place."""
        if not isinstance(action_space, self.action_spaces):
            names = ", ".join(kind.__name__ for kind in self.action_spaces)
            raise ValueError(
                f"{type(self).__name__} chooses {names} actions, got {action_space}; "
                "SpikingActorCriticPolicy (PPO, A2C, TRPO) chooses "
                "Box, Discrete, MultiDiscrete and MultiBinary actions"
            )
        if self.network.needs_state and not self.carries_state:
            raise ValueError(
                f"encoder {self.network.encoder!r} with neuron {self.network.neuron!r} at "
                f"time_steps={self.network.time_steps} is silent without a state carried from the "
                f"decision before, and {type(self).__name__} starts from rest at every decision; "
                "use another encoder than 'delta', at least 2 time steps for a neuron that fires a "
                "step late, or the policy of StatefulPPO"
            )
        spikes = getattr(self, "spiking_actor", getattr(self, "spiking", True))
        if self.module_config is not None and (self.carries_state or not spikes):
            raise ValueError(
                f"a module as network decides from rest and in place of networks that spike; this "
                f"{type(self).__name__} {'carries a state' if self.carries_state else 'has none'}: "
                "use PPO, DQN or SAC with a spiking policy, or a NetworkConfig"
            )
        check_start(action_space, "action space")
        # The first class after our own is Stable-Baselines3's, whose arguments are known.
        stock = next(x for x in type(self).__mro__ if x.__module__.startswith(_STOCK_PACKAGES))
        known = inspect.signature(stock).parameters
        unknown = sorted(arguments.keys() - known.keys())
        if unknown:
            raise ValueError(
                f"{type(self).__name__}, the policy for {' and '.join(self.algorithms)}, takes no "
                f"argument {', '.join(unknown)}; another algorithm needs another policy of "
                "snn_gym.policies"
            )
        if "optimizer_kwargs" in known:
            choose_adam(arguments, self.adam_defaults)
        default: type[BaseFeaturesExtractor] = FlattenExtractor
        if not self.network.convolutions:
            default = default_extractor(observation_space, arguments.get("normalize_images", True))
        extractor = extractor_class(arguments.get("features_extractor_class", default))
        arguments["features_extractor_class"] = extractor
        check_observation_space(observation_space, extractor)
        check_extractor_arguments(
            observation_space, extractor, arguments.get("features_extractor_kwargs") or {}
        )

    def _get_constructor_parameters(self) -> dict[str, Any]:
        data = super()._get_constructor_parameters()
        del data["net_arch"]  # which ``network`` holds
        names = ("network", "normalise_observations", *self.own_arguments)
        data |= {name: getattr(self, name) for name in names}
        return data if self.module_config is None else {**data, "network": self.module_config}

    def make_features_extractor(self) -> BaseFeaturesExtractor:
        """Return a features extractor; refuse a trainable one that no gradient reaches."""
        extractor = super().make_features_extractor()
        # Spikes of a fixed code have no gradient.
        trainable = any(parameter.requires_grad for parameter in extractor.parameters())
        if trainable and isinstance(self.network.encoder_parameters, SpikeEncoder):
            raise ValueError(
                f"encoder {self.network.encoder!r} passes no gradient to "
                f"{type(extractor).__name__}, which would never learn; use encoder='constant'"
            )
        return extractor

    def _builder(self, features_dim: int) -> NetworkBuilder:
        """Return the builder of all networks; the first call makes it and the one normaliser."""
        # A target network is built later, and shares the normaliser of the first one.
        if hasattr(self, "builder"):
            return self.builder
        normaliser = (
            make_normaliser(
                self.observation_space,
                self.features_extractor_class,
                self.features_extractor_kwargs,
                self.normalize_images,
            )
            if self.normalise_observations and not self.network.convolutions
            else None
        )
        self.builder = NetworkBuilder(
            with_planes(self.network, self.observation_space, self.features_extractor_class),
            int(features_dim),  # a Dict's is numpy's
            spike_steps_of(self.observation_space, self.features_extractor_class),
            self.activation_fn,
            normaliser,
            self.gated,
            self.critic_hidden_sizes,
            self.memory_steps,
            self.module_config,
        )
        return self.builder

    @property
    @override
    def normaliser(self) -> ObservationNormaliser | None:
        return self.builder.normaliser

    def fit_normaliser(
        self, observations: np.ndarray[Any, Any] | dict[str, np.ndarray[Any, Any]]
    ) -> None:
        """Set the statistics of the observation normaliser from data, such as demonstrations.

        Statistics so far are forgotten; rollouts that follow add to these.

        Args:
            observations: At least 2 observations (N, ...), or a dict of such, as the environment
                gives them.

        Raises:
            ValueError: There are fewer, or the policy has no observation normaliser.
        """
        if self.normaliser is None:
            raise ValueError(
                f"this {type(self).__name__} has no observation normaliser, as "
                f"normalise_observations is {self.normalise_observations} and observations are "
                f"{self.observation_space}; leave fit_normaliser out"
            )
        tensor, _ = self.obs_to_tensor(observations)
        with torch.no_grad(), self.normaliser.fitting():
            self.network_inputs(tensor)

    @property
    @override
    def carries_state(self) -> bool:
        return self.gated is not None

    def set_time_steps(self, time_steps: int) -> None:
        """Let all spiking networks decide in another number of time steps, with their weights."""
        for module in self.modules():
            if isinstance(module, SpikingNetwork):
                module.set_time_steps(time_steps)
        self.network = replace(self.network, time_steps=time_steps)
        config = replace(self.builder.config, time_steps=time_steps)
        self.builder = replace(self.builder, config=config)
        self._compiled_acting = CompiledActing()  # the one before has read another program

    def acting_head(self) -> nn.Module | None:
        """Return the head that follows the acting network or is its own; None if not known."""
        return None

    @staticmethod
    def init_weights(module: nn.Module, gain: float = 1.0) -> None:
        """Initialise a module orthogonally with a gain; leave synapses of spiking layers alone."""
        if isinstance(module, PopulationHead):
            # The outputs read different neurons: rows are orthogonal in whatever direction.
            direction = nn.functional.normalize(torch.randn_like(module.weight))
            module.weight.data.copy_(gain * direction)
            module.bias.data.zero_()
        elif isinstance(module, SharedLinear) and not isinstance(module, SynapticConvolution):
            nn.init.orthogonal_(module.filters, gain)
            nn.init.zeros_(module.filter_biases)
        elif not isinstance(module, SynapticLinear | SynapticConvolution):
            BasePolicy.init_weights(module, gain)

    def set_training_mode(self, mode: bool) -> None:
        """Switch to updates (True) or to the start of a rollout (False).

        A rollout's start applies the normaliser's statistics, if there were updates, and runs the
        networks' regulation. Within ``predict`` only the modules' mode changes.
        """
        if self._predicting and mode == self.training:
            return  # nothing to switch, at every decision
        super().set_training_mode(mode)
        # Every predict passes False too, and must change nothing else.
        if self._predicting:
            return
        if mode:
            if self.normaliser is not None:
                self.normaliser.updates_started()
            return
        # A rollout begins: controllers of the dynamics act, and statistics are taken over.
        for module in self.modules():
            if isinstance(module, SpikingNetwork):
                module.rollout_started()
        if self.normaliser is not None:
            self.normaliser.rollout_started()

    def predict(
        self,
        observation: np.ndarray[Any, Any] | dict[str, np.ndarray[Any, Any]],
        state: tuple[np.ndarray[Any, Any], ...] | None = None,
        episode_start: np.ndarray[Any, Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray[Any, Any], tuple[np.ndarray[Any, Any], ...] | None]:
        """Choose actions, as Stable-Baselines3 defines it; never changes the normaliser.

        Args:
            observation: One observation or a batch of B.
            state: State that the last call returned; None starts every episode from rest.
            episode_start: (B,), bool: where an episode starts, so that its state is at rest
                whatever ``state`` says. None: nowhere.
            deterministic: Whether to take the best action instead of sampling.

        Returns:
            Actions and the state for the next call, None where no state is carried.

        Raises:
            ValueError: State or ``episode_start`` do not fit the batch or the network.
        """
        if state is not None and not self.carries_state:
            raise ValueError(
                f"{type(self).__name__} starts from rest at every decision and takes no state, got "
                "one; pass state=None, or train with StatefulPPO"
            )
        rows = rows_of(observation, self.observation_space) if deterministic else None
        decider = None if rows is None else self._decider()
        if rows is not None and decider is not None:
            self._stop_training()
            states = self._states_before(state, episode_start, len(rows))
            actions = decider.actions(rows, states)
            if actions is not None:
                seen: Any = observation  # an array, for it has rows
                taken = as_taken(actions, seen, self.observation_space, self.action_space)
                return taken, None if states is None else (states,)
        by_torch: tuple[np.ndarray[Any, Any], tuple[np.ndarray[Any, Any], ...] | None] = (
            self.predict_by_torch(observation, state, episode_start, deterministic)
        )
        return by_torch

    def predict_by_torch(
        self, observation: Any, state: Any = None, episode_start: Any = None,
        deterministic: bool = False,
    ) -> Any:  # fmt: skip
        """Choose actions as ``predict`` does, always by PyTorch and not by compiled code."""
        # Learners whose actions are part of a training call this, so that its bits stay.
        self._predicting = True
        try:
            return super().predict(observation, state, episode_start, deterministic)
        finally:
            self._predicting = False

    def _states_before(self, state: Any, episode_start: Any, batch: int) -> Array | None:
        """Return a copy of the states (batch, S) before a decision; None if none are carried."""
        del state, episode_start, batch
        return None

    def _decider(self) -> Decider | None:
        """Return the compiled decider, None where PyTorch has to decide."""
        acting: CompiledActing | None = self.__dict__.get("_compiled_acting")
        if acting is None:
            acting = self._compiled_acting = CompiledActing()
        return acting.decider_of(self)

    def _stop_training(self) -> None:
        """Set the modules to evaluation mode, without the start of a rollout."""
        if self.training:
            self._predicting = True
            self.set_training_mode(False)
            self._predicting = False


class ActorCriticFlags(SpikingPolicy):
    """A policy of an actor and a critic that each spike or not.

    Args:
        *args: As in ``SpikingPolicy``.
        spiking_actor: Whether the actor spikes; if not it is a multilayer perceptron of the same
            hidden sizes (with both flags off this policy is the ANN twin), and linear if
            ``network.hidden_sizes`` are empty.
        spiking_critic: The same for the critic, which is needed in training only. Off by default:
            with a spiking critic PPO learns CartPole less reliably.
        critic_hidden_sizes: Hidden sizes of the critic; None for those of the actor, which are
            ``network.hidden_sizes``. An ANN that carries no state may have none, and is linear.
        **kwargs: As in ``SpikingPolicy``.

    Raises:
        ValueError: A size is no whole number of at least 1, or a critic has no hidden layer that
            spikes or carries a state.
    """

    own_arguments: tuple[str, ...] = ("spiking_actor", "spiking_critic", "critic_hidden_sizes")

    def __init__(
        self,
        *args: Any,
        spiking_actor: bool = True,
        spiking_critic: bool = False,
        critic_hidden_sizes: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        self.spiking_actor, self.spiking_critic = spiking_actor, spiking_critic
        if critic_hidden_sizes is not None:
            given: Any = critic_hidden_sizes
            self.critic_hidden_sizes = CriticSizes(given).critic_hidden_sizes
        super().__init__(*args, **kwargs)

    def _configure(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        arguments: dict[str, Any],
    ) -> None:
        super()._configure(observation_space, action_space, arguments)
        # One form for equal policies, which are saved alike.
        if self.critic_hidden_sizes == self.network.hidden_sizes:
            self.critic_hidden_sizes = None
        if self.critic_hidden_sizes == () and (self.spiking_critic or self.carries_state):
            kind = "spikes" if self.spiking_critic else "carries a state"
            raise ValueError(
                f"a critic that {kind} needs a hidden layer, and net_arch or critic_hidden_sizes "
                f"names none; name one, such as dict(pi=[64], {self.critic_key}=[64])"
            )


def spiking_policy_of(model: BaseAlgorithm) -> SpikingPolicy:
    """Return a model's policy, which has to be a ``SpikingPolicy``."""
    policy = model.policy
    assert isinstance(policy, SpikingPolicy)  # as every caller has checked
    return policy
