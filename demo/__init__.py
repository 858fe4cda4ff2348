"""The page: everything Gradio, and nothing else.

``build()`` gives the ``gr.Blocks``, ``app.py`` launches it. Nothing here imports torch until a picture is wanted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from . import front, gradio_costs, image_cache, login, memory, parts, remembered, theme, uploads
from .handover import Handover
from .limits import Gate
from .page import Page
from .session import Visitor
from .tabs import all_tabs, checkpoints
from .visitors import Sessions

__all__ = ["build", "launch_options"]


def build() -> gr.Blocks:
    """The whole page, its events wired, its queue set."""
    from . import gpu

    image_cache.install()
    memory.settle()
    uploads.install()
    gradio_costs.install()
    with Page(title="ganbook", analytics_enabled=False, delete_cache=(3600, 86400), fill_width=True) as page:
        session = gr.State(Visitor())
        gr.HTML((theme.ASSETS / "masthead.html").read_text(encoding="utf-8"), elem_id="masthead")
        found = all_tabs()
        handover = Handover(session, {name: one.send for name, one in found.items() if one.send})
        choosers = {}
        with gr.Tabs(elem_id="tabs") as tabs:
            for name, one in found.items():
                with gr.Tab(one.label, id=name, elem_id=f"tab-{name.replace('_', '-')}") as tab:
                    if chooser := one.build(session, page, tab, handover):
                        choosers[name] = chooser
            with gr.Tab("Checkpoints", id="checkpoints", elem_id="tab-checkpoints"):
                checkpoints.build(session, page, tabs, choosers)
        parts.wire(tabs)
        handover.wire(tabs)
        remembered.wire(page, session, tabs, choosers)
    page.queue(max_size=gpu.QUEUE, api_open=False)  # no way round the queue and its limits
    gradio_costs.without_statistics(page)
    return page


def launch_options() -> dict:
    """What ``launch`` has to be given for this page, whatever the address."""
    return {
        **theme.launch_options(),
        "app_kwargs": {
            "lifespan": _serving,
            "middleware": [
                Middleware(login.Required),
                Middleware(front.Files),
                Middleware(front.Parts),
                Middleware(Gate),
            ],
            # A path in Gradio's own way of serving files would say where this is installed.
            "routes": [
                front.FrontPage(),
                *(
                    Mount(f"/{at}", StaticFiles(directory=folder))
                    for at, folder in (
                        (theme.FONTS_AT, theme.FONTS),
                        (theme.TOUR_AT, theme.TOUR),
                        (theme.PHOTOGRAPHS_AT, theme.PHOTOGRAPHS),
                    )
                ),
            ],
        },
        "max_file_size": uploads.MAX_UPLOAD,
        "show_error": True,
        "run_history": False,
        # Those that wait for their turn wait in a thread each.
        "max_threads": 80,
        "enable_monitoring": False,
        "ssr_mode": False,
        "pwa": False,
        # Gradio would ask itself for the page and give up if the answer takes three seconds, as on a busy machine.
        "_frontend": False,
    }


@asynccontextmanager
async def _serving(app) -> AsyncIterator[None]:
    """Around the server's life: sessions are ours before the first visitor comes."""
    app.state_holder = Sessions(app.get_blocks())
    yield
