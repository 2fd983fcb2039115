"""Mean scores of scripted policies."""

import gymnasium as gym

from references import RandomActions, play, scripted_policy


def mean_scores(env_id, num_envs, kinds):
    """Return the mean return of each kind of policy and of random actions, by kind."""
    task = gym.make_vec(env_id, num_envs)
    policies = {kind: scripted_policy(task, kind) for kind in kinds}
    policies["random"] = RandomActions(task)
    return {kind: play(task, policy, seed=0).mean() for kind, policy in policies.items()}
