"""Many datasets with few calls: small versions come whole, by the page; large ones are fetched as ever.

The node answers for each dataset by itself, so one that is missing, denied or damaged spoils no other:
its outcome carries the error. One page is in memory at a time, and of it one dataset's plain bytes.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING

from hansa import limits
from hansa.client.session import Session
from hansa.client.wraps import decode_wraps, open_data_key, unwrap_data_key
from hansa.data.whole import WholeVersion, open_whole
from hansa.errors import ERRORS_BY_CODE, CorruptError, HansaError, InvalidError, ProtocolError
from hansa.rest.reads import LARGE, LATER, ReadAnswer, ReadItem, ReadOutcome, ReadRequest
from hansa.types import DatasetId

if TYPE_CHECKING:
    from hansa.client.fetch import Fetched

_INLINE_BYTES_MAX = limits.CHUNK_BYTES_MAX
"""So little is opened on the event loop: handing it to a worker would take longer than the work."""


class LargeVersionError(InvalidError):
    """The version is too large to be read whole: it is fetched, or opened, by itself."""


@dataclass(frozen=True, slots=True)
class ReadVersion:
    """What became of one dataset that was asked for."""

    dataset: DatasetId
    version: int
    """0 where none was found."""
    manifest_root: bytes
    """Empty where none was found."""
    whole: WholeVersion | None
    """Its files, each verified; None if it could not be had."""
    error: HansaError | None
    """Why not."""


@dataclass(frozen=True, slots=True)
class FetchedOne:
    """What became of one dataset that was to be fetched."""

    dataset: DatasetId
    fetched: "Fetched | None"
    error: HansaError | None
    """Why not, or why not all of its files."""


async def read_many(session: Session, datasets: Iterable[bytes]) -> AsyncIterator[ReadVersion]:
    """Yield the newest version of each dataset, in the order asked for; each file was verified.

    Args:
        session: of who may read.
        datasets: their ids, 16 bytes each, any number.

    Raises:
        HansaError: the own node cannot be reached; what was yielded before is sound.
    """
    rest = iter(datasets)
    waiting: deque[bytes] = deque()
    while True:
        waiting.extend(islice(rest, limits.READS_PER_CALL_MAX - len(waiting)))
        if not waiting:
            return
        asked = ReadRequest(tuple(ReadItem(dataset, 0) for dataset in waiting))
        answer = await session.transport.post_octets("/v1/reads", asked, ReadAnswer)
        if len(answer.outcomes) != len(waiting) or answer.outcomes[0].whole.code == LATER:
            raise ProtocolError("The node answered for other datasets than were asked for.")
        for outcome in answer.outcomes:
            if outcome.whole.code == LATER:
                break  # And what comes after it: so that the order is kept.
            yield await _open(session, waiting.popleft(), outcome)


async def fetch_many(
    session: Session, datasets: Iterable[bytes], output: Path, *, overwrite: bool = False
) -> AsyncIterator[FetchedOne]:
    """Fetch each dataset into a folder of its own, `output`/id; yield what became of it, in order.

    What is there already, whole, stays as it is. Large ones are fetched as `fetch` does it, and go on
    where an earlier attempt stopped.

    Args:
        session: of who may read.
        datasets: their ids, 16 bytes each.
        output: made if absent.
        overwrite: replace files that are there with other contents.

    Raises:
        HansaError: the own node cannot be reached; what was yielded before is there.
    """
    from hansa.client.fetch import IncompleteError, fetch  # noqa: PLC0415 - imports this room's rest

    async for read in read_many(session, datasets):
        folder = output / read.dataset.hex()
        try:
            if isinstance(read.error, LargeVersionError):
                fetched = await fetch(
                    session,
                    read.dataset.hex(),
                    folder,
                    version=read.version,
                    overwrite=overwrite,
                )
            elif read.whole is None:
                yield FetchedOne(read.dataset, None, read.error)
                continue
            else:
                fetched = await session.workers.run(
                    partial(_write, read, folder, overwrite=overwrite)
                )
        except IncompleteError as error:
            yield FetchedOne(read.dataset, error.fetched, error)
        except HansaError as error:
            yield FetchedOne(read.dataset, None, error)
        else:
            yield FetchedOne(read.dataset, fetched, None)


def _write(read: ReadVersion, folder: Path, *, overwrite: bool) -> "Fetched":
    """Write one version's files under their names, as `fetch` does; runs on a worker."""
    from hansa.client.fetch import Fetched  # noqa: PLC0415 - as above
    from hansa.client.output import Output  # noqa: PLC0415

    assert read.whole is not None
    whole = read.whole
    starts = list(accumulate(map(len, whole.files), initial=0))
    target = Output(folder, read.manifest_root.hex(), whole.contents, overwrite=overwrite)
    try:
        missing = target.prepare()
        fetched = sum(len(whole.files[index]) - there for index, there in missing.items())
        # A part left by an earlier attempt may have been damaged since: then once more, from its start.
        for _ in range(2):
            for index, there in sorted(missing.items()):
                if there < len(whole.files[index]):
                    target.write(starts[index] + there, [whole.files[index][there:]])
            missing = target.finish()
            if not missing:
                break
        else:
            raise CorruptError("A file was changed while it was written.", remedy="Fetch again.")
    finally:
        target.close()
    paths = tuple(folder.joinpath(*name.split("/")) for name in whole.names)
    return Fetched(read.dataset, read.version, paths, whole.plain_bytes, fetched)


