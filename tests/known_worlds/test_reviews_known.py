"""Reviews whose meaning is known on paper: sentiment, negation, aspects, spam, summaries, features."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from bodega.schema import KeptReview, Ratings, Review
from bodega.understanding.reviews.analysis import AnalysisOptions, analyse
from bodega.understanding.reviews.aspects import ASPECTS, Aspects, mine, sentences
from bodega.understanding.reviews.lexicon import COMPLAINT_EN, COMPLAINT_ZH, PRAISE_EN, PRAISE_ZH, Lexicon
from bodega.understanding.reviews.sentiment import Sentiment, SentimentOptions, grams, learn_sentiment
from bodega.understanding.reviews.spam import FLAGS, Watch
from bodega.understanding.reviews.summary import Sentence, summarise

START = datetime(2026, 1, 1, tzinfo=UTC)
EN, ZH = Lexicon.of("en"), Lexicon.of("zh")


def kept(number: int, text: str, item: str = "i", day: float = 0.0, **told: object) -> KeptReview:
    review = Review(id=f"r{number}", item=item, text=text, time=START + timedelta(days=day))
    review = msgspec.structs.replace(review, **{"user": f"u{number}", "stars": 5.0} | told)
    assert review.time is not None
    return KeptReview(review=review, number=number, arrived=review.time.timestamp())


def flags_of(reviews: list[KeptReview]) -> dict[str, tuple[str, ...]]:
    watch = Watch()
    for each in reviews:
        watch.see(each)
    return watch.found()


# -- sentiment --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("A great tent.", 1),
        ("Not great.", -1),
        ("It wasn't bad at all.", 1),
        ("I would not recommend it.", -1),
        ("Never again: broken and useless.", -1),
        ("质量很好", 1),
        ("质量不好", -1),
        ("没有想象中好", -1),
        ("不错", 1),
        ("太差了，失望", -1),
        ("一点都不后悔，喜欢", 1),
        ("It is a tent.", 0),
        ("", 0),
    ],
)
def test_words_of_praise_and_complaint_with_what_turns_them_round(text: str, sign: int) -> None:
    assert np.sign((ZH if "\u4e00" <= text[:1] <= "\u9fff" else EN).score(text)) == sign


def test_no_word_praises_and_complains() -> None:
    for praise, complaint in ((PRAISE_EN, COMPLAINT_EN), (PRAISE_ZH, COMPLAINT_ZH)):
        assert set(praise.split()) & set(complaint.split()) == set()


def labelled(n: int, rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """A world in which `zorp` praises and `blick` complains, among words that say nothing."""
    filler = ["".join(rng.choice(list("bcdfghjklmnpqrstvw"), 6)) for _ in range(60)]
    pleased = rng.random(n) < 0.5
    return [f"{' '.join(rng.choice(filler, 5))} {'zorp' if up else 'blick'}." for up in pleased], pleased


def test_stars_teach_words_that_no_list_holds(rng: np.random.Generator) -> None:
    texts, pleased = labelled(400, rng)
    assert EN.score("zorp") == 0
    judge = learn_sentiment("en", texts, pleased)
    assert judge.origin == "learned"
    new, truth = labelled(100, rng)
    assert ((judge.chance(new) > 0.5) == truth).all()
    assert judge.lexicon.learned["zorp"] > 0 > judge.lexicon.learned["blick"]
    assert set(judge.lexicon.learned) == {"zorp", "blick"}
    assert judge.lexicon.score("not zorp") < 0


def test_a_shop_with_few_reviews_goes_by_the_list_and_says_so(rng: np.random.Generator) -> None:
    texts, pleased = labelled(200, rng)
    judge = learn_sentiment("en", texts, pleased)
    assert judge.origin == "lexicon"
    assert judge.chance(["A great tent.", "zorp", "Terrible."]).tolist() == pytest.approx([0.75, 0.5, 0.25], abs=0.05)
    one_sided = learn_sentiment("en", texts * 3, np.ones(600, bool))
    assert one_sided.origin == "lexicon"


def test_a_judge_is_the_same_after_a_restart_and_learned_twice(rng, tmp_path):
    texts, pleased = labelled(400, rng)
    first, second = (learn_sentiment("en", texts, pleased) for _ in range(2))
    assert first.weights.tobytes() == second.weights.tobytes()
    first.save(tmp_path)
    opened = Sentiment.load(tmp_path)
    np.testing.assert_array_equal(opened.chance(texts[:50]), first.chance(texts[:50]))


@pytest.mark.parametrize(
    "text", ["", " ", "\ud800", "🙂" * 500, "a" * 100_000, "很" * 100_000, "\0\1\2", "💔!!!", "１２３"]
)
def test_any_text_is_judged(text: str, rng: np.random.Generator) -> None:
    judge = learn_sentiment("en", *labelled(400, rng))
    assert 0 <= judge.chance([text])[0] <= 1
    assert grams(text).dtype == np.int64


# -- aspects ----------------------------------------------------------------------------------------------------------


def test_each_clause_says_its_own() -> None:
    found = Aspects().opinions("The fabric is lovely, but the sleeves are too tight. Shipping was slow.", EN)
    assert {(each.aspect, each.value > 0, each.sentence) for each in found} == {
        ("quality", True, 0),
        ("size", False, 0),
        ("delivery", False, 1),
        ("performance", False, 1),  # "slow" alone may mean either
    }
    found = Aspects().opinions("颜色漂亮，但是尺码不合适。", ZH)
    assert {(each.aspect, each.value > 0) for each in found} == {("look", True), ("size", False)}


def test_every_aspect_has_words_in_both_languages() -> None:
    for name, (english, chinese) in ASPECTS.items():
        for word in english.split()[:3]:
            assert Aspects().named(word, "en"), (name, word)
        for word in chinese.split()[:3]:
            assert name in Aspects().named(word, "zh"), (name, word)


def test_what_a_shop_speaks_of_besides_becomes_an_aspect() -> None:
    texts = [(f"i{n % 4}", f"The handlebar is {'great' if n % 2 else 'terrible'} on trip {n}.") for n in range(20)]
    texts += [(f"i{n % 4}", "We rode with the family yesterday.") for n in range(20)]
    mined = mine(texts, {"en": EN, "zh": ZH})
    assert "handlebar" in mined
    assert "family" not in mined
    (found,) = Aspects(mined).opinions("The handlebar is awful.", EN)
    assert (found.aspect, found.value < 0) == ("handlebar", True)


def test_sentences_are_parts_of_the_text() -> None:
    text = "Dry. Really dry!! 很好。第二天也好～ e.g. this\nnext line"
    assert all(part in text for part in sentences(text))
    assert len(sentences(text)) >= 5


# -- spam -------------------------------------------------------------------------------------------------------------

LONG = "This tent kept us dry through three nights of rain in the mountains of Norway"


def test_copies_are_found_and_the_oldest_stays() -> None:
    reviews = [kept(1, LONG, day=1), kept(2, LONG, day=2), kept(3, f"{LONG}!", day=3), kept(4, "Good.", day=4)]
    reviews.append(kept(5, "Good.", day=5))  # thousands write so
    assert flags_of(reviews) == {"r2": ("duplicate",), "r3": ("duplicate",)}
    assert flags_of(reviews[::-1]) == flags_of(reviews)


def test_near_copies_are_found_and_other_texts_are_not() -> None:
    near = LONG.replace("three", "four")
    other = "The poles bent in the first storm and the seam above the door let water in"
    assert flags_of([kept(1, LONG), kept(2, near, day=1), kept(3, other, day=2)]) == {"r2": ("duplicate",)}


def test_one_text_under_many_items_is_an_advertisement() -> None:
    reviews = [kept(n, LONG, item=f"i{n}", day=n) for n in range(4)]
    assert flags_of(reviews) == {f"r{n}": ("many_items",) for n in (1, 2, 3)}
    assert flags_of(reviews[:2]) == {}


def test_a_burst_is_flagged_where_nobody_is_known_to_have_bought() -> None:
    calm = [kept(n, f"Note {n}", day=10 * n, stars=float(1 + n % 5)) for n in range(20)]
    burst = [kept(100 + n, f"Five {n}", day=95 + n / 100, stars=5.0, verified=n == 0) for n in range(15)]
    found = flags_of(calm + burst)
    assert set(found) == {f"r{100 + n}" for n in range(1, 15)}
    assert set(found.values()) == {("burst",)}
    assert flags_of(calm) == {}
    mixed = [
        msgspec.structs.replace(each, review=msgspec.structs.replace(each.review, stars=float(1 + n % 5)))
        for n, each in enumerate(burst)
    ]
    assert flags_of(calm + mixed) == {}


def test_who_writes_more_than_anybody_buys() -> None:
    found = flags_of([kept(n, f"Note {n}", item=f"i{n}", day=n / 100, user="eve") for n in range(25)])
    assert len(found) == 25
    assert flags_of([kept(n, f"Note {n}", item=f"i{n}", day=n, user="ann") for n in range(25)]) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("see http://x.example", "links"),
        ("cheaper at www.shop.example", "links"),
        ("write to me@mail.example", "links"),
        ("加微信：abc12345 返现", "links"),
        ("call 13812345678 now", "links"),
        ("BUY THIS NOW IT IS THE BEST", "caps"),
    ],
)
def test_a_review_betrays_itself(text: str, reason: str) -> None:
    assert flags_of([kept(1, text)]) == {"r1": (reason,)}
    assert reason in FLAGS


@pytest.mark.parametrize(
    "text", ["OK!!!", "Rated IP68, 5.0 out of 5.", "No. 1 at 3.5mm", "USB-C PD 3.0", "12345678901234"]
)
def test_plain_words_do_not(text: str) -> None:
    assert flags_of([kept(1, text)]) == {}


class Sleeping(Watch):
    """A broken twin: it remembers nothing of texts."""

    def see(self, kept: KeptReview) -> None:
        super().see(msgspec.structs.replace(kept, review=msgspec.structs.replace(kept.review, text="", title="")))


def test_a_watch_that_sleeps_is_caught() -> None:
    watch = Sleeping()
    for each in (kept(1, LONG), kept(2, LONG, day=1)):
        watch.see(each)
    assert watch.found() != flags_of([kept(1, LONG), kept(2, LONG, day=1)])


def world(rng: np.random.Generator, n: int = 360) -> list[KeptReview]:
    texts, pleased = labelled(n, rng)
    out = [
        kept(at + 1, text, item=f"i{at % 6}", day=at, stars=5.0 if up else 1.0)
        for at, (text, up) in enumerate(zip(texts, pleased.tolist(), strict=True))
    ]
    return sorted(out, key=lambda each: (each.review.item, each.arrived))


def test_stars_that_say_the_opposite_of_the_words(rng: np.random.Generator) -> None:
    reviews = world(rng)
    liar = kept(900, "blick blick, this is a blick thing", item="i9", stars=5.0, day=400)
    found = analyse(lambda: [*reviews, liar], {"i9": 0}, AnalysisOptions(sentiment=SentimentOptions(fewest=100)))
    assert found.flags.get("r900") == ("mismatch",)
    assert len(found.ratings) == 0  # the only review of the item does not count
    honest = sum("mismatch" in reasons for reasons in found.flags.values()) - 1
    assert honest == 0


# -- the whole --------------------------------------------------------------------------------------------------------


def test_what_was_found_before_is_taken_over_byte_for_byte(rng: np.random.Generator) -> None:
    reviews, options = world(rng), AnalysisOptions(sentiment=SentimentOptions(fewest=100))
    before = analyse(lambda: reviews, {}, options).opinions
    more = sorted([*reviews, kept(901, "zorp indeed", item="i2", day=500)], key=lambda e: (e.review.item, e.arrived))
    anew, taken = (analyse(lambda: more, {}, options, before=held).opinions for held in (None, before))
    assert anew.documents.blob.tobytes() == taken.documents.blob.tobytes()
    same = [name for name in anew.names if anew.read(name).key == before.read(name).key]
    assert sorted(same) == ["i0", "i1", "i3", "i4", "i5"]  # judges stay the same until a quarter more has come


def test_summaries_hear_both_sides_and_invent_nothing() -> None:
    said = [(f"It is warm and dry, night {n}.", 0.8) for n in range(12)] + [("The zipper broke at once.", -0.7)] * 4
    candidates = [Sentence(text, n, value, ("quality",), 1.0) for n, (text, value) in enumerate(said)]
    chosen = summarise(candidates, Counter(quality=16), 4)
    values = [candidates[at].value for at in chosen]
    assert len(set(chosen)) == len(chosen) == 4 or len(chosen) == 3
    assert min(values) < 0 < max(values)
    assert len({candidates[at].text for at in chosen}) == len(chosen)


def test_running_sums_know_what_was_there_at_any_moment(rng: np.random.Generator) -> None:
    n_items, m = 7, 200
    items, time = rng.integers(0, n_items, m).astype(np.int32), np.round(rng.uniform(0, 50, m), 0)
    values = rng.random((m, 6))
    ratings = Ratings.of(items, time, values, n_items)
    asked = np.array([0, 3, 6, 7, -1, 3], np.int32)  # an item that is newer than the sums knows nothing
    for now in (-1.0, 0.0, 17.0, 17.5, 99.0):
        sums, newest = ratings.until(asked, now)
        for row, item in enumerate(asked.tolist()):
            mine = (items == item) & (time < now)
            np.testing.assert_allclose(sums[row], values[mine].sum(axis=0), atol=1e-9)
            assert newest[row] == (time[mine].max() if mine.any() else -np.inf)
        np.testing.assert_allclose(ratings.overall(now), values[time < now].sum(axis=0), atol=1e-9)
