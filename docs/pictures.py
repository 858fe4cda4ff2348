"""The README's animations, made by the networks that ship: ``python docs/pictures.py`` after one was trained anew.

walk     docs/walk.gif: from face to face
draggan  docs/draggan.gif: three of the drags that the page offers with one click
attgan   docs/attgan.gif: a photograph and generated faces, one attribute after the other turned over
out      docs/out-of-domain.gif: faces with something before them, edited without a mask (above) and with one
igan     docs/igan.gif: strokes on an empty pad, and the pictures that answer
tour     demo/assets/tour: a small square of each of these five for the page "Start here"; after all others
sheet    examples.png, not kept: before and after of all of them, to be looked at
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageSequence

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT))

import weights  # noqa: E402
from demo.tabs.draggan.examples import EXAMPLES  # noqa: E402
from demo.tabs.out_of_domain import examples  # noqa: E402
from pipelines import animation, attgan, draggan, faces, igan, out_of_domain, stylegan2  # noqa: E402
from pipelines.faces import surroundings  # noqa: E402

SIZE, SMALL = 192, 160  # pixels of one picture
ATTGAN_FACES = (None, 44, 20)  # None: the photograph that ships; seeds of generated ones
ATTGAN_SHOWN = ("Bangs", "Black_Hair", "Young", "Blond_Hair")
OUT_OF_DOMAIN = (
    ("a hat", "Smiling", -4.0),
    ("a microphone", "Young", -4.0),
    ("a caption", "Mouth_Slightly_Open", -4.0),
    ("a hand", "Smiling", -4.0),
)
FRAMES, REST = 36, 8  # of a drag, and as long the end stands still

# What is drawn on the empty pad for igan.gif, places in 64ths: (colour, width, points), None for a sketched line.
STROKES = {
    "igan/shoes": [
        ((196, 40, 36), 5, [(14, 36), (30, 38), (46, 41)]),
        (None, 1.5, [(12, 43), (34, 46), (56, 46)]),
        ((36, 70, 150), 4, [(14, 36), (30, 38), (46, 41)]),
    ],
    "igan/flowers": [
        ((235, 200, 40), 10, [(26, 30), (32, 34), (38, 31)]),
        ((60, 120, 50), 8, [(6, 8), (6, 56)]),
        ((190, 60, 150), 10, [(26, 30), (32, 34), (38, 31)]),
    ],
    "igan/faces": [
        ((228, 196, 120), 6, [(12, 26), (18, 10), (32, 5), (46, 10), (52, 26)]),
        (None, 1.5, [(23, 42), (28, 47), (36, 47), (41, 42)]),
        ((40, 28, 24), 6, [(12, 26), (18, 10), (32, 5), (46, 10), (52, 26)]),
    ],
}  # fmt: skip


def dragged(key: str) -> list:
    """Every step of one of the page's examples."""
    example = EXAMPLES[key]
    net = weights.load(example.network)
    return list(draggan.replay(net, [example.drag(net.img_resolution)], **example.made(), show_every=1))


def drawn(step) -> Image.Image:
    return draggan.draw(step.image, step.handles, step.targets, size=SIZE).resize((SIZE, SIZE))


def side_by_side(columns: list[list[Image.Image]]) -> list[Image.Image]:
    gap = 6
    frames = []
    for row in zip(*columns, strict=True):
        width = row[0].width
        frame = Image.new("RGB", (len(row) * (width + gap) - gap, row[0].height), "white")
        for i, image in enumerate(row):
            frame.paste(image, (i * (width + gap), 0))
        frames.append(frame)
    return frames


def make_draggan() -> None:
    columns = []
    for key in ("turn", "forehead", "open"):
        steps = dragged(key)
        places = np.linspace(0, len(steps) - 1, min(FRAMES, 3 * len(steps))).round().astype(int)
        frames = [drawn(steps[i]) for i in places]
        columns.append([frames[0]] * 4 + frames + [frames[-1]] * (FRAMES + REST - len(frames)))
    animation.save(side_by_side(columns), DOCS / "draggan.gif", fps=12)


