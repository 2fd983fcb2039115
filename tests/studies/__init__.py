import pytest

pytest.importorskip("snn_gym_deploy", reason="snn-gym-deploy is not installed")
