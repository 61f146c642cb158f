"""The house rules that no other tool checks: length, purpose, tests for each module, licences, words."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "hansa"
MODULES = sorted(SOURCE.rglob("*.py"))
SAMPLE = SOURCE / "cli" / "sample"
LINES_MAX = 600
FUNCTION_LINES_MAX = 70
SAMPLE_BYTES_MAX = 5_000_000

# Built from pieces, so that this file does not contain what it forbids.
FORBIDDEN = re.compile(
    "|".join(
        [
            r"(?<![\w.])/" + "(?:wo" + "rk|ro" + "ot|far" + "m)/",
            "polyg" + "lot",
            "bash_" + "jobs",
            "files.python" + "hosted",
        ]
    )
)


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name]


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("module", MODULES, ids=_relative)
def test_module_is_short_and_says_its_purpose(module: Path) -> None:
    """No source file passes 600 lines; each begins with a line that says what it is for."""
    text = module.read_text()
    assert text.count("\n") <= LINES_MAX
    purpose = ast.get_docstring(ast.parse(text))
    assert purpose, "no docstring at the head"
    assert len(purpose.splitlines()[0]) >= 20


@pytest.mark.parametrize("module", MODULES, ids=_relative)
def test_functions_are_short(module: Path) -> None:
    """No function passes 70 lines, its docstring not counted."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            lines = (node.end_lineno or 0) - node.lineno + 1 - docstring.count("\n")
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


def test_each_module_has_a_test_file() -> None:
    """src/hansa/a/b.py is covered by tests/unit/a/test_b.py."""
    missing = []
    for module in MODULES:
        if module.name in {"__init__.py", "__main__.py"}:
            continue
        inside = module.relative_to(SOURCE)
        expected = ROOT / "tests" / "unit" / inside.parent / f"test_{inside.name}"
        if not expected.exists():
            missing.append(_relative(module))
    assert missing == []


def _imports(module: Path) -> set[str]:
    """Return what a module imports, at its head or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def _entries(names: set[str]) -> set[str]:
    """Return where running and importing begin: commands, `python -m`, what documents import."""
    nouns = re.findall(r'^    "([a-z]+)": "', (SOURCE / "cli/main.py").read_text(), re.MULTILINE)
    client = (ROOT / "docs/client.md").read_text()
    shown = re.findall(r"^\s*from (hansa[\w.]*) import", client, re.MULTILINE)
    commands = {"hansa.cli.main", *(f"hansa.cli.{noun}" for noun in nouns)}
    # The store in memory is the plain model that tests compare the others with.
    shipped = {name for name in names if name.startswith("hansa.testing.")} | {
        "hansa.storage.memory"
    }
    return commands | set(shown) | shipped | {n for n in names if n.endswith(".__main__")}


def test_no_module_is_unreached() -> None:
    """Every module is reached from a command, a document's example or the kit for authors."""
    modules = {
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts): path for path in MODULES
    }
    names = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    waiting = [name for name in _entries(set(names)) if name in names]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            parents = {name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)}
            waiting += [found for found in _imports(names[name]) | parents if found in names]
    assert sorted(set(names) - reached) == []


def test_requirements_are_locked_and_name_no_host() -> None:
    """Each package has one version and hashes; where it comes from is the installer's affair."""
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "://" not in text
        packages = re.split(r"\n(?=[a-z0-9])", text.strip())
        assert all(re.match(r"[\w.-]+==\S+", package) for package in packages)
        assert all("--hash=sha256:" in package for package in packages)


def test_repository_speaks_of_hansa_alone() -> None:
    """No machine path, no word of the workshop, in any tracked text file but the lock."""
    for path in _tracked():
        if path.suffix in {".lock", ".whl"} or SAMPLE in path.parents or not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" in data:
            continue
        found = FORBIDDEN.search(data.decode("utf-8", "replace"))
        assert found is None, f"{_relative(path)}: {found.group() if found else ''}"


def test_readme_names_real_targets() -> None:
    """Each `make X` that the README tells exists."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named >= {"demo", "test"}
    assert named <= targets


def test_sample_is_small_and_licensed() -> None:
    """The sample is at most 5 MB; each file of it is in the catalogue and among the licences."""
    catalogue = json.loads((SAMPLE / "catalogue.json").read_text())
    licences = (SAMPLE / "LICENCES.md").read_text()
    listed = {
        name for item in catalogue["datasets"] for version in item["versions"] for name in version
    }
    files = {str(path.relative_to(SAMPLE)) for path in SAMPLE.glob("*/*") if path.is_file()}
    assert listed == files
    assert all(f"| {name} |" in licences for name in files)
    assert sum((SAMPLE / name).stat().st_size for name in files) <= SAMPLE_BYTES_MAX
    assert len({name.rsplit(".", 1)[1] for name in files}) >= 4
    assert any(len(item["versions"]) >= 3 for item in catalogue["datasets"])


def test_licence_is_there() -> None:
    """Apache-2.0, whole."""
    assert "Apache License" in (ROOT / "LICENSE").read_text()
