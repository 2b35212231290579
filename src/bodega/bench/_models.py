"""Which models does a benchmark of behaviour compare? `fast` needs no torch, `all` everything that Bodega has.

Only models of what people do, and `content`, which knows what items are: the sources of lists that nobody searched for.
A model that takes minutes may start from what it learned before (`previous`), as a shop that learns every day does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from bodega.errors import BadRequest
from bodega.features import State
from bodega.protocols import Progress, Source, Trainable
from bodega.retrieval.collaborative import Collaborative
from bodega.retrieval.content import Content
from bodega.retrieval.generative import Generative
from bodega.retrieval.graph import Graph
from bodega.retrieval.matrix import Matrix
from bodega.retrieval.popular import Popular
from bodega.retrieval.repeat import Repeat
from bodega.retrieval.sequential import Sequential
from bodega.retrieval.slim import Slim
from bodega.retrieval.transition import Transition
from bodega.schema import World

MODELS: Final = ("fast", "all")


def fresh(models: str, *, repeats: bool, only: Sequence[str] = ()) -> list[Source]:
    """Unfitted sources, of these names (all when empty); `repeats`: do people take an item twice here? Raises
    BadRequest for another word or name."""
    if models not in MODELS:
        raise BadRequest("no such set of models", where="--models", allowed=" or ".join(MODELS), got=models)
    made: list[Source] = [Popular(), Transition(), Collaborative(), Content(), Matrix(), Graph(), Slim()]
    if repeats:
        made.append(Repeat())
    if models == "all":
        made += [Sequential(), Generative()]
    known = {source.name for source in made}
    if not known.issuperset(only):
        raise BadRequest("no such source", where="--sources", allowed=", ".join(sorted(known)), got=", ".join(only))
    return [source for source in made if not only or source.name in only]


@dataclass(frozen=True)
class Fitted:
    """Sources and what they learned from."""

    sources: list[Source]
    world: World
    spent: dict[str, float]
    """{source: CPU seconds}."""

    @cached_property
    def state(self) -> State:
        """What the features remember of the same world: one for all places."""
        return State.fit(self.world)

    @classmethod
    def on(
        cls,
        world: World,
        models: str,
        progress: Progress,
        previous: Path | None = None,
        *,
        repeats: bool = True,
        only: Sequence[str] = (),
    ) -> Self:
        """`previous`: a folder of what `keep` wrote, of the same items; the rest as of `fresh`."""
        sources, spent = fresh(models, repeats=repeats, only=only), {}
        for source in sources:
            progress.start(f"learn {source.name}")
            began = time.process_time()
            if isinstance(source, Trainable):
                old = previous / source.name if previous is not None else None
                source.training = replace(source.training, previous=old, known=world.items if old else None)
            source.fit(world)
            spent[source.name] = time.process_time() - began
            progress.finish()
        return cls(sources, world, spent)

    def keep(self, folder: Path) -> None:
        """Save those that can start from it."""
        for source in self.sources:
            if isinstance(source, Trainable):
                own = folder / source.name
                own.mkdir(parents=True)
                source.save(own)
