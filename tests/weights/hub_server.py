"""A small Hugging Face Hub on 127.0.0.1: resolves names, sends metadata, redirects to where the bytes are.

The bytes come from ``localhost``, another host by name, as those of the real Hub come from a content network. What goes
wrong is set per file: ``hub.files["owner/name", "file"].trouble = "stall"``.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubFile:
    """One file, and the trouble with it, which happens ``times`` times.

    When the name is asked for: 404, 401, 403, 429, 500, "gated", "silent" (no answer at all), "no etag".
    When the bytes are: "stall" (half of what is left, then nothing), "cut" (half of it, then the connection ends),
    "drip" (16 bytes a time), "wrong" (one bit), "more" (too many), "ignores range", "wrong range", "expired" (403 of
    the content network).
    """

    content: bytes
    lfs: bool = True
    trouble: str | int | None = None
    times: int = 10**6
    headers: dict = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        git = hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()
        return self.sha256 if self.lfs else git

    def has(self, *troubles) -> bool:
        if self.trouble not in troubles or self.times <= 0:
            return False
        self.times -= 1
        return True


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    host: str


class Hub:
    """``with Hub() as hub: hub.add(...)``; ``hub.url`` is its address, ``hub.requests`` what it was asked."""

    def __init__(self):
        self.files: dict[tuple[str, str], HubFile] = {}
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def add(self, repo: str, file: str, content: bytes, **options) -> HubFile:
        self.files[repo, file] = HubFile(content, **options)
        return self.files[repo, file]

    def asked(self, method: str, part: str = "") -> list[Request]:
        """Requests for files; whatever else the Hub's client asks on its own (about agents, updates) is not counted."""
        files = ("/resolve/", "/content/")
        return [r for r in self.requests if r.method == method and part in r.path and any(f in r.path for f in files)]

    def __enter__(self) -> Hub:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


def _handler(hub: Hub) -> type:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            host = self.headers.get("Host", "")
            hub.requests.append(Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, host))
            path = unquote(urlsplit(self.path).path)
            if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                self.resolve(hub.files.get((match[1], match[3])))
            elif match := re.fullmatch(r"/content/([0-9a-f]{64})", path):
                self.content(next(f for f in hub.files.values() if f.sha256 == match[1]))
            else:
                self.error(404, "RepoNotFound", "Repository not found")

        def error(self, status: int, code: str = "", message: str = "", **headers) -> None:
            body = json.dumps({"error": message}).encode()
            self.send_response(status)
            for key, value in {"X-Error-Code": code, "X-Error-Message": message, **headers}.items():
                if value:
                    self.send_header(key.replace("_", "-"), value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def resolve(self, file: HubFile | None) -> None:
            if file is None:
                return self.error(404, "EntryNotFound", "Entry not found")
            if file.has("silent"):
                hub.closing.wait(30)
                return self.error(500)
            if file.has("gated"):
                return self.error(403, "GatedRepo", "Access to this model is restricted")
            for status, code in ((404, "EntryNotFound"), (401, "RepoNotFound"), (403, ""), (429, ""), (500, "")):
                if file.has(status):
                    return self.error(status, code, "no", **file.headers)
            if not file.lfs:
                return self.content(file)
            self.send_response(302)
            self.send_header("X-Repo-Commit", COMMIT)
            if not file.has("no etag"):
                self.send_header("X-Linked-Etag", f'"{file.etag}"')
                self.send_header("ETag", f'"{file.etag}"')
            self.send_header("X-Linked-Size", str(len(file.content)))
            self.send_header("Location", f"http://localhost:{hub.port}/content/{file.sha256}?signature=abc")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def content(self, file: HubFile) -> None:
            body, start = file.content, 0
            if file.has("expired"):
                return self.error(403, message="Request has expired")
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if wanted and not file.has("ignores range"):
                start = int(wanted[1])
                if start >= len(body):
                    return self.error(416, Content_Range=f"bytes */{len(body)}")
            if file.has("wrong"):
                body = body[:-1] + bytes([body[-1] ^ 1])
            if file.has("more"):
                body += b"more"
            stated = 0 if file.has("wrong range") else start
            self.send_response(206 if start else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{file.etag}"')
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(body) - start))
            if start:
                self.send_header("Content-Range", f"bytes {stated}-{len(body) - 1}/{len(body)}")
            self.end_headers()
            if self.command == "HEAD":
                return
            half = start + (len(body) - start) // 2
            if file.has("stall"):
                self.wfile.write(body[start:half])
                self.wfile.flush()
                hub.closing.wait(30)
                self.close_connection = True
            elif file.has("drip"):
                for i in range(start, len(body), 16):
                    self.wfile.write(body[i : i + 16])
                    self.wfile.flush()
                    if hub.closing.wait(0.01):
                        break
            elif file.has("cut"):
                self.wfile.write(body[start:half])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(2)
            else:
                self.wfile.write(body[start:])

    return Handler