def make_walk() -> None:
    rows = []
    for seeds in ([17, 24, 52, 33], [22, 44, 35, 25], [20, 49, 31, 38]):
        net = weights.load("stylegan2/faces")
        walk = stylegan2.interpolate(net, seeds=seeds, frames=36, loop=True, easing="smooth")
        rows.append([image.resize((SIZE, SIZE), Image.Resampling.BICUBIC) for image in walk])
    animation.save(side_by_side(rows), DOCS / "walk.gif", fps=12)


def make_attgan() -> None:
    net = weights.load("attgan/faces")
    columns = []
    for seed in ATTGAN_FACES:
        if seed is None:
            photo = examples.face()
        else:
            photo = stylegan2.sample(weights.load("stylegan2/faces"), seeds=[seed], truncation_psi=0.7)[0]
            photo = photo.resize((3 * photo.width, 3 * photo.height), Image.Resampling.BICUBIC)
        aligned = faces.align(photo, crop=net.info.crop, size=net.img_size)
        face = attgan.encode(net, aligned.image, local=True)
        around = surroundings.around(photo, aligned)
        still = attgan.edit(net, face, {})
        column = []
        for name in ATTGAN_SHOWN:
            had, there = (0.5 if face.has[name] else -0.5), attgan.opposite(face, name)[name]
            path = [had + (there - had) * t for t in np.linspace(0, 1, 5)]
            for value in [had] + path + [there] * 5 + path[::-1]:
                wanted = {name: value}
                made = attgan.paste(photo, aligned, face, still, attgan.edit(net, face, wanted), wanted, around)
                column.append(caption(made.resize((SIZE, SIZE), Image.Resampling.LANCZOS), name, value > 0))
        columns.append(column)
    animation.save(side_by_side(columns), DOCS / "attgan.gif", fps=10)


def stroke(colour, width: float, points, part: float = 1.0) -> Image.Image:
    """The first part of a stroke as RGBA at ``SIZE``; a sketched line is dark."""
    image = Image.new("RGBA", (SIZE * 2, SIZE * 2))
    places = np.array([((x + 0.5) / 64, (y + 0.5) / 64) for x, y in points]) * SIZE * 2
    steps = np.linspace(0, (len(places) - 1) * part, 24)
    path = [tuple(np.interp(steps, range(len(places)), places[:, i])[k] for i in range(2)) for k in range(24)]
    pen, radius = ImageDraw.Draw(image), width * SIZE / 64
    fill = (*(colour or (24, 24, 28)), 255)
    pen.line(path, fill=fill, width=round(2 * radius), joint="curve")
    for x, y in (path[0], path[-1]):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def answered(name: str) -> list[Image.Image]:
    """The pad above, the best picture below; each stroke is drawn, and then followed."""
    net = weights.load(name)
    column, pad = [], Image.new("RGB", (SIZE, SIZE), "white")
    below, z0, fixed = Image.new("RGB", (SIZE, SIZE), (238, 238, 238)), None, []

    def show(above: Image.Image, count: int = 1) -> None:
        frame = Image.new("RGB", (SIZE, 2 * SIZE + 6), "white")
        frame.paste(above, (0, 0))
        frame.paste(below, (0, SIZE + 6))
        column.extend([frame] * count)

    for colour, width, points in STROKES[name]:
        for part in np.linspace(0.1, 1, 6):
            drawn = pad.copy()
            drawn.paste(whole := stroke(colour, width, points, part), (0, 0), whole)
            show(drawn)
        pad = drawn
        asked = {"colour": whole} if colour else {"sketch": whole.getchannel("A")}
        for step in igan.brush(
            net, **asked, z0=z0, fixed=fixed, starts=64, steps=60, smoothness=1.0, seed=1, show_every=5
        ):
            if step.candidates:
                below = step.candidates[0].image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
                show(pad)
        show(pad, REST)
        z0 = step.candidates[0].latent
        fixed.append(igan.Edits(**asked))
    return column


