"""The story's first half: publish, duplicates, find, what is not there."""

from hansa import rest
from hansa.cli.show import bytes_text, transfer_progress
from hansa.cli.story.catalogue import SampleDataset
from hansa.cli.story.stage import MARKER, ORGANISATIONS, SUPER_NODES, Stage
from hansa.rest import StoreStats


async def elected(stage: Stage) -> None:
    """Six processes, four super nodes elected by votes."""
    checks = stage.checks
    checks.begin(
        "An alliance of six organisations, four of them elected super nodes",
        "Each organisation runs a node of its own. Super nodes review and agree on every change.",
    )
    pids = {view.pid for view in stage.alliance.views() if view.running}
    checks.that(
        len(pids) == len(ORGANISATIONS),
        "six node processes run",
        f"process ids {', '.join(sorted(map(str, pids)))}",
    )
    view = await stage.clients["energy"].get("/v1/super-nodes", rest.SuperNodesView)
    seated = [item for item in view.candidates if item.is_super_node]
    checks.that(
        len(seated) == SUPER_NODES and all(item.votes == len(ORGANISATIONS) for item in seated),
        "four super nodes hold votes of all six, cast on the chain",
        ", ".join(f"{item.organisation} {item.votes}" for item in seated),
    )
    checks.that(
        view.quorum == 3 and view.faults == 1,
        "a block needs three of the four; one of them may fail or lie",
        f"epoch {view.epoch}",
    )


async def publish(stage: Stage) -> None:
    """Publish the first version of every dataset of the sample."""
    checks = stage.checks
    checks.begin(
        "Real open city data is published",
        "Cut into chunks and encrypted by the publisher; its own node stores what it cannot read.",
    )
    bytes_in = bytes_stored = 0
    total = sum(path.stat().st_size for item in stage.sample for path in item.paths(1))
    with transfer_progress(hidden=False) as progress:
        task = progress.add_task("publishing", total=total)
        for item in stage.sample:
            bytes_before = bytes_in

            def advance(done: int, _all: int | None, before: int = bytes_before) -> None:
                progress.update(task, completed=before + done)

            published = await stage.clients[item.organisation].publish(
                item.paths(1),
                progress=advance,
                **item.texts(),  # type: ignore[arg-type]
            )
            stage.datasets[item.title] = published.dataset.hex()
            stage.transactions.append(published.status.transaction)
            await stage.everywhere(published.status.height)
            bytes_in += published.bytes_in
            bytes_stored += published.bytes_stored
    views = await stage.clients["safety"].get("/v1/datasets", list[rest.DatasetView])
    formats = sorted({name for view in views for name in view.formats})
    checks.that(
        len(views) == len(stage.sample),
        "every organisation sees all of them",
        f"{len(views)} datasets, {', '.join(formats)}",
    )
    checks.that(bytes_in == total, "every byte of the files went in", bytes_text(bytes_in))
    checks.that(
        bytes_stored < bytes_in,
        "stored compressed and encrypted",
        f"{bytes_text(bytes_stored)} on the disks",
    )


async def duplicates(stage: Stage) -> None:
    """Publish the later versions; and one file a second time under another name."""
    checks = stage.checks
    checks.begin(
        "Later versions are published: duplicates are dropped",
        "A chunk that the publisher's store holds already is not stored a second time.",
    )
    known_bytes = 0
    for item in stage.sample:
        for number in range(2, len(item.versions) + 1):
            published = await stage.clients[item.organisation].publish(
                item.paths(number), dataset=bytes.fromhex(stage.datasets[item.title])
            )
            stage.transactions.append(published.status.transaction)
            await stage.everywhere(published.status.height)
            known_bytes += published.duplicate_bytes
            checks.that(
                published.version == number,
                f"{item.title}, version {number}",
                f"{bytes_text(published.bytes_in)} in, {bytes_text(published.bytes_stored)} stored,"
                f" {published.duplicates} of {published.chunks} chunks known",
            )
    known_bytes += await _publish_twice(
        stage, next(item for item in stage.sample if "Sunshine" in item.title)
    )
    stats = await stage.clients["environment"].get("/v1/store", StoreStats)
    checks.that(
        stats.duplicate_bytes > 0,
        "environment's store holds each of its chunks once",
        f"{stats.chunks} chunks, {bytes_text(stats.stored_bytes)} encrypted",
    )
    checks.that(
        known_bytes > 0,
        "what was known already was dropped",
        f"{bytes_text(known_bytes)} of the files published in this step",
    )


