"""`hansa demo`: the whole story on real city data, every step checked."""

import asyncio
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import click
import msgspec
from rich.console import Console

import hansa
from hansa.cli.acting import Acting, acting
from hansa.cli.devnet import store_url
from hansa.cli.local_alliance import LocalAlliance
from hansa.cli.story import data_steps, sharing_steps
from hansa.cli.story.catalogue import load_sample
from hansa.cli.story.checks import Checks
from hansa.cli.story.stage import ORGANISATIONS, SUPER_NODES, Stage
from hansa.errors import HansaError
from hansa.system import SystemClock


@click.command(
    epilog="\b\nExamples:\n  hansa demo\n  hansa demo --store hdfs\n  hansa demo --keep\n  hansa demo --json checks.json"
)
@click.option("--store", default="file", show_default=True, help="file, hdfs, or a store URL.")
@click.option("--keep", is_flag=True, help="Leave the alliance running, and say how to use it.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the alliance; default: a temporary one.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all checks to this file.",
)
@click.pass_context
def demo(
    ctx: click.Context, store: str, keep: bool, folder: Path | None, json_file: Path | None
) -> None:
    """Six organisations share real open city data, on this machine; exit code 0 if all held."""
    ctx.invoke(_run, store=store, keep=keep, folder=folder, json_file=json_file)


@click.command(hidden=True)
@acting
def _run(
    acting: Acting,  # noqa: ARG001 - the frame turns errors into exit codes
    store: str,
    keep: bool,
    folder: Path | None,
    json_file: Path | None,
) -> None:
    if json_file is not None:
        json_file.open("ab").close()  # what cannot be written is told before anything starts
    console = Console(soft_wrap=True)
    checks = Checks(console)
    clock = SystemClock()
    began_ms = clock.monotonic_ms()
    made = folder is None
    home = folder or Path(tempfile.mkdtemp(prefix="hansa-demo-"))
    url = store_url(store)
    scratch = Path(tempfile.mkdtemp(prefix="hansa-demo-files-"))
    alliance: LocalAlliance | None = None
    finished = False
    try:
        alliance = LocalAlliance.create(home, ORGANISATIONS, SUPER_NODES, url, tied=not keep)
        asyncio.run(_tell(alliance, checks, scratch))
        finished = True
    finally:
        seconds = (clock.monotonic_ms() - began_ms) / 1000
        # First of all no node stays behind, whatever becomes of the file.
        if alliance is not None and not (keep and finished):
            alliance.stop()
        if made and not (keep and finished):
            shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)
        if json_file is not None:
            _write(json_file, checks, seconds, finished=finished)
    failed = [check for check in checks.made if not check.held]
    console.print(
        f"\n{len(checks.made) - len(failed)} of {len(checks.made)} checks held, {seconds:.0f} s."
    )
    if keep and alliance is not None:
        _say_how(console, alliance)
    sys.exit(0 if checks.all_held else 1)


async def _tell(alliance: LocalAlliance, checks: Checks, scratch: Path) -> None:
    """Start the alliance and tell every step of the story."""
    checks.console.print(
        "[bold]Six organisations of a city share data: all on this machine, each with its own node."
        "[/bold]\n    Each ✔ is something that was checked just now; ✘ would be one that failed.\n"
    )
    checks.console.print("[bold] 0  Six nodes start[/bold]")
    await alliance.up(checks.tell)
    async with alliance.clients() as clients:
        stage = Stage(alliance, clients, checks, scratch, load_sample())
        for step in (*data_steps.STEPS, *sharing_steps.STEPS):
            try:
                await step(stage)
            except HansaError as error:
                checks.that(False, f"the step ends: {error.code}", str(error))


def _write(path: Path, checks: Checks, seconds: float, *, finished: bool) -> None:
    document = {
        "version": hansa.__version__,
        "finished": finished,
        "all_held": finished and checks.all_held,
        "seconds": round(seconds, 1),
        "checks": checks.made,
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document)))


def _say_how(console: Console, alliance: LocalAlliance) -> None:
    """Say how to use what was left running."""
    console.print(f"\nThe alliance runs in {alliance.folder}. Try:")
    profile = alliance.folder / "members" / "health" / "profile.toml"
    command = Path(sys.executable).with_name("hansa")
    on_path = shutil.which("hansa") is not None or not command.exists()
    for line in (
        *(() if on_path else (f"export PATH={shlex.quote(str(command.parent))}:$PATH",)),
        f"export HANSA_PROFILE={profile}",
        "hansa alliance status",
        "hansa dataset find bicycle",
        "hansa block ls",
        f"hansa devnet down --dir {alliance.folder}",
    ):
        console.print(f"  {line}", highlight=False)
