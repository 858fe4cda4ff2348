"""From a picture to its latent, and a copy of the network tuned to a picture."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from pipelines import draggan, inversion, stylegan2
from pipelines.optimisation import distances
from weights.errors import UserError


@pytest.fixture(scope="module")
def picture(net):
    """A picture of the network's own, of a latent that no start is near to."""
    return stylegan2.sample(net, [77], truncation_psi=1.0)[0]


def state(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def same_state(net, before):
    return all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


# -- distances -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", [distances.pixels, distances.structure, distances.visible])
def test_distances_are_distances(distance):
    torch.manual_seed(0)
    a, b = torch.randn(3, 3, 64, 64), torch.randn(3, 3, 64, 64)
    assert torch.equal(distance(a, a), torch.zeros(3))
    assert distance(a, b).shape == (3,) and (distance(a, b) > 0).all()
    assert torch.allclose(distance(a, b), distance(b, a))
    assert torch.allclose(distance(a, b)[1], distance(a[1:2], b[1:2])[0])
    near = distance(a, a + 0.1 * (b - a))
    assert (near < distance(a, b)).all()
    a.requires_grad_(True)
    assert torch.autograd.grad(distance(a, b).sum(), a)[0].abs().sum() > 0


def test_structure_forgives_what_is_fine_before_what_is_coarse():
    torch.manual_seed(0)
    a = torch.zeros(1, 3, 64, 64)
    fine = torch.randn(1, 3, 64, 64).sign() * 0.2
    coarse = torch.randn(1, 3, 4, 4).sign().repeat_interleave(16, 2).repeat_interleave(16, 3) * 0.2
    assert torch.isclose(distances.pixels(a, fine), distances.pixels(a, coarse)).all()
    assert distances.structure(a, coarse) > 1.5 * distances.structure(a, fine)


# -- preparing -----------------------------------------------------------------------------------------------------


def test_the_middle_is_cut_out(net):
    image = Image.new("RGB", (300, 100), "red")
    image.paste((0, 0, 255), (100, 0, 200, 100))
    found = inversion.prepare(image, net)
    assert found.size == (64, 64) and found.mode == "RGB"
    assert found.getpixel((32, 32)) == (0, 0, 255) and found.getpixel((3, 3)) == (0, 0, 255)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "LA", "I;16"])
def test_pictures_of_every_kind(net, mode):
    assert inversion.prepare(Image.new(mode, (70, 90)), net).mode == "RGB"


def test_what_is_clear_becomes_white_and_turned_ones_are_turned(net):
    assert inversion.prepare(Image.new("RGBA", (64, 64), (0, 0, 0, 0)), net).getpixel((5, 5)) == (255, 255, 255)
    image = Image.new("RGB", (64, 64), "black")
    image.paste((255, 255, 255), (0, 0, 64, 32))
    image.getexif()[0x0112] = 3  # upside down
    assert inversion.prepare(image, net).getpixel((32, 60)) == (255, 255, 255)


def test_alignment_is_a_function_to_be_given(net):
    image = Image.new("RGB", (100, 100), "red")
    aligned = inversion.prepare(image, net, align=lambda im: Image.new("RGB", (50, 50), "blue"))
    assert aligned.getpixel((10, 10)) == (0, 0, 255) and aligned.size == (64, 64)


@pytest.mark.parametrize("bad", [None, "a.jpg", Image.new("RGB", (4, 64)), Image.new("1", (13_000, 8))])
def test_what_is_no_picture(net, bad):
    with pytest.raises(UserError):
        inversion.prepare(bad, net)


