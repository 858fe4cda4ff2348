"""From ``python app.py`` to a page with pictures on it. Times are printed, none is demanded: machines differ."""

from __future__ import annotations

import time

from .server import Server
from .visit import WIDE, Visit


def test_from_the_command_to_the_pictures(browser, tmp_path, capsys):
    server = Server(tmp_path, "startup")
    try:
        opened = time.perf_counter()
        visit = Visit(browser, server.address, WIDE)
        visit.shows("sample-gallery", 16)
        first_s = time.perf_counter() - opened
        visit.write("sample-seeds", "101-116")
        again = time.perf_counter()
        visit.press("sample-run")
        visit.shows("sample-gallery", 16)
        next_s = time.perf_counter() - again
        problems = visit.problems
        ran = visit.ran("sample")
        visit.close()
    finally:
        server.stop()
    assert not problems, problems
    assert "ganbook is at" in server.said() and "checkpoints at hand: stylegan2/faces" in server.said()
    assert "Traceback" not in server.said()
    with capsys.disabled():
        print(
            f"\nfrom python app.py to the first answer {server.ready_s:.1f} s;"
            f" from opening to 16 faces {first_s:.1f} s; 16 more {next_s:.1f} s ({ran})"
        )
