from pathlib import Path

import pytest

from tessera.aggregator.config import AggregatorSettings
from tessera.aggregator.inputs import BadInput, catalogue_of, topology_of
from tessera.settings.load import BadSettings, load


@pytest.mark.parametrize(
    ("flags", "about"),
    [
        ({"listen": "9460"}, "HOST:PORT"),
        ({"listen": "127.0.0.1:70000"}, "HOST:PORT"),
        ({"http_listen": ":"}, "HOST:PORT"),
        ({"http_token": "short"}, "16 printable"),
        ({"http_token": "sixteen letters and spaces"}, "spaces"),
        ({"q": 0.0}, "greater than 0"),
        ({"q": 1.0}, "less than 1"),
        ({"shortest": 7}, "no block length"),
        ({"expect_hosts": -1}, "greater than or equal"),
        ({"gather_seconds": -1.0}, "greater than or equal"),
        ({"silent_after": 0.5}, "greater than or equal"),
        ({"log_level": "loud"}, "debug"),
        ({"cluster": ""}, "at least 1"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_names_its_key(
    flags: dict[str, object], about: str
) -> None:
    with pytest.raises(BadSettings, match=about) as caught:
        load(AggregatorSettings, flags=flags, environ={})
    (key,) = flags
    assert str(caught.value).startswith(f"--{key.replace('_', '-')}: ")
    assert "\n" not in str(caught.value)


def test_a_token_is_never_shown_in_what_is_said_about_it() -> None:
    with pytest.raises(BadSettings) as caught:
        load(AggregatorSettings, flags={"http_token": "s3cret"}, environ={})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "about"),
    [
        (None, "is missing; correct `metrics`"),
        ("{", "is not JSON"),
        ("[1]", "not an object"),
        ('{"power_watts": {"margin": -1}}', "power_watts"),
        ('{"power_watts": {"colour": 1}}', "power_watts"),
        ("[" * 100_000, "write it flat"),
    ],
)
def test_a_bad_catalogue_is_refused_in_one_line_that_names_the_file(
    tmp_path: Path, text: str | None, about: str
) -> None:
    path = tmp_path / "metrics.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadInput, match=about) as caught:
        catalogue_of(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sites_own_words_stand_in_the_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text('{"power_watts": {"direction": "up"}}')
    assert catalogue_of(path).of("power_watts").direction == 1
    assert catalogue_of(None).of("power_watts").direction == 0


def test_a_bad_topology_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "topology.json").write_text('{"nodes": []}')
    with pytest.raises(BadInput, match="edges"):
        topology_of(tmp_path / "topology.json")
    assert topology_of(None).shards == ()
