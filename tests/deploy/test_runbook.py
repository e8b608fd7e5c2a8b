"""The runbook knows every warning that a program can say, and names nothing that there is not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tessera.agent.metrics import COUNTERS, GAUGES, families
from tessera.agent.telling import UNRESPONSIVE
from tessera.agent.usage import Usage
from tessera.agent.vitals import Vitals
from tessera.proto import secure

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
LOUD = {"warning", "error", "exception", "_say"}
SHORTEST = 4  # characters of a piece that is looked for
INSTALLATION = ("curate", "record")  # commands with a person in front of them


def words(said: ast.expr) -> list[str]:
    """Return the constant pieces of a message, [] where it is made elsewhere."""
    match said:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            pieces = [v.value for v in values if isinstance(v, ast.Constant)]
            return [str(piece).strip(" :,;") for piece in pieces if len(str(piece)) > SHORTEST]
        case ast.IfExp(body=body, orelse=other):
            return words(body) + words(other)
    return []


def is_loud(call: ast.Call) -> bool:
    """Say whether a call logs a warning or worse."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in LOUD or not call.args:
        return False
    return call.func.attr == "_say" or "log" in ast.unparse(call.func.value)


def warnings() -> Iterator[tuple[str, str]]:
    """Yield file and piece of every warning in the programs."""
    for folder in ("agent", "aggregator", "settings"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.stem in INSTALLATION:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and is_loud(node):
                    for piece in words(node.args[0]):
                        yield str(path.relative_to(ROOT)), piece


def test_every_warning_stands_in_the_runbook() -> None:
    found = list(warnings())
    assert len(found) > 30
    kinds = {"aggregator", "fleet", "host"}  # of audit lines, not messages
    assert [(file, text) for file, text in found if text not in RUNBOOK and text not in kinds] == []


@pytest.mark.parametrize(
    ("source", "pieces"),
    [
        ('log.warning("a thing", x=1)', ["a thing"]),
        ('self._say(f"a {x} of the thing")', ["of the thing"]),
        ('log.info("a thing")', []),
        ("log.warning(what)", []),
    ],
)
def test_the_guard_finds_a_planted_warning(source: str, pieces: list[str]) -> None:
    (statement,) = ast.parse(source).body
    assert isinstance(statement, ast.Expr)
    call = statement.value
    assert isinstance(call, ast.Call)
    assert (words(call.args[0]) if is_loud(call) else []) == pieces


@pytest.mark.parametrize(
    "refusal", [secure.REFUSED, secure.PLAIN, secure.NO_TLS, secure.OTHER_NAME]
)
def test_every_refused_handshake_stands_in_the_runbook(refusal: str) -> None:
    assert f"`{refusal.split(':', maxsplit=1)[0]}" in RUNBOOK


def test_a_driver_that_hangs_stands_first_among_the_facts() -> None:
    facts = RUNBOOK.split("## Facts")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", facts, flags=re.MULTILINE)[0] == UNRESPONSIVE


def test_every_metric_that_is_named_is_told() -> None:
    told = {family.name for family in families(_anything(), "1", Usage())}
    named = set(re.findall(r"\b(?:tessera|process)_[a-z_]+", RUNBOOK))
    assert len(named) > 8
    assert named <= told


def test_every_command_and_link_that_is_named_exists() -> None:
    flags = set(re.findall(r"--tls-[a-z-]+", RUNBOOK))
    assert flags == {"--tls-ca", "--tls-cert", "--tls-key", "--tls-client-ca"}
    for path in re.findall(r"deploy/[\w./-]+\.(?:yaml|service)", RUNBOOK):
        assert (ROOT / path).exists(), path


def _anything() -> Vitals:
    age = 1.0
    counters = dict.fromkeys(COUNTERS, 0)
    return Vitals(
        "", "up", age, age, age, age, counters=counters, gauges=dict.fromkeys(GAUGES, age)
    )
