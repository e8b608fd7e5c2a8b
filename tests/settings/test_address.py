import pytest
from pydantic import TypeAdapter, ValidationError

from tessera.settings.address import Address, host_and_port, is_loopback

ADDRESS: TypeAdapter[str] = TypeAdapter(Address)


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:65535", "[::1]:9460"])
def test_a_host_and_a_port_are_an_address(text: str) -> None:
    assert ADDRESS.validate_python(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("9460", "host", "host:", "host:-1", "host:65536", "host:1.5", "host:²", "host:٣"),
        *("http://a:1", "a b:1"),
    ],
)
def test_what_is_no_address_is_refused_with_one_that_is(text: str) -> None:
    with pytest.raises(ValidationError, match="is not HOST:PORT; write for instance"):
        ADDRESS.validate_python(text)


def test_nobody_listens_without_a_host() -> None:
    assert host_and_port(":9460") == ("", 9460)
    with pytest.raises(ValidationError, match="names no host; write for instance"):
        ADDRESS.validate_python(":9460")


def test_a_port_that_is_any_free_one_can_be_listened_on_and_not_called() -> None:
    assert host_and_port("host:0") == ("host", 0)
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        host_and_port("host:0", first_port=1)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:1", True),
        ("127.8.0.1:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("tessera.example:1", False),
    ],
)
def test_it_knows_which_addresses_stay_on_this_machine(address: str, *, expected: bool) -> None:
    assert is_loopback(address) == expected
