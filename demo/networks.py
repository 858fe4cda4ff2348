"""The chooser of networks at the top of a tab: shipped ones first, then the Hub's, then the visitor's own files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

import weights
from weights.errors import UserError

from .session import Visitor

STYLEGANS = ("stylegan2", "stylegan3")  # both make pictures of seeds, z and w
MB = 1e6
REPORT_S = 0.3


@dataclass(frozen=True)
class Reference:
    """A network that a visitor may use: a name of the catalogue, or the hash of a file of the visitor's own."""

    name: str
    sha256: str | None = None
    title: str | None = field(default=None, compare=False)  # of a file of one's own

    @property
    def at_hand(self) -> bool:
        return self.sha256 is not None or weights.status(self.name) in ("shipped", "cached")

    def open(self):
        """The ready module. Raises UserError."""
        return weights.reopen(self.sha256) if self.sha256 else weights.load(self.name)


def several(technique: str | Sequence[str]) -> tuple[str, ...]:
    """A tab takes networks of one technique, or of several, the most fitting first."""
    return (technique,) if isinstance(technique, str) else tuple(technique)


def resolve(visitor: Visitor | None, name: str | None, technique: str | Sequence[str]) -> Reference:
    """What the chooser's value stands for. Raises UserError for an unknown name and for another visitor's file."""
    if not name:
        raise UserError("Choose a network first.")
    if not isinstance(name, str):
        raise UserError("A network is given by its name, such as stylegan2/faces; choose one first.")
    if name.startswith("own:"):
        visitor = visitor or Visitor()
        sha256, found = visitor.sha256(name), visitor.own[name]
    else:
        sha256, found = None, weights.entry(name)
    title = found.title if sha256 else None
    if found.technique not in several(technique):
        raise UserError(f"{found.title} is not a network for this tab; choose another one.")
    return Reference(name, sha256, title)


class _GivenUp(BaseException):
    """Ends work from within; no ``except Exception`` on the way may mistake it for a failure."""


