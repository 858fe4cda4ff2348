"""Every checkpoint that the notebook knows: what it is, where it is, fetching it, and bringing one's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

import weights
from weights.errors import UserError

from .. import networks, tables, uploads
from ..networks import Chooser, Reference
from ..notebook import LATEX, note
from ..session import OwnFile, Visitor
from . import all_tabs

LEAD = """
# Checkpoints

A *checkpoint* is a trained network in a file. Some ship with the notebook and work at once; the published ones come
from the Hugging Face Hub when they are asked for, are checked against their hash, and stay on this machine. Each has
the licence that its makers gave it.
"""
OWN = """
## A file of your own

NVIDIA's `.pkl` (StyleGAN2-ADA, StyleGAN3-T and StyleGAN3-R), rosinality's `.pt`, the PyTorch AttGAN's `.pth`, DCGANs of
PyTorch, iGAN's `.dcgan_theano` and safetensors of this notebook are told apart by what is in them, whatever they are
called. Nothing in the file is run. It is yours alone: other visitors of this page do not see it.
"""
Users = dict[str, tuple[str, ...]]  # techniques of the networks that a tab takes, by the tab's id
MAX_NAME = 60  # characters of a file's name in lists
HEADINGS = {"shipped": "Included", "hub": "On the Hugging Face Hub", "later": "Listed, not used by this version yet"}
# A click on a button in the list is an event of the whole list that carries the checkpoint's name. What happens then is
# told beside the Cancel button, so that comes into view. A button that names a tab opens it with that checkpoint.
CLICK = """element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-name]');
  if (!button) return;
  if (button.dataset.tab) return trigger('apply', {name: button.dataset.name, tab: button.dataset.tab});
  document.getElementById('ckpt-fetch').scrollIntoView({block: 'center'});
  trigger('select', {name: button.dataset.name});
});"""

API_FETCH = """Brings a checkpoint of the catalogue onto the server's machine. Gives a sentence and the list, as HTML.

Args:
    name: such as stylegan2/ffhq-1024.
"""
API_OWN = """Reads a checkpoint file of your own: .pkl .pt .pth .bin .safetensors .dcgan_theano, up to 700 MB. Gives a
sentence as HTML. Afterwards the network can be used in this session under the name own: and the first twelve digits of
its SHA-256.

Args:
    file: the file.
