"""Sweeps: plans of many training runs, and the workers that carry them out."""

from snn_gym.scoring.plan import Group, Job, Plan, read_plan
from snn_gym.sweeps.ended import Ended, missing
from snn_gym.sweeps.local import sweep

__all__ = ["Ended", "Group", "Job", "Plan", "missing", "read_plan", "sweep"]
