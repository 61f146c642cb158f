"""The maker of small versions."""

from hansa.data.manifest import decode_manifest, open_contents, open_directory
from hansa.testing.doubles import SeededEntropy
from hansa.testing.versions import DATA_KEY, DIRECTORY_KEY, build_version


def test_a_built_version_opens_with_its_keys() -> None:
    """Its manifest decodes under its root, and both parts list the same chunks."""
    files = {"a.txt": b"x" * 100_000, "b/c.bin": bytes(range(256)) * 400}
    built = build_version(files, SeededEntropy())
    manifest = decode_manifest(built.manifest, built.root)
    assert open_directory(manifest, DIRECTORY_KEY) == built.directory
    assert open_contents(manifest, DATA_KEY) == built.contents
    assert built.counters.plain_bytes == sum(map(len, files.values()))
    assert len(built.uploads) == built.counters.chunks - built.counters.chunks_duplicate
