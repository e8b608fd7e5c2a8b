from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.nvidia.nvrm import LONGEST, Reader, SwitchError
from tessera.adapters.nvidia.sightings import FELL_OFF, Sighting

SAMPLES = Path(__file__).parents[4] / "shared" / "reference" / "samples" / "nvml"
HERE = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the vendors' samples are not here")


def read(*lines: str) -> list[Sighting | SwitchError]:
    reader = Reader()
    found = (reader.read(line, 7.0) for line in lines)
    return [one for one in found if one is not None]


def sighting(line: str) -> Sighting:
    (found,) = read(line)
    assert isinstance(found, Sighting)
    return found


def test_an_error_has_its_device_its_code_and_its_message() -> None:
    found = sighting("NVRM: Xid (PCI:0000:5e:00): 79, pid=71, name=train, fell off")
    assert found == Sighting(
        7.0, 79, "log", address=(0, 0x5E, 0), detail="pid=71, name=train, fell off"
    )


def test_a_slices_error_names_the_slice() -> None:
    assert sighting("NVRM: Xid (PCI:0000:5e:00 GPU-I:05): 94, pid=1, Contained").slice == (5, -1)
    both = sighting("NVRM: Xid (PCI:0000:5e:00 GPU-I:01 GPU-CI:02): 13, Graphics Exception")
    assert (both.slice, both.code) == ((1, 2), 13)
    assert sighting("NVRM: Xid (PCI:0000:5e:00): 13, x").slice is None


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("NVRM: Xid (0000:03:00): 14, Channel 00000001", 14),
        ("kernel: NVRM: Xid (PCI:0018:05:00): 31, pid='<unknown>', name=<unknown>, Ch 8", 31),
        ("[ 12.5] NVRM: Xid (PCI:00000000:05:00.0): 63, Row Remapper", 63),
        ("NVRM: Xid (PCI:0000:05:00): 62", 62),
        ("NVRM: Xid (PCI:0000:05:00): 79, ", 79),
    ],
)
def test_every_spelling_of_an_error_is_read(line: str, code: int) -> None:
    assert sighting(line).code == code


@pytest.mark.parametrize(
    ("word", "fatal"), [("Fatal", True), ("Nonfatal", False), ("Non-fatal", False), ("", None)]
)
def test_a_graded_error_says_how_grave_it_is(word: str, fatal: bool | None) -> None:  # noqa: FBT001  a table's column
    line = f"NVRM: Xid (PCI:0018:02:00): 146, TLW_TX {word} XC0 i0 Link 7 (0x01 0x02)"
    assert sighting(line).fatal is fatal


def test_another_errors_message_is_not_searched_for_how_grave_it_is() -> None:
    assert sighting("NVRM: Xid (PCI:0018:02:00): 158, GPU Fatal timeout").fatal is None


def test_the_recovery_that_is_asked_for_now_is_read() -> None:
    changed = "NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from"
    line = changed + " 0x{} ({}) to 0x{} ({})"
    assert sighting(line.format(0, "None", 2, "Node Reboot Required")).action == 2
    assert sighting(line.format(1, "GPU Reset Required", 0, "None")).action == 0
    assert sighting("NVRM: Xid (PCI:0000:01:00): 154, something else").action is None


def test_a_device_that_is_lost_without_a_number_is_a_lost_device() -> None:
    (found,) = read(
        "NVRM: The NVIDIA GPU 0000:d8:00.0",
        "NVRM: (PCI ID: 10de:2331) installed in this system has",
        "NVRM: fallen off the bus and is not responding to commands.",
        "NVRM: The NVIDIA probe routine failed for 1 device(s).",
    )
    assert isinstance(found, Sighting)
    assert (found.code, found.address, found.origin) == (FELL_OFF, (0, 0xD8, 0), "words")
    again = sighting("NVRM: GPU 0000:d8:00.0: GPU has fallen off the bus.")
    assert again == replace(found, at=7.0)


def test_a_sentence_without_its_beginning_names_no_device() -> None:
    gone = "NVRM: fallen off the bus and is not responding to commands."
    assert read(gone) == []
    others = ["NVRM: something else"] * 4
    assert read("NVRM: The NVIDIA GPU 0000:d8:00.0", *others, gone) == []


@pytest.mark.parametrize(("word", "fatal"), [("Fatal", True), ("Non-fatal", False)])
def test_a_switchs_error_is_no_devices(word: str, fatal: bool) -> None:  # noqa: FBT001  a table's column
    (found,) = read(
        f"nvidia-nvswitch2: SXid (PCI:0000:c7:00.0): 20034, {word}, Link 31 LTSSM Fault Up",
        "nvidia-nvswitch2: SXid (PCI:0000:c7:00.0): 20034, Severity 1 Engine instance 31",
        "nvidia-nvswitch2: SXid (PCI:0000:c7:00.0): 20034, Data {0x0000001f, 0x00000000}",
    )
    assert found == SwitchError(7.0, 2, 20034, fatal, "Link 31 LTSSM Fault Up")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "eth0: link up",
        "Xid (PCI:0000:44:00): 79, not the driver",
        "NVRM: Xid (PCI:zz): 79, no address",
        "NVRM: Xid (PCI:0000:44:00): 123456, no code",
        "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.65.06",
    ],
)
def test_any_other_line_tells_nothing(line: str) -> None:
    assert read(line) == []


def test_a_message_is_one_bounded_line() -> None:
    found = sighting("NVRM: Xid (PCI:0000:44:00): 31, name=\x1b[31m\u2028evil " + "x" * 5000)
    assert len(found.detail) <= LONGEST
    assert found.detail.isprintable()


@given(st.lists(st.text(max_size=80).map(lambda text: f"NVRM: Xid (PCI:0000:{text}"), max_size=5))
def test_any_garbage_after_the_drivers_name_is_survived(lines: list[str]) -> None:
    assert all(isinstance(found, Sighting) for found in read(*lines))


@HERE
def test_every_line_of_the_samples_is_read() -> None:
    text = (SAMPLES / "xid_dmesg.txt").read_text(encoding="utf-8")
    found = [sighting(line) for line in text.splitlines()]
    assert [one.code for one in found] == [79, 94, 45, 45, 144, 145, 149, 149]
    assert [one.fatal for one in found] == [None] * 4 + [False, False, True, True]
    assert found[5].address == (0x18, 1, 0)


@HERE
def test_the_samples_device_without_a_number_is_read() -> None:
    text = (SAMPLES / "fallen_off_bus_without_xid.txt").read_text(encoding="utf-8")
    (found,) = read(*text.splitlines())
    assert isinstance(found, Sighting)
    assert (found.code, found.address) == (FELL_OFF, (0, 0xB3, 0))
