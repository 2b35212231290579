"""The pulse of a machine: taken meanwhile, from the first moment on, and whatever happens inside."""

from __future__ import annotations

import threading
import time

import pytest

from bodega.bench import _pulse
from bodega.bench._pulse import Pulse, beat


def test_a_beat_is_time_that_was_computed_not_waited(monkeypatch):
    monkeypatch.setattr(_pulse, "STEPS", 1_000)
    few = min(beat() for _ in range(5))
    monkeypatch.setattr(_pulse, "STEPS", 100_000)
    many = min(beat() for _ in range(5))
    assert 0 < few < many


def test_beats_are_taken_meanwhile_and_stop(monkeypatch):
    monkeypatch.setattr(_pulse, "EVERY", 0.01)
    pulse = Pulse()
    with pulse.watched() as beats:
        deadline = time.monotonic() + 20
        while len(beats) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(beats) >= 4
    assert pulse.beats == beats
    assert not [thread for thread in threading.enumerate() if thread.name == "bodega-pulse"]
    with pytest.raises(ZeroDivisionError), pulse.watched() as more:
        raise ZeroDivisionError
    assert len(more) >= 1
    assert pulse.beats == [*beats, *more]
    assert not [thread for thread in threading.enumerate() if thread.name == "bodega-pulse"]
