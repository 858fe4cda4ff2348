"""The page's functions as MCP tools (``app.py --mcp``), each call on its own.

Gradio's server is used, with what it lacks here: tools are called as the API's functions are; pictures come as
pictures, those of galleries too; and every call has a session of its own, with the caller's login, where Gradio's
shares one between all callers.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any

import gradio.mcp
from gradio import route_utils
from gradio_client import Client

from .tabs import all_tabs


def tools() -> list[str]:
    """The endpoints that are tools: those that need nothing of an earlier call, for a session ends with its call."""
    return [*(name for tab in all_tabs().values() for name in tab.tools), "fetch_checkpoint"]


class Tools(gradio.mcp.GradioMCPServer):
    def get_tool_to_endpoint(self) -> dict[str, str]:
        known = self.api_info["named_endpoints"]
        return {self.tool_prefix + name: f"/{name}" for name in tools() if f"/{name}" in known}

    def warn_about_state_inputs(self) -> None:
        """No tool counts on a state."""

    def _get_or_create_client(self) -> Client:
        request = self.mcp_server.request_context.request
        path = self.get_route_path(request)
        root = route_utils.get_root_url(request=request, route_path=path, root_path=self.root_path)
        cookies = {name: morsel.value for name, morsel in SimpleCookie(request.headers.get("cookie", "")).items()}
        client = Client(
            self._local_url or root,
            download_files=False,
            verbose=False,
            analytics_enabled=False,
            ssl_verify=False,
            _skip_components=False,
            headers={"x-gradio-user": "mcp"},
            httpx_kwargs={"cookies": cookies},
        )
        submit = client.submit

        def submitted(*args, **kwargs):
            job = submit(*args, **kwargs)
            job.add_done_callback(lambda _: client.close())
            return job

        client.submit = submitted
        return client

    def postprocess_output_data(self, data: Any, root_url: str) -> list:
        return super().postprocess_output_data(list(_each(data)), root_url)


def _each(value: Any) -> Iterator[Any]:
    """Results one by one; the pictures of galleries with their captions."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _each(item)
    elif isinstance(value, dict) and set(value) == {"image", "caption"}:
        yield value["image"]
        if value["caption"]:
            yield value["caption"]
    elif value not in (None, ""):
        yield value


def install() -> None:
    gradio.mcp.GradioMCPServer = Tools
