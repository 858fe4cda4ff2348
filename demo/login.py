"""With ``--auth`` nothing is answered to a stranger but what the login page is made of.

Gradio asks for the login route by route, and leaves some out: what cancels and resets events, heartbeats, streams, MCP.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# The login page itself, what it is drawn with, and what asks for nothing: the launch calls startup-events.
OPEN = ("/", "/login", "/login/", "/logout", "/logout/", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json")
OPEN_API = ("/gradio_api/theme.css", "/gradio_api/startup-events")
OPEN_BELOW = ("/assets/", "/static/", "/svelte/", "/pwa_icon", "/fonts/")


class Required:
    """Middleware of Gradio's app, whose users and tokens it asks. Without ``auth`` everything passes."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or is_open(_path(scope)) or _admitted(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            refusal = JSONResponse({"detail": {"error": "Not authenticated"}}, status_code=401)
            await refusal(scope, receive, send)


def is_open(path: str) -> bool:
    """Whether a path is answered to everybody."""
    return path in OPEN or path in OPEN_API or path.startswith(OPEN_BELOW)


def _path(scope: Scope) -> str:
    path, root = scope["path"], scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _admitted(scope: Scope) -> bool:
    app = scope["app"]
    if app.auth is None:
        return True
    header = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    try:
        cookies = SimpleCookie(header.decode("latin-1"))
    except CookieError:
        return False
    names = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    return any(name in cookies and cookies[name].value in app.tokens for name in names)