def make_out() -> None:
    nets, there = out_of_domain.load("faces"), {example.title: example for example in examples.EXAMPLES}
    columns = []
    for title, name, strength in OUT_OF_DOMAIN:
        photo = faces.centre_crop(examples.picture(there[title]), nets.size).image
        *_, last = out_of_domain.invert(nets, photo, "hybrid", 60, show_every=0)
        known = out_of_domain.inverted(nets, photo, last.latent)
        path = np.linspace(0, strength, 10)
        ours = out_of_domain.slide(nets, known, name, 0.0, strength, len(path), apart=True)
        frames = []
        for value, made in zip(path, ours, strict=True):
            plain = out_of_domain.changed(nets, known, [(name, float(value))], apart=True).image
            frame = Image.new("RGB", (SMALL, 2 * SMALL + 6), "white")
            for i, image in enumerate((plain, made)):
                frame.paste(image.resize((SMALL, SMALL), Image.Resampling.BICUBIC), (0, i * (SMALL + 6)))
            frames.append(frame)
        columns.append([frames[0]] * REST + frames + [frames[-1]] * REST + frames[::-1])
    animation.save(side_by_side(columns), DOCS / "out-of-domain.gif", fps=10)


def make_igan() -> None:
    animation.save(side_by_side([answered(name) for name in STROKES]), DOCS / "igan.gif", fps=10)


def caption(image: Image.Image, name: str, on: bool) -> Image.Image:
    words = f"{'' if on else 'not '}{attgan.shown(name)}"
    return animation.strip([image], [words])


def make_sheet() -> None:
    pictures, captions = [], []
    for key, example in EXAMPLES.items():
        steps = dragged(key)
        pictures += [drawn(steps[0]), drawn(steps[-1])]
        captions += [example.title, f"{steps[-1].done} after {steps[-1].step}, {steps[-1].distance:.1f} px left"]
    animation.strip(pictures, captions).save("examples.png")


TOUR = ROOT / "demo" / "assets" / "tour"
# Of each animation the square that the page shows: its left upper corner and its side in the file.
SQUARES = {
    "walk": (0, 0, SIZE),
    "draggan": (0, 0, SIZE),
    "attgan": (0, 0, SIZE),
    "igan": (0, SIZE + 6, SIZE),
}
STRENGTHS = 10  # frames of the page's first example out of domain, from the photograph to the edit
INSET = 68  # pixels of a side of the drawing pad, in a corner of the picture that answers


def kept() -> list[Image.Image]:
    """The page's example with a hat out of domain, there and back."""
    nets, example = out_of_domain.load("faces"), examples.EXAMPLES[1]
    photo = faces.centre_crop(examples.picture(example), nets.size).image
    frames = list(out_of_domain.slide(nets, photo, example.edit[0], 0.0, example.edit[1], STRENGTHS))
    frames = [image.resize((SIZE, SIZE), Image.Resampling.BICUBIC) for image in frames]
    return [frames[0]] * 4 + frames + [frames[-1]] * 6 + frames[::-1]


def make_tour() -> None:
    """Moving ones for everybody, and still ones for those who asked their system for less motion."""
    TOUR.mkdir(exist_ok=True)
    for name, (x, y, side) in SQUARES.items():
        frames, times = [], []
        with Image.open(DOCS / f"{name}.gif") as film:
            for frame in ImageSequence.Iterator(film):
                whole = frame.convert("RGB")
                square = whole.crop((x, y, x + side, y + side)).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
                if name == "igan":
                    pad = whole.crop((0, 0, SIZE, SIZE)).resize((INSET, INSET), Image.Resampling.LANCZOS)
                    square.paste("black", (0, SIZE - INSET - 1, INSET + 1, SIZE))
                    square.paste(pad, (0, SIZE - INSET))
                frames.append(square)
                times.append(frame.info.get("duration", 100))
        save_tour(name, frames, times)
    frames = kept()
    save_tour("out-of-domain", frames, [100] * len(frames))


def save_tour(name: str, frames: list[Image.Image], times: list[int]) -> None:
    half = len(frames) // 2  # many begin with little to see
    frames, times = frames[half:] + frames[:half], times[half:] + times[:half]
    rest = {"save_all": True, "append_images": frames[1:], "duration": times, "loop": 0}
    frames[0].save(TOUR / f"{name}.webp", quality=62, method=6, **rest)
    frames[0].save(TOUR / f"{name}-still.webp", quality=80, method=6)


if __name__ == "__main__":
    for name in sys.argv[1:] or ("walk", "draggan", "attgan", "igan", "out", "tour"):
        globals()[f"make_{name}"]()
