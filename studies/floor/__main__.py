"""Search and report: ``python -m studies.floor {run [--only TEXT],report,picture}``.

Numerics are portable. What is tested stands in ``studies/registered.toml``.
"""

import snn_gym

if __name__ == "__main__":
    snn_gym.portable()
    # With these comes torch, whose numerics are set by now.
    from studies.floor.picture import picture
    from studies.floor.search import STUDY
    from studies.runs import command_line

    command_line(STUDY, picture=picture)
