"""Which program owns which TESSERA_* variable.

Apart from the settings, because all programs share the prefix and one environment: none may take
another's variable for a mistake, and each must say of a mistake what was meant.
"""

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from .load import NESTING, PREFIX

Program = Literal["agent", "aggregator", "tui"]

_OF_BOTH = ("state_dir", "baseline", "scores", "log_layout", "log_level")
_TLS = ("tls_cert", "tls_key")
_TLS_OF_CLIENTS = ("tls_ca", "tls_server_name")
_OF_AGENT = (
    *("aggregator", "agent_http", "socket", "spool_bytes", "tick_seconds", "budget"),
    *("host", "job", "role", "sku", "job_from"),
    *("source", "recording", "beneath", "shards", "began", "xid_classes", "dcgm_url"),
    *("dcgm_interval", "neuron_monitor", "tpu_ports", "tpu_plugin"),
)
_OF_AGGREGATOR = (
    *("listen", "http_listen", "http_token", "topology", "metrics", "cluster"),
    *("q", "shortest", "horizon", "expect_hosts", "gather_seconds", "silent_after"),
    "history_hours",
)

# The keys of each program, which are also the names of its variables behind the prefix.
KEYS: Final[Mapping[Program, frozenset[str]]] = MappingProxyType(
    {
        "agent": frozenset({*_OF_BOTH, *_OF_AGENT, *_TLS, *_TLS_OF_CLIENTS}),
        "aggregator": frozenset({*_OF_BOTH, *_OF_AGGREGATOR, *_TLS, "tls_client_ca"}),
        "tui": frozenset({"address", "listen", *_TLS, *_TLS_OF_CLIENTS}),
    }
)


def own_environ(
    program: Program, environ: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables of ``program``, and one line for each that no program knows."""
    mine: dict[str, str] = {}
    strange: list[str] = []
    known = sorted(frozenset().union(*KEYS.values()))
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        key = name.removeprefix(PREFIX).split(NESTING)[0].lower()
        if key in KEYS[program]:
            mine[name] = environ[name]
        elif key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            meant = f"did you mean {PREFIX}{close[0].upper()}?" if close else "it is ignored"
            strange.append(f"{name}: no program of Tessera knows it; {meant}")
    return mine, tuple(strange)
