"""Makes small versions the way a client does, for tests of what stores and serves them."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

from hansa.data.fingerprint import Hmacs
from hansa.data.keys import DedupKeys, derive_dedup_keys
from hansa.data.manifest import Contents, Directory, build_manifest, compute_root
from hansa.data.pipeline import Counters, Ingest, Lookup, UploadChunk
from hansa.data.stream import SourceFile
from hansa.ports import Entropy
from hansa.types import Digest

DEDUP_KEYS: DedupKeys = derive_dedup_keys(b"dedup secret of the organisation")
DIRECTORY_KEY = b"directory key of an organisation"
DATA_KEY = b"data key of the version in tests"


@dataclass(frozen=True, slots=True)
class BuiltVersion:
    """A version before it is sent anywhere."""

    contents: Contents
    directory: Directory
    manifest: bytes
    root: Digest
    uploads: tuple[UploadChunk, ...]
    """New chunks in order."""
    counters: Counters


def build_version(
    files: Mapping[str, bytes],
    entropy: Entropy,
    lookup: Lookup | None = None,
    hmacs: Hmacs | None = None,
) -> BuiltVersion:
    """Partition, seal and list some files; `lookup` knows nothing if it is not given."""
    ingest = Ingest(
        DEDUP_KEYS,
        lookup or (lambda ids: [None] * len(ids)),
        entropy.random_bytes,
        hmacs=hmacs,
    )
    sources = [
        SourceFile(name, len(data), lambda data=data: io.BytesIO(data))  # type: ignore[misc]
        for name, data in files.items()
    ]
    uploads = tuple(upload for batch in ingest.batches(sources) for upload in batch)
    contents, directory = ingest.finish()
    manifest = build_manifest(
        contents,
        directory,
        data_key=DATA_KEY,
        directory_key=DIRECTORY_KEY,
        salt=entropy.random_bytes(32),
        nonces=(entropy.random_bytes(12), entropy.random_bytes(12)),
    )
    root = compute_root(manifest)
    return BuiltVersion(contents, directory, manifest, root, uploads, ingest.counters)
