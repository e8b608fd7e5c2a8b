"""The wheel holds every package of the tree and nothing else."""

import importlib.metadata
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import tessera

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("adapters", "agent", "aggregator", "engine", "lab", "proto", "settings", "tui")


def listed(tool: str, key: str) -> list[str]:
    """Return a list of strings from a tool's table of pyproject.toml."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    return [str(item) for item in tools[tool][key]]


def sources() -> set[Path]:
    """Return the Python files of the package, relative to the root."""
    found = {path.relative_to(ROOT) for name in FOLDERS for path in (ROOT / name).rglob("*.py")}
    return found | {Path("__init__.py")}


def test_pyproject_lists_every_package() -> None:
    names = {".".join(("tessera", *path.parent.parts)) for path in sources()}
    assert sorted(listed("setuptools", "packages")) == sorted(names)


def test_every_folder_with_sources_is_a_package() -> None:
    bare = {path.parent for path in sources() if not (ROOT / path.parent / "__init__.py").exists()}
    assert bare == set()


def test_the_root_holds_no_other_python_file() -> None:
    assert [path.name for path in ROOT.glob("*.py")] == ["__init__.py"]


def test_static_tools_see_every_folder_that_holds_python() -> None:
    tops = {path.parts[0] for path in sources()}
    links = {path.name: path for path in (ROOT / ".links" / "tessera").iterdir()}
    assert tops | {"py.typed"} == set(links)
    assert all(path.resolve() == ROOT / name for name, path in links.items())
    assert tops - {"__init__.py"} <= set(listed("pyright", "include"))


def test_the_version_stands_in_two_places_that_agree() -> None:
    assert importlib.metadata.version("tessera") == tessera.__version__


@pytest.mark.slow
def test_a_wheel_built_from_the_tree_holds_exactly_the_sources(tmp_path: Path) -> None:
    copy = tmp_path / "tree"
    ignored = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", str(tmp_path), str(copy)], check=True)  # noqa: S603  our own tree
    (wheel,) = tmp_path.glob("*.whl")
    held = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    code = {path.relative_to("tessera") for path in held if path.parts[0] == "tessera"}
    kinds = ("csv", "proto", "pyi", "tcss")
    data = [p for name in FOLDERS for kind in kinds for p in (ROOT / name).rglob(f"*.{kind}")]
    assert code == sources() | {Path("py.typed")} | {path.relative_to(ROOT) for path in data}
    assert {"LICENSE", "NOTICE", "entry_points.txt"} <= {path.name for path in held - code}
