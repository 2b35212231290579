"""How does the shop teach its own encoder? By pairs that belong together, against all other items of the batch.

    signals (_signals) -> [imitate a pretrained encoder (_lesson)] -> contrastive steps (_draw, _bag) -> StaticEncoder

Each step draws texts that a shopper might type and the items they should find, and pulls each query towards its item
and away from the other items of the batch (InfoNCE, both ways). Own vectors of some words are hidden at each step, so
that letter runs learn to stand in for words that nobody has seen. The number of steps follows from the size of the
shop and never from the clock: same world, same options, same number of BLAS threads, same bytes.
Cost: about 60 ms a step of 512 pairs. Not for: adapting a pretrained encoder (`adapters`).
Paper: van den Oord et al. 2018 (InfoNCE); Wieting et al. 2016 (averaged word vectors from pairs).
"""

from __future__ import annotations

import time

import msgspec
import numpy as np

from bodega.protocols import Encoder, NoProgress, Progress
from bodega.schema import World
from bodega.schema.arrays import Doubles, Floats
from bodega.understanding import language
from bodega.understanding.text._bag import Learner, Vocabulary, number
from bodega.understanding.text._draw import Drawer, Mix, Pairs
from bodega.understanding.text._lesson import Lesson, ask, lesson, repeat, texts_to_teach
from bodega.understanding.text._signals import Signals, gather
from bodega.understanding.text.static import StaticEncoder

STEP_SECONDS = 0.06
"""Price of a contrastive step with 512 pairs, by which `seconds` becomes a number of steps."""
FEWEST_STEPS = 100
ASKED = 512
"""Texts shown to the teacher at a time."""


class TrainingOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chosen on generated queries and Substitute pairs (docs/decisions/0011-static-encoder.md)."""

    dimensions: int = 256
    seed: int = 7
    seconds: float = 120.0
    """Aimed at for the contrastive steps, on one core (by a fixed price a step, not by the clock)."""
    epochs: float = 6.0
    """How often each different item is looked at, at most."""
    batch: int = 512
    """Pairs a step; in a small shop a quarter of its items."""
    rate: float = 0.01
    temperature: float = 0.05
    """Of the contrast, without a teacher."""
    temperature_taught: float = 0.1
    """The same after a teacher: softer, which leaves more of what the teacher said."""
    hidden: float = 0.15
    """Share of words whose own vector is left out in a step."""
    apart: float = 0.5
    """Share of made-up queries whose words are taken out of the item."""
    views: float = 0.3
    """Share of pairs from labels and descriptions, where there are any."""
    clicks: float = 0.5
    """Share of pairs from clicks, where there are as many as items (fewer: in proportion)."""
    typed: int = 5
    """Most words of a made-up query."""
    least_count: int = 2
    """Texts a word must stand in to have a vector of its own (with a teacher, who knows words by themselves, one
    item is enough)."""
    most_runs: int = 50_000
    """Letter runs, those of many words first."""
    teacher_texts: int = 20_000
    """Texts the teacher is shown, at most."""
    teacher_epochs: float = 15.0
    refine: float = 0.1
    """Length of the contrastive steps after a teacher, as a share of `rate`: a catalog alone teaches the words again,
    which lexical search knows already; the teacher's opinion is what is new."""
    refine_clicks: float = 0.4
    """The same where there are as many pairs from clicks as items (fewer: in between)."""
    anchor: float = 1.0
    """Length of the steps back towards the teacher between contrastive ones, as a share of these."""


class TrainingFacts(msgspec.Struct, frozen=True):
    """What was learned from, and how it went."""

    items: int
    words: int
    """Words with a vector of their own."""
    runs: int
    """Letter runs."""
    pairs: int
    """Different (query, item) pairs of the log."""
    steps: int
    loss: float
    """Mean InfoNCE of the last tenth of the steps; log(batch) is chance."""
    teacher: str
    """Name of the pretrained encoder it was started from, "" without one."""
    taught: int
    """Texts that the teacher was shown."""
    imitation: float
    """Mean cosine with the teacher after imitating it, NaN without one."""
    seconds: float


