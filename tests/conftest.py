"""What holds for all tests: examples differ from run to run, and nobody's own settings are touched."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hansa.cli.hdfs import HdfsCluster
from hansa.cli.hdfs.jars import JARS_VARIABLE, jars_folder
from tests.hdfs import begin_cluster

# Found before the home is changed: Hadoop is got once for this user, not once for each run.
_HADOOP = jars_folder().parent

# In CI hypothesis would repeat the same examples at each run; a failing one prints how to repeat it.
# No deadline: how long an example takes is the machine's affair, and pytest-timeout ends what hangs.
settings.register_profile(
    "hansa",
    derandomize=False,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "hansa"))


@pytest.fixture(autouse=True, scope="session")
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the tests a home of their own: profiles and passphrases of who runs them stay out."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
        patch.setenv("XDG_DATA_HOME", str(home / ".local" / "share"))
        patch.setenv(JARS_VARIABLE, str(_HADOOP))
        for name in ("HANSA_HOME", "HANSA_PASSPHRASE", "HANSA_PROFILE"):
            patch.delenv(name, raising=False)
        yield home


@pytest.fixture(scope="session")
def hdfs(own_settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """Start one real HDFS for all tests that want one: a NameNode, three DataNodes, replication 2."""
    with begin_cluster(tmp_path_factory.mktemp("hdfs")) as cluster:
        yield cluster
