"""The page's one place where errors become sentences."""

from __future__ import annotations

import logging

import gradio as gr

from weights.errors import UserError

from . import gpu

log = logging.getLogger(__name__)

SORRY = "Something went wrong here that is not your doing; it was noted. Try again, or try other settings."
MISFIT = "A value that was sent does not fit its control; see the page or its API description for what each one takes."


class Page(gr.Blocks):
    """``gr.Blocks`` whose events say one sentence when they fail, to visitors and to scripts alike.

    What a visitor caused (``UserError``, Gradio's own ``Error``) is said as it is. Everything else is a bug: its
    traceback goes to the log, and the page says that something went wrong.
    """

    def get_config_file(self) -> dict:
        """What the browser is told, without the components that would show nothing of an event's progress.

        Gradio's page tells every component on which any event so far could have shown its progress of every message of
        every event, and searches the whole page for each: with ``show_progress="hidden"`` that was most of what an
        event cost the browser, and grew with each part of the page that a visitor had used.
        """
        config = super().get_config_file()
        for event in config["dependencies"]:
            if event["show_progress"] == "hidden":
                event["show_progress_on"] = []
        return config

    async def preprocess_data(self, *args, **kwargs):
        try:
            return await super().preprocess_data(*args, **kwargs)
        except gr.Error as error:
            # Gradio lists all choices there are; with a whole catalogue in it, that is no sentence any more.
            raise sentence(error.message if len(error.message) < 160 else MISFIT) from None
        except Exception as error:
            log.info("a value did not fit its control: %s", error)
            raise sentence(MISFIT) from None

    async def process_api(self, block_fn, *args, **kwargs):
        fn = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        if fn.cancels or (fn.api_name or "").endswith("_stop"):
            gpu.TURNS.hurry(kwargs.get("session_hash"))  # what is to stop has to come to its turn for that
        try:
            return await super().process_api(block_fn, *args, **kwargs)
        except UserError as error:
            raise sentence(str(error)) from None
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception:
            log.exception("an event failed")
            raise sentence(SORRY) from None


def sentence(text: str) -> gr.Error:
    """An error for the page: no traceback in the log, because it is nobody's bug."""
    return gr.Error(text, title="That did not work", duration=12, print_exception=False)
