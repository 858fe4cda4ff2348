"""Dragging: what a step holds, going on, masks, borders, handles that cannot move, arguments, files and drawings."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import weights
from pipelines import draggan, images, stylegan2
from pipelines.draggan import motion
from pipelines.draggan import options as arguments
from weights.errors import UserError

from .conftest import tiny

AWAY = {"handles": [(20, 30)], "targets": [(50, 30)]}  # farther than the steps of these tests reach
KINDS = {
    "no mask": {},
    "mask": {"mask": np.pad(np.ones((30, 30)), 17)},
    "one w": {"space": "w"},
    "latent term": {"latent_weight": 1.0},
    "whole picture": {"feature_resolution": 64},
    "reference": {"mode": "reference", "r1": 24, "r2": 40},
}


@pytest.fixture(scope="module")
def w(net):
    return stylegan2.latent(net, seed=1)


@pytest.fixture(scope="module")
def wide():
    """128 px, so that the feature map is large enough for windows of it to be computed alone."""
    return tiny(resolution=128)


def run(net, w, steps=4, **how):
    return list(draggan.drag(net, w, **{**AWAY, **how}, steps=steps))


def same(a, b):
    """Two steps agree to the last bit in everything that matters."""
    assert (a.step, a.handles, a.targets, a.distances, a.stuck) == (b.step, b.handles, b.targets, b.distances, b.stuck)
    assert torch.equal(a.w, b.w)
    assert all(torch.equal(m, n) for m, n in zip(a.state.moments, b.state.moments, strict=True))
    if a.image is not None and b.image is not None:
        assert np.array_equal(a.image, b.image)


# -- what a step holds ---------------------------------------------------------------------------------------------


def test_steps_from_the_start_to_the_end(net, w):
    steps = run(net, w)
    assert [s.step for s in steps] == [0, 1, 2, 3, 4]
    assert [s.done for s in steps] == [None] * 4 + ["steps"]
    assert torch.equal(steps[0].w, w) and steps[0].handles == ((20.0, 30.0),)
    assert steps[0].distance == steps[0].distances[0] == 30
    for step in steps:
        assert step.w.shape == (1, net.num_ws, net.w_dim) and step.w.device.type == "cpu"
        assert step.image.size == (64, 64) and step.targets == ((50.0, 30.0),)
    assert not torch.equal(steps[1].w, steps[0].w)
    rows = draggan.defaults(net).rows
    assert torch.equal(steps[-1].w[:, rows:], w[:, rows:])
    with pytest.raises(dataclasses.FrozenInstanceError):
        steps[0].step = 3


def test_a_step_is_small_and_can_be_pickled(net, w):
    step = run(net, w)[-1]
    data = pickle.dumps(dataclasses.replace(step, image=None))
    assert len(data) < 12 * step.w.numel() * 4 + 20_000
    same(pickle.loads(data), step)
    same(copy.deepcopy(step), step)


def test_the_picture_is_that_of_the_latent(net, w):
    step = run(net, w)[-1]
    with torch.no_grad():
        wanted = images.to_pil(net.synthesis(step.w, noise_mode="const"))[0]
    assert np.abs(np.asarray(step.image, int) - np.asarray(wanted, int)).max() <= 1


@pytest.mark.parametrize(("every", "shown"), [(1, [0, 1, 2, 3, 4]), (3, [0, 3, 4]), (100, [0, 4]), (0, [])])
def test_only_some_steps_are_shown(net, w, every, shown):
    assert [s.step for s in run(net, w, show_every=every) if s.image is not None] == shown


def test_showing_changes_nothing(net, w):
    for a, b in zip(run(net, w, show_every=0), run(net, w), strict=True):
        same(a, b)


# -- it moves what it says -----------------------------------------------------------------------------------------


def patch(image, point, radius=4):
    x, y = (round(v) for v in point)
    return np.asarray(image, float)[y - radius : y + radius + 1, x - radius : x + radius + 1]


def test_what_was_dragged_is_where_the_handle_says():
    """On a shipped network, in pixels and not in features: the hair line comes down, to the left, and down."""
    net = weights.load("stylegan2/faces")
    for seed, *places in ((2, (32, 12), (32, 19)), (5, (32, 38), (26, 38)), (28, (32, 12), (32, 18))):
        handle, target = ([(v + 0.5) * net.img_resolution / 64 - 0.5 for v in place] for place in places)
        steps = list(draggan.drag(net, stylegan2.latent(net, seed=seed), [handle], [target], show_every=1000))
        first, last = steps[0], steps[-1]
        assert last.distance < first.distance / 2
        before = patch(first.image, handle)
        moved, stayed = (np.abs(patch(last.image, p) - before).mean() for p in (last.handles[0], handle))
        assert moved < stayed


def grid_samples(features, points):
    """torch's own bilinear sampling at (x, y) in cells, ``[C, N]``."""
    grid = (torch.tensor(points) + 0.5) / features.shape[-1] * 2 - 1
    return F.grid_sample(features[None], grid[None, None], align_corners=False, padding_mode="border")[0, :, 0]