def _beats(work: Callable[[Callable[[], None]], Any], name: str, say: Callable[[], str]) -> Iterator[str]:
    """Does ``work`` in a thread of its own, yields ``say()`` a few times a second, and returns its result.

    ``work`` is given a function to call now and then, which ends it when the iterator has been closed.
    """
    outcome: list[tuple[Any, BaseException | None]] = []
    given_up = threading.Event()

    def alive() -> None:
        if given_up.is_set():
            raise _GivenUp

    def run() -> None:
        try:
            outcome.append((work(alive), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            yield say()
            thread.join(REPORT_S)
    finally:
        given_up.set()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def fetching(reference: Reference) -> Iterator[str]:
    """Downloads what is not on this machine yet, and yields HTML that says how far it is, a few times a second.

    Closing the iterator ends the download; what has arrived is kept, and the next try goes on from there. Raises
    UserError.
    """
    if reference.at_hand:
        return
    title, far = weights.entry(reference.name).title, [0, None]

    def fetch(alive: Callable[[], None]) -> None:
        def report(done: int, total: int | None) -> None:
            far[:] = done, total
            alive()

        weights.fetch(reference.name, progress=report)

    yield from _beats(fetch, f"fetch {reference.name}", lambda: progress_text(title, *far))


def reading(path: Path, limit: int) -> Iterator[str]:
    """Reads a visitor's checkpoint file and removes it; yields HTML, and returns the network's ``info``.

    Closing the iterator ends the reading. Raises UserError.
    """

    def read(alive: Callable[[], None]):
        try:
            return weights.read(path, limit=limit, alive=alive).info
        finally:
            path.unlink(missing_ok=True)

    words = '<p role="status">Reading the file <progress></progress></p>'
    return (yield from _beats(read, "read a checkpoint file", lambda: words))


# -- words ---------------------------------------------------------------------------------------------------------


def size_text(count: int | None) -> str:
    if count is None:
        return "size told by the Hub"
    if count < MB:
        return f"{max(count / 1e3, 1):.0f} kB"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / MB:.{0 if count >= 1e7 else 1}f} MB"


def progress_text(title: str, done: int, total: int | None) -> str:
    """HTML of a bar with its numbers; a bar without an end where nobody says how large the file is."""
    amount = f"{done / MB:,.0f} of {total / MB:,.0f} MB" if total else f"{done / MB:,.0f} MB"
    bar = f'<progress max="{total}" value="{min(done, total)}"></progress>' if total else "<progress></progress>"
    return f'<p role="status">Fetching {escape(title)}: {amount} {bar}</p>'


def where_text(description: weights.Description) -> str:
    """In a few words, where a checkpoint is."""
    if description.status == "remote":
        known = description.bytes_to_download
        return f"{size_text(known)} to download" if known else "to download"
    return {"shipped": "ships with ganbook", "cached": "on this machine", "missing": "not made yet"}[description.status]


def choices(technique: str | Sequence[str], visitor: Visitor | None = None) -> list[tuple[str, str]]:
    """(label, value) of every network of a technique or of several; what needs no download stands first."""
    techniques = several(technique)
    found = [weights.describe(f"{kind}/{name}") for kind in techniques for name in weights.names(kind)]
    found.sort(key=lambda d: ("shipped", "cached", "remote").index(d.status))
    own = (visitor or Visitor()).own.items()
    return [(f"{f.title}, {name[4:]}", name) for name, f in own if f.technique in techniques] + [
        (f"{d.title} · {d.resolution or '?'} px · {where_text(d)}", d.name) for d in found
    ]


def adds_no_noise(name: str) -> bool:
    """As ``weights.adds_no_noise``; False for a file of a visitor's own, and for one that is damaged."""
    try:
        return weights.adds_no_noise(name)
    except UserError:
        return False


def about(name: str | None, visitor: Visitor | None = None) -> str:
    """HTML: what a network is, in one line."""
    if not name or not isinstance(name, str):
        return '<p class="nb-about">There is no network at hand. Fetch one in the Checkpoints tab.</p>'
    if name.startswith("own:"):
        own = (visitor or Visitor()).own.get(name)
        words = f"Your own file {own.title}, layout {own.layout}; nobody else sees it." if own else ""
        if own and own.technique == "stylegan3":
            words += " StyleGAN3 has no noise inputs, so the noise cell and the noise settings do not apply."
        return f'<p class="nb-about">{escape(words)}</p>'
    d = weights.describe(name)
    where = where_text(d)
    if d.status == "remote":
        where = f"{where}: fetched when first used" + (" (this machine works offline)" if weights.is_offline() else "")
    noise = "adds no noise" if adds_no_noise(name) else ""
    parts = [f"{d.resolution} × {d.resolution} px" if d.resolution else "", where, noise, f"licence: {d.licence}"]
    ships = " data-ships" if d.status == "shipped" else ""  # read by assets/unasked.js
    return f'<p class="nb-about"{ships}>{escape(" · ".join(p for p in parts if p))}</p>'


@dataclass(frozen=True)
class NoChooser:
    """Stands for the chooser in a tab that has no networks of its own."""

    session: gr.State


class Chooser:
    """Network and, for conditional ones, class; every cell of the tab reads them."""

    def __init__(self, tab: str, technique: str | Sequence[str], session: gr.State):
        self.technique, self.session = technique, session
        found = choices(technique)
        first = found[0][1] if found else None
        with gr.Row(elem_classes="nb-chooser", elem_id=f"{tab}-chooser"):
            self.network = gr.Dropdown(
                found,
                value=first,
                label="Network",
                allow_custom_value=True,  # a name that is not in the list gets a sentence that says what to do
                elem_id=f"{tab}-network",
                scale=3,
            )
            self.class_index = gr.Dropdown(
                [],
                value=None,
                label="Class",
                allow_custom_value=True,
                visible=False,
                elem_id=f"{tab}-class",
                scale=1,
            )
        self.about = gr.HTML(about(first), elem_id=f"{tab}-about")
        self.network.change(
            self._chosen,
            [session, self.network],
            [self.about, self.class_index],
            show_progress="hidden",
            api_visibility="private",
        )

    @property
    def inputs(self) -> list:
        return [self.session, self.network, self.class_index]

    def refresh(self, visitor: Visitor, network: str | None = None):
        """The list as it is now, for this visitor; ``network`` is chosen if given."""
        found = choices(self.technique, visitor)
        return gr.update(choices=found, value=network) if network else gr.update(choices=found)

    def opened(self, visitor: Visitor, tab: str):
        """The list when the tab comes. What was chosen for it before is chosen, else a file of the visitor's own."""
        return self.refresh(visitor, visitor.wanted.pop(tab, None) or visitor.latest(*several(self.technique)))

    def _chosen(self, visitor: Visitor, network: str | None):
        return about(network, visitor), self.classes(visitor, network)

    def classes(self, visitor: Visitor, network: str | None):
        """The class chooser for a network: hidden unless it is conditional (which only a network at hand can tell)."""
        hidden = gr.update(visible=False, value=None, choices=[])
        if not network:
            return hidden
        reference = resolve(visitor, network, self.technique)
        if not reference.at_hand:
            return hidden
        info = reference.open().info
        if not info.c_dim:
            return hidden
        names = info.labels or [f"class {i}" for i in range(info.c_dim)]
        return gr.update(visible=True, choices=[(name, i) for i, name in enumerate(names)], value=0)
