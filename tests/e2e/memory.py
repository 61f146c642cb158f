"""What lies in a running process's memory and in its folder: searched for planted secrets."""

import base64
from pathlib import Path

PIECE_BYTES = 1 << 24
UNREADABLE = ("[vvar]", "[vvar_vclock]", "[vsyscall]", "[vdso]")


def forms(secret: bytes) -> dict[str, bytes]:
    """Return a binary secret as it may be written: raw, hex, the inside of its base64."""
    return {
        "raw": secret,
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        # The last characters depend on what follows.
        "base64": base64.b64encode(secret)[:40],
        "base64url": base64.urlsafe_b64encode(secret)[:40],
    }


def can_read_memory(pid: int) -> bool:
    """Tell whether this user may look into a process: nodes forbid it to all but root."""
    try:
        Path(f"/proc/{pid}/mem").open("rb", 0).close()
    except OSError:
        return False
    return True


def find_in_memory(pid: int, wanted: dict[str, bytes]) -> dict[str, int]:
    """Return how often each of some byte strings lies in a process's writable memory."""
    longest = max(map(len, wanted.values()))
    found = dict.fromkeys(wanted, 0)
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            place, rights, *_ = line.split()
            if not rights.startswith("rw") or line.rstrip().endswith(UNREADABLE):
                continue
            start, end = (int(part, 16) for part in place.split("-"))
            for at in range(start, end, PIECE_BYTES):
                try:
                    memory.seek(at)
                    piece = memory.read(min(PIECE_BYTES + longest, end - at))
                except (OSError, ValueError):
                    continue
                for name, secret in wanted.items():
                    found[name] += piece.count(secret)
    return {name: count for name, count in found.items() if count}


def find_in_files(folder: Path, wanted: dict[str, bytes]) -> dict[str, str]:
    """Return the byte strings that some file below a folder holds, with the file's name."""
    found: dict[str, str] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found |= {name: path.name for name, secret in wanted.items() if secret in data}
    return found
