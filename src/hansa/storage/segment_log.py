"""Segment log: which chunks of a segment's body are acknowledged, and what they are.

    header   "HANSAJRN" ‖ format (2) ‖ segment id (32) ‖ cluster (4, signed) ‖ check (16)
    batch    "HJB2" ‖ number (4) ‖ payload's length (4) ‖ body offset (8) ‖ payload's check (16)
             ‖ head's check (16) ‖ payload
    record   chunk id (32) ‖ fingerprint's length (1) ‖ fingerprint ‖ sealed digest (32) ‖ length (4)

The body's bytes are synced before the batch that names them is written, so a sound batch says that its
bytes are durable. Checks are BLAKE3 of 16 bytes: over the header before it; over the payload; over the
segment's id and the head before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blake3 import blake3

from hansa.errors import ConflictError
from hansa.limits import SEALED_CHUNK_BYTES_MAX
from hansa.types import ChunkId

LOG_FORMAT = 2
_MAGIC = b"HANSAJRN"
_BATCH = b"HJB2"
_CHECK_BYTES = 16
HEADER_BYTES = len(_MAGIC) + 2 + 32 + 4 + _CHECK_BYTES
_NUMBERS_BYTES = len(_BATCH) + 4 + 4 + 8
_HEAD_BYTES = _NUMBERS_BYTES + 2 * _CHECK_BYTES


@dataclass(frozen=True, slots=True)
class Record:
    """Where a chunk lies in a segment."""

    chunk: ChunkId
    fingerprint: bytes
    offset: int
    """Of the sealed bytes, from the body's start: also their offset in the pack to be."""
    length: int
    sealed_digest: bytes
    """BLAKE3 of the sealed bytes, 32 bytes."""


@dataclass(slots=True)
class LogContents:
    """What a log says."""

    segment_id: bytes
    cluster: int
    records: list[Record]
    body_bytes: int
    """Bytes of the body that are acknowledged."""
    log_bytes: int
    """Where the last sound batch ends."""
    batches: int
    damage: str
    """What was found wrong before the last sound batch."""


def encode_header(segment_id: bytes, cluster: int) -> bytes:
    """Return what a log begins with."""
    assert len(segment_id) == 32
    head = _MAGIC + LOG_FORMAT.to_bytes(2, "big") + segment_id
    head += cluster.to_bytes(4, "big", signed=True)
    return head + _check(head)


def encode_batch(segment_id: bytes, number: int, records: Sequence[Record]) -> bytes:
    """Return a batch; its records follow each other in the body without gaps."""
    pieces: list[bytes] = []
    for record in records:
        name = record.fingerprint
        pieces += (record.chunk, len(name).to_bytes(1, "big"), name, record.sealed_digest)
        pieces.append(record.length.to_bytes(4, "big"))
    payload = b"".join(pieces)
    head = _BATCH + number.to_bytes(4, "big") + len(payload).to_bytes(4, "big")
    head += records[0].offset.to_bytes(8, "big") + _check(payload)
    # The segment's id in the check: a batch that lies in a reused disk block of another is no batch.
    return head + _check(segment_id + head) + payload


def decode_log(data: bytes, body_header_bytes: int) -> LogContents | None:
    """Return what a log says; None if it is no log of a segment.

    Args:
        data: the whole file, at least HEADER_BYTES.
        body_header_bytes: where a body's first chunk starts.

    Raises:
        ConflictError: another release wrote it, in another format.
    """
    head = data[: HEADER_BYTES - _CHECK_BYTES]
    if head[: len(_MAGIC)] != _MAGIC or _check(head) != data[len(head) : HEADER_BYTES]:
        return None
    written = int.from_bytes(head[len(_MAGIC) : len(_MAGIC) + 2], "big")
    if written != LOG_FORMAT:
        raise old_format(written)
    cluster = int.from_bytes(head[-4:], "big", signed=True)
    found = LogContents(head[-36:-4], cluster, [], body_header_bytes, HEADER_BYTES, 0, "")
    for end, number, offset, payload in _scan(found.segment_id, data):
        if (number, offset) != (found.batches, found.body_bytes) and not found.damage:
            found.damage = f"batch {found.batches} is damaged"
        records = list(_decode_records(payload, offset))
        found.records += records
        found.body_bytes = records[-1].offset + records[-1].length
        found.log_bytes, found.batches = end, number + 1
    return found


def old_format(written: int) -> ConflictError:
    """Return the refusal of a journal in another format."""
    return ConflictError(
        f"The journal has format {written}; this release reads format {LOG_FORMAT}.",
        remedy="Open it with the release that wrote it, or give the node a new folder.",
    )


def _check(data: bytes) -> bytes:
    return blake3(data).digest(_CHECK_BYTES)


def _scan(segment_id: bytes, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield end, number, body offset and payload of each sound batch, looking past damaged ones."""
    at, expected = HEADER_BYTES, 0
    while 0 <= at < len(data):
        head = data[at : at + _HEAD_BYTES]
        number, length = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
        start = at + _HEAD_BYTES
        payload = data[start : start + length]
        signed, check = head[:-_CHECK_BYTES], head[-_CHECK_BYTES:]
        is_head = len(head) == _HEAD_BYTES and _check(segment_id + signed) == check
        is_batch = is_head and number >= expected and payload
        if is_batch and _check(payload) == head[_NUMBERS_BYTES : _NUMBERS_BYTES + _CHECK_BYTES]:
            yield start + length, number, int.from_bytes(head[12:20], "big"), payload
            at, expected = start + length, number + 1
        else:
            at = data.find(_BATCH, at + 1)


def _decode_records(payload: bytes, offset: int) -> Iterator[Record]:
    """Yield the records of a sound payload whose first chunk lies at `offset`."""
    at = 0
    while at < len(payload):
        name_end = at + 33 + payload[at + 32]
        end = name_end + 36
        length = int.from_bytes(payload[end - 4 : end], "big")
        assert 0 < length <= SEALED_CHUNK_BYTES_MAX
        assert end <= len(payload)
        digest = payload[name_end : end - 4]
        yield Record(
            ChunkId(payload[at : at + 32]), payload[at + 33 : name_end], offset, length, digest
        )
        offset += length
        at = end
