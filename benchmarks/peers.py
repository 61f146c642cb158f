"""Other stores that deduplicate and encrypt, measured where they are installed: restic and borg."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

SECRET = "bench"
NAMES = {"restic": ["restic", "version"], "borg": ["borg", "--version"]}


@dataclass
class Peer:
    """One tool and its repository."""

    name: str
    version: str
    repository: Path = Path()
    _environment: dict[str, str] = field(default_factory=dict)

    def start(self, folder: Path) -> None:
        """Make a repository."""
        self.repository = folder / "repository"
        self._environment = {
            **os.environ,
            "HOME": str(folder),
            "RESTIC_PASSWORD": SECRET,
            "BORG_PASSPHRASE": SECRET,
            "BORG_BASE_DIR": str(folder),
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }
        if self.name == "restic":
            self._run(folder, "restic", "init", "-r", self.repository)
        else:
            self._run(folder, "borg", "init", "-e", "repokey-blake2", self.repository)

    def save(self, source: Path, name: str) -> None:
        """Back a folder up, from its parent folder so that names agree between versions."""
        if self.name == "restic":
            words = ["restic", "-r", self.repository, "backup", "--tag", _tag(name), source.name]
        else:
            words = ["borg", "create", "--compression", "zstd,1"]
            words += [f"{self.repository}::{_tag(name)}", source.name]
        self._run(source.parent, *words)

    def restore(self, name: str, output: Path) -> None:
        """Bring a folder back."""
        if self.name == "restic":
            words = ["restic", "-r", self.repository, "restore", "latest", "--tag", _tag(name)]
            self._run(output, *words, "--target", output)
        else:
            self._run(output, "borg", "extract", f"{self.repository}::{_tag(name)}")

    def _run(self, folder: Path, *words: str | Path) -> None:
        subprocess.run(
            [str(word) for word in words],
            cwd=folder,
            env=self._environment,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )


def _tag(name: str) -> str:
    return name.replace(", ", "-").replace(" ", "-")


def find_peers() -> list[Peer]:
    """Return the tools that are on the path."""
    found = []
    for name, words in NAMES.items():
        if shutil.which(words[0]):
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            told = done.stdout.strip().splitlines()
            if done.returncode == 0 and told:
                found.append(Peer(name, told[-1]))
    return found
