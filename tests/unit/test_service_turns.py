"""How often threads take turns while a server runs, and that it is as before afterwards."""

from __future__ import annotations

import sys

import pytest

from bodega.service.server import SWITCH, _switching


def test_threads_take_turns_often_while_a_server_runs_and_as_before_afterwards():
    before = sys.getswitchinterval()
    assert before > SWITCH
    with _switching(SWITCH):
        assert sys.getswitchinterval() == pytest.approx(SWITCH, rel=0.01)
    assert sys.getswitchinterval() == pytest.approx(before, rel=0.01)
