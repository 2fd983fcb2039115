"""Stable-Baselines3's SAC and TD3 with fewer, fused calls in a gradient step."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.utils import update_learning_rate
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN
from torch import Tensor, nn

from snn_gym.learners.adam import AdamStep
from snn_gym.policies.continuous import (
    ActionValueCritic,
    ActorAndCriticsMixin,
    SpikingSACActor,
    SpikingSACPolicy,
    SpikingTD3Policy,
)
from snn_gym.policies.networks import DenseNetwork, FeatureNetwork, network_inputs


# ---- networks ------------------------------------------------------------------------------------
def _onednn() -> Any:
    """Return PyTorch's operator for oneDNN's linear layer; return None where PyTorch has none.

    Fused SAC and TD3 run their dense networks by it. It has kernels for the vector units of every
    maker, where MKL, behind ``torch.addmm``, keeps the widest to Intel's.
    """
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None) if available else None


_ONEDNN = _onednn()


def linear(
    inputs: Tensor, weight: Tensor, bias: Tensor | None = None, *, rectified: bool = False
) -> Tensor:
    """Return ``inputs @ weight.T + bias`` (B, O), with negative values set to 0 if ``rectified``.

    Args:
        inputs: (B, D), float32; any strides.
        weight: (O, D), float32; any strides.
        bias: (O,), float32; None for none.
        rectified: Whether a rectifier follows.
    """
    if _ONEDNN is not None:
        out: Tensor = _ONEDNN(inputs, weight, bias, "relu" if rectified else "none", [], "")
        return out
    out = torch.nn.functional.linear(inputs, weight, bias)
    return out.relu_() if rectified else out


class Perceptron:
    """Passes of a ``DenseNetwork`` of rectified units, forward and backward, by hand."""

    def __init__(self, network: DenseNetwork) -> None:
        self._layers = [x for x in network if isinstance(x, nn.Linear)]
        self._hidden = len(network.hidden_sizes)
        self._seen: list[Tensor] = []
        self.parameters = list(network.parameters())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs (B, O) of inputs (B, D), from which gradients can go back."""
        self._seen = [inputs]
        for k in range(len(self._layers)):
            self._seen.append(self._pass_layer(k, self._seen[k]))
        return self._seen[-1]

    def outputs(self, inputs: Tensor) -> Tensor:
        """Return the outputs (B, O) of inputs (B, D), and store nothing for ``set_gradients``."""
        for k in range(len(self._layers)):
            inputs = self._pass_layer(k, inputs)
        return inputs

    def _pass_layer(self, k: int, inputs: Tensor) -> Tensor:
        layer = self._layers[k]
        return linear(inputs, layer.weight, layer.bias, rectified=k < self._hidden)

    def set_gradients(self, grad: Tensor) -> None:
        """Set the parameters' gradients from that of the outputs (B, O) of the last pass."""
        for k in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[k]
            grad = self._before_units(k, grad)
            layer.weight.grad = linear(grad.t(), self._seen[k].t())
            layer.bias.grad = grad.sum(0)
            if k:
                grad = linear(grad, layer.weight.t())

    def input_gradient(self, grad: Tensor, first: int = 0) -> Tensor:
        """Return the gradient (B, D - first) of the last pass's inputs from column ``first`` on."""
        for k in range(len(self._layers) - 1, 0, -1):
            grad = linear(self._before_units(k, grad), self._layers[k].weight.t())
        # oneDNN has no quick kernel for columns of a matrix.
        return torch.mm(self._before_units(0, grad), self._layers[0].weight[:, first:])

    def _before_units(self, k: int, grad: Tensor) -> Tensor:
        """Turn the gradient behind the units of layer ``k`` into that before them, in place."""
        if k == self._hidden:  # the head
            return grad
        # The derivative of the rectifier, in one call.
        torch.ops.aten.threshold_backward.grad_input(grad, self._seen[k + 1], 0.0, grad_input=grad)
        return grad


