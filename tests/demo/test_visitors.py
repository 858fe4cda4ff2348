"""Sessions end, are bounded, and give their memory back."""

from __future__ import annotations

import copy
import gc
import time
import tracemalloc
import weakref
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from gradio.state_holder import SessionState
from PIL import Image

from demo import memory, visitors
from demo.memory import MB
from demo.session import Visitor
from demo.visitors import Session, Sessions


@pytest.fixture
def sessions(page):
    return Sessions(page, away=60.0, budget=1024 * MB)


@pytest.fixture
def state(page):
    """The component that holds a visitor's work."""
    return next(i for i, block in page.blocks.items() if isinstance(getattr(block, "value", None), Visitor))


def photograph(side: int = 1024) -> Image.Image:
    return Image.new("RGB", (side, side), (90, 120, 60))


def later(sessions: Sessions, seconds: float) -> None:
    """So much time goes by, and Gradio's look after it."""
    for name in sessions.time_last_used:
        sessions.time_last_used[name] -= timedelta(seconds=seconds)
    sessions._swept = float("-inf")
    sessions.delete_all_expired_state()


def test_departed_visitors_are_gone_with_what_they_held(sessions, state):
    sessions.entered("ann")
    visitor = sessions["ann"][state]
    photo = visitor.kept["attgan"] = photograph()
    kept = weakref.ref(photo)
    del photo, visitor
    later(sessions, 3600)  # the page is open, and not used for an hour
    assert kept() is not None
    sessions.left("ann")
    later(sessions, 30)  # within its time to live: a connection that breaks off comes back
    assert kept() is not None
    sessions.entered("ann")
    sessions.left("ann")
    later(sessions, 61)
    gc.collect()
    assert kept() is None and "ann" not in sessions and "ann" not in sessions.present
    sessions["script"]  # without a page there is only its last use to go by
    later(sessions, 61)
    assert "script" not in sessions
    sessions.entered("bob")
    sessions["bob"]
    later(sessions, visitors.IDLE_S + 1)  # a page that nobody looks at any more
    assert "bob" not in sessions


def test_the_served_page_has_these_sessions(page, visitor):
    visitor("stylegan2_sample", seeds="1")
    [name] = [client for client in (visitor.client.session_hash,) if client in page.app.state_holder]
    assert isinstance(page.app.state_holder, Sessions)
    assert page.app.state_holder.present[name] == 1  # its heartbeat
    assert page.app.state_holder.capacity <= visitors.CAPACITY


def test_a_session_costs_next_to_nothing(page):
    assert vars(SessionState(page)).keys() <= vars(Session(page)).keys()  # whatever Gradio looks for is there
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    several = [Session(page) for _ in range(10)]
    each = (tracemalloc.get_traced_memory()[0] - before) / len(several)
    tracemalloc.stop()
    assert each < 20_000  # Gradio's own take two megabytes


def test_sessions_share_the_page_and_change_their_own(page):
    one, other = Session(page), Session(page)
    key, block = next((i, b) for i, b in page.blocks.items() if b.elem_id == "sg2-network")
    changed = copy.copy(block)
    one[key] = changed
    assert one[key] is changed and other[key] is block and page.blocks[key] is block
    assert key in one and key in other


def test_what_a_value_holds():
    photo = photograph()
    assert memory.held({"one": photo, "again": [photo, photo]}) == pytest.approx(4 * MB, rel=0.01)
    assert memory.held(np.zeros((1024, 1024), np.float32)) == pytest.approx(4 * MB, rel=0.01)
    assert memory.held(["x" * MB, b"x" * MB]) == pytest.approx(2 * MB, rel=0.01)
    assert memory.held(Session) == 0  # a class is everybody's
    round_about: list = []
    round_about.append(round_about)
    assert memory.held(round_about) < 1000
    assert 0 < memory.total() < 2**50


def test_one_visitor_is_bounded(page, state, monkeypatch):
    monkeypatch.setattr(visitors, "MOST", 10 * MB)
    session = Session(page)
    holds = session[state].state
    for name in ("draggan", "attgan", "igan"):
        holds(name, lambda: [photograph()])
    holds("draggan", list)  # looked at again: what lay untouched for longest is another one
    assert session.weigh() < 10 * MB
    assert set(session[state].kept) == {"draggan", "igan"}


