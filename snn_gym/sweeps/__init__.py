"""Sweeps: plans of many training runs, and the workers that carry them out."""

from snn_gym.leaderboard.plan import Group, Job, Plan, read_plan
from snn_gym.sweeps.runs import Ended, missing, sweep

__all__ = ["Ended", "Group", "Job", "Plan", "missing", "read_plan", "sweep"]