class Critics:
    """The critics of a policy, their targets and their optimiser."""

    def __init__(self, online: ActionValueCritic, target: ActionValueCritic) -> None:
        self.optimiser: torch.optim.Optimizer = online.optimizer
        self._step = AdamStep(self.optimiser, online.parameters())
        self.online = [Perceptron(x) for x in online.q_networks]  # type: ignore[arg-type]
        self.target = [Perceptron(x) for x in target.q_networks]  # type: ignore[arg-type]
        self._pairs = _parameters(self.online), _parameters(self.target)

    def least_target(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Return the least value (B, 1) that target critics give to actions (B, A)."""
        inputs = torch.cat([observations, actions], 1)
        values = [critic.outputs(inputs) for critic in self.target]
        return torch.stack(values).amin(0)

    def learn(self, inputs: Tensor, targets: Tensor, weight: float) -> float:
        """Step by the squared errors of all critics, times ``weight``; return the loss."""
        loss = 0.0
        for critic in self.online:
            errors = critic.forward(inputs) - targets
            loss += float(torch.dot(errors[:, 0], errors[:, 0]))
            critic.set_gradients(errors.mul_(2.0 * weight / len(errors)))
        self._step.take()
        return weight * loss / len(inputs)

    def follow(self, tau: float) -> None:
        """Move the target critics towards the critics by a share ``tau``."""
        move_towards(*self._pairs, tau)


def _parameters(networks: Sequence[Perceptron]) -> list[Tensor]:
    return [x for network in networks for x in network.parameters]


def move_towards(online: list[Tensor], target: list[Tensor], tau: float) -> None:
    """Move target parameters towards the online ones, as Stable-Baselines3 does, to the bit."""
    torch._foreach_mul_(target, 1.0 - tau)
    torch._foreach_add_(target, online, alpha=tau)


def is_plain(network: nn.Module) -> bool:
    """Return whether ``Perceptron`` serves a network."""
    if not isinstance(network, DenseNetwork) or network.bits is not None:
        return False
    return {type(x) for x in network} <= {nn.Linear, nn.ReLU}


# ---- replay --------------------------------------------------------------------------------------
class Batch(NamedTuple):
    """Transitions of a minibatch, float32."""

    observations: Tensor
    """(B, F), flattened and not normalised, as ``next_observations`` are."""
    actions: Tensor
    """(B, A), scaled to [-1, 1]."""
    next_observations: Tensor
    rewards: Tensor
    """(B, 1)."""
    dones: Tensor
    """(B, 1), 1 where an episode ended but not by its time limit."""


def draw_batch(buffer: ReplayBuffer, size: int) -> Batch:
    """Draw a minibatch with the random numbers of ``ReplayBuffer.sample``."""
    newest = buffer.buffer_size if buffer.full else buffer.pos
    steps = np.random.randint(0, newest, size=size)  # noqa: NPY002 - Stable-Baselines3's generator
    lanes = np.random.randint(0, high=buffer.n_envs, size=size)  # noqa: NPY002
    rows = steps * buffer.n_envs + lanes
    observations, following, actions, rewards, dones, timeouts = (
        x.reshape(-1, math.prod(x.shape[2:])).take(rows, axis=0)
        for x in (
            buffer.observations, buffer.next_observations, buffer.actions,
            buffer.rewards, buffer.dones, buffer.timeouts,
        )
    )  # fmt: skip
    arrays = observations, actions, following, rewards, dones * (1.0 - timeouts)
    return Batch(*(torch.from_numpy(x).float() for x in arrays))


# ---- shared --------------------------------------------------------------------------------------
class ActorPass:
    """Passes of an actor's network: by hand where it is plain, else by PyTorch's gradients."""

    def __init__(self, features: FeatureNetwork) -> None:
        self.features = features
        network: Any = features.network
        self._by_hand = Perceptron(network) if is_plain(network) else None
        self._parameters = list(network.parameters())
        self._output = torch.empty(0)

    def forward(self, normalised: Tensor) -> Tensor:
        """Return the network's outputs (B, O), from which ``set_gradients`` can go back."""
        if self._by_hand is not None:
            return self._by_hand.forward(normalised)
        with torch.enable_grad():
            self._output = self.act(normalised)
        return self._output.detach()

    def act(self, normalised: Tensor) -> Tensor:
        """Return the network's outputs (B, O) for normalised observations (B, F)."""
        if self._by_hand is not None:
            return self._by_hand.outputs(normalised)
        network = self.features.network
        outputs: Tensor = network(network_inputs(normalised, network, self.features.spike_steps))[0]
        return outputs

    def set_gradients(self, grad: Tensor) -> None:
        """Set the parameters' gradients from that of the outputs (B, O) of ``forward``."""
        if self._by_hand is not None:
            self._by_hand.set_gradients(grad)
            return
        for parameter in self._parameters:
            parameter.grad = None
        torch.autograd.backward(self._output, grad)
        self._output = self._output.detach()  # frees the graph


class FusedOffPolicy(OffPolicyAlgorithm):
    """Mixin before an algorithm of an actor and critics: parts that fused updates share."""

    policy_kind: ClassVar[type[ActorAndCriticsMixin]]
    """Policy that fused updates serve; a subclass may change its methods."""
    fused: bool
    policy: Any
    actor: Any
    critic: Any
    critic_target: Any
    _parts: tuple[Critics, ActorPass, AdamStep] | None = None

    def _is_quick(self) -> bool:
        """Return whether fused updates were asked for and serve policy, spaces and buffer."""
        policy = self.policy
        return (
            self.fused
            and type(policy) is self.policy_kind
            and self.device.type == "cpu"
            and type(self.replay_buffer) is ReplayBuffer
            and not self.replay_buffer.optimize_memory_usage
            and self._vec_normalize_env is None
            and not self.use_sde
            and policy.features_extractor_class is FlattenExtractor
            and _is_flat(self.observation_space)
            and all(map(is_plain, self.critic.q_networks))
        )

    def _begin_updates(self, *others: torch.optim.Optimizer) -> None:
        """Do what Stable-Baselines3's ``train`` does first."""
        self.policy.set_training_mode(True)
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer, *others])

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return actions (n_envs, A) to take, and the same in [-1, 1] to store."""
        if self.num_timesteps < learning_starts or not self._is_quick():
            return super()._sample_action(learning_starts, action_noise, n_envs)
        observations: Any = self._last_obs
        with torch.no_grad():
            seen = torch.from_numpy(observations).float().flatten(1)
            chosen = self._explore(self._normalised(seen)).numpy()
        # There and back again, so that the bits are Stable-Baselines3's.
        shape = n_envs, *self.action_space.shape  # type: ignore[misc]
        scaled = self.policy.scale_action(self.policy.unscale_action(chosen.reshape(shape)))
        if action_noise is not None:
            scaled = np.clip(scaled + action_noise(), -1, 1)
        return self.policy.unscale_action(scaled), scaled

    @abstractmethod
    def _explore(self, normalised: Tensor) -> Tensor:
        """Return actions (B, A) in [-1, 1] for normalised observations (B, F)."""

    def _fused_parts(self) -> tuple[Critics, ActorPass, AdamStep]:
        """Return critics, actor and its optimiser, anew where the policy has got others."""
        parts = self._parts
        if (
            parts is None
            or parts[0].optimiser is not self.critic.optimizer
            or parts[2].optimiser is not self.actor.optimizer
            or parts[1].features is not self.policy._online()
        ):
            parts = self._parts = (
                Critics(self.critic, self.critic_target),
                ActorPass(self.policy._online()),
                AdamStep(self.actor.optimizer, self.actor.parameters()),
            )
        return parts

    def _draw(self, size: int) -> Batch:
        """Draw a minibatch."""
        assert self.replay_buffer is not None  # _is_quick checks it
        return draw_batch(self.replay_buffer, size)

    def _normalised(self, observations: Tensor, *, counted: bool = False) -> Tensor:
        """Return normalised observations (B, F); ``counted`` as the normaliser's training data."""
        features: FeatureNetwork = self.policy._online()
        with torch.set_grad_enabled(counted), features.training_data(counted, differentiated=True):
            return features.normalised(observations)

    def _excluded_save_params(self) -> list[str]:
        # Made again from the policy.
        return [*super()._excluded_save_params(), "_parts"]