@pytest.mark.parametrize("space", ["w+", "w"])
def test_the_gradient_is_that_of_the_formula(net, w, space):
    """Motion, mask and latent term written down once more, with torch's own sampling, autograd and all cells."""
    mask = np.zeros((64, 64))
    mask[8:56, 8:56] = 1
    options = arguments.options(
        net, "fast", space, None, 20, None, mask, 20.0, "features", "flexible", 0.5, None, None, None, "const"
    )
    engine = motion.Engine(net, w, options)
    handle, target = (24.3, 30.6), (40.0, 21.0)
    free = engine.rows.free(w) + 0.05
    templates = engine.templates(w, [handle])
    look = engine.look(free, engine.box([handle]))
    ours = look.gradient([handle], [target], [True], templates)

    free = free.clone().requires_grad_(True)
    ws = engine.rows.assemble(free)
    features, first = (net.synthesis.features(v, 32)[0] for v in (ws, w))
    (x, y), (u, v) = (tuple((c + 0.5) / 2 - 0.5 for c in p) for p in (handle, target))
    length = math.dist((x, y), (u, v))
    stride = motion.STRIDE
    steps = [i * 0.5 for i in range(-3, 4)]
    radius = 20 / 512 * 32
    disc = [(a, b) for b in steps for a in steps if a * a + b * b <= radius**2 + 1e-6]
    here = grid_samples(first, [(x + a, y + b) for a, b in disc])
    ahead = [(x + a + (u - x) / length * stride, y + b + (v - y) / length * stride) for a, b in disc]
    pulled = (here - grid_samples(features, ahead)).abs().mean()
    fixed = F.avg_pool2d(1 - torch.from_numpy(mask).float()[None], 2)[0]
    held = ((features - first).abs() * fixed).mean()
    away = (ws - w).abs().mean() * first.square().mean().sqrt()
    wanted = torch.autograd.grad(pulled + 20 * held + 0.5 * away, free)[0]
    assert len(disc) > 10 and wanted.shape == ours.shape
    assert (ours - wanted).abs().max() < 1e-3 * wanted.abs().max()


def test_tracking_finds_what_was_shifted(net, w):
    """Features moved by a known amount, between the cells too, are found there."""
    options = arguments.options(
        net, "fast", "w+", None, None, 40, None, 20.0, "auto", "flexible", 0.0, None, None, None, "const"
    )
    engine = motion.Engine(net, w, options)
    handles = [(20.0, 30.0), (40.5, 22.0)]
    templates = engine.templates(w, handles)
    look = engine.look(engine.rows.free(w), None)
    assert all(math.dist(a, b) < 1e-3 for a, b in zip(look.track(handles, templates), handles, strict=True))
    whole = look.features
    for dx, dy in ((1, 0), (-1, 1), (0.5, -1.5), (0.3, 0.8)):
        rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
        points = torch.stack([columns - dx, rows - dy], dim=-1).reshape(-1, 2).tolist()
        look.features = grid_samples(whole, points).reshape(whole.shape)
        for a, b in zip(look.track(handles, templates), handles, strict=True):
            assert math.dist(a, (b[0] + 2 * dx, b[1] + 2 * dy)) < 0.75


