"""The calls that scripts rely on, as a script with types writes them. ``make lint`` has mypy read it; nothing runs it.

What mypy accepts here, it accepts of anybody who has installed ganbook: the packages are marked with py.typed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

import weights
from pipelines import animation, attgan, draggan, faces, history, igan, inversion, out_of_domain, recipes, stylegan2

if TYPE_CHECKING:
    from typing_extensions import assert_type  # with mypy; nothing here runs


def checkpoints() -> None:
    assert_type(weights.names(technique="stylegan2"), list[str])
    assert_type(weights.describe("stylegan2/faces").bytes_to_download, int | None)
    assert_type(weights.status("stylegan2/faces"), str)
    assert_type(weights.card("stylegan2/faces"), dict[str, Any])
    net = weights.read("some/file.pkl", limit=2**30)
    print(net.info.sha256)


def generated() -> None:
    net = weights.load("stylegan2/faces", device="cpu")
    assert_type(stylegan2.sample(net, seeds=[1, 2], truncation_psi=0.7, noise_mode="const"), list[Image.Image])
    assert_type(stylegan2.mix(net, row_seeds=[1], col_seeds="2-3", layers="coarse"), list[list[Image.Image]])
    assert_type(stylegan2.interpolate(net, seeds=[1, 2], frames=60, space="w"), Iterator[Image.Image])
    assert_type(stylegan2.move(net, seed=1, amounts={"Smiling": 2.0}), Image.Image)
    assert_type(animation.save(stylegan2.interpolate(net, seeds=[1, 2]), "out.gif", fps=20), Path)
    assert_type(history.compare(seed=1), history.History)


def dragged() -> None:
    net = weights.load("stylegan2/faces")
    w = stylegan2.latent(net, seed=1)
    mask = Image.new("L", (128, 128))
    for step in draggan.drag(net, w, handles=[(64, 80)], targets=[(72, 80)], mask=mask, steps=100):
        assert_type(step, draggan.DragStep)
        assert_type(step.image, Image.Image | None)
    for found in inversion.invert(net, Image.open("face.png"), method="hybrid"):
        assert_type(found.loss, float)


def edited() -> None:
    net, photo = weights.load("attgan/faces"), Image.open("party.jpg")
    aligned = faces.align(photo, crop="celeba")
    assert_type(aligned, faces.AlignedFace)
    face = attgan.encode(net, aligned.image, local=True)
    wanted = {"Eyeglasses": 1.0, "Young": -1.0}
    still, edit = attgan.edit(net, face, {}), attgan.edit(net, face, wanted)
    assert_type(attgan.flips(net, face), dict[str, Image.Image])
    assert_type(attgan.paste(photo, aligned, face, still, edit, wanted), Image.Image)
    assert_type(faces.paste(photo, aligned, still, edit), Image.Image)


def painted() -> None:
    net = weights.load("igan/shoes")
    for step in igan.brush(net, colour=Image.new("RGBA", (64, 64)), z0=3):
        assert_type(step.candidates[0].image, Image.Image)
    for projection in igan.project(net, Image.open("shoe.png"), method="hybrid"):
        assert_type(igan.transfer(net, Image.open("shoe.png"), projection.latent, 2), Iterator[Image.Image])


def kept() -> None:
    nets = out_of_domain.load("faces")
    made = out_of_domain.edit(nets, Image.open("face.png"), direction="Smiling", strength=3.0)
    assert_type(made, out_of_domain.OutOfDomainEdit)
    assert_type(made.mask, Image.Image)
    assert_type(made.residual, float | None)


def repeated() -> None:
    recipe = recipes.Recipe.from_json(Path("recipe.json").read_bytes())
    print(recipe.run())
    assert_type(recipe.to_json(), str)
    assert_type(recipes.make("stylegan2.sample", weights.load(recipe.checkpoint), seeds=[1]), recipes.Recipe)
