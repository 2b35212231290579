"""Several workers, one answer: what they counted adds up, and one that is gone leaves its counts, not its gauges."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from bodega.service.metrics import FOLDER

WORKER = """
import sys
from bodega.service import metrics
telemetry = metrics.Telemetry()
for _ in range(int(sys.argv[1])):
    telemetry.finished("GET /v1/search", 200, 0.004)
    telemetry.staged("search", {"find": 0.002})
telemetry.put(metrics.WAITING, float(sys.argv[2]))
telemetry.put(metrics.READY, float(sys.argv[3]))
import os
print(os.getpid())
"""
GONE = "import sys; from bodega.service.metrics import worker_gone; worker_gone(int(sys.argv[1]))"
READ = "import sys; from bodega.service.metrics import Telemetry; sys.stdout.buffer.write(Telemetry().text())"


def run(folder: Path, code: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, FOLDER: str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def scraped(folder: Path) -> dict[str, float]:
    families = text_string_to_metric_families(run(folder, READ))
    return {f"{each.name}{sorted(each.labels.values())}": each.value for family in families for each in family.samples}


def test_what_workers_count_adds_up_and_the_gauges_of_the_dead_go(tmp_path: Path) -> None:
    pids = [run(tmp_path, WORKER, *words).strip() for words in (("3", "2", "1"), ("4", "5", "0.5"))]
    both = scraped(tmp_path)
    assert both["bodega_http_requests_total['200', 'GET /v1/search']"] == 7
    assert both["bodega_http_seconds_count['GET /v1/search']"] == 7
    assert both["bodega_place_stage_seconds_count['find', 'search']"] == 7
    assert both["bodega_waiting[]"] == 7
    assert both["bodega_ready[]"] == 0.5, "what was asked last"
    run(tmp_path, GONE, pids[1])
    one = scraped(tmp_path)
    assert one["bodega_http_requests_total['200', 'GET /v1/search']"] == 7
    assert one["bodega_waiting[]"] == 2
    assert one["bodega_ready[]"] == 1
