import ast
import re
from pathlib import Path

import pynvml  # type: ignore[import-untyped]  # it ships no types; only what it holds is compared
import pytest

from tessera.adapters.nvidia import binding
from tessera.adapters.nvidia.errors import NvmlFailed, name_of
from tessera.adapters.nvidia.fake_device import FakeField
from tessera.adapters.nvidia.fake_library import FakeLibrary, installed
from tessera.adapters.nvidia.field_batch import FieldBatch, FieldId, FieldValue

CHANGES = re.compile(
    r"nvml(Device|System|Unit|Gpm|Gpu\w*?|Vgpu\w*?)(Set|Clear|Reset|Freeze|Create|Destroy)"
)


def changing(text: str) -> list[str]:
    """Return the functions of the library in a source that change a device."""
    names = (node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute))
    return [name for name in names if CHANGES.match(name)]


def test_nothing_that_changes_a_device_is_called() -> None:
    folder = Path(binding.__file__).parent
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    assert "nvmlDeviceGetPowerUsage" in texts["binding.py"]
    assert {name: changing(text) for name, text in texts.items() if changing(text)} == {}


@pytest.mark.parametrize(
    "name",
    [
        "nvmlDeviceSetPersistenceMode",
        "nvmlDeviceClearEccErrorCounts",
        "nvmlDeviceResetX",
        "nvmlGpmSetStreamingEnabled",
    ],
)
def test_the_guard_finds_a_call_that_changes_a_device(name: str) -> None:
    assert changing(f"import pynvml\npynvml.{name}(0)") == [name]


def test_a_failure_carries_the_code_and_can_be_kept_in_a_set(library: FakeLibrary) -> None:
    with pytest.raises(NvmlFailed) as failed:
        binding.device_count()
    assert failed.value.code == 1
    assert {failed.value} == {failed.value}
    assert str(failed.value) == "NVML failed: UNINITIALIZED"
    assert library.calls["nvmlDeviceGetCount_v2"] == 1


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("dVal", 0.5),
        ("uiVal", 2**32 - 2),
        ("ulVal", 2**64 - 2),
        ("ullVal", 2**63 + 1),
        ("sllVal", -5),
        ("siVal", -6),
        ("usVal", 65535),
    ],
)
def test_a_field_is_read_from_the_member_that_its_type_names(
    library: FakeLibrary, kind: str, value: float
) -> None:
    library.devices[0].fields[82] = FakeField(value, kind)
    binding.initialise()
    batch = FieldBatch(binding.handle_at(0), [FieldId(82), FieldId(9999)])
    assert [batch.ask(), batch.ask()] == [[FieldValue(0, value), FieldValue(3)]] * 2


def test_a_device_index_beyond_the_last_is_a_failure(library: FakeLibrary) -> None:
    binding.initialise()
    assert binding.device_count() == len(library.devices)
    with pytest.raises(NvmlFailed, match="INVALID_ARGUMENT"):
        binding.handle_at(8)


def test_a_handle_of_an_earlier_start_is_void(library: FakeLibrary) -> None:
    binding.initialise()
    device = binding.handle_of("GPU-4")
    assert binding.uuid_of(device) == library.devices[4].uuid
    binding.shut_down()
    binding.initialise()
    with pytest.raises(NvmlFailed, match="INVALID_ARGUMENT"):
        binding.uuid_of(device)


def test_codes_bear_the_names_of_the_vendor() -> None:
    theirs = {
        value: name.removeprefix("NVML_ERROR_")
        for name, value in vars(pynvml).items()
        if name.startswith("NVML_ERROR_")
    }
    named = {code: name_of(code) for code in theirs if name_of(code) != str(code)}
    assert named == {code: theirs[code] for code in named}
    assert {1, 3, 9, 12, 15, 16, 18, 28, 999} <= set(named)


def test_the_binding_is_as_it_was_after_a_fake_library() -> None:
    names = ("nvmlLib", "CDLL", "_nvmlLib_refcount", "_nvmlGetFunctionPointer_cache")
    before = [vars(pynvml)[name] for name in names]
    library = FakeLibrary()
    with installed(library):
        assert vars(pynvml)["nvmlLib"] is library
        binding.initialise()
    after = [vars(pynvml)[name] for name in names]
    assert all(one is other for one, other in zip(before, after, strict=True))
