"""Run every benchmark and print its paired ratios: ``make bench``."""

from __future__ import annotations

import platform

import torch

from benchmarks import (
    fused_against_norse,
    recurrent_training,
    rollouts,
    stepping,
    training_speed,
)
from benchmarks.timing import Paired


def main() -> None:
    """Print the tables."""
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, one thread")
    print("\n64-64 LIF neurons, T = 8      ours ms   other ms   times faster (quartiles)")
    for name, timing in fused_against_norse.measure().items():
        low, median, high = timing.ratios
        print(
            f"{name}: {timing.median_a_ms:.3f}  {timing.median_b_ms:.3f}  "
            f"{median:.1f} ({low:.1f} to {high:.1f})"
        )
    print(
        "\nTraining on CartPole-v1       steps/s   other steps/s   share of its speed (quartiles)"
    )
    for name, timing in training_speed.measure().items():
        low, median, high = timing.ratios
        ours, other = (
            training_speed.steps_per_second(ms) for ms in (timing.median_a_ms, timing.median_b_ms)
        )
        print(f"{name}: {ours:.0f}  {other:.0f}  {median:.2f} ({low:.2f} to {high:.2f})")
    print(f"\n{stepping.ENVIRONMENTS} environments, steps/s      batched   SyncVectorEnv   ratio")
    for name, timing in {**stepping.measure_stepping(), **stepping.measure_native()}.items():
        print(f"{name}: {_rates(timing, stepping.ENVIRONMENTS)}")
    print("\nPPO in 64 CartPole-v1, steps/s  make_vec_env   DummyVecEnv   ratio")
    for name, timing in stepping.measure_learning().items():
        print(f"{name}: {_rates(timing, stepping.LEARNING_STEPS)}")
    print(f"\n{recurrent_training.TASK}, training steps/s  ours   RecurrentPPO   ratio")
    for name, timing in recurrent_training.measure().items():
        print(f"{name}: {_rates(timing, recurrent_training.STEPS)}")
    for workers in (1, 2):
        print(
            f"\n{rollouts.NETWORKS} networks, steps/s, {workers} cores   batch   one by one   ratio"
        )
        for name, timing in rollouts.measure(workers).items():
            print(f"{name}: {_rates(timing, 1)}")


def _rates(timing: Paired, steps: int) -> str:
    """Return steps per second of A and B, and A's as a multiple of B's with its quartiles."""
    low, median, high = timing.ratios
    ours, other = (1000 * steps / ms for ms in (timing.median_a_ms, timing.median_b_ms))
    return f"{ours:,.0f}  {other:,.0f}  {median:.1f} ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    main()
