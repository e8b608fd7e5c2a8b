"""The generated code says what the .proto files say.

The quick test reads the .proto text itself; the slow one generates anew and compares bytes.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from tessera.adapters.kubernetes import pod_resources_pb2
from tessera.adapters.tpu import tpu_metric_service_pb2
from tessera.proto.schema import console, health, ingest

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
MODULES = {
    "proto/ingest": ingest,
    "proto/console": console,
    "proto/health": health,
    "adapters/kubernetes/pod_resources": pod_resources_pb2,
    "adapters/tpu/tpu_metric_service": tpu_metric_service_pb2,
}
COMMENT = re.compile(r"//[^\n]*")
TOKEN = re.compile(r'"[^"]*"|[\w.]+|[{}()<>=;,]')
NO_PLAIN_TYPE = FieldDescriptorProto.TYPE_MESSAGE, FieldDescriptorProto.TYPE_ENUM


def said(text: str) -> set[str]:
    """Return what the text of a .proto file defines, one line for each thing."""
    words = TOKEN.findall(COMMENT.sub("", text))
    return set(_block(iter(words), ""))


def _block(words: Iterator[str], name: str) -> Iterator[str]:
    """Yield what stands in a block up to its closing brace; ``name`` says which block."""
    for word in words:
        if word == "}":
            return
        if word in {"message", "enum", "service", "oneof"}:
            inner = f"{name}{next(words)}"
            yield f"{word} {inner}"
            next(words)  # the opening brace
            yield from _block(words, f"{inner}.")
        else:
            yield _statement([word, *_until_the_end(words)], name)


def _until_the_end(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if word in {";", "{"}:
            return
        yield word


def _statement(words: list[str], name: str) -> str:
    if words[0] in {"syntax", "package"}:
        return " ".join(word for word in words if word != "=")
    if words[0] == "rpc":
        return " ".join([f"rpc {name}{words[1]}", *(w for w in words[2:] if w not in "()")])
    *kind, own, equals, number = words
    assert equals == "="
    return " ".join([f"{name}{own}", number, *(word for word in kind if word not in "<>,")])


def generated(file: FileDescriptorProto) -> set[str]:
    """Return the same lines of the description that the generated code carries."""
    found = {f'syntax "{file.syntax}"', f"package {file.package}"}
    inside = f".{file.package}."
    for message in file.message_type:
        found |= set(_message(message, "", inside))
    for enum in file.enum_type:
        found |= set(_enum(enum, ""))
    for service in file.service:
        found.add(f"service {service.name}")
        for m in service.method:
            takes = ["stream"] * m.client_streaming + [m.input_type.removeprefix(inside)]
            gives = ["stream"] * m.server_streaming + [m.output_type.removeprefix(inside)]
            found.add(" ".join([f"rpc {service.name}.{m.name}", *takes, "returns", *gives]))
    return found


def _message(message: DescriptorProto, outside: str, inside: str) -> Iterator[str]:
    name = f"{outside}{message.name}"
    yield f"message {name}"
    maps = {n.name: n.field for n in message.nested_type if n.options.map_entry}
    for oneof in message.oneof_decl:
        yield f"oneof {name}.{oneof.name}"
    for field in message.field:
        entry = maps.get(field.type_name.rpartition(".")[2])
        if entry:
            kind = f"map {_kind(entry[0], inside, name)} {_kind(entry[1], inside, name)}"
        else:
            repeated = field.label == FieldDescriptorProto.LABEL_REPEATED
            kind = "repeated " * repeated + _kind(field, inside, name)
        chosen = field.HasField("oneof_index")
        within = f"{name}.{message.oneof_decl[field.oneof_index].name}" if chosen else name
        yield f"{within}.{field.name} {field.number} {kind}"
    for nested in message.nested_type:
        if nested.name not in maps:
            yield from _message(nested, f"{name}.", inside)
    for enum in message.enum_type:
        yield from _enum(enum, f"{name}.")


def _enum(enum: EnumDescriptorProto, outside: str) -> Iterator[str]:
    yield f"enum {outside}{enum.name}"
    for value in enum.value:
        yield f"{outside}{enum.name}.{value.name} {value.number}"


def _kind(field: FieldDescriptorProto, inside: str, name: str) -> str:
    if field.type in NO_PLAIN_TYPE:
        return field.type_name.removeprefix(inside).removeprefix(f"{name}.")
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def described(module: ModuleType) -> FileDescriptorProto:
    file = FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)
    return file


@pytest.mark.parametrize("name", MODULES)
def test_the_generated_code_defines_what_the_text_says(name: str) -> None:
    text = (ROOT / f"{name}.proto").read_text(encoding="utf-8")
    assert generated(described(MODULES[name])) == said(text)


def test_the_comparison_sees_every_kind_of_thing() -> None:
    lines = said((PROTO / "ingest.proto").read_text(encoding="utf-8"))
    assert {
        'syntax "proto3"',
        "package tessera.ingest.v1",
        "rpc Ingest.Exchange stream FromAgent returns stream FromAggregator",
        "oneof FromAgent.body",
        "FromAgent.body.hello 1 Hello",
        "enum Array.Kind",
        "Array.Kind.FLOAT32 1",
        "Array.shape 2 repeated uint32",
        "Plan.needed 4 map string Needed",
    } <= lines


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("fixed64 sent_ns = 5;", "fixed64 sent_ns = 6;"),
        ("fixed64 sent_ns = 5;", "uint64 sent_ns = 5;"),
        ("fixed64 sent_ns = 5;", "fixed64 sent = 5;"),
        ("fixed64 sent_ns = 5;", ""),
        ("repeated uint32 shape", "uint32 shape"),
        ("map<string, Needed>", "map<string, Plan>"),
        ("FLOAT32 = 1;", "FLOAT32 = 11;"),
        ("returns (stream FromAggregator)", "returns (FromAggregator)"),
        ("message Hello {", "message Hullo {"),
        ("package tessera.ingest.v1", "package tessera.ingest.v2"),
    ],
)
def test_the_comparison_finds_a_planted_difference(was: str, becomes: str) -> None:
    text = (PROTO / "ingest.proto").read_text(encoding="utf-8")
    assert text.count(was) == 1
    assert generated(described(ingest)) != said(text.replace(was, becomes))


def ran(*words: str | Path) -> str:
    """Return what a command of ours printed."""
    done = subprocess.run(words, check=False, capture_output=True, text=True)  # noqa: S603  our own
    if done.returncode:
        pytest.fail(f"{words[0]} failed: {done.stderr[-2000:]}")
    return done.stdout


def generator(folder: Path) -> Path:
    """Return a Python with the generator, in an environment of its own."""
    ran(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    needs = ran(PROTO / "generate", "--needs").split()
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *needs], check=False, capture_output=True, text=True)  # noqa: S603  our own
    if done.returncode:
        offline = re.search("ConnectionError|Max retries|from versions: none", done.stderr)
        (pytest.skip if offline else pytest.fail)(f"no generator: {done.stderr[-300:]}")
    return python


@pytest.mark.slow
def test_generating_anew_gives_the_same_bytes(tmp_path: Path) -> None:
    ran(PROTO / "generate", generator(tmp_path / "venv"), tmp_path / "out")
    for folder in {name.rpartition("/")[0] for name in MODULES}:
        made = (tmp_path / "out/tessera" / folder).iterdir()
        new = {path.name: path.read_bytes() for path in made}
        assert len(new) == 4 * sum(name.startswith(f"{folder}/") for name in MODULES)
        assert new == {path.name: path.read_bytes() for path in (ROOT / folder).glob("*_pb2*.py*")}
