"""iGAN: latents of any network, what was drawn as constraints, interpolation, and what they stand on."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from models.hog import hog
from pipelines import igan
from pipelines.igan import projection
from pipelines.igan.constraints import read_colour, rounds
from pipelines.images import encode_mask
from pipelines.optimisation.adam import Adam
from pipelines.optimisation.callback_iterator import iterate
from weights.errors import UserError

from .igan_helpers import SIZE, WARP, line, paint, same

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
