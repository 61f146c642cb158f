"""What every command shares: the acting profile, --json, errors as exit codes, running a client."""

import errno
import functools
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, TypeVar

import click
import msgspec

from hansa.cli.show import clean
from hansa.client.profile import Profile, load_profile, passphrase_from_environment
from hansa.errors import (
    DeniedError,
    DiskFullError,
    HansaError,
    InvalidError,
    MissingError,
    UnavailableError,
)

if TYPE_CHECKING:  # the client brings the network and the ciphers; --help and usage need neither
    from hansa.client.client import HansaClient

P = ParamSpec("P")
T = TypeVar("T")

INTERRUPTED = 130
PIPE_CLOSED = 141
"""What a shell reports of a program that wrote into a pipe nobody reads any more."""


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

    def run(self, call: "Callable[[HansaClient], Awaitable[T]]") -> T:
        """Open a client for the profile, await `call(client)`, close it."""
        return run_client(self.profile(), call)

    def print_json(self, value: object) -> None:
        """Print a value as one JSON document on standard output."""
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def run_client(profile: Profile, call: "Callable[[HansaClient], Awaitable[T]]") -> T:
    """Run one piece of client work from start to end on its own event loop."""
    import asyncio  # noqa: PLC0415 - with the client, see the head

    from hansa.client.client import HansaClient  # noqa: PLC0415
    from hansa.system import SystemClock, SystemEntropy, WorkerPool  # noqa: PLC0415

    async def work() -> T:
        with WorkerPool() as workers:
            async with HansaClient(
                profile,
                clock=SystemClock(),
                entropy=SystemEntropy(),
                workers=workers,
                passphrase=ask_passphrase,
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
        except BrokenPipeError:
            leave_pipe()
        except OSError as error:
            fail(of_disk(error), as_json=as_json)
        except ExceptionGroup as group:
            fail(first_expected(group), as_json=as_json)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            sys.exit(INTERRUPTED)

    return command


def fail(error: HansaError, *, as_json: bool) -> NoReturn:
    """Print an expected failure on standard error and leave with its exit code."""
    if as_json:
        print_problem(error.code, error.message, error.remedy, retryable=error.retryable)
    else:
        click.secho(f"Error: {clean(error.message)}", fg="red", err=True)
        for line in error.remedy.splitlines():
            click.echo(f"  {clean(line)}", err=True)
    sys.exit(error.exit_code)


def print_problem(code: str, detail: str, remedy: str, *, retryable: bool) -> None:
    """Print a failure on standard error as one JSON object."""
    problem = {"error": code, "detail": detail, "remedy": remedy, "retryable": retryable}
    click.echo(msgspec.json.encode(problem).decode(), err=True)


def leave_pipe() -> NoReturn:
    """Leave quietly: who read our output, such as `head`, has seen enough."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # what is still buffered goes nowhere, without complaint
    sys.exit(PIPE_CLOSED)


def of_disk(error: OSError) -> HansaError:
    """Return what the operating system refused, as an expected failure that says what to do."""
    what = f"{error.filename}: " if error.filename else ""
    message = f"{what}{error.strerror or error}."
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return DiskFullError(message, remedy="Make room, or choose a place that has some.")
    if isinstance(error, FileNotFoundError):
        return MissingError(message, remedy="Check the path.")
    if isinstance(error, PermissionError):
        return DeniedError(message, remedy="Choose a place where you may read and write.")
    if isinstance(error, IsADirectoryError | NotADirectoryError | FileExistsError):
        return InvalidError(message, remedy="Check the path.")
    return UnavailableError(message, remedy="Check the disk and the path.")


def first_expected(group: ExceptionGroup) -> HansaError:
    """Return the first expected failure of calls that ran at once.

    Raises:
        ExceptionGroup: as given, if there is something unexpected among them.
    """
    expected, unexpected = group.split(HansaError)
    if unexpected is not None or expected is None:
        raise group
    inner: BaseException = expected
    while isinstance(inner, ExceptionGroup):
        inner = inner.exceptions[0]
    assert isinstance(inner, HansaError)
    return inner


@functools.cache
def ask_passphrase() -> bytes | None:
    """Return the passphrase of key files: HANSA_PASSPHRASE, or what is typed at a terminal, once."""
    given = passphrase_from_environment()
    if given is None and sys.stdin.isatty() and sys.stderr.isatty():
        typed = click.prompt(
            "Passphrase of the keys (empty for none)",
            default="",
            show_default=False,
            hide_input=True,
            err=True,
        )
        given = typed.encode() or None
    return given


def warn_of_bare_keys() -> None:
    """Warn on standard error if keys about to be made will have no passphrase."""
    if passphrase_from_environment() is None:
        click.echo(
            "Warning: the new keys are protected by file modes only (0600);"
            " set HANSA_PASSPHRASE to protect them by a passphrase.",
            err=True,
        )
