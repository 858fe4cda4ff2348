"""Visitors of a running page, as their browsers speak with it: one event stream each, uploads, heartbeats, departures.

``Page`` knows what the page offers, ``Visitor`` calls its functions. What visitors do is in ``benchmarks.load``.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import uuid
from dataclasses import dataclass
from typing import Any

import httpx
from PIL import Image

PREFIX = "/gradio_api"


class Failed(Exception):
    """The page answered with an error, or with something that is not an answer."""


class NobodyAnswered(Failed):
    """The visitor's patience was at its end."""


@dataclass(frozen=True)
class Function:
    """One function of the page: its number, its inputs (None stands for the visitor's state) and its defaults."""

    number: int
    queued: bool
    names: tuple[str | None, ...]
    defaults: dict[str, Any]


class Page:
    """What a page offers. ``functions`` by the name that scripts call them by."""

    def __init__(self, address: str, config: dict, info: dict):
        self.address = address
        kinds = {part["id"]: part["type"] for part in config["components"]}
        described = {name.lstrip("/"): value["parameters"] for name, value in info["named_endpoints"].items()}
        self.functions = {}
        for event in config["dependencies"]:
            parameters = described.get(event["api_name"]) if event["api_visibility"] == "public" else None
            if parameters is None:
                continue
            named = iter(parameters)
            names = tuple(None if kinds[i] == "state" else next(named)["parameter_name"] for i in event["inputs"])
            defaults = {p["parameter_name"]: p.get("parameter_default") for p in parameters}
            self.functions[event["api_name"]] = Function(event["id"], event["queue"], names, defaults)

    @classmethod
    async def opened(cls, address: str) -> Page:
        async with httpx.AsyncClient(base_url=address, timeout=120) as http:
            config, info = await http.get("/config"), await http.get(f"{PREFIX}/info")
            return cls(address, config.json(), info.json())


class Visitor:
    """``async with Visitor(page) as visitor``: somebody at the page, who holds its heartbeat open until they leave.

    Args:
        patience: seconds after which an answer is not waited for any more.
    """

    def __init__(self, page: Page, patience: float = 120.0):
        self.page, self.patience = page, patience
        self.session = uuid.uuid4().hex[:12]
        self.http = httpx.AsyncClient(base_url=page.address, timeout=httpx.Timeout(patience, pool=None))
        self._beating: asyncio.Task | None = None

    async def __aenter__(self) -> Visitor:
        for path in ("/", "/config"):
            (await self.http.get(path)).raise_for_status()
        self._beating = asyncio.create_task(self._heartbeat())
        return self

    async def __aexit__(self, *error) -> None:
        """Leaves as a closed window does: the connections end, and nothing is said."""
        self._beating.cancel()
        with contextlib.suppress(asyncio.CancelledError, httpx.HTTPError):
            await self._beating
        await self.http.aclose()

    async def _heartbeat(self) -> None:
        with contextlib.suppress(httpx.HTTPError):
            async with self.http.stream("GET", f"{PREFIX}/heartbeat/{self.session}", timeout=None) as answer:
                async for _ in answer.aiter_bytes():
                    pass

    async def call(self, name: str, /, **given) -> list:
        """The results of a function. Raises Failed for an error, NobodyAnswered after ``patience`` seconds."""
        return await self._called(name, given)

    async def _called(self, name: str, given: dict) -> list:
        try:
            return await asyncio.wait_for(self._asked(name, given), self.patience)
        except (asyncio.TimeoutError, httpx.TimeoutException):
            raise NobodyAnswered(f"{name}: no answer within {self.patience:.0f} s") from None
        except httpx.HTTPError as error:
            raise Failed(f"{name}: {type(error).__name__} {error}") from None

    async def _asked(self, name: str, given: dict) -> list:
        function = self.page.functions[name]
        if function.queued:
            return await self._followed(await self.join(name, **given))
        answer = await self.http.post(f"{PREFIX}/run/predict", json=self._body(name, given))
        if answer.status_code != 200:
            raise Failed(f"{name}: status {answer.status_code} {answer.text[:200]}")
        return answer.json()["data"]

    async def join(self, name: str, /, **given) -> str:
        """Asks for a function without waiting for what it gives; the event's id."""
        answer = await self.http.post(f"{PREFIX}/queue/join", json=self._body(name, given))
        if answer.status_code != 200:
            raise Failed(f"{name}: status {answer.status_code} {answer.text[:200]}")
        return answer.json()["event_id"]

    def _body(self, name: str, given: dict) -> dict:
        function = self.page.functions[name]
        unknown = set(given) - set(function.defaults)
        if unknown:
            raise ValueError(f"{name} takes no {', '.join(sorted(unknown))}")
        values = {**function.defaults, **given}
        data = [None if n is None else values[n] for n in function.names]
        return {"data": data, "fn_index": function.number, "session_hash": self.session}

    async def _followed(self, event: str) -> list:
        address = f"{PREFIX}/queue/data?session_hash={self.session}"
        async with self.http.stream("GET", address) as answer:
            async for line in answer.aiter_lines():
                # What comes between is shown by a browser; here only its end counts, and parsing costs time.
                if not line.startswith('data: {"msg":"process_completed"'):
                    continue
                message = json.loads(line[5:])
                if message["event_id"] != event:
                    continue
                if not message["success"]:
                    raise Failed(str(message["output"].get("error")))
                return message["output"]["data"]
        raise Failed("the stream ended before the result")

    async def upload(self, data: bytes, name: str) -> dict:
        """Brings a file to the page; the value for a function's argument."""
        try:
            answer = await self.http.post(f"{PREFIX}/upload", files={"files": (name, data)})
        except httpx.TimeoutException:
            raise NobodyAnswered(f"upload: no answer within {self.patience:.0f} s") from None
        if answer.status_code != 200:
            raise Failed(f"upload: status {answer.status_code} {answer.text[:200]}")
        return {"path": answer.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    async def file(self, value: dict) -> bytes:
        """What a file among the results holds."""
        value = value.get("value", value) if "path" not in value else value
        answer = await self.http.get(f"{PREFIX}/file={value['path']}")
        if answer.status_code != 200:
            raise Failed(f"file: status {answer.status_code}")
        return answer.content

    async def picture(self, value: dict) -> Image.Image:
        return Image.open(io.BytesIO(await self.file(value))).convert("RGB")

    async def json(self, value: dict) -> dict:
        return json.loads(await self.file(value))
