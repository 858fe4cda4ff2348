"""The one canvas that all drawing tabs share: numbered handles with targets, areas painted with brushes, moved patches.

``board`` makes the component, ``read`` checks what came from it (or from a script), ``frame`` is what it shows.

What a visitor has drawn is one JSON value, and every finished gesture is one ``input`` event::

    {"size": [64, 64],                                              the picture that was drawn on, in pixels
     "points": [{"handle": [20.5, 31.0], "target": [26.0, 31.0]}],   target null: not set yet
     "layers": {"mask": {"size": [512, 512], "runs": [5120, 12, ...]},
                "colour": {"size": [512, 512], "runs": [5120, 0, 12, 1, ...], "palette": [[217, 64, 31]]}},
     "patches": [{"source": [20.5, 31.5], "target": [40.5, 31.5], "size": 12}]}

Places are floats in pixels of the picture; (0, 0) is the middle of its upper left pixel, as in ``pipelines``, so that
they go from -0.5 to half a pixel short of its width and height. A layer is what one brush has painted, row by row:
lengths of runs of nothing and of paint in turns; where a tool has several colours, pairs of length and colour (0 is
nothing), and where they are free, the palette. Cells need not be pixels. A patch is a square of the picture, ``size``
pixels a side, that is cut out around ``source`` and laid around ``target``.

A new way of drawing is a ``Tool`` with a key of its own in the value; its hand is in ``assets/canvas*.js``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from pipelines import checks
from pipelines.defaults import MAX_HANDLES
from weights.errors import UserError

from . import tables

MAX_POINTS = MAX_HANDLES
MAX_SIDE = 8192  # of a picture that is drawn on
MAX_CELLS = 1024  # along a side of a layer
MAX_RUNS = 200_000
MAX_COLOURS = 64  # of a brush whose colours are free
MAX_PATCHES = 16
# Pictures up to this side are sent as they are; larger ones, and those that the next one replaces in a moment, as JPEG,
# which is ten times smaller.
PLAIN, PLAIN_LIVE = 512, 64

HINTS = {
    "first": "Click what should move, then where it should go; or press, pull and let go.",
    "more": "Move points by dragging them. Right click, a long press or Delete removes one.",
    "target": "Now click where point # should go.",
    "erase": "Wipe over the painted area.",
    "running": "It moves. Stop it to change the points.",
    "pick": "Press on the picture where it has the colour that you want.",
    "patches": "Move patches by dragging them. Right click, a long press or Delete removes one.",
    "still": "Keep it pressed and drag the square to where it should go.",
}
# Instead of those, where there are a finger and no mouse.
HINTS_TOUCH = {
    "first": "Tap what should move, then where it should go; or press, pull and let go.",
    "more": "Move points by dragging them. A long press removes one.",
    "target": "Now tap where point # should go.",
    "patches": "Move patches by dragging them. A long press removes one.",
}
API_INFO = {
    "type": "object",
    "description": "size [width, height]; points, a list of {handle: [x, y], target: [x, y]} in pixels of the picture;"
    " layers, painted areas as {name: {size: [width, height], runs: lengths of unpainted and painted cells in turns}}."
    " Points and layers may be left out.",
}
API_INFO_BRUSHES = {
    "type": "object",
    "description": "size [width, height]; layers, painted areas as {name: {size: [width, height], runs}}: lengths of"
    " unpainted and painted cells in turns; with a palette, a list of [red, green, blue], pairs of a length and the"
    " number of a colour, 0 for none; patches, a list of {source: [x, y], target: [x, y], size} in its pixels."
    " Layers and patches may be left out.",
}
EXAMPLE = {"size": [64, 64], "points": [{"handle": [20, 32], "target": [28, 32]}], "layers": {}}
EXAMPLE_BRUSHES = {"size": [64, 64], "patches": [{"source": [20.5, 31.5], "target": [28.5, 31.5], "size": 12}]}


@dataclass(frozen=True)
class Tool:
    """``kind`` is points, paint or patch.

    ``palette``: red, green, blue and opacity (0 to 255) of each colour of a brush; where colours are ``free``, the one
    it begins with. ``width``: of a brush or a patch at first, ``least`` the smallest, as shares of the shorter side
    of the picture. ``most``: patches. ``hint`` says what to do, ``keys`` what a keyboard or a mouse does besides.
    """

    name: str
    kind: str
    label: str
    icon: str
    hint: str = ""
    palette: tuple[tuple[int, int, int, int], ...] = ()
    free: bool = False
    keys: str = ""
    width: float = 0.12
    least: float = 0.02
    most: int = MAX_PATCHES


POINTS = Tool("points", "points", "Points", "M3 13 13 3M8 3h5v5M3 13a1 1 0 1 0 .01 0")
# Rubylith, the red film that retouchers cut their masks from.
MASK = Tool(
    "mask",
    "paint",
    "Paint",
    "M10.5 2.5l3 3L7 12l-3-3zM4 9c-2 1-.5 3-2.5 4.5C4 14 6.5 13.8 7 12",
    "Paint over the picture.",
    ((222, 38, 32, 120),),
    keys="[ and ] change the size of the brush.",
)
COLOUR = Tool(
    "colour",
    "paint",
    "Colour",
    "M8 2c3 3.2 4.5 5.3 4.5 7.5a4.5 4.5 0 0 1-9 0C3.5 7.3 5 5.2 8 2z",
    "Paint what should have this colour.",
    ((217, 64, 31, 240),),
    keys="Alt and a click take a colour from the picture.",
    free=True,
)
SKETCH = Tool(
    "sketch",
    "paint",
    "Sketch",
    "M2.5 13.5l1-3.5 7.5-7.5 2.5 2.5-7.5 7.5zM9.5 4l2.5 2.5",
    "Draw where there should be an edge.",
    ((24, 20, 18, 245),),
    keys="[ and ] change the width of the line.",
    width=0.03,
    least=0.01,
)
WARP = Tool(
    "warp",
    "patch",
    "Warp",
    "M2.5 2.5h5v5h-5zM8.5 8.5l5 5M13.5 9.5v4h-4",
    "Press on a part of the picture and drag it to where it should be.",
    keys="[ and ] change its size.",
    width=0.25,
    least=0.05,
)
ICONS = {
    "pick": "M9.5 6.5l-6 6-1 1M9 3l4 4M8.5 4.5l3-3a1.5 1.5 0 0 1 3 3l-3 3z",
    "erase": "M6 13h7M2.5 9.5l6-6 4.5 4.5-5 5H6z",
    "undo": "M6 3 2.5 6.5 6 10M3 6.5h6a4 4 0 0 1 0 8H6",
    "redo": "M10 3l3.5 3.5L10 10M13 6.5H7a4 4 0 0 0 0 8h3",
    "clear": "M3 4.5h10M6 4.5v-2h4v2M4.5 4.5l.7 9h5.6l.7-9",
    "before": "M8 2.5a5.5 5.5 0 1 1-5.2 3.7M2.5 2v4.5H7M8 5v3l2 1.5",
    "hide": "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6a2 2 0 1 0 .01 0",
}


def board(
    tools: Sequence[Tool] = (POINTS, MASK),
    *,
    label: str = "Canvas",
    empty: str = "There is no picture yet.",
    hints: dict[str, str] | None = None,
    most: int = MAX_POINTS,
    keys: dict[str, str] | None = None,
    first: dict | None = None,
    compares: bool = False,
    **options: Any,
) -> gr.HTML:
    """The component. Its value is what was drawn; ``gr.update(frame=frame(...))`` shows a picture in it.

    Args:
        tools: what can be done in it, the first one chosen.
        label: what it is called, for those who do not see it too.
        empty: what it says as long as it shows no picture.
        hints: other words for those of ``HINTS``.
        most: how many points.
        keys: letter -> the ``elem_id`` of the button that it presses while nobody is writing in the canvas's cell; or
            "hide", the canvas's own.
        first: the ``frame`` that it shows at first.
        compares: has a button that shows the ``before`` of the frame while it is held.
        options: of ``gr.HTML``, such as ``elem_id``.
    """
    made = gr.HTML(
        None,
        label=label,
        html_template=_template(tools, label, compares),
        js_on_load="ganbookCanvas.attach(element, trigger, props, watch);",
        apply_default_css=False,
        frame=first,
        config={
            "tools": [asdict(tool) for tool in tools],
            "hints": {**HINTS, **(hints or {})},
            "touch": HINTS_TOUCH,
            "empty": empty,
            "most": most,
            "keys": keys,
        },
        **options,
    )
    # Not a class of its own: Gradio would write a file of types beside this one for it.
    points = any(tool.kind == "points" for tool in tools)
    made.api_info = lambda: API_INFO if points else API_INFO_BRUSHES
    made.example_payload = made.example_value = lambda: EXAMPLE if points else EXAMPLE_BRUSHES
    return made


def _template(tools: Sequence[Tool], label: str, compares: bool) -> str:
    def button(words: str, icon: str, data: str, kind: str = "") -> str:
        path = f'<svg viewBox="0 0 16 16" aria-hidden="true"><path d="{icon}"/></svg>'
        title = f' title="{words}"' if kind else ""
        return f'<button type="button" class="{kind}" {data}{title}>{path}<span>{words}</span></button>'

    chosen = "".join(button(tool.label, tool.icon, f'data-tool="{tool.name}"') for tool in tools)
    size = colour = ""
    if paints := [tool for tool in tools if tool.kind == "paint"]:
        chosen += button("Erase", ICONS["erase"], f'data-tool="{paints[0].name}" data-erase="true"')
    if sized := [tool for tool in tools if tool.kind != "points"]:
        words = "Brush" if paints == sized else "Size"
        least = round(100 * min(tool.least for tool in sized))
        size = (
            f'<label class="gc-size" hidden>{words}'
            f'<input type="range" min="{least}" max="50" step="1" aria-label="Size of the brush"></label>'
        )
    for free in (tool for tool in paints if tool.free):
        first = "".join(f"{v:02x}" for v in free.palette[0][:3])
        well = f'<input type="color" value="#{first}" aria-label="Colour of the brush" title="Colour of the brush">'
        dropper = button("Take a colour from the picture", ICONS["pick"], 'data-act="pick"', "gc-icon")
        colour = f'<div class="gc-group gc-colour" hidden>{well}{dropper}</div>'
    acts = {"undo": "Undo", "redo": "Redo", "clear": "Clear", "hide": "Hide the marks"}
    acts |= {"before": "Hold to see the picture at the start"} if compares else {}
    others = "".join(button(words, ICONS[act], f'data-act="{act}"', "gc-icon") for act, words in acts.items())
    return (
        '<div class="gc gc-empty">'
        f'<div class="gc-bar" role="toolbar" aria-label="Tools of the canvas">'
        f'<div class="gc-group">{chosen}</div>{colour}{size}<div class="gc-group">{others}</div></div>'
        f'<div class="gc-view" tabindex="0" role="application" aria-label="{label}. Arrow keys steer, Enter sets.">'
        '<canvas class="gc-picture" role="img"></canvas><svg class="gc-marks"></svg></div>'
        '<p class="gc-hint" role="status"></p></div>'
    )


# -- what it shows ---------------------------------------------------------------------------------------------------


def frame(
    image: Image.Image | None,
    alt: str = "",
    points: Sequence[tuple[Sequence[float], Sequence[float]]] | None = None,
    running: bool = False,
    passing: bool = False,
    before: Image.Image | None = None,
) -> dict:
    """What a canvas shows until the next frame: ``gr.update(frame=canvas.frame(...))``. It touches nothing drawn.

    Args:
        image: the picture, None for none.
        alt: the picture in words.
        points: pairs of (where a handle has come to, its target), in the order in which they were drawn.
        running: the picture moves by itself: nobody can draw until a frame comes that does not, or none for long.
        passing: another frame comes in a moment, but drawing goes on.
        before: what a canvas that ``compares`` shows as long as that is held; of a moving picture the last one.
    """

    def sent(shown: Image.Image | None) -> str | None:
        if shown is None:
            return None
        exact = max(shown.size) <= (PLAIN_LIVE if running or passing else PLAIN)
        return tables.data_uri(shown, compress_level=1) if exact else tables.data_uri(shown, "JPEG", quality=92)

    pairs = None if points is None else [{"handle": list(h), "target": list(t)} for h, t in points]
    size = list(image.size) if image is not None else None
    shown = {"picture": sent(image), "size": size, "alt": alt, "points": pairs, "running": running}
    return shown if running else {**shown, "before": sent(before)}


def drawn(
    size: tuple[int, int],
    points: Sequence[tuple[Sequence[float], Sequence[float] | None]] = (),
    layers: dict[str, Layer] | None = None,
    patches: Sequence[Patch] | None = None,
) -> dict:
    """A value for a canvas: what a visitor could have drawn."""
    moved = {} if patches is None else {"patches": [patch.to_json() for patch in patches]}
    return {
        "size": list(size),
        "points": [{"handle": list(h), "target": None if t is None else list(t)} for h, t in points],
        "layers": {name: layer.to_json() for name, layer in (layers or {}).items()},
        **moved,
    }


# -- what was drawn --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Where a point is and where it shall go, in pixels of the picture; ``target`` is None where none was set."""

    handle: tuple[float, float]
    target: tuple[float, float] | None


