"""What a drag is given: masks, points at borders, handles that cannot move, wrong arguments, other networks."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines import draggan, stylegan2
from weights.errors import UserError

from .conftest import tiny
from .draggan_helpers import AWAY, run, same

# -- masks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {"mode": "reference", "mask_weight": 20},
        {"mode": "fast", "mask_weight": 20, "mask_space": "features"},
        {"mode": "fast", "mask_weight": 1},
    ],
    ids=["reference", "features", "colours"],
)
def test_a_mask_holds_what_is_outside(net, w, how):
    inside = np.zeros((64, 64), bool)
    inside[16:48, 8:56] = True
    free, held = (run(net, w, 20, mask=mask, **how)[-1] for mask in (None, inside))
    first = np.asarray(run(net, w, 1)[0].image, float)
    change = [np.abs(np.asarray(s.image, float) - first)[~inside].mean() for s in (free, held)]
    assert change[1] < change[0] / 3


def test_colours_are_held_as_autograd_says(net, w):
    """The gradient of the mask alone: the mean absolute change of the averaged colours of what must stay."""
    from pipelines.draggan import motion
    from pipelines.draggan import options as drag_options

    paint = np.zeros((64, 64), np.uint8)
    paint[:, 32:] = 255
    options = drag_options.options(
        net, "fast", "w+", None, None, None, paint, 0.5, "picture", "flexible", 0, None, 16, None, "const"
    )
    w0 = w if w.ndim == 3 else w[:, None].repeat(1, net.num_ws, 1)
    engine = motion.Engine(net, w0, options)
    free = engine.rows.free(w0) + 0.05
    found = engine.look(free).gradient([(8.0, 8.0)], [(8.0, 8.0)], [False], [None])
    free = free.clone().requires_grad_(True)
    averages = [
        torch.nn.functional.avg_pool2d(net.synthesis(rows, noise_mode="const", last=32), 2)[:, :, :, :8]
        for rows in (engine.rows.assemble(free), w0)
    ]
    (wanted,) = torch.autograd.grad(0.5 * (averages[0] - averages[1]).abs().mean(), free)
    assert wanted.abs().max() > 0 and torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))


def test_paint_may_say_what_moves_or_what_stays(net, w):
    paint = np.zeros((64, 64), np.uint8)
    paint[:, 32:] = 255
    flexible = run(net, w, mask=255 - paint, painted="flexible")[-1]
    same(flexible, run(net, w, mask=paint, painted="fixed")[-1])


def test_masks_of_every_kind_are_the_same_mask(net, w):
    array = np.zeros((64, 64), np.uint8)
    array[10:40, 10:40] = 255
    wanted = run(net, w, 2, mask=array)[-1]
    image = Image.fromarray(array)
    kinds = [image, image.convert("RGB"), image.convert("1"), array > 0, array / 255.0, torch.from_numpy(array)]
    kinds += [draggan.encode_mask(array, 64), image.resize((256, 256), Image.Resampling.NEAREST)]
    for mask in kinds:
        same(run(net, w, 2, mask=mask)[-1], wanted)


def test_nothing_painted_is_no_mask(net, w):
    wanted = run(net, w, 2)[-1]
    for painted in ("flexible", "fixed"):
        same(run(net, w, 2, mask=np.zeros((64, 64)), painted=painted)[-1], wanted)
    same(run(net, w, 2, mask=np.ones((64, 64)))[-1], wanted)
    with pytest.raises(UserError, match="paint less"):
        run(net, w, 2, mask=np.ones((64, 64)), painted="fixed")


@pytest.mark.parametrize(
    "mask", ["text", "", 5, np.zeros(4), np.zeros((2, 2, 3)), np.full((4, 4), np.nan), np.zeros((9000, 9000), bool), {}]
)
def test_what_is_no_mask(net, w, mask):
    with pytest.raises(UserError) as e:
        run(net, w, mask=mask)
    assert "\n" not in str(e.value)


# -- points --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", draggan.MODES)
@pytest.mark.parametrize(
    ("handle", "target"),
    [((0, 0), (10, 10)), ((63, 63), (40, 63)), ((30, 0), (30, 63)), ((-0.5, 63.5), (12, 12)), ((5, 5), (63.5, -0.5))],
)
def test_points_at_the_border(net, w, mode, handle, target):
    for size, network in ((64, net),):
        steps = run(network, w, 3, handles=[handle], targets=[target], mode=mode)
        for step in steps:
            assert torch.isfinite(step.w).all()
            assert all(0 <= v <= size - 1 for point in step.handles for v in point)
        assert not torch.equal(steps[-1].w, steps[0].w)


def test_points_at_the_border_of_cut_features(wide):
    w = stylegan2.latent(wide, seed=1)
    for handle, target in (((0, 0), (30, 9)), ((127, 127), (90, 120)), ((0, 64), (9, 64))):
        steps = run(wide, w, 3, handles=[handle], targets=[target])
        assert all(0 <= v <= 127 for point in steps[-1].handles for v in point)
        assert not torch.equal(steps[-1].w, steps[0].w)


@pytest.mark.parametrize("mode", draggan.MODES)
def test_a_handle_on_its_target_is_there(net, w, mode):
    steps = run(net, w, handles=[(20, 30)], targets=[(20, 30)], mode=mode)
    assert len(steps) == 1 and steps[0].done == "arrived" and steps[0].arrived == (True,)
    assert steps[0].image is not None and torch.equal(steps[0].w, w)


def test_an_anchor_beside_a_handle_that_moves(net, w):
    steps = run(net, w, 5, handles=[(20, 30), (45, 45)], targets=[(50, 30), (45, 45)])
    assert steps[0].arrived == (False, True) and len(steps) == 6


@pytest.mark.parametrize("mode", draggan.MODES)
@pytest.mark.parametrize("r", [0.1, 3, 100])
def test_radii_are_never_nothing(net, w, mode, r):
    steps = run(net, w, 2, r1=r, r2=r, mode=mode)
    assert torch.isfinite(steps[-1].w).all() and not torch.equal(steps[-1].w, steps[0].w)


@pytest.mark.parametrize("mode", draggan.MODES)
def test_a_handle_that_cannot_move_is_reported(mode):
    net = tiny()
    with torch.no_grad():  # pictures do not depend on the latent any more
        for name, parameter in net.named_parameters():
            if name.endswith("affine.weight"):
                parameter.zero_()
    steps = run(net, stylegan2.latent(net, seed=1), 500, patience=7, mode=mode)
    assert steps[-1].done == "stuck" and steps[-1].stuck == (True,) and steps[-1].step == 7
    again = run(net, None, 500, handles=steps[-1].handles, resume=steps[-1], patience=7, mode=mode)
    assert again[0].done is None and again[-1].step == 14  # asked for again, it is tried again


def test_a_stuck_handle_does_not_keep_others_from_arriving(net, w):
    steps = run(net, w, 60, handles=[(20, 30), (32, 32)], targets=[(21.4, 30), (2, 60)], patience=3, stop_distance=1)
    last = steps[-1]
    assert last.done in ("stuck", "arrived") and all(a or s for a, s in zip(last.arrived, last.stuck, strict=True))
    assert not any(a and s for step in steps for a, s in zip(step.arrived, step.stuck, strict=True))


BAD = [
    {"handles": []},
    {"targets": []},
    {"handles": [], "targets": []},
    {"handles": [(1, 2)], "targets": [(1, 2), (3, 4)]},
    {"handles": [(1, 2)] * 129, "targets": [(1, 2)] * 129},
    {"handles": [(64, 2)]},
    {"handles": [(-1, 2)]},
    {"targets": [(2, 1e9)]},
    {"handles": [(math.nan, 2)]},
    {"handles": [(math.inf, 2)]},
    {"handles": [("a", 2)]},
    {"handles": [(1, 2, 3)]},
    {"handles": [5]},
    {"handles": "12"},
    {"handles": None},
    {"steps": 0},
    {"steps": 10**9},
    {"steps": 2.5},
    {"steps": None},
    {"mode": "quick"},
    {"space": "z"},
    {"painted": "blue"},
    {"noise_mode": "random"},
    {"lr": 0},
    {"lr": math.nan},
    {"lr": 100},
    {"r1": 0},
    {"r2": 1e9},
    {"mask_weight": -1},
    {"mask_space": "pixels"},
    {"mask_space": "picture", "mode": "reference"},
    {"latent_weight": math.inf},
    {"rows": 0},
    {"rows": 11},
    {"feature_resolution": 48},
    {"feature_resolution": 128},
    {"stop_distance": 0},
    {"patience": 0},
    {"show_every": -1},
    {"resume": "the last one"},
]


@pytest.mark.parametrize("bad", BAD, ids=[json.dumps(b, default=str)[:40] for b in BAD])
def test_bad_arguments_are_one_sentence_before_the_first_step(net, w, bad):
    with pytest.raises(UserError) as e:
        draggan.drag(net, w, **{**AWAY, **bad})
    assert "\n" not in str(e.value) and len(str(e.value)) < 200


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "w",
        torch.zeros(1, 3, 32),
        torch.zeros(2, 10, 32),
        torch.full((1, 10, 32), math.nan),
        torch.zeros(1, 32).int(),
    ]
    + [torch.full((1, 10, 32), 1e9)],
)
def test_bad_latents_are_one_sentence(net, bad):
    with pytest.raises(UserError):
        draggan.drag(net, bad, **AWAY)


def test_w_will_do_and_points_of_every_kind(net, w):
    wanted = run(net, w, 2)[-1]
    same(run(net, w[:, 0], 2)[-1], wanted)
    same(run(net, w, 2, handles=np.array([[20, 30]]), targets=torch.tensor([[50, 30]]))[-1], wanted)
    same(run(net, w, 2, handles=((20.0, 30.0),), targets=[[50, 30]])[-1], wanted)


def test_every_network_has_its_defaults():
    for resolution in (8, 32, 64, 256):
        usual = draggan.defaults(tiny(resolution=resolution))
        assert 0 < usual.lr < 1 and usual.feature_resolution <= resolution and usual.stop_distance >= 1


@pytest.mark.parametrize(
    "config", [{"architecture": "resnet"}, {"modulation": "adain"}, {"resolution": 8}, {"c_dim": 2, "resolution": 16}]
)
def test_other_networks_can_be_dragged_too(config):
    net = tiny(**config)
    size = net.img_resolution
    steps = run(net, stylegan2.latent(net, seed=1), 2, handles=[(1, 2)], targets=[(size - 2, 2)])
    assert not torch.equal(steps[-1].w, steps[0].w) and steps[-1].image.size == (size, size)
