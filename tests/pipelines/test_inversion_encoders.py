"""Encoders as a way to a latent, alone and before an optimisation; which networks have one, what others are told."""

from __future__ import annotations

import itertools

import pytest
import torch
from encoder_files import networks, tree, written

import weights
from models.encoders import Encoder
from pipelines import inversion, stylegan2
from pipelines.optimisation import distances
from weights import loading, paths, store
from weights.errors import UserError

from .conftest import tiny


@pytest.fixture(autouse=True)
def nothing_in_memory():
    before = dict(loading._kept)
    loading._kept.clear()
    yield
    loading._kept.clear()
    loading._kept.update(before)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """``stylegan2/faces`` and its encoder, both tiny, as files that ship."""
    monkeypatch.setattr(paths, "EMBEDDED", tmp_path)
    net = tiny()
    store.save(paths.embedded("stylegan2/faces"), net, "stylegan2", "generator")
    torch.manual_seed(1)
    encoder = Encoder("stylegan2/faces", 64, net.num_ws, 32, (8, 8, 8, 8), 32).eval()
    encoder.w_avg.copy_(net.mapping.w_avg)
    card = {"generator_sha256": weights.sha256("stylegan2/faces")}
    store.save(paths.embedded("encoder/faces"), encoder, "encoder", "encoder", card)
    return weights.load("stylegan2/faces")


def photo(net, seed=77):
    return stylegan2.sample(net, [seed], truncation_psi=1.0)[0]


def test_the_encoder_is_one_step(shipped):
    encoder = inversion.encoder_for(shipped)
    assert isinstance(encoder, Encoder) and encoder.info.name == "encoder/faces"
    picture = photo(shipped)
    (step,) = inversion.invert(shipped, picture, "encoder")
    x = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).reshape(1, 64, 64, 3).permute(0, 3, 1, 2)
    x = x / 127.5 - 1
    assert step.done and step.step == 0 and torch.equal(step.latent, encoder(x))
    made = shipped.synthesis(step.latent, noise_mode="const")
    assert step.l2 == pytest.approx(float(distances.pixels(made, x)[0]), rel=1e-4)
    assert step.loss == pytest.approx(float(distances.visible(made, x)[0]), rel=1e-4)
    assert step.image.size == (64, 64)
    assert next(inversion.invert(shipped, picture, "encoder", show_every=0)).image is None


def test_a_hybrid_begins_where_the_encoder_says_and_goes_on(shipped):
    picture = photo(shipped)
    (said,) = inversion.invert(shipped, picture, "encoder")
    steps = list(inversion.invert(shipped, picture, "hybrid", steps=25, show_every=0))
    assert torch.equal(steps[0].latent, said.latent) and steps[0].loss == pytest.approx(said.loss, rel=1e-4)
    assert [s.done for s in steps] == [False] * 25 + [True] and steps[-1].loss < 0.8 * steps[0].loss
    rows = steps[-1].latent
    assert (rows - rows[:, :1]).abs().max() > 0.01, "the rows go their own ways from the first step on"


def test_a_start_takes_the_place_of_the_encoders(shipped):
    w = stylegan2.latent(shipped, 5)
    first = next(inversion.invert(shipped, photo(shipped), "hybrid", start=w))
    assert torch.equal(first.latent, w)


def test_within_any_mode_of_torch(shipped):
    picture = photo(shipped)
    wanted = list(inversion.invert(shipped, picture, "hybrid", steps=2))[-1].latent
    loading._kept.pop(("encoder/faces", "cpu"))
    with torch.inference_mode():
        assert torch.equal(list(inversion.invert(shipped, picture, "hybrid", steps=2))[-1].latent, wanted)
    assert torch.is_grad_enabled() and not next(inversion.encoder_for(shipped).parameters()).is_inference()


def test_an_encoder_belongs_to_one_state_of_a_network(shipped):
    assert inversion.has_encoder("stylegan2/faces")
    again = tiny()
    again.synthesis.b4.const.add_(0.1)
    store.save(paths.embedded("stylegan2/faces"), again, "stylegan2", "generator")
    loading._kept.clear()
    assert inversion.encoder_for(weights.load("stylegan2/faces")) is None
    assert not inversion.has_encoder("stylegan2/faces")


@pytest.mark.parametrize("method", ["encoder", "hybrid"])
def test_networks_without_an_encoder_are_told_what_to_do(net, method):
    assert inversion.encoder_for(net) is None
    with pytest.raises(UserError) as e:
        inversion.invert(net, photo(net), method)
    assert "make train-encoder" in str(e.value) and "w+" in str(e.value) and "\n" not in str(e.value)


def test_what_has_an_encoder_is_known_without_loading(shipped):
    assert inversion.has_encoder("stylegan2/ffhq-1024-e4e") and inversion.has_encoder("stylegan2/ffhq-1024-psp")
    assert not inversion.has_encoder("stylegan2/ffhq-1024") and not inversion.has_encoder("stylegan2/cats")
    assert ("stylegan2/faces", "cpu") in loading._kept and len(loading._kept) == 1


@pytest.mark.parametrize("variant", ["e4e", "psp"])
def test_files_of_e4e_and_psp(tmp_path, variant):
    """The encoder looks at 64 px, the generator makes 32."""
    net = weights.read(written(tmp_path / "a.pt", tree(variant)))
    (tmp_path / "a.pt").unlink()
    encoder = inversion.encoder_for(net)
    assert encoder.variant == variant and encoder.info.sha256 == net.info.sha256
    picture = photo(net)
    (step,) = inversion.invert(net, picture, "encoder")
    x = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).reshape(1, 32, 32, 3).permute(0, 3, 1, 2)
    assert torch.allclose(step.latent, networks(variant)[1](x / 127.5 - 1), atol=1e-4)
    taken = list(itertools.islice(inversion.invert(net, picture, "hybrid", steps=50), 3))
    assert taken[2].loss < taken[0].loss


def test_a_tuned_copy_has_no_encoder(tmp_path, shipped):
    net = weights.read(written(tmp_path / "a.pt", tree()))
    for one in (net, shipped):
        w = stylegan2.latent(one, 1)
        tuned = list(inversion.tune(one, photo(one), w, steps=1, show_every=0))[-1].net
        assert inversion.encoder_for(tuned) is None
        assert inversion.encoder_for(weights.read(inversion.save_network(tmp_path / "t.safetensors", tuned))) is None


def test_an_encoder_of_another_size_is_none(shipped):
    other = Encoder("stylegan2/faces", 64, shipped.num_ws + 2, 32, (8, 8, 8, 8), 32)
    card = {"generator_sha256": shipped.info.sha256}
    store.save(paths.embedded("encoder/faces"), other, "encoder", "encoder", card)
    assert inversion.encoder_for(shipped) is None
