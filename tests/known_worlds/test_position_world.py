"""Places in the generated shop: its true examination is found, and behind lists of an old rule the true attraction."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from bodega.bench._biased_clicks import BiasedClicks, Minds
from bodega.ranking.learned.network import NetworkOptions, fit_network
from bodega.ranking.learned.position import examination_of
from bodega.ranking.learned.tasks import Shown, outcomes
from bodega.testing.world import GeneratedWorld

SMALL = NetworkOptions(experts="shared", attention=False, width=8, tower=8, steps=0, epochs=6, rate=1e-2)


@pytest.fixture(scope="module")
def clicks(world: GeneratedWorld) -> BiasedClicks:
    return BiasedClicks.of(Minds(world.truth.affinity, np.array(world.truth.examination)), 3_000)


def test_the_shops_own_log_tells_its_examination(world: GeneratedWorld) -> None:
    shown = Shown.of(world.log)
    told = outcomes(world.log, shown.rows)
    found = examination_of(world.log.position[shown.rows], told[:, 0] > 0, world.log.item[shown.rows])
    assert found.estimated
    assert np.abs(found.chance - np.array(world.truth.examination)).mean() < 0.03


def test_where_the_rule_knows_something_clicks_by_place_mislead(world: GeneratedWorld) -> None:
    minds = Minds(world.truth.affinity, np.array(world.truth.examination))
    wise = BiasedClicks.of(minds, 8_000, wise=0.7)
    error = np.abs(wise.examination().chance - wise.truth).mean()
    naive = np.abs(wise.by_place() - wise.truth).mean()
    assert error < 0.6 * naive


def test_the_true_attraction_is_found_behind_biased_clicks(clicks: BiasedClicks) -> None:
    pytest.importorskip("torch")

    def ranked(places: str, *, fair: bool = False) -> float:
        options = msgspec.structs.replace(SMALL, places=places)
        network = fit_network(clicks.fair if fair else clicks.biased, options)
        return float(clicks.ndcg(network.likely(clicks.test)[:, 0]).mean())

    naive, corrected, best = ranked("naive"), ranked("examination"), ranked("naive", fair=True)
    assert corrected > naive + 0.02, "believing the clicks learns the rule"
    assert corrected > best - 0.01, "as good as if everything had been looked at"
