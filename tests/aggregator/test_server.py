import socket

import pytest

from tessera.aggregator.server import AddressTaken, bind, make_server


async def test_an_address_that_somebody_uses_is_told_apart() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AddressTaken) as caught:
            bind(make_server(), address)
    assert str(caught.value) == f"{address}: is in use; stop who uses it or set `listen` to another"


@pytest.mark.parametrize("address", ["203.0.113.9:1000", "no-such-host.invalid:1000"])
async def test_an_address_of_another_machine_is_told_apart(address: str) -> None:
    with pytest.raises(AddressTaken, match="is no address of this machine; set `listen`"):
        bind(make_server(), address)
