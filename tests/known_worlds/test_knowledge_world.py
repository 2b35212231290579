"""A shop whose knowledge is known on paper: phones, their cases and chargers, tents and what goes with them.

Whoever buys a phone buys its case with it; phones are compared with phones, the plain one with the dear one too.
"""

from __future__ import annotations

import numpy as np
import pytest

from bodega.protocols import NoProgress
from bodega.retrieval.knowledge import Knowledge, KnowledgeOptions, behaviour_of
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World
from bodega.understanding.graph import GraphOptions, build
from bodega.understanding.graph.embedding import EmbeddingOptions
from bodega.understanding.graph.linking import learn_links, weigh, without
from bodega.understanding.graph.paths import paths, told
from bodega.understanding.graph.signs import LinkOptions, Signs

DAY = 86_400.0
BRANDS = ("Acme", "Bolt", "Cyan", "Dune", "Echo")
PLAIN, DEAR, CASE, CHARGER = range(4)
"""Of each brand: a phone, a better phone, a case, a charger; then tents, mats, and a new case nobody has touched."""


def shop():
    items = []
    for brand in BRANDS:
        for number in range(4):
            for kind, price in (("Phone", 300.0), ("Phone Pro", 500.0), ("Case", 20.0), ("Charger", 30.0)):
                category = ("Phones",) if kind.startswith("Phone") else ("Add-ons", f"{kind}s")
                items.append(
                    Item(
                        id=f"{brand}-{kind}-{number}".replace(" ", ""),
                        title=f"{brand} {kind} {number}",
                        brand=brand,
                        category=category,
                        price=price,
                        attributes={"line": f"{brand} {number}"},
                    )
                )
    for number in range(6):
        items.append(
            Item(
                id=f"tent{number}",
                title=f"Tent {number}",
                category=("Outdoor", "Tents"),
                price=200.0,
                description="A light tent for hiking and festivals." if number < 5 else "",
                links={"crosssell": ("mat0", "mats", "nobody"), "upsell": ("tent5",)} if number == 0 else {},
            )
        )
        items.append(
            Item(
                id=f"mat{number}",
                title=f"Mat {number}",
                category=("Outdoor", "Mats"),
                price=90.0,
                group="mats" if number in (4, 5) else "",
            )
        )
    return [*items, Item(id="new", title="Bolt Case 9", brand="Bolt", category=("Add-ons", "Cases"), price=21.0)]


def visits(table, rng):
    """(looked, bought) of each visit."""
    row = table.index
    out = []
    for brand in BRANDS:
        for number in range(4):
            plain, dear, case, charger = (
                row[f"{brand}-{kind}-{number}"] for kind in ("Phone", "PhonePro", "Case", "Charger")
            )
            other = row[f"{brand}-Phone-{(number + 1) % 4}"]
            for visit in range(12):
                phone = plain if visit % 2 else dear
                looked = [plain, dear, other] if visit % 3 else [plain, dear]
                out.append(([*looked, case], [phone, case] + ([charger] if visit % 3 == 0 else [])))
            out += [([case], [case])] * 6
    for number in range(6):
        for _ in range(8):
            pair = [row[f"tent{number}"], row[f"mat{number}"]]
            out += [(pair, pair), (pair, [])]
    return [out[place] for place in rng.permutation(len(out))]


