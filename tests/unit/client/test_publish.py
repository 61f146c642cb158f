"""Publishing: order, duplicates, attestation, and that nothing half done is registered."""

import io
from dataclasses import replace

import msgspec
import pytest

from hansa.chain.catalogue import derive_features
from hansa.chain.transactions import RegisterDataset, sign_attestation
from hansa.client.describe import Subject
from hansa.client.fetch import fetch
from hansa.client.publish import publish
from hansa.client.sources import collect
from hansa.errors import ConflictError, DeniedError, ProtocolError, UnavailableError
from hansa.rest import ManifestAnswer
from tests.unit.data.tables import table

from .conftest import CountedEntropy

SUBJECT = Subject(title="Bus stops", themes=["transport"])
BYTES = CountedEntropy(b"content").random_bytes


def _write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


async def test_stores_first_and_registers_last(pair, tmp_path):
    """Chunks, then the manifest, then the transaction: the write order of the store."""
    folder = _write(tmp_path / "d", a=BYTES(300_000), b=b"x" * 10)
    done = await publish(pair.owner, collect([folder]), SUBJECT)
    calls = pair.owner_node.calls
    first, last = calls.index("/v1/store/chunks"), calls.index("/v1/transactions")
    assert first < calls.index("/v1/store/manifests") < last
    assert (done.version, done.files, done.bytes_in) == (1, 2, 300_010)
    assert (done.status.status, done.status.height) == ("committed", 11)
    assert list(pair.city.datasets) == [done.dataset.hex()]
    assert isinstance(pair.city.operations[0], RegisterDataset)
    assert done.bytes_stored == sum(len(data) for data in pair.owner_node.chunks.values())


async def test_next_version_stores_only_what_is_new(pair, tmp_path):
    """A duplicate's key comes from the living version's manifest; its bytes are not sent again."""
    data = BYTES(2_000_000)
    first = await publish(pair.owner, collect([_write(tmp_path / "d", a=data)]), SUBJECT)
    changed = data[:1_000_000] + b"some words" + data[1_000_000:]
    again = await publish(
        pair.owner,
        collect([_write(tmp_path / "d", a=changed)]),
        Subject(title=""),
        dataset=first.dataset.hex(),
    )
    assert (again.dataset, again.version) == (first.dataset, 2)
    assert again.bytes_stored < first.bytes_stored // 5
    assert again.duplicates > 0
    assert pair.city.datasets[first.dataset.hex()].title == "Bus stops"
    same = await publish(pair.owner, collect([tmp_path / "d"]), SUBJECT)
    assert same.bytes_stored == 0


async def test_next_version_uses_the_dictionary_of_the_last(pair, tmp_path):
    """It is fetched from the living version, and what is new shrinks as before."""
    data = table(5_000, 5 << 20)
    first = await publish(pair.owner, collect([_write(tmp_path / "d", a=data)]), SUBJECT)
    changed = data[:3_000_000] + table(5_000, 50_000, seed=2) + data[3_000_000:]
    again = await publish(
        pair.owner,
        collect([_write(tmp_path / "d", a=changed)]),
        Subject(title=""),
        dataset=first.dataset.hex(),
    )
    assert 0 < again.bytes_stored < first.bytes_stored // 15
    got = await fetch(pair.owner, first.dataset.hex(), tmp_path / "out", version=2)
    assert got.files[0].read_bytes() == changed


async def test_a_damaged_living_version_costs_only_room(pair, tmp_path):
    """If the manifest that should give the keys is damaged, chunks are stored once more."""
    folder = _write(tmp_path / "d", a=BYTES(300_000))
    await publish(pair.owner, collect([folder]), SUBJECT)
    pair.owner_node.damage = lambda data: data[:-1] + bytes([data[-1] ^ 1])
    again = await publish(pair.owner, collect([folder]), SUBJECT)
    assert again.duplicates == 0
    assert again.bytes_stored > 300_000 - 1


async def test_standard_input_and_empty_files(pair, tmp_path):
    """A stream of unknown size and empty files are published like any other."""
    stream = collect(["-"], standard_input=io.BytesIO(b"a,b\n1,2\n"), standard_input_name="t.csv")
    done = await publish(pair.owner, stream, SUBJECT)
    assert (done.bytes_in, done.files) == (8, 1)
    assert pair.city.datasets[done.dataset.hex()].columns == ["a", "b"]
    empty = await publish(pair.owner, collect([_write(tmp_path / "d", e=b"")]), SUBJECT)
    assert (empty.bytes_in, empty.bytes_stored, empty.chunks) == (0, 0, 0)


async def test_features_follow_from_the_size_of_what_was_read(pair, tmp_path):
    """Under model 2 the description is of the version it goes with; withheld columns take the size along."""
    parameters = msgspec.structs.replace(pair.owner.genesis.parameters, feature_model=2)
    session = replace(
        pair.owner, genesis=msgspec.structs.replace(pair.owner.genesis, parameters=parameters)
    )
    made = []
    for rows, columns in ((3, True), (90_000, True), (3, False), (90_000, False)):
        folder = _write(tmp_path / f"d{rows}", table=b"")
        (folder / "t.csv").write_bytes(b"a,b\n" + b"1,2\n" * rows)
        await publish(session, collect([folder]), SUBJECT, columns=columns)
        operation = pair.city.operations[-1]
        derived = derive_features(operation.description, operation.version.content_bytes)
        assert (derived.words, derived.features) == (
            operation.description.words,
            operation.description.features,
        )
        made.append(derived.features)
    assert made[0] != made[1]
    assert made[2] == made[3]


