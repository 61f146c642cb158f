"""Builds .venv from a bare Python 3.11+: packages locked with hashes, Hansa itself from this checkout.

Works where the interpreter has no pip and no ensurepip (Debian's python3 without python3-venv): the
pip wheel beside this file installs everything else. Run again when nothing changed, it takes a moment.

    python3 tools/bootstrap/bootstrap.py [--runtime] [--this-python]
"""

import argparse
import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# A shell starts the interpreter: a checkout's path may hold spaces or be too long for a "#!" line.
LAUNCHER = """#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec "$here/python" -P -c '
import sys
from hansa.cli.main import main
sys.argv[0] = "hansa"
sys.exit(main())
' "$@"
"""


def stamp_of(requirements: Path, version: str) -> str:
    """Return what identifies an environment that is up to date."""
    state = hashlib.sha256(Path(__file__).read_bytes())
    state.update(requirements.read_bytes())
    return f"{state.hexdigest()} {version} {ROOT}"


def version_of(folder: Path) -> str:
    """Return the Python version of the environment in `folder`, or nothing if it cannot run."""
    settings = folder / "pyvenv.cfg"
    if not settings.exists() or not (folder / "bin" / "python").exists():
        return ""
    pairs = (line.partition("=") for line in settings.read_text().splitlines())
    return next((value.strip() for key, _, value in pairs if key.strip() == "version"), "")


def build(folder: Path, requirements: Path, version: str) -> None:
    """Create or bring up to date the environment in `folder`."""
    python = folder / "bin" / "python"
    if version_of(folder) != version:
        print(f"Creating {folder.name} with Python {version} …", flush=True)
        venv.EnvBuilder(with_pip=False, clear=folder.exists(), symlinks=True).create(folder)
    pip = next(HERE.glob("pip-*.whl"))
    print(f"Installing {requirements.name}: locked packages, checked by hash …", flush=True)
    command = [
        str(python),
        f"{pip}/pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--require-hashes",
        "-r",
        str(requirements),
    ]
    result = subprocess.run(command, check=False)
    if result.returncode:
        sys.exit("The packages could not be installed: is a Python package index in reach?")
    site = next((folder / "lib").glob("python3*/site-packages"))
    (site / "hansa.pth").write_text(f"{ROOT / 'src'}\n")
    launcher = folder / "bin" / "hansa"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)


def main() -> None:
    """Do what the arguments ask, one process at a time."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells the user
        sys.exit(f"Hansa needs Python 3.11 or later, not {sys.version.split()[0]}; set PYTHON=….")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", action="store_true", help="without the tools of development")
    parser.add_argument(
        "--this-python", action="store_true", help="rebuild an environment made by another Python"
    )
    arguments = parser.parse_args()
    runtime = arguments.runtime
    requirements = ROOT / "requirements" / ("runtime.txt" if runtime else "dev.txt")
    folder = ROOT / ".venv"
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "hansa-stamp"
        own = ".".join(map(str, sys.version_info[:3]))
        version = own if arguments.this_python else version_of(folder) or own
        wanted = stamp_of(requirements, version)
        richer = stamp_of(ROOT / "requirements" / "dev.txt", version)
        present = done.read_text() if done.exists() else ""
        if present == wanted or (runtime and present == richer):
            return
        done.unlink(missing_ok=True)
        build(folder, requirements, version)
        done.write_text(wanted)


if __name__ == "__main__":
    os.environ.pop("PYTHONHOME", None)
    main()
