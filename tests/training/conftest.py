import pytest

from tests.training._runs import run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folders of runs that were never killed, trained on first use."""
    root = tmp_path_factory.mktemp("finished")

    def get(agent, env_id="CartPole-v1", **options):
        folder = root / agent / env_id
        if not folder.exists():
            run(agent, folder, env_id=env_id, **options)
        return folder

    return get
