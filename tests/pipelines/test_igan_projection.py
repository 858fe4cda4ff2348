"""iGAN's projection of photographs, and the features by which pictures are compared."""

from __future__ import annotations

import itertools
import math
import threading

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from pipelines import igan
from pipelines.optimisation import perceptual
from weights.errors import UserError

from .igan_helpers import SIZE, same

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
