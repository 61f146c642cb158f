"""`python -m hansa.cli.hdfs up|down|status`: what `make hdfs-up` and `make hdfs-down` call."""

import sys
from pathlib import Path

import click
import msgspec
import platformdirs

from hansa.cli.hdfs.cluster import HdfsCluster
from hansa.errors import HansaError

_folder = click.option(
    "--dir",
    "folder",
    default=lambda: platformdirs.user_state_path("hansa") / "hdfs",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the cluster; default: one for this user.",
)


@click.group()
def main() -> None:
    """Run a real HDFS on this machine: a NameNode and DataNodes, each a process of its own."""


@main.command()
@_folder
@click.option("--datanodes", default=3, show_default=True, type=click.IntRange(1, 16))
@click.option("--replication", default=2, show_default=True, type=click.IntRange(1, 16))
def up(folder: Path, datanodes: int, replication: int) -> None:
    """Start it; the first time this gets Hadoop, about 65 MB."""
    cluster = HdfsCluster(folder).start(datanodes=datanodes, replication=replication)
    _show(cluster)


@main.command()
@_folder
def down(folder: Path) -> None:
    """Stop it; its data stay."""
    click.echo("HDFS is stopped." if HdfsCluster(folder).stop() else "No HDFS was running.")


@main.command()
@_folder
def status(folder: Path) -> None:
    """Show whether it runs."""
    _show(HdfsCluster(folder))


def _show(cluster: HdfsCluster) -> None:
    for name, value in msgspec.to_builtins(cluster.view()).items():
        click.echo(f"{name:24} {value}")


if __name__ == "__main__":
    try:
        main()
    except HansaError as error:
        sys.stderr.write(f"Error: {error.message}\n  {error.remedy}\n")
        sys.exit(error.exit_code)