async def _publish_twice(stage: Stage, item: SampleDataset) -> int:
    """Publish a marked copy of known data; return how many plain bytes were duplicates."""
    original = item.paths(len(item.versions))[0].read_bytes()
    copy = stage.scratch / "sunshine-copy.csv"
    copy.write_bytes(original + f"\n{MARKER}\n".encode())
    published = await stage.clients[item.organisation].publish(
        [copy], title="Sunshine, a working copy", description="A copy with one line more."
    )
    stage.datasets["copy"] = published.dataset.hex()
    stage.transactions.append(published.status.transaction)
    await stage.everywhere(published.status.height)
    stage.checks.that(
        0 < published.bytes_stored < published.bytes_in / 2 and published.duplicates > 0,
        "the same data again with one line more",
        f"{bytes_text(published.bytes_in)} in, {bytes_text(published.bytes_stored)} stored",
    )
    return published.duplicate_bytes


async def find(stage: Stage) -> None:
    """Find by words, place, time and theme, asking another organisation's node."""
    checks = stage.checks
    checks.begin(
        "Health looks for data: by words, place, time, theme, likeness",
        "Health asks its own node; every node keeps an index of all descriptions, not of the data.",
    )
    client = stage.clients["health"]
    ids = stage.datasets
    asked = [
        ("words", rest.Question(words="bicycle stations"), "Bicycle share stations"),
        ("words with a prefix", rest.Question(words="photovolt*"), "Solar installations"),
        ("place", rest.Question(bbox=[8.5, 47.3, 8.6, 47.4]), "Sunshine hours per month"),
        (
            "time and theme",
            rest.Question(theme="transport", from_ms=1_435_708_800_000, to_ms=1_443_657_599_000),
            "Road detector travel times",
        ),
        ("format", rest.Question(format="pdf"), "Food inspection form"),
    ]
    for what, question, title in asked:
        answer = await client.find(question)
        checks.that(
            ids[title] in {match.id for match in answer.matches},
            f"by {what}: {title}",
            f"{answer.total} found",
        )
    like = await client.find(rest.Question(like=ids["Fire stations"], limit=3))
    near = [match.title for match in like.matches]
    checks.that("Emergency shelters" in near, "like “Fire stations”", "; ".join(near))


ABSENT = (
    ("volcano", "submarine timetable", "glacier melt", "xylophone"),
    ("walrus", "penguin census", "lighthouse keepers", "zeppelin"),
    ("tsunami", "catapult inventory", "avalanche log", "harpsichord"),
)
"""Words that no published description has; each asked once, so that none is answered from memory."""


async def absent(stage: Stage) -> None:
    """Ask for what is not there; the node's own counters say that no file was read."""
    checks = stage.checks
    checks.begin(
        "A question for what is not there",
        "A small table in memory knows which words, places and times occur nowhere.",
    )
    client = stage.clients["health"]
    answers: list[rest.Answer] = []
    read: int | None = None
    for words in ABSENT:
        before = stage.files_read("health")
        answers += [await client.find(rest.Question(words=word)) for word in words]
        after = stage.files_read("health")
        read = None if before is None or after is None else after - before
        # A node does other things too: what it read meanwhile, for a lost link say, is none of these.
        if not read:
            break
    checks.that(
        all(answer.total == 0 for answer in answers),
        "each is answered “not here”",
        f"{len(answers)} questions",
    )
    checks.that(
        not any(answer.read_from_disk or answer.explanation.bytes_read for answer in answers),
        "no row and no byte of the data index was read",
        f"refused by the {answers[0].explanation.refused_by}",
    )
    if read is not None:
        checks.that(
            read == 0,
            "the operating system counted no file read by the node",
            f"{read} bytes",
        )


STEPS = (elected, publish, duplicates, find, absent)
