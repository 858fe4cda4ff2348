"""From ``python app.py`` to a page, on to the first sixteen faces, and what each visitor costs after that."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import measure, opening

ROOT = Path(__file__).resolve().parent.parent
PAGE_S, GALLERY_S = 6.0, 2.0  # what is wanted of two cores that have nothing else to do
PATIENCE_S = 300


def _environment(folder: str) -> dict[str, str]:
    """No downloads, no caches of whoever runs this, everything written below ``folder``."""
    own = {"GANBOOK_CACHE": f"{folder}/ganbook", "HF_HUB_CACHE": f"{folder}/hub", "GRADIO_TEMP_DIR": f"{folder}/gradio"}
    return {**os.environ, **own, "PYTHONUNBUFFERED": "1"}


def page_and_gallery(device: str) -> tuple[float, float]:
    """Seconds to the page (``/`` and ``/config`` have answered), and from there to sixteen pictures of faces."""
    from gradio_client import Client

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port), "--offline", "--device", device]
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log", "wb") as log:
        began = time.perf_counter()
        app = subprocess.Popen(command, cwd=ROOT, env=_environment(folder), stdout=log, stderr=subprocess.STDOUT)
        try:
            while not opening.answers(address):
                if app.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                    raise RuntimeError(f"no page came up:\n{Path(folder, 'log').read_text(errors='replace')}")
                time.sleep(0.02)
            page = time.perf_counter() - began
            client = Client(address, verbose=False, download_files=False)
            began = time.perf_counter()
            gallery = client.predict(seeds="1-16", api_name="/stylegan2_sample")[0]
            seconds = time.perf_counter() - began
            if len(gallery) != 16:
                raise RuntimeError(f"{len(gallery)} pictures came instead of 16")
            return page, seconds
        finally:
            app.terminate()
            app.wait(30)


def imports() -> float:
    """Seconds in which a bare Gradio is imported and a page of nothing is built: no page can be there sooner."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import gradio; gradio.Blocks()"], check=True, cwd=ROOT)
    return time.perf_counter() - began


def main(device: str = "cpu", quick: bool = False) -> int:
    print("\n## From `python app.py` to a page\n")
    imports()  # brings the libraries' files into the system's cache
    turns = [(imports(), *page_and_gallery(device)) for _ in range(1 if quick else 3)]
    bare, page, gallery = (statistics.median(column) for column in zip(*turns, strict=True))
    rows = [
        ["Gradio alone, imported", f"{bare:.2f}", "1.00x", ""],
        ["page answers", f"{page:.2f}", f"{page / bare:.2f}x", f"{PAGE_S:.0f}"],
        ["then 16 faces", f"{gallery:.2f}", f"{gallery / bare:.2f}x", f"{GALLERY_S:.0f}"],
    ]
    print(measure.table(["", "seconds", "of Gradio alone", "wanted"], rows))
    print("\nWarm file cache; the wanted seconds are for two cores with nothing else to do.")
    print("\n## Opening the page in Chromium\n")
    found = opening.measured(device, 1 if quick else 3)
    if isinstance(found, str):
        print(f"Not measured: {found}.")
    else:
        print(measure.table(["", "", "wanted"], opening.rows(found)))
        print("\nMedians of visitors whose browsers have nothing of the page yet. The loop's time is the processor's.")
    return 0
