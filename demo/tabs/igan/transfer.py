"""Cells 3 and 4: what changed between two latents, done to the photograph; and one photograph becomes another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gradio as gr
from PIL import Image

from weights.errors import UserError

from ... import controls, gpu, networks, results, uploads
from ...controls import kinds
from ...networks import Reference, size_text
from ...notebook import Cell, Notebook, going, note
from ...pictures import fitted
from ...running import named
from . import jobs
from .display import state_of
from .handlers import Handlers
from .project import KEPT, Finding
from .text import code

PROSE = r"""
What the network makes is small and soft. So its picture is not what you get: along the way from $G(z_0)$ to $G(z_1)$ it
is measured how everything moves and how its colours change from frame to frame; these changes are put together and done
to your *photograph*, in all its pixels. Grain, threads and letters stay, because they were never redrawn.
"""
MORPH = r"""
Both photographs get their latents; of two that are much alike the network is made to err alike in both, so that its
pictures differ by what the photographs differ by. On the way from one to the other the changes are carried over to both
of them, from both ends, and what comes is a blend of the two.
"""
API = """Does to the photograph of igan_project what was painted on it in this session. Yields while it runs; the last
answer has the result at the photograph's own size as PNG, before and after, the animation as a picture or as a video,
its file, the recipe where the photograph is small enough to be held in one, the Python, what ran, and the news.

Args:
    frames: pictures on the way, 2 to 48.
    format: gif, webp or mp4.
    fps: frames per second, 1 to 60.
"""
API_MORPH = """One photograph becomes another. Yields while it runs; the last answer has the picture in the middle as
PNG, the animation as a picture or as a video, its file, the Python, what ran, and the news.

Args:
    network: igan/shoes, igan/faces, igan/flowers, or a StyleGAN2.
    photo, other: the photographs.
    crop: middle (the largest square), face (found and aligned), or auto (face where the network makes faces).
    frames: 3 to 48.
    format: gif, webp or mp4.
    fps: frames per second, 1 to 60.
"""
FILM_SIDE = 512  # pixels of the animation at most
HELD_SIDE, HELD_TEXT = 1024, 900_000  # a photograph that a recipe can hold
MORPH_SIDE = 1024  # of photographs that become one another
BEAT_S = 0.3


def reduced(image: Image.Image, side: int = FILM_SIDE) -> Image.Image:
    if max(image.size) <= side:
        return image
    scale = side / max(image.size)
    return image.resize(tuple(max(2, round(v * scale)) for v in image.size), Image.Resampling.LANCZOS)


def film_of(pictures: list[Image.Image], path: Path, kind: str, fps: float) -> Path:
    """There and back, with a moment's rest at both ends."""
    from pipelines import animation

    rest = max(1, round(fps / 3))
    turned = [*pictures[:1] * rest, *pictures, *pictures[-1:] * rest, *pictures[-2:0:-1]]
    return animation.save(turned, path, fps=fps)


def checked(frames, least: int, kind: str, fps) -> int:
    from pipelines import animation, checks

    checks.choice(kind, "The file", animation.formats())
    checks.number(fps, "Frames a second", 1, 60)
    return checks.integer(frames, "The number of frames", least, 48)


def film_controls(cell: Cell, part: dict) -> None:
    with gr.Row(elem_classes="nb-two"):
        part["frames"] = gr.Slider(3, 48, 16, step=1, label="Frames, one way", elem_id=cell.id("frames"), min_width=0)
        part["fps"] = gr.Slider(1, 60, 12, step=1, label="Frames a second", elem_id=cell.id("fps"), min_width=0)
    part["format"] = gr.Radio(kinds(), value="gif", label="File", elem_id=cell.id("format"))


# -- the edit, transferred ---------------------------------------------------------------------------------------------