# -- inverting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["w+", "w"])
def test_the_loss_falls(net, picture, method):
    before = state(net)
    steps = list(inversion.invert(net, picture, method, steps=40, show_every=20))
    first, last = steps[0], steps[-1]
    assert [s.step for s in steps] == list(range(41)) and [s.done for s in steps] == [False] * 40 + [True]
    assert [s.step for s in steps if s.image is not None] == [0, 20, 40]
    assert last.loss < 0.6 * first.loss and last.l2 < first.l2
    assert last.loss == min(s.loss for s in steps)
    assert last.latent.shape == (1, net.num_ws, net.w_dim) and last.latent.device.type == "cpu"
    with torch.no_grad():
        image = net.synthesis(last.latent, noise_mode="const")
    target = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 127.5 - 1
    assert math.isclose(float(distances.visible(image, target)[0]), last.loss, rel_tol=1e-4)
    assert same_state(net, before) and all(p.grad is None for p in net.parameters())


def test_one_w_or_one_for_each_row(net, picture):
    rows = {m: list(inversion.invert(net, picture, m, steps=30, show_every=0))[-1] for m in ("w", "w+")}
    apart = {m: float((s.latent - s.latent[:, :1]).abs().max()) for m, s in rows.items()}
    assert apart["w"] == 0 and apart["w+"] > 0.01
    assert rows["w+"].loss < rows["w"].loss


def test_the_same_picture_gives_the_same_latent(net, picture):
    a, b = (list(inversion.invert(net, picture, steps=5, seed=3))[-1] for _ in range(2))
    assert torch.equal(a.latent, b.latent)
    c = list(inversion.invert(net, picture, steps=5, seed=4))[-1]
    assert not torch.equal(a.latent, c.latent)


def test_it_can_be_stopped_and_started_from_a_latent(net, picture):
    taken = list(itertools.islice(inversion.invert(net, picture, steps=1000), 8))[-1]
    assert not taken.done
    again = next(inversion.invert(net, picture, start=taken.latent))
    assert torch.equal(again.latent, taken.latent) and math.isclose(again.loss, taken.loss, rel_tol=1e-5)


def test_the_start_is_the_nearest_of_many(net, picture):
    first = next(inversion.invert(net, picture))
    others = torch.stack([torch.as_tensor(np.array(im)) for im in stylegan2.sample(net, "1-20", truncation_psi=1.0)])
    others = others.permute(0, 3, 1, 2) / 127.5 - 1
    target = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 127.5 - 1
    assert first.loss < distances.visible(others, target.expand_as(others)).median()


def test_classes_and_a_distance_of_ones_own(conditional):
    picture = stylegan2.sample(conditional, [5], class_index=2)[0]
    found = [next(inversion.invert(conditional, picture, class_index=k)).latent for k in (0, 2)]
    assert not torch.equal(*found)
    steps = list(inversion.invert(conditional, picture, steps=3, distance=distances.pixels))
    assert all(math.isclose(s.loss, s.l2, rel_tol=1e-5) for s in steps)


def test_within_any_mode_of_torch(net, picture):
    wanted = list(inversion.invert(net, picture, steps=3))[-1].latent
    with torch.inference_mode():
        assert torch.equal(list(inversion.invert(net, picture, steps=3))[-1].latent, wanted)
    next(inversion.invert(net, picture))
    assert torch.is_grad_enabled()


def test_what_was_found_can_be_dragged(net, picture):
    found = list(inversion.invert(net, picture, steps=5))[-1]
    steps = list(draggan.drag(net, found.latent, [(20, 30)], [(40, 30)], steps=2))
    # The drag sums in another order: a value between two levels may be rounded the other way.
    apart = np.asarray(steps[0].image, dtype=int) - np.asarray(found.image, dtype=int)
    assert np.abs(apart).max() <= 1 and (apart != 0).mean() < 1e-3


@pytest.mark.parametrize(
    "bad",
    [
        {"method": "encoders"},
        {"method": None},
        {"steps": 0},
        {"steps": 10**6},
        {"lr": 0},
        {"lr": math.nan},
        {"seed": -1},
        {"start": torch.zeros(3)},
        {"class_index": 1},
        {"show_every": -1},
        {"image": None},
    ],
)
def test_bad_arguments_are_one_sentence(net, picture, bad):
    with pytest.raises(UserError) as e:
        inversion.invert(net, **{"image": picture, **bad})
    assert "\n" not in str(e.value)


