"""Entry point of the `hansa` command: noun then verb, each noun's module loaded only when used."""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click
from typing_extensions import override

import hansa

NOUNS = {
    "alliance": "Found, join and look at an alliance.",
    "node": "Run this organisation's node.",
    "organisation": "See, admit and suspend members.",
    "user": "Add, list and revoke users of the own organisation.",
    "supernode": "See super nodes and vote for them.",
    "dataset": "Publish, find, show and fetch datasets.",
    "access": "Request, grant, deny and revoke access.",
    "block": "Look at the chain's blocks.",
    "tx": "Look at transactions.",
    "receipt": "Export receipts and verify them offline.",
    "store": "Look at and check the own store.",
    "index": "Look at the index; explain a question.",
    "devnet": "Run an alliance on this machine, in one folder.",
    "sim": "Run the agreement under faults and lies, on a virtual clock.",
    "demo": "See the whole story on real city data.",
}

EXIT_CODES = """\b
Exit codes: 0 done; 1 unexpected; 2 wrong usage; 3 invalid; 4 denied;
5 missing; 6 conflict; 7 unavailable, try later; 8 corrupt;
9 protocol; 130 interrupted; 141 the reader of a pipe went away."""

EXAMPLES = """\b
Examples:
  hansa demo
  hansa devnet up --dir city --organisations transport,health,safety,energy
  hansa --profile transport dataset publish stops.csv --title "Bus stops"
  hansa --profile health dataset find bus stops --json"""


class LazyGroup(click.Group):
    """A group whose commands live in `hansa.cli.<noun>` and are imported on first use."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NOUNS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NOUNS:
            return None
        module = importlib.import_module(f"hansa.cli.{cmd_name}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    @override
    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and leave with its exit code; the one place where a fault ends a command."""
        # On a machine with other work BLAS's second thread spins, and clustering takes three times the
        # processor time. numpy is not loaded yet.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        words = list(sys.argv[1:] if args is None else args)
        run, name = super().main, prog_name or "hansa"
        if not standalone_mode:
            return run(words, name, complete_var, standalone_mode=False, **extra)
        try:
            code = run(words, name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            _refuse_usage(error, as_json="--json" in words)
        except (click.Abort, KeyboardInterrupt):
            click.echo("Interrupted.", err=True)
            sys.exit(130)
        except OSError as error:  # --help and --version, into a full disk or a closed pipe
            from hansa.cli.acting import fail, leave_pipe, of_disk  # noqa: PLC0415 - seldom

            if isinstance(error, BrokenPipeError):
                leave_pipe()
            fail(of_disk(error), as_json="--json" in words)
        except Exception as error:  # noqa: BLE001 - the task root of every command
            _tell_fault(error, as_json="--json" in words)
        sys.exit(code if isinstance(code, int) else 0)

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # The texts stand here, so that --help imports no noun.
        with formatter.section("Commands"):
            formatter.write_dl(list(NOUNS.items()))


def _refuse_usage(error: click.ClickException, *, as_json: bool) -> NoReturn:
    """Say what is wrong with the words of a command, as text or as JSON."""
    if as_json:
        from hansa.cli.acting import print_problem  # noqa: PLC0415 - --help needs none of it

        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "hansa"
        detail = error.format_message()
        print_problem("usage", detail, f"Look at `{path} --help`.", retryable=False)
    else:
        error.show()
    sys.exit(error.exit_code)


def _tell_fault(error: Exception, *, as_json: bool) -> NoReturn:
    """Say that Hansa itself is at fault; the trace is for whoever mends it."""
    detail = f"{type(error).__name__}: {error}"
    remedy = "This is a fault of Hansa, not of what you gave; report it with the lines above."
    if as_json:
        from hansa.cli.acting import print_problem  # noqa: PLC0415 - --help needs none of it

        trace = "".join(traceback.format_exception(error)[-3:])
        print_problem("error", f"{detail}\n{trace}", remedy, retryable=False)
    else:
        traceback.print_exception(error)
        click.secho(f"Error: unexpected {detail}", fg="red", err=True)
        click.echo(f"  {remedy}", err=True)
    sys.exit(1)


@click.group(
    "hansa",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXAMPLES + "\n\n" + EXIT_CODES,
)
@click.option(
    "-p",
    "--profile",
    envvar="HANSA_PROFILE",
    metavar="NAME",
    help="Who acts: a profile's name or file. Also HANSA_PROFILE.",
)
@click.version_option(hansa.__version__, prog_name="hansa")
@click.pass_context
def main(ctx: click.Context, profile: str | None) -> None:
    """Share data between the organisations of a city: encrypted, found, agreed on, provable."""
    ctx.obj = profile
    if not __debug__:
        raise click.UsageError(
            "Hansa does not run under python -O: its safety checks would be off."
        )


if __name__ == "__main__":
    sys.exit(main())