@dataclass(frozen=True)
class Patch:
    """A square of the picture, ``size`` pixels a side, cut out around ``source`` and laid around ``target``."""

    source: tuple[float, float]
    target: tuple[float, float]
    size: float

    def to_json(self) -> dict:
        return {"source": list(self.source), "target": list(self.target), "size": self.size}


@dataclass(frozen=True)
class Layer:
    """``cells`` ``[h, w]`` uint8: 0 where nothing was painted, else the number of the colour.

    ``palette``: the colours, where they are free; the first one has number 1.
    """

    cells: np.ndarray
    palette: tuple[tuple[int, int, int], ...] | None = None

    def area(self, size: tuple[int, int]) -> Image.Image | None:
        """What is painted, in grey at ``size`` (width, height): 255 for a pixel all covered. None if nothing is."""
        if not self.cells.any():
            return None
        return Image.fromarray((self.cells > 0).astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)

    def colours(self, size: tuple[int, int]) -> Image.Image | None:
        """What is painted, as RGBA at ``size`` (width, height); opaque where it covers a pixel. None if nothing is."""
        if not self.cells.any():
            return None
        table = np.array([(0, 0, 0, 0), *((*rgb, 255) for rgb in self.palette or ())], dtype=np.uint8)
        return Image.fromarray(table[self.cells], "RGBA").resize(size, Image.Resampling.BOX)

    @classmethod
    def of(cls, painted: Image.Image) -> Layer:
        """What somebody would have painted to get an RGBA picture: its colours, ``MAX_COLOURS`` at most."""
        values = np.asarray(painted.convert("RGBA"))
        there, cells = values[..., 3] >= 128, np.zeros(values.shape[:2], np.uint8)
        if not there.any():
            return cls(cells, ())
        # Only what is painted counts for the palette, so it is laid out as a picture of its own.
        flat = Image.fromarray(np.ascontiguousarray(values[there][None, :, :3]))
        flat = flat.quantize(MAX_COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
        numbers, inverse = np.unique(np.asarray(flat)[0], return_inverse=True)
        table = np.array(flat.getpalette(), dtype=np.uint8).reshape(-1, 3)[numbers]
        cells[there] = inverse + 1
        return cls(cells, tuple(tuple(int(v) for v in rgb) for rgb in table))

    def to_json(self) -> dict:
        flat = (self.cells if self.palette is not None else self.cells > 0).ravel()
        bounds = [0, *(np.flatnonzero(flat[1:] != flat[:-1]) + 1).tolist(), flat.size]
        runs = [end - start for start, end in zip(bounds, bounds[1:], strict=False)]
        size = [self.cells.shape[1], self.cells.shape[0]]
        if self.palette is None:
            return {"size": size, "runs": [0, *runs] if flat[0] else runs}
        numbers = [int(flat[start]) for start in bounds[:-1]]
        pairs = [v for pair in zip(runs, numbers, strict=True) for v in pair]
        return {"size": size, "runs": pairs, "palette": [list(rgb) for rgb in self.palette]}


@dataclass(frozen=True)
class Drawing:
    """What was drawn, checked: ``size`` (width, height) is None for an untouched canvas."""

    size: tuple[int, int] | None = None
    points: tuple[Pair, ...] = ()
    layers: dict[str, Layer] = field(default_factory=dict)
    patches: tuple[Patch, ...] = ()


def read(value: Any, tools: Sequence[Tool] = (POINTS, MASK), most: int = MAX_POINTS) -> Drawing:
    """A canvas's value, whoever sent it. Raises UserError for anything that could not have been drawn."""
    if value is None or value == "":
        return Drawing()
    parts = ["points"] * any(tool.kind == "points" for tool in tools) + ["layers"]
    warp = next((tool for tool in tools if tool.kind == "patch"), None)
    parts += ["patches"] * (warp is not None)
    if not isinstance(value, dict) or set(value) - {"size", "points", *parts}:
        named = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
        raise UserError(f"A drawing has a size, {named}, and nothing else.")
    width, height = _size(value.get("size"), "The size of a drawing", MAX_SIDE)
    most = most if "points" in parts else 0
    points = checks.sequence(value.get("points") or [], "The points of a drawing", 0, most)
    pairs = tuple(_pair(point, i + 1, width, height) for i, point in enumerate(points))
    given = value.get("layers") or {}
    brushes = {tool.name: tool for tool in tools if tool.kind == "paint"}
    if not isinstance(given, dict) or set(given) - set(brushes):
        raise UserError(f"Areas can be painted for {', '.join(brushes) or 'nothing'} here.")
    layers = {name: _layer(layer, brushes[name]) for name, layer in given.items()}
    moved = checks.sequence(value.get("patches") or [], "The patches of a drawing", 0, warp.most if warp else 0)
    patches = tuple(_patch(patch, i + 1, width, height) for i, patch in enumerate(moved))
    return Drawing((width, height), pairs, layers, patches)


def _size(value: Any, name: str, most: int) -> tuple[int, int]:
    width, height = checks.sequence(value, name, 2, 2)
    return checks.integer(width, name, 1, most), checks.integer(height, name, 1, most)


def _pair(value: Any, number: int, width: int, height: int) -> Pair:
    if not isinstance(value, dict) or set(value) - {"handle", "target"}:
        raise UserError(f"Point {number} must have a handle and a target.")

    def place(given: Any, name: str) -> tuple[float, float]:
        return _place(given, f"The {name} of point {number}", width, height)

    target = value.get("target")
    return Pair(place(value.get("handle"), "handle"), None if target is None else place(target, "target"))


def _place(value: Any, name: str, width: int, height: int) -> tuple[float, float]:
    x, y = checks.sequence(value, name, 2, 2)
    return (
        checks.number(x, f"{name}, from the left,", -0.5, width - 0.5),
        checks.number(y, f"{name}, from above,", -0.5, height - 0.5),
    )


def _patch(value: Any, number: int, width: int, height: int) -> Patch:
    if not isinstance(value, dict) or set(value) - {"source", "target", "size"}:
        raise UserError(f"Patch {number} must have a source, a target and a size.")
    return Patch(
        _place(value.get("source"), f"The source of patch {number}", width, height),
        _place(value.get("target"), f"The target of patch {number}", width, height),
        checks.number(value.get("size"), f"The size of patch {number}", 1, min(width, height)),
    )


def _palette(value: Any) -> tuple[tuple[int, int, int], ...]:
    colours = []
    for colour in checks.sequence(value, "The palette of a painted area", 0, MAX_COLOURS):
        rgb = checks.sequence(colour, "A colour of a palette", 3, 3)
        colours.append(tuple(checks.integer(v, "A colour's red, green and blue", 0, 255) for v in rgb))
    return tuple(colours)


def _layer(value: Any, tool: Tool) -> Layer:
    keys = {"size", "runs", "palette"} if tool.free else {"size", "runs"}
    if not isinstance(value, dict) or set(value) - keys:
        raise UserError(f"A painted area has a size and runs{' and a palette' if tool.free else ''}.")
    palette = _palette(value.get("palette")) if tool.free else None
    colours = len(tool.palette) if palette is None else len(palette)
    width, height = _size(value.get("size"), "The size of a painted area", MAX_CELLS)
    runs = checks.sequence(value.get("runs"), "The runs of a painted area", 1, MAX_RUNS)
    if any(type(run) is not int or not 0 <= run <= width * height for run in runs):
        raise UserError("The runs of a painted area must be whole numbers of cells.")
    if tool.free or colours > 1:
        if len(runs) % 2 or any(colour > colours for colour in runs[1::2]):
            raise UserError(f"The runs of a painted area must be pairs of a length and a colour up to {colours}.")
        lengths, values = runs[::2], runs[1::2]
    else:
        lengths, values = runs, [i % 2 for i in range(len(runs))]
    if sum(lengths) != width * height:
        raise UserError(f"The runs of a painted area must be {width * height:,} cells together.")
    return Layer(np.repeat(np.array(values, dtype=np.uint8), lengths).reshape(height, width), palette)
