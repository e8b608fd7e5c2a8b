from collections.abc import Iterator

import pytest

from tessera.adapters.nvidia.fake_device import FakeDevice
from tessera.adapters.nvidia.fake_library import FakeLibrary, installed


@pytest.fixture
def library() -> Iterator[FakeLibrary]:
    """Put eight devices, GPU-0 to GPU-7, where the binding looks for its library."""
    made = FakeLibrary([FakeDevice(f"GPU-{number}") for number in range(8)])
    with installed(made):
        yield made
