"""``mode="reference"`` against what the authors' program computes, step by step (tests/fixtures/README.md)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import weights
from pipelines import draggan
from pipelines.draggan.motion import Options
from pipelines.draggan.reference import ReferenceEngine

CASES = {"a": ("w+", 0.0), "b": ("w", 0.5), "c": ("w+", 0.0)}  # the space, the weight of the latent term


@pytest.fixture(scope="module")
def trace():
    from ..conftest import fixture_path

    path = fixture_path("draggan_trace_64.npz")
    if path is None:
        pytest.skip("draggan_trace_64.npz is nowhere")
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.fixture
def net(fixtures):
    return weights.read(fixtures("stylegan2_ada_64.pkl"), device="cpu")


def xy(points):
    """Rows and columns, as the trace has them, to (x, y)."""
    return [(float(column), float(row)) for row, column in points]


def engine(net, trace, case):
    space, latent_weight = CASES[case]
    start = torch.from_numpy(trace[f"{case}_w"][0])
    w0 = start if start.ndim == 3 else start[:, None].repeat(1, net.num_ws, 1)
    mask = trace.get(f"{case}_mask_flexible")
    fixed = None if mask is None else 1 - torch.from_numpy(mask).float()
    options = Options(
        mode="reference",
        space=space,
        rows=6,
        feature_resolution=32,
        noise_mode="const",
        lr=0.02,
        r1=24 * 64 / 512,
        r2=96 * 64 / 512,
        stop=2.0,
        near=1.0,
        mask_weight=20.0,
        mask_space="features",
        latent_weight=latent_weight,
        fixed=fixed,
    )
    return ReferenceEngine(net, w0, options)


def stored(trace, case, t, rows=6):
    w = torch.from_numpy(trace[f"{case}_w"][t])
    return w[:, :rows] if w.ndim == 3 else w[:, None]


@pytest.mark.parametrize("case", CASES)
def test_every_step_from_the_stored_latent(net, trace, case):
    drag = engine(net, trace, case)
    targets = xy(trace[f"{case}_targets"])
    handles, templates = xy(trace[f"{case}_points0"]), None
    for t, expected in enumerate(trace[f"{case}_points"]):
        look = drag.look(stored(trace, case, t))
        if t == 0:
            templates = drag.templates(look.ws, handles)
            assert np.abs(torch.stack(templates).numpy() - trace[f"{case}_feat_refs"]).max() < 1e-4
        handles = look.track(handles, templates)
        assert handles == xy(expected)
        distances = [np.hypot(a[0] - b[0], a[1] - b[1]) for a, b in zip(handles, targets, strict=True)]
        assert (max(distances) <= 2) == trace[f"{case}_stop"][t]
        gradient = look.gradient(handles, targets, [d > 1 for d in distances], templates)
        terms = look.terms["motion"] + look.terms["mask"] + look.terms["latent"]
        assert np.allclose(terms, trace[f"{case}_l1_terms"][t][: len(terms)], rtol=1e-3, atol=1e-7)
        if trace[f"{case}_stop"][t]:
            continue  # the authors compute no gradient any more
        wanted = torch.from_numpy(trace[f"{case}_grad"][t])
        wanted = wanted[:, :6] if wanted.ndim == 3 else wanted[:, None]
        assert (gradient - wanted).abs().max() < 1e-3 * wanted.abs().max()


@pytest.mark.parametrize("case", CASES)
def test_pictures_of_the_first_and_the_last_step(net, trace, case):
    drag = engine(net, trace, case)
    for name, t in (("first", 0), ("last", len(trace[f"{case}_points"]) - 1)):
        image = drag.look(stored(trace, case, t)).image()[0].permute(1, 2, 0)
        levels = (image * 127.5 + 128).clamp(0, 255).to(torch.uint8).numpy()
        assert np.abs(levels.astype(int) - trace[f"{case}_img_{name}"].astype(int)).max() <= 1


@pytest.mark.parametrize("case", ["a", "b"])
def test_the_loop_makes_the_authors_first_step(net, trace, case):
    """Through ``drag``: the stored latent after one step, where the gradient is not next to nothing."""
    space, latent_weight = CASES[case]
    mask = trace.get(f"{case}_mask_flexible")
    steps = list(
        draggan.drag(
            net,
            torch.from_numpy(trace[f"{case}_w"][0]),
            xy(trace[f"{case}_points0"]),
            xy(trace[f"{case}_targets"]),
            mask,
            steps=1,
            mode="reference",
            space=space,
            lr=0.02,
            r1=24,
            r2=96,
            rows=6,
            feature_resolution=32,
            latent_weight=latent_weight,
        )
    )
    before, after = (trace[f"{case}_w"][t] for t in (0, 1))
    clear = np.abs(trace[f"{case}_grad"][0]) > 1e-6
    ours = steps[1].w.numpy() if before.ndim == 3 else steps[1].w[:, 0].numpy()
    assert steps[1].handles == tuple(xy(trace[f"{case}_points"][1]))
    assert clear.any() and np.abs(ours - after)[clear].max() < 1e-4
    assert np.abs(ours - before).max() > 0.01


def test_one_that_is_there_takes_no_step(net, trace):
    steps = list(
        draggan.drag(
            net,
            torch.from_numpy(trace["c_w"][0]),
            xy(trace["c_points0"]),
            xy(trace["c_targets"]),
            mode="reference",
            feature_resolution=32,
            stop_distance=2,
        )
    )
    assert len(steps) == 1 and steps[0].done == "arrived"
    assert torch.equal(steps[0].w, torch.from_numpy(trace["c_w"][1]))
