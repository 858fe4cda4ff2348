"""One client cannot close the page for others: shares of the queue, work that nobody waits for, a disk that is full."""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from types import SimpleNamespace

import gradio as gr
import httpx
import pytest
from gradio import routes

import demo
from demo import disk, limits
from demo.page import Page
from weights.errors import UserError

PATIENCE_S = 120


def until(true, what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


class Served:
    """A page with one event that goes on until it is let go, and says so when it is ended."""

    def __init__(self):
        self.go, self.begun, self.ended = threading.Event(), [], []
        with Page(analytics_enabled=False) as self.page:
            text, out = gr.Textbox(), gr.Textbox()

            def work(name):
                self.begun.append(name)
                try:
                    while not self.go.wait(0.02):
                        yield name
                    yield f"{name} done"
                finally:
                    self.ended.append(name)

            text.submit(work, text, out, api_name="work", concurrency_id="one", concurrency_limit=1)
        self.page.queue(max_size=8, api_open=False)
        options = {"app_kwargs": demo.launch_options()["app_kwargs"]}
        self.page.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", _frontend=False, **options)
        self.http = httpx.Client(base_url=f"{self.page.local_url}gradio_api", timeout=PATIENCE_S)

    def join(self, session: str, name: str = "") -> httpx.Response:
        body = {"fn_index": 0, "session_hash": session, "data": [name or session]}
        return self.http.post("/queue/join", json=body)

    def read(self, session: str):
        return self.http.stream("GET", "/queue/data", params={"session_hash": session})

    def close(self) -> None:
        self.go.set()
        self.http.close()
        self.page.close()


@pytest.fixture
def served():
    made = Served()
    yield made
    made.close()


def test_a_session_has_a_share(served, monkeypatch):
    monkeypatch.setattr(limits, "PER_SESSION", 3)
    assert [served.join("ann").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = served.join("ann").json()["detail"]
    assert refused == limits.BUSY and "running already" in refused
    assert served.join("bob").status_code == 200


def test_an_address_has_a_share_and_others_keep_a_place(served, monkeypatch):
    asked = [served.join(f"session {i}").status_code for i in range(12)]
    until(lambda: served.begun, "nothing was begun")
    places = int(8 * limits.SHARE)
    assert asked.count(200) <= places + 1 and set(asked) == {200, 429}  # one runs, the others wait
    monkeypatch.setattr(limits, "address_of", lambda request: "elsewhere" if request.headers.get("x-other") else "here")
    other = served.http.post(
        "/queue/join", json={"fn_index": 0, "session_hash": "other", "data": [""]}, headers={"x-other": "1"}
    )
    assert other.status_code == 200


def test_the_direct_way_is_closed(served):
    assert served.http.post("/run/work", json={"data": ["x"], "session_hash": "ann"}).status_code == 404


def test_events_that_nobody_reads_make_room(served, monkeypatch):
    """Sixty-six joins, none of them read: whoever comes then is served."""
    for i in range(66):
        served.join(f"silent {i}")
    monkeypatch.setattr(limits, "UNREAD_FULL_S", 0.0)
    assert served.join("ann").status_code == 200
    with served.read("ann") as stream:
        served.go.set()
        lines = stream.iter_lines()
        assert any("ann done" in line for line in lines)
    queue = served.page._queue
    until(lambda: not queue.event_ids_to_events, "events were left over")
    assert len(served.begun) <= 2  # of the silent ones, that which ran when they were given up


def test_what_is_never_read_ends_by_itself(served, monkeypatch):
    monkeypatch.setattr(limits, "UNREAD_S", 0.2)
    monkeypatch.setattr(limits, "SWEEP_S", 0.05)
    assert served.join("silent").status_code == 200
    until(lambda: served.ended == ["silent"], "an event that nobody reads goes on")
    queue = served.page._queue
    until(lambda: "silent" not in queue.pending_messages_per_session, "its messages are kept")
    assert not queue.busy("silent")


def test_a_stream_that_is_open_stays_open(served, monkeypatch):
    """A page may listen while nothing of it is under way; what it asks for then comes by that stream, and at once."""
    monkeypatch.setattr(limits, "SWEEP_S", 1000)
    wait_for = routes.asyncio.wait_for
    # Gradio looks for new messages every ten seconds; so late that it cannot be taken for a busy machine.
    monkeypatch.setattr(
        routes.asyncio, "wait_for", lambda made, timeout: wait_for(made, 100 if timeout == 10 else timeout)
    )
    queue = served.page._queue
    served.go.set()
    served.join("ann", "first")
    with served.read("ann") as stream:
        assert any("first done" in line for line in list(stream.iter_lines()))
    with served.read("ann") as stream:
        asyncio.run(queue.give_up(60))
        assert served.join("ann", "second").status_code == 200
        began = time.monotonic()
        assert any("second done" in line for line in stream.iter_lines())
        assert time.monotonic() - began < 60, "it came when Gradio looked for new messages by itself"
    until(lambda: not queue.attended, "streams that were closed are counted")
    until(
        lambda: asyncio.run(queue.give_up(60)) == 0 and "ann" not in queue.pending_messages_per_session,
        "messages of nobody are kept",
    )


def test_a_page_may_listen_before_it_asks(served, monkeypatch):
    """Where an answer comes before the page has listened to it, the page listens afterwards; that is no error."""
    monkeypatch.setattr(limits.Sessions, "known", lambda self, session: session == "ann")
    served.go.set()
    with served.read("ann") as stream:
        assert served.join("ann").status_code == 200
        assert any("ann done" in line for line in stream.iter_lines())
    with served.read("bob") as stream, pytest.raises(httpx.RemoteProtocolError):  # nobody's: Gradio's answer
        list(stream.iter_lines())
    until(lambda: not served.page._queue.attended, "streams that were closed are counted")


def test_a_stream_that_is_broken_off_takes_nothing_with_it(served, monkeypatch):
    """A page breaks one off, asks for the next thing, and listens to that by another."""
    monkeypatch.setattr(limits, "SWEEP_S", 1000)
    served.join("ann", "first")
    with served.read("ann") as stream:
        assert any("first" in line for line in stream.iter_lines())
        served.join("ann", "second")
    time.sleep(0.3)  # the server has seen that the stream is gone
    with served.read("ann") as stream:
        served.go.set()
        lines = list(stream.iter_lines())
    for name in ("first", "second"):
        assert any(f"{name} done" in line for line in lines)
    assert served.ended == ["first", "second"]


def test_what_is_left_ends(served):
    served.join("ann")
    with served.read("ann") as stream:
        assert "estimation" in next(line for line in stream.iter_lines() if line)
        until(lambda: served.begun, "nothing was begun")
    until(lambda: served.ended == ["ann"], "the work of a client that left goes on")


def test_turns_go_round(served):
    for name in ("a1", "a2"):
        served.join("ann", name)
    until(lambda: served.begun == ["a1"], "nothing was begun")
    served.join("bob", "b1")
    queue = served.page._queue
    [lane] = queue.event_queue_per_concurrency_id.values()
    assert [event.session_hash for event in lane.queue] == ["ann", "bob"]
    lane.current_concurrency = 0  # a place has become free while the first still runs
    until(lambda: "b1" in served.begun, "bob had no turn")
    assert served.begun == ["a1", "b1"]


def test_addresses():
    def of(host):
        return limits.address_of(SimpleNamespace(client=SimpleNamespace(host=host)))

    assert of("10.0.0.1") == "10.0.0.1"
    assert of("2001:db8::1") == of("2001:db8::ffff") != of("2001:db8:1::1")  # a household has a whole network
    assert of("testclient") == "testclient" and limits.address_of(None) == ""


# -- a disk that is full

FULL = OSError(errno.ENOSPC, "No space left on device")


def no_room(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_recognised():
    wrapped = RuntimeError("the writer failed")
    wrapped.__cause__ = FULL
    assert disk.is_full(FULL) and disk.is_full(wrapped)
    assert disk.is_full(ValueError("I/O error: No space left on device (os error 28)"))
    assert not disk.is_full(OSError(errno.EACCES, "Permission denied")) and not disk.is_full(None)


def test_an_upload_that_finds_no_room_says_so(served, monkeypatch):
    monkeypatch.setattr("gradio.routes.upload_fn", no_room)
    answer = served.http.post("/upload", files={"files": ("photo.png", b"x")})
    assert answer.status_code == 507 and answer.text == disk.FULL
    monkeypatch.undo()
    assert served.http.post("/upload", files={"files": ("photo.png", b"x")}).status_code == 200


def test_uploads_that_broke_off_are_cleared_away(tmp_path):
    old, fresh, whole = tmp_path / "tmpold", tmp_path / "tmpfresh", tmp_path / "abc" / "photo.png"
    whole.parent.mkdir()
    for path in (old, fresh, whole):
        path.write_bytes(b"x")
    import os

    os.utime(old, (1, 1))
    assert disk.clear_unfinished(tmp_path) == 1
    assert not old.exists() and fresh.exists() and whole.exists()


def test_results_that_find_no_room_say_so(monkeypatch):
    from demo import results

    with pytest.raises(UserError, match="disk .* is full"), results.folder():
        no_room()
    monkeypatch.setattr("tempfile.mkdtemp", no_room)
    with pytest.raises(UserError, match="disk .* is full"), results.folder():
        pass


WRITERS = {
    "stylegan2_sample": {"seeds": "1"},
    "stylegan2_interpolate": {"seeds": "1-2", "frames": 2},
    "draggan_drag": {
        "drawing": {"size": [32, 32], "points": [{"handle": [10, 10], "target": [12, 10]}]},
        "steps": 1,
    },
    "draggan_look": {},
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("place", ["results", "cache"])
def test_every_tab_names_a_full_disk(visitor, monkeypatch, name, place):
    """Where a result's files are made, and where Gradio keeps what the browser fetches."""
    if name == "draggan_look":
        visitor("draggan_drag", **WRITERS["draggan_drag"])  # there has to be a picture to look at
    if place == "results":
        monkeypatch.setattr("demo.results.tempfile.TemporaryDirectory", no_room)
    else:
        monkeypatch.setattr("demo.image_cache.kept", no_room)
        monkeypatch.setattr("gradio.processing_utils.save_pil_to_cache", no_room)
        monkeypatch.setattr("gradio.processing_utils.save_file_to_cache", no_room)
        monkeypatch.setattr("gradio.processing_utils.save_file_to_cache_from_block", no_room, raising=False)
    with pytest.raises(Exception, match="disk of the machine that serves this page is full"):
        visitor(name, **WRITERS[name])


def test_every_tab_writes_where_a_full_disk_is_named():
    """Files of results are made in ``results.folder`` alone."""
    from pathlib import Path

    for path in Path(demo.__file__).parent.rglob("tabs/**/*.py"):
        text = path.read_text(encoding="utf-8")
        assert "TemporaryDirectory" not in text and "mkdtemp" not in text, path
