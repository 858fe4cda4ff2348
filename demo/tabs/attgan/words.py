"""Words, pictures and Python of the AttGAN tab: what is shown of a face, and what can be taken away."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PIL import Image

from weights.errors import UserError

from ... import networks
from ...session import Sent
from . import work
from .desk import CENTRE, UPLOADED, Desk, Found

SHOWN = 384  # pixels of the two faces beside each other
WHOLE = 1024  # pixels of the comparison of whole photographs


def usual(found: Found, name: str) -> float:
    """What the decoder is told of an attribute that nobody has touched."""
    from pipelines import attgan

    return attgan.TRAINED if found.face.has[name] else -attgan.TRAINED


def same(a: float, b: float) -> bool:
    return abs(a - b) < 1e-6


def numbers(wanted: dict) -> dict[str, float]:
    """Intensities that a pipeline has taken, as numbers whatever they were sent as."""
    return {name: float(value) for name, value in wanted.items()}


def cleared(desk: Desk) -> dict[str, str]:
    """What the present wishes switch off besides, and by which of them."""
    from pipelines import attgan

    found = desk.face()
    return attgan.cleared(found.face.has, desk.wanted)


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


def enlarged(image: Image.Image) -> Image.Image:
    if image.width >= SHOWN:
        return image
    return image.resize((SHOWN, SHOWN), Image.Resampling.BICUBIC)


def fitted(image: Image.Image) -> Image.Image:
    """Small enough to be sent at every movement of a slider; a picture that is small already is enlarged."""
    scale = min(WHOLE / max(image.size), max(1.0, SHOWN / max(image.size)))
    size = tuple(max(1, round(v * scale)) for v in image.size)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def crop_of(photo: Image.Image, face) -> Image.Image:
    """A face with some of what is around it, for a list of faces."""
    left, top, right, bottom = face.box
    margin = 0.25 * max(right - left, bottom - top)
    box = (
        max(0, left - margin),
        max(0, top - margin),
        min(photo.width, right + margin),
        min(photo.height, bottom + margin),
    )
    cut = photo.crop(tuple(round(v) for v in box))
    cut.thumbnail((160, 160), Image.Resampling.LANCZOS)
    return cut


def number_of(which, count: int) -> int | str:
    """Which of ``count`` faces is asked for: its number, the first if nothing is said, or ``CENTRE``.

    Raises:
        UserError: there is no such face.
    """
    if which == CENTRE:
        return CENTRE
    try:
        number = 0 if which in (None, "") else int(which)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < count:
        raise UserError(f"There is no face {str(which)[:12]} in this photograph; they are numbered 0 to {count - 1}.")
    return number


def pictures_of(visitor, sent: Sequence[Sent]) -> list[Image.Image]:
    """Pictures of one network that another tab sent, enlarged to what a face finder is used to."""
    return work.pictures(networks.resolve(visitor, sent[0].network, "stylegan2"), sent, SHOWN)


def source_of(sent: Sent, photo: Image.Image) -> str:
    """The Python that makes a picture that was sent here; what has no short one is to be saved first."""
    if sent.latent or sent.network.startswith("own:"):
        return UPLOADED
    told = f", class_index={sent.class_index}" if sent.class_index is not None else ""
    return "\n".join(
        [
            f'source = weights.load("{sent.network}")',
            f"w = stylegan2.latent(source, seed={sent.seed}, truncation_psi={sent.truncation_psi!r}{told})",
            f"photo = stylegan2.picture(source, w).resize({photo.size!r}, Image.Resampling.BICUBIC)",
        ]
    )


def recipe_for(function: str, found: Found, arguments: dict, output: dict | None = None):
    """The recipe of a call for this face, which holds the face itself."""
    from pipelines import attgan
    from pipelines.recipes import Recipe

    given = {"image": attgan.encode_image(found.face.image), **arguments, "has": found.face.has}
    recipe = Recipe(function, found.checkpoint, found.sha256, given, output)
    recipe.check()
    return recipe


def code(found: Found, calls: Sequence[str]) -> str:
    """Python that reads the face out of the photograph, then ``calls``, the last of which makes ``result``."""
    own = found.checkpoint.startswith("own:")
    load = 'weights.read("your-file")' if own else f'weights.load("{found.checkpoint}")'
    size = found.aligned.size
    if found.which == CENTRE:
        cut = f"faces.centre_crop(photo, {size})"
    else:
        cut = f'faces.align(photo, {found.which}, crop="{found.aligned.crop}", size={size})'
    lines = [
        "import weights",
        "from PIL import Image",
        f"from pipelines import attgan, faces{', stylegan2' if 'stylegan2.' in found.source else ''}",
        "",
        f"net = {load}",
        found.source,
        f"aligned = {cut}",
        f"face = attgan.encode(net, aligned.image, {found.face.has!r})",
        *calls,
    ]
    return "\n".join(lines) + "\n"


def code_of(desk: Desk) -> str:
    """The Python that makes the whole photograph again."""
    return code(
        desk.face(),
        [
            f"edit = attgan.edit(net, face, {desk.wanted!r})",
            "result = faces.paste(photo, aligned, attgan.edit(net, face, {}), edit)",
        ],
    )
