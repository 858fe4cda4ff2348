"""Words, pictures and Python of the AttGAN tab: what is shown of a face, and what can be taken away."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ...pictures import CENTRE
from .state import Found, State


def usual(found: Found, name: str) -> float:
    """What the decoder is told of an attribute that nobody has touched."""
    from pipelines import attgan

    return attgan.TRAINED if found.face.has[name] else -attgan.TRAINED


def same(a: float, b: float) -> bool:
    return abs(a - b) < 1e-6


def numbers(wanted: dict) -> dict[str, float]:
    """Intensities that a pipeline has taken, as numbers whatever they were sent as."""
    return {name: float(value) for name, value in wanted.items()}


def cleared(state: State) -> dict[str, str]:
    """What the present wishes switch off besides, and by which of them."""
    from pipelines import attgan

    found = state.face()
    return attgan.cleared(found.face.has, state.wanted)


def summary_of(wanted: dict[str, float]) -> str:
    from pipelines import attgan

    words = [f"{attgan.shown(name)} {value:+.2f}".replace(".00", "") for name, value in wanted.items()]
    return ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "") if words else "As it is"


def odds_table(odds: dict[str, float], after: dict[str, float] | None = None) -> str:
    """The probabilities as bars, the surest first; after an edit those of the edit, and what they were."""
    from pipelines import attgan

    rows = []
    for name, before in sorted(odds.items(), key=lambda item: -item[1]):
        now = before if after is None else after[name]
        moved = abs(now - before) >= 0.1
        kind = ' class="nb-moved"' if moved else ""
        words = f"{before:.0%} → {now:.0%}" if moved else f"{now:.0%}"
        rows.append(
            f"<li{kind}><span>{escape(attgan.shown(name))}</span>"
            f'<meter min="0" max="1" value="{now:.3f}"></meter><b>{words}</b></li>'
        )
    return f'<ol class="nb-odds" aria-label="What the classifier sees">{"".join(rows)}</ol>'


def recipe_for(function: str, found: Found, arguments: dict, output: dict | None = None):
    """The recipe of a call for this face, which holds the face itself."""
    from pipelines import attgan
    from pipelines.recipes import Recipe

    given = {
        "image": attgan.encode_image(found.face.image),
        **arguments,
        "has": found.face.has,
        "local": found.face.local,
    }
    recipe = Recipe(function, found.checkpoint, found.sha256, given, output)
    recipe.check()
    return recipe


def code(found: Found, calls: Sequence[str], saving: str | None = None) -> str:
    """Python that reads the face out of the photograph, then ``calls``, the last of which makes ``result``.

    ``saving`` is the line that writes the result, if not as pictures.
    """
    from pipelines.recipes import RUN_IN, SAVE

    own = found.checkpoint.startswith("own:")
    load = 'weights.read("your-file")' if own else f'weights.load("{found.checkpoint}")'
    size = found.aligned.size
    calls = [*calls, saving or SAVE]
    modules = [m for m in ("animation", "pictures", "stylegan2") if f"{m}." in "".join([found.source, *calls])]
    if found.which == CENTRE:
        cut = f"faces.centre_crop(photo, {size})"
    else:
        cut = f'faces.align(photo, {found.which}, crop="{found.aligned.crop}", size={size})'
    lines = [
        RUN_IN,
        "import weights",
        "from PIL import Image",
        f"from pipelines import {', '.join(['attgan', 'faces', *modules])}",
        "",
        f"net = {load}",
        found.source,
        f"aligned = {cut}",
        f"face = attgan.encode(net, aligned.image, {found.face.has!r}, local={found.face.local})",
        *calls,
    ]
    return "\n".join(lines) + "\n"


def code_of(state: State) -> str:
    """The Python that makes the whole photograph again."""
    return code(
        state.face(),
        [
            f"wanted = {state.wanted!r}",
            "still, edit = attgan.edit(net, face, {}), attgan.edit(net, face, wanted)",
            "result = attgan.paste(photo, aligned, face, still, edit, wanted)",
        ],
    )
