"""Builds .venv from a bare Python 3.11+: packages locked with hashes, Hansa itself from this checkout.

Works where the interpreter has no pip and no ensurepip (Debian's python3 without python3-venv): the
pip wheel beside this file installs everything else. Run again when nothing changed, it takes a moment.

    python3 tools/bootstrap/bootstrap.py [--runtime] [--hdfs] [--this-python]
"""

import argparse
import fcntl
import hashlib
import os
import re
import shutil
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
    install(python, requirements)
    site = next((folder / "lib").glob("python3*/site-packages"))
    (site / "hansa.pth").write_text(f"{ROOT / 'src'}\n")
    launcher = folder / "bin" / "hansa"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)


def install(python: Path, requirements: Path) -> None:
    """Install locked packages."""
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


def lacks_hadoop_tools() -> bool:
    """Tell whether the machine has no Java 11 that runs, or no Maven: packages then stand in."""
    java = os.environ.get("HANSA_JAVA") or shutil.which("java")
    if java is None or shutil.which("mvn") is None:
        return True
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', told.stderr + told.stdout)
    return told.returncode != 0 or found is None or int(found[1]) < 11


def add_hadoop_tools(folder: Path) -> None:
    """Add what development on HDFS needs and this machine lacks, if it is not there yet."""
    requirements = ROOT / "requirements" / "hdfs-server.txt"
    done = folder / "hansa-hdfs-stamp"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if lacks_hadoop_tools() and (not done.exists() or done.read_text() != wanted):
        try:
            install(folder / "bin" / "python", requirements)
        except SystemExit as error:
            # All but HDFS works without; what needs it says so itself.
            print(f"No HDFS on this machine, for want of Java or Maven: {error}", flush=True)
            return
        done.write_text(wanted)


def add_lanes(folder: Path, version: str) -> None:
    """Build the kernel that hashes several chunks at once, where there is a C compiler.

    Everything works without it, with the same results: what fails here is told, and no more.
    """
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    source = (ROOT / "src" / "hansa" / "lanes.c").read_bytes()
    done = folder / "hansa-lanes-stamp"
    wanted = f"{hashlib.sha256(source).hexdigest()} {version} {compiler}"
    if compiler is None or (done.exists() and done.read_text() == wanted):
        return
    command = [str(folder / "bin" / "python"), "-P", "-m", "hansa.lanes"]
    result = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    if result.returncode:
        print("Fingerprints are computed one by one: the faster kernel was not built.", flush=True)
    done.write_text(wanted)


def main() -> None:
    """Do what the arguments ask, one process at a time."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells the user
        sys.exit(f"Hansa needs Python 3.11 or later, not {sys.version.split()[0]}; set PYTHON=….")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", action="store_true", help="without the tools of development")
    parser.add_argument(
        "--hdfs", action="store_true", help="with Java and a resolver of jars, if there are none"
    )
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
        if present != wanted and not (runtime and present == richer):
            done.unlink(missing_ok=True)
            build(folder, requirements, version)
            done.write_text(wanted)
        add_lanes(folder, version)
        if arguments.hdfs:
            add_hadoop_tools(folder)


if __name__ == "__main__":
    os.environ.pop("PYTHONHOME", None)
    main()
