"""Everybody's sessions: how long they stay, how much each may hold, and how much all of them may.

Gradio keeps a session's state for ever unless an event has the state among its outputs (only then it notes the time),
keeps the session itself until 10,000 others came, and with each a copy of the whole page's configuration (2 MB), which
only its deep links read. ``Sessions`` takes the place of its ``StateHolder``; ``launch_options`` puts it there.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import ChainMap, Counter
from copy import copy
from datetime import datetime
from typing import Any

from gradio.state_holder import SessionState, StateHolder

from . import memory
from .memory import MB
from .session import Visitor

log = logging.getLogger(__name__)

AWAY_S = 15 * 60.0  # a session whose page is closed, or that never had one, is kept this long after its last use
IDLE_S = 4 * 3600.0  # a session whose page is open but not used
MOST = 256 * MB  # what one session may hold: three photographs of 4096 px, and drags
SHARE = 4  # all sessions together: the memory of this machine by this
LEAST, CAPACITY = 32, 4000  # sessions at a time, of a small machine and of any
SWEEP_S = 1.0
TRIM_S = 20.0  # between two times at which freed memory is given back


def away_seconds() -> float:
    """``$GANBOOK_KEEP_SECONDS``, else ``AWAY_S``."""
    try:
        return max(1.0, float(os.environ["GANBOOK_KEEP_SECONDS"]))
    except (KeyError, ValueError):
        return AWAY_S


class Session(SessionState):
    """One session. ``arrived``: a page was loaded in it; ``held``: bytes, as of its last event."""

    def __init__(self, blocks):
        # Not Gradio's own, which makes the copy of the configuration. Its parts that change are laid over the page's.
        self.blocks_config = copy(blocks.default_config)
        self.blocks_config.blocks = ChainMap({}, blocks.default_config.blocks)
        self.blocks_config.fns = blocks.default_config.fns
        self.config_values: dict[int, Any] = {}
        self.state_data: dict[int, Any] = {}
        self._state_ttl: dict = {}
        self.is_closed = False
        self.STATE_TTL_WHEN_CLOSED = AWAY_S
        self.arrived = False
        self.held = 0

    def __setitem__(self, key: int, value: Any) -> None:
        block = self.blocks_config.blocks.get(key)
        if block is not None and block.stateful:
            self.state_data[key] = value
        elif value is not block:
            self.blocks_config.blocks[key] = value

    def _update_config(self, key: int) -> None:
        pass

    def _update_value_in_config(self, key: int, value: Any) -> None:
        pass

    @property
    def visitors(self) -> list[Visitor]:
        return [value for value in self.state_data.values() if isinstance(value, Visitor)]

    def weigh(self) -> int:
        """Counts what the session holds; over ``MOST``, what lay untouched for longest goes first."""
        changed = [getattr(b, "constructor_args", None) for b in self.blocks_config.blocks.maps[0].values()]
        self.held = memory.held([self.state_data, changed])
        for visitor in self.visitors:
            while self.held > MOST and visitor.kept:
                visitor.put_away()
                self.held = memory.held([self.state_data, changed])
        return self.held


class Sessions(StateHolder):
    """``StateHolder`` with an end to everything. ``present`` counts the open pages of a session (their heartbeats)."""

    def __init__(self, blocks, away: float | None = None, budget: int | None = None):
        super().__init__()
        self.set_blocks(blocks)
        self.away = away_seconds() if away is None else away
        self.budget = memory.total() // SHARE if budget is None else budget
        self.capacity = min(CAPACITY, max(LEAST, self.budget // MB))
        self.present: Counter[str] = Counter()
        self._used = self._trimmed = self._swept = 0.0

    def __getitem__(self, session_id: str) -> Session:
        with self.lock:
            session = self.session_data.get(session_id)
            if session is None:
                session = self.session_data[session_id] = Session(self.blocks)
            self.session_data.move_to_end(session_id)
            self.time_last_used[session_id] = datetime.now()
        self._used = time.monotonic()
        if len(self.session_data) > self.capacity:
            self._make_room(session_id)
        return session

    def known(self, session_id: str) -> bool:
        """Whether a page that was loaded in this session still has it."""
        session = self.session_data.get(session_id)
        return session is not None and session.arrived

    # -- pages open and close

    def entered(self, session_id: str) -> None:
        self.present[session_id] += 1
        if session_id in self.session_data:
            self.session_data[session_id].is_closed = False

    def left(self, session_id: str) -> None:
        self.present[session_id] -= 1
        if self.present[session_id] <= 0:
            del self.present[session_id]
        if session_id in self.session_data:
            self.time_last_used[session_id] = datetime.now()

    # -- what goes

    def drop(self, session_id: str) -> None:
        with self.lock:
            self.session_data.pop(session_id, None)
            self.time_last_used.pop(session_id, None)

    def update(self, session_id: str) -> None:
        """Gradio's way to note a use and to put the oldest out; both are done in ``__getitem__``."""

    def delete_state(self, session_id: str, expired_only: bool = False) -> None:
        if not expired_only or self._expired(session_id):
            self.drop(session_id)

    def delete_all_expired_state(self) -> None:
        """Gradio calls this every second."""
        now = time.monotonic()
        if now - self._swept < SWEEP_S:
            return
        self._swept, gone = now, 0
        for session_id in list(self.session_data):
            if self._expired(session_id):
                self.drop(session_id)
                gone += 1
        while sum(session.held for session in list(self.session_data.values())) > self.budget:
            self._make_room()
            gone += 1
        # What an event needed for a while is freed too, but stays this process's until it is given back.
        if gone or (self._used > self._trimmed and now - self._trimmed > TRIM_S):
            self._trimmed = now
            threading.Thread(target=memory.give_back, name="give back", daemon=True).start()

    def _expired(self, session_id: str) -> bool:
        used = self.time_last_used.get(session_id)
        if used is None:
            return True
        age = (datetime.now() - used).total_seconds()
        return age > (IDLE_S if self.present[session_id] else self.away)

    def _make_room(self, but: str | None = None) -> None:
        """Puts one session out: the oldest whose page is closed, else the one that holds most."""
        others = [name for name in list(self.session_data) if name != but]
        closed = [name for name in others if not self.present[name]]
        if not others:
            return
        chosen = closed[0] if closed else max(others, key=lambda name: self.session_data[name].held)
        log.info("a session was put out to make room (%d there)", len(self.session_data))
        self.drop(chosen)
