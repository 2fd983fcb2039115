"""The name that somebody may have meant."""

from snn_gym._base.names import did_you_mean


def test_the_nearest_name_is_asked_for():
    assert did_you_mean("ppo-lfi", ["dqsn", "ppo-lif"]) == "; did you mean 'ppo-lif'?"
    assert did_you_mean("x", ["dqsn", "ppo-lif"]) == ";"
    assert did_you_mean("x", [], "; none") == "; none"
