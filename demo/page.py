"""The page's one place where errors become sentences."""

from __future__ import annotations

import logging

import gradio as gr
from PIL import Image

from weights.errors import UserError

from . import disk, gpu, limits, parts, uploads
from .visitors import Session

log = logging.getLogger(__name__)

SORRY = "Something went wrong on the server, and it was logged. Try again, or try other settings."
GONE = (
    "The server was started again, or this page was left for long: what you made on it is no longer there. Reload the"
    " page; your seeds and recipes come back."
)
MISFIT = "A value that was sent does not fit its control; see the page or its API description for what each one takes."


class Page(gr.Blocks):
    """``gr.Blocks`` whose events say one sentence when they fail, to visitors and to scripts alike.

    What a visitor caused (``UserError``, Gradio's own ``Error``) is said as it is. Everything else is a bug: its
    traceback goes to the log, and the page says that something went wrong.
    """

    def __init__(self, *args, **kwargs):
        self.greetings: list[tuple[tuple, dict]] = []
        super().__init__(*args, **kwargs)

    def greets(self, *args, **kwargs) -> None:
        """As ``load``, for what reads controls: it begins when what the browser kept has come back into them.

        What it changes, its ``outputs``, says of which tab it is.
        """
        self.greetings.append((args, kwargs))

    def get_config_file(self) -> dict:
        """What the browser is told, in parts, without the components that would show nothing of an event's progress.

        Gradio's page tells every component on which any event so far could have shown its progress of every message of
        every event, and searches the whole page for each: with ``show_progress="hidden"`` that was most of what an
        event cost the browser, and grew with each part of the page that a visitor had used.
        """
        config = super().get_config_file()
        for event in config["dependencies"]:
            if event["show_progress"] == "hidden":
                event["show_progress_on"] = []
        self.parts = parts.split(config, self.fns)
        first = self.parts.first
        config["page"][""] |= {
            "layout": first["layout"],
            "components": [one["id"] for one in first["components"]],
            "dependencies": [one["id"] for one in first["dependencies"]],
        }
        return config

    async def preprocess_data(self, *args, **kwargs):
        try:
            return await super().preprocess_data(*args, **kwargs)
        except gr.Error as error:
            # Gradio lists all choices there are; with a whole catalogue in it, that is no sentence any more.
            raise sentence(error.message if len(error.message) < 160 else MISFIT) from None
        except Exception as error:
            log.info("a value did not fit its control: %s", error)
            cause = error.__cause__ or error  # Gradio wraps what a component raised
            picture = isinstance(cause, (OSError, Image.DecompressionBombError))  # it was opened as one
            if picture and not isinstance(cause, FileNotFoundError):
                raise sentence(uploads.unreadable(cause)) from None
            raise sentence(MISFIT) from None

    def queue(self, *args, **kwargs):
        """Gradio's, with ``limits.Queue`` for its queue."""
        super().queue(*args, **kwargs)
        made = self._queue
        self._queue = limits.Queue(
            live_updates=made.live_updates,
            concurrency_count=made.max_thread_count,
            update_intervals=made.update_intervals,
            max_size=made.max_size,
            blocks=self,
            default_concurrency_limit=made.default_concurrency_limit,
        )
        return self

    async def process_api(self, block_fn, *args, **kwargs):
        session = kwargs.get("state")
        fn = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        if fn.cancels or (fn.api_name or "").endswith("_stop"):
            gpu.TURNS.hurry(kwargs.get("session_hash"))  # what is to stop has to come to its turn for that
        try:
            if isinstance(session, Session):
                meet(session, fn, kwargs.get("event_data"))
            made = await super().process_api(block_fn, *args, **kwargs)
            if isinstance(session, Session):
                session.weigh()
            if isinstance(fn.fn, parts.Opener):
                made["render_config"] = self.parts.later[fn.fn.tab._id]
                if (request := getattr(kwargs.get("request"), "request", None)) is not None:
                    request.scope[parts.SENT] = fn.fn.tab._id
            return made
        except Exception as error:
            raise said(error) from None


def said(error: Exception) -> gr.Error:
    """What the page says of an error; what is a bug goes to the log with its traceback."""
    if disk.is_full(error):
        log.error("an event found no room on the disk: %s", error)
        return sentence(disk.FULL)
    if isinstance(error, UserError):
        return sentence(str(error))
    if isinstance(error, gr.Error):
        error.print_exception = False
        return error
    log.error("an event failed", exc_info=error)
    return sentence(SORRY)


def meet(session: Session, event, data) -> None:
    """Notes that a page was loaded in a session. Raises Gradio's ``Error`` for a page whose session is gone."""
    targets = getattr(event, "targets", ())
    if any(kind == "load" for _id, kind in targets):
        session.arrived = True
    elif not session.arrived and getattr(data, "target", None) is not None:  # scripts press nothing
        raise sentence(GONE)


def sentence(text: str) -> gr.Error:
    """An error for the page: no traceback in the log, because it is nobody's bug."""
    return gr.Error(text, title="That did not work", duration=12, print_exception=False)
