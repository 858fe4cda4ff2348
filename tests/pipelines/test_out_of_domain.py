"""Out-of-domain edits: what is outside the mask stays, no wish changes nothing, and each network may be missing."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from models import regions
from models.deghosting import Deghosting
from models.diffcam import DiffCAM
from models.segmentation import Parts
from pipelines import faces, recipes
from pipelines import out_of_domain as ood
from pipelines.faces import geometry, surroundings
from pipelines.out_of_domain import mask as masks
from pipelines.out_of_domain import networks
from weights import CheckpointInfo
from weights.errors import UserError

from .conftest import tiny

editing = importlib.import_module("pipelines.out_of_domain.edit")  # out_of_domain.edit is the function

SIZE = 32
NAMES = ("Smiling", "Bangs", "Young")


def with_info(module, name: str, sha256: str):
    fields = dict.fromkeys(CheckpointInfo.__dataclass_fields__)
    module.info = CheckpointInfo(**{**fields, "name": name, "sha256": sha256 * 32})
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def nets():
    """All of the networks, small and untrained, and three directions."""
    net = tiny(resolution=SIZE)
    torch.manual_seed(1)
    diffcam = with_info(DiffCAM(NAMES, img_resolution=SIZE, widths=(4, 8, 8), head=(8, 8)), "diffcam/tiny", "01")
    sizes = {"img_resolution": SIZE, "in_size": 16, "w_dim": 32, "rrdb_channels": 4, "rrdb_growth": 2, "num_rrdbs": 1}
    clean = with_info(Deghosting(widths=dict(net.synthesis.widths), **sizes), "deghosting/tiny", "02").attach(net)
    torch.manual_seed(2)
    steps = {name: torch.randn(1, 1, 32).expand(1, net.num_ws, -1).clone() for name in NAMES}
    hashes = {"encoder": None, "diffcam": "01" * 32, "deghosting": "02" * 32, "directions": "03" * 32}
    return ood.Networks(net, None, diffcam, clean, steps, hashes)


@pytest.fixture(scope="module")
def bare(nets):
    """The generator and directions alone."""
    none = dict.fromkeys(nets.hashes)
    return dataclasses.replace(nets, diffcam=None, deghosting=None, hashes=none, missing=networks.MISSING)


@pytest.fixture(scope="module")
def known(nets):
    """A picture that the generator does not make, and the latent that it was before something was drawn on it."""
    z = torch.randn(1, 32, generator=torch.Generator().manual_seed(3))
    w = nets.generator.mapping(z)
    photo = ood.inverted(nets, Image.new("RGB", (SIZE, SIZE)), w).image
    photo = photo.copy()
    ImageDraw.Draw(photo).rectangle([0, 0, SIZE, 8], fill=(250, 20, 20))
    return ood.inverted(nets, photo, w)


def array(image) -> np.ndarray:
    return np.asarray(image)


# -- the photograph stays ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["nets", "bare"])
def test_outside_the_mask_the_result_is_the_photograph(which, known, request):
    """And inside of it T, and between them the blend; with and without the networks that judge and smooth."""
    nets = request.getfixturevalue(which)
    ours = ood.edit(nets, known, "Smiling", 4.0, threshold=0.3, softness=0.4)
    made = ood.edit(nets, known, "Smiling", 4.0, threshold=0.3, softness=0.4, blend="edit")
    mask, photo = array(made.mask), array(made.photo)
    assert (array(ours.mask) == mask).all() and (array(ours.result)[mask == 0] == photo[mask == 0]).all()
    assert 0 < (mask == 0).mean() < 1 and len(np.unique(mask)) > 10
    for picture in (made.fused, made.result):
        assert (array(picture)[mask == 0] == photo[mask == 0]).all()
        assert (array(picture)[mask == 255] == array(made.edited)[mask == 255]).all()
    assert (array(made.result) != photo).any()
    m = mask[..., None] / 255
    assert np.abs(array(made.fused) - (m * array(made.edited) + (1 - m) * photo)).max() < 0.51
    assert made.by == ("Diff-CAM" if which == "nets" else "difference")
    assert made.deghosted is (which == "nets") and (array(made.result) != array(made.fused)).any() is np.bool_(
        which == "nets"
    )


@pytest.mark.parametrize("which", ["nets", "bare"])
@pytest.mark.parametrize("edits", [[], [("Smiling", 0)], [("Young", 2.0), ("Young", -2.0)]], ids=["none", "0", "sum"])
def test_nothing_asked_for_gives_the_photograph_back(which, edits, known, request):
    nets, everything = request.getfixturevalue(which), np.ones((SIZE, SIZE))
    made = ood.edit(nets, known, edits=edits, threshold=0.0, softness=1.0, add=everything)
    assert array(made.result).tobytes() == array(known.photo).tobytes()
    assert not array(made.mask).any() and made.residual is None and not made.poor


def test_a_flat_mask_gives_the_photograph_back(nets, bare, known):
    """A direction that moves nothing: no difference, whatever the sliders say."""
    for one in (nets, bare):
        still = dataclasses.replace(one, steps={"Still": torch.zeros(1, one.generator.num_ws, 32)})
        change = ood.changed(still, known, [("Still", 5.0)])
        assert change.edits and not change.seen.any() and change.named is None
        for threshold, softness in ((0, 0), (0, 1), (0.5, 0.2)):
            made = ood.composed(still, known, change, ood.soft_mask(change, threshold, softness))
            assert array(made.result).tobytes() == array(known.photo).tobytes() and not made.deghosted


def test_the_whole_photograph_stays_outside_of_the_mask(nets, known):
    photo = Image.fromarray(np.random.RandomState(0).randint(0, 256, (150, 190, 3), dtype=np.uint8))
    aligned = faces.centre_crop(photo, SIZE)
    here = ood.inverted(nets, aligned.image, known.latent)
    painted = np.zeros((SIZE, SIZE), np.float32)
    painted[10:20, 12:22] = 1
    made = ood.edit(nets, here, "Bangs", 4.0, threshold=1.0, softness=0.2, add=painted)
    whole, scale = array(ood.paste(photo, aligned, made)), 150 / SIZE
    apart = (whole != array(photo)).any(axis=2)
    assert apart.any() and whole.shape == (150, 190, 3)
    there = np.argwhere(array(made.mask) > 0)
    (top, left), (bottom, right) = (there.min(axis=0) - 1) * scale, (there.max(axis=0) + 2) * scale
    y, x = np.argwhere(apart).T
    assert y.min() >= top - 1 and y.max() <= bottom + 1 and x.min() >= left + 19 and x.max() <= right + 21
    same = ood.edit(nets, here, "Bangs", 0.0)
    assert array(ood.paste(photo, aligned, same)).tobytes() == array(photo).tobytes()


# -- masks ------------------------------------------------------------------------------------------------------------


def test_diff_cam_is_asked_about_what_was_edited(nets, known):
    """For two attributes the larger answer counts, place by place."""
    one, two = (("Smiling", 3.0), ("Bangs", -2.0))
    before, after = (
        torch.from_numpy(array(p).copy()).permute(2, 0, 1)[None] / 127.5 - 1
        for p in (known.image, ood.changed(nets, known, [one, two]).image)
    )
    asked = [nets.diffcam.mask(before, after, NAMES.index(name))[0][0, 0].numpy() for name in ("Smiling", "Bangs")]
    change = ood.changed(nets, known, [one, two])
    pair = array(known.image), array(change.image)
    asked = [masks.widened(np.sqrt(mask)) * masks.visible(*pair) for mask in asked] + [masks.strong(*pair)]
    seen = ood.changed(nets, known, [one, two]).seen
    assert seen.shape == (SIZE, SIZE) and np.abs(seen - np.max(asked, axis=0)).max() < 0.1  # pictures are rounded here
    logits = nets.diffcam(before, after)
    assert ood.changed(nets, known, [one, two]).named == NAMES[int(logits.argmax())]


def test_the_mask_fades_where_the_inversion_fails(nets, known):
    """The bar that was drawn stays, unless it is painted that it may go, or caution is off."""
    trust = ood.changed(nets, known, [("Smiling", 4.0)]).trust
    assert trust.shape == (SIZE, SIZE) and trust[:6].max() < 0.1 and (trust[14:] == 1).all()
    everything = {"threshold": 0.0, "softness": 0.0}
    careful = array(ood.edit(nets, known, "Smiling", 4.0, **everything).mask)
    careless = array(ood.edit(nets, known, "Smiling", 4.0, cautious=False, **everything).mask)
    assert careful[:6].max() < 30 < 200 < careless[:6].max() and (careful[14:] == careless[14:]).all()
    painted = array(ood.edit(nets, known, "Smiling", 4.0, add=np.ones((SIZE, SIZE)), **everything).mask)
    assert (painted == 255).all()


class Finds:
    """In place of an occlusion network: it finds what it is told to find, and remembers what it was shown."""

    def __init__(self, found: np.ndarray):
        self.found, self.shown = torch.from_numpy(found)[None, None], None

    def mask(self, photo, inverted):
        self.shown = photo, inverted
        return self.found


def test_what_lies_before_the_face_stays(nets, known):
    """Where a network finds it; and then an inversion that is merely inexact counts for nothing any more."""
    found = np.zeros((SIZE, SIZE), np.float32)
    found[:, :10] = 1
    knowing = dataclasses.replace(nets, occlusion=Finds(found))
    known = ood.inverted(knowing, known.photo, known.latent)
    change = ood.changed(knowing, known, [("Smiling", 4.0)])
    photo, inverted = knowing.occlusion.shown
    for seen, picture in ((photo, known.photo), (inverted, known.image)):
        assert torch.allclose(seen[0].permute(1, 2, 0), torch.from_numpy(array(picture) / 127.5 - 1).float(), atol=1e-6)
    knowing.occlusion.shown = None
    assert ood.changed(knowing, known, [("Smiling", 2.0)]).trust is change.trust and not knowing.occlusion.shown
    mask = ood.soft_mask(change, 0.0, 0.0)
    assert not mask[:, :10].any() and mask[12:, 12:].max() == 1
    inexact = np.clip(array(known.image).astype(int) + 28, 0, 255).astype(np.uint8)
    alone = masks.trusted(inexact, array(known.image))
    beside = masks.trusted(inexact, array(known.image), np.zeros((SIZE, SIZE), np.float32))
    assert alone.mean() < 0.9 and beside.min() == 1
    far = np.full_like(inexact, 255)
    assert masks.trusted(far, np.zeros_like(far), np.zeros((SIZE, SIZE), np.float32)).max() == 0


@pytest.mark.parametrize("which", ["nets", "bare"])
def test_a_mask_fades_with_its_edit(which, known, request):
    """What Diff-CAM says is divided by its largest value: one that nobody sees must have no mask."""
    nets = request.getfixturevalue(which)
    sums = [float(ood.changed(nets, known, [("Smiling", alpha)]).seen.sum()) for alpha in (0.001, 0.05, 0.5, 4)]
    assert sums[0] < sums[1] < sums[2] and sums[0] < 0.02 * sums[-1]
    faint = ood.edit(nets, known, "Smiling", 0.001)
    assert array(faint.result).tobytes() == array(known.photo).tobytes()


def test_several_edits_add_up(nets, known):
    both = ood.changed(nets, known, [("Smiling", 1.5), ("Young", -2.0), ("Smiling", 0.5)])
    assert dict(both.edits) == {"Smiling": 2.0, "Young": -2.0}
    moved = known.latent + 2 * nets.steps["Smiling"] - 2 * nets.steps["Young"]
    assert array(both.image).tobytes() == array(ood.inverted(nets, known.photo, moved).image).tobytes()


def test_a_poor_inversion_is_said(nets, known):
    """Where something was drawn that the generator does not make, the residual is large; elsewhere it is nothing."""
    top, rest = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))
    top[:8], rest[12:] = 1, 1
    options = {"threshold": 1.0, "softness": 0.0}
    poor = ood.edit(nets, known, "Smiling", 2.0, add=top, **options)
    good = ood.edit(nets, known, "Smiling", 2.0, add=rest, **options)
    truth = np.abs(array(known.photo)[:8].astype(float) - array(known.image)[:8]).mean() / 255
    assert poor.poor and poor.residual == pytest.approx(truth, abs=1e-6) and poor.residual > ood.POOR
    assert not good.poor and good.residual == 0


# -- regions, blends, the person ---------------------------------------------------------------------------------------


def test_an_edit_shows_only_where_its_attribute_lies(nets, known):
    there = dataclasses.replace(known, landmarks=geometry.celeba_landmarks(SIZE))
    region = regions.region("Smiling", SIZE)
    made = ood.edit(nets, there, "Smiling", 6.0, threshold=0, softness=0, deghost=False)
    assert (array(made.result)[region == 0] == array(known.photo)[region == 0]).all()
    assert array(made.mask).any() and not array(made.mask)[region == 0].any()
    both = ood.changed(nets, there, [("Smiling", 3.0), ("Bangs", 3.0)])
    assert np.array_equal(both.region, np.maximum(region, regions.region("Bangs", SIZE)))
    own = {"Mine": ood.encode_step(nets, nets.steps["Young"])}
    assert ood.changed(nets, there, [("Smiling", 3.0), ("Mine", 2.0)], own).region is None


def test_a_mask_beyond_its_region_is_said(nets, known):
    there = dataclasses.replace(known, landmarks=geometry.celeba_landmarks(SIZE))
    small = ood.edit(nets, there, "Smiling", 4.0)
    large = ood.edit(nets, there, "Smiling", 4.0, add=np.ones((SIZE, SIZE)))
    assert not small.wide and large.wide and large.share == 1 > small.share


def test_all_blends_can_be_chosen(nets, known):
    known = dataclasses.replace(known, photo=Image.fromarray(np.clip(array(known.photo), 0, 235) + np.uint8(20)))
    change = ood.changed(nets, known, [("Smiling", 0.3)])
    shape = np.ones((SIZE, SIZE), np.float32)
    clone, ours, paper = (ood.composed(nets, known, change, shape, False, blend) for blend in ood.BLENDS)
    pictures = [array(p) for p in (known.photo, known.image, change.image)]
    assert np.array_equal(array(ours.result), masks.carried(*pictures, shape))
    assert np.array_equal(array(paper.result), masks.mixed(pictures[0], pictures[2], shape))
    assert not np.array_equal(array(ours.result), array(paper.result))
    assert np.array_equal(array(clone.result), masks.seamless(pictures[0], masks.carried(*pictures, shape), shape))
    whole = ood.changed(nets, known, [("Young", 0.3)])  # all over the face
    one, other = (ood.composed(nets, known, whole, shape, False, blend) for blend in ood.BLENDS[:2])
    assert array(one.result).tobytes() == array(other.result).tobytes()
    with pytest.raises(UserError, match="The blend must be one of"):
        ood.edit(nets, known, "Smiling", 1.0, blend="soft")


# -- the colour of hair


@pytest.fixture
def haired(nets, known):
    """Directions of hair, and a photograph with strands: the upper half is hair, and its left eighth is covered."""
    steps = {**nets.steps, "Black_Hair": nets.steps["Young"], "Blond_Hair": nets.steps["Smiling"]}
    hair, occluded = np.zeros((2, SIZE, SIZE), np.float32)
    hair[: SIZE // 2], occluded[:, : SIZE // 8] = 1, 1
    strands = array(known.image).copy()
    strands[::2] = np.clip(strands[::2].astype(int) + 12, 0, 255)
    parts = Parts(np.ones((SIZE, SIZE), np.float32), hair)
    there = dataclasses.replace(known, photo=Image.fromarray(strands), occluded=occluded, parts=parts)
    return dataclasses.replace(nets, steps=steps), dataclasses.replace(there, landmarks=geometry.celeba_landmarks(SIZE))


def test_hair_takes_the_colour_and_keeps_its_strands(haired):
    nets, known = haired
    made = ood.edit(nets, known, "Black_Hair", 4.0, deghost=False)
    mask, photo, result = array(made.mask), array(known.photo).astype(int), array(made.result).astype(int)
    assert made.recoloured == ("Black_Hair",) and (result[mask == 0] == photo[mask == 0]).all()
    assert mask[2 : SIZE // 2 - 2, SIZE // 4 :].min() == 255 and not mask[SIZE // 2 + 1 :].any()
    assert not mask[:, : SIZE // 8].any(), "what lies before it stays"
    change, three = ood.changed(nets, known, [("Black_Hair", 4.0)]), (known.photo, known.image, made.edited)
    wanted = masks.recoloured(*map(array, three), known.parts.hair, change.seen * change.trust)
    assert (array(made.result)[mask == 255] == wanted[mask == 255]).all()
    other = ood.edit(nets, known, "Black_Hair", 4.0, deghost=False, blend="edit")
    assert not other.recoloured and (array(other.mask) != mask).any()


def test_of_other_edits_nothing_is_recoloured(haired):
    nets, known = haired
    assert not ood.edit(nets, known, edits=[("Black_Hair", 3.0), ("Smiling", 3.0)]).recoloured
    both = ood.edit(nets, known, edits=[("Black_Hair", -3.0), ("Blond_Hair", 3.0)])
    assert both.recoloured == ("Black_Hair", "Blond_Hair")
    bald = dataclasses.replace(known, parts=Parts(known.parts.person, 0 * known.parts.hair))
    assert not ood.edit(nets, bald, "Black_Hair", 3.0).recoloured
    assert not ood.edit(nets, dataclasses.replace(known, parts=None), "Black_Hair", 3.0).recoloured


def test_recoloured_hair_goes_on_beyond_the_crop(haired, monkeypatch):
    nets, known = haired
    made = ood.edit(nets, known, "Black_Hair", 4.0, deghost=False)
    photo = Image.new("RGB", (6 * SIZE,) * 2, (120,) * 3)
    face = faces.Face((0, 0, 1, 1), tuple(map(tuple, geometry.celeba_landmarks(2 * SIZE) + 2 * SIZE)), 1.0, "yunet")
    aligned = faces.align(photo, face, size=2 * SIZE)
    wide = len(array(made.mask)) + 2 * surroundings.margin(SIZE)
    everywhere = np.ones((wide, wide), np.float32)
    monkeypatch.setattr(surroundings, "parts", lambda image: Parts(everywhere, everywhere))
    light, dark = (Image.new("RGB", (SIZE, SIZE), (level,) * 3) for level in (120, 40))
    shown = dataclasses.replace(made, photo=light, result=dark)
    top = round(min(y for _x, y in aligned.corners))
    column = array(ood.paste(photo, aligned, shown))[:, 3 * SIZE, 0].astype(int)
    assert column[top - 2] < 80 and column[: top - 2 * surroundings.margin(SIZE) - 4].min() == 120
    plain = array(ood.paste(photo, aligned, dataclasses.replace(shown, recoloured=())))[:, 3 * SIZE, 0]
    assert plain[top - 2] == 120


def test_a_tuned_network_stays_with_its_photograph(nets, known):
    before = {name: value.clone() for name, value in nets.generator.state_dict().items()}
    *_, plain = ood.invert(nets, known.photo, steps=3, tuning=0)
    *_, last = ood.invert(nets, known.photo, steps=3, tuning=4)
    assert plain.net is None and last.net is not nets.generator and last.done and last.loss < plain.loss
    assert 0 < last.tuned <= 4 and last.step == plain.step + last.tuned
    assert all(torch.equal(value, nets.generator.state_dict()[name]) for name, value in before.items())
    tuned = ood.inverted(nets, known.photo, last)
    assert tuned.net is last.net and array(tuned.image).tobytes() == array(last.image).tobytes()
    assert tuned.likeness.levels < ood.inverted(nets, known.photo, plain).likeness.levels
    again = ood.inverted(nets, known.photo, ood.encode_latent(last.latent), last.tuned)
    one, other = (array(ood.edit(nets, k, "Smiling", 2.0).result) for k in (tuned, again))
    assert one.tobytes() == other.tobytes(), "a recipe tells the latent and the steps, and has the same network again"
    given = {"latent": last.latent, "direction": "Smiling", "strength": 2.0}
    told = ood.edit(nets, known.photo, **given, tuning=last.tuned)
    assert array(told.result).tobytes() == one.tobytes()
    assert array(ood.edit(nets, known.photo, **given).result).tobytes() != one.tobytes(), (
        "recipes of before are not tuned"
    )
    with pytest.raises(UserError, match="tuning steps"):
        ood.invert(nets, known.photo, tuning=-1)


def test_occlusions_are_looked_for_in_the_untuned_picture(nets, known):
    """A tuned copy makes what lies before the face as well, so that nothing would be found there."""
    seen = []

    class Finder:
        def mask(self, photo, made):
            seen.append(made)
            return torch.zeros_like(photo[:, :1])

    finding = dataclasses.replace(nets, occlusion=Finder())
    *_, last = ood.invert(nets, known.photo, steps=3, tuning=4)
    tuned, plain = ood.inverted(finding, known.photo, last), ood.inverted(finding, known.photo, last.latent)
    assert array(tuned.image).tobytes() != array(plain.image).tobytes()
    assert torch.equal(*seen)


# -- inversion, recipes, films ---------------------------------------------------------------------------------------


def test_the_photograph_is_inverted_once(nets, known, monkeypatch):
    steps = list(ood.invert(nets, known.photo, steps=6, show_every=2))
    assert steps[-1].done and steps[-1].loss <= steps[0].loss and steps[0].image is not None
    monkeypatch.setattr(networks.inversion, "invert", lambda *a, **k: pytest.fail("inverted again"))
    for strength in (1.0, 2.0):
        ood.edit(nets, known, "Smiling", strength)
        ood.edit(nets, known.photo, "Smiling", strength, latent=steps[-1].latent)
    with pytest.raises(UserError, match="must be one of"):
        ood.invert(nets, known.photo, "magic")


def test_without_an_encoder_it_is_said(nets, known):
    with pytest.raises(UserError, match="No encoder"):
        ood.invert(nets, known.photo, "hybrid")
    assert ood.method_of(nets, None) == "optimisation"
    assert ood.method_of(dataclasses.replace(nets, encoder=object()), None) == "hybrid"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"direction": "Zebra"}, "no direction"),
        ({"strength": 1e9}, "from -10 to 10"),
        ({"strength": "strong"}, "a number"),
        ({"edits": "Smiling"}, "must be a list"),
        ({"edits": [["Smiling"]]}, "2 entries"),
        ({"edits": [["Smiling", 1]] * 13}, "entries"),
        ({"own": {"Mine": "no step"}}, "not a direction"),
        ({"own": 3}, "by name"),
        ({"latent": "no latent"}, "not a latent"),
        ({"image": 3}, "is a picture"),
        ({"parts": {"diffcam": None}}, "another version of diffcam"),
        ({"parts": {"zebra": "0"}}, "parts of an edit"),
    ],
)
def test_what_cannot_be_done_is_said(change, words, nets, known):
    given = {"image": known.photo, "latent": known.latent, "direction": "Smiling", "strength": 1.0, **change}
    with pytest.raises(UserError, match=words) as caught:
        ood.edit(nets, **given)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_direction_of_ones_own(nets, known):
    own = {"Mine": ood.encode_step(nets, nets.steps["Young"])}
    mine = ood.changed(nets, known, [("Mine", 2.0)], own)
    theirs = ood.changed(nets, known, [("Young", 2.0)])
    assert array(mine.image).tobytes() == array(theirs.image).tobytes()
    with pytest.raises(UserError, match="no direction"):
        ood.changed(nets, known, [("Mine", 2.0)])


def test_the_recipe_makes_the_same_pixels(nets, known, monkeypatch):
    """And carries the latent, so that nothing is searched again."""
    monkeypatch.setattr(editing, "gather", lambda net: nets)
    painted = np.zeros((SIZE, SIZE), np.float32)
    painted[4:9, 4:9] = 1
    given = {
        "image": ood.encode_image(known.photo),
        "latent": ood.encode_latent(known.latent),
        "edits": [["Smiling", 2.5], ["Young", -1.0]],
        "threshold": 0.3,
        "softness": 0.5,
        "keep": ood.encode_mask(painted, SIZE),
        "parts": dict(nets.hashes),
    }
    recipe = recipes.make("out_of_domain.edit", nets.generator, **given)
    back = recipes.Recipe.from_json(recipe.to_json())
    made = back.run(nets.generator)
    direct = ood.edit(nets, known, edits=given["edits"], threshold=0.3, softness=0.5, keep=painted)
    assert array(made.result).tobytes() == array(direct.result).tobytes()
    assert "out_of_domain.edit(" in recipe.code() and json.loads(recipe.to_json())["technique"] == "out_of_domain"


def test_a_film_over_the_strength(nets, known):
    frames = list(ood.slide(nets, known, "Smiling", -2, 2, 5))
    assert len(frames) == 5 and array(frames[2]).tobytes() == array(known.photo).tobytes()
    end = ood.edit(nets, known, "Smiling", 2.0)
    assert array(frames[-1]).tobytes() == array(end.result).tobytes(), "the end is the edit itself"
    held = list(ood.slide(nets, known, "Smiling", 0, 2, 2, edits=[("Young", 2.0), ("Smiling", 9)]))
    young = ood.edit(nets, known, "Young", 2.0)
    assert array(held[0]).tobytes() == array(young.result).tobytes()
    for bad in ({"frames": 1}, {"high": 99}, {"direction": "Zebra"}):
        with pytest.raises(UserError):
            ood.slide(nets, known, **{"direction": "Smiling", "low": 0, "high": 2, "frames": 4, **bad})


def test_the_comparison(nets, known):
    made = list(ood.compare(nets, known, edits=[("Smiling", 3.0)], steps=3))
    plain, hybrid, ours = made[-1].found
    assert [row.way for row in made[-1].found] == ["Plain inversion", "Hybrid inversion", "Ours"]
    assert (plain.method, hybrid.method) == ("w", "w+") and made[-1].done == made[-1].total
    assert ours.lost is plain.lost is None, "where no region is known, nothing can be said of it"
    assert array(ours.image).tobytes() == array(ood.edit(nets, known, "Smiling", 3.0).result).tobytes()
    counted = [step.done for step in made]
    assert counted == sorted(counted)
    there = dataclasses.replace(known, landmarks=geometry.celeba_landmarks(SIZE))
    *_, last = ood.compare(nets, there, edits=[("Smiling", 3.0)], steps=3, deghost=False)
    plain, hybrid, ours = last.found
    assert ours.lost == 0 and plain.lost > 1 and hybrid.lost > 1
    assert set(ours.places) == {"inside", "face", "background", "occluder"} and ours.places["inside"] > 0
    assert ours.places["face"] == ours.places["background"] == 0 and ours.places["occluder"] is None
    assert plain.person is None or plain.person >= ours.person
    with pytest.raises(UserError, match="Nothing is to be changed"):
        ood.compare(nets, known, edits=[("Smiling", 0)])


# -- what belongs to a generator -------------------------------------------------------------------------------------


def test_what_is_missing_is_said_in_one_sentence():
    """A generator for which nothing ships: numbered directions, and a sentence about each part."""
    nets = ood.gather(tiny(resolution=16))
    assert set(nets.missing) == set(networks.PARTS) and list(nets.steps)[0] == "Direction 1"
    assert all(sentence.count(". ") == 0 and sentence.endswith(".") for sentence in nets.missing.values())
    assert nets.steps["Direction 1"].shape == (1, nets.generator.num_ws, 32) and ood.gather(nets) is nets
    with pytest.raises(UserError, match="StyleGAN2"):
        ood.gather("faces")


def test_options_are_keywords_of_each_call():
    """And are said once: a signature that recipes check, ``help`` and a wrong keyword's error have them as well."""
    for function in (ood.edit, ood.slide, ood.compare):
        taken = inspect.signature(function).parameters
        usual = {f.name: f.default for f in dataclasses.fields(ood.Options)}
        assert "options" not in taken
        assert {name: taken[name].default for name in usual} == usual
    with pytest.raises(TypeError, match="thresold"):
        ood.edit(None, None, thresold=0.2)
    assert ood.MaskOptions(threshold=0.2, deghost=True).given() == {"threshold": 0.2}
