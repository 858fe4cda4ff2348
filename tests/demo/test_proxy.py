"""The page behind nginx with deploy/nginx.conf, below a path: files, event streams, uploads, whose address it is."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from gradio_client import handle_file
from PIL import Image

from .conftest import client_of

ROOT = Path(__file__).resolve().parents[2]
WRAPPED = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def nginx() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        reason = "nginx is not installed here (apt-get install nginx-light)"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def proxied(nginx, serving, tmp_path_factory):
    """The address of the page as nginx gives it."""
    with (
        serving(ROOT / "weights" / "embedded", tmp_path_factory.mktemp("page"), root_path="/ganbook") as page,
        before(nginx, tmp_path_factory.mktemp("nginx"), [page.server_port]) as address,
    ):
        yield address


@contextmanager
def before(nginx: str, folder: Path, ports: list[int]) -> Iterator[str]:
    """nginx with our configuration before pages at these ports; gives the address of the page."""
    port = free_port()
    site = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    ours = {
        "listen 80;": f"listen 127.0.0.1:{port};",
        "server 127.0.0.1:7860;": " ".join(f"server 127.0.0.1:{one};" for one in ports),
    }
    for theirs, here in ours.items():
        assert site.count(theirs) == 1
        site = site.replace(theirs, here)
    (folder / "nginx.conf").write_text(WRAPPED.format(folder=folder, site=site))
    running = subprocess.Popen([nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    address = f"http://127.0.0.1:{port}/ganbook"
    try:
        _wait(f"{address}/robots.txt", running, folder / "error.log")
        yield address
    finally:
        running.terminate()
        running.wait(30)


def _wait(address: str, running: subprocess.Popen, log: Path) -> None:
    for _ in range(1200):
        try:
            if httpx.get(address).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert running.poll() is None, log.read_text() if log.is_file() else "nginx ended"
        time.sleep(0.1)
    pytest.fail("nginx does not answer")


@pytest.fixture
def client(proxied, tmp_path):
    made = client_of(f"{proxied}/", download_files=str(tmp_path / "downloads"))
    yield made
    made.close()


def test_the_page_and_all_that_it_names_come_through(proxied):
    with httpx.Client(follow_redirects=True, timeout=120) as browser:
        page = browser.get(proxied)  # without the slash
        assert page.status_code == 200 and str(page.url) == f"{proxied}/"
        named = set(re.findall(r'(?:src|href)="([^"#]+)"', page.text))
        named |= set(re.findall(r"url\(['\"]?([^)'\"]+\.woff2)", page.text))
        own = [path for path in named if not urlsplit(path).scheme and not path.startswith(("data:", "//"))]
        assert len(own) >= 3
        own.remove("/manifest.json")  # Gradio always names it; this page is no app to install (pwa=False)
        answers = {path: browser.get(page.url.join(path)) for path in own}
        wrong = [path for path, answer in answers.items() if answer.status_code != 200]
        assert not wrong
        assert all(str(answer.url).startswith(proxied) for answer in answers.values())
        config = browser.get(f"{proxied}/config").json()
        assert config["root"] == proxied


def test_pictures_come_through(client):
    gallery, *_ = client.predict(network="stylegan2/faces", seeds="1-2", api_name="/stylegan2_sample")
    for picture in gallery:
        with Image.open(picture["image"]) as image:
            assert image.size == (128, 128)


def test_steps_come_while_they_are_made(client):
    """Had nginx collected them, the first would come with the last, and nothing would be left to cancel."""
    job = client.submit(network="stylegan2/faces", seeds="1-3", frames=600, api_name="/stylegan2_interpolate")
    for _ in job:
        break
    assert not job.done() and job.cancel()


def test_uploads_come_through(client, tmp_path):
    """More than the megabyte that nginx lets pass if nothing else is said."""
    import weights
    from pipelines import stylegan2

    net = weights.load("stylegan2/faces")
    face = stylegan2.picture(net, stylegan2.latent(net, 3)).resize((256, 256), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).integers(100, 140, (900, 1200, 3), dtype=np.uint8)
    photo = Image.fromarray(noise)
    photo.paste(face, (400, 300))
    photo.save(tmp_path / "photo.png")
    assert (tmp_path / "photo.png").stat().st_size > 2 * 2**20
    assert client.predict(photo=handle_file(str(tmp_path / "photo.png")), api_name="/attgan_face")


def test_nobody_says_himself_who_he_is(proxied, monkeypatch):
    """An address has a share of the queue; a header of the visitor's own must not give more of them."""
    from demo import limits

    seen, address_of = set(), limits.address_of

    def noted(request):
        seen.add(address_of(request))
        return address_of(request)

    monkeypatch.setattr(limits, "address_of", noted)
    client = client_of(f"{proxied}/", headers={"X-Forwarded-For": "203.0.113.9"}, download_files=False)
    client.predict(network="stylegan2/faces", seeds="1", api_name="/stylegan2_sample")
    client.close()
    assert seen == {"127.0.0.1"}


class _SaysWho(BaseHTTPRequestHandler):
    """Stands for one of several pages: which one answers is all that is asked of it."""

    def do_GET(self):
        name = str(self.server.server_port).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(name)))
        self.end_headers()
        self.wfile.write(name)

    def log_message(self, *args):
        pass


def test_of_several_pages_each_visitor_has_one(nginx, tmp_path):
    """What a visitor has made lies in the memory of one process."""
    with ExitStack() as stack:
        pages = [stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), _SaysWho)) for _ in range(3)]
        for page in pages:
            threading.Thread(target=page.serve_forever, daemon=True).start()
            stack.callback(page.shutdown)
        address = stack.enter_context(before(nginx, tmp_path, [page.server_port for page in pages]))
        came = {}
        for visitor in range(24):
            here = httpx.HTTPTransport(local_address=f"127.{visitor}.0.1")
            with httpx.Client(transport=here, timeout=120) as browser:
                came[visitor] = {browser.get(f"{address}/config").text for _ in range(5)}
    assert all(len(pages_of_one) == 1 for pages_of_one in came.values())
    assert len(set.union(*came.values())) == 3, "all of them are used"
