"""`hansa receipt`: proof that a transaction is on the chain, checked with nothing but the genesis."""

import errno
import os
from pathlib import Path

import click

from hansa.chain.genesis import Genesis, decode_genesis
from hansa.chain.receipts import VerifiedReceipt, compare_receipts, verify_receipt
from hansa.cli.acting import Acting, acting
from hansa.cli.show import print_fields, time_text
from hansa.cli.values import DIGEST
from hansa.errors import ConflictError, HansaError, InvalidError


@click.group()
def receipt() -> None:
    """Export receipts and verify them offline."""


@receipt.command("export", epilog="\b\nExample:\n  hansa receipt export TRANSACTION -o r.receipt")
@click.argument("transaction", type=DIGEST)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; default: TRANSACTION.receipt",
)
@acting
def export(acting: Acting, transaction: str, output: Path | None) -> None:
    """Write the receipt of a transaction to a file, verified before it is written."""
    path = output or Path(f"{transaction}.receipt")
    if path.exists():
        raise ConflictError(f"{path} exists.", remedy="Name another file with --output.")
    if not os.access(path.parent, os.W_OK | os.X_OK):  # told before a node is asked
        reason = errno.EACCES if path.parent.is_dir() else errno.ENOENT
        raise OSError(reason, os.strerror(reason), str(path))
    data = acting.run(lambda client: client.export_receipt(bytes.fromhex(transaction)))
    path.write_bytes(data)
    if acting.as_json:
        acting.print_json({"receipt": str(path), "bytes": len(data), "transaction": transaction})
    else:
        click.echo(f"{path}: {len(data)} bytes")


@receipt.command(
    "verify", epilog="\b\nExample:\n  hansa receipt verify r.receipt --genesis genesis.hansa"
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--genesis",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The alliance's genesis file; default: the profile's.",
)
@click.option(
    "--against",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another receipt that must be of the same chain; may be given several times.",
)
@acting
def verify(acting: Acting, file: Path, genesis: Path | None, against: tuple[Path, ...]) -> None:
    """Verify a receipt offline: only the genesis is trusted, nothing is asked of any node."""
    trusted = decode_genesis((genesis or acting.profile().genesis_file).read_bytes())
    verified = _read(file, trusted)
    for path in against:
        compare_receipts(verified, _read(path, trusted))
    told = {
        "transaction": verified.transaction.digest().hex(),
        "height": verified.header.height,
        "accepted": verified.result.accepted,
        "code": verified.result.code,
        "author": verified.transaction.body.author.hex(),
        "operations": [type(item).__name__ for item in verified.transaction.body.operations],
        "block": verified.header.digest().hex(),
        "time_ms": verified.header.time_ms,
        "alliance": trusted.digest().hex(),
    }
    if acting.as_json:
        acting.print_json({"valid": True, **told})
        return
    click.secho("The receipt is valid.", fg="green")
    print_fields(
        [
            (
                "time (UTC)" if k == "time_ms" else k,
                time_text(verified.header.time_ms) if k == "time_ms" else v,
            )
            for k, v in told.items()
        ]
    )


def _read(file: Path, trusted: Genesis) -> VerifiedReceipt:
    """Return what a receipt in a file proves."""
    data = file.read_bytes()
    if not data:
        raise InvalidError(f"{file} is empty: it is no receipt.", remedy="Export it again.")
    try:
        return verify_receipt(data, trusted)
    except HansaError as error:
        raise type(error)(
            f"{file} is no valid receipt of {trusted.name!r}: {error.message}",
            remedy=error.remedy or "Export it again, and verify it with its alliance's genesis.",
        ) from error