def test_all_together_are_bounded(page, state):
    sessions = Sessions(page, away=60.0, budget=40 * MB)
    for name in ("small", "large", "closed"):
        sessions.entered(name)
        sessions[name][state].kept["photo"] = photograph(2048 if name == "large" else 1024)
        sessions[name].weigh()
    sessions.left("closed")
    later(sessions, 1)
    assert list(sessions.session_data) == ["small", "large", "closed"]  # 24 MB are not too much
    sessions.budget = 22 * MB
    later(sessions, 1)
    assert list(sessions.session_data) == ["small", "large"]  # whose page is closed goes first
    sessions.budget = 10 * MB
    later(sessions, 1)
    assert list(sessions.session_data) == ["small"]  # then who holds most


def test_there_is_an_end_to_their_number(page):
    sessions = Sessions(page, budget=1)
    assert sessions.capacity == visitors.LEAST
    sessions.entered("open")
    for number in range(2 * visitors.LEAST):
        sessions["open"]
        sessions[f"script {number}"]
    assert len(sessions.session_data) <= visitors.LEAST and "open" in sessions


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells how much memory is resident")
def test_memory_stays_level_while_visitors_come_and_go(page, state):
    """The small edition of ``python -m benchmarks visitors``: a photograph of 2048 px in two tabs for each."""
    sessions = Sessions(page, away=60.0)

    def come_and_go(count: int) -> int:
        for number in range(count):
            sessions.entered(f"visitor {number}")
            kept = sessions[f"visitor {number}"][state].kept
            kept["attgan"], kept["out_of_domain"] = photograph(2048), photograph(2048)
            sessions[f"visitor {number}"].weigh()
            sessions.left(f"visitor {number}")
            later(sessions, 20)
        del kept
        later(sessions, 61)
        memory.give_back()
        return resident()

    warm = come_and_go(4)
    assert come_and_go(10) < warm + 64 * MB  # ten of them hold 0.3 GB
    assert not sessions.session_data


class Circle:
    """Holds itself, as an error holds the frame that holds it, and a photograph."""

    def __init__(self):
        self.itself, self.photo = self, photograph(1024)


def test_what_holds_itself_is_freed_when_visitors_have_left(page, state):
    sessions = Sessions(page, away=60.0)
    sessions.entered("visitor")
    sessions["visitor"][state].kept["attgan"] = circle = Circle()
    gone = weakref.ref(circle)
    del circle
    sessions.left("visitor")
    gc.disable()
    try:
        later(sessions, 61)
        for _ in range(100):
            if gone() is None:
                break
            time.sleep(0.05)
    finally:
        gc.enable()
    assert gone() is None


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


# -- a page whose session is gone


class Pressed:
    """What Gradio says of an event that a page has sent."""

    target = object()


class Event:
    def __init__(self, kind: str):
        self.targets = [(1, kind)]


def test_a_page_whose_session_is_gone_is_told_so(page):
    import gradio as gr

    from demo.page import GONE, meet

    session = Session(page)
    meet(session, Event("click"), None)  # a script
    with pytest.raises(gr.Error, match="server was started again") as refused:
        meet(session, Event("click"), Pressed)
    assert refused.value.message == GONE
    meet(session, Event("load"), Pressed)
    meet(session, Event("click"), Pressed)
    assert session.arrived


def test_the_server_tells_whether_it_has_a_session(page):
    import httpx

    holder = page.app.state_holder
    holder["there"].arrived = True
    asked = [httpx.get(f"{page.local_url}ganbook/visit/{name}", timeout=120).json() for name in ("there", "elsewhere")]
    assert asked == [{"known": known, "busy": False, "waiting": False} for known in (True, False)]
    assert "elsewhere" not in holder  # asking makes none
    holder.drop("there")


def test_what_a_browser_kept_is_checked():
    import gradio as gr

    from demo.remembered import back

    number, text = gr.Number(1, render=False), gr.Textbox("1", render=False)
    assert back(number, 7)["value"] == 7 and back(text, "31-33")["value"] == "31-33"
    for part, value in [
        (number, "7"),
        (number, True),
        (number, -1),
        (number, float("nan")),
        (text, 7),
        (text, "1" * 999),
    ]:
        assert back(part, value) == gr.skip()
    assert back(number, None) == gr.skip()
