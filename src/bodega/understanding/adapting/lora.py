"""Low-rank corrections inside a network (LoRA), taught by pairs that belong together: query and item, title and text.

Each step pulls the two sides of a pair together and apart from all other pairs of the batch (InfoNCE, both ways); only
the corrections learn (some .5 % of the weights). A fifth of the pairs is kept apart: one half says when to stop, the
other whether it helped, by the reciprocal rank of the right partner among all of the kept-apart pairs and strangers.
The network is handed out only when the 95 % interval of its gain lies above 0; the corrections are then merged into its
weights, so serving costs what it cost before.
Cost: a step of 32 short pairs with a network of six layers is 2 s on one core. Needs: the extra `adapters`.
Paper: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2022; van den Oord et al. 2018 (InfoNCE).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.errors import MissingExtra, NoEvidence
from bodega.evaluation.significance import paired
from bodega.protocols import NoProgress, Progress
from bodega.schema.arrays import Doubles, Floats


class LoraOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much is learned, and when it ends."""

    rank: int = 8
    alpha: int = 16
    rate: float = 5e-4
    batch: int = 32
    steps: int = 200
    check: int = 20
    """Steps between two looks at the pairs kept apart for stopping."""
    patience: int = 3
    """Looks without a gain before it stops."""
    temperature: float = 0.05
    held_out: float = 0.2
    fewest: int = 100
    """With fewer pairs nothing is tried."""
    judged: int = 400
    """At most this many pairs judge, and as many stop."""
    seed: int = 7


class LoraFacts(msgspec.Struct, frozen=True):
    """What was tried, and what it gave: mean reciprocal rank on pairs kept apart, with a 95 % interval."""

    pairs: int
    steps: int
    trained: int
    """Weights that learned."""
    of: int
    before: float
    after: float
    gain: float
    low: float
    high: float
    kept: bool
    why: str = ""


class Tunable(Protocol):
    """A network with two sides: which of them is a picture or a text is its own affair."""

    model: Any
    """The `torch.nn.Module` that is corrected."""
    targets: Sequence[str]
    """Endings of the names of the layers that get a correction; empty: all linear ones."""

    def left(self, places: NDArray[np.int64]) -> Any:
        """Vectors of the left sides of these pairs, (n, d), of length 1, with gradients."""
        ...

    def right(self, places: NDArray[np.int64]) -> Any:
        """The same of the right sides."""
        ...

    def same(self, places: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n, n): is the right side of column j right for row i, too?"""
        ...


@dataclass(frozen=True, slots=True)
class Split:
    """Which pairs teach, stop and judge."""

    teach: NDArray[np.int64]
    stop: NDArray[np.int64]
    judge: NDArray[np.int64]


def tune(
    network: Tunable, n_pairs: int, options: LoraOptions | None = None, progress: Progress | None = None
) -> LoraFacts:
    """Correct `network.model`, in place, where that surely helps; else leave it as it was.

    Raises MissingExtra, NoEvidence (too few pairs).
    """
    options, progress = options or LoraOptions(), progress or NoProgress()
    if n_pairs < options.fewest:
        raise NoEvidence(
            "too few pairs to tune an encoder with",
            where="adapt",
            allowed=f"at least {options.fewest} pairs",
            got=n_pairs,
            next="wait for more searches that led to a click, or give pairs from a file",
        )
    try:
        import torch
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingExtra.named("adapters", needed_for="tuning an encoder") from error
    rng = np.random.default_rng(options.seed)
    split = apart(n_pairs, options, rng)
    state = torch.get_rng_state()
    torch.manual_seed(options.seed)
    try:
        before = ranks(network, split.judge)
        config = LoraConfig(
            r=options.rank, lora_alpha=options.alpha, target_modules=list(network.targets) or "all-linear"
        )
        base = network.model
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that will change
            corrected = get_peft_model(base, config)
        trained, of = corrected.get_nb_trainable_parameters()
        steps = _learn(network, corrected, split, options, (rng, progress))
        after = ranks(network, split.judge)
        gain = paired(after, before, rng)
        network.model = (corrected.merge_and_unload() if gain.better else corrected.unload()).eval()
    finally:
        torch.set_rng_state(state)
    return LoraFacts(
        pairs=n_pairs,
        steps=steps,
        trained=int(trained),
        of=int(of),
        before=float(before.mean()),
        after=float(after.mean()),
        gain=gain.mean,
        low=gain.low,
        high=gain.high,
        kept=gain.better,
        why="" if gain.better else "the interval of its gain holds 0",
    )


def apart(n_pairs: int, options: LoraOptions, rng: np.random.Generator) -> Split:
    """(to learn from, to stop by, to judge by): no pair is in two of them."""
    order = rng.permutation(n_pairs)
    half = min(options.judged, max(1, int(n_pairs * options.held_out / 2)))
    return Split(np.sort(order[2 * half :]), np.sort(order[:half]), np.sort(order[half : 2 * half]))


def ranks(network: Tunable, places: NDArray[np.int64]) -> Doubles:
    """1 / rank of the best right partner of each pair among all partners of `places`; ties count half."""
    left, right = _vectors(network.left, places), _vectors(network.right, places)
    scores = left @ right.T
    own = np.where(network.same(places) | np.eye(len(places), dtype=np.bool_), scores, -np.inf).max(axis=1)
    above = (scores > own[:, None]).sum(axis=1)
    tied = (scores == own[:, None]).sum(axis=1)
    found: Doubles = 1.0 / (above + (tied + 1) / 2)
    return found


def _vectors(side: Callable[[NDArray[np.int64]], Any], places: NDArray[np.int64]) -> Floats:
    import torch

    with torch.inference_mode():
        parts = [side(places[start : start + 64]).float().numpy() for start in range(0, len(places), 64)]
    return np.concatenate(parts)


def _learn(
    network: Tunable,
    corrected: Any,
    split: Split,
    options: LoraOptions,
    beside: tuple[np.random.Generator, Progress],
) -> int:
    """Steps until the pairs kept apart for stopping gain no more; the best corrections are put back at the end."""
    import torch

    rng, progress = beside
    weights = [one for one in corrected.parameters() if one.requires_grad]
    adam = torch.optim.AdamW(weights, options.rate, weight_decay=0.01)
    best, kept, waited, step = float(ranks(network, split.stop).mean()), _copied(weights), 0, 0
    progress.start("tune the encoder", options.steps)
    while step < options.steps and waited < options.patience:
        places = rng.choice(split.teach, min(options.batch, len(split.teach)), replace=False)
        logits = network.left(places) @ network.right(places).T / options.temperature
        same = torch.from_numpy(network.same(places) & ~np.eye(len(places), dtype=np.bool_))
        logits = logits.masked_fill(same, -1e4)  # as right as the pair itself: no contrast
        aim = torch.arange(len(places))
        loss: Any = torch.nn.functional.cross_entropy(logits, aim) + torch.nn.functional.cross_entropy(logits.T, aim)
        adam.zero_grad()
        loss.backward()
        adam.step()
        step += 1
        progress.advance()
        if step % options.check == 0 or step == options.steps:
            score = float(ranks(network, split.stop).mean())
            waited += 1
            if score > best:
                best, kept, waited = score, _copied(weights), 0
    with torch.no_grad():
        for one, values in zip(weights, kept, strict=True):
            one.copy_(values)
    progress.finish()
    return step


def _copied(weights: Sequence[Any]) -> list[Any]:
    return [one.detach().clone() for one in weights]
