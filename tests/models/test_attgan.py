"""AttGAN's networks against the outputs of the published program, and what they promise."""

import numpy as np
import pytest
import torch

from models.attgan import Discriminator, Generator, resolve_conflicts

NAMES = ["Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Mustache", "No_Beard"]


@pytest.fixture(scope="module")
def published(fixtures):
    state = torch.load(fixtures("attgan_64.pth"), map_location="cpu", weights_only=True)
    arrays = {k: torch.from_numpy(v) for k, v in np.load(fixtures("attgan_64.npz")).items()}
    G = Generator(img_size=64, enc_dim=8, dec_dim=8, max_dim=128).eval().requires_grad_(False)
    D = Discriminator(img_size=64, dis_dim=8, dis_fc_dim=32, max_dim=128).eval().requires_grad_(False)
    G.load_state_dict(state["G"])
    D.load_state_dict(state["D"])
    return G, D, arrays


def test_the_generator_is_the_published_one(published):
    G, _, given = published
    zs = G.encode(given["x"])
    for i, z in enumerate(zs):
        assert (z - given[f"zs{i}"]).abs().max() < 1e-4
    assert (G.decode(zs, given["att"]) - given["img"]).abs().max() < 1e-4
    assert (G(given["x"], given["att"]) - given["img"]).abs().max() < 1e-4


@pytest.mark.parametrize(("picture", "outputs"), [("x", "real"), ("img", "fake")])
def test_the_discriminator_is_the_published_one(published, picture, outputs):
    _, D, given = published
    adv, cls = D(given[picture])
    assert (adv - given[f"d_adv_{outputs}"]).abs().max() < 1e-4
    assert (cls - given[f"d_cls_{outputs}"]).abs().max() < 1e-4


@pytest.mark.parametrize("shortcuts", [0, 1, 2, 9])
@pytest.mark.parametrize("injections", [0, 1, 2])
@pytest.mark.parametrize("norm", ["batchnorm", "instancenorm", "none"])
def test_one_encoding_serves_many_attributes(shortcuts, injections, norm):
    torch.manual_seed(0)
    net = Generator(
        n_attrs=3, img_size=32, enc_dim=4, dec_dim=4, enc_layers=3, dec_layers=3, shortcut_layers=shortcuts,
        inject_layers=injections, enc_norm=norm, dec_norm=norm,
    ).eval()  # fmt: skip
    x, a = torch.randn(1, 3, 32, 32), torch.randn(5, 3)
    together = net.decode(net.encode(x), a)
    assert together.shape == (5, 3, 32, 32) and together.abs().max() <= 1
    one_by_one = torch.cat([net(x, row[None]) for row in a])
    assert torch.allclose(together, one_by_one, atol=1e-5)
    again = Generator(**net.config)
    again.load_state_dict(net.state_dict())


def test_conflicts():
    def after(changed, *on):
        a = torch.tensor([float(n in on) for n in NAMES])
        b = resolve_conflicts(a, NAMES.index(changed), NAMES)
        assert torch.equal(a, torch.tensor([float(n in on) for n in NAMES])), "the argument is left alone"
        return {n for n, v in zip(NAMES, b, strict=True) if v}

    assert after("Blond_Hair", "Blond_Hair", "Black_Hair", "Brown_Hair", "Bangs") == {"Blond_Hair", "Bangs"}
    assert after("Bald", "Bald", "Bangs", "Black_Hair") == {"Bald", "Black_Hair"}
    assert after("Bangs", "Bald", "Bangs") == {"Bangs"}
    assert after("Mustache", "Mustache", "No_Beard") == {"Mustache"}
    assert after("No_Beard", "Mustache", "No_Beard") == {"No_Beard"}
    assert after("Black_Hair", "Blond_Hair") == {"Blond_Hair"}, "switching off clears nothing"


def test_what_is_to_change():
    """Of a network that takes differences: nothing where the picture has it already. Its file says that it does."""
    values, has = torch.tensor([[0.5, 1.0, -0.5]]), torch.tensor([[0.5, -0.5, -0.5]])
    net = Generator(n_attrs=3, head="change", refine=4, difference=True)
    assert net.told(values, has).tolist() == [[0.0, 1.5, 0.0]]
    assert Generator(n_attrs=3).told(values, has).tolist() == values.tolist()
    again = Generator(**net.config)
    again.load_state_dict(net.state_dict())
    assert again.difference and again.head == "change" and "head" not in Generator(n_attrs=3).config


def test_impossible_settings_are_refused():
    for wrong in ({"head": "mask"}, {"refine": 8}):
        with pytest.raises(ValueError):
            Generator(**wrong)
    with pytest.raises(ValueError):
        Generator(n_attrs=2, attrs=["one"])
    with pytest.raises(ValueError):
        Generator(enc_layers=3, dec_layers=4)
    with pytest.raises(ValueError):
        Generator(enc_norm="groupnorm")
    with pytest.raises(ValueError):
        Discriminator(img_size=100)
