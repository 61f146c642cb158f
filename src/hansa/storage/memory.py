"""A store in memory, for tests and simulations: the plain model that the others must equal."""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from hansa.errors import CorruptError, InvalidError, MissingError
from hansa.storage.disk import disk_errors
from hansa.storage.names import validate_name


class MemoryStore:
    """Implements `ports.Store`; gone with the process."""

    def __init__(self) -> None:
        """Make an empty store."""
        self.objects: dict[str, bytes] = {}
        """What is stored, by name; tests may damage it."""
        self._lock = threading.Lock()

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        """Keep an object; return its bytes."""
        validate_name(name)
        data = b"".join(parts)
        with self._lock:
            if self.objects.setdefault(name, data) != data:
                raise CorruptError(f"Object {name} is there already with other bytes.")
        return len(data)

    def put_file(self, name: str, path: Path) -> int:
        """Keep a file's bytes as an object; return how many."""
        with disk_errors(f"object {name}"):
            data = path.read_bytes()
        return self.put(name, [data])

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes at a position; to the end if no length is given."""
        data = self._object(name)
        if length is None:
            length = len(data) - offset
        if offset < 0 or length < 0 or offset + length > len(data):
            raise InvalidError(f"Bytes {offset} + {length} lie outside of object {name}.")
        return data[offset : offset + length]

    def size(self, name: str) -> int:
        """Return an object's bytes."""
        return len(self._object(name))

    def exists(self, name: str) -> bool:
        """Tell whether the object is there."""
        validate_name(name)
        return name in self.objects

    def list(self, prefix: str) -> Iterator[str]:
        """Yield all names under a prefix, in order."""
        with self._lock:
            names = sorted(name for name in self.objects if name.startswith(prefix))
        return iter(names)

    def delete(self, name: str) -> None:
        """Remove an object; absent is fine."""
        validate_name(name)
        with self._lock:
            self.objects.pop(name, None)

    def _object(self, name: str) -> bytes:
        validate_name(name)
        data = self.objects.get(name)
        if data is None:
            raise MissingError(f"There is no object {name} in the store.")
        return data