def _is_flat(space: spaces.Space[Any]) -> bool:
    """Return whether a space holds floats or spikes.

    Stable-Baselines3 passes their numbers on unchanged, only flattened, where it scales images and
    encodes integers.
    """
    if isinstance(space, spaces.MultiBinary):
        return True
    return isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)


# ---- TD3 -----------------------------------------------------------------------------------------
class TD3(FusedOffPolicy, stable_baselines3.TD3):
    """Stable-Baselines3's ``TD3``, faster, and with a proxy target if the policy has one.

    The algorithm, its hyper-parameters, logs and random numbers are the same. With ``fused``, on
    the CPU, under ``SpikingTD3Policy`` with critics of rectified units and without VecNormalize:

    - the critics, and an actor that does not spike, pass forward and backward by hand, in
      oneDNN's kernels; a spiking actor has the gradients of PyTorch;
    - Adam and the target networks move in one call each;
    - a rollout predicts without checks.

    Weights equal those of Stable-Baselines3's loop within rounding. In all other cases that loop
    runs.

    With ``proxy_hidden_sizes`` of the policy, the target actor is an ANN that is fitted to the
    actor before each update of the critics (Wei et al., "Proxy target: bridging the gap between
    discrete spiking neural networks and continuous control", NeurIPS 2025,
    https://arxiv.org/abs/2505.24161).

    Args:
        *args: As in Stable-Baselines3's ``TD3``.
        fused: Whether gradient steps are fused where they can be.
        proxy_steps: Minibatches that a proxy target is fitted on before each update of the critics;
            the last of them is also the critics'.
        proxy_learning_rate: Step size of a proxy target's Adam.
        **kwargs: As in Stable-Baselines3's ``TD3``.

    Raises:
        ValueError: The policy has a proxy target, and ``train`` can't be fused.

    Example:
        >>> from snn_gym.learners import TD3
        >>> from snn_gym.policies import SpikingTD3Policy
        >>> policy_kwargs = {"proxy_hidden_sizes": [64, 64]}
        >>> model = TD3(SpikingTD3Policy, "Pendulum-v1", policy_kwargs=policy_kwargs, device="cpu")
        >>> model.has_proxy
        True
    """

    same_as: ClassVar[type[BaseAlgorithm]] = stable_baselines3.TD3
    """Equivalent algorithm of another library."""
    policy_kind = SpikingTD3Policy

    def __init__(
        self,
        *args: Any,
        fused: bool = True,
        proxy_steps: int = 3,
        proxy_learning_rate: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        self.fused = fused
        self.proxy_steps, self.proxy_learning_rate = proxy_steps, proxy_learning_rate
        self._of_target: tuple[ActorPass, AdamStep | None] | None = None
        super().__init__(*args, **kwargs)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Update the policy, as in Stable-Baselines3."""
        if not self._is_quick():
            if self.has_proxy:
                raise ValueError(
                    "a proxy target needs fused=True, flat observations, the CPU and critics of "
                    "rectified units; change these, or leave proxy_hidden_sizes out"
                )
            super().train(gradient_steps, batch_size)
            return
        self._begin_updates()
        losses: dict[str, list[float]] = {"actor_loss": [], "critic_loss": [], "proxy_loss": []}
        with torch.no_grad():
            for _ in range(gradient_steps):
                self._update(batch_size, losses)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, values in losses.items():
            if values:
                self.logger.record(f"train/{name}", np.mean(values))

    def _update(self, batch_size: int, losses: dict[str, list[float]]) -> None:
        """Make one gradient step and append its losses."""
        self._n_updates += 1
        acts = self._n_updates % self.policy_delay == 0
        critics, actor, step = self._fused_parts()
        drawn = [self._draw(batch_size) for _ in range(self.proxy_steps if self.has_proxy else 1)]
        batch = drawn[-1]
        seen = self._normalised(batch.observations, counted=acts)
        actions = torch.tanh(actor.forward(seen)) if acts else None
        if self.has_proxy:
            others = [self._normalised(x.observations) for x in drawn[:-1]]
            losses["proxy_loss"] += self._fit_proxy([*others, seen], actions)
        inputs = torch.cat([seen, batch.actions], 1)
        losses["critic_loss"].append(critics.learn(inputs, self._targets(batch), 1.0))
        if actions is None:
            return
        inputs[:, seen.shape[1] :] = actions
        critic = critics.online[0]
        values = critic.forward(inputs)
        grad = critic.input_gradient(torch.full_like(values, -1.0 / len(values)), seen.shape[1])
        actor.set_gradients(torch.ops.aten.tanh_backward(grad, actions))
        step.take()
        losses["actor_loss"].append(-float(values.mean()))
        critics.follow(self.tau)
        if not self.has_proxy:
            online, target = self.actor.parameters(), self.actor_target.parameters()
            move_towards(list(online), list(target), self.tau)

    @property
    def has_proxy(self) -> bool:
        """Whether the target actor is a proxy, fitted to the actor and not moved towards it."""
        return getattr(self.policy, "proxy_hidden_sizes", None) is not None

    def _fit_proxy(self, normalised: list[Tensor], last: Tensor | None) -> list[float]:
        """Make a step of the proxy on each minibatch (B, F), and return its squared errors.

        Wei et al. 2025, https://arxiv.org/abs/2505.24161: the actor's actions are the targets.
        Those of the last minibatch are ``last``, if known.
        """
        proxy, step = self._target_parts()
        assert step is not None  # only a proxy is fitted
        update_learning_rate(step.optimiser, self.proxy_learning_rate)
        actor, losses = self._fused_parts()[1], []
        for k, seen in enumerate(normalised, 1):
            targets = last if k == len(normalised) else None
            if targets is None:
                targets = torch.tanh(actor.act(seen))
            actions = torch.tanh(proxy.forward(seen))
            errors = actions - targets
            losses.append(float(errors.square().mean()))
            grad = errors.mul_(2.0 / errors.numel())
            proxy.set_gradients(torch.ops.aten.tanh_backward(grad, actions))
            step.take()
        return losses

    def _target_parts(self) -> tuple[ActorPass, AdamStep | None]:
        """Return the target actor and a proxy's optimiser, anew where the policy has others."""
        parts, features = self._of_target, cast("FeatureNetwork", self.actor_target.mu[0])
        if parts is None or parts[0].features is not features:
            step = None
            if self.has_proxy:
                step = AdamStep(self.actor_target.optimizer, self.actor_target.parameters())
            parts = self._of_target = ActorPass(features), step
        return parts

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        states, tensors = super()._get_torch_save_params()
        return [*states, "actor_target.optimizer"] if self.has_proxy else states, tensors

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_of_target"]

    def _targets(self, batch: Batch) -> Tensor:
        """Return the values (B, 1) that the critics learn."""
        noise = torch.empty_like(batch.actions).normal_(0, self.target_policy_noise)
        noise.clamp_(-self.target_noise_clip, self.target_noise_clip)
        following = self._normalised(batch.next_observations)
        target, _ = self._target_parts()
        actions = torch.tanh(target.act(following)).add_(noise).clamp_(-1, 1)
        least = self._fused_parts()[0].least_target(following, actions)
        return batch.rewards + (1 - batch.dones) * self.gamma * least

    def _explore(self, normalised: Tensor) -> Tensor:
        return torch.tanh(self._fused_parts()[1].act(normalised))


# ---- SAC -----------------------------------------------------------------------------------------
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_EPSILON = 1e-6  # as in Stable-Baselines3's SquashedDiagGaussianDistribution


class Squashed(NamedTuple):
    """Samples of a squashed Gaussian, with what its gradient needs."""

    actions: Tensor
    """(B, A), in [-1, 1]."""
    log_probs: Tensor
    """(B, 1)."""
    deviations: Tensor
    """(B, A), standard deviation times the unit noise."""

    def gradients(self, grad_actions: Tensor, grad_log_prob: float) -> tuple[Tensor, Tensor]:
        """Return gradients of mean and logarithm of the deviation, both (B, A).

        ``grad_log_prob`` is the same for every sample.
        """
        slope = 1.0 - self.actions.square()
        # The logarithm of the slope depends on the action, the Gaussian's on the deviation alone.
        share = self.actions.mul(slope).div_(slope + _EPSILON).mul_(2.0 * grad_log_prob)
        grad_mean = torch.addcmul(share, grad_actions, slope)
        return grad_mean, (grad_mean * self.deviations).sub_(grad_log_prob)


def sample_squashed(mean: Tensor, log_std: Tensor) -> Squashed:
    """Draw a squashed Gaussian of ``mean`` and ``log_std`` (B, A), with PyTorch's random numbers.

    Haarnoja et al. 2018, https://arxiv.org/abs/1812.05905, appendix C.
    """
    noise = torch.empty_like(mean).normal_()
    deviations = log_std.exp().mul_(noise)
    actions = torch.tanh(mean + deviations)
    # log N(noise) - log std - log(1 - actions^2)
    density = noise.square().mul_(-0.5).sub_(log_std).sub_(_HALF_LOG_2PI)
    log_probs = density.sub_(torch.log(1.0 - actions.square() + _EPSILON)).sum(1, keepdim=True)
    return Squashed(actions, log_probs, deviations)


class GaussianHeads:
    """Passes of the linear heads of SAC's actor, by hand: mean and logarithm of the deviation."""

    def __init__(self, actor: SpikingSACActor) -> None:
        heads: Any = (actor.mu, actor.log_std)
        self._mean, self._log_std = heads
        self._latent = self._inside = torch.empty(0)

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the deviation, (B, A) each, for activity (B, N)."""
        mean, log_std = (linear(latent, x.weight, x.bias) for x in (self._mean, self._log_std))
        within = log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
        self._latent, self._inside = latent, within == log_std
        return mean, within

    def set_gradients(self, grad_mean: Tensor, grad_log_std: Tensor) -> Tensor:
        """Set the heads' gradients from those of the last outputs; return that of the activity."""
        grad_log_std = grad_log_std * self._inside
        for head, grad in ((self._mean, grad_mean), (self._log_std, grad_log_std)):
            head.weight.grad, head.bias.grad = linear(grad.t(), self._latent.t()), grad.sum(0)
        through = linear(grad_mean, self._mean.weight.t())
        return through.add_(linear(grad_log_std, self._log_std.weight.t()))


class SAC(FusedOffPolicy, stable_baselines3.SAC):
    """Stable-Baselines3's ``SAC``, faster.

    The algorithm, its hyper-parameters, logs and random numbers are the same. With ``fused``, on
    the CPU, under ``SpikingSACPolicy`` with linear heads and critics of rectified units, without
    gSDE and VecNormalize, gradient steps are those of ``snn_gym.learners.TD3``: passes by hand but
    for a spiking actor's, and the squashed Gaussian's gradient in closed form. Weights equal those
    of Stable-Baselines3's loop within rounding. In all other cases that loop runs.

    Args:
        *args: As in Stable-Baselines3's ``SAC``.
        fused: Whether gradient steps are fused where they can be.
        **kwargs: As in Stable-Baselines3's ``SAC``.

    Example:
        >>> from snn_gym.learners import SAC
        >>> from snn_gym.policies import SpikingSACPolicy
        >>> _ = SAC(SpikingSACPolicy, "Pendulum-v1", device="cpu").learn(110)
    """

    same_as: ClassVar[type[BaseAlgorithm]] = stable_baselines3.SAC
    """Equivalent algorithm of another library."""
    policy_kind = SpikingSACPolicy

    def __init__(self, *args: Any, fused: bool = True, **kwargs: Any) -> None:
        self.fused = fused
        self._entropy_step: AdamStep | None = None
        super().__init__(*args, **kwargs)

    def _is_quick(self) -> bool:
        """Return whether fused updates were asked for and serve; they need linear heads."""
        return super()._is_quick() and type(self.actor.mu) is nn.Linear

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Update the policy, as in Stable-Baselines3."""
        if not self._is_quick():
            super().train(gradient_steps, batch_size)
            return
        learned = self.ent_coef_optimizer
        self._begin_updates(*([] if learned is None else [learned]))
        logs: dict[str, list[float]] = {}
        with torch.no_grad():
            for k in range(gradient_steps):
                moves = k % self.target_update_interval == 0
                for name, value in self._update(batch_size, moves=moves).items():
                    logs.setdefault(name, []).append(value)
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, values in logs.items():
            self.logger.record(f"train/{name}", np.mean(values))

    def _update(self, batch_size: int, *, moves: bool) -> dict[str, float]:
        """Make one gradient step, move the targets if asked to, and return values to log."""
        critics, actor, step = self._fused_parts()
        batch = self._draw(batch_size)
        seen = self._normalised(batch.observations, counted=True)
        latent = actor.forward(seen)
        heads = GaussianHeads(self.actor)
        drawn = sample_squashed(*heads.forward(latent))
        weight, logs = self._entropy_weight(drawn.log_probs)
        inputs = torch.cat([seen, batch.actions], 1)
        logs["critic_loss"] = critics.learn(inputs, self._targets(batch, weight), 0.5)
        inputs[:, seen.shape[1] :] = drawn.actions
        values = [critic.forward(inputs) for critic in critics.online]
        least, chosen = torch.cat(values, 1).min(1, keepdim=True)
        # Each row's gradient goes through the critic of the least value.
        share = -1.0 / len(least)
        grad = torch.stack([
            critic.input_gradient(torch.where(chosen == k, share, 0.0), seen.shape[1])
            for k, critic in enumerate(critics.online)
        ]).sum(0)  # fmt: skip
        logs["actor_loss"] = float((weight * drawn.log_probs - least).mean())
        actor.set_gradients(heads.set_gradients(*drawn.gradients(grad, weight / len(least))))
        step.take()
        if moves:
            critics.follow(self.tau)
        return logs

    def _entropy_weight(self, log_probs: Tensor) -> tuple[float, dict[str, float]]:
        """Return the entropy's weight before it learns, and values to log."""
        if self.ent_coef_optimizer is None or self.log_ent_coef is None:
            weight = float(self.ent_coef_tensor)
            return weight, {"ent_coef": weight}
        logarithm = float(self.log_ent_coef.detach())
        weight = math.exp(logarithm)
        missing = float(log_probs.mean()) + float(self.target_entropy)
        self.log_ent_coef.grad = torch.full_like(self.log_ent_coef, -missing)
        step = self._entropy_step
        if step is None or step.optimiser is not self.ent_coef_optimizer:
            step = AdamStep(self.ent_coef_optimizer, [self.log_ent_coef], exactly=False)
            self._entropy_step = step
        step.take()
        return weight, {"ent_coef": weight, "ent_coef_loss": -logarithm * missing}

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_entropy_step"]

    def _targets(self, batch: Batch, weight: float) -> Tensor:
        """Return the values (B, 1) that the critics learn; ``weight`` is the entropy's."""
        critics, actor, _ = self._fused_parts()
        following = self._normalised(batch.next_observations)
        drawn = sample_squashed(*GaussianHeads(self.actor).forward(actor.act(following)))
        least = critics.least_target(following, drawn.actions) - weight * drawn.log_probs
        return batch.rewards + (1 - batch.dones) * self.gamma * least

    def _explore(self, normalised: Tensor) -> Tensor:
        actor = self._fused_parts()[1]
        return sample_squashed(*GaussianHeads(self.actor).forward(actor.act(normalised))).actions
