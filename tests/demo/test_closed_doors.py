"""With a login nothing is answered to strangers; nothing says where ganbook is installed; MCP tools, one by one."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import site
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from demo import login, mcp_tools

ROOT = Path(__file__).resolve().parents[2]
USER = {"username": "ann", "password": "secret"}


@pytest.fixture(scope="module")
def closed(serving, shelf, tmp_path_factory):
    """The page behind a login, its tools offered."""
    patch = pytest.MonkeyPatch()
    patch.setattr("gradio.mcp.GradioMCPServer", mcp_tools.Tools)
    with serving(shelf, tmp_path_factory.mktemp("closed"), auth=[("ann", "secret")], mcp_server=True) as page:
        yield page
    patch.undo()


@pytest.fixture
def stranger(closed):
    with httpx.Client(base_url=closed.local_url, timeout=60) as client:
        yield client


@pytest.fixture
def ann(closed):
    with httpx.Client(base_url=closed.local_url, timeout=60) as client:
        assert client.post("/login", data=USER).status_code == 200
        client.cookies = {k: v for k, v in client.cookies.items() if "unsecure" in k}
        yield client


def routes(app) -> set[tuple[str, str]]:
    """(method, path) of everything that the app answers, what is mounted or included as well."""
    found = set()
    for route in app.routes:
        if not hasattr(route, "path"):  # another router's, whose routes have their whole paths
            found |= routes(route.original_router)
            continue
        path = route.path
        methods = getattr(route, "methods", None)
        if methods is None:  # a mounted app: itself, and whatever may be below
            found |= {(method, f"{path}{end}") for method in ("GET", "POST") for end in ("", "/", "/x")}
        else:
            found |= {(method, path) for method in methods}
    return found


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "x", path)


def test_every_route_asks_for_the_login(closed, stranger):
    known = routes(closed.app)
    asked = {path for _, path in known}
    assert {"/gradio_api/cancel", "/gradio_api/reset", "/gradio_api/queue/join", "/config"} <= asked
    assert {"/gradio_api/heartbeat/{session_hash}", "/gradio_api/mcp"} <= asked and len(known) > 60
    answered = set()
    for method, path in sorted(known):
        answer = stranger.request(method, filled(path), json={} if method == "POST" else None)
        if answer.status_code != 401:
            answered.add(path)
    assert {filled(path) for path in answered} <= {
        *login.OPEN,
        *login.OPEN_API,
        *(f"{start}x" for start in login.OPEN_BELOW if start.endswith("/")),
        *("/fonts", "/fonts/", "/pwa_icon", "/pwa_icon/x"),
    }


@pytest.mark.parametrize(
    "path", ["//config", "/config/", "/static/../config", "/assets/%2e%2e/config", "/fonts/..%2fx"]
)
def test_no_way_around(stranger, path):
    answer = stranger.get(f"{str(stranger.base_url).rstrip('/')}{path}")
    assert answer.status_code in (401, 403, 404) and "dependencies" not in answer.text


def test_made_up_cookies_open_nothing(closed, stranger):
    for value in ("", "x", '"', "None"):
        answer = stranger.get("/config", headers={"cookie": f"access-token-{closed.app.cookie_id}={value}"})
        assert answer.status_code == 401


def test_who_is_logged_in_is_served(closed, stranger, ann):
    page = stranger.get("/")
    assert page.status_code == 200 and '"auth_required":true' in page.text.replace(" ", "").replace("\\", "")
    assert ann.get("/config").json()["dependencies"]
    body = {"session_hash": "abc", "fn_index": 0, "event_id": "none"}
    assert stranger.post("/gradio_api/cancel", json=body).status_code == 401
    assert ann.post("/gradio_api/cancel", json=body).json() == {"success": True}
    assert stranger.get("/fonts/newsreader.woff2").content[:4] == b"wOF2"


def test_nothing_says_where_it_is_installed(closed, ann):
    words = {str(ROOT), sys.prefix, *site.getsitepackages()} - {"/usr", "/usr/local"}
    gets = [path for method, path in routes(closed.app) if method == "GET"]
    # Streams do not end, and /logout would.
    gets = [
        p
        for p in gets
        if not any(w in p for w in ("heartbeat", "queue/data", "logout", "stream", "reload", "mcp", "event_id"))
    ]
    assert "/config" in gets and "/gradio_api/info" in gets
    for path in [*gets, "/gradio_api/info?all_endpoints=True", "/gradio_api/file=app.py", "/gradio_api/file=demo"]:
        text = ann.get(filled(path)).text
        assert not [word for word in words if word in text], path


def test_no_error_and_no_result_says_it_either(closed, ann):
    words = {str(ROOT), sys.prefix, *site.getsitepackages()} - {"/usr", "/usr/local"}
    config = ann.get("/config").json()
    for event in config["dependencies"]:
        if event["api_visibility"] == "public":
            body = {"data": ["?"] * len(event["inputs"]), "fn_index": event["id"], "session_hash": "abc"}
            answers = [ann.post(f"/gradio_api/run/{event['api_name']}", json=body).text]
            if not event["queue"] or event["api_name"] == "stylegan2_sample":
                body["data"] = [None] * len(event["inputs"])
                answers.append(ann.post("/gradio_api/run/predict", json=body).text)
            for text in answers:
                assert text and not [word for word in words if word in text], event["api_name"]


# -- tools


def called(url: str, name: str, arguments: dict, cookies: str | None = None):
    """The tools that there are, and what one of them gives, by the real client."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def visit():
        headers = {"cookie": cookies} if cookies else None
        async with streamablehttp_client(f"{url}gradio_api/mcp/", headers=headers) as (read, write, _):
            async with ClientSession(read, write) as session:
                await session.initialize()
                tools = (await session.list_tools()).tools
                return [tool.name for tool in tools], await session.call_tool(name, arguments)

    return asyncio.run(visit())


