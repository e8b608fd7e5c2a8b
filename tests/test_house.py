"""What the papers of the house say about it is true."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("adapters", "agent", "aggregator", "engine", "lab", "proto", "settings", "tui")
PAPERS = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "proto/README.md", "tui/README.md"),
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))),
]
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
VAGUE = {"common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}
IGNORE = re.compile(
    r"# (noqa(: [A-Z]+\d+(, ?[A-Z]+\d+)*)?|(type|pyright): ignore(\[[\w, -]+\])?)(?!\w)"
)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def targets() -> set[str]:
    """Return the targets of the Makefile that a person calls."""
    return set(re.findall(r"^([a-z]+):", text("Makefile"), flags=re.MULTILINE))


def unexplained(lines: list[str]) -> list[int]:
    """Return the numbers of lines that silence a checker without a reason beside or above it."""
    found = []
    for number, line in enumerate(lines, 1):
        beside = IGNORE.sub("", line[line.index("#") :]) if IGNORE.search(line) else "nothing"
        above = number > 1 and lines[number - 2].lstrip().startswith("#")
        if not above and not re.search(r"\w", beside):
            found.append(number)
    return found


@pytest.mark.parametrize("paper", PAPERS)
def test_every_file_that_a_paper_links_exists(paper: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text(paper))
    missing = [link for link in links if not (ROOT / paper).parent.joinpath(link).exists()]
    assert missing == []


def test_the_main_path_is_five_source_files() -> None:
    section = text("README.md").split("## The main path")[1].split("\n## ")[0]
    files = re.findall(r"^\d\. \[`([\w/]+\.py)`\]", section, flags=re.MULTILINE)
    assert len(files) == 5
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_every_top_level_folder_with_python_is_in_the_layout() -> None:
    layout = text("README.md").split("## Layout")[1]
    assert [name for name in FOLDERS if f"`{name}/`" not in layout] == []


@pytest.mark.parametrize("paper", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ".ci/run"])
def test_a_make_target_that_is_named_exists(paper: str) -> None:
    named = set(re.findall(r"(?:^ *|`)make ([a-z]+)", text(paper), flags=re.MULTILINE))
    assert named
    assert named <= targets()


def test_every_decision_is_listed_and_says_what_why_and_what_was_refused() -> None:
    folder = ROOT / "docs" / "decisions"
    decisions = {path.name for path in folder.glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", text("docs/decisions/README.md"))) == decisions
    for name in decisions:
        parts = ("**What.**", "**Why.**", "**Refused.**")
        assert all(part in text(f"docs/decisions/{name}") for part in parts), name


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in SOURCES if path.stem in VAGUE] == []


def test_every_engine_module_with_a_function_has_its_tests_and_names_them() -> None:
    found = []
    for path in sorted((ROOT / "engine").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not any(isinstance(node, ast.FunctionDef) for node in ast.walk(tree)):
            continue  # a table, or the package's own docstring
        doc = ast.get_docstring(tree) or ""
        if not re.search(r"(Null|[Hh]olds):.*(Power|[Ff]ails?):", doc, flags=re.DOTALL):
            found.append(f"{path.name}: the docstring names no null and power test")
        if not (ROOT / "tests" / "engine" / f"test_{path.name}").exists():
            found.append(f"{path.name}: no tests")
    assert found == []


def test_whatever_silences_a_checker_gives_its_reason() -> None:
    files = [*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").glob("*.py")]
    found = {
        str(path.relative_to(ROOT)): lines
        for path in files
        if (lines := unexplained(path.read_text(encoding="utf-8").splitlines()))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("x = 1  # noqa: E741", True),
        ("x = 1  # type: ignore[arg-type]", True),
        ("x = 1  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]", True),
        ("x = 1  # noqa: E741  the paper's letter", False),
        ("x = 1  # type: ignore[arg-type]  # the fault under test", False),
        ("x = 1  # a plain remark", False),
    ],
)
def test_the_guard_finds_a_silence_without_reason(line: str, bad: bool) -> None:  # noqa: FBT001  a table's column
    assert bool(unexplained(["", line])) is bad
    assert unexplained(["# the reason", line]) == []


def test_every_ignored_rule_of_pyproject_has_its_reason() -> None:
    lint = text("pyproject.toml").split("[tool.ruff.lint]")[1].split("[tool.ruff.lint.isort]")[0]
    rules = [line for line in lint.splitlines() if re.match(r'\s+"[A-Z]+\d*",', line)]
    assert len(rules) > 5
    assert [line for line in rules if "#" not in line] == []
