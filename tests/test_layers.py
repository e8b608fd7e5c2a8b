"""The folders import each other in one direction, and only what their extras bring."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT: dict[str, set[str]] = {
    "engine": set(),
    "proto": set(),
    "adapters": set(),
    "settings": set(),
    "agent": {"engine", "proto", "adapters", "settings"},
    "aggregator": {"engine", "proto", "settings", "adapters.topology", "adapters.catalogue"},
    "tui": {"proto", "settings"},
    "lab": {"engine", "proto", "adapters", "settings", "agent", "aggregator"},
}
EXTRA_OF = {  # whose installation holds everything that the folder imports
    "engine": None,
    "proto": "wire",
    "adapters": "agent",
    "settings": "programs",
    "agent": "agent",
    "aggregator": "aggregator",
    "tui": "tui",
    "lab": "lab",
}
MODULE_OF = {  # where the package is not called like its module
    "grpcio": "grpc",
    "nvidia-ml-py": "pynvml",
    "protobuf": "google",
    "pydantic-settings": "pydantic_settings",
    "sqlite-utils": "sqlite_utils",
    "textual-plotext": "textual_plotext",
}
TOO_HEAVY_FOR_A_HOST = {"fastapi", "rich", "scipy", "sqlite_utils", "textual", "uvicorn"}
SOURCES = {folder: sorted((ROOT / folder).rglob("*.py")) for folder in MAY_IMPORT}

# What would give the engine a clock, dice, or a way in or out.
NOT_IN_ENGINE = {
    *("asyncio", "multiprocessing", "select", "signal", "socket", "subprocess", "threading"),
    *("ctypes", "glob", "io", "logging", "mmap", "os", "pathlib", "pickle", "shutil", "sys"),
    *("http", "sqlite3", "tempfile", "urllib"),
    *("datetime", "time", "zoneinfo"),
    *("random", "secrets", "uuid"),
}
CALLS_NOT_IN_ENGINE = {"open", "print", "input", "breakpoint"}
NUMPY_NOT_IN_ENGINE = {"fromfile", "genfromtxt", "load", "loadtxt", "memmap", "save", "savetxt"}


def imports(path: Path, root: Path) -> Iterator[str]:
    """Yield the dotted name of everything imported, ours as ``.engine.ranks.Ranks``."""
    here = path.relative_to(root).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = len(here) + 1 - node.level
            base = ["", *here[:above]] if node.level else []
            base += (node.module or "").split(".") if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)


def trespasses(path: Path, root: Path) -> list[str]:
    """Return the imports of other folders of ours that the file at ``path`` may not make."""
    folder = path.relative_to(root).parts[0]
    allowed = {folder, *MAY_IMPORT[folder]}
    found = []
    for name in imports(path, root):
        ours = name.startswith(".") and name.split(".")[1] in MAY_IMPORT
        if ours and not any(f"{name}.".startswith(f".{ok}.") for ok in allowed):
            found.append(name)
    return found


def absolutes(path: Path, root: Path) -> list[str]:
    """Return imports of ours that are not relative: they break in one installation or another."""
    ours = {"tessera", *MAY_IMPORT}
    return [name for name in imports(path, root) if name.split(".")[0] in ours]


def strangers(path: Path, root: Path) -> set[str]:
    """Return the third-party modules that the file at ``path`` imports."""
    tops = {name.split(".")[0] for name in imports(path, root) if not name.startswith(".")}
    return tops - set(sys.stdlib_module_names)


def modules_of(extra: str | None) -> set[str]:
    """Return the modules of the base installation and ``extra``, through extras inside extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found, waiting = set(), list(project["dependencies"])
    waiting += project["optional-dependencies"][extra] if extra else []
    while waiting:
        name, inner = re.match(r"([\w.-]+)(?:\[([\w,-]+)\])?", waiting.pop()).groups()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]  # every requirement has a name
        if name == "tessera":
            for part in inner.split(","):
                waiting += project["optional-dependencies"][part]
        else:
            found.add(MODULE_OF.get(name, name))
    return found


