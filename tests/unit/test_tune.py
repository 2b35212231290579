"""`bodega tune`: a dial that is wrong is found; the test window stays unseen, nothing unsure is written."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bodega.cli import app
from bodega.engine.learn import Parts
from bodega.engine.tuning import (
    DIALS,
    Change,
    Dial,
    Tuned,
    TuneOptions,
    apply,
    check_untouched,
    toml_lines,
    tune,
    windows,
)
from bodega.engine.tuning.applying import edited
from bodega.engine.tuning.dials import turned
from bodega.errors import BadRequest, BadSettings, LeakFound, MissingExtra
from bodega.evaluation import Case
from bodega.protocols import NoProgress
from bodega.retrieval.popular import Popular, PopularOptions
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World
from bodega.settings import FILE, Learn, Models, Settings, load

DAY = 86_400.0
GROUPS, EACH = 6, 5
BROKEN = Settings(models=Models(popular_half_life_days=170.0), learn=Learn(validation_days=7, test_days=7))
HALF_LIFE = tuple(dial for dial in DIALS if dial.key == "models.popular_half_life_days")


def fashion(weeks: int = 12, shoppers: int = 60, seed: int = 7) -> World:
    """A shop of six groups of five items; each week everybody buys from the next group: what counts is this week."""
    rng = np.random.default_rng(seed)
    n = weeks * 7 * 40
    time = np.sort(rng.uniform(0, weeks * 7 * DAY, n))
    group = (time // (7 * DAY)).astype(int) % GROUPS
    item = np.where(rng.random(n) < 0.9, group * EACH + rng.integers(0, EACH, n), rng.integers(0, GROUPS * EACH, n))
    log = Log(
        time=time,
        type=np.full(n, EVENT_CODES["purchase"], np.int8),
        user=rng.integers(0, shoppers, n).astype(np.int32),
        session=np.arange(n, dtype=np.int32),
        item=item.astype(np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=shoppers,
        n_sessions=n,
    )
    items = ItemTable.of(Item(id=f"i{number}", title=f"thing {number}") for number in range(GROUPS * EACH))
    return World(items, log, until=float(np.nextafter(time[-1], np.inf)))


def only_popular(settings: Settings) -> Parts:
    half_life = settings.models.popular_half_life_days or 21.0
    return Parts(
        make={"popular": lambda: Popular(PopularOptions(half_life_days=half_life))},
        load={},
        timeless=(),
        settings=settings,
    )


@pytest.fixture(scope="module")
def shop_of_fashion() -> World:
    return fashion()


@pytest.fixture(scope="module")
def found(shop_of_fashion: World, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    options = TuneOptions(trials=14, cases=60, dials=HALF_LIFE)
    return tune(shop_of_fashion, BROKEN, only_popular, tmp_path_factory.mktemp("tuned"), options)


def test_a_broken_half_life_is_found_and_confirmed(found: Tuned) -> None:
    (change,) = found.diff
    assert change.key == "models.popular_half_life_days"
    assert change.before == 170.0
    assert change.after < 10, "a week's fashion wants a half-life of days"
    assert found.sure
    assert found.gain[1] > 0.02
    assert found.after - found.before == pytest.approx(found.gain[0])
    assert "surely better" in found.verdict


def test_what_is_right_already_is_left_alone(shop_of_fashion: World, found: Tuned, tmp_path: Path) -> None:
    good = turned(BROKEN, {"models.popular_half_life_days": found.diff[0].after})
    again = tune(shop_of_fashion, good, only_popular, tmp_path, TuneOptions(trials=10, cases=60, dials=HALF_LIFE))
    assert not again.sure
    assert again.gain[1] <= 0 <= again.gain[2]


def test_the_same_seed_gives_the_same_diff(shop_of_fashion: World, found: Tuned, tmp_path: Path) -> None:
    options = TuneOptions(trials=14, cases=60, dials=HALF_LIFE)
    again = tune(shop_of_fashion, BROKEN, only_popular, tmp_path, options)
    assert replace(again, seconds=0) == replace(found, seconds=0)


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(
    shop_of_fashion: World, found: Tuned, tmp_path: Path
) -> None:
    first = tune(shop_of_fashion, BROKEN, only_popular, tmp_path, TuneOptions(trials=5, cases=60, dials=HALF_LIFE))
    assert first.trials == 5
    tried: list[float] = []

    def counting(settings: Settings) -> Parts:
        tried.append(settings.models.popular_half_life_days)
        return only_popular(settings)

    rest = tune(shop_of_fashion, BROKEN, counting, tmp_path, TuneOptions(trials=14, cases=60, dials=HALF_LIFE))
    assert replace(rest, seconds=0) == replace(found, seconds=0)
    assert len(set(tried)) <= 11, "trials of the first run were judged again"


def test_the_trials_are_a_budget_and_the_minutes_too(shop_of_fashion: World, tmp_path: Path) -> None:
    class Counting(NoProgress):
        steps = 0.0

        def advance(self, amount: float = 1.0) -> None:
            self.steps += amount

    bars = Counting()
    done = tune(shop_of_fashion, BROKEN, only_popular, tmp_path, TuneOptions(trials=3, cases=40, dials=HALF_LIFE), bars)
    assert done.trials == 3
    assert bars.steps <= 4
    tiny = TuneOptions(trials=10_000, minutes=0.002, cases=40, seed=8, dials=HALF_LIFE)
    assert tune(shop_of_fashion, BROKEN, only_popular, tmp_path, tiny).trials < 100
    with pytest.raises(BadRequest, match="leaves nothing to do"):
        tune(shop_of_fashion, BROKEN, only_popular, tmp_path, TuneOptions(trials=0))


def test_the_windows_are_in_order_and_leave_the_test_alone(shop_of_fashion: World) -> None:
    cuts = windows(shop_of_fashion.log, BROKEN)
    bounds = [*cuts.folds, cuts.confirm, cuts.test]
    assert all(one.end == other.start for one, other in pairwise(bounds))
    assert cuts.test.end > shop_of_fashion.log.time[-1] >= cuts.test.start
    assert cuts.folds[0].start >= shop_of_fashion.log.time[-1] * 0.49
    empty = shop_of_fashion.log.where(np.zeros(len(shop_of_fashion.log), bool))
    with pytest.raises(BadRequest, match="no span of time"):
        windows(empty, BROKEN)


def test_nothing_in_the_test_window_changes_the_result(shop_of_fashion: World, found: Tuned, tmp_path: Path) -> None:
    log = shop_of_fashion.log
    start = windows(log, BROKEN).test.start
    rng = np.random.default_rng(1)
    items = np.where(log.time >= start, rng.integers(0, GROUPS * EACH, len(log)), log.item).astype(np.int32)
    assert (items != log.item).sum() > 100
    other = replace(shop_of_fashion, log=replace(log, item=items))
    again = tune(other, BROKEN, only_popular, tmp_path, TuneOptions(trials=14, cases=60, dials=HALF_LIFE))
    assert replace(again, seconds=0) == replace(found, seconds=0)


def test_a_planted_leak_is_found(shop_of_fashion: World) -> None:
    log = shop_of_fashion.log
    cuts = windows(log, BROKEN)
    fold = cuts.folds[0]
    check_untouched(log.before(fold.start), (), fold.start, cuts.test)
    with pytest.raises(LeakFound, match="reaches into"):
        check_untouched(log, (), fold.start, cuts.test)
    late = Case(Context(now=cuts.test.start + 1), np.zeros(1, np.int32))
    with pytest.raises(LeakFound, match="test window"):
        check_untouched(log.before(fold.start), [late], fold.start, cuts.test)


def test_a_leak_planted_in_the_search_stops_it(
    shop_of_fashion: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Log, "before", lambda log, time: log)  # nothing is cut any more: folds learn from the future
    with pytest.raises(LeakFound):
        tune(shop_of_fashion, BROKEN, only_popular, tmp_path, TuneOptions(trials=2, cases=40, dials=HALF_LIFE))


def test_too_little_to_tune_on(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="too little happened"):
        tune(fashion(shoppers=5), BROKEN, only_popular, tmp_path, TuneOptions(trials=2))


def test_without_optuna_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        tune(fashion(weeks=4), BROKEN, only_popular, tmp_path)
    assert caught.value.next == "pip install 'bodega[tune]'"


def test_the_diff_is_written_where_it_is_sure(found: Tuned, tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_text('# ours\nname = "Shop"\n\n[learn]\nseed = 3  # odd\n', "utf-8")
    assert apply(tmp_path, found, {}) == file
    text = file.read_text("utf-8")
    assert text.startswith('# ours\nname = "Shop"\n\n[learn]\nseed = 3  # odd\n')
    settings = load(tmp_path, {})
    assert settings.models.popular_half_life_days == found.diff[0].after
    assert settings.learn.seed == 3
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert "# was 170" in toml_lines(found.diff)


def test_what_is_not_sure_is_refused(found: Tuned, tmp_path: Path) -> None:
    unsure = replace(found, sure=False, gain=(0.01, -0.01, 0.03), verdict="the interval holds 0")
    with pytest.raises(BadRequest, match="not surely better"):
        apply(tmp_path, unsure, {})
    assert not (tmp_path / FILE).exists()


def test_the_environment_that_would_win_is_told(found: Tuned, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="environment variable wins"):
        apply(tmp_path, found, {"BODEGA_MODELS_POPULAR_HALF_LIFE_DAYS": "3"})


def test_a_file_that_would_not_load_is_not_written(found: Tuned, tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_text("nonsense = 3\n", "utf-8")
    with pytest.raises(BadSettings):
        apply(tmp_path, found, {})
    assert file.read_text("utf-8") == "nonsense = 3\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "[models]\ntransition_window = 8\n"),
        ("[models]\n", "[models]\ntransition_window = 8\n"),
        ("[models]\ntransition_window = 20\n", "[models]\ntransition_window = 8\n"),
        ("[models]\n transition_window=20 # ours\n", "[models]\ntransition_window = 8  # ours\n"),
        (
            "[ models ] # a\nx = 1\n\n[serve]\nport = 1\n",
            "[ models ] # a\nx = 1\ntransition_window = 8\n\n[serve]\nport = 1\n",
        ),
        ("[serve]\ntransition_window = 3\n", "[serve]\ntransition_window = 3\n\n[models]\ntransition_window = 8\n"),
    ],
)
def test_only_the_key_changes(text: str, wanted: str) -> None:
    assert edited(text, [Change("models.transition_window", 20.0, 8.0, "")]) == wanted


@pytest.mark.parametrize("dial", DIALS, ids=lambda dial: dial.key)
def test_every_dial_turns_a_setting_and_reaches_its_source(dial: Dial) -> None:
    from bodega.wiring import parts_of

    assert dial.low <= dial.own <= dial.high
    assert dial.now(Settings()) == dial.own
    assert dial.says.endswith(".")
    value = dial.rounded((dial.low + dial.high) / 2)
    settings = turned(Settings(), {dial.key: value})
    assert dial.now(settings) == value
    made = parts_of(settings).make[dial.source]()
    assert value in [getattr(made.options, name) for name in made.options.__struct_fields__]  # type: ignore[attr-defined]
    usual = parts_of(Settings()).make[dial.source]()
    assert value not in [getattr(usual.options, name) for name in usual.options.__struct_fields__]  # type: ignore[attr-defined]


def test_docs_name_every_dial() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text("utf-8")
    assert set(re.findall(r"`(models\.\w+)`", page)) == {dial.key for dial in DIALS}


def test_the_command_refuses_a_shop_without_events(tmp_path: Path) -> None:
    import bodega

    with bodega.open(tmp_path / "shop") as shop:
        shop.catalog.upsert([Item(id="a", title="A thing")])
    told = CliRunner().invoke(app, ["tune", "--shop", str(tmp_path / "shop"), "--json"])
    assert isinstance(told.exception, BadRequest)
    assert "no span of time" in told.exception.what


def test_the_command_tells_a_diff_and_changes_nothing_by_itself(shop_of_fashion: World, tmp_path: Path) -> None:
    import bodega

    folder, log = tmp_path / "shop", shop_of_fashion.log
    with bodega.open(folder) as shop:
        shop.catalog.upsert([shop_of_fashion.items.item(row) for row in range(GROUPS * EACH)])
        rows = [
            {
                "id": f"e{row}",
                "time": 1.7e9 + float(log.time[row]),
                "type": "purchase",
                "user": f"u{log.user[row]}",
                "session": f"s{row}",
                "item": f"i{log.item[row]}",
            }
            for row in range(len(log))
        ]
        shop.events.add(rows)
    file = folder / FILE
    file.write_text("[models]\npopular_half_life_days = 170.0\n[learn]\nvalidation_days = 7.0\n", "utf-8")
    before = file.read_text("utf-8")
    told = CliRunner().invoke(
        app, ["tune", "--shop", str(folder), "--trials", "2", "--folds", "1", "--cases", "40", "--json"]
    )
    assert told.exit_code == 0, told.output
    answer = json.loads(told.stdout)
    assert answer["trials"] == 2
    assert answer["applied"] is False
    assert set(answer["windows"]) == {"fold 1", "confirm", "test, untouched"}
    assert "dense" in answer["left_out"]
    assert file.read_text("utf-8") == before
    assert (folder / "tuning.db").is_file()
    plain = CliRunner().invoke(app, ["tune", "--shop", str(folder), "--trials", "2", "--folds", "1", "--cases", "40"])
    assert plain.exit_code == 0, plain.output
    assert "2 settings tried" in plain.stdout
