"""Lanes: fingerprints of many chunks side by side, by a small compiled kernel where there is one.

MD5 and SHA-1 keep one core's units mostly waiting, for each step needs the one before; sixteen chunks in
the lanes of vector registers take little longer than one. No kept Python library does this, so `lanes.c` is
ours: optional, built where a C compiler is found (`make venv`, or `hansa store lanes --build`), with the
same results without (docs/decisions/0025). It is a plain library called through ctypes: no headers of
Python are needed, and the interpreter lock is released for the whole call.

What is loaded runs in this process. So it is taken from one place alone, inside the environment (or beside
the package where there is none), under a name that holds the digest of the source, and only if nobody else
may write it; and it has to agree with hashlib before it is used.
"""

import hashlib
import hmac
import os
import shlex
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hansa.crypto.sealing import Buffer
from hansa.data.fingerprint import FINGERPRINT_BYTES

SWITCH = "HANSA_LANES"
"""Set to "off", no kernel is used."""
SOURCE = Path(__file__).with_suffix(".c")
BUILD_S_MAX = 120
_COMPILERS = ("cc", "gcc", "clang")
_FLAGS = ("-O3", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden")
_KEY_BYTES = 64
_TRIED_BYTES = (0, 1, 3, 55, 56, 57, 63, 64, 65, 118, 119, 120, 127, 128, 129, 1_000, 4_099)
_TRIED_TIMES = 3
"""More messages than there are lanes: so that some are taken up late."""


class Lanes:
    """The loaded kernel; implements `fingerprint.Hmacs`. Any number of threads."""

    def __init__(self, path: Path) -> None:
        """Load a library.

        Raises:
            OSError: it is none for this machine.
            AttributeError: it lacks what is called.
        """
        # Imported where it is used: commands that publish nothing start without it.
        import ctypes  # noqa: PLC0415

        library = ctypes.CDLL(str(path))
        self._hmacs: Any = library.hansa_lanes_hmacs
        self._hmacs.restype = ctypes.c_int
        self._hmacs.argtypes = [
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_void_p,
        ]
        self.width = int(library.hansa_lanes_width())
        """Lanes that this processor has: 4, 8 or 16."""

    def __call__(
        self, md5_key: bytes, sha1_key: bytes, messages: Sequence[Buffer], /, *, lanes: int = 0
    ) -> list[bytes]:
        """Return HMAC-MD5 ‖ HMAC-SHA1 of each message, 36 bytes, in order.

        Args:
            md5_key: at most 64 bytes.
            sha1_key: at most 64 bytes.
            messages: contiguous; nobody may change them meanwhile.
            lanes: how many at once: 1, 4, 8 or 16, at most `width`, or 0 for that.
        """
        assert max(len(md5_key), len(sha1_key)) <= _KEY_BYTES
        # They hold the messages in place as long as the call takes.
        held = [np.frombuffer(message, np.uint8) if message else _NOTHING for message in messages]
        places = np.array([one.__array_interface__["data"][0] for one in held], np.uintp)
        lengths = np.array([one.nbytes for one in held], np.uint64)
        out = np.empty(FINGERPRINT_BYTES * len(held), np.uint8)
        failed = self._hmacs(
            places.ctypes.data,
            lengths.ctypes.data,
            len(held),
            md5_key.ljust(_KEY_BYTES, b"\0"),
            sha1_key.ljust(_KEY_BYTES, b"\0"),
            lanes,
            out.ctypes.data,
        )
        if failed:
            raise MemoryError("the lanes had no memory, or there are not so many")
        told = out.tobytes()
        return [told[at : at + FINGERPRINT_BYTES] for at in range(0, len(told), FINGERPRINT_BYTES)]


_NOTHING = np.empty(0, np.uint8)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is on this machine."""

    lanes: Lanes | None
    told: str
    """In words: how many lanes there are, or why none are used."""


@cache
def find_lanes() -> Found:
    """Return the kernel of this environment, looked for once in a process."""
    if os.environ.get(SWITCH) == "off":
        return Found(None, f"not used: {SWITCH}=off")
    return load_lanes(library_path())


def library_path() -> Path:
    """Return where the kernel of this source, for this machine, would lie."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    has_environment = sys.prefix != sys.base_prefix
    folder = Path(sys.prefix).resolve() / "lib" / "hansa" if has_environment else SOURCE.parent
    return folder / f"lanes-{digest}-{sysconfig.get_platform()}.so"


def load_lanes(path: Path) -> Found:
    """Load a kernel if it may be trusted and answers as hashlib does."""
    try:
        distrust = _distrust(path)
    except FileNotFoundError:
        return Found(None, "not built: `hansa store lanes --build` does, with a C compiler")
    except OSError as error:
        return Found(None, f"not used: {path}: {error.strerror}")
    if distrust:
        return Found(None, f"not used: {distrust}")
    try:
        lanes = Lanes(path)
    except (OSError, AttributeError) as error:
        return Found(None, f"not used: {path} does not load: {error}")
    if not _is_right(lanes):
        return Found(None, f"not used: {path} does not hash as hashlib does")
    return Found(lanes, f"{lanes.width} chunks at once")


def build_lanes() -> Found:
    """Compile the kernel to its place, unless it is there; return what there is then."""
    path = library_path()
    found = load_lanes(path)
    if found.lanes is not None:
        return found
    compiler = os.environ.get("CC") or next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        return Found(None, "not built: there is no C compiler (cc, gcc, clang; or set CC)")
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            return _compile(compiler, fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        return Found(None, f"not built: {error.filename or path.parent}: {error.strerror}")


def _compile(compiler: str, fresh: Path, path: Path) -> Found:
    """Compile to a fresh name, and give it its name if it is right."""
    command = [*shlex.split(compiler), *_FLAGS, "-o", str(fresh), str(SOURCE)]
    try:
        done = subprocess.run(  # noqa: S603 - the user's compiler, our source
            command, capture_output=True, text=True, check=False, timeout=BUILD_S_MAX
        )
    except subprocess.TimeoutExpired:
        return Found(None, f"not built: {compiler} took more than {BUILD_S_MAX} s")
    if done.returncode:
        said = next(iter(done.stderr.strip().splitlines()), "nothing")
        return Found(None, f"not built: {compiler} says: {said}")
    # Whatever the umask: who is not its owner may not write it.
    fresh.chmod(0o755)
    found = load_lanes(fresh)
    if found.lanes is not None:
        fresh.replace(path)
    return found


def _distrust(path: Path) -> str:
    """Return why a library must not be loaded; nothing if it may.

    Trusted are root, this user, and whoever owns this very module: that one's code runs here anyway.
    """
    trusted = {0, os.geteuid(), SOURCE.stat().st_uid}
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return f"{path} is no plain file"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others than its owner may write {path}"
    folder = path.parent.lstat()
    if not stat.S_ISDIR(folder.st_mode) or folder.st_mode & stat.S_IWOTH:
        return f"anybody may write the folder {path.parent}"
    if not {status.st_uid, folder.st_uid} <= trusted:
        return f"{path} belongs to somebody else"
    return ""


def _is_right(lanes: Lanes) -> bool:
    """Compare with hashlib, at every length that takes another path, in every number of lanes."""
    content = hashlib.shake_128(b"hansa.lanes").digest(max(_TRIED_BYTES) + _TRIED_TIMES)
    messages = [
        memoryview(content)[at : at + length]
        for at in range(_TRIED_TIMES)
        for length in _TRIED_BYTES
    ]
    md5_key, sha1_key = content[:32], content[32:64]
    expected = [
        hmac.digest(md5_key, message, "md5") + hmac.digest(sha1_key, message, "sha1")
        for message in messages
    ]
    return all(
        lanes(md5_key, sha1_key, messages, lanes=width) == expected
        for width in (1, 4, 8, 16)
        if width <= lanes.width
    )


if __name__ == "__main__":
    _built = build_lanes()
    sys.stdout.write(f"lanes: {_built.told}\n")
    sys.exit(_built.lanes is None)