"""


def build(session: gr.State, page: gr.Blocks, tabs: gr.Tabs, choosers: dict[str, Chooser]) -> None:
    """The tab. ``choosers`` are those of the other tabs by the tabs' ids; they learn of new networks here."""
    gr.Markdown(LEAD, latex_delimiters=LATEX, elem_classes="nb-lead")
    with gr.Column(elem_classes="nb-own", elem_id="ckpt-own"):
        gr.Markdown(OWN, elem_classes="nb-prose")
        file = gr.File(
            label="Checkpoint file, up to 700 MB",
            file_types=list(uploads.CHECKPOINT_ENDINGS),
            type="filepath",
            height=132,
            elem_id="ckpt-file",
        )
        recognised = gr.HTML("", label="Recognised", elem_id="ckpt-recognised", elem_classes="nb-status")
    gr.Markdown("## The catalogue", elem_classes="nb-prose")
    with gr.Row(elem_classes="nb-fetch", elem_id="ckpt-fetch"):
        name = gr.Dropdown(
            remote(), value=None, label="Fetch from the Hub", elem_id="ckpt-name", scale=3, allow_custom_value=True
        )
        fetch = gr.Button("Fetch", variant="primary", elem_id="ckpt-fetch-run", min_width=0)
        stop = gr.Button("Cancel", variant="stop", elem_id="ckpt-fetch-stop", min_width=0)
    state = gr.HTML("", label="What happened", elem_id="ckpt-status", elem_classes="nb-status")
    listed = gr.HTML("", label="Catalogue", js_on_load=CLICK, elem_id="ckpt-list", elem_classes="nb-cards")

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    lane = {"concurrency_id": "fetch", "concurrency_limit": 2}
    users = {name: networks.several(chooser.technique) for name, chooser in choosers.items()}

    def fetch_checkpoint(name: str | None) -> Iterator[tuple[str, Any]]:
        yield from fetch_it(name, users)

    page.load(partial(cards, users), None, listed, queue=False, **quiet)

    def use(visitor: Visitor, event: gr.EventData) -> dict:
        """Opens a tab with a checkpoint of the list."""
        tab, chosen = str(event.tab), str(event.name)
        if tab not in choosers:
            raise UserError("That tab is not on this page.")
        networks.resolve(visitor, chosen, users[tab])
        if tab not in visitor.opened:
            visitor.wanted[tab] = chosen
            return {tabs: gr.Tabs(selected=tab)}
        return {tabs: gr.Tabs(selected=tab), choosers[tab].network: choosers[tab].refresh(visitor, chosen)}

    listed.apply(use, session, [tabs, *(chooser.network for chooser in choosers.values())], queue=False, **quiet)
    picked = listed.select(chosen_card, None, name, queue=False, **quiet)
    wiring = {"inputs": name, "outputs": [state, listed], "show_progress": "hidden", **lane}
    fetched = [
        fetch.click(fetch_checkpoint, api_name="fetch_checkpoint", api_description=API_FETCH, **wiring),
        picked.then(fetch_checkpoint, api_visibility="private", **wiring),
    ]
    for event in fetched:
        for chooser in choosers.values():
            event.success(chooser.refresh, session, chooser.network, queue=False, **quiet)
        event.success(lambda: gr.update(choices=remote()), None, name, queue=False, **quiet)
    stopped = note("Stopped. What has arrived is kept; the next try goes on from there.")
    stop.click(lambda: (stopped, cards(users)), None, [state, listed], cancels=fetched, queue=False, **quiet)
    loaded = file.upload(
        read_own,
        [session, file],
        [session, recognised],
        api_name="load_checkpoint",
        api_description=API_OWN,
        show_progress_on=recognised,
        **lane,
    )
    for chooser in choosers.values():
        loaded.success(partial(with_own, chooser), session, chooser.network, **quiet)
    for over in (loaded.success, loaded.failure):  # Gradio's then() does not follow an event that failed
        over(lambda: None, None, file, queue=False, **quiet)


def with_own(chooser: Chooser, visitor: Visitor):
    """The list with the visitor's latest file chosen."""
    return chooser.refresh(visitor, visitor.latest(*networks.several(chooser.technique)))


def chosen_card(event: gr.EventData) -> str:
    return event.name


def fetch_it(name: str | None, users: Users):
    """Yields how far the download is, then the list with the checkpoint at hand."""
    try:
        if not name:
            raise UserError("Choose a checkpoint to fetch first.")
        reference = Reference(weights.entry(name).name)
        for far in networks.fetching(reference):
            yield far, gr.skip()
    except UserError as error:
        yield note(str(error), "nb-error"), gr.skip()
        raise
    yield note(f"{weights.entry(name).title} is on this machine now.", "nb-ran"), cards(users)


def read_own(visitor: Visitor, file: str | None) -> Iterator[tuple[Any, str]]:
    """Reads a visitor's file and puts it at the head of that visitor's list; the upload itself is not kept.

    Yields that it is being read, a few times a second, then the visitor and what the file is. Closing the iterator ends
    the reading.
    """
    try:
        info = yield from _recognised(file)
    except UserError as error:  # what was said of the file before does not stand on
        yield gr.skip(), note(str(error), "nb-error")
        raise
    layout = info.card.get("layout", "ganbook")
    own = OwnFile(info.sha256, info.technique, title_of(file, info.img_resolution), info.img_resolution, layout)
    visitor.add(info.name, own)
    facts = [f"layout {layout}", f"{info.img_resolution} px", f"sha256 {info.sha256[:12]}…"]
    facts += [f"{info.c_dim} classes"] if info.c_dim else []
    text = f"{own.title}: recognised as a {info.technique} {info.kind} ({', '.join(facts)}). "
    tab = next((one for one in all_tabs().values() if info.technique in one.networks), None)
    text += f"The {tab.label} tab uses it now, as {info.name}." if tab else "This version has no tab for it yet."
    yield visitor, note(text, "nb-ran")


def _recognised(file: str | None) -> Iterator[tuple[Any, str]]:
    """Yields that the file is being read; returns the ``info`` of the network in it. Raises UserError."""
    with closing(networks.reading(uploads.checkpoint(file), uploads.MAX_UPLOAD)) as reading:
        while True:
            try:
                words = next(reading)
            except StopIteration as end:
                return end.value
            yield gr.skip(), words


