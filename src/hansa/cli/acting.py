"""What every command shares: the acting profile, --json, errors as exit codes, running a client."""

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

import click
import msgspec

from hansa.client.client import HansaClient
from hansa.client.profile import Profile, load_profile
from hansa.errors import HansaError
from hansa.system import SystemClock, SystemEntropy, WorkerPool

P = ParamSpec("P")
T = TypeVar("T")

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts and how the answer is to be printed."""

    profile_name: str | None
    as_json: bool

    def profile(self) -> Profile:
        """Load the profile.

        Raises:
            HansaError: there is none, or it cannot be read.
        """
        return load_profile(self.profile_name)

    def run(self, call: Callable[[HansaClient], Awaitable[T]]) -> T:
        """Open a client for the profile, await `call(client)`, close it."""
        return run_client(self.profile(), call)

    def print_json(self, value: object) -> None:
        """Print a value as one JSON document on standard output."""
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def run_client(profile: Profile, call: Callable[[HansaClient], Awaitable[T]]) -> T:
    """Run one piece of client work from start to end on its own event loop."""

    async def work() -> T:
        with WorkerPool() as workers:
            async with HansaClient(
                profile, clock=SystemClock(), entropy=SystemEntropy(), workers=workers
            ) as client:
                return await call(client)

    return asyncio.run(work())


def acting(
    function: Callable[Concatenate[Acting, P], None],
) -> Callable[P, None]:
    """Give a command --profile and --json, and turn expected failures into messages and exit codes."""

    @click.option("-p", "--profile", "profile_name", metavar="NAME", help="Who acts.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @click.pass_context
    @functools.wraps(function)
    def command(ctx: click.Context, /, *args: P.args, **options: P.kwargs) -> None:
        named: Any = options.pop("profile_name", None)
        as_json = bool(options.pop("as_json", False))
        outer = ctx.find_root().obj
        try:
            function(Acting(named or outer, as_json), *args, **options)
        except HansaError as error:
            fail(error, as_json=as_json)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            sys.exit(INTERRUPTED)

    return command


def fail(error: HansaError, *, as_json: bool) -> NoReturn:
    """Print an expected failure on standard error and leave with its exit code."""
    if as_json:
        problem = {
            "error": error.code,
            "detail": error.message,
            "remedy": error.remedy,
            "retryable": error.retryable,
        }
        click.echo(msgspec.json.encode(problem).decode(), err=True)
    else:
        click.secho(f"Error: {error.message}", fg="red", err=True)
        if error.remedy:
            click.echo(f"  {error.remedy}", err=True)
    sys.exit(error.exit_code)