def world():
    table = ItemTable.of(shop())
    rows = []
    for number, (looked, bought) in enumerate(visits(table, np.random.default_rng(5))):
        deeds = [("view", item) for item in looked] + [("purchase", item) for item in bought]
        rows += [(number * DAY / 10 + 60 * at, kind, number, item) for at, (kind, item) in enumerate(deeds)]
    n = len(rows)
    log = Log(
        time=np.array([row[0] for row in rows]),
        type=np.array([EVENT_CODES[row[1]] for row in rows], np.int8),
        user=np.array([row[2] for row in rows], np.int32),
        session=np.array([row[2] for row in rows], np.int32),
        item=np.array([row[3] for row in rows], np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=rows[-1][2] + 1,
        n_sessions=rows[-1][2] + 1,
    )
    return World(table, log, 400 * DAY)


@pytest.fixture(scope="module")
def made():
    options = KnowledgeOptions(links=LinkOptions(embedding=EmbeddingOptions(rank=16, epochs=10)))
    known = world()
    return known.items, Knowledge(options).fit(known)


def linked(made, item, relation):
    items, source = made
    return [items.ids[int(row)] for row in source.graph.related(items.index[item], relation, 20)[0]]


def around(items, item, place):
    return Context(place=place, now=400 * DAY, items=np.array([items.index[item]], np.int32))


def listed(made, item, place, k=10):
    items, source = made
    return [items.ids[int(row)] for row in source.retrieve(around(items, item, place), k).items]


def test_a_case_is_an_accessory_for_its_phone_and_never_the_other_way(made):
    assert "Acme-Case-1" in linked(made, "Acme-Phone-1", "accessory")
    assert "Acme-Case-1" in linked(made, "Acme-Phone-1", "complement")
    assert linked(made, "Acme-Case-1", "accessory") == []
    assert linked(made, "tent1", "accessory") == [], "a mat costs nearly half of the tent"
    assert "mat1" in linked(made, "tent1", "complement")


def test_the_dearer_phone_is_the_upgrade_and_both_could_stand_in(made):
    assert "Bolt-PhonePro-2" in linked(made, "Bolt-Phone-2", "upgrade")
    assert linked(made, "Bolt-PhonePro-2", "upgrade") == []
    assert "Bolt-PhonePro-2" in linked(made, "Bolt-Phone-2", "substitute")
    assert "Bolt-Case-2" not in linked(made, "Bolt-Phone-2", "substitute")


def test_what_the_shop_links_is_taken_as_it_is(made):
    assert linked(made, "tent0", "crosssell") == ["mat0", "mat4", "mat5"], "a group stands for its variants"
    assert linked(made, "tent0", "upsell") == ["tent5"]
    assert linked(made, "mat4", "variant") == ["mat5"]


def test_lists_keep_the_two_apart(made):
    assert listed(made, "Acme-Phone-1", "together")[0] == "Acme-Case-1"
    assert listed(made, "Acme-Phone-1", "similar")[0] in ("Acme-PhonePro-1", "Acme-Phone-2", "Acme-Phone-0")
    assert "Acme-Case-1" not in listed(made, "Acme-Phone-1", "similar", 5)


def test_a_new_case_is_guessed_for_phones_of_its_brand(made):
    """Nobody has touched it: only what it is can tell."""
    items, source = made
    new = np.array([items.index["new"]], np.int32)
    own, strange = (source.score(around(items, item, "together"), new)[0] for item in ("Bolt-Phone-1", "tent1"))
    assert np.isfinite(own)
    assert not strange >= own
    bare = Knowledge(KnowledgeOptions(guessed=0.0, links=source.options.links))
    bare.fit(world())
    assert not bare.score(around(items, "Bolt-Phone-1", "together"), new)[0] > 0, "it is the guess that found it"


def test_a_search_that_names_a_need_scores_what_serves_it(made):
    items, source = made
    asked = Context(place="search", query="gift for hiking")
    found = {items.ids[int(row)] for row in source.retrieve(asked, 50).items}
    assert found == {f"tent{number}" for number in range(5)}
    assert len(source.retrieve(Context(place="search", query="blue socks"), 50)) == 0


def test_paths_say_why_in_both_languages(made):
    items, source = made

    def named(node):
        return items.titles[node] if node < len(items) else source.graph.name(node)

    phone, case, other = (items.index[name] for name in ("Acme-Phone-1", "Acme-Case-1", "Acme-Charger-3"))
    direct = paths(source.graph, phone, case, 5)
    said = [told(path, named) for path in direct]
    assert "Acme Case 1 is an accessory for Acme Phone 1" in said
    assert "Acme Case 1是Acme Phone 1的配件" in [told(path, named, "zh") for path in direct]
    met = {told(path, named) for path in paths(source.graph, phone, other, 9)}
    assert "Acme Phone 1 and Acme Charger 3 are both by Acme" in met
    assert paths(source.graph, phone, items.index["tent3"], 5) == []


def test_reasons_name_the_relation(made):
    items, source = made
    phone, case = items.index["Acme-Phone-1"], items.index["Acme-Case-1"]
    rows = np.array([case], np.int32)
    context = around(items, "Acme-Phone-1", "basket")
    assert source.because(context, rows, 2)[0].tolist() == [phone, -1]
    assert source.relation(context, np.array([phone], np.int32), rows) == ["accessory"]
    assert source.relation(context, np.array([-1], np.int32), rows) == [""]
    assert source.relation(Context(place="search", query="for hiking"), rows, rows) == ["need"]


def test_hidden_links_are_found_better_than_by_words(made):
    """Hide one complement in five and ask for them: the weighed signs against likeness of words."""
    items, source = made
    graph = source.graph
    heads, tails, _ = graph.edges("complement")
    hidden = np.random.default_rng(1).permutation(len(heads))[: len(heads) // 5]
    known = without(graph, "complement", (heads[hidden], tails[hidden]))
    assert len(known.edges("complement")[0]) == len(heads) - len(hidden)
    options = source.options.links
    linker = learn_links(items, known, ("complement",), options, NoProgress())
    assert linker is not None
    everything = np.arange(len(items), dtype=np.int32)
    signs = Signs.of(items, known, options, relations=("complement",), embedding=linker.signs.embedding)
    words = weigh(signs, "complement", (heads[:0], tails[:0]), options, ("words",))
    found = {"signs": [], "words": []}
    for head, tail in zip(heads[hidden], tails[hidden], strict=True):
        one = np.array([head], np.int32)
        others = np.setdiff1d(everything, [*known.out(int(head), "complement")[0], head])
        for name, scores in (
            ("signs", linker.scores("complement", one, everything)[0]),
            ("words", signs.of_heads("complement", one, everything)[0] @ np.array(words.weights, np.float32)),
        ):
            found[name].append(1 + (scores[others] > scores[tail]).sum())
    reciprocal = {name: (1 / np.array(ranks)).mean() for name, ranks in found.items()}
    assert reciprocal["signs"] > reciprocal["words"]
    assert (np.array(found["signs"]) <= 5).mean() > 0.9


def test_nothing_is_made_of_nothing(tmp_path):
    empty = world()
    quiet = World(
        ItemTable.of([Item(id="a", title="a"), Item(id="b", title="b")]), empty.log.where(empty.log.time < 0), 1.0
    )
    graph = build(quiet, behaviour_of(quiet, KnowledgeOptions().pairs), GraphOptions())
    assert sum(graph.facts().values()) == 0
    source = Knowledge().fit(quiet)
    assert len(source.retrieve(Context(place="similar", items=np.array([0], np.int32)), 5)) == 0
