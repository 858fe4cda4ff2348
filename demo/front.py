"""What every visitor's browser gets alike: the page itself and the files that draw it, made once and kept in memory.

Gradio copies and writes the whole configuration for each visitor, compresses files again for each, leaves the page
itself uncompressed, and hands out a file in many small steps of its event loop.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
from collections import OrderedDict
from dataclasses import dataclass, field

import brotli
from gradio import route_utils, routes
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .parts import SENT, split
from .theme import ASSETS

BELOW = ("/assets/", "/static/", "/fonts/", "/theme.css")
NAMED_BY_HASH = "/assets/"  # a file there that changes has another name
LARGEST = 4 * 2**20
MOST = 64 * 2**20  # bytes of all that is kept: Gradio's whole page has 21 MB
PAGES = 8  # addresses under which the page is kept; who asks says what the address is
PACKED = ("text/", "application/javascript", "application/json", "image/svg")


@dataclass
class Kept:
    """One answer with its headers, as it is and compressed."""

    headers: dict[str, str]
    plain: bytes
    packed: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, headers: dict[str, str], plain: bytes) -> Kept:
        """Compresses what gets smaller by it: 20 ms for 100 kB, so not in the event loop."""
        kept = cls(headers, plain)
        if headers.get("content-type", "").startswith(PACKED):
            kept.packed = {"br": brotli.compress(plain, quality=9), "gzip": gzip.compress(plain)}
            headers["vary"] = "Accept-Encoding"
        return kept

    @property
    def size(self) -> int:
        return len(self.plain) + sum(len(one) for one in self.packed.values())

    def response(self, accepted: str) -> Response:
        for encoding, body in self.packed.items():
            if encoding in accepted:
                return Response(body, headers={**self.headers, "content-encoding": encoding})
        return Response(self.plain, headers=self.headers)


class Files:
    """ASGI middleware: files that never change while the server runs are read and compressed once."""

    def __init__(self, app: ASGIApp):
        self.app = app
        self.kept: dict[str, Kept] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not _path(scope).startswith(BELOW):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        if "range" in headers or "if-none-match" in headers or "if-modified-since" in headers:
            return await self.app(scope, receive, send)
        kept = self.kept.get(_path(scope)) or await self._read(scope, receive, send)
        if kept is not None:
            await kept.response(headers.get("accept-encoding", ""))(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive, send: Send) -> Kept | None:
        """What is there, to be kept and sent; None for what was sent already, because it is not to be kept."""
        start, parts = {}, []

        async def take(message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif start["status"] != 200 or int(Headers(raw=start["headers"]).get("content-length", LARGEST)) >= LARGEST:
                if not parts:
                    await send(dict(start))
                parts.append(None)
                await send(message)
            else:
                parts.append(message.get("body", b""))

        await self.app(scope, receive, take)
        if None in parts:
            return None
        headers = MutableHeaders(raw=list(start["headers"]))
        del headers["content-length"]
        if _path(scope).startswith(NAMED_BY_HASH):
            headers["cache-control"] = "public, max-age=31536000, immutable"
        made = await asyncio.to_thread(Kept.of, dict(headers), b"".join(parts))
        if made.size + sum(one.size for one in self.kept.values()) < MOST:
            self.kept[_path(scope)] = made
        return made


class Parts:
    """ASGI middleware: an answer that brings a tab's part is compressed once, for all visitors."""

    def __init__(self, app: ASGIApp):
        self.app = app
        self.kept: dict[int, Kept] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _path(scope).endswith("/run/predict"):
            return await self.app(scope, receive, send)
        start: dict = {}

        async def take(message) -> None:
            part = scope.get(SENT)
            if message["type"] == "http.response.start" and part is not None and message["status"] == 200:
                start.update(message)
            elif not start:
                await send(message)
            else:
                if part not in self.kept:
                    headers = MutableHeaders(raw=list(start["headers"]))
                    del headers["content-length"]
                    self.kept[part] = await asyncio.to_thread(Kept.of, dict(headers), message["body"])
                await self.kept[part].response(Headers(scope=scope).get("accept-encoding", ""))(scope, receive, send)

        await self.app(scope, receive, take)


class FrontPage(Route):
    """``GET /``. Where a login is asked for, or a shared state is to be shown, Gradio's own route answers."""

    def __init__(self):
        super().__init__("/", self._answer, methods=["GET"])
        self.kept: OrderedDict[str, Kept] = OrderedDict()

    def matches(self, scope: Scope):
        app = scope.get("app")
        asked = b"deep_link=" in scope.get("query_string", b"")
        if asked or app is None or app.auth is not None or app.auth_dependency is not None:
            return Match.NONE, {}
        return super().matches(scope)

    async def _answer(self, request: Request) -> Response:
        app = request.app
        root = route_utils.get_root_url(
            request=request, route_path="/", root_path=app.root_path or request.scope.get("root_path")
        )
        kept = self.kept.get(root)
        if kept is None:
            kept = self.kept[root] = await asyncio.to_thread(_page, app, root, request)
            while len(self.kept) > PAGES:
                self.kept.popitem(last=False)
        return kept.response(request.headers.get("accept-encoding", ""))


def _page(app, root: str, request: Request) -> Kept:
    blocks = app.get_blocks()
    config = copy.deepcopy(split(blocks.config, blocks.fns).first)
    config |= {"username": None, "deep_link_state": "none", "current_page": ""}
    config = route_utils.update_root_in_config(config, root)
    known = blocks.get_api_info()
    name = "frontend/share.html" if blocks.share else "frontend/index.html"
    context = {"request": request, "base_url": "./", "config": config, "gradio_api_info": known}
    text = routes.templates.get_template(name).render(context)
    # What ``launch`` takes for the head comes with the configuration, when Gradio's scripts have begun.
    first = (ASSETS / "frames.html").read_text(encoding="utf-8")
    text = text.replace("<head>", f"<head>{first}", 1)
    return Kept.of({"content-type": "text/html; charset=utf-8"}, text.encode())


def _path(scope: Scope) -> str:
    path, root = scope["path"], scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