def cookies(client: httpx.Client) -> str:
    return "; ".join(f"{k}={v}" for k, v in client.cookies.items())


def test_a_tool_gives_a_picture(closed, ann, shelf):
    import weights
    from pipelines import stylegan2

    names, result = called(closed.local_url, "stylegan2_sample", {"seeds": "3"}, cookies(ann))
    assert names == mcp_tools.tools()
    assert not result.isError
    pictures = [part for part in result.content if part.type == "image"]
    assert pictures and pictures[0].mimeType == "image/png"
    with Image.open(io.BytesIO(base64.b64decode(pictures[0].data))) as picture:
        made = np.asarray(picture.convert("RGB"))
    expected = stylegan2.sample(weights.load("stylegan2/faces"), seeds=[3], truncation_psi=0.7)[0]
    assert np.array_equal(made, np.asarray(expected))
    assert any(part.type == "text" and "weights.load" in part.text for part in result.content)


def test_a_tool_says_one_sentence(closed, ann):
    _, result = called(closed.local_url, "stylegan2_sample", {"seeds": "abc"}, cookies(ann))
    assert result.isError and "is not a seed" in result.content[0].text


def test_tools_are_behind_the_login(closed, stranger):
    hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = stranger.post("/gradio_api/mcp/", json=hello, headers={"accept": "application/json, text/event-stream"})
    assert answer.status_code == 401


def test_each_call_has_a_session_of_its_own(closed, ann):
    before = set(closed.app.state_holder.session_data)
    for _ in range(2):
        called(closed.local_url, "stylegan2_sample", {"seeds": "3"}, cookies(ann))
    assert len(set(closed.app.state_holder.session_data) - before) >= 2


def test_tools_that_are_offered_exist(closed):
    known = closed.get_api_info()["named_endpoints"]
    assert not [name for name in mcp_tools.tools() if f"/{name}" not in known]
