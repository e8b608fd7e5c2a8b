from itertools import combinations

import pytest

from tessera.agent.config import AgentSettings
from tessera.aggregator.config import AggregatorSettings
from tessera.settings.environ import KEYS, Program, own_environ
from tessera.settings.load import Settings
from tessera.tui.address import OWN, SERVER


@pytest.mark.parametrize(
    ("program", "settings"), [("agent", AgentSettings), ("aggregator", AggregatorSettings)]
)
def test_the_table_holds_all_keys_of_a_programs_settings_and_no_other(
    program: Program, settings: type[Settings]
) -> None:
    assert KEYS[program] == set(settings.model_fields)


def test_the_table_holds_the_variables_of_the_terminal() -> None:
    tls = {f"TESSERA_TLS_{word}" for word in ("CA", "CERT", "KEY", "SERVER_NAME")}
    assert {f"TESSERA_{key.upper()}" for key in KEYS["tui"]} == {OWN, SERVER, *tls}


def test_a_key_of_two_programs_means_the_same_in_both() -> None:
    shared = {key for a, b in combinations(KEYS.values(), 2) for key in a & b}
    of_both = {"state_dir", "baseline", "scores", "log_layout", "log_level", "listen"}
    assert shared == of_both | {"tls_ca", "tls_cert", "tls_key", "tls_server_name"}


@pytest.mark.parametrize("program", KEYS)
def test_a_program_takes_its_own_variables_and_leaves_the_others_alone(program: Program) -> None:
    environ = {f"TESSERA_{key.upper()}": "x" for keys in KEYS.values() for key in keys}
    mine, strange = own_environ(program, environ | {"PATH": "/bin"})
    assert mine == {f"TESSERA_{key.upper()}": "x" for key in KEYS[program]}
    assert strange == ()


def test_a_key_of_a_table_belongs_to_whoever_owns_the_table() -> None:
    environ = {"TESSERA_SHARDS__FIRST": "x"}
    assert own_environ("agent", environ) == (environ, ())
    assert own_environ("aggregator", environ) == ({}, ())


@pytest.mark.parametrize("program", KEYS)
def test_a_variable_that_nobody_knows_is_told_with_what_was_meant(program: Program) -> None:
    mine, strange = own_environ(program, {"TESSERA_AGREGATOR": "a:1", "TESSERA_ZZZZ": "1"})
    assert mine == {}
    assert strange == (
        "TESSERA_AGREGATOR: no program of Tessera knows it; did you mean TESSERA_AGGREGATOR?",
        "TESSERA_ZZZZ: no program of Tessera knows it; it is ignored",
    )
