"""Every place of index files keeps the contract: memory, a folder, a store, a real HDFS."""

import pytest

from hansa.errors import InvalidError, MissingError
from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles, Question
from hansa.ledger.index_files import LocalIndexFiles
from hansa.storage.index_files import StoredIndexFiles
from hansa.storage.memory import MemoryStore
from hansa.system import SystemEntropy
from tests.hdfs import open_hdfs_store, own_folder
from tests.unit.index.making import make_record


class IndexFilesContract:
    """What the index relies on."""

    def test_a_file_appears_whole_and_stays_readable(self, files):
        """Read at positions and counted; replaced or deleted while open; parts that fail leave the old one."""
        data = bytes(range(256)) * 100
        files.write("base-1", (data[:1], data[1:9_000], data[9_000:]))
        file = files.open("base-1")
        assert (file.size, file.read(8_190, 5)) == (len(data), data[8_190:8_195])
        assert (file.read(0, len(data)), file.read(len(data), 0)) == (data, b"")
        assert file.bytes_read == 5 + len(data)
        for offset, length in ((0, len(data) + 1), (-1, 1), (len(data), 1)):
            with pytest.raises(InvalidError):
                file.read(offset, length)

        def broken():
            yield b"new"
            raise RuntimeError("no more")

        with pytest.raises(RuntimeError):
            files.write("base-1", broken())
        files.write("base-1", [b"new"])
        assert file.read(100, 3) == data[100:103]
        assert files.open("base-1").read(0, 3) == b"new"
        files.delete("base-1")
        files.delete("base-1")
        assert file.read(200, 3) == data[200:203]
        file.close()
        with pytest.raises(MissingError):
            files.open("base-1")

    def test_logs_and_names(self, files):
        """Logs are kept beside files; all names are listed in order."""
        files.append("log-1", b"one")
        files.write("base-2", [b"x"])
        files.append("log-1", b"two")
        assert list(files.records("log-1")) == [b"one", b"two"]
        assert files.list() == ["base-2", "log-1"]
        files.delete("log-1")
        assert list(files.records("log-1")) == []

    def test_an_index(self, files):
        """It answers as one in memory, of equal digest; a refused question reads nothing."""
        parameters = IndexParameters(recluster_registrations=64)
        changes = [IndexChange(record.dataset, record) for record in map(make_record, range(150))]
        index = InformationIndex.open(files, parameters)
        plain = InformationIndex.open(MemoryIndexFiles(), parameters)
        for height, start in enumerate(range(0, 150, 50), 1):
            index.apply(height, changes[start : start + 50])
            plain.apply(height, changes[start : start + 50])
        for question in (Question(words=("bus",)), Question(theme="health"), Question(limit=150)):
            assert index.find(question) == plain.find(question)
        assert index.digest() == plain.digest()
        assert index.ask(Question(words=("zwanzig",))).explanation.bytes_read == 0
        index.close()


class TestMemory(IndexFilesContract):
    """The plain model."""

    @pytest.fixture
    def files(self):
        """Return files in memory."""
        return MemoryIndexFiles()


class TestFolder(IndexFilesContract):
    """A node's own disk."""

    @pytest.fixture
    def files(self, tmp_path):
        """Return files in a folder."""
        return LocalIndexFiles(tmp_path / "index")


class TestStore(IndexFilesContract):
    """Sealed objects of a store."""

    @pytest.fixture
    def files(self, tmp_path):
        """Return files in a store in memory."""
        return StoredIndexFiles(MemoryStore(), LocalIndexFiles(tmp_path / "index"), SystemEntropy())


@pytest.mark.slow
@pytest.mark.timeout(300)
class TestHdfs(IndexFilesContract):
    """Sealed objects of a real HDFS."""

    @pytest.fixture
    def files(self, hdfs, tmp_path):
        """Return files in a folder of HDFS of their own."""
        store = open_hdfs_store(own_folder(hdfs))
        yield StoredIndexFiles(store, LocalIndexFiles(tmp_path / "index"), SystemEntropy())
        store.close()
