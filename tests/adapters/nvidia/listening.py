"""What tests of events share: devices that tell of errors, and patience with their thread."""

import time
from collections.abc import Callable

from tessera.adapters.nvidia.fake_device import FakeDevice
from tessera.adapters.nvidia.fake_events import FakeEventLibrary

PATIENCE = 10.0  # seconds after which a thread that should have done something has failed


def devices(count: int = 3) -> FakeEventLibrary:
    """Return a library of devices GPU-0, GPU-1 … on the buses 40, 41 …."""
    library = FakeEventLibrary([FakeDevice(f"GPU-{number}") for number in range(count)])
    library.buses = {
        f"GPU-{number}": f"00000000:{0x40 + number:02X}:00.0" for number in range(count)
    }
    return library


def until(holds: Callable[[], object]) -> bool:
    """Wait until ``holds``; say whether it came to that."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True
