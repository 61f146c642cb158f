"""Other stores that encrypt, measured where they are installed: restic, borg and rclone crypt.

    python benchmarks/peers.py              says which are found, and their versions
    python benchmarks/peers.py --install    brings them to build/peers (needs pip, Go and, for borg, a compiler)

Each runs with its own defaults; SETTINGS says them.
"""

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "build" / "peers"
SECRET = "bench"
NAMES = ("restic", "borg", "rclone")
SETTINGS = {
    "restic": "backup --compression auto (its default), local repository; packs are synced",
    "borg": "create --compression lz4 (its default), repokey-blake2; segments are synced",
    "rclone": "copy to a crypt remote on the local disk, four transfers; no duplicates, nothing synced",
}
RESTIC, RCLONE, BORG = "v0.19.1", "v1.76.0", "1.4.5"
"""The newest that the registries gave when this was written."""
DEBIAN_FOR_BORG = "pkg-config liblz4-dev libzstd-dev libxxhash-dev libssl-dev libacl1-dev gcc"

Command = list[str]


@dataclass
class Peer:
    """One tool and its repository."""

    name: str
    version: str
    program: str = ""
    repository: Path = Path()
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, folder: Path) -> None:
        """Make a repository."""
        self.repository = folder / "repository"
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "RESTIC_PASSWORD": SECRET,
            "BORG_PASSPHRASE": SECRET,
            "BORG_BASE_DIR": str(folder),
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
            "RCLONE_CONFIG": str(folder / "rclone.conf"),
        }
        place = str(self.repository)
        if self.name == "restic":
            self._run(folder, [self.program, "init", "-r", place])
        elif self.name == "borg":
            self._run(folder, [self.program, "init", "-e", "repokey-blake2", place])
        else:
            self.repository.mkdir()
            words = ["config", "create", "c", "crypt", f"remote={place}", f"password={SECRET * 2}"]
            self._run(folder, [self.program, *words, "--obscure"])

    def saving(self, source: Path, name: str) -> list[Command]:
        """Return what backs a folder up; to be run in its parent, so that names agree between versions."""
        tag = _tag(name)
        if self.name == "restic":
            words = ["-r", str(self.repository), "backup", "--compression", "auto", "--tag", tag]
            return [[self.program, *words, source.name]]
        if self.name == "borg":
            words = ["create", "--compression", "lz4", f"{self.repository}::{tag}", source.name]
            return [[self.program, *words]]
        return [[self.program, "copy", source.name, f"c:{tag}/{source.name}"]]

    def restoring(self, name: str, output: Path) -> list[Command]:
        """Return what brings a folder back; to be run in `output`."""
        tag = _tag(name)
        if self.name == "restic":
            words = ["-r", str(self.repository), "restore", "latest", "--tag", tag]
            return [[self.program, *words, "--target", str(output)]]
        if self.name == "borg":
            return [[self.program, "extract", f"{self.repository}::{tag}"]]
        return [[self.program, "copy", f"c:{tag}", str(output)]]

    def deleting(self, name: str) -> list[Command]:
        """Return what deletes a version and gives its room back."""
        tag, place = _tag(name), str(self.repository)
        if self.name == "restic":
            words = ["-r", place, "forget", "--tag", tag, "--unsafe-allow-remove-all", "--prune"]
            return [[self.program, *words]]
        if self.name == "borg":
            return [
                [self.program, "delete", f"{place}::{tag}"],
                [self.program, "compact", place],
            ]
        return [[self.program, "purge", f"c:{tag}"]]

    def save(self, source: Path, name: str) -> None:
        """Back a folder up."""
        for command in self.saving(source, name):
            self._run(source.parent, command)

    def restore(self, name: str, output: Path) -> None:
        """Bring a folder back."""
        for command in self.restoring(name, output):
            self._run(output, command)

    def _run(self, folder: Path, words: Command) -> None:
        subprocess.run(
            words,
            cwd=folder,
            env=self.environment,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )


def _tag(name: str) -> str:
    return name.replace(", ", "-").replace(" ", "-")


def find_peers(names: tuple[str, ...] = ("restic", "borg")) -> list[Peer]:
    """Return the tools that were installed here or are on the path, in the order asked for."""
    found = []
    for name in names:
        own = HOME / "bin" / name
        program = str(own) if own.exists() else shutil.which(name)
        if program:
            words = [program, "--version" if name == "borg" else "version"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            told = done.stdout.strip().splitlines()
            if done.returncode == 0 and told:
                found.append(Peer(name, told[0], program))
    return found


def install() -> None:
    """Build the peers of the versions above from their registries into build/peers."""
    (HOME / "bin").mkdir(parents=True, exist_ok=True)
    binaries = HOME / "bin"
    for name, module, package in (
        ("restic", f"github.com/restic/restic {RESTIC}", "github.com/restic/restic/cmd/restic"),
        ("rclone", f"github.com/rclone/rclone {RCLONE}", "github.com/rclone/rclone"),
    ):
        if (binaries / name).exists():
            continue
        # Its own go.mod, and no `go install …@version`: that asks for the list of all versions first.
        folder = HOME / f"{name}-build"
        folder.mkdir(exist_ok=True)
        (folder / "go.mod").write_text(f"module peers\n\ngo 1.24\n\nrequire {module}\n")
        words = ["go", "build", "-mod=mod", "-o", str(binaries / name), package]
        subprocess.run(words, cwd=folder, check=True)
    if not (binaries / "borg").exists():
        sys.stdout.write(f"borg is compiled; on Debian it needs: {DEBIAN_FOR_BORG}\n")
        subprocess.run([sys.executable, "-m", "venv", str(HOME / "borg")], check=True)
        pip = [str(HOME / "borg" / "bin" / "pip"), "install", "-q", f"borgbackup=={BORG}"]
        subprocess.run(pip, check=True)
        (binaries / "borg").symlink_to("../borg/bin/borg")


def main() -> int:
    """Install if asked, and say what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="build them into build/peers")
    if parser.parse_args().install:
        install()
    found = {peer.name: peer for peer in find_peers(NAMES)}
    for name in NAMES:
        told = f"{found[name].version}; {SETTINGS[name]}" if name in found else "missing"
        sys.stdout.write(f"{name}: {told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
