"""Dragging: what a step holds, that it moves what it says, going on, and the same again."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import math
import pickle
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import weights
from pipelines import draggan, images, stylegan2
from pipelines.draggan import motion
from pipelines.draggan import options as arguments
from pipelines.latents import LEAST, away, principal_axes

from .draggan_helpers import AWAY, KINDS, run, same

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
    look = engine.look(free)
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
    look = engine.look(engine.rows.free(w))
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
    stopped = pickle.loads(pickle.dumps(whole[2]))
    rest = run(wide, None, 2, handles=stopped.handles, targets=how["targets"], resume=stopped)
    for a, b in zip(whole[2:], rest, strict=True):
        same(a, b)


def test_windows_of_the_features_are_what_the_whole_map_has(wide, monkeypatch):
    w, how = stylegan2.latent(wide, seed=1), {"handles": [(40, 60)], "targets": [(60, 60)]}
    boxes, found = [], motion.Look._pulled_box
    monkeypatch.setattr(
        motion.Look, "_pulled_box", lambda look, handles: boxes.append(found(look, handles)) or boxes[-1]
    )
    cut = run(wide, w, 3, **how)
    assert len(boxes) == 3 and None not in boxes
    monkeypatch.setattr(motion, "WORTH_CUTTING", 1000)
    whole = run(wide, w, 3, **how)
    assert boxes[3:] == [None] * 3
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


def test_how_far_a_latent_lies_from_those_of_the_network(net):
    """Its own lie within 1, nearer with truncation; what no mapping makes lies far away. Drags say it with pictures."""
    own = [away(net, stylegan2.latent(net, seed=s, truncation_psi=1.0)) for s in range(40)]
    near = [away(net, stylegan2.latent(net, seed=s, truncation_psi=0.5)) for s in range(40)]
    assert np.mean(np.array(own) <= 1) > 0.9 and max(near) < max(own)
    start = stylegan2.latent(net, seed=1)
    assert away(net, start + 50 * start.std()) > 2
    steps = run(net, start, 3, show_every=2)
    assert steps[0].away == away(net, start) and not steps[0].strayed
    assert [s.away is None for s in steps] == [s.image is None for s in steps]


def test_steps_go_along_the_principal_axes_of_w(net, w):
    """As long in each as w varies there: ``steps`` is a root of the covariance, in units in which w_dim are 1."""
    principal = principal_axes(net)
    steps = principal.steps().double()
    z = torch.randn(4096, net.z_dim, generator=torch.Generator().manual_seed(1))
    samples = net.mapping(z)[:, 0].double()
    least = LEAST * torch.cov(samples.T).diagonal().mean() * torch.eye(net.w_dim)
    wanted = torch.cov(samples.T) + least
    wanted *= net.w_dim / wanted.trace()
    assert (steps.T @ steps - wanted).abs().max() < 0.15 * wanted.abs().max()
    change = run(net, w, 8)[-1].w[0, :3].double() - w[0, :3].cpu()
    along = (change @ principal.axes).square().mean(dim=0)  # by axis, the widest last
    assert along[-net.w_dim // 4 :].sum() > 0.5 * along.sum()


def test_one_that_is_stuck_pulls_on(net, w):
    """What the others do may free it: patience only says when to end."""
    handles, targets = [(20, 30), (45, 45)], [(50, 30), (2, 60)]
    patient = run(net, w, 40, handles=handles, targets=targets, patience=500)
    hasty = run(net, w, 40, handles=handles, targets=targets, patience=5)
    for a, b in zip(patient, hasty, strict=False):
        assert torch.equal(a.w, b.w)
    assert any(any(step.stuck) for step in hasty[:-1])


def test_a_drag_says_that_its_picture_has_strayed(net, monkeypatch):
    """Where the limit is passed; a start that lies outside already has a limit of its own."""
    start = stylegan2.latent(net, seed=1)
    drag = importlib.import_module("pipelines.draggan.drag")
    steps = run(net, start, 3)
    monkeypatch.setattr(drag, "STRAYED", 0.5 * steps[0].away)
    monkeypatch.setattr(drag, "STRAYED_FROM_START", 0.5)
    assert all(step.strayed for step in run(net, start, 3))
    monkeypatch.setattr(drag, "STRAYED_FROM_START", 100.0)
    assert not any(step.strayed for step in run(net, start, 3))
