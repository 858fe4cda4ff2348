"""What one visitor may ask of the page at a time, and the end of work that nobody waits for any more.

``Queue`` takes the place of Gradio's, ``Gate`` stands before the whole server. Sessions are free to make, so a
session's share is a courtesy among visitors; an address's share is what keeps the page open for others.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qs

from fastapi import HTTPException
from gradio import queueing
from gradio.utils import LRUCache
from starlette.responses import JSONResponse, PlainTextResponse

from . import gpu
from .disk import FULL, clear_unfinished, is_full
from .visitors import Sessions

log = logging.getLogger(__name__)

PER_SESSION = 12  # events of one session, waiting and running
SHARE = 0.75  # of the places in the queue, for one address: a school or an office shares one
UNREAD_S = 60.0  # an event whose news nobody has fetched for so long is given up
UNREAD_FULL_S = 5.0  # ... and when others find no place because of it
UNREAD = 600  # messages that wait for one session
SWEEP_S = 1.0
BUSY = "You have several things running already; wait for one of them, or stop one."
FULL_HOUSE = "The server is busy with other visitors; try again in a minute."


class Unread(asyncio.Queue):
    """A session's messages that were not fetched yet; knows since when the oldest of them waits."""

    def _init(self, maxsize: int) -> None:
        self._queue: deque[tuple[float, Any]] = deque()

    def _put(self, item: Any) -> None:
        self._queue.append((time.monotonic(), item))

    def _get(self) -> Any:
        return self._queue.popleft()[1]

    @property
    def waited(self) -> float:
        return time.monotonic() - self._queue[0][0] if self._queue else 0.0


# Whether the present request is a stream of a session's news. Gradio lets a stream that is broken off take all events
# of its session with it. But a page breaks one off and opens another, too. So who is gone is seen later.
IN_STREAM: ContextVar[bool] = ContextVar("in_stream", default=False)
GONE_S = 3.0  # from a stream that was broken off until its events are ended, unless another is read by then


class Messages(LRUCache):
    """Gradio's, from which no stream deletes anything; ``Queue`` does."""

    def __delitem__(self, session: str) -> None:
        if not IN_STREAM.get():
            super().__delitem__(session)


class Queue(queueing.Queue):
    """Gradio's queue with a share for each session and address, and without the work of those who left."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.ANALYTICS_MAX_EVENTS = 1  # nobody looks at them, and a table of them was made after every event
        self.pending_messages_per_session = Messages(self.pending_messages_per_session.max_size)
        self.attended: Counter[str] = Counter()  # sessions: events that arrive, streams that are read

    async def clean_events(self, *, session_hash: str | None = None, event_id: str | None = None) -> None:
        if not IN_STREAM.get():
            await super().clean_events(session_hash=session_hash, event_id=event_id)

    def expects(self, session: str) -> None:
        """A page listens. That nothing of it is under way any more is no error: an answer came before it did."""
        if session not in self.pending_messages_per_session:
            self.pending_messages_per_session[session] = Unread()
        self.pending_event_ids_session.setdefault(session, set())

    async def broken_off(self, session: str) -> None:
        """Ends what a session had under way when its stream was broken off, if nothing of it is read again soon."""
        events = [event._id for event in self.event_ids_to_events.values() if event.session_hash == session]
        await asyncio.sleep(GONE_S)
        if self.attended[session]:
            return
        for event in events:
            await self.clean_events(event_id=event)
        self.pending_event_ids_session.get(session, set()).difference_update(events)
        if not self._of_session(session):
            self.pending_messages_per_session.pop(session, None)
            self.pending_event_ids_session.pop(session, None)

    def compute_analytics_summary(self, records):
        return self.cached_event_analytics_summary

    async def push(self, body, request, username):
        """Gradio's ``push``; raises 429 with a sentence to those who have enough under way."""
        session, address = body.session_hash, address_of(request)
        if self.max_size is not None and (len(self) >= self.max_size or self._of_address(address) >= self.places):
            await self.give_up(UNREAD_FULL_S)
        if session is not None and self._of_session(session) >= PER_SESSION:
            raise HTTPException(429, BUSY)
        if self.max_size is not None:
            if self._of_address(address) >= self.places:
                raise HTTPException(429, BUSY)
            if len(self) >= self.max_size:
                raise HTTPException(503, FULL_HOUSE)
        fresh = session is not None and session not in self.pending_messages_per_session
        if fresh:
            self.pending_messages_per_session[session] = Unread()
        with self.attending(session):
            asked = await super().push(body, request, username)
        if not asked[0] and fresh:
            self.pending_messages_per_session.pop(session, None)
        elif session is None and asked[0]:  # Gradio has made a queue of its own under the event's number
            self._known_age(body.session_hash)
        return asked

    def _known_age(self, session: str) -> None:
        made = self.pending_messages_per_session.get(session)
        if made is not None and not isinstance(made, Unread):
            ours = self.pending_messages_per_session[session] = Unread()
            while not made.empty():
                ours.put_nowait(made.get_nowait())

    @contextmanager
    def attending(self, session: str | None) -> Iterator[None]:
        """Nothing of a session is swept away meanwhile: a stream whose messages were gone would end in an error."""
        self.attended[session] += 1
        try:
            yield
        finally:
            self.attended[session] -= 1
            if not self.attended[session]:
                del self.attended[session]

    @property
    def places(self) -> int:
        """Of one address."""
        return max(1, int(self.max_size * SHARE))

    def busy(self, session: str) -> bool:
        """Whether something of a session is under way or waits for its turn."""
        return self._of_session(session) > 0

    def waiting(self, session: str) -> bool:
        """Whether something of a session has not begun yet: in the queue, or because others compute."""
        queued = (event for lane in self.event_queue_per_concurrency_id.values() for event in lane.queue)
        return any(event.session_hash == session for event in queued) or gpu.TURNS.awaited(session)

    def _of_session(self, session: str) -> int:
        return sum(event.session_hash == session and event.alive for event in self.event_ids_to_events.values())

    def _of_address(self, address: str) -> int:
        return sum(
            address_of(e.request) == address for q in self.event_queue_per_concurrency_id.values() for e in q.queue
        )

    def get_events(self):
        """The next to run: of each lane the first whose session has nothing running, so that turns go round."""
        running = {event.session_hash for job in self.active_jobs if job for event in job}
        for lane in self.event_queue_per_concurrency_id.values():
            full = lane.concurrency_limit is not None and lane.current_concurrency >= lane.concurrency_limit
            if lane.queue and not full and lane.queue[0].session_hash in running:
                other = next((event for event in lane.queue if event.session_hash not in running), None)
                if other is not None:
                    lane.queue.remove(other)
                    lane.queue.insert(0, other)
        return super().get_events()

    async def start_progress_updates(self) -> None:
        watch = asyncio.create_task(self._watch())
        try:
            await super().start_progress_updates()
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        while not self.stopped:
            await asyncio.sleep(SWEEP_S)
            try:
                await self.give_up(UNREAD_S)
            except Exception:  # it must go on
                log.exception("sweeping the queue failed")

    async def give_up(self, unread_s: float) -> int:
        """Ends all events of sessions that have not read their news for so long. Gives how many sessions they were."""
        left = [
            session
            for session, messages in list(self.pending_messages_per_session.items())
            if isinstance(messages, Unread) and (messages.waited > unread_s or messages.qsize() > UNREAD)
        ]
        for session in left:
            if unread_s < UNREAD_S and not self._of_session(session):
                continue  # nothing of it takes a place: an answer that is ready may be fetched for a while
            self.pending_messages_per_session.pop(session, None)
            await self.clean_events(session_hash=session)
            self.pending_event_ids_session.pop(session, None)
        waiting = {event.session_hash for event in self.event_ids_to_events.values()}
        waiting |= set(self.attended)
        for session in [s for s, ids in self.pending_event_ids_session.items() if not ids and s not in waiting]:
            self.pending_event_ids_session.pop(session, None)
            if (messages := self.pending_messages_per_session.get(session)) is not None and messages.empty():
                self.pending_messages_per_session.pop(session, None)
        return len(left)

    def send_message(self, event, event_message) -> None:
        if event.session_hash in self.pending_messages_per_session:  # given up or left meanwhile: nobody to tell
            super().send_message(event, event_message)


