"""The benchmark of the counts finds no difference, and finds the one that its baseline has."""

from __future__ import annotations

from bodega.bench.insight import InsightOptions, run
from bodega.protocols import NoProgress


def test_counts_agree_and_forgetful_ones_do_not():
    result = run(InsightOptions(pages=150, events=300, repeats=1), NoProgress())
    assert result.figures["difference"] == 0.0
    assert result.figures["forgetful.difference"] > 0.1
    assert all(result.figures[name] > 0 for name in ("log.us_per_page", "live.us_per_row", "batch.us_per_row"))