def title_of(file: str | None, resolution: int | None) -> str:
    """What a file of one's own is called in lists: its name, and the size of its pictures."""
    name = Path(file or "").name
    name = name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"
    return f"{name} ({resolution} px)" if resolution else name


# -- the list ------------------------------------------------------------------------------------------------------


def remote() -> list[tuple[str, str]]:
    found = [weights.describe(entry.name) for entry in weights.entries() if entry.loadable and not entry.shipped]
    return [(f"{d.title} · {networks.where_text(d)}", d.name) for d in found if d.status == "remote"]


def cards(users: Users) -> str:
    """HTML of the whole catalogue as it is at this moment."""
    groups: dict[str, list[weights.Description]] = {key: [] for key in HEADINGS}
    for entry in weights.entries():
        d = weights.describe(entry.name)
        usable = d.loadable and d.status != "missing"
        groups["later" if not usable else "shipped" if d.status == "shipped" else "hub"].append(d)
    made = {key: (card if key == "shipped" else row) for key in HEADINGS}
    return "".join(
        f"<h3>{heading}</h3><ul class='{'nb-sheets' if key == 'shipped' else 'nb-rows'}'>"
        f"{''.join(made[key](d, uses(d, users)) for d in groups[key])}</ul>"
        for key, heading in HEADINGS.items()
        if groups[key]
    )


def uses(d: weights.Description, users: Users) -> str:
    """Buttons that open a tab with a checkpoint, one for each tab that takes it; none before it is at hand."""
    if d.status not in ("shipped", "cached"):
        return ""
    buttons = (
        f'<button type="button" data-name="{escape(d.name)}" data-tab="{tab}" '
        f'aria-label="Use {escape(d.title)} in {label}">{label}</button>'
        for tab, label in ((tab, escape(all_tabs()[tab].label)) for tab in users if d.technique in users[tab])
    )
    found = "".join(buttons)
    return f'<div class="nb-card-tools nb-uses"><span>Use it in</span>{found}</div>' if found else ""


def card(d: weights.Description, used: str) -> str:
    """A checkpoint that ships: what it makes, its name, size of its pictures, licence."""
    facts = [f"<code>{escape(d.name)}</code>", f"{d.resolution} px" if d.resolution else "", escape(d.licence)]
    return (
        f'<li class="nb-card" data-status="{d.status}">{sample(d)}<div><h4>{escape(d.title)}</h4>'
        f'<p class="nb-where">{escape(networks.where_text(d))}</p>'
        f"<p>{'<br>'.join(f for f in facts if f)}</p>{used}</div></li>"
    )


def row(d: weights.Description, used: str) -> str:
    """A checkpoint of the Hub in one line: pixels, name, licence, where it is, link, and a button to fetch it."""
    link = f'<a href="{escape(d.link)}" target="_blank" rel="noreferrer">on the Hub</a>' if d.link else ""
    button = ""
    if d.loadable and d.status == "remote":
        label = f"Fetch {escape(d.title)}"
        button = f'<button type="button" data-name="{escape(d.name)}" aria-label="{label}">Fetch</button>'
    remark = f"<p>{escape(d.note)}</p>" if d.note else ""
    return (
        f'<li class="nb-row" data-status="{d.status}"><span class="nb-pixels">{d.resolution or "?"}</span>'
        f"<div><h4>{escape(d.title)}</h4><p><code>{escape(d.name)}</code></p>{remark}</div>"
        f'<p>{escape(d.licence)}</p><div class="nb-card-tools">'
        f'<span class="nb-where">{escape(networks.where_text(d))}</span>{link}{button}</div>{used}</li>'
    )


def sample(d: weights.Description) -> str:
    """The sheet that a shipped checkpoint made, small."""
    if d.sample is None:
        return ""
    with Image.open(d.sample) as sheet:
        small = sheet.convert("RGB")
    small.thumbnail((512, 512), Image.Resampling.LANCZOS)
    address = tables.data_uri(small, "JPEG", quality=88)
    return f'<img src="{address}" alt="Pictures made by {escape(d.title)}" loading="lazy">'
