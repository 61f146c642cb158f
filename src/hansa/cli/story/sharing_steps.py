"""The story's second half: refused, requested, granted, fetched; the master dies; what can be proved."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from hansa import rest
from hansa.cli import processes
from hansa.cli.show import bytes_text, transfer_progress
from hansa.cli.story.stage import MARKER, ORGANISATIONS, Stage
from hansa.client.share import OpenedRequest
from hansa.errors import DeniedError

CATCH_UP_S_MAX = 60
RECEIPTS_S_MAX = 30
NOTE_S_MAX = 10
POLL_S = 0.1


async def refused(stage: Stage) -> None:
    """A read without a grant is refused, with the reason."""
    stage.checks.begin(
        "Safety reads without a grant",
        "Everybody may find a dataset; only who was granted access may read it.",
    )
    dataset = bytes.fromhex(stage.datasets["copy"])
    output = stage.scratch / "refused"
    try:
        await stage.clients["safety"].fetch(dataset, output)
    except DeniedError as error:
        stage.checks.that(True, "refused, with the reason", error.message)
    else:
        stage.checks.that(False, "refused", "it was served")
    written = list(output.rglob("*")) if output.exists() else []
    stage.checks.that(not any(path.is_file() for path in written), "nothing was written")


async def shared(stage: Stage) -> None:
    """Request with a confidential purpose, grant, fetch, compare."""
    checks = stage.checks
    checks.begin(
        "Safety asks with a purpose, environment grants, safety fetches",
        "Request and grant are agreed on in blocks; the data key goes sealed to the requester alone.",
    )
    dataset = bytes.fromhex(stage.datasets["copy"])
    purpose = f"Compare with the {MARKER}"
    asked = await stage.clients["safety"].request_access(dataset, purpose=purpose)
    stage.transactions.append(asked.status.transaction)
    await stage.everywhere(asked.status.height)
    checks.that(
        asked.status.status == "committed",
        "the request is agreed on",
        f"block {asked.status.height}",
    )
    opened = await _opened(stage, asked.request.hex())
    checks.that(
        opened is not None and purpose in opened.justification,
        "the owner reads the confidential purpose",
        f"everybody else sees the word “{opened.view.purpose}”" if opened else "no request seen",
    )
    granted = await stage.clients["environment"].grant_access(asked.request)
    stage.transactions.append(granted.status.transaction)
    await stage.everywhere(granted.status.height)
    stage.grant_transaction = granted.status.transaction
    checks.that(
        granted.status.status == "committed",
        "the grant is agreed on",
        f"block {granted.status.height}",
    )
    with transfer_progress(hidden=False) as progress:
        task = progress.add_task("fetching", total=None)
        fetched = await stage.clients["safety"].fetch(
            dataset,
            stage.scratch / "fetched",
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    original = (stage.scratch / "sunshine-copy.csv").read_bytes()
    checks.that(
        len(fetched.files) == 1 and fetched.files[0].read_bytes() == original,
        "fetched through its address, decrypted, verified, identical",
        bytes_text(fetched.bytes),
    )


async def _opened(stage: Stage, request: str) -> OpenedRequest | None:
    """Return a request as its owner sees it; its note may arrive a little after its block."""
    seen: OpenedRequest | None = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(NOTE_S_MAX):
            while seen is None or not seen.justification:
                found = await stage.clients["environment"].list_requests("owner")
                seen = next((item for item in found if item.view.id == request), None)
                await asyncio.sleep(POLL_S)
    return seen


async def master_killed(stage: Stage) -> None:
    """Kill the master's process; go on; bring it back; compare."""
    checks = stage.checks
    checks.begin(
        "The master is killed with kill -9",
        "The master is the super node whose turn it is to propose the next block.",
    )
    watcher = "energy"
    master = (await stage.status(watcher)).master
    height = (await stage.status(watcher)).height
    pid = processes.kill_process(stage.alliance.node_folder(master))
    checks.tell(f"killed: {master} (process {pid}), master of the block after {height}")
    actor = next(name for name in ORGANISATIONS if name not in (master, watcher))
    sample = next(item for item in stage.sample if item.organisation == actor)
    status = await stage.clients[actor].publish(
        sample.paths(1), title=f"{sample.title}, once more", description="While one is down."
    )
    stage.transactions.append(status.status.transaction)
    checks.that(
        status.status.status == "committed", "the alliance goes on", f"block {status.status.height}"
    )
    checks.that(stage.process(master) is None, f"{master} is still down")
    stage.alliance.start(master)
    await stage.alliance.wait_ready(stage.clients[master], master)
    held = await _converged(stage)
    checks.that(held is not None, f"{master} is back and has caught up", held or "not in time")