# -- stopping and going on -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_and_continued_is_not_stopped_at_all(net, w, kind):
    whole = run(net, w, 6, **KINDS[kind])
    part = run(net, w, 3, **KINDS[kind])
    rest = run(net, None, 3, **{**KINDS[kind], "handles": part[-1].handles, "resume": part[-1]})
    assert [s.step for s in rest] == [3, 4, 5, 6]
    for a, b in zip(whole, part[:3] + rest, strict=True):
        same(a, b)


def test_windows_of_the_features_are_no_different_after_a_stop(wide):
    w, how = stylegan2.latent(wide, seed=1), {"handles": [(40, 60), (90, 60)], "targets": [(60, 60), (110, 60)]}
    whole = run(wide, w, 4, **how)
    assert whole[2].state.box is not None
    stopped = pickle.loads(pickle.dumps(whole[2]))
    rest = run(wide, None, 2, handles=stopped.handles, targets=how["targets"], resume=stopped)
    for a, b in zip(whole[2:], rest, strict=True):
        same(a, b)


def test_windows_of_the_features_are_what_the_whole_map_has(wide, monkeypatch):
    w, how = stylegan2.latent(wide, seed=1), {"handles": [(40, 60)], "targets": [(60, 60)]}
    cut = run(wide, w, 3, **how)
    monkeypatch.setattr(motion, "WORTH_CUTTING", 1000)
    whole = run(wide, w, 3, **how)
    assert cut[1].state.box is not None and whole[1].state.box is None
    assert math.dist(cut[-1].handles[0], whole[-1].handles[0]) < 0.01
    # The first steps of Adam do not know the size of a gradient: entries of next to none may go either way.
    assert ((cut[-1].w - whole[-1].w).abs() > 1e-3).float().mean() < 0.01


def test_a_generator_left_alone_can_be_taken_up_from_any_of_its_steps(net, w):
    whole = run(net, w, 5)
    steps = draggan.drag(net, w, **AWAY, steps=100)
    taken = [next(steps) for _ in range(3)]
    steps.close()
    rest = run(net, None, 3, handles=taken[-1].handles, resume=taken[-1])
    same(rest[-1], whole[-1])
    again = run(net, None, 4, handles=taken[1].handles, resume=taken[1])  # undone: from an earlier one
    same(again[-1], whole[-1])


def test_points_added_moved_and_removed_on_the_way(net, w):
    first = run(net, w, 3)[-1]
    two = [first.handles[0], (40.0, 12.0)]
    more = run(net, None, 2, handles=two, targets=[(50, 30), (20, 12)], resume=first)
    known, placed = more[-1].state.origins
    assert torch.equal(known[0], w) and known[1] == (20.0, 30.0)  # still known by what it was placed on
    assert torch.equal(placed[0], first.w) and placed[1] == (40.0, 12.0)
    assert more[-1].state.updates == 5 and more[0].state.best[1] == 20
    moved = run(net, None, 1, handles=[(33.0, 33.0)], targets=[(20, 33)], resume=more[-1])
    assert torch.equal(moved[-1].state.origins[0][0], more[-1].w)
    fewer = run(net, None, 1, handles=more[-1].handles[1:], targets=[(20, 12)], resume=more[-1])
    assert torch.equal(fewer[-1].state.origins[0][0], first.w)


def test_another_space_or_fewer_rows_begin_with_new_moments(net, w):
    first = run(net, w, 2)[-1]
    for how in ({"space": "w"}, {"rows": 3}, {"mode": "reference", "rows": 4}):
        step = run(net, None, 1, handles=first.handles, resume=first, **how)[-1]
        assert step.step == 3 and step.state.updates == 1


def test_the_mask_refers_to_where_the_drag_began(net, w):
    first = run(net, w, 3)[-1]
    later = run(net, None, 1, handles=first.handles, resume=first, mask=KINDS["mask"]["mask"])
    assert torch.equal(later[-1].state.w0, w)


# -- the same again, and nobody else's -----------------------------------------------------------------------------


def test_the_same_drag_makes_the_same_pixels(net, w):
    for a, b in zip(run(net, w), run(net, w), strict=True):
        same(a, b)


