"""Between drawings and arguments, and the words, tiles and Python of the iGAN tab."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from weights.errors import UserError

from ... import canvas
from ...tiles import Tile
from .state import AVERAGE, Run, State

TOOLS = (canvas.COLOUR, canvas.SKETCH, canvas.WARP)
FINE = 256  # pixels at which a painted layer is handed on, so that the pipeline can average it down itself


def edits_of(drawn: canvas.Drawing, size: int) -> dict:
    """What a drawing asks for, as arguments of ``igan.brush`` that JSON can carry; what is not there is left out."""
    from pipelines import igan, images

    if drawn.size is not None and drawn.size != (size, size):
        raise UserError(f"This was drawn on another picture; draw on this one of {size} x {size} pixels.")
    found: dict = {}
    fine = (max(size, FINE),) * 2
    if "colour" in drawn.layers and (painted := drawn.layers["colour"].colours(fine)) is not None:
        found["colour"] = igan.encode_colour(painted, size)
    if "sketch" in drawn.layers and (lines := drawn.layers["sketch"].area(fine)) is not None:
        found["sketch"] = images.encode_mask(lines, size)
    if drawn.patches:
        found["warp"] = [patch.to_json() for patch in drawn.patches]
    return found


def drawing_of(arguments: dict, size: int) -> dict:
    """What a hand would have drawn for the arguments of a recipe."""
    from pipelines.igan.constraints import read_colour
    from pipelines.images import read_mask

    layers = {}
    if arguments.get("colour"):
        colour, alpha = read_colour(arguments["colour"], size)
        levels = np.concatenate([(colour.numpy() + 1) / 2, alpha.numpy()]).clip(0, 1) * 255
        rgba = Image.fromarray(levels.round().astype(np.uint8).transpose(1, 2, 0).copy(), "RGBA")
        layers["colour"] = canvas.Layer.of(rgba)
    if arguments.get("sketch"):
        layers["sketch"] = canvas.Layer((read_mask(arguments["sketch"], size).numpy() >= 0.5).astype(np.uint8))
    patches = [
        canvas.Patch(tuple(patch["source"]), tuple(patch["target"]), patch["size"])
        for patch in arguments.get("warp") or ()
    ]
    return canvas.drawn((size, size), layers=layers, patches=patches)


def moved(drawn: canvas.Drawing, run: Run | None) -> list[canvas.Patch]:
    """Patches that were not there when the manifold answered last; one that was pulled on is no new one."""
    before = [] if run is None else [(tuple(p["source"]), p["size"]) for p in run.arguments.get("warp", ())]
    return [patch for patch in drawn.patches if (tuple(patch.source), patch.size) not in before]


# -- words -------------------------------------------------------------------------------------------------------------


def tiles_of(state: State) -> tuple[list[Tile], str | None]:
    """The candidates, the best first, then their average; and the key of the one that is chosen."""
    if not state.candidates:
        return [], None
    found = [
        Tile(str(c.number), c.image, f"{i + 1} · {c.cost:.3f}", f"Candidate {i + 1}, cost {c.cost:.3f}")
        for i, c in enumerate(state.candidates)
    ]
    average = state.run.last.average
    if average is not None:
        found.append(Tile(AVERAGE, average, "average", "The average of all candidates"))
    return found, AVERAGE if state.chosen == AVERAGE else str(state.candidate.number)


def alt_of(state: State) -> str:
    start = state.opened()
    if state.chosen == AVERAGE and state.candidates:
        return f"{start.about}: the average of {len(state.candidates)} candidates"
    if state.candidate is not None:
        return f"{start.about}: candidate {state.rank + 1} of {len(state.candidates)} for what was painted"
    return f"{start.about}, {len(state.rounds)} times painted on" if state.rounds else start.about


def meter_of(run: Run | None) -> str:
    """HTML: how far an answer is, in numbers."""
    if run is None or run.last is None:
        return ""
    steps, done = run.arguments["steps"], run.last.step
    numbers = {
        "step": f"{done} of {steps}",
        "least cost": f"{run.last.best:.3f}",
        "steps a second": f"{run.rate:.0f}" if run.rate >= 10 else f"{run.rate:.1f}",
    }
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in numbers.items())
    return f'<dl>{items}</dl><progress max="{steps}" value="{done}" aria-label="steps made"></progress>'


def summary_of(state: State) -> str:
    """What ran, in one line."""
    start, run = state.opened(), state.run
    if run is None or run.last is None:
        return f"{start.about}, {start.resolution} px, on {start.device}"
    errors = ", ".join(f"{name} {value:.3f}" for name, value in state.candidate.errors.items())
    made = f"{'Stopped after ' if run.stopped else ''}{run.last.step} step{'s' if run.last.step != 1 else ''}"
    count = len(state.candidates)
    parts = [made, f"{count} candidate{'s' if count != 1 else ''}", f"error of the chosen one: {errors}"]
    parts += [f"{len(state.rounds)} fixed before"] if state.rounds else []
    return " · ".join([*parts, f"{run.rate:.1f} steps a second on {start.device}", start.about])


# -- what can be taken away --------------------------------------------------------------------------------------------


def recipe_of(state: State):
    """What makes the candidates again, and which of them is chosen. Raises UserError while nothing was painted."""
    from pipelines.recipes import Recipe

    start = state.opened()
    if state.candidate is None:
        raise UserError("Nothing was painted yet; paint a colour, draw a line or move a patch first.")
    which = AVERAGE if state.chosen == AVERAGE else state.rank
    recipe = Recipe("igan.brush", start.checkpoint, start.sha256, state.run.recipe(), {"candidate": which})
    recipe.check()
    return recipe


def loading(checkpoint: str) -> str:
    own = checkpoint.startswith("own:")
    return 'net = weights.read("your-file")' if own else f'net = weights.load("{checkpoint}")'


def code(checkpoint: str, calls: Sequence[str], modules: Sequence[str] = ("igan",), saving: str | None = None) -> str:
    """Python that opens the network, then ``calls``, the last of which makes ``result``.

    ``saving`` is the line that writes the result, if not as pictures.
    """
    from pipelines.recipes import RUN_IN, SAVE

    calls = [*calls, saving or SAVE]
    modules = [*modules, *(m for m in ("animation", "pictures") if calls[-1].startswith(m))]
    image = ["from PIL import Image"] if any("Image." in call for call in calls) else []
    head = [RUN_IN, "import weights", *image, f"from pipelines import {', '.join(sorted(modules))}"]
    return "\n".join([*head, "", loading(checkpoint), *calls]) + "\n"


def code_of(state: State) -> str:
    """The Python that makes the chosen picture again."""
    start = state.opened()
    if state.candidate is None:
        if state.z0 is None:
            return "# Paint something; the Python that makes the answer then stands here.\n"
        return code(start.checkpoint, [f"result = igan.picture(net, {state.z0!r})"])
    arguments = "".join(f"    {name}={value!r},\n" for name, value in state.run.recipe().items())
    chosen = "last.average" if state.chosen == AVERAGE else f"last.candidates[{state.rank}].image"
    return code(start.checkpoint, [f"*_, last = igan.brush(\n    net,\n{arguments})", f"result = {chosen}"])


def features(words: str, remark: str = "") -> str:
    """HTML: whose features a projection compares, and what else there is to be said of it."""
    lines = [f"Features: {words}", remark] if remark else [f"Features: {words}"]
    return "".join(f'<p class="nb-about">{escape(line)}</p>' for line in lines)


def whole(value):
    """3.0 as 3; what is no whole number stays as it is, for the pipeline to refuse it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
