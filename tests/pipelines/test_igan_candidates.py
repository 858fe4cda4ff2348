"""iGAN's candidates: what each brush finds, what is held, their order, their average."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
import torch

from pipelines import igan

from .igan_helpers import WARP, line, paint, same

igan_brush = importlib.import_module("pipelines.igan.brush")  # igan.brush is the function

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
