"""Pictures of a training run: spikes, membrane traces, learning curve, dynamics."""

from snn_gym.plotting.run import FORMATS, Pictures, plot_run

__all__ = ["FORMATS", "Pictures", "plot_run"]
