"""The manifests: that they hold together, ask for little, and agree with the programs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest
import yaml  # type: ignore[import-untyped]  # pre-commit brings it, without types

from tessera.agent.config import AgentSettings
from tessera.aggregator.config import AggregatorSettings
from tessera.settings.environ import KEYS, Program

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
WRITTEN = {"/var/lib/tessera", "/run/tessera"}  # the only folders of a node that are written
Table = Mapping[str, object]


def objects() -> list[Table]:
    """Return every object of every manifest."""
    return [
        cast("Table", found)
        for path in sorted(FOLDER.glob("*.yaml"))
        for found in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]


def at(inside: object, *keys: str) -> object:
    """Return what stands at the end of ``keys``, None where there is no such place."""
    for key in keys:
        inside = cast("Table", inside).get(key) if isinstance(inside, Mapping) else None
    return inside


def rows(inside: object, *keys: str) -> Sequence[Table]:
    return cast("Sequence[Table]", at(inside, *keys) or ())


def pods() -> Iterator[tuple[Program, Table]]:
    """Yield program and pod of each workload."""
    for found in objects():
        pod = at(found, "spec", "template", "spec")
        if pod is not None:
            (container,) = rows(pod, "containers")
            (command,) = cast("Sequence[str]", container["command"])
            program: Program = "agent" if command == "tessera-agent" else "aggregator"
            assert command == f"tessera-{program}"
            yield program, cast("Table", pod)


PODS = dict(pods())
both = pytest.mark.parametrize("program", ["agent", "aggregator"])


def container(program: Program) -> Table:
    return rows(PODS[program], "containers")[0]


def environ(program: Program) -> dict[str, str]:
    return {str(row["name"]): str(row.get("value", "")) for row in rows(container(program), "env")}


@both
def test_every_setting_in_a_manifest_is_one_of_the_programs(program: Program) -> None:
    said = {
        name.removeprefix("TESSERA_").lower() for name in environ(program) if "TESSERA_" in name
    }
    assert len(said) > 3
    assert said <= KEYS[program]


@both
def test_the_settings_of_a_manifest_are_taken(program: Program) -> None:
    kind = AgentSettings if program == "agent" else AggregatorSettings
    said = {
        name.removeprefix("TESSERA_").lower(): value
        for name, value in environ(program).items()
        if name.startswith("TESSERA_") and value
    }
    taken = kind.model_validate(said)
    assert taken.tls_cert is not None
    assert taken.tls_key is not None


@both
def test_a_program_listens_where_the_manifest_says(program: Program) -> None:
    key = "TESSERA_AGENT_HTTP" if program == "agent" else "TESSERA_LISTEN"
    default = AgentSettings().agent_http if program == "agent" else AggregatorSettings().listen
    (port,) = rows(container(program), "ports")
    assert environ(program)[key] == f"0.0.0.0:{port['containerPort']}"
    assert default.endswith(f":{port['containerPort']}")
    assert at(container(program), "startupProbe") is not None


def test_a_hung_driver_makes_the_agent_unready_and_does_not_restart_it() -> None:
    agent = container("agent")
    assert at(agent, "readinessProbe", "httpGet", "path") == "/healthz"
    assert at(agent, "livenessProbe", "httpGet", "path") == "/livez"
    assert at(agent, "startupProbe", "httpGet", "path") == "/livez"


@both
def test_a_container_may_do_little(program: Program) -> None:
    about = at(container(program), "securityContext")
    assert at(about, "privileged") is False
    assert at(about, "allowPrivilegeEscalation") is False
    assert at(about, "readOnlyRootFilesystem") is True
    assert at(about, "capabilities", "drop") == ["ALL"]
    assert at(PODS[program], "automountServiceAccountToken") is False
    assert at(PODS[program], "securityContext", "seccompProfile", "type") == "RuntimeDefault"
    for row in ("requests", "limits"):
        assert at(container(program), "resources", row, "memory") is not None


@both
def test_nothing_of_a_node_is_written_but_state_and_socket(program: Program) -> None:
    volumes = {str(volume["name"]): volume for volume in rows(PODS[program], "volumes")}
    for mount in rows(container(program), "volumeMounts"):
        path = at(volumes.get(str(mount["name"])), "hostPath", "path")
        if path is not None and not mount.get("readOnly"):
            assert path in WRITTEN
            assert mount["mountPath"] == path


@both
def test_every_mount_has_a_volume(program: Program) -> None:
    (claims,) = [
        rows(found, "spec", "volumeClaimTemplates")
        for found in objects()
        if at(found, "spec", "template", "spec") == PODS[program]
    ]
    volumes = {str(volume["name"]) for volume in rows(PODS[program], "volumes")}
    volumes |= {str(at(claim, "metadata", "name")) for claim in claims}
    assert {str(mount["name"]) for mount in rows(container(program), "volumeMounts")} == volumes


def test_the_agent_stays_when_a_node_is_full_and_goes_one_at_a_time() -> None:
    assert at(PODS["agent"], "priorityClassName") == "system-node-critical"
    (daemon,) = [found for found in objects() if found["kind"] == "DaemonSet"]
    assert at(daemon, "spec", "updateStrategy", "rollingUpdate", "maxUnavailable") == 1
    assert {row["key"] for row in rows(PODS["agent"], "tolerations")} >= {"nvidia.com/gpu"}


def test_agents_find_the_aggregators_service_and_prometheus_theirs() -> None:
    services = {
        f"{at(found, 'metadata', 'name')}.{at(found, 'metadata', 'namespace')}.svc": found
        for found in objects()
        if found["kind"] == "Service"
    }
    host, _, port = environ("agent")["TESSERA_AGGREGATOR"].rpartition(":")
    assert [row["port"] for row in rows(services[host], "spec", "ports")] == [int(port)]
    (monitor,) = [found for found in objects() if found["kind"] == "ServiceMonitor"]
    (endpoint,) = rows(monitor, "spec", "endpoints")
    assert endpoint["honorLabels"] is True
    agents = services["tessera-agent.tessera.svc"]
    assert at(monitor, "spec", "selector", "matchLabels") == at(agents, "spec", "selector")
    assert [row["name"] for row in rows(agents, "spec", "ports")] == [endpoint["port"]]


def test_selectors_meet_the_labels_of_their_pods() -> None:
    for found in objects():
        if at(found, "spec", "template") is not None:
            chosen = cast("Table", at(found, "spec", "selector", "matchLabels"))
            labels = cast("Table", at(found, "spec", "template", "metadata", "labels"))
            assert chosen.items() <= labels.items()
