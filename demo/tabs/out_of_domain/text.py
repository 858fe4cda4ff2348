"""Words, pictures and Python of the out-of-domain tab: what is shown of an edit, and what can be taken away."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PIL import Image

from ...pictures import CENTRE, enlarged
from .state import Found, State

CAPTIONS = ("I · photograph", "I′ · inverted", "T · edited", "M · mask", "F · blended", "result")
TILE = 256


def shown(name: str) -> str:
    return str(name)[:40].replace("_", " ").lower()


def summary_of(wanted: dict[str, float]) -> str:
    words = [f"{shown(name)} {value:+.2f}".replace(".00", "") for name, value in wanted.items() if value]
    return ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "") if words else "As it is"


def stages(state: State) -> list[tuple[Image.Image, str]]:
    """Every stage with its caption; before an edit is made, what is there of them."""
    made = state.made
    if made is None:
        pictures = [state.found.aligned.image] if state.found else []
    else:
        pictures = [made.photo, made.inverted, made.edited, made.overlay, made.fused, made.result]
    return [(tile(image), caption) for image, caption in zip(pictures, CAPTIONS, strict=False)]


def tile(image: Image.Image) -> Image.Image:
    return image if image.width >= TILE else image.resize((TILE, TILE), Image.Resampling.BICUBIC)


def board(state: State) -> Image.Image | None:
    """What is painted on: the photograph with the mask over it."""
    if state.made is not None:
        return enlarged(state.made.overlay)
    return enlarged(state.found.aligned.image) if state.found is not None else None


def missing(found: Found | None) -> str:
    """A list of what this network lacks, as HTML."""
    if found is None or not found.missing:
        return ""
    rows = "".join(f"<li>{escape(sentence)}</li>" for sentence in found.missing.values())
    return f'<ul class="nb-missing">{rows}</ul>'


def warning(made, wanted: bool = True) -> str:
    """What has to be said of an edit whose inversion is poor where it is shown, or that shows nowhere."""
    if made is not None and wanted and made.residual is None:
        return (
            "Nothing of this edit is shown: the mask is empty. Lower its threshold, invert longer, or let the edit show"
            " where the network's own picture is far from the photograph, too."
        )
    if made is None or not wanted:
        return ""
    said = []
    if made.stranger:
        said.append("The person may not be recognised in this; lower the strength, or invert longer.")
    if made.wide:
        said.append(
            f"The mask covers {made.share:.0%} of the picture, more than such an edit should need; raise its threshold,"
            " or paint what must stay."
        )
    if made.poor:
        said.append(_poor(made))
    return " ".join(said)


def _poor(made) -> str:
    return (
        f"Inside the mask the network's own picture is {made.residual:.0%} of the whole range away from the photograph,"
        " so what is shown there may be another face's; paint that part out, or invert longer."
    )


def facts(state: State) -> str:
    """What ran, in one line."""
    found, made = state.found, state.made
    parts = [summary_of(state.wanted)]
    if made is not None and made.residual is not None:
        parts.append(f"{made.residual:.1%} off inside the mask (|I − I′|)")
    if state.known is not None and state.known.likeness is not None:
        like = state.known.likeness
        parts.append(f"likeness {like.words} ({like.levels:.0f} levels)")
    if made is not None and made.recoloured:
        parts.append("mask: the hair of the photograph")
    elif made is not None and made.named and state.wanted:
        parts.append(f"mask for {shown(made.named)} (Diff-CAM)")
    parts += [state.way.told if state.way else "not inverted yet", f"{found.title}, {found.size} px, on {found.device}"]
    return " · ".join(parts)


def recipe_for(function: str, state: State, arguments: dict, output: dict | None = None):
    """The recipe of a call for this face, which holds the face and its latent."""
    from pipelines import out_of_domain
    from pipelines.recipes import Recipe

    found, known = state.ready(), state.known
    text = out_of_domain.encode_latent(known.latent)
    tuning = {"tuning": known.tuned} if known.tuned else {}
    given = {"image": out_of_domain.encode_image(known.photo), "latent": text, **tuning, **arguments}
    used = {name for name, _value in arguments["edits"]} | {arguments.get("direction")}
    own = {name: text for name, text in state.own.items() if name in used}
    given |= {"own": own} if own else {}
    recipe = Recipe(function, found.checkpoint, found.sha256, {**given, "parts": found.parts}, output)
    recipe.check()
    return recipe


def code(state: State, calls: Sequence[str], saving: str | None = None) -> str:
    """Python that inverts the face of the photograph, then ``calls``, the last of which makes ``result``.

    ``saving`` is the line that writes the result, if not as pictures.
    """
    from pipelines import out_of_domain
    from pipelines.recipes import RUN_IN, SAVE

    found = state.found
    own = found.checkpoint.startswith("own:")
    load = 'out_of_domain.gather(weights.read("your-file"))' if own else f'out_of_domain.load("{found.checkpoint}")'
    if found.which == CENTRE:
        cut = f"faces.centre_crop(photo, {found.size})"
    else:
        cut = f'faces.align(photo, {found.which}, crop="{found.aligned.crop}", size={found.size})'
    uses = own or "weights." in found.source
    calls = [*calls, saving or SAVE]
    modules = [m for m in ("animation", "pictures", "stylegan2") if f"{m}." in "".join([found.source, *calls])]
    lines = [
        RUN_IN,
        *(["import weights"] if uses else []),
        "from PIL import Image",
        f"from pipelines import {', '.join(sorted(['faces', 'out_of_domain', *modules]))}",
        "",
        f"nets = {load}",
        found.source,
        f"aligned = {cut}",
    ]
    if state.way is not None and state.way.arguments is not None:
        options = "".join(f", {name}={value!r}" for name, value in state.way.arguments.items())
        lines += [
            f"*_, last = out_of_domain.invert(nets, aligned.image{options})",
            "known = out_of_domain.inverted(nets, aligned.image, last)",
        ]
    else:
        text = out_of_domain.encode_latent(state.known.latent)
        tuning = f", tuning={state.known.tuned}" if state.known.tuned else ""
        lines.append(f'known = out_of_domain.inverted(nets, aligned.image, "{text}"{tuning})')
    if state.own and any("own=" in call for call in calls):
        lines += ["own = {}", 'for path in ["your-direction.npy"]:']
        lines += ["    for name, step in out_of_domain.published(nets, path).items():"]
        lines += ["        own[name] = out_of_domain.encode_step(nets, step)"]
    return "\n".join([*lines, *calls]) + "\n"


def call(function: str, state: State, arguments: dict) -> str:
    """``function(nets, known, ...)`` as Python."""
    values = "".join(f", {name}={value!r}" for name, value in arguments.items())
    used = {name for name, _value in arguments.get("edits", ())} | {arguments.get("direction")}
    return f"out_of_domain.{function}(nets, known{values}{', own=own' if used & set(state.own) else ''})"


def code_of(state: State) -> str:
    """The Python that makes the whole photograph again."""
    made = call("edit", state, state.options())
    return code(state, [f"made = {made}", "result = out_of_domain.paste(photo, aligned, made)"])