def build(book: Notebook, handlers: Handlers) -> Cell:
    part: dict = {}
    with book.cell("transfer", "Edit transfer: the edit on the photograph itself", PROSE) as cell:
        with cell.controls("Transfer it", stop="always"):
            gr.Markdown(
                "The photograph is the one of cell 2; the edit is what you painted on it on the pad.",
                elem_classes="nb-hint",
            )
            film_controls(cell, part)
        with cell.result("The photograph · PNG"):
            with gr.Row(elem_classes="nb-halves"):
                part["compare"] = controls.before_after(cell, "compare", "jpeg")
                with gr.Column(min_width=0):
                    part["film"], part["video"] = controls.film(cell)
            with gr.Row(elem_classes="nb-tools"):
                part["file"] = cell.download("Animation file", "file")
        part |= {name: getattr(cell, name) for name in ("news", "status", "sheet", "recipe")}
    part["code"] = cell.code
    session = book.chooser.session
    names = ("sheet", "compare", "film", "video", "file", "recipe", "code", "status", "news")
    outputs = [part[name] for name in names]

    def transfer(visitor, frames, format, fps) -> Iterator[dict]:
        state, found = state_of(visitor), visitor.kept.get(KEPT)
        if state.photo is None or found is None:
            raise UserError("There is no photograph on the pad; look for its latent in cell 2, then press Paint on it.")
        if state.candidate is None and not state.rounds:
            raise UserError("Nothing was painted on the photograph yet; paint on the pad in cell 1 first.")
        given = {"z0": state.start.latent, "z1": state.latent}
        yield from made(state.start.reference, state.photo.original, state.photo.crop, given, frames, format, fps)

    def made(
        reference: Reference, photo, crop: str, given: dict, frames, kind: str, fps, sha256=None
    ) -> Iterator[dict]:
        arguments = {**given, "frames": checked(frames, 2, kind, fps)}
        began, shown_at, pictures, last = time.perf_counter(), 0.0, [], None
        with closing(jobs.transferred(reference, photo, crop, arguments, sha256)) as steps:
            for last in steps:
                pictures.append(reduced(last))
                if time.perf_counter() - shown_at > gpu.pace(BEAT_S):
                    shown_at = time.perf_counter()
                    far = going(f"{len(pictures)} of {arguments['frames']} frames")
                    yield {part["film"]: pictures[-1], part["video"]: None, part["news"]: far}
        with results.folder() as folder:
            yield finished(reference, photo, crop, arguments, pictures, last, kind, fps, Path(folder), began)

    def finished(reference, photo, crop, arguments, pictures, last, kind, fps, folder: Path, began: float) -> dict:
        info = reference.open().info
        name = info.name.split("/")[-1].replace(":", "-")
        sheet = folder / f"{name}-photograph.png"
        last.save(sheet, compress_level=1)
        path = str(film_of(pictures, folder / f"{name}-photograph.{kind}", kind, fps))
        recipe = recipe_of(info, photo, crop, arguments, {"format": kind, "fps": fps})
        kept = folder / f"{name}-photograph-recipe.json"
        if recipe is not None:
            kept.write_text(recipe.to_json(), encoding="utf-8")
        size = f"{last.width} x {last.height} px, {size_text(Path(path).stat().st_size)}"
        ran = f"{len(pictures)} frames one way, of {size}"
        options = "".join(f", {k}={v!r}" for k, v in arguments.items())
        calls = ['photo = Image.open("your-photograph.png")']
        if crop == "face":
            calls.append(f'aligned = faces.align(photo, crop="{info.crop or "celeba"}")')
            options += ", aligned=aligned"
        calls.append(f"*_, result = igan.transfer(net, photo{options})")
        seconds = time.perf_counter() - began
        values = {
            "sheet": str(sheet),
            "compare": tuple(fitted(image) for image in (photo, last)),
            "film": None if kind == "mp4" else path,
            "video": path if kind == "mp4" else None,
            "file": path,
            "recipe": gr.update(value=str(kept) if recipe is not None else None, interactive=recipe is not None),
            "code": code(info.name, calls, ("faces", "igan") if crop == "face" else ("igan",)),
            "status": note(f"{ran} · {info.title} · {seconds:.1f} s", "nb-ran"),
            "news": "" if recipe is not None else note("No recipe holds such a photograph; the code repeats it."),
        }
        return {part[key]: value for key, value in values.items()}

    def load(visitor, recipe) -> Iterator[dict]:
        from pipelines.images import decode_image

        given, output = dict(recipe.arguments), {"format": "gif", "fps": 12, **(recipe.output or {})}
        image = given.pop("image")
        if not isinstance(image, str):
            raise UserError("That recipe holds no photograph.")
        if given.pop("aligned", None) is not None:
            raise UserError("A recipe cannot hold an aligned face; take that out of it.")
        frames = given.pop("frames", 16)
        reference = networks.resolve(visitor, recipe.checkpoint, handlers.technique)
        controls_ = {part["frames"]: frames, part["format"]: output["format"], part["fps"]: output["fps"]}
        for update in made(
            reference, decode_image(image), "middle", given, frames, output["format"], output["fps"], recipe.sha256
        ):
            yield {c: gr.update(value=v) for c, v in controls_.items()} | update

    run = named(transfer, ["visitor", "frames", "format", "fps"])
    inputs = [part["frames"], part["format"], part["fps"]]
    cell.makes([part["compare"], part["film"], part["video"]], [*inputs, handlers.part["status"]])
    cell.on(cell.run_button.click, run, [session, *inputs], outputs, api_name="igan_transfer", api_description=API)
    cell.loads("igan.transfer", load, list(part.values()))
    cell.stops()
    cell.finish()
    return cell


