import pytest

from tessera.adapters.base import Absent, SourceUnavailable
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.errors import Action, action_of
from tessera.adapters.nvidia.fake_library import FakeLibrary

START = "nvmlInitWithFlags"
BY_UUID = "nvmlDeviceGetHandleByUUID"
POWER = "nvmlDeviceGetPowerUsage"
TABLE = [
    *((code, Action.NEVER_ASK) for code in (3, 13, 25, 26)),
    *((code, Action.FIND_AGAIN) for code in (15, 16, 28)),
    *((code, Action.ASK_AGAIN) for code in (10, 21, 27, 999, 2, 7, 4711)),
    (4, Action.SAY_ONCE),
    (1, Action.START_AGAIN),
    (9, Action.WAIT_FOR_DRIVER),
    (12, Action.WAIT_FOR_LIBRARY),
    (18, Action.RESTART_PROCESS),
]


def of(code: Action) -> list[int]:
    return [number for number, action in TABLE if action is code]


def opened() -> NvmlSource:
    source = NvmlSource()
    source.shards()
    return source


def power(source: NvmlSource, at: float, uuid: str = "GPU-0") -> float | Absent:
    found = {(r.shard, r.metric): r.value for r in source.read(at)}
    return found[uuid, "power_watts"]


@pytest.mark.parametrize(("code", "action"), TABLE)
def test_each_code_has_its_action(code: int, action: Action) -> None:
    assert action_of(code) is action


@pytest.mark.parametrize("code", of(Action.NEVER_ASK))
def test_what_a_part_will_never_say_is_asked_once(library: FakeLibrary, code: int) -> None:
    library.devices[0].codes[POWER] = code
    source = opened()
    assert {power(source, float(at)) for at in range(30)} == {Absent("unsupported")}
    assert library.calls[POWER, "GPU-0"] == 1
    assert library.calls[POWER, "GPU-1"] == 30
    assert source.forbidden == {}


@pytest.mark.parametrize("code", of(Action.SAY_ONCE))
def test_what_is_forbidden_is_not_asked_again_and_named_for_a_log(
    library: FakeLibrary, code: int
) -> None:
    library.devices[0].codes[POWER] = code
    library.devices[0].fields[190] = library.devices[0].fields[82].__class__(code=code)
    source = opened()
    found = {power(source, float(at)) for at in range(30)}
    assert found == {Absent("unsupported", "NO_PERMISSION")}
    assert library.calls[POWER, "GPU-0"] == 1
    assert source.forbidden == {"GPU-0": ("power_cap_watts", "power_watts")}


@pytest.mark.parametrize("code", of(Action.ASK_AGAIN))
def test_a_failure_that_may_pass_costs_one_reading(library: FakeLibrary, code: int) -> None:
    source = opened()
    library.devices[0].codes[POWER] = code
    failed = power(source, 0.0)
    assert isinstance(failed, Absent)
    assert failed.kind == "error"
    library.devices[0].codes.clear()
    assert power(source, 1.0) == 612.345


@pytest.mark.parametrize("code", of(Action.FIND_AGAIN))
def test_a_device_that_is_gone_is_a_fact_and_looked_for(library: FakeLibrary, code: int) -> None:
    source = opened()
    library.devices[0].lost = code
    source.read(0.0)
    assert [(f.shard, f.code, f.stands) for f in source.facts(0.0)] == [
        ("GPU-0", "device_lost", True)
    ]
    source.read(5.0)
    assert library.calls[BY_UUID] == 1
    assert library.calls[START] == 1
    library.devices[0].lost = 0
    assert power(source, 15.0) == 612.345
    told = [fact for at in range(16, 90) for fact in (source.read(float(at)), source.facts(at))[1]]
    assert [(fact.code, fact.at, fact.stands) for fact in told] == [("device_lost", 75.0, False)]


@pytest.mark.parametrize("code", of(Action.START_AGAIN))
def test_a_library_that_was_stopped_is_started_again(library: FakeLibrary, code: int) -> None:
    source = opened()
    for device in library.devices:
        device.lost = code
    source.read(0.0)
    for device in library.devices:
        device.lost = 0
    assert power(source, 5.0) == 612.345
    assert library.calls[START] == 2
    assert list(source.facts(5.0)) == []


@pytest.mark.parametrize(("code", "wait"), [(9, 10), (12, 60)])
def test_a_driver_or_library_that_is_away_is_tried_at_even_times(
    library: FakeLibrary, code: int, wait: int
) -> None:
    source = opened()
    library.codes[START] = code
    for device in library.devices:
        device.lost = code
    tried = []
    for second in range(4 * wait):
        before = library.calls[START]
        source.read(float(second))
        tried += [second] * (library.calls[START] - before)
    assert tried == [wait, 2 * wait, 3 * wait]
    assert [(f.shard, f.code, f.stands) for f in source.facts(0.0)] == [("", "driver_down", True)]
    library.codes.clear()
    for device in library.devices:
        device.lost = 0
    assert power(source, 4.0 * wait) == 612.345


@pytest.mark.parametrize("code", of(Action.WAIT_FOR_LIBRARY))
def test_a_host_without_the_library_has_no_such_source(library: FakeLibrary, code: int) -> None:
    library.codes[START] = code
    with pytest.raises(SourceUnavailable, match=r"libnvidia-ml\.so\.1"):
        NvmlSource().shards()


@pytest.mark.parametrize("code", of(Action.RESTART_PROCESS))
def test_a_replaced_driver_asks_for_a_new_process_and_is_not_tried_in_this_one(
    library: FakeLibrary, code: int
) -> None:
    source = opened()
    assert source.stale == ""
    for device in library.devices:
        device.lost = code
    for at in range(400):
        assert power(source, float(at)) == Absent("error", "LIB_RM_VERSION_MISMATCH")
    assert source.stale == (
        "the NVIDIA driver was replaced beneath its library; restart this program"
    )
    assert library.calls[START] == 1
    assert list(source.facts(0.0)) == []


def test_a_start_that_finds_the_driver_replaced_asks_for_a_new_process(
    library: FakeLibrary,
) -> None:
    source = opened()
    for device in library.devices:
        device.lost = 9
    source.read(0.0)
    library.codes[START] = 18
    source.read(10.0)
    assert source.stale != ""