async def _converged(stage: Stage) -> str | None:
    """Wait until all nodes have one height and one state root; say which."""
    try:
        async with asyncio.timeout(CATCH_UP_S_MAX):
            while True:
                seen = [await stage.status(name) for name in ORGANISATIONS]
                if len({(view.height, view.state_root, view.tip) for view in seen}) == 1:
                    return f"height {seen[0].height}, state {seen[0].state_root[:16]}… on all six"
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        return None


async def copies_erased(stage: Stage) -> None:
    """Copies of every transaction erased and acknowledged."""
    checks = stage.checks
    checks.begin(
        "Copies of every transaction are erased and acknowledged",
        "Super nodes hold a copy only while they decide; each signs that its copy is gone.",
    )
    missing: list[str] = []
    acknowledged = 0
    try:
        async with asyncio.timeout(RECEIPTS_S_MAX):
            while True:
                missing, acknowledged = await _count_erasures(stage)
                if not missing:
                    break
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        checks.tell(f"not acknowledged in time: {', '.join(missing[:5])}")
    checks.that(
        not missing,
        f"{len(stage.transactions)} transactions, each acknowledged by a quorum on the chain",
        f"{acknowledged} signed acknowledgements",
    )
    held = [(await stage.status(name)).copies_held for name in ORGANISATIONS]
    checks.that(sum(held) == 0, "no node holds a copy now", f"{sum(held)} copies on six nodes")


async def _count_erasures(stage: Stage) -> tuple[list[str], int]:
    missing, acknowledged = [], 0
    for transaction in stage.transactions:
        detail = await stage.clients["planning"].get(
            f"/v1/transactions/{transaction}/detail", rest.TransactionDetail
        )
        recorded = {item.organisation for item in detail.erasures if item.recorded_at}
        acknowledged += len(recorded)
        if len(recorded) < 3:
            missing.append(f"{transaction[:12]}: {len(recorded)}")
    return missing, acknowledged


async def proved(stage: Stage) -> None:
    """Export a receipt; verify it offline in another process that has only the genesis."""
    checks = stage.checks
    checks.begin(
        "A receipt is exported and verified offline",
        "Proof that the grant stands on the chain, for somebody who can ask no node.",
    )
    data = await stage.clients["safety"].export_receipt(bytes.fromhex(stage.grant_transaction))
    receipt = stage.scratch / "grant.receipt"
    receipt.write_bytes(data)
    genesis = stage.alliance.folder / "genesis.hansa"
    code, told = await asyncio.to_thread(_verify_offline, stage.scratch, receipt, genesis)
    checks.that(
        code == 0 and told.get("transaction") == stage.grant_transaction,
        "verified with nothing but the genesis",
        f"{len(data)} bytes, block {told.get('height')}",
    )
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 1
    receipt.write_bytes(changed)
    code, _ = await asyncio.to_thread(_verify_offline, stage.scratch, receipt, genesis)
    checks.that(code != 0, "with one bit changed it is refused", f"exit code {code}")


def _verify_offline(scratch: Path, receipt: Path, genesis: Path) -> tuple[int, dict[str, object]]:
    command = [sys.executable, "-m", "hansa.cli.main", "receipt", "verify", str(receipt)]
    command += ["--genesis", str(genesis), "--json"]
    environment = {**os.environ, "HANSA_HOME": str(scratch / "nobody")}
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        command, capture_output=True, check=False, env=environment, timeout=60
    )
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 else {}


async def nothing_in_clear(stage: Stage) -> None:
    """Look for the planted words in every file of every node."""
    checks = stage.checks
    checks.begin(
        "Nothing in clear at any node",
        "The demo planted the same words in a published file and in the confidential purpose.",
    )
    files, size, found = await asyncio.to_thread(_search, stage)
    checks.that(
        not found and files > 0,
        "the words are in no node's folder, store or log",
        f"{files} files, {bytes_text(size)} searched{': ' + ', '.join(found) if found else ''}",
    )


def _search(stage: Stage) -> tuple[int, int, list[str]]:
    files = size = 0
    found = []
    folders = [stage.alliance.node_folder(name) for name in ORGANISATIONS]
    if stage.alliance.hdfs is not None:  # blocks on the DataNodes' disks, names in the NameNode's
        folders.append(stage.alliance.hdfs.folder)
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                files, size = files + 1, size + len(data)
                if MARKER.encode() in data:
                    found.append(str(path))
    return files, size, found


STEPS = (refused, shared, master_killed, copies_erased, proved, nothing_in_clear)