def recipe_of(info, photo: Image.Image, crop: str, arguments: dict, output: dict):
    """The recipe, which holds the photograph; None for one that is too large for that, or whose face was cut out."""
    from pipelines.images import encode_image
    from pipelines.recipes import Recipe

    if crop == "face" or max(photo.size) > HELD_SIDE or len(text := encode_image(photo)) > HELD_TEXT:
        return None
    recipe = Recipe("igan.transfer", info.name, info.sha256, {"image": text, **arguments}, output)
    recipe.check()
    return recipe


# -- one photograph becomes another ------------------------------------------------------------------------------------


def build_morph(book: Notebook, handlers: Handlers) -> Cell:
    part: dict = {}
    with book.cell("morph", "Morphing: from one photograph to another", MORPH) as cell:
        with cell.controls("Morph them", stop="always"):
            part["photo"] = place(cell, "photo", "One photograph")
            part["other"] = place(cell, "other", "The other one")
            part["crop"] = gr.Radio(
                [("auto", "auto"), ("the middle", "middle"), ("the face", "face")],
                value="auto",
                label="What of them",
                elem_id=cell.id("crop"),
            )
            film_controls(cell, part)
        with cell.result("In the middle · PNG", recipes=False, tools=lambda: part.update(_morph_tools(cell))):
            part["film"], part["video"] = controls.film(cell)
        part |= {name: getattr(cell, name) for name in ("news", "status", "sheet")}
    part["code"] = cell.code
    session, network = book.chooser.session, book.chooser.network
    names = ("sheet", "film", "video", "file", "code", "status", "news")

    def morph(visitor, network, photo, other, crop, frames, format, fps) -> Iterator[dict]:
        reference = networks.resolve(visitor, network, handlers.technique)
        photos = [uploads.image(path, MORPH_SIDE) for path in (photo, other)]
        yield from made(reference, photos, crop, frames, format, fps)

    def made(reference, photos: list, crop: str, frames, kind: str, fps) -> Iterator[dict]:
        from pipelines import checks

        for far in networks.fetching(reference):
            yield {part["news"]: far}
        crop = Finding.crop_of(reference, checks.choice(crop, "The crop", ("auto", "middle", "face")))
        arguments = {"frames": checked(frames, 3, kind, fps)}
        began, shown_at, pictures = time.perf_counter(), 0.0, []
        yield {part["news"]: going("Looking for both latents …")}
        with closing(jobs.morphed(reference, photos, crop, arguments)) as steps:
            for step in steps:
                search = not isinstance(step, Image.Image)
                if not search:
                    pictures.append(step)
                if time.perf_counter() - shown_at < gpu.pace(BEAT_S):
                    continue
                shown_at = time.perf_counter()
                if search and step.total:
                    far = f"Looking for both latents: step {step.done} of {step.total} at most"
                    yield {part["news"]: going(far)}
                elif not search:
                    far = going(f"{len(pictures)} of {arguments['frames']} frames")
                    yield {part["film"]: reduced(step), part["video"]: None, part["news"]: far}
        info = reference.open().info
        with results.folder() as folder:
            name = info.name.split("/")[-1].replace(":", "-")
            sheet = Path(folder) / f"{name}-morph.png"
            pictures[len(pictures) // 2].save(sheet, compress_level=1)
            small_ = [reduced(image) for image in pictures]
            path = str(film_of(small_, Path(folder) / f"{name}-morph.{kind}", kind, fps))
            options = "".join(f", {k}={v!r}" for k, v in arguments.items())
            calls = ['one, other = Image.open("one.jpg"), Image.open("other.jpg")']
            if crop == "face":
                cut = f'crop="{info.crop or "celeba"}", size={jobs.FACE_SIDE}'
                calls.append(f"one, other = (faces.align(photo, {cut}).image for photo in (one, other))")
            calls.append(f"result = list(igan.morph(net, one, other{options}))")
            size = f"{pictures[0].width} x {pictures[0].height} px, {size_text(Path(path).stat().st_size)}"
            seconds = time.perf_counter() - began
            values = {
                "sheet": str(sheet),
                "film": None if kind == "mp4" else path,
                "video": path if kind == "mp4" else None,
                "file": path,
                "code": code(
                    info.name,
                    calls,
                    ("faces", "igan") if crop == "face" else ("igan",),
                    f'animation.save(result, "animation.{kind}", fps={fps!r})',
                ),
                "status": note(f"{len(pictures)} frames one way, of {size} · {info.title} · {seconds:.1f} s", "nb-ran"),
            }
            yield {part[key]: value for key, value in values.items()}

    def attempt(visitor, network, frames, format, fps) -> Iterator[dict]:
        """Two pictures that a network makes, for who has no photographs at hand."""
        kept = visitor.kept.get(f"{KEPT}-tries") or {}
        reference = networks.resolve(visitor, network, handlers.technique)
        pair = [kept[k] for k in ("0", "1") if k in kept and kept.get("network") == network]
        for far in networks.fetching(reference):
            yield {part["news"]: far}
        pair = pair if len(pair) == 2 else jobs.pictures(reference, [11, 24])
        yield from made(reference, pair, "middle", frames, format, fps)

    given = ("photo", "other", "crop", "frames", "format", "fps")
    inputs, outputs = [part[name] for name in given], [part[name] for name in names]
    cell.makes([part["film"], part["video"]], [network, *inputs])
    run = named(morph, ["visitor", "network", *given])
    cell.on(cell.run_button.click, run, [session, network, *inputs], outputs, api_name="igan_morph",
            api_description=API_MORPH)  # fmt: skip
    cell.on(part["tries"].click, attempt, [session, network, *inputs[3:]], outputs)
    for photo in inputs[:2]:
        cell.clears(photo, lambda visitor: iter([{**cell.cleared(), part["news"]: ""}]), outputs)
    cell.stops()
    cell.finish()
    return cell


def _morph_tools(cell: Cell) -> dict[str, gr.components.Component]:
    tries = cell.button("Try it with two pictures of the network", "try", after=False)
    return {"file": cell.download("Animation file", "file"), "tries": tries}


def place(cell: Cell, name: str, label: str) -> gr.Image:
    return gr.Image(
        label=label,
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard"],
        height=150,
        buttons=[],
        elem_id=cell.id(name),
        elem_classes="nb-upload",
    )
