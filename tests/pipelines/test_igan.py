"""iGAN: latents of any network, what was drawn as constraints, candidates, projection, interpolation."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import threading

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from models.hog import hog
from pipelines import igan, perceptual
from pipelines.adam import Adam
from pipelines.callback_iterator import iterate
from pipelines.igan import projection
from pipelines.igan.constraints import read_colour, rounds
from pipelines.images import encode_mask
from weights.errors import UserError

igan_brush = importlib.import_module("pipelines.igan.brush")  # igan.brush is the function

SIZE = 32


def paint(colour=(200, 60, 60), box=(8, 8, 20, 16), size=SIZE) -> Image.Image:
    rgba = np.zeros((size, size, 4), dtype=np.uint8)
    left, top, right, bottom = box
    rgba[top:bottom, left:right] = (*colour, 255)
    return Image.fromarray(rgba)


def same(a: Image.Image, b: Image.Image) -> bool:
    """Up to rounding: a picture in a batch is summed in another order than alone."""
    apart = np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int))
    return apart.max() <= 1 and (apart > 0).mean() < 0.01


def line(size=SIZE) -> np.ndarray:
    levels = np.zeros((size, size), dtype=np.uint8)
    levels[size // 2 : size // 2 + 2, size // 4 : 3 * size // 4] = 255
    return levels


WARP = {"source": (10, 10), "target": (20, 18), "size": 8}


@pytest.fixture(scope="module", params=["dcgan", "stylegan2"])
def any_net(request, dcgan, net):
    return {"dcgan": dcgan, "stylegan2": net}[request.param]


# -- latents ---------------------------------------------------------------------------------------------------------


def test_free_numbers_are_bound_again(any_net):
    space = igan.Space(any_net)
    latents = space.random(5, 3)
    assert torch.allclose(space.bind(space.free(latents)), latents, atol=1e-5)
    assert latents.shape == (5, space.dim)
    # The same two; how a batch of another size is rounded is the affair of the machine's matrix multiplication.
    assert torch.allclose(space.random(2, 3), latents[:2], atol=1e-6, rtol=1e-5)
    assert not torch.equal(space.random(2, 4), latents[:2])
    assert 0.3 < space.free(space.random(200, 0)).std() < 1.5, "free numbers are about 1, whatever the network"


def test_a_uniform_prior_is_bounded(dcgan):
    space = igan.Space(dcgan)
    assert space.bind(torch.full((1, space.dim), 50.0)).max() <= 1
    assert space.random(100, 0).abs().max() <= 1
    near = space.near(space.random(1, 0), 50, 1)
    assert near.shape == (50, space.dim) and near.abs().max() < 1
    assert (near - space.random(1, 0)).abs().max() <= 0.5 + 1e-6


def test_a_normal_prior_keeps_its_length(dcgan):
    from models.dcgan import DCGAN

    config = {**dcgan.config, "generator": {**dcgan.config["generator"], "prior": "normal"}, "predictor": None}
    space = igan.Space(DCGAN(**config).eval())
    short, long = torch.ones(1, 16), torch.full((1, 16), 50.0)
    assert torch.equal(space.bind(short), short)
    assert space.bind(long).norm() == pytest.approx(1.25 * math.sqrt(16), rel=1e-5)


def test_latents_as_text_come_back_to_the_bit(any_net):
    space = igan.Space(any_net)
    latent = igan.sample(any_net, 7)
    assert torch.equal(space.latent(igan.encode_latent(latent)).cpu(), latent)
    assert torch.equal(space.latent(7).cpu(), latent)
    json.dumps(igan.encode_latent(latent))


@pytest.mark.parametrize(
    "bad", ["", "abc", "16:!!", "3:AAAA", "1x2x3:AAAA", None, -1, 2**40, math.nan, [1.0], True, torch.zeros(1, 3)]
)
def test_what_is_no_latent(any_net, bad):
    with pytest.raises(UserError):
        igan.Space(any_net).latent(bad)


def test_latents_that_no_picture_has(any_net):
    space = igan.Space(any_net)
    for value in (math.nan, math.inf, 1e9):
        with pytest.raises(UserError, match="contains NaN"):
            space.latent(torch.full((1, space.dim), value))


def test_rows_of_w_plus_are_taken_too(net):
    space = igan.Space(net)
    plus = space.random(1, 0)[:, None].repeat(1, net.num_ws, 1)
    assert torch.allclose(space.pictures(plus), space.pictures(space.random(1, 0)), atol=1e-5)
    frames = list(igan.interpolate(net, plus, 4, 3))
    assert np.array_equal(frames[0], igan.picture(net, plus)) and np.array_equal(frames[-1], igan.picture(net, 4))
    found = list(igan.brush(net, colour=paint(size=64), z0=plus, starts=2, steps=2))[-1]
    assert found.candidates[0].latent.shape == plus.shape


# -- what was drawn --------------------------------------------------------------------------------------------------


def test_colours_are_taken_as_text_and_at_any_size():
    colour, alpha = read_colour(paint(size=64, box=(16, 16, 40, 32)), SIZE)
    assert colour.shape == (3, SIZE, SIZE) and alpha.shape == (1, SIZE, SIZE)
    assert torch.equal(alpha[0] > 0, torch.from_numpy(np.asarray(paint())[..., 3] > 0))
    again = read_colour(igan.encode_colour(paint(), SIZE), SIZE)
    wanted = read_colour(paint(), SIZE)
    assert torch.allclose(again[0][:, wanted[1][0] > 0], wanted[0][:, wanted[1][0] > 0], atol=1 / 127)
    assert torch.equal(again[1], wanted[1])


@pytest.mark.parametrize("bad", [Image.new("RGB", (8, 8)), "text", 5, np.zeros((4, 4)), Image.new("RGBA", (9000, 2))])
def test_what_are_no_colours(dcgan, bad):
    with pytest.raises(UserError):
        igan.brush(dcgan, colour=bad)


def test_an_edit_asks_for_what_is_under_it_alone(dcgan):
    space = igan.Space(dcgan)
    asked = igan.constraints(space, [igan.Edits(colour=paint())])
    x = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    inside = torch.from_numpy(np.asarray(paint())[..., 3] > 0)
    wanted = torch.tensor([200, 60, 60]) / 127.5 - 1
    by_hand = (x[:, :, inside] - wanted[None, :, None]).square().mean(dim=(1, 2))
    assert torch.allclose(asked.errors(x)["colour"], by_hand, atol=1e-5) and set(asked.errors(x)) == {"colour"}
    moved = x.clone()
    moved[:, :, ~inside] = 0
    assert torch.equal(asked.errors(moved)["colour"], asked.errors(x)["colour"])


def test_a_line_asks_for_edges_of_its_direction(dcgan):
    space = igan.Space(dcgan)
    asked = igan.constraints(space, [igan.Edits(sketch=line())])
    assert set(asked.errors(torch.zeros(1, 3, SIZE, SIZE))) == {"sketch"}
    mask = asked.edge_mask[0, 0]
    assert 0 < mask.sum() < 16 and not mask[0].any()
    across = asked.edges[0][:, mask > 0].sum(dim=1)
    assert across.argmax() == 4, "a level line has its gradient along y, a quarter turn from x"
    x = torch.from_numpy(line()).float()[None, None].expand(1, 3, -1, -1) / 127.5 - 1
    assert asked.errors(x)["sketch"] < 0.05 * asked.errors(torch.zeros_like(x))["sketch"]


def test_a_patch_is_the_picture_where_it_was(dcgan):
    space = igan.Space(dcgan)
    picture = space.pictures(space.latent(5))
    asked = igan.constraints(space, [igan.Edits(warp=[WARP], z0=5)])
    assert asked.colour_mask.sum() == 9 * 9 or asked.colour_mask.sum() == 8 * 8
    ys, xs = torch.nonzero(asked.colour_mask[0, 0], as_tuple=True)
    assert torch.allclose(asked.colour[0][:, ys, xs], picture[0][:, ys - 8, xs - 10], atol=1e-5)
    shifted = torch.roll(picture, (8, 10), (2, 3))
    assert asked.errors(shifted)["colour"] < 1e-8


def test_a_patch_ends_with_the_picture(dcgan):
    asked = igan.constraints(igan.Space(dcgan), [igan.Edits(warp=[{**WARP, "source": (0, 0)}], z0=5)])
    ys, xs = torch.nonzero(asked.colour_mask[0, 0], as_tuple=True)
    assert xs.min() == 20 and ys.min() == 18, "nothing lies left of or above the first pixel"


def test_later_rounds_lie_on_top(dcgan):
    space = igan.Space(dcgan)
    low, high = paint((0, 0, 0)), paint((255, 255, 255), (12, 8, 28, 16))
    asked = igan.constraints(space, [igan.Edits(colour=low), igan.Edits(colour=high, sketch=line())])
    assert asked.colour[0, 0, 10, 9] == -1 and asked.colour[0, 0, 10, 13] == 1 and asked.colour[0, 0, 10, 26] == 1
    assert asked.colour_mask.sum() == 20 * 8 and asked.edges is not None
    text = {"colour": igan.encode_colour(low, SIZE), "sketch": None, "warp": None, "z0": None}
    same = igan.constraints(space, [*rounds(json.loads(json.dumps([text]))), igan.Edits(colour=high, sketch=line())])
    assert torch.allclose(same.colour, asked.colour) and torch.equal(same.edges, asked.edges)


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"colour": paint(box=(0, 0, 0, 0))},
        {"sketch": np.zeros((SIZE, SIZE))},
        {"warp": []},
        {"fixed": []},
        {"fixed": [{}]},
        {"z0": 3},
    ],
)
def test_an_empty_canvas_gets_a_sentence(dcgan, bad):
    with pytest.raises(UserError, match="Nothing is drawn yet"):
        igan.brush(dcgan, **bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"warp": [WARP]},  # from which picture?
        {"warp": [{**WARP, "size": 1e6}], "z0": 1},
        {"warp": [{**WARP, "source": (1e6, 0)}], "z0": 1},
        {"warp": [{**WARP, "target": (math.nan, 0)}], "z0": 1},
        {"warp": [{"source": (0, 0)}], "z0": 1},
        {"warp": [WARP] * 17, "z0": 1},
        {"warp": "patch", "z0": 1},
        {"colour": paint(), "starts": 0},
        {"colour": paint(), "starts": 10**6},
        {"colour": paint(), "steps": 0},
        {"colour": paint(), "steps": 10**6},
        {"colour": paint(), "lr": 0},
        {"colour": paint(), "lr": math.inf},
        {"colour": paint(), "sketch_weight": -1},
        {"colour": paint(), "smoothness": 1e6},
        {"colour": paint(), "realism": math.nan},
        {"colour": paint(), "top_k": 0},
        {"colour": paint(), "seed": -1},
        {"colour": paint(), "show_every": -1},
        {"colour": paint(), "z0": "nonsense"},
        {"colour": paint(), "fixed": 5},
        {"colour": paint(), "fixed": [{"shape": 1}]},
        {"colour": paint(), "fixed": [{}] * 40},
    ],
)
def test_absurd_arguments_get_a_sentence_at_once(dcgan, bad):
    with pytest.raises(UserError) as error:
        igan.brush(dcgan, **bad)
    assert str(error.value).count(". ") == 0


def test_realism_needs_a_discriminator(net):
    with pytest.raises(UserError, match="no discriminator"):
        igan.brush(net, colour=paint(size=64), realism=1.0)


# -- candidates ------------------------------------------------------------------------------------------------------

DRAWN = {
    "colour": {"colour": paint()},
    "sketch": {"sketch": line()},
    "warp": {"warp": [WARP], "z0": 5},
    "all": {"colour": paint(box=(2, 2, 8, 8)), "sketch": line(), "warp": [WARP], "z0": 5},
}


@pytest.mark.parametrize("drawn", DRAWN.values(), ids=DRAWN.keys())
def test_each_brush_alone_and_together(dcgan, drawn):
    steps = list(igan.brush(dcgan, **drawn, starts=8, steps=30))
    assert [s.step for s in steps] == list(range(31)) and [s.done for s in steps] == [False] * 30 + [True]
    last = steps[-1]
    costs = [c.cost for c in last.candidates]
    assert costs == sorted(costs) and last.best == costs[0] < steps[0].best
    wanted = {"colour": {"colour"}, "sketch": {"sketch"}}.get(next(iter(drawn)) if len(drawn) == 1 else "", None)
    names = set(last.candidates[0].errors)
    assert names == wanted if wanted else names == {"colour", "sketch"}
    for candidate in last.candidates[:2]:
        assert same(candidate.image, igan.picture(dcgan, candidate.latent))
    before = np.mean([sum(c.errors.values()) for c in steps[0].candidates])
    assert sum(last.candidates[0].errors.values()) < before


def test_colour_is_followed(dcgan):
    steps = list(igan.brush(dcgan, colour=paint(), starts=16, steps=60))
    first = np.mean([c.errors["colour"] for c in steps[0].candidates])
    assert steps[-1].candidates[0].errors["colour"] < 0.4 * first


def test_one_batch_is_each_start_by_itself(dcgan):
    """The candidates of a batch are what single searches find: nothing couples them."""
    together = list(igan.brush(dcgan, colour=paint(), starts=4, steps=10, top_k=4))[-1]
    alone = list(igan.brush(dcgan, colour=paint(), starts=1, steps=10))[-1].candidates[0]
    assert min(float((c.latent - alone.latent).abs().max()) for c in together.candidates) < 1e-3


def test_smoothness_stays_near(dcgan):
    def moved(**more):
        found = list(igan.brush(dcgan, colour=paint(), z0=5, starts=4, steps=40, **more))[-1].candidates[0]
        assert torch.equal(found.start, igan.sample(dcgan, 5))
        return float((found.latent - found.start).square().mean())

    assert moved(smoothness=50.0) < 0.5 * moved(smoothness=0.0)


def test_realism_asks_the_discriminator(dcgan):
    def score(realism):
        found = list(igan.brush(dcgan, colour=paint(), starts=4, steps=30, realism=realism))[-1].candidates[0]
        with torch.no_grad():
            return float(dcgan.discriminator(dcgan(found.latent))[0, 0])

    assert score(5.0) > score(0.0)


def test_what_is_fixed_goes_on_being_asked_for(dcgan):
    first = igan.Edits(colour=paint((230, 230, 230), (2, 20, 12, 30)))
    one = list(igan.brush(dcgan, colour=first.colour, starts=8, steps=40))[-1].candidates[0]
    second = {"colour": paint((20, 20, 20), (20, 2, 30, 10)), "z0": one.latent, "starts": 8, "steps": 40}
    kept = list(igan.brush(dcgan, fixed=first, **second))[-1].candidates[0]
    lost = list(igan.brush(dcgan, **second))[-1].candidates[0]
    asked = igan.constraints(igan.Space(dcgan), [first])

    def error(candidate):
        with torch.no_grad():
            return float(asked.errors(dcgan(candidate.latent))["colour"])

    assert error(kept) <= error(lost) + 1e-6
    again = list(igan.brush(dcgan, fixed=first, z0=one.latent, starts=4, steps=2))[-1]
    assert set(again.candidates[0].errors) == {"colour"}, "what is fixed is enough to go on"


def test_fix_then_restart_is_a_new_beginning(dcgan):
    """A restart holds neither what was fixed nor where it was."""
    fresh = list(igan.brush(dcgan, colour=paint(), starts=4, steps=5))[-1]
    list(igan.brush(dcgan, colour=paint(), fixed=igan.Edits(sketch=line()), z0=4, starts=4, steps=5))
    again = list(igan.brush(dcgan, colour=paint(), starts=4, steps=5))[-1]
    assert all(torch.equal(a.latent, b.latent) for a, b in zip(fresh.candidates, again.candidates, strict=True))


def test_ranking_keeps_what_is_near_the_best():
    costs = torch.tensor([5.0, 1.0, 1.2, 1.1, 9.0, 2.6])
    assert igan_brush.ranked(costs, 6) == [1, 3, 2]  # the best half has the mean 1.1
    assert igan_brush.ranked(costs, 2) == [1, 3]
    assert igan_brush.ranked(torch.tensor([-3.0, -2.9, 4.0]), 3) == [0, 1]
    assert igan_brush.ranked(torch.tensor([2.0]), 16) == [0]


def test_the_average_is_weighted_by_cost():
    images, costs = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)]), torch.tensor([1.0, 3.0])
    weights = np.exp([1, -1])  # deviation 1, mean 2
    assert igan_brush.mean_picture(images, costs).mean() == pytest.approx(weights[1] / weights.sum(), rel=1e-5)
    assert igan_brush.mean_picture(images[:1], costs[:1]).max() == 0


def test_steps_that_are_not_shown_have_no_pictures(dcgan):
    steps = list(igan.brush(dcgan, colour=paint(), starts=2, steps=6, show_every=4))
    assert [bool(s.candidates) for s in steps] == [True, False, False, False, True, False, True]
    assert all((s.average is None) == (not s.candidates) and math.isfinite(s.best) for s in steps)


def test_the_same_seed_gives_the_same_pictures(any_net):
    drawn = paint(size=any_net.img_resolution)

    def run(seed):
        return list(igan.brush(any_net, colour=drawn, starts=3, steps=4, seed=seed))[-1].candidates

    one, same, other = run(1), run(1), run(2)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0].image, other[0].image)


def test_searches_leave_the_network_alone(any_net):
    before = {k: v.clone() for k, v in any_net.state_dict().items()}
    with torch.inference_mode():
        list(igan.brush(any_net, colour=paint(size=any_net.img_resolution), starts=2, steps=3))
        list(igan.project(any_net, igan.picture(any_net, 1), "hybrid", steps=3))
    assert all(torch.equal(v, before[k]) for k, v in any_net.state_dict().items())
    assert not any(p.requires_grad or p.grad is not None for p in any_net.parameters())


# -- interpolation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [2, 3, 16])
def test_interpolation_ends_equal_their_inputs(any_net, frames):
    found = list(igan.interpolate(any_net, 3, igan.sample(any_net, 8), frames))
    assert len(found) == frames
    assert np.array_equal(found[0], igan.picture(any_net, 3)) and np.array_equal(found[-1], igan.picture(any_net, 8))


def test_an_interpolation_of_candidates_ends_with_the_candidate(dcgan):
    """Play goes from where a candidate began to where it is."""
    one = list(igan.brush(dcgan, colour=paint(), z0=5, starts=2, steps=5))[-1].candidates[0]
    frames = list(igan.interpolate(dcgan, one.start, one.latent, 4))
    assert np.array_equal(frames[0], igan.picture(dcgan, 5)) and same(frames[-1], one.image)


@pytest.mark.parametrize("frames", [0, 1, 10**6, None, "many"])
def test_absurd_numbers_of_frames(dcgan, frames):
    with pytest.raises(UserError):
        igan.interpolate(dcgan, 1, 2, frames)


# -- projection ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photo(dcgan):
    return igan.picture(dcgan, 77)


@pytest.mark.parametrize("method", ["optimisation", "hybrid"])
def test_a_projection_comes_nearer(dcgan, photo, method):
    steps = list(igan.project(dcgan, photo, method, steps=60))
    assert steps[-1].done and not any(s.done for s in steps[:-1])
    assert [s.step for s in steps[:-1]] == list(range(len(steps) - 1)) and steps[-1].step == len(steps) - 2
    assert steps[-1].loss == min(s.loss for s in steps) < 0.6 * steps[0].loss
    levels = np.asarray(photo, dtype=np.float32) - np.asarray(steps[-1].image, dtype=np.float32)
    assert steps[-1].l2 == pytest.approx((levels / 127.5).__pow__(2).mean(), abs=1e-3)
    assert same(steps[-1].image, igan.picture(dcgan, steps[-1].latent))


def test_the_predictor_answers_at_once(dcgan, photo):
    (step,) = igan.project(dcgan, photo, "predictor")
    x = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None] / 127.5 - 1
    assert step.done and torch.allclose(step.latent, dcgan.predictor(x), atol=1e-5)
    first = next(igan.project(dcgan, photo, "hybrid"))
    assert torch.allclose(first.latent, step.latent, atol=1e-2), "the hybrid goes on from there"


def test_a_network_without_a_predictor(net):
    image = igan.picture(net, 3)
    with pytest.raises(UserError, match="no predictor"):
        igan.project(net, image, "predictor")
    steps = list(igan.project(net, image, "hybrid", steps=5))
    assert "nearest of 64" in steps[-1].note and steps[-1].loss < steps[0].loss
    assert not list(igan.project(net, image, "optimisation", steps=2))[-1].note


def test_of_many_starts_the_nearest_is_taken(net):
    """A picture of one of those starts is found at once."""
    latents = igan.Space(net).random(64, 9)
    image = igan.picture(net, latents[40:41])
    first = next(igan.project(net, image, "hybrid", seed=9))
    assert torch.allclose(first.latent, latents[40:41], atol=1e-4)


@pytest.mark.parametrize("method", ["optimisation", "hybrid"])
def test_a_search_can_begin_at_a_latent(any_net, method):
    latent = igan.sample(any_net, 12)
    first = next(igan.project(any_net, igan.picture(any_net, 40), method, start=latent))
    assert torch.allclose(first.latent, latent, atol=1e-5) and not first.note
    with pytest.raises(UserError):
        igan.project(any_net, igan.picture(any_net, 40), method, start="nowhere")


def test_a_projection_can_be_left_at_any_step(dcgan, photo):
    threads = threading.active_count()
    for at in (1, 4):
        steps = igan.project(dcgan, photo, "optimisation")
        found = list(itertools.islice(steps, at))
        steps.close()
        assert len(found) == at
    assert threading.active_count() == threads, "nothing runs on behind a closed search"


def test_features_may_be_left_out(dcgan, photo):
    step = next(igan.project(dcgan, photo, "optimisation", feature_weight=0))
    assert step.loss == step.l2
    assert next(igan.project(dcgan, photo, "optimisation", feature_weight=0.1)).loss > step.l2


@pytest.mark.parametrize("shape", [(64, 40), (31, 90)])
@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_photographs_of_any_kind_are_prepared(dcgan, shape, mode):
    image = igan.prepare(Image.new("RGB", shape, (10, 200, 30)).convert(mode), dcgan)
    assert image.mode == "RGB" and image.size == (SIZE, SIZE)


def test_a_photograph_without_a_face(dcgan):
    with pytest.raises(UserError, match="[Nn]o face"):
        igan.prepare(Image.new("RGB", (200, 200), "grey"), dcgan, crop="face")


@pytest.mark.parametrize(
    "bad",
    [
        {"method": "magic"},
        {"method": None},
        {"steps": 0},
        {"steps": 10**6},
        {"seed": -1},
        {"feature_weight": math.nan},
        {"show_every": -1},
        {"crop": "all"},
    ],
)
def test_absurd_projections_get_a_sentence_at_once(dcgan, photo, bad):
    with pytest.raises(UserError):
        igan.project(dcgan, photo, **bad)
    with pytest.raises(UserError):
        igan.project(dcgan, None)


# -- features --------------------------------------------------------------------------------------------------------


def test_the_page_is_told_whose_features_are_in_use(dcgan, net):
    assert "discriminator" in igan.features_in_use(dcgan) and "classifier" in igan.features_in_use(dcgan)
    assert "discriminator" not in igan.features_in_use(net)


def test_features_tell_pictures_apart(dcgan):
    features = perceptual.chosen(dcgan)
    x = igan.Space(dcgan).pictures(igan.Space(dcgan).random(3, 0))
    apart = features.apart(x, features.maps(x[:1]))
    assert apart[0] < 1e-6 < 1e-2 < apart[1:].min()


def test_vgg16_is_used_where_its_file_is(dcgan, tmp_path, monkeypatch):
    """A file of torchvision's names, random weights: it is what is compared by, and a wrong one is passed over."""
    from safetensors.torch import save_file
    from torchvision.models import vgg16

    torch.manual_seed(0)
    net = vgg16(weights=None).features[: perceptual.VGG_LAYERS]
    save_file({f"features.{k}": v.contiguous() for k, v in net.state_dict().items()}, tmp_path / "vgg.safetensors")
    save_file({"features.0.weight": torch.zeros(3)}, tmp_path / "wrong.safetensors")
    usual = weights.status
    monkeypatch.setattr(weights, "status", lambda name: "cached" if name == perceptual.VGG16 else usual(name))
    monkeypatch.setattr(weights, "fetch", lambda name, **_: tmp_path / "vgg.safetensors")
    perceptual._vgg16.cache_clear()
    features = perceptual.chosen(dcgan)
    assert features.words.startswith("VGG16")
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    normal = ((x + 1) / 2 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[
        :, None, None
    ]
    with torch.no_grad():
        assert torch.allclose(features.maps(x)[0], net.eval()(normal), atol=1e-4)
    assert next(igan.project(dcgan, igan.picture(dcgan, 1), "optimisation")).loss > 0
    monkeypatch.setattr(weights, "fetch", lambda name, **_: tmp_path / "wrong.safetensors")
    perceptual._vgg16.cache_clear()
    assert "classifier" in perceptual.chosen(dcgan).words
    perceptual._vgg16.cache_clear()


# -- what they stand on ----------------------------------------------------------------------------------------------


def test_adam_is_torchs():
    torch.manual_seed(0)
    start, gradients = torch.randn(5), torch.randn(6, 5)
    theirs = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([theirs], lr=0.1, betas=(0.8, 0.99))
    ours = start.clone()
    adam = Adam([ours], (0.8, 0.99))
    for gradient in gradients:
        theirs.grad = gradient.clone()
        optimizer.step()
        adam.step([ours], [gradient], 0.1)
    assert torch.allclose(ours, theirs.detach(), atol=1e-6)


def test_calls_become_iterators():
    made = []

    def call(report):
        for i in range(5):
            made.append(i)
            report(i)

    assert list(iterate(call)) == [0, 1, 2, 3, 4]
    made.clear()
    some = iterate(call)
    assert not made, "nothing is computed that nobody asked for"
    assert next(some) == 0 and next(some) == 1 and made == [0, 1]
    some.close()
    assert made == [0, 1]


def test_what_a_call_raises_comes_out():
    def call(report):
        report(1)
        raise KeyError("inside")

    some = iterate(call)
    assert next(some) == 1
    with pytest.raises(KeyError, match="inside"):
        next(some)


def test_hog_of_the_sketch_is_the_one_that_is_compared(dcgan):
    """A mask as text asks for the same as the levels it was made of."""
    space = igan.Space(dcgan)
    by_text = igan.constraints(space, [igan.Edits(sketch=encode_mask(line(), SIZE))])
    assert torch.equal(by_text.edges, igan.constraints(space, [igan.Edits(sketch=line())]).edges)
    assert hog(torch.zeros(1, 3, 64, 64)).shape == by_text.edges.shape
    assert projection.METHODS == igan.METHODS