async def _open(session: Session, dataset: bytes, outcome: ReadOutcome) -> ReadVersion:
    """Open what came of one dataset; what is wrong with it is its own error."""
    whole: WholeVersion | None = None
    error = _error_of(outcome)
    if error is None:
        try:
            if outcome.content_bytes <= _INLINE_BYTES_MAX:
                whole = _open_whole(session, outcome)
            else:
                whole = await session.workers.run(_open_whole, session, outcome)
        except HansaError as failure:
            error = failure
    return ReadVersion(DatasetId(dataset), outcome.version, outcome.manifest_root, whole, error)


def _error_of(outcome: ReadOutcome) -> HansaError | None:
    """Return why a version is not in its answer; None if it is."""
    whole = outcome.whole
    if whole.code == LARGE or (
        not whole.code and outcome.content_bytes > limits.READ_WHOLE_PLAIN_BYTES_MAX
    ):
        return LargeVersionError(
            "This version is too large to be read whole, with others.",
            remedy="Fetch it into a folder, or open it for reading.",
        )
    if whole.code:
        kind = ERRORS_BY_CODE.get(whole.code, HansaError)
        return kind(whole.message, remedy=whole.remedy)
    return None


def _open_whole(session: Session, outcome: ReadOutcome) -> WholeVersion:
    """Open a version with the key that came with it.

    Raises:
        DeniedError: the profile has no organisation secrets.
        CorruptError: wraps, manifest or content are not what the chain names.
    """
    whole = open_whole(
        outcome.whole.manifest,
        outcome.manifest_root,
        _data_key(session, outcome),
        outcome.whole.content,
        plain_bytes_max=limits.READ_WHOLE_PLAIN_BYTES_MAX,
    )
    if (len(whole.files), whole.plain_bytes) != (outcome.files, outcome.content_bytes):
        raise CorruptError("The contents are not of the size that the chain names.")
    return whole


def _data_key(session: Session, outcome: ReadOutcome) -> bytes:
    if outcome.owner == session.profile.organisation:
        secrets = session.keys.secrets
        return open_data_key(secrets.publishing, outcome.whole.key, outcome.manifest_root)
    wraps = decode_wraps(outcome.whole.key, outcome.request, outcome.wrap_digest)
    root = outcome.manifest_root
    return unwrap_data_key(wraps, outcome.version, root, session.keys.decryption)
