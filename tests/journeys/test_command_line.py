"""The command line from an empty folder to answers, and what it says when the input is bad."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import bodega
from bodega.cli import app, main
from bodega.testing.world import WorldSpec, make_world


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `bodega ...` in this process, as the entry point does."""

    def runs(*words: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["bodega", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A learned shop, made by the commands themselves in `test_from_two_files_to_answers`' order."""
    base = tmp_path_factory.mktemp("cli")
    world = make_world(WorldSpec(n_items=120, n_shoppers=60, days=20))
    lines = ["sku,name,preis,kategorie,brand"]
    for item in world.items:
        title = item.title.replace('"', "")
        lines.append(f'{item.id},"{title}",{item.price},"{" > ".join(item.category)}",{item.brand}')
    (base / "products.csv").write_text("\n".join(lines), "utf-8")
    rows = [
        {
            "event": e.type.value,
            "ts": e.time.isoformat(),
            "user": e.user,
            "session": e.session,
            "product_id": e.item,
            "query": e.query,
            "value": e.value,
        }
        for e in world.events
    ]
    rows.append({"event": "click", "ts": "2999-01-01T00:00:00Z", "user": "u", "product_id": world.items[0].id})
    (base / "events.jsonl").write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    with bodega.open(base / "shop") as shop:
        shop.catalog.add(
            base / "products.csv",
            how=bodega.Feeding(mapping={"title": "name", "price": "preis", "category": "kategorie"}),
        )
        shop.events.add(base / "events.jsonl")
        assert shop.learn().published
    return base


def test_init_import_and_the_shown_mapping(run: Any, folder: Path, tmp_path: Path) -> None:
    shop = tmp_path / "fresh"
    assert run("init", shop, "--name", 'A "quoted" name').code == 0
    done = run("import", "items", folder / "products.csv", "-m", "title=name", "-m", "price=preis", "--shop", shop)
    assert done.code == 0
    assert "title <- name" in done.out
    again = run(
        "import", "items", folder / "products.csv", "-m", "title=name", "-m", "price=preis", "--shop", shop, "--json"
    )
    assert again.json["added"] == 0
    assert again.json["unchanged"] == 120
    events = run("import", "events", folder / "events.jsonl", "--shop", shop, "--json")
    assert events.json["dead"] == 1
    assert events.json["reasons"] == {"future_time": 1}
    dead = run("events", "dead", "--shop", shop, "--json").json
    assert dead["letters"][0]["reason"] == "future_time"
    assert "2999" in dead["letters"][0]["raw"]
    assert "future_time" in run("events", "dead", "--shop", shop).out


def test_answers_as_json_and_as_tables(run: Any, folder: Path) -> None:
    shop = folder / "shop"
    title = bodega.open(shop).catalog.get(next(iter(make_world(WorldSpec(n_items=120)).items)).id).title
    for words in (
        ("search", title, "--facet", "brand", "-f", "price=0..1000"),
        ("recommend", "home", "--user", "u0001"),
        ("recommend", "popular"),
        ("events", "summary"),
        ("doctor",),
        ("snapshots",),
        ("search", title, "--where", "price < 1000 AND available = true", "--user", "u0001"),
        ("search", title, "--verbatim", "--segment", "vip", "--language", "en"),
        ("suggest", title[:3]),
        ("suggest", title[:3], "--user", "u0001"),
        ("rules", "mine", "--people", "2"),
        ("snapshots", "list"),
        ("snapshots", "show"),
        ("keys", "list"),
    ):
        shown = run(*words, "--shop", shop)
        assert shown.code == 0, shown.err
        assert shown.out.strip()
        assert run(*words, "--shop", shop, "--json").json is not None
    assert run("search", title, "--shop", shop, "--json").json["hits"][0]["document"]["title"] == title


def test_a_search_shows_what_was_understood_corrected_and_offered(run: Any, folder: Path) -> None:
    shop = folder / "dresses"
    goods = [("Red silk dress", "Silk", 30), ("Red cotton dress", "Cotton", 20), ("Blue cotton dress", "Cotton", 90)]
    with bodega.open(shop) as opened:
        opened.catalog.upsert(
            [
                bodega.Item(id=str(at), title=title, price=price, currency="USD", attributes={"material": material})
                for at, (title, material, price) in enumerate(goods)
            ]
        )
        opened.rules.put(
            bodega.schema.read_rule(
                b'{"id": "week", "when": {"queries": [{"text": "dress", "match": "contains"}]},'
                b' "then": [{"do": "banner", "text": "Dress week [1]", "url": "/week"}]}'
            ),
            who="test",
        )
        assert opened.learn().published
    said = run("search", "red dress under 50 not silk", "--shop", shop)
    assert said.code == 0, said.err
    for part in ("understood", "price up to 50", "without", "Dress week [1]", "(rule week)", "Red cotton dress"):
        assert part in said.out, part
    assert "Red silk dress" not in said.out
    as_typed = run("search", "red dress under 50 not silk", "--verbatim", "--shop", shop)
    assert "understood" not in as_typed.out
    assert "Red silk dress" in as_typed.out
    corrected = run("search", "coton dresses", "--shop", shop).out
    assert "cotton dresses" in corrected
    assert "--verbatim" in corrected
    narrowed = run("search", "dress", "--where", "material = Cotton AND price < 50", "--shop", shop, "--json").json
    assert [hit["id"] for hit in narrowed["hits"]] == ["1"]
    with (shop / "bodega.toml").open("a") as file:
        file.write('[understand]\nbeside = "hub:nobody/nothing"\n')
    silent = run("search", "dress", "--shop", shop)
    assert silent.code == 0
    assert "sentences" in silent.out, "a source that cannot answer is named"


def test_empty_lists_say_what_to_do(run: Any, folder: Path) -> None:
    nothing = run("search", "zzxxqq 99887", "--verbatim", "--shop", folder / "shop")
    assert nothing.code == 0
    assert "nothing found" in nothing.out
    assert "bodega doctor" in nothing.out
    unknown = run("suggest", "zzxxqq", "--shop", folder / "shop")
    assert "understand.people" in unknown.out
    assert "bodega rules mine" in run("rules", "mine", "--people", "900", "--shop", folder / "shop").out


def test_which_encoder_is_in_use_is_shown_wherever_a_shop_describes_itself(run: Any, folder: Path) -> None:
    shop = folder / "shop"
    assert "encoder static" in run("snapshots", "list", "--shop", shop).out
    for words in (("snapshots", "show"), ("doctor",)):
        assert "encoder of dense: static (256 dimensions" in " ".join(run(*words, "--shop", shop).out.split())
    assert run("doctor", "--shop", shop, "--json").json["health"]["encoders"]["dense"]["name"] == "static"
    assert run("snapshots", "show", "--shop", shop, "--json").json["facts"]["encoders"]["dense"]["digest"]


def test_the_shop_of_the_environment_is_no_option_before_the_word(
    run: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BODEGA_SHOP", str(folder / "shop"))
    assert run("snapshots", "show").code == 0
    assert run("snapshots", "--json", "show").code == 2
    assert run("snapshots", "show", "no-such").code == 2


def test_keys_are_shown_once_and_revoked(run: Any, folder: Path) -> None:
    shop = folder / "shop"
    key = run("keys", "create", "--label", "till", "--scope", "search", "--shop", shop, "--json").json["key"]
    listed = run("keys", "list", "--shop", shop)
    assert key not in listed.out
    (info,) = [entry for entry in run("keys", "list", "--shop", shop, "--json").json if entry["label"] == "till"]
    assert run("keys", "revoke", info["id"], "--shop", shop).code == 0
    assert run("keys", "revoke", "none such", "--shop", shop).code == 2


def test_rollback_without_an_older_snapshot_says_what_there_is(run: Any, folder: Path) -> None:
    answer = run("snapshots", "rollback", "--shop", folder / "shop")
    assert answer.code == 2
    assert "bodega snapshots" in answer.err


def test_every_command_has_help_with_an_example(run: Any) -> None:
    import typer.main

    root = typer.main.get_command(app)

    def leaves(command: Any, path: list[str]) -> Iterator[tuple[list[str], Any]]:
        for name, child in getattr(command, "commands", {}).items():
            yield from leaves(child, [*path, name])
        if not getattr(command, "commands", {}):
            yield path, command

    found = list(leaves(root, []))
    assert len(found) > 15
    for path, command in found:
        assert command.help, path
        assert "bodega " + " ".join(path) in (command.epilog or "").replace("`", ""), path


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("search", "x", "--shop", "{tmp}"), "NotAShop"),
        (("import", "items", "{tmp}/absent.csv", "--shop", "{shop}"), "BadFeed"),
        (("import", "items", "{tmp}", "--shop", "{shop}"), "BadFeed"),
        (("import", "items", "{tmp}/empty.csv", "--shop", "{shop}"), "BadFeed"),
        (("import", "items", "{tmp}/noid.csv", "--shop", "{shop}"), "BadFeed"),
        (("import", "items", "{tmp}/torn.parquet", "--shop", "{shop}"), "BadFeed"),
        (("import", "items", "{tmp}/noid.csv", "-m", "nonsense", "--shop", "{shop}"), "BadRequest"),
        (("search", "x", "-f", "colour", "--shop", "{shop}"), "BadRequest"),
        (("search", "x", "-f", "price=a..b", "--shop", "{shop}"), "BadRequest"),
        (("search", "x", "-f", "nofield=1", "--shop", "{shop}"), "BadRequest"),
        (("search", "x", "--where", "nofield = 1", "--shop", "{shop}"), "BadRequest"),
        (("search", "x", "--where", "price < ", "--shop", "{shop}"), "BadRequest"),
        (("search", "x", "--offset", "10001", "--shop", "{shop}"), "BadRequest"),
        (("recommend", "nowhere", "--shop", "{shop}"), "BadRequest"),
    ],
)
def test_bad_input_is_answered_with_facts_and_exit_code_2(
    run: Any, folder: Path, tmp_path: Path, words: tuple[str, ...], what: str
) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "noid.csv").write_text("colour,shape\nred,round\n")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 torn")
    filled = [word.format(tmp=tmp_path, shop=folder / "shop") for word in words]
    for_people, for_machines = run(*filled), run(*filled, "--json")
    assert for_people.code == for_machines.code == 2
    assert "Traceback" not in for_people.err
    assert what in for_people.err
    facts = json.loads(for_machines.err)["error"]
    assert facts["type"] == what
    assert facts["what"]
    assert facts["where"]
    assert facts["next"] or facts["allowed"]


