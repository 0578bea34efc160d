"""Metrics of a running service, as Prometheus reads them."""

from __future__ import annotations

import json
import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.service.cluster import ServiceUnderTest, wait_until


def _metrics(url: str) -> dict[tuple[str, str], float]:
    """Each sample by its name and the values of its labels."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name, ",".join(sorted(sample.labels.values()))): sample.value
        for family in families
        for sample in family.samples
    }


def _url(service: ServiceUnderTest) -> str:
    events = [json.loads(line) for line in (service.home / "log" / "redoubt.log").read_text().splitlines()]
    return str(next(event["url"] for event in events if event["event"] == "serving metrics"))


def test_metrics_follow_a_round(stopped_service: ServiceUnderTest, tmp_path: Path) -> None:
    """Health, lag, backlog and sizes; a port that is taken is named.

    Own service: it is configured to serve metrics.
    """
    config = tmp_path / "redoubt.toml"
    config.write_text("[metrics]\nport = 0\n")
    stopped_service.start("--config", str(config))
    url = _url(stopped_service)
    before = _metrics(url)
    stopped_service.archive()
    wait_until("something is archived", lambda: _metrics(url)["redoubt_archive_output_bytes", "main"] > 0)
    wait_until("all is well", lambda: _metrics(url)["redoubt_archive_health", "FINE,main"] == 1)
    now = _metrics(url)

    assert before["redoubt_log_archive_status", "STOP"] == 1
    assert now["redoubt_log_archive_status", "DOING"] == 1
    assert now["redoubt_log_archive_round", ""] == 1
    assert now["redoubt_data_backup_running", ""] == now["redoubt_data_backup_snapshot_timestamp_seconds", ""] == 0
    assert now["redoubt_write_gate_closed", "main"] == 0
    assert now["redoubt_archive_spool_limit_bytes", "main"] > 0
    assert now["redoubt_archived_up_to_timestamp_seconds", "main"] > 1.7e9


@pytest.mark.soak
def test_a_metrics_port_that_is_taken_ends_the_start(stopped_service: ServiceUnderTest, tmp_path: Path) -> None:
    """With the setting to change in the text.

    Own service: it must not start.
    """
    config = tmp_path / "redoubt.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config.write_text(f"[metrics]\nport = {taken.getsockname()[1]}\n")
        run = stopped_service.mistaken("--config", str(config))

    assert run.returncode == 1
    assert "choose another [metrics] port" in run.stderr
