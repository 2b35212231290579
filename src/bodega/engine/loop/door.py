"""`shop.loop`: the shop learns by itself, and nothing is served that did not prove itself.

    judge     clicks become graded judgments, places taken out
    learn     a candidate learns from all but the newest days; nobody is served from it
    gate      quality on those days, relevance, exposure, attack, latency (`loop.gate`): one failure ends it
    contest   shoppers of searches and lists decide by interleaving, where that is on
    approve   the human switch: `loop.approve = "human"` waits here for a word, `auto` goes on
    promote   the pointer moves; the snapshot before stays, `bodega snapshots rollback` goes back

`run` goes as far as it can and says why it stopped; call it from a timer. It is one at a time, every step is in the
trail, and a run that was killed goes on where it was. A rejected candidate is deleted, what it would have replaced was
served all the while. Cost: that of `learn` and the gate. Not for: what to learn (`learn`), or who sees what
(`experiments`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict, Unpack

import msgspec
import numpy as np

from bodega.engine.judged.door import Judgments
from bodega.engine.loop.attack import Attack, accounts_behind
from bodega.engine.loop.gate import GateReport, Weighing, weigh
from bodega.engine.loop.state import AuditLine, ContestReading, LoopBook, LoopState
from bodega.engine.workshop import Workshop
from bodega.errors import BodegaError, Conflict, SnapshotCorrupt
from bodega.evaluation import Window
from bodega.events import build_log
from bodega.protocols import EventStore, NoProgress, Progress
from bodega.schema.said import Said
from bodega.settings import Settings

DAY = 86_400.0
MEASURED = "bench.json"
LOGGER = logging.getLogger("bodega.loop")
Switch = Literal["human", "auto"]


class Told(TypedDict, total=False):
    """What a line of the trail may say."""

    state: Literal["done", "pass", "fail", "open", "skip"]
    who: str
    what: str
    said: Said
    facts: dict[str, float | str]


class Contest(Protocol):
    """Asks shoppers: candidate or current?"""

    def begin(self, run: int, served: str, candidate: str) -> str:
        """Start it (again, after a crash: the same); its id."""
        ...

    def read(self, name: str, began: float) -> ContestReading: ...

    def end(self, name: str, why: str) -> None:
        """From now on everybody gets what is served. Ending twice is fine."""
        ...


@dataclass(frozen=True, slots=True)
class LoopDoors:
    """What the loop asks of its shop."""

    folder: Path
    settings: Settings
    events: EventStore
    workshop: Workshop
    judgments: Judgments
    promote: Callable[[str, float], str]
    """Serve this snapshot, whose learning began at that moment, from now on."""
    contest: Contest | None = None
    now: Callable[[], float] = time.time


class Loop:
    """The door; see above."""

    def __init__(self, doors: LoopDoors) -> None:
        self._doors = doors
        self._book = LoopBook(doors.folder)
        self._thread: threading.Thread | None = None
        self.error = ""
        """Why the last run that `start` began ended early."""

    @property
    def switch(self) -> Switch:
        """Who has the last word?"""
        return self._doors.settings.loop.approve

    @property
    def state(self) -> LoopState:
        """How far it is. One small file is read."""
        return self._book.state()

    def trail(self, limit: int = 100) -> list[AuditLine]:
        """What it did, newest first."""
        return self._book.trail(limit)

    def run(self, progress: Progress | None = None) -> LoopState:
        """Go as far as possible. Raises LimitError (somebody is at it), NotLearned."""
        said = progress or NoProgress()
        with self._book.alone():
            state = self._book.state()
            if state.step == "idle":
                state = self._begun(state)
            while state.step != "idle":
                before, state = state.step, self._book.put(self._taken(state, said))
                if state.step == before:  # it waits: for evidence, or for a person
                    break
            return self._book.put(state)

    def start(self) -> bool:
        """Go on beside everything else; False where this process is at it already. `error` says what stopped it."""
        if self.running:
            return False
        self.error = ""

        def work() -> None:
            try:
                self.run()
            except BodegaError as error:
                self.error = f"{error.what}; next: {error.next}" if error.next else error.what
            except Exception as error:
                LOGGER.error("the loop stopped", exc_info=error)
                self.error = f"it failed ({type(error).__name__}); the log says more"

        self._thread = threading.Thread(target=work, name="loop", daemon=True)
        self._thread.start()
        return True

    @property
    def running(self) -> bool:
        """Is this process at it?"""
        return self._thread is not None and self._thread.is_alive()

    def measured(self) -> dict[str, Any]:
        """What `bodega bench loop` kept in this folder; empty where it never ran."""
        try:
            raw = (self._book.folder / MEASURED).read_bytes()
            found: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return {}
        return found

    def approve(self, who: str) -> LoopState:
        """Let the waiting candidate be served. Raises Conflict where none waits."""
        with self._book.alone():
            state = self._book.state()
            if state.step != "approve":
                raise _nothing_waits(state)
            text = f"{who} lets {state.candidate} be served"
            said = Said("loop.approved", text, {"who": who, "candidate": state.candidate})
            self._note(state, "approved", who=who, what=text, said=said)
            return self._book.put(self._promoted(msgspec.structs.replace(state, step="promote")))

    def reject(self, who: str, why: str = "") -> LoopState:
        """Throw the candidate away, at whatever step. Raises Conflict where there is none."""
        with self._book.alone():
            state = self._book.state()
            if not state.candidate:
                raise _nothing_waits(state)
            said = why or Said("loop.no", f"{who} said no", {"who": who})
            return self._book.put(self._rejected(state, said, who=who))

    def clear(self, who: str) -> LoopState:
        """Let candidates learn from everybody again."""
        with self._book.alone():
            state = self._book.state()
            text = f"{len(state.without)} accounts may be learned from again"
            said = Said("loop.cleared", text, {"accounts": len(state.without)})
            self._note(state, "clear", who=who, what=text, said=said)
            return self._book.put(msgspec.structs.replace(state, without=()))

    # -- steps ----------------------------------------------------------------------------------------------------

    def _begun(self, last: LoopState) -> LoopState:
        doors, served = self._doors, self._doors.workshop.current()
        known = doors.workshop.info(served).facts.get("until")
        newest = self._newest()
        dials = doors.settings.loop
        start = max(newest - dials.hold_days * DAY, (known or 0.0) + 1e-3)
        again = last.gate is not None and bool(last.gate.accounts)  # without them there is another candidate at once
        fresh = min(start - (known or 0.0), np.inf if again or not last.newest else newest - last.newest)
        if start >= newest or fresh < dials.every_days * DAY:
            why = f"waits for {dials.every_days:g} days of new events ({max(fresh, 0.0) / DAY:.1f} so far)"
            return msgspec.structs.replace(
                last, outcome=why, said=Said("loop.waits_days", why, _days(dials.every_days, fresh)), ended=doors.now()
            )
        return self._book.put(
            LoopState(
                run=last.run + 1,
                step="judge",
                began=doors.now(),
                served=served,
                until=start,
                newest=newest,
                without=last.without,
            )
        )

    def _taken(self, state: LoopState, said: Progress) -> LoopState:
        """The state after the next step; the step stays where it waits."""
        match state.step:
            case "judge":
                return self._judged(state, said)
            case "learn":
                return self._learned(state, said)
            case "gate":
                return self._weighed(state, said)
            case "contest":
                return self._contested(state)
            case "approve":
                return self._asked(state)
            case _:
                return self._promoted(state)

    def _judged(self, state: LoopState, said: Progress) -> LoopState:
        found = self._doors.judgments.from_clicks(progress=said)
        what = f"{found.graded:,} of {found.pairs:,} pairs graded, from {found.pages:,} pages"
        told = Said("loop.judged", what, {"graded": found.graded, "pairs": found.pairs, "pages": found.pages})
        facts: dict[str, float | str] = {"graded": float(found.graded), "pages": float(found.pages)}
        self._note(state, "judge", what=what, said=told, facts=facts)
        return msgspec.structs.replace(state, step="learn")

    def _learned(self, state: LoopState, said: Progress) -> LoopState:
        report = self._doors.workshop.learn(said, until=state.until, without=frozenset(state.without))
        if not report.published:
            return self._rejected(state, Said("loop.unpublished", report.verdict))
        if report.snapshot == state.served:
            same = Said("loop.same", "what was learned is what is served")
            self._note(state, "learn", state="skip", what=same.text, said=same)
            return self._over(state, same)
        facts: dict[str, float | str] = {
            f"{place.place}.ndcg@10": place.figures.get("fusion", {}).get("ndcg@10", 0.0) for place in report.places
        }
        without = f", without {len(state.without)} accounts" if state.without else ""
        learned = Said(
            "loop.learned_without" if without else "loop.learned",
            f"learned {report.snapshot}{without}",
            {"snapshot": report.snapshot, "accounts": len(state.without)},
        )
        self._note(state, "learn", what=learned.text, said=learned, facts=facts)
        return msgspec.structs.replace(state, step="gate", candidate=report.snapshot)

    def _weighed(self, state: LoopState, said: Progress) -> LoopState:
        report = self.gate(state, said)
        for line in report.lines:
            facts: dict[str, float | str] = {"value": line.value, "limit": line.limit, "cases": float(line.cases)}
            self._note(state, "gate", state=line.state, what=line.text, said=line.said, facts=facts | dict(line.facts))
        state = msgspec.structs.replace(state, gate=report)
        if report.state == "pass":
            asks = self._doors.contest is not None and self._doors.settings.loop.contest
            return msgspec.structs.replace(state, step="contest" if asks else "approve")
        without = tuple(sorted({*state.without, *report.accounts}))
        if report.state == "fail":
            return self._rejected(msgspec.structs.replace(state, without=without), _held_back("loop.gates", report))
        return self._rejected(state, _held_back("loop.too_little", report, "too little to say: "))

    def gate(self, state: LoopState, progress: Progress | None = None) -> GateReport:
        """Weigh the candidate against what is served. Raises SnapshotCorrupt, NotLearned."""
        doors = self._doors
        workshop, said = doors.workshop, progress or NoProgress()
        said.start("open the snapshots")
        candidate, served = workshop.contestant(state.candidate), workshop.contestant(state.served)
        log, _ = build_log(doors.events.scan(), candidate.items, doors.settings.ingest, workshop.people())
        said.finish()

        def names(attack: Attack) -> tuple[str, ...]:
            held = frozenset(candidate.items.ids[row] for row in attack.items.tolist())
            return accounts_behind(doors.events.scan(), held, attack.since)

        return weigh(
            Weighing(
                candidate=candidate,
                served=served,
                log=log,
                window=Window(state.until, float(np.nextafter(state.newest, np.inf))),
                gold=doors.judgments.gold(),
                ranks={"served": workshop.ranks(candidate.opened), "before": workshop.ranks(served.opened)},
                settings=doors.settings,
                names=names,
            ),
            said,
        )

    def _contested(self, state: LoopState) -> LoopState:
        contest = self._doors.contest
        if contest is None:
            return msgspec.structs.replace(state, step="approve")
        if not state.contest:
            name = contest.begin(state.run, state.served, state.candidate)
            waits = Said("loop.contest_on", f"{name}: shoppers decide", {"name": name})
            self._note(state, "contest", state="open", what=waits.text, said=waits)
            return msgspec.structs.replace(
                state, contest=name, contest_began=self._doors.now(), outcome=waits.text, said=waits
            )
        reading = contest.read(state.contest, state.contest_began)
        days = (self._doors.now() - state.contest_began) / DAY
        if reading.state == "open" and days > self._doors.settings.loop.contest_days:
            contest.end(state.contest, "it took too long")
            self._note(state, "contest", state="fail", what=reading.text, said=_read(reading))
            text = f"contest: undecided after {days:.0f} days ({reading.text})"
            return self._rejected(state, Said("loop.contest_slow", text, {"days": round(days)}))
        if reading.state == "open":
            return msgspec.structs.replace(state, reading=reading, outcome=reading.text, said=_read(reading))
        contest.end(state.contest, reading.text)
        good = reading.state in ("better", "harmless")
        facts: dict[str, float | str] = {"difference": reading.difference, "low": reading.low, "high": reading.high}
        said = _read(reading)
        self._note(state, "contest", state="pass" if good else "fail", what=reading.text, said=said, facts=facts)
        state = msgspec.structs.replace(state, reading=reading)
        if good:
            return msgspec.structs.replace(state, step="approve")
        return self._rejected(state, Said(said.code, f"contest: {reading.text}", said.values))

    def _asked(self, state: LoopState) -> LoopState:
        if self.switch == "auto":
            auto = Said("loop.auto", 'loop.approve is "auto"')
            self._note(state, "approve", state="pass", what=auto.text, said=auto)
            return msgspec.structs.replace(state, step="promote")
        text = f"{state.candidate} waits for `bodega loop approve`"
        waits = Said("loop.waits", text, {"candidate": state.candidate})
        if text != state.outcome:
            self._note(state, "approve", state="open", what="waits for a person", said=waits)
        return msgspec.structs.replace(state, outcome=text, said=waits)

    def _promoted(self, state: LoopState) -> LoopState:
        if self._doors.workshop.current() != state.candidate:
            try:
                self._doors.promote(state.candidate, state.began)
            except SnapshotCorrupt as error:
                text = f"the candidate is not intact any more: {error.what}"
                return self._rejected(state, Said("loop.damaged", text))
        text = f"{state.candidate} is served; {state.served} stays as the way back"
        said = Said("loop.promoted", text, {"candidate": state.candidate, "served": state.served})
        self._note(state, "promote", what=text, said=said)
        over = Said("loop.over", f"promoted {state.candidate}", {"candidate": state.candidate})
        return self._over(msgspec.structs.replace(state, candidate=""), over)

    def _rejected(self, state: LoopState, why: str | Said, who: str = "loop") -> LoopState:
        """`why`: a sentence of ours, or what a person typed."""
        text, said = (why, None) if isinstance(why, str) else (why.text, why)
        if state.contest and self._doors.contest is not None:
            self._doors.contest.end(state.contest, text)
        now = self._doors.now()
        self._book.note(AuditLine(time=now, run=state.run, step="reject", state="fail", who=who, what=text, said=said))
        if state.candidate != self._doors.workshop.current():
            self._doors.workshop.drop(state.candidate)
        over = Said(
            "loop.rejected" if said is None else said.code,
            f"rejected: {text}",
            {"why": text} if said is None else said.values,
        )
        return self._over(msgspec.structs.replace(state, candidate=""), over)

    def _over(self, state: LoopState, outcome: Said) -> LoopState:
        return msgspec.structs.replace(state, step="idle", outcome=outcome.text, said=outcome, ended=self._doors.now())

    def _newest(self) -> float:
        """When the newest event was."""
        newest = 0.0
        for rows in self._doors.events.scan():
            newest = float(rows.time[-1]) if len(rows.time) else newest
        return newest

    def _note(self, at: LoopState, step: str, **told: Unpack[Told]) -> None:
        self._book.note(AuditLine(time=self._doors.now(), run=at.run, step=step, **told))


def _days(every: float, fresh: float) -> dict[str, str | float | int]:
    return {"days": every, "fresh": round(max(float(fresh), 0.0) / DAY, 1) if np.isfinite(fresh) else 0.0}


def _held_back(code: str, report: GateReport, before: str = "") -> Said:
    """Which gates a candidate did not come through."""
    names = " ".join(f"@loop.gate_{line.gate}" for line in report.lines if line.state in ("fail", "open"))
    return Said(code, f"{before}{report.why}", {"gates": names})


def _read(reading: ContestReading) -> Said:
    """What shoppers said so far."""
    if not reading.planned:
        return Said("loop.contest_ended", reading.text)
    values: dict[str, str | float | int] = {
        "pages": reading.pages, "planned": reading.planned, "difference": round(reading.difference, 4),
        "low": round(reading.low, 4), "high": round(reading.high, 4),
    }  # fmt: skip
    return Said("loop.contest_read", reading.text, values)


def _nothing_waits(state: LoopState) -> Conflict:
    return Conflict(
        "no candidate waits for a word",
        code="loop.nothing_waits",
        where="loop",
        got=f"step {state.step}",
        allowed="a candidate that came through the gate",
        next="bodega loop status",
    )
