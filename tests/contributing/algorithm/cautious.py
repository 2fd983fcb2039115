"""An algorithm from outside: PPO that stays near the policy it began with."""

from dataclasses import dataclass

from stable_baselines3 import PPO

from snn_gym import register_learner
from snn_gym._base.config import NonNegative
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.zoo.algorithms import PPOSettings


class CautiousPPO(PPO):
    """PPO whose weights are pulled back to those at the start after each update."""

    def __init__(self, *args, caution=0.1, **kwargs):
        self.caution = caution
        super().__init__(*args, **kwargs)

    def _setup_model(self):
        super()._setup_model()
        self.first = [weight.detach().clone() for weight in self.policy.parameters()]

    def train(self):
        super().train()
        for weight, first in zip(self.policy.parameters(), self.first, strict=True):
            weight.data.lerp_(first, self.caution)


@dataclass(frozen=True)
class CautiousPPOSettings(PPOSettings):
    caution: NonNegative = 0.1
    """Share of the way back to the first weights after each update."""


register_learner("CautiousPPO", CautiousPPO, SpikingActorCriticPolicy, CautiousPPOSettings)
