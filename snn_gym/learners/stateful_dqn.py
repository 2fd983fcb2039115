"""DQN with a state that lasts from one environment step to the next."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.utils import obs_as_tensor
from torch import Tensor
from torch.nn import functional

from snn_gym.learners.sequence_learner import SequenceLearner
from snn_gym.learners.sequence_replay import SequenceReplayBuffer, SequenceSamples
from snn_gym.policies.stateful import State, reset_where
from snn_gym.policies.stateful_dqn import StatefulDQNPolicy, StatefulQNetwork

_FIXED = ("replay_buffer_class", "replay_buffer_kwargs", "optimize_memory_usage")


class StatefulDQN(SequenceLearner, DQN):
    """Deep Q-learning on sequences, for any network that carries a state.

    Between environment steps the membranes (and the gated units of a twin) keep their state; an
    episode starts from rest. Sequences are replayed from the state that was carried into them, and
    first steps bring that state up to date with the present weights, as in R2D2 (Kapturowski et al.
    2019, https://openreview.net/forum?id=r1lyTjAqYX): online and target network each by its own
    burn-in. Of R2D2 neither prioritised replay nor the rescaled value is here.

    A step t is learned from towards ``r_t + ... + gamma^n Q_target(s_{t+n}, a)``, where a is the
    online network's best action (van Hasselt et al. 2016, https://arxiv.org/abs/1509.06461) and the
    sum ends where the episode does. If the episode was cut within these n steps by a limit or a
    reset, the step has no loss: what would have followed is not known.

    No update is made before the replay buffer holds one whole sequence, whatever
    ``learning_starts`` says. Epsilon-greedy exploration tosses a coin for each environment copy.
    Everything else is Stable-Baselines3's DQN.

    Args:
        policy: ``StatefulDQNPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        learning_rate: As in DQN.
        sequence_length: Environment steps of a sequence that are learned from.
        burn_in_steps: Environment steps before them that bring the state up to date, without
            gradient; at most ``sequence_length``.
        bptt_steps: Environment steps that a gradient passes back; None for whole sequences.
        double_q: Whether the online network chooses the action that the target network values;
            else the target network does both.
        **kwargs: Further arguments of DQN. ``batch_size`` counts environment steps that are learned
            from, a multiple of ``sequence_length``; ``n_steps`` is n above.

    Raises:
        ValueError: The lengths do not fit each other or the buffer, observations are a Dict, or
            another replay buffer is asked for.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"StatefulDQNPolicy": StatefulDQNPolicy}
    policy: StatefulDQNPolicy
    q_net: StatefulQNetwork
    q_net_target: StatefulQNetwork
    sequence_length: int

    def __init__(
        self,
        policy: str | type[StatefulDQNPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 1e-4,
        *,
        sequence_length: int = 32,
        burn_in_steps: int = 8,
        bptt_steps: int | None = None,
        double_q: bool = True,
        **kwargs: Any,
    ) -> None:
        for name in _FIXED:
            if kwargs.get(name):
                raise ValueError(
                    f"StatefulDQN replays from its own SequenceReplayBuffer, got {name}="
                    f"{kwargs[name]!r}; leave it out"
                )
        self.double_q = double_q
        self._next_states: Tensor | None = None  # after the present step, (n_envs, S)
        super().__init__(
            policy,
            env,
            learning_rate,
            sequence_length=sequence_length,
            bptt_steps=bptt_steps,
            burn_in_steps=burn_in_steps,
            **kwargs,
        )

    def _setup_model(self) -> None:
        self._check()
        with self._temporarily(buffer_size=self.n_envs, n_steps=1):
            super()._setup_model()
        self.replay_buffer = SequenceReplayBuffer(
            self.buffer_size,
            self.observation_space,
            self.action_space,
            self.device,
            self.n_envs,
            state_size=self.policy.rest_state(1).shape[1],
            sequence_length=self.sequence_length,
            burn_in_steps=self.burn_in_steps,
            n_steps=self.n_steps,
            truncate_every=self.bptt_steps,
        )

    def _check(self) -> None:
        self._check_lengths(self.sequence_length, self.batch_size)
        if self.n_steps < 1:
            raise ValueError(f"n_steps must be at least 1, got {self.n_steps}; 1 is plain DQN")
        if isinstance(self.observation_space, spaces.Dict):
            raise ValueError(
                f"StatefulDQN takes no Dict observations, got {self.observation_space}; wrap the "
                "environment in gymnasium.wrappers.FlattenObservation"
            )

    def _sample_action(
        self,
        learning_starts: int,
        action_noise: ActionNoise | None = None,
        n_envs: int = 1,
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Choose actions in a rollout, as Stable-Baselines3 does; all states advance."""
        del action_noise  # DQN has none
        starts = torch.as_tensor(np.asarray(self._last_episode_starts, bool), device=self.device)
        self._last_states = reset_where(starts, self.states(n_envs), self.policy.rest_state(1))
        with torch.no_grad():
            obs = obs_as_tensor(self._last_obs, self.device)  # type: ignore[arg-type]
            q_values, self._next_states = self.q_net(obs, self._last_states)
        greedy = q_values.argmax(dim=1).cpu().numpy()
        warming_up = self.num_timesteps < learning_starts
        actions = self._explore(greedy, 1.0 if warming_up else self.exploration_rate)
        return actions, actions

    def _explore(self, greedy: NDArray[Any], rate: float) -> NDArray[Any]:
        """Return actions () or (B,), each of them random at a rate, by a coin of its own."""
        actions = np.array(greedy)
        flat = actions.reshape(-1)  # a view
        coins = torch.rand(len(flat)).numpy() < rate
        flat[coins] = [self.action_space.sample() for _ in range(coins.sum())]
        return actions

    def predict(
        self,
        observation: NDArray[Any] | dict[str, NDArray[Any]],
        state: State | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], State | None]:
        """Choose actions as the policy does, epsilon-greedily unless ``deterministic``.

        The state always advances.
        """
        actions, carried = self.policy.predict(observation, state, episode_start, True)
        if not deterministic:
            actions = self._explore(actions, self.exploration_rate)
        return actions, carried

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: NDArray[Any],
        new_obs: NDArray[Any] | dict[str, NDArray[Any]],
        reward: NDArray[Any],
        dones: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a step of every environment with the states before it."""
        assert isinstance(replay_buffer, SequenceReplayBuffer)
        assert self._last_states is not None  # set when the actions were chosen
        starts = np.asarray(self._last_episode_starts, bool)
        replay_buffer.enter_step(self._last_states.cpu().numpy(), starts)
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
        self._last_states = self._next_states
        self._last_episode_starts = dones

    def train(self, gradient_steps: int, batch_size: int = 32) -> None:
        """Update the online network on replayed sequences.

        Args:
            gradient_steps: Updates.
            batch_size: Environment steps to learn from in each, a multiple of ``sequence_length``.
        """
        assert isinstance(self.replay_buffer, SequenceReplayBuffer)
        if not self.replay_buffer.sequences:
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        losses = []
        for _ in range(gradient_steps):
            samples = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            loss = self._loss(samples)
            self.policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            losses.append(loss.item())
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", np.mean(losses))

    def _loss(self, samples: SequenceSamples) -> Tensor:
        """Return the mean Huber loss of the steps whose target is known; 0 if there is none."""
        q_values = self.q_net.sequence(samples.sequences)
        with torch.no_grad():
            target_values = self.q_net_target.sequence(samples.sequences)
            chooser = q_values if self.double_q else target_values
            best = chooser.argmax(dim=2, keepdim=True)
            bootstrap = target_values.gather(2, best).squeeze(2)
            targets, known = n_step_targets(samples, bootstrap, self.gamma, self.n_steps)
        present = q_values[: len(samples.actions)].gather(2, samples.actions.long()).squeeze(2)
        losses = functional.smooth_l1_loss(present, targets, reduction="none")
        return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_next_states"]


def n_step_targets(
    samples: SequenceSamples, bootstrap: Tensor, gamma: float, n_steps: int
) -> tuple[Tensor, Tensor]:
    """Return what Q-values shall become, and where that is known.

    Args:
        samples: B sequences of L steps to learn from.
        bootstrap: (L + n, B) float32, estimated value of each step's observation.
        gamma: Discount of a reward one environment step later.
        n_steps: Rewards n summed before an estimate is added.

    Returns:
        Targets (L, B) float32; and (L, B), bool: the episode was not cut within n steps.
    """
    length = len(samples.actions)
    targets = torch.zeros_like(bootstrap[:length])
    lasts = torch.ones_like(targets, dtype=torch.bool)
    known = lasts.clone()
    for step in range(n_steps):
        rows = slice(step, step + length)
        targets = targets + gamma**step * torch.where(lasts, samples.rewards[rows], 0.0)
        known &= ~(lasts & samples.truncated[rows])
        lasts = lasts & ~samples.terminated[rows]
    return targets + gamma**n_steps * torch.where(lasts, bootstrap[n_steps:], 0.0), known