def impurities(path: Path) -> list[str]:
    """Return what in the file at ``path`` reads a clock, rolls dice or does input or output."""
    found = [name for name in imports(path, path.parent) if name.split(".")[0] in NOT_IN_ENGINE]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += [node.func.id] if node.func.id in CALLS_NOT_IN_ENGINE else []
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            of_random = name.startswith(("np.random.", "numpy.random."))
            dice = of_random and name.split(".")[2] != "Generator"
            disk = name.split(".")[0] in {"np", "numpy"} and node.attr in NUMPY_NOT_IN_ENGINE
            found += [name] if dice or disk else []
    return found


def planted(root: Path, where: str, text: str) -> Path:
    """Write a source file into an imitation of the tree."""
    path = root / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_the_folders_it_may(folder: str) -> None:
    found = {str(path): trespasses(path, ROOT) for path in SOURCES[folder]}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_sources_import_each_other_relatively(folder: str) -> None:
    found = {str(path): absolutes(path, ROOT) for path in SOURCES[folder]}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_its_extra_brings(folder: str) -> None:
    found = {str(path): strangers(path, ROOT) for path in SOURCES[folder]}
    brought = modules_of(EXTRA_OF[folder])
    assert {path: names - brought for path, names in found.items() if names - brought} == {}


def test_what_a_host_installs_stays_light() -> None:
    assert modules_of("agent") & TOO_HEAVY_FOR_A_HOST == set()
    assert {"numpy", "grpc", "pynvml"} <= modules_of("agent")


def test_all_is_the_sum_of_the_programs() -> None:
    parts = [modules_of(extra) for extra in ("agent", "aggregator", "tui", "lab")]
    assert modules_of("all") == set().union(*parts)


def test_the_engine_has_no_clock_no_dice_and_no_way_in_or_out() -> None:
    found = {str(path): impurities(path) for path in SOURCES["engine"]}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("where", "text", "found"),
    [
        ("engine/x.py", "from ..agent import fold", [".agent.fold"]),
        ("agent/x.py", "from ..aggregator.pipeline import step", [".aggregator.pipeline.step"]),
        ("aggregator/x.py", "from ..adapters import recording", [".adapters.recording"]),
        ("aggregator/x.py", "from ..adapters.catalogues import C", [".adapters.catalogues.C"]),
        ("aggregator/state/x.py", "from ...lab import replay", [".lab.replay"]),
        ("tui/x.py", "def late():\n    from ..engine import ranks", [".engine.ranks"]),
        ("aggregator/x.py", "from ..adapters import catalogue", []),
        ("aggregator/state/x.py", "from ...adapters.topology.model import Node", []),
        ("aggregator/state/x.py", "from ..decide import verdicts\nfrom . import y", []),
        ("lab/x.py", "from .. import __version__", []),
    ],
)
def test_the_guard_finds_a_planted_trespass(
    tmp_path: Path, where: str, text: str, found: list[str]
) -> None:
    assert trespasses(planted(tmp_path, where, text), tmp_path) == found


@pytest.mark.parametrize("text", ["import tessera.engine", "from engine import ranks"])
def test_the_guard_finds_a_planted_absolute_import(tmp_path: Path, text: str) -> None:
    assert absolutes(planted(tmp_path, "agent/x.py", text), tmp_path)


def test_the_guard_finds_a_planted_stranger(tmp_path: Path) -> None:
    path = planted(tmp_path, "engine/x.py", "import math, scipy.stats\nfrom numpy import linalg")
    assert strangers(path, tmp_path) - modules_of(None) == {"scipy"}


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from os import path",
        "open('x')",
        "import numpy as np\nnp.random.default_rng(1)",
        "import numpy as np\nnp.load('x')",
    ],
)
def test_the_guard_finds_a_planted_impurity(tmp_path: Path, text: str) -> None:
    assert impurities(planted(tmp_path, "engine/x.py", text))


def test_a_generator_that_was_given_is_no_impurity(tmp_path: Path) -> None:
    text = "import numpy as np\ndef draw(rng: np.random.Generator): return rng.normal()"
    assert impurities(planted(tmp_path, "engine/x.py", text)) == []
