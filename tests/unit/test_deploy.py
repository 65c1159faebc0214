"""What lies ready for operators: rules that fire when they should, a dashboard, and words."""

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

DEPLOY = Path(str(files("ops"))) / "deploy"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
ALERTS = re.findall(r"- alert: (\w+)", (DEPLOY / "alerts.yml").read_text())
DASHBOARD: Any = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def promtool(*arguments: str) -> None:
    """Run Prometheus' own check, where the machine has it."""
    if not shutil.which("promtool"):
        pytest.skip("there is no promtool on this machine")
    done = subprocess.run(
        ["promtool", *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr


def test_the_configuration_is_valid() -> None:
    """Prometheus takes the example, and the rules that it names."""
    promtool("check", "config", "prometheus.yml")


def test_the_rules_fire() -> None:
    """Each alert fires on its series, and none does where all is well."""
    promtool("test", "rules", "alerts_test.yml")


def test_each_alert_has_its_cases() -> None:
    """No alert is without a case in which it fires, and one in which it does not."""
    cases = (DEPLOY / "alerts_test.yml").read_text()

    assert len(ALERTS) == len(set(ALERTS)) > 10
    assert ALERTS == re.findall(r'ALERTS\{alertname="(\w+)"', cases)
    assert ALERTS == list(dict.fromkeys(re.findall(r"alertname: (\w+),.*exp_alerts: \[\]", cases)))


def test_each_alert_is_explained() -> None:
    """Each alert has a section with what to do, to which it leads, and there are no others."""
    rules = (DEPLOY / "alerts.yml").read_text()
    sections = re.findall(r"^### (Invigil\w+)$", OPERATIONS.read_text(), re.M)

    assert ALERTS == sections
    assert [f"docs/operations.md#{name.lower()}" for name in ALERTS] == re.findall(
        r"runbook: (\S+)", rules
    )


def test_the_dashboard_asks_what_prometheus_understands(tmp_path: Path) -> None:
    """Each question of the dashboard is PromQL."""
    rules = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "1m")}
        for number, expr in enumerate(EXPRESSIONS)
    ]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    promtool("check", "rules", str(path))


def test_the_dashboard_names_no_data_source_of_its_own() -> None:
    """It can be imported anywhere: who imports it chooses the data source."""
    [variable] = DASHBOARD["templating"]["list"]
    panels = DASHBOARD["panels"]
    sources = [one["datasource"] for panel in panels for one in (panel, *panel["targets"])]

    assert ("datasource", "prometheus") == (variable["type"], variable["query"])
    assert {f"${{{variable['name']}}}"} == {source["uid"] for source in sources}
    assert len(panels) == len({panel["id"] for panel in panels})