async def test_columns_can_be_withheld(pair, tmp_path):
    """Without columns only formats are told."""
    folder = _write(tmp_path / "d", **{"a.csv": b"secret_column,b\n"})
    done = await publish(pair.owner, collect([folder]), SUBJECT, columns=False)
    view = pair.city.datasets[done.dataset.hex()]
    assert (view.columns, view.formats) == ([], ["csv"])


async def test_a_file_that_changes_registers_nothing(pair, tmp_path):
    """A file that grew between finding and reading ends the publishing."""
    folder = _write(tmp_path / "d", a=b"one")
    sources = collect([folder])
    (folder / "a").write_bytes(b"three")
    with pytest.raises(ConflictError, match="changed while it was read"):
        await publish(pair.owner, sources, SUBJECT)
    assert pair.city.operations == []


async def test_a_failed_upload_ends_it_with_one_error(pair, tmp_path):
    """The node's error is raised itself, not in a group, and no thread is left waiting."""
    real = pair.owner_node._post

    def post(path, body):
        if path == "/v1/store/chunks":
            raise UnavailableError("The disk is full.")
        return real(path, body)

    pair.owner_node._post = post
    with pytest.raises(UnavailableError, match="disk is full"):
        await publish(pair.owner, collect([_write(tmp_path / "d", a=BYTES(20_000_000))]), SUBJECT)
    assert pair.city.operations == []


async def test_plaintext_and_keys_never_leave(pair, tmp_path):
    """No marker of file, name or data key is in anything the node got."""
    marker = b"MARKER-PLAINTEXT-0123456789"
    folder = _write(tmp_path / "d", **{"MARKER-NAME.bin": marker * 1000})
    await publish(pair.owner, collect([folder]), SUBJECT)
    node = pair.owner_node
    held = b"".join([*node.chunks.values(), *node.manifests.values(), *node.keys.values()])
    assert held
    assert marker[:20] not in held
    assert b"MARKER-NAME" not in held
    for secret in (pair.members[0].secrets.publishing, pair.members[0].secrets.dedup):
        assert secret not in held


@pytest.mark.parametrize(
    "change",
    [
        {"manifest_root": bytes(32)},
        {"stored_bytes": 1},
        {"manifest_bytes": 1},
        {"organisation": "transport"},
    ],
)
async def test_a_wrong_attestation_is_not_registered(pair, tmp_path, change):
    """Only an attestation of exactly what was stored goes on the chain."""
    real = pair.owner_node._post

    def post(path, body):
        answer = real(path, body)
        if isinstance(answer, ManifestAnswer):
            wrong = msgspec.structs.replace(answer.attestation, **change)
            return ManifestAnswer(sign_attestation(wrong, pair.members[0].node))
        return answer

    pair.owner_node._post = post
    with pytest.raises(ProtocolError):
        await publish(pair.owner, collect([_write(tmp_path / "d", a=b"1")]), SUBJECT)
    assert pair.city.operations == []


async def test_an_unsigned_or_ended_attestation_is_not_registered(pair, tmp_path):
    """The node's key must have signed it, and its lease must still run."""
    real = pair.owner_node._post
    changed = {"signature": bytes(64)}

    def post(path, body):
        answer = real(path, body)
        if isinstance(answer, ManifestAnswer):
            return ManifestAnswer(msgspec.structs.replace(answer.attestation, **changed))
        return answer

    pair.owner_node._post = post
    folder = _write(tmp_path / "d", a=b"1")
    with pytest.raises(ProtocolError, match="not signed"):
        await publish(pair.owner, collect([folder]), SUBJECT)
    pair.owner_node._post = real
    pair.owner_node.city = replace(pair.city)
    pair.owner_node.city.clock = type(pair.city.clock)(pair.city.clock.now_ms() - 120_000)
    with pytest.raises(UnavailableError, match="lease"):
        await publish(pair.owner, collect([folder]), SUBJECT)


async def test_only_the_owner_adds_versions(pair, tmp_path):
    """Another organisation's dataset takes no version of ours, nor does a retired one."""
    folder = _write(tmp_path / "d", a=b"1")
    done = await publish(pair.owner, collect([folder]), SUBJECT)
    identity = done.dataset.hex()
    with pytest.raises(DeniedError, match="belongs to health"):
        await publish(pair.reader, collect([folder]), SUBJECT, dataset=identity)
    view = pair.city.datasets[identity]
    pair.city.datasets[identity] = msgspec.structs.replace(view, status="retired")
    with pytest.raises(ConflictError, match="retired"):
        await publish(pair.owner, collect([folder]), SUBJECT, dataset=identity)


async def test_progress_reaches_the_end(pair, tmp_path):
    """The last word of the progress is all of it."""
    told = []
    folder = _write(tmp_path / "d", a=BYTES(100_000))
    await publish(
        pair.owner, collect([folder]), SUBJECT, progress=lambda *figures: told.append(figures)
    )
    assert told[-1] == (100_000, 100_000)