def test_drags_taking_turns_and_on_threads_do_not_meet(net, w):
    other = stylegan2.latent(net, seed=2)
    alone = [run(net, start, 5) for start in (w, other)]
    turns = [draggan.drag(net, start, **AWAY, steps=5) for start in (w, other)]
    for pair, wanted in zip(zip(*turns, strict=True), zip(*alone, strict=True), strict=True):
        for a, b in zip(pair, wanted, strict=True):
            same(a, b)
    found = [None] * 5
    threads = [
        threading.Thread(target=lambda i=i: found.__setitem__(i, run(net, (w, other)[i % 2], 5))) for i in range(5)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for i, steps in enumerate(found):
        same(steps[-1], alone[i % 2][-1])


def test_the_network_and_the_latent_are_not_changed(net, w):
    state, start = {k: v.clone() for k, v in net.state_dict().items()}, w.clone()
    for kind in KINDS.values():
        run(net, w, 2, **kind)
    assert torch.equal(w, start) and all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("mode", draggan.MODES)
def test_no_mode_of_torch_leaks_in_or_out(net, w, mode):
    wanted = run(net, w, 2, mode=mode)[-1]
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            inside = stylegan2.latent(net, seed=1)
            steps = draggan.drag(net, inside, **AWAY, steps=2, mode=mode)
            next(steps)
            assert not torch.is_grad_enabled()
            same(list(steps)[-1], wanted)
    steps = draggan.drag(net, w, **AWAY, steps=2, mode=mode)
    next(steps)
    assert torch.is_grad_enabled()


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
    found = engine.look(free, None).gradient([(8.0, 8.0)], [(8.0, 8.0)], [False], [None])
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


# -- replay --------------------------------------------------------------------------------------------------------


def test_a_replay_is_what_was_done_by_hand(net, w):
    paint = np.zeros((64, 64), np.uint8)
    paint[16:48, 8:56] = 255
    a = run(net, w, 3)
    handles = [a[-1].handles[0], (40.0, 12.0)]
    b = run(net, None, 2, handles=handles, targets=[(50, 30), (20, 12)], resume=a[-1], mask=paint)
    drags = [
        {"handles": [[20, 30]], "targets": [[50, 30]], "steps": 3},
        {
            "handles": [list(p) for p in handles],
            "targets": [[50, 30], [20, 12]],
            "steps": 2,
            "mask": draggan.encode_mask(paint, 64),
        },
    ]
    drags = json.loads(json.dumps(drags))
    by_seed = list(draggan.replay(net, drags, seed=1))
    by_latent = list(draggan.replay(net, drags, latent=draggan.encode_latent(w, net)))
    assert [s.step for s in by_seed] == [0, 1, 2, 3, 4, 5]
    for steps in (by_seed, by_latent):
        for x, y in zip(steps, a + b[1:], strict=True):
            same(x, y)


@pytest.mark.parametrize(
    "bad",
    [
        {"drags": []},
        {"drags": [{}]},
        {"drags": ["x"]},
        {"drags": [{**AWAY, "net": 1}]},
        {"drags": [{**AWAY, "resume": 1}]},
        {"drags": [{**AWAY, "steps": -1}]},
        {"drags": [AWAY] * 65},
        {"drags": [AWAY], "latent": "AAAA"},
        {"drags": [AWAY], "latent": "not base64"},
        {"drags": [AWAY], "seed": -1},
    ],
)
def test_bad_replays_are_one_sentence(net, bad):
    with pytest.raises(UserError) as e:
        draggan.replay(net, **bad)
    assert "\n" not in str(e.value)


# -- drawings and files --------------------------------------------------------------------------------------------


def test_points_are_drawn_where_they_are():
    image = Image.new("RGB", (64, 64), (128, 128, 128))
    drawn = draggan.draw(image, [(10, 20)], [(50, 40)], size=512)
    assert drawn.size == (512, 512) and image.getpixel((10, 20)) == (128, 128, 128)
    red, blue = (drawn.getpixel(tuple(int((v + 0.5) * 8) for v in p)) for p in ((10, 20), (50, 40)))
    assert red[0] > 200 > red[2] and blue[2] > 200 > blue[0]
    assert drawn.getpixel((500, 20)) == (128, 128, 128)
    around = drawn.crop((60, 140, 110, 190)).getcolors()
    assert len(around) > 10  # smooth


def test_what_is_held_is_darker():
    image, mask = Image.new("RGB", (64, 64), (128, 128, 128)), np.zeros((64, 64))
    mask[:, 32:] = 1
    flexible = draggan.draw(image, [], [], mask)
    assert flexible.getpixel((5, 5))[0] < 100 and flexible.getpixel((60, 5)) == (128, 128, 128)
    assert draggan.draw(image, [], [], mask, painted="fixed").getpixel((60, 5))[0] < 100


def test_frames_of_a_drag(net, w):
    steps = run(net, w, 4, show_every=2)
    frames = list(draggan.frames(steps, size=200))
    assert len(frames) == 3 and {f.size for f in frames} == {(256, 256)}
    bare = list(draggan.frames(steps, points=False, size=None))
    assert [np.array_equal(a, s.image) for a, s in zip(bare, [steps[0], steps[2], steps[4]], strict=True)] == [True] * 3


def test_latents_survive_their_file_and_their_text(net, w, tmp_path):
    step = run(net, w, 2)[-1]
    path = draggan.save_latent(tmp_path / "w.safetensors", step.w, net)
    assert torch.equal(draggan.load_latent(path, net), step.w)
    assert torch.equal(draggan.decode_latent(draggan.encode_latent(step.w, net), net), step.w)
    assert b"stylegan2/tiny" in path.read_bytes() and b"ab" * 32 in path.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_latents_of_other_sizes_and_other_files_are_refused(net, conditional, w, tmp_path):
    path = draggan.save_latent(tmp_path / "w.safetensors", w, net)
    with pytest.raises(UserError, match="stylegan2/tiny"):
        draggan.load_latent(path, conditional)
    with pytest.raises(UserError):
        draggan.save_latent(tmp_path / "other", w[:, :3], net)
    with pytest.raises(UserError):
        draggan.save_latent(tmp_path / "no" / "such" / "folder", w, net)
    bad = tmp_path / "bad"
    for content in (
        b"",
        b"hello",
        path.read_bytes()[:-8],
        path.read_bytes().replace(b"ganbook_latent", b"somebody_else_"),
    ):
        bad.write_bytes(content)
        with pytest.raises(UserError):
            draggan.load_latent(bad, net)
    with pytest.raises(UserError):
        draggan.load_latent(tmp_path / "nowhere", net)


def test_a_latent_as_numpy_archive(net, conditional, tmp_path):
    """As NVIDIA's projector writes it: one array, called w."""
    w = stylegan2.latent(net, 3)
    path = draggan.save_latent(tmp_path / "w.npz", w, net)
    with np.load(path) as found:
        assert list(found) == ["w"] and np.array_equal(found["w"], w.numpy())
    assert torch.equal(draggan.load_latent(path, net), w)
    np.savez_compressed(tmp_path / "theirs.npz", w=w[0].double().numpy())
    assert torch.allclose(draggan.load_latent(tmp_path / "theirs.npz", net), w)
    with pytest.raises(UserError, match="no latent of this network"):
        draggan.load_latent(path, conditional)


@pytest.mark.parametrize(
    "arrays",
    [
        {"z": np.zeros((1, 10, 32), np.float32)},
        {"w": np.zeros((1, 10, 31), np.float32)},
        {"w": np.zeros((1, 10, 32), np.int64)},
        {"w": np.zeros((4000, 32000), np.float16)},
        {"w": np.array([{"a": 1}], dtype=object)},
        {"w": np.full((1, 10, 32), np.nan, np.float32)},
    ],
)
def test_numpy_archives_that_hold_no_latent(net, tmp_path, arrays):
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match="no latent|NaN"):
        draggan.load_latent(tmp_path / "a.npz", net)


def test_a_numpy_archive_that_is_cut(net, tmp_path):
    path = draggan.save_latent(tmp_path / "w.npz", stylegan2.latent(net, 3), net)
    whole = path.read_bytes()
    for place in (200, 700):  # the header, and the numbers
        spoilt = bytearray(whole)
        spoilt[place] ^= 255
        path.write_bytes(spoilt)
        with pytest.raises(UserError):
            draggan.load_latent(path, net)
    for text in ("", "AAAA", "not base64!", None):
        with pytest.raises(UserError):
            draggan.decode_latent(text, net)
