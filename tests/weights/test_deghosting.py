"""Deghosting files of the authors' layout, the file that ships without its generator, and what is wrong with others."""

import crafted
import pytest
import torch

import weights
from models.deghosting import Deghosting
from weights import loading, store
from weights.formats import deghosting

WIDTHS = {4: 8, 8: 8, 16: 6, 32: 4}
SIZES = {"img_resolution": 32, "in_size": 16, "w_dim": 16, "rrdb_channels": 4, "rrdb_growth": 2, "num_rrdbs": 2}
THEIRS = {
    "style.": "style_mapping.",
    "noises.noise_": "injected_noise_",
    "input.input": "constant_input.input",
    ".modulation.weight": ".style_modulation.linear.weight_orig",
    ".modulation.bias": ".style_modulation.bias",
    ".conv.weight": ".conv.weight_orig",
    ".noise.weight": ".noise_injector.weight",
}


def mmgen(state: dict) -> dict:
    """A generator of rosinality's layout with the names that MMGeneration gives the same tensors."""
    renamed = {}
    for name, value in state.items():
        for old, new in THEIRS.items():
            name = name.replace(old, new)
        if name.startswith("style_mapping."):
            name = name.replace(".weight", ".linear.weight_orig")
        renamed[f"generator.{name}"] = value
    return renamed


def published() -> tuple[Deghosting, dict]:
    """A small network with a generator attached, and the state dict as their program saves it."""
    generator = crafted.generator(img_resolution=32, channels=WIDTHS)
    torch.manual_seed(0)
    net = Deghosting(WIDTHS, **SIZES).eval().requires_grad_(False).attach(generator)
    state = {f"FCN.{n}": v for n, v in net.state_dict().items()}
    for i, width in enumerate((8, 8, 6)):
        state[f"FCN.fusion_skip.{i}.weight"] = torch.zeros(3, width + 3, 3, 3)
        state[f"FCN.fusion_skip.{i}.bias"] = torch.zeros(3)
    return net, state | mmgen(crafted.rosinality_state(generator))


def picture() -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_authors_file_is_their_network(tmp_path):
    net, state = published()
    assert "generator.convs.0.conv.style_modulation.linear.weight_orig" in state
    torch.save(state, tmp_path / "iter_5000")
    read = weights.read(tmp_path / "iter_5000", device="cpu")
    assert read.info.technique == "deghosting" and read.info.img_resolution == 32
    assert {k: read.config[k] for k in SIZES} == SIZES and read.widths == WIDTHS
    with torch.no_grad():
        assert torch.allclose(read(picture()), net(picture()), atol=1e-4)


@pytest.mark.parametrize(
    "lost",
    [
        "FCN.encoder.0.body.1.rdb2.conv3.weight",
        "FCN.decoder.1.0.weight",
        "FCN.encoder.3.3.weight",
        "generator.conv1.conv.weight_orig",
        "generator.convs.1.activate.bias",
    ],
)
def test_what_is_missing_is_said(tmp_path, lost):
    state = published()[1]
    del state[lost]
    torch.save(state, tmp_path / "file")
    with pytest.raises(weights.RefusedFile) as refused:
        weights.read(tmp_path / "file", device="cpu")
    crafted.one_sentence(refused.value)


def test_names_of_other_layers_stay():
    assert deghosting.translated("to_rgbs.2.upsample.kernel") == "to_rgbs.2.upsample.kernel"
    assert deghosting.translated("conv1.activate.bias") == "conv1.activate.bias"
    assert deghosting.translated("style_mapping.3.bias") == "style.3.bias"


def small_for(lent, **options) -> Deghosting:
    torch.manual_seed(0)
    sizes = {"in_size": lent.img_resolution // 2, "rrdb_channels": 4, "rrdb_growth": 2, "num_rrdbs": 1}
    net = Deghosting(
        lent.synthesis.widths,
        lent.img_resolution,
        w_dim=lent.w_dim,
        latent_channels=2,
        residual=True,
        **{**sizes, **options},
    )
    return net.eval()


def test_a_network_is_lent_the_generator_that_is_shared(tmp_path, caplog):
    """A file that names a generator which ships is given that one, not a second one; another state of it is told."""
    shared = weights.load("stylegan2/faces", device="cpu")
    net = small_for(shared, generator="stylegan2/faces")
    path = tmp_path / "own.safetensors"
    store.save(path, net, "deghosting", "network", card={"generator_sha256": shared.info.sha256})
    read = weights.read(path, device="cpu")
    assert read.stylegan2() is shared and "train it again" not in caplog.text
    x = torch.zeros(1, 3, shared.img_resolution, shared.img_resolution)
    with torch.inference_mode():
        assert torch.equal(read(x), x)
    store.save(path, net, "deghosting", "network", card={"generator_sha256": "0" * 64})
    weights.read(path, device="cpu")
    assert "train it again" in caplog.text


def test_another_generator_than_it_was_made_for(tmp_path):
    other = crafted.generator(img_resolution=32, channels=WIDTHS)
    path = tmp_path / "own.safetensors"
    for name, words in (("stylegan2/faces", "another stylegan2/faces"), ("stylegan2/ffhq-1024", "does not ship")):
        store.save(path, small_for(other, generator=name), "deghosting", "network")
        with pytest.raises(weights.UserError, match=words) as refused:
            loading.read(path, device="cpu")
        crafted.one_sentence(refused.value)
