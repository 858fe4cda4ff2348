"""One face, five papers: what each technique makes of the same photograph.

    for result in five_papers.five_papers(photo):
        result.technique, result.image, result.words

Each does one thing that it is known for, in few steps, and gives the face as it then is: cut out of the photograph
where the technique edits photographs, the network's own picture where it can do no more.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

import weights
from weights.errors import UserError

from . import attgan, checks, draggan, faces, igan, out_of_domain, stylegan2
from .faces import segmentation

SIZE = 256  # pixels of each picture
SEED = 24  # of the styles that are mixed in
SMILE = 3.0  # standard deviations of w
FIRST_CROP = "celeba"
GLASSES = "Eyeglasses"
LIP = 0.12, 0.32  # where it is and where it is pulled, below the corners of the mouth, in distances of the eyes
NEAR = 20.0  # smoothness of the brush: so that the face stays
STEPS = {"draggan": 60, "project": 40, "brush": 40}
# A line of dark hair, in 64ths of the picture, and the width of the brush.
HAIR, HAIR_COLOUR, HAIR_WIDTH = ((12, 26), (18, 10), (32, 5), (46, 10), (52, 26)), (40, 28, 24), 6
# In the order in which they come.
NAMES = {
    "photograph": "The photograph",
    "stylegan2": "StyleGAN2",
    "draggan": "DragGAN",
    "attgan": "AttGAN",
    "igan": "iGAN",
    "out_of_domain": "Out of domain",
}
NETWORKS = {"stylegan2": "stylegan2/faces", "attgan": "attgan/faces", "igan": "igan/faces"}


@dataclass(frozen=True, eq=False)
class PaperResult:
    """What one technique made of the face.

    ``technique`` is "photograph" (the face itself), "stylegan2", "draggan", "attgan", "igan" or "out_of_domain".
    ``image`` is RGB, 256 x 256; None where the technique could do nothing, of which ``words`` say why; else they say
    what was done.
    """

    technique: str
    image: Image.Image | None
    words: str


@dataclass(frozen=True, eq=False)
class _Subject:
    """The photograph, its face, and the networks by technique."""

    photo: Image.Image
    face: faces.Face
    nets: dict

    def crop(self, photo: Image.Image | None = None) -> Image.Image:
        """The face in the photograph, or in a picture that was made of it."""
        return faces.align(photo or self.photo, self.face, FIRST_CROP, SIZE).image

    def aligned(self, net, size: int) -> faces.AlignedFace:
        return faces.align(self.photo, self.face, net.info.crop or FIRST_CROP, size)


def five_papers(photo: Image.Image, face: int = 0, nets: dict | None = None) -> Iterator[PaperResult]:
    """The face of a photograph, then what StyleGAN2, DragGAN, AttGAN, iGAN and out-of-domain editing make of it.

    Args:
        photo: any picture with a face in it.
        face: which of the faces, 0 for the most prominent.
        nets: loaded networks by "stylegan2", "attgan" and "igan"; those that are left out are those that ship.

    Raises:
        UserError: at once, when there is no such face. What fails later fails for its own technique only.
    """
    return (result for result in in_steps(photo, face, nets) if result is not None)


def in_steps(photo: Image.Image, face: int = 0, nets: dict | None = None) -> Iterator[PaperResult | None]:
    """``five_papers`` with a None for each step on the way, after any of which it can be left."""
    photo = faces.photograph(photo)
    found = faces.detect(photo)
    if not found:
        raise UserError(faces.NO_FACE)
    number = checks.integer(face, "The number of the face", 0, len(found) - 1)
    loaded = {name: (nets or {}).get(name) or weights.load(default) for name, default in NETWORKS.items()}
    return _each(_Subject(photo, found[number], loaded))


def _each(subject: _Subject) -> Iterator[PaperResult | None]:
    yield PaperResult("photograph", subject.crop(), "the photograph")
    known = refused = None
    try:
        known = yield from _inverted(subject)
    except UserError as error:
        refused = error
    for technique, make in MAKERS.items():
        try:
            if make in OF_THE_LATENT and refused is not None:
                raise refused
            yield PaperResult(technique, *(yield from make(subject, known)))
        except UserError as error:
            yield PaperResult(technique, None, str(error))


Made = Generator[None, None, tuple[Image.Image, str]]  # the picture and the words, after steps that give nothing


def _inverted(subject: _Subject) -> Generator[None, None, out_of_domain.Inverted]:
    """The face as the generator makes it, with a copy of the generator that was tuned to it."""
    net = subject.nets["stylegan2"]
    crop = subject.aligned(net, net.img_resolution).image
    last = yield from _ended(out_of_domain.invert(net, crop, show_every=0))
    return out_of_domain.inverted(net, crop, last)


def _ended(steps: Iterator) -> Generator[None, None, Any]:
    """The last of some steps, each of which may be the last that is asked for."""
    last = None
    for step in steps:
        last = step
        yield
    return last


def _mixed(subject: _Subject, known: out_of_domain.Inverted) -> Made:
    """Style mixing (Karras et al. 2019, section 3.1): the face keeps its shape and takes fine styles of another."""
    net = known.net or subject.nets["stylegan2"]
    w = known.latent.clone()  # [1, num_ws, w_dim]
    fine = list(stylegan2.layer_groups(net)["fine"])
    w[:, fine] = stylegan2.latent(net, SEED).cpu()[:, fine]
    yield
    return _enlarged(stylegan2.picture(net, w)), f"its latent, with the fine styles of seed {SEED}"


def _dragged(subject: _Subject, known: out_of_domain.Inverted) -> Made:
    """The lower lip is pulled down (Pan et al. 2023)."""
    if known.landmarks is None:
        raise UserError("Nobody knows where the mouth is in this face, so nothing was dragged.")
    eyes, mouth = known.landmarks[1] - known.landmarks[0], known.landmarks[3:5].mean(axis=0)
    down = np.array([-eyes[1], eyes[0]])  # as long as the eyes are apart
    net = known.net or subject.nets["stylegan2"]
    places = (np.clip(mouth + far * down, 0, net.img_resolution - 1) for far in LIP)
    handle, target = ([tuple(place.tolist())] for place in places)
    last = yield from _ended(draggan.drag(net, known.latent, handle, target, steps=STEPS["draggan"], show_every=0))
    return _enlarged(stylegan2.picture(net, last.w)), "the lower lip is pulled down"


def _ticked(subject: _Subject, known: out_of_domain.Inverted | None) -> Made:
    """Eyeglasses, on or off (He et al. 2019)."""
    net = subject.nets["attgan"]
    aligned = subject.aligned(net, net.img_size or attgan.DEFAULT_SIZE)
    face = attgan.encode(net, aligned.image, local=segmentation.knows(aligned.crop))
    yield
    wanted = attgan.opposite(face, GLASSES)
    before, after = attgan.edit(net, face, {}), attgan.edit(net, face, wanted)
    words = "without eyeglasses" if face.has[GLASSES] else "with eyeglasses"
    return subject.crop(attgan.paste(subject.photo, aligned, face, before, after, wanted)), words


def _painted(subject: _Subject, known: out_of_domain.Inverted | None) -> Made:
    """A stroke of dark hair; what changes in the network's picture is done to the photograph (Zhu et al. 2016, 4.3)."""
    net = subject.nets["igan"]
    aligned = subject.aligned(net, max(net.img_resolution, attgan.DEFAULT_SIZE))
    last = yield from _ended(igan.project(net, aligned.image, steps=STEPS["project"], show_every=0))
    stroke = _stroke(net.img_resolution)
    answer = yield from _ended(
        igan.brush(net, stroke, z0=last.latent, starts=4, steps=STEPS["brush"], smoothness=NEAR, show_every=0)
    )
    change = igan.change(net, last.latent, answer.candidates[0].latent)
    yield
    return subject.crop(igan.apply(change, subject.photo, aligned=aligned)), "a stroke of dark hair is painted"