# -- tuning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locality", [0.0, 1.0])
def test_a_copy_is_tuned_and_the_shared_network_is_not_touched(net, locality):
    picture, before, w = Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 50), state(net), stylegan2.latent(net, 1)
    steps = list(inversion.tune(net, picture, w, steps=8, locality=locality, show_every=4))
    first, last = steps[0], steps[-1]
    assert same_state(net, before)
    assert all(p.grad is None and not p.requires_grad for p in net.parameters())
    assert [s.done for s in steps] == [False] * 8 + [True] and last.loss < first.loss
    assert [s.step for s in steps if s.image is not None] == [0, 4, 8]
    assert all(s.net is None for s in steps[:-1])
    tuned = last.net
    assert not tuned.training and all(p.grad is None and not p.requires_grad for p in tuned.parameters())
    ours, shared = ({id(t) for t in (*n.parameters(), *n.buffers())} for n in (tuned, net))
    assert not ours & shared
    with torch.no_grad():
        assert not torch.equal(tuned.synthesis(w, noise_mode="const"), net.synthesis(w, noise_mode="const"))
    assert torch.equal(tuned.mapping(torch.ones(1, 32)), net.mapping(torch.ones(1, 32)))
    assert tuned.info.name == "stylegan2/tiny+tuned" and tuned.info.sha256 != net.info.sha256
    assert net.info.name == "stylegan2/tiny"


def test_tuning_makes_the_picture_that_the_latent_alone_does_not(net):
    picture = stylegan2.sample(net, [9], truncation_psi=1.0)[0]
    w = stylegan2.latent(net, 3)
    steps = list(inversion.tune(net, picture, w, steps=40, lr=0.01, show_every=0))
    assert steps[-1].l2 < 0.5 * steps[0].l2


def test_tuning_stops_when_it_is_near_enough(net, picture):
    steps = list(inversion.tune(net, picture, stylegan2.latent(net, 3), steps=100, stop_loss=100))
    assert len(steps) == 1 and steps[0].done and steps[0].net is not None


def test_locality_keeps_other_pictures_as_they_were(net):
    picture = Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 50).convert("RGB")
    w, strayed = stylegan2.latent(net, 1), []
    elsewhere = stylegan2.latent(net, 2, truncation_psi=1.0)
    for locality in (0.0, 20.0):
        tuned = list(inversion.tune(net, picture, w, steps=15, lr=0.01, locality=locality, show_every=0))[-1].net
        with torch.no_grad():
            a, b = (n.synthesis(elsewhere, noise_mode="const") for n in (tuned, net))
        strayed.append(float((a - b).abs().mean()))
    assert strayed[1] < strayed[0]


def test_a_tuned_network_survives_its_file_and_can_be_dragged(net, picture, tmp_path):
    w = stylegan2.latent(net, 1)
    tuned = list(inversion.tune(net, picture, w, steps=2, show_every=0))[-1].net
    back = weights.read(inversion.save_network(tmp_path / "tuned.safetensors", tuned))
    a, b = (list(draggan.drag(n, w, [(20, 30)], [(40, 30)], steps=2))[-1] for n in (tuned, back))
    assert torch.equal(a.w, b.w)
    with pytest.raises(UserError):
        (tmp_path / "file").write_text("")
        inversion.save_network(tmp_path / "file" / "tuned.safetensors", tuned)


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": 0},
        {"lr": 1},
        {"stop_loss": -1},
        {"locality": math.inf},
        {"w": torch.zeros(1)},
        {"image": 3},
        {"seed": 1.5},
    ],
)
def test_bad_arguments_of_tuning_are_one_sentence(net, picture, w_of_one, bad):
    with pytest.raises(UserError) as e:
        inversion.tune(net, **{"image": picture, "w": w_of_one, **bad})
    assert "\n" not in str(e.value)


@pytest.fixture(scope="module")
def w_of_one(net):
    return stylegan2.latent(net, 1)