def test_a_setting_with_a_typing_error_names_the_key(run: Any, tmp_path: Path) -> None:
    run("init", tmp_path / "typo")
    (tmp_path / "typo" / "bodega.toml").write_text("langauge = 'en'\n")
    answer = run("recommend", "--shop", tmp_path / "typo")
    assert answer.code == 2
    assert "langauge" in answer.err


def test_a_port_in_use_is_told_before_anything_is_touched(run: Any, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = run("serve", "--port", str(taken.getsockname()[1]), "--shop", folder / "shop")
    assert answer.code == 2
    assert "PortInUse" in answer.err


def test_a_corrupt_snapshot_is_refused_and_the_older_one_answers(run: Any, folder: Path, tmp_path: Path) -> None:
    shop = tmp_path / "twice"
    with bodega.open(shop) as opened:
        opened.catalog.upsert([bodega.Item(id="1", title="Trail shoe")])
        opened.learn()
        opened.catalog.upsert([bodega.Item(id="2", title="Road shoe")])
        newest = opened.learn().snapshot
    path = shop / "snapshots" / newest / "items" / "titles.blob.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    page = run("search", "shoe", "--shop", shop, "--json").json
    assert newest not in page["snapshot"]
    assert any(newest in note for note in page["degraded"])
    assert sorted(hit["id"] for hit in page["hits"]) == ["1", "2"]


def test_learning_can_be_killed_and_the_shop_goes_on(folder: Path) -> None:
    shop = folder / "shop"
    with bodega.open(shop) as opened:
        before = opened.recommend("home", user="u0001").snapshot
    child = subprocess.Popen([sys.executable, "-m", "bodega", "learn", "--shop", str(shop)], stderr=subprocess.DEVNULL)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(1.2)
    child.kill()
    child.wait()
    with bodega.open(shop) as opened:
        assert opened.recommend("home", user="u0001").snapshot == before
        assert opened.learn().published


def test_an_event_of_an_unknown_item_is_kept_and_linked_when_the_item_arrives(tmp_path: Path) -> None:
    with bodega.open(tmp_path / "late") as shop:
        shop.catalog.upsert([bodega.Item(id="1", title="Trail shoe")])
        rows = [
            {"type": "purchase", "time": f"2026-01-0{day}", "user": "u", "item": name}
            for day in (1, 2)
            for name in ("1", "😀")
        ]
        assert shop.events.add(rows).added == 4
        report = shop.learn()
        assert any("2 events of items" in note for note in report.notes)
        shop.catalog.upsert([bodega.Item(id="😀", title="Smile")])
        assert not any("events of items" in note for note in shop.learn().notes)
        assert "😀" in shop.recommend("repeat", user="u").ids