def address_of(request) -> str:
    """Whose request it is, as far as that can be told: an IPv4 address, or the network of an IPv6 one."""
    host = request.client.host if request is not None and request.client else ""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network(f"{found}/64", strict=False)) if found.version == 6 else host


class Gate:
    """ASGI middleware: notes whose page is open and whose events are read, tells whether a session is still there, says
    when a disk is full.

    ``GET .../ganbook/visit/<session>`` gives ``{"known": true, "busy": false, "waiting": false}``: known as long as the
    server has what the page of that session made, busy while something of it is under way, waiting while some of that
    has not had its turn yet. A session's name is a secret of its page.
    """

    def __init__(self, app):
        self.app = app
        self.tasks: set[asyncio.Task] = set()  # an event loop alone would forget them

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        sessions = self.sessions(scope)
        room, _, last = scope["path"].rstrip("/").rpartition("/")
        if sessions is not None and room.endswith("/ganbook/visit"):
            queue = scope["app"].get_blocks()._queue
            found = {"known": sessions.known(last), "busy": queue.busy(last), "waiting": queue.waiting(last)}
            return await JSONResponse(found, headers={"Cache-Control": "no-store"})(scope, receive, send)
        if sessions is not None and room.endswith("/queue") and last == "data":
            asked = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [None])[0]
            queue = scope["app"].get_blocks()._queue
            if isinstance(queue, Queue) and asked is not None and sessions.known(asked):
                queue.expects(asked)
            return await self._stream(queue, asked, scope, receive, send)
        if sessions is not None and room.endswith("/heartbeat"):
            sessions.entered(last)
            try:
                return await self.app(scope, receive, send)
            finally:
                sessions.left(last)
        if not room.endswith("/gradio_api") or last != "upload":
            return await self.app(scope, receive, send)
        return await self._upload(scope, receive, send)

    async def _stream(self, queue, session: str | None, scope, receive, send) -> None:
        if not isinstance(queue, Queue):  # a page of Gradio's own
            return await self.app(scope, receive, send)
        ended = False

        async def sent(message) -> None:
            nonlocal ended
            await send(message)
            ended = ended or not message.get("more_body", True)

        within = IN_STREAM.set(True)  # of this request's task alone
        try:
            with queue.attending(session):
                await self.app(scope, receive, sent)
        finally:
            IN_STREAM.reset(within)
            if not ended and session is not None:
                self.tasks.add(task := asyncio.create_task(queue.broken_off(session)))
                task.add_done_callback(self.tasks.discard)

    async def _upload(self, scope, receive, send) -> None:
        begun = False

        async def told(message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, told)
        except Exception as error:
            clear_unfinished(scope["app"].uploaded_file_dir)
            if begun or not is_full(error):
                raise
            log.error("an upload found no room: %s", error)
            await PlainTextResponse(FULL, status_code=507)(scope, receive, send)

    @staticmethod
    def sessions(scope) -> Sessions | None:
        found = getattr(scope.get("app"), "state_holder", None)
        return found if isinstance(found, Sessions) else None