def train(
    world: World,
    options: TrainingOptions | None = None,
    teacher: Encoder | None = None,
    progress: Progress | None = None,
) -> tuple[StaticEncoder, TrainingFacts]:
    """Learn from the catalog and the log; a shop without a word gives an encoder that answers zeros."""
    began = time.perf_counter()
    options, progress = options or TrainingOptions(), progress or NoProgress()
    rng = np.random.default_rng(options.seed)
    signals = gather(world)
    known = signals.count >= options.least_count
    if teacher is not None:
        known[signals.passages.words] = True  # but not what a single person typed
    vocabulary = Vocabulary.of(signals.words, signals.weight, known, options.most_runs)
    learner = Learner(vocabulary, options.dimensions, rng)
    taught = _taught(signals, teacher, options, rng, progress)
    imitation = _imitate(learner, taught, options, rng, progress)
    losses = _contrast(learner, signals, taught, options, rng, progress)
    encoder = StaticEncoder(learner.table(), origin=_origin(signals, teacher), languages=_languages(signals))
    return encoder, TrainingFacts(
        items=len(world.items),
        words=int(np.count_nonzero(vocabulary.own >= 0)),
        runs=len(vocabulary.runs),
        pairs=len(signals.clicks.item),
        steps=len(losses),
        loss=float(losses[-max(1, len(losses) // 10) :].mean()) if len(losses) else float("nan"),
        teacher=teacher.info.name if teacher is not None and taught is not None else "",
        taught=len(taught) if taught is not None else 0,
        imitation=imitation,
        seconds=round(time.perf_counter() - began, 2),
    )


def _taught(
    signals: Signals, teacher: Encoder | None, options: TrainingOptions, rng: np.random.Generator, progress: Progress
) -> Lesson | None:
    """What the teacher says to a part of the shop's texts."""
    if teacher is None or options.teacher_texts < 1 or not signals.words:
        return None
    texts = texts_to_teach(signals.texts, signals.clicks.texts, options.teacher_texts, rng)
    progress.start(f"ask {teacher.info.name}", len(texts))
    said: list[Floats] = []
    for low in range(0, len(texts), ASKED):
        said.append(ask(teacher, texts[low : low + ASKED]))
        progress.advance(len(said[-1]))
    progress.finish()
    code = {word: row for row, word in enumerate(signals.words)}
    bags = number(texts, code)
    return lesson(bags.where(bags.words < len(signals.words)), np.concatenate(said), options.dimensions)


def _imitate(
    learner: Learner, taught: Lesson | None, options: TrainingOptions, rng: np.random.Generator, progress: Progress
) -> float:
    """Several times over what the teacher said; returns the mean cosine of the last time."""
    if taught is None or len(taught) == 0:
        return float("nan")
    batch = _batch(len(taught), options)
    steps = max(FEWEST_STEPS, int(options.teacher_epochs * len(taught) / batch))
    progress.start("imitate it", steps)
    away = np.ones(steps)
    for step in range(steps):
        rows = rng.integers(0, len(taught), batch)
        away[step] = repeat(learner, taught, rows, _rate(options.rate, step, steps), rng)
        progress.advance()
    progress.finish()
    return 1.0 - float(away[-max(1, steps // 10) :].mean())


def _contrast(
    learner: Learner,
    signals: Signals,
    taught: Lesson | None,
    options: TrainingOptions,
    rng: np.random.Generator,
    progress: Progress,
) -> Doubles:
    """The loss of each step."""
    if not len(signals.passages.words):
        return np.empty(0)
    batch = _batch(signals.different, options)
    drawer = Drawer(signals, Mix(batch, options.apart, options.views, options.clicks, options.typed))
    wanted = int(options.epochs * signals.different / batch)
    steps = max(1, min(max(wanted, FEWEST_STEPS), int(options.seconds / STEP_SECONDS)))
    losses = np.zeros(steps)
    progress.start("learn the encoder", steps)
    share, temperature = 1.0, options.temperature
    if taught is not None:
        share, temperature = _refined(signals, options), options.temperature_taught
    for step in range(steps):
        rate = _rate(options.rate * share, step, steps)
        losses[step] = _step(learner, drawer.draw(rng), rate, (temperature, options.hidden), rng)
        if taught is not None and options.anchor > 0:
            repeat(learner, taught, rng.integers(0, len(taught), batch // 2), rate * options.anchor, rng)
        progress.advance()
    progress.finish()
    return losses


def _step(learner: Learner, pairs: Pairs, rate: float, dials: tuple[float, float], rng: np.random.Generator) -> float:
    """One step of InfoNCE from query to item and from item to query; returns the loss. `dials`: temperature, hidden."""
    temperature, hidden = dials
    count = len(pairs.item)
    batch = learner.batch(pairs.left.beside(pairs.right), hidden, rng)
    vectors = batch.vectors
    left, right = vectors[:count], vectors[count:]
    logits = (left @ right.T) / np.float32(temperature)
    logits[pairs.same] = -1e9
    pull = np.zeros_like(logits)
    loss = 0.0
    for axis in (0, 1):
        chance = np.exp(logits - logits.max(axis=axis, keepdims=True))
        chance /= chance.sum(axis=axis, keepdims=True)
        loss -= float(np.log(np.maximum(np.diagonal(chance), 1e-30)).mean()) / 2
        pull += chance / 2
    pull[np.arange(count), np.arange(count)] -= 1
    pull /= np.float32(count * temperature)
    batch.learn(np.concatenate([pull @ right, pull.T @ left]), rate)
    return loss


def _refined(signals: Signals, options: TrainingOptions) -> float:
    clicked = min(1.0, len(signals.clicks.item) / len(signals.passages))
    return options.refine + (options.refine_clicks - options.refine) * clicked


def _batch(texts: int, options: TrainingOptions) -> int:
    return min(options.batch, max(32, texts // 4))


def _rate(rate: float, step: int, steps: int) -> float:
    """Up over the first twentieth, then down in a straight line to a twentieth of `rate`."""
    return rate * min(1.0, (step + 1) / (0.05 * steps + 1)) * (1 - 0.95 * step / steps)


def _origin(signals: Signals, teacher: Encoder | None) -> str:
    learned = f"learned from {len(signals.texts):,} titles"
    if len(signals.clicks.item):
        learned += f" and {len(signals.clicks.item):,} query clicks"
    return f"distilled from {teacher.info.name}, {learned}" if teacher is not None else learned


def _languages(signals: Signals) -> tuple[str, ...]:
    """English, and Chinese where one text in fifty (or more) is mostly that; the leading one first."""
    seen = [language.detect(text) for text in signals.texts[:: max(1, len(signals.texts) // 2_000)]]
    chinese = seen.count("zh")
    if not seen or chinese * 50 < len(seen):
        return ("en",)
    return ("zh", "en") if chinese * 2 > len(seen) else ("en", "zh")
