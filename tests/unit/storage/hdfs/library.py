"""A double of the client library with faults on demand; the real one is used in tests/contract and tests/e2e."""

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace


@dataclass
class FakeClient:
    """Files in a dictionary; `faults` maps a method's name to what it does instead, once each."""

    files: dict[str, bytes] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    faults: dict[str, list] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    quota: tuple[int, int] = (2**64 - 1, 0)

    def fault(self, method: str, action) -> None:
        """Have the next call of a method run `action(original)` in its place."""
        self.faults.setdefault(method, []).append(action)

    def _run(self, method: str, original):
        self.done.append(method)
        waiting = self.faults.get(method)
        if not waiting:
            return original()
        action = waiting.pop(0)
        if isinstance(action, BaseException):
            raise action
        return action(original)

    def mkdirs(self, path, permission, create_parent):
        assert permission == 0o700
        above = {path.rsplit("/", n)[0] for n in range(path.count("/"))}
        self._run("mkdirs", lambda: self.folders.update(above))

    def get_file_info(self, path):
        def info():
            if path in self.files:
                return SimpleNamespace(path=path, isdir=False, length=len(self.files[path]))
            if path in self.folders:
                return SimpleNamespace(path=path, isdir=True, length=0)
            raise FileNotFoundError(path)

        return self._run("stat", info)

    def list_status(self, path, recursive=False):
        def listing():
            if path not in self.folders:
                raise FileNotFoundError(path)
            return [
                SimpleNamespace(path=name, isdir=False, modification_time=self.times.get(name, 0))
                for name in self.files
                if name.startswith(path + "/")
            ]

        return iter(self._run("list", listing))

    def create(self, path, options):
        self._run("create", lambda: None)
        return FakeWriter(self, path)

    def read(self, path):
        def open_file():
            if path not in self.files:
                raise FileNotFoundError(path)
            return FakeReader(self, self.files[path])

        return self._run("read", open_file)

    def rename(self, source, target):
        def rename():
            if source not in self.files:
                raise FileNotFoundError(f"rename source {source} is not found.")
            if target in self.files:
                raise FileExistsError(f"rename destination {target} already exists")
            self.files[target] = self.files.pop(source)

        self._run("rename", rename)

    def delete(self, path):
        return self._run("delete", lambda: self.files.pop(path, None) is not None)

    def get_content_summary(self, path):
        space, used = self.quota
        return SimpleNamespace(space_quota=space, space_consumed=used)


class FakeWriter:
    """Keeps what is written until it is closed."""

    def __init__(self, client: FakeClient, path: str) -> None:
        self.client, self.path, self.pieces = client, path, []
        client.files[path] = b""

    def write(self, data) -> None:
        assert type(data) is bytes
        self.client._run("write", lambda: self.pieces.append(data))

    def close(self) -> None:
        self.client._run("close", self._close)

    def _close(self) -> None:
        if self.path not in self.client.files:
            raise FileNotFoundError(self.path)
        self.client.files[self.path] = b"".join(self.pieces)


class PanicException(BaseException):
    """Named as the library's."""


class FakeReader:
    """Reads what the file held when it was opened."""

    def __init__(self, client: FakeClient, data: bytes) -> None:
        self.client, self.data = client, data

    def __len__(self) -> int:
        return len(self.data)

    def read_range(self, offset, length):
        if offset + length > len(self.data):
            raise PanicException("Cannot read past end of the file")
        return self.client._run("pread", lambda: self.data[offset : offset + length])

    def read_range_stream(self, offset, length):
        yield self.client._run("stream", lambda: self.data[offset : offset + length])


def hang(release: threading.Event):
    """Return a fault that does nothing until `release` is set, then what was asked."""

    def action(original):
        release.wait(20)
        return original()

    return action