def _stroke(size: int) -> Image.Image:
    scale = 4 * size / 64
    painted = Image.new("RGBA", (4 * size, 4 * size))
    line = [(x * scale, y * scale) for x, y in HAIR]
    ImageDraw.Draw(painted).line(line, (*HAIR_COLOUR, 255), round(HAIR_WIDTH * scale), joint="curve")
    return painted.resize((size, size), Image.Resampling.BOX)


def _smiling(subject: _Subject, known: out_of_domain.Inverted) -> Made:
    """A smile more, or less, laid onto the photograph where it changes the face (Song et al. 2022)."""
    net = subject.nets["stylegan2"]
    smiles = attgan.attributes(known.photo).get("Smiling", 0.0) > 0.5
    yield
    made = out_of_domain.edit(net, known, "Smiling", -SMILE if smiles else SMILE)
    pasted = out_of_domain.paste(subject.photo, subject.aligned(net, net.img_resolution), made)
    return subject.crop(pasted), "a smile less" if smiles else "a smile more"


MAKERS = {"stylegan2": _mixed, "draggan": _dragged, "attgan": _ticked, "igan": _painted, "out_of_domain": _smiling}
OF_THE_LATENT = (_mixed, _dragged, _smiling)


def _enlarged(image: Image.Image) -> Image.Image:
    return image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
