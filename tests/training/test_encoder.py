"""The trainer of encoders: it learns, stays near W, resumes exactly, and its card says what was measured."""

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from models.encoders import Encoder
from models.stylegan2 import Generator
from training import card, encoder, stylegan2_run, supervised
from training.data import Images
from training.reconstruction import Reconstruction
from weights import CheckpointInfo, paths, store

SMALL = ["--widths", "8", "8", "16", "16", "--batch", "8", "--device", "cpu"]


def generator(seed=0):
    torch.manual_seed(seed)
    net = Generator(z_dim=16, w_dim=16, img_resolution=32, mapping_layers=2, channel_base=256, channel_max=16)
    for name, value in net.named_parameters():
        if name.endswith("torgb.weight"):
            value.data.mul_(0.5)
    info = {f: None for f in CheckpointInfo.__dataclass_fields__} | {"name": "stylegan2/tiny", "sha256": "ab" * 32}
    net.info = CheckpointInfo(**info)
    return net.eval().requires_grad_(False)


def features(x):
    """Stands in for the classifier: mean colours of 4 by 4 places, and their horizontal differences."""
    small = torch.nn.functional.adaptive_avg_pool2d(x, 4)
    return [small, small.diff(dim=3)]


def options(*more):
    return encoder.parser().parse_args(["--data", "x", "--out", "x", *SMALL, *more])


def photographs(G, count=48):
    """Pictures of the generator's own, of latents that the trainer is not told."""
    z = torch.randn(count, G.z_dim, generator=torch.Generator().manual_seed(9))
    made = G.synthesis(G.mapping(z), noise_mode="const").clamp(-1, 1)
    return Images(((made + 1) * 127.5).to(torch.uint8), held_out=True)


def started(G, *more):
    return encoder.EncoderRun(options(*more), photographs(G), G, features)


def test_statistics_describe_w():
    G = generator()
    mean, deviation, whiten = encoder.statistics(G, 4000)
    w = G.mapping(torch.randn(3000, 16))[:, 0]
    assert torch.allclose(mean, w.mean(0), atol=0.1 * float(deviation.mean()))
    assert torch.allclose(deviation, w.std(0), rtol=0.1)
    white = (((w - mean) / deviation) @ whiten).square().mean(dim=1)
    assert 0.7 < white.mean() < 1.1, "about 1 for latents of the mapping network"


def test_it_learns_and_comes_nearer_than_the_average():
    G = generator()
    run = started(G, "--images", "800", "--no-xflip", "--lr", "0.005")
    x = run.images.pixels.float() / 127.5 - 1
    average = G.synthesis(run.net.w_avg.expand(1, G.num_ws, -1).contiguous(), noise_mode="const")
    for _ in range(50):
        run.step()
    made, spread = encoder.inverted(G, run.net.eval(), x)
    assert encoder.l2(made, x).mean() < 0.75 * encoder.l2(average, x).mean()
    assert spread.mean() < 1


def test_rows_stay_together():
    def spread_of(weight):
        run = started(generator(), "--images", "200", "--lambda-latent", "0", "--lambda-delta", weight)
        for _ in range(15):
            run.step()
        return float(run.net.eval().offsets(run.images.batch(torch.arange(16)))[1].detach().square().mean())

    assert spread_of("10") < 0.3 * spread_of("0")


def test_only_latents_that_no_mapping_makes_have_strayed():
    G = generator()
    mean, deviation, whiten = encoder.statistics(G, 4000)
    w = (G.mapping(torch.randn(500, 16))[:, 0] - mean) / deviation
    assert encoder.strayed(0.5 * w, whiten) < encoder.strayed(w, whiten) < 0.3
    assert encoder.strayed(3 * w, whiten) > 3 and encoder.strayed(torch.zeros(1, 16), whiten) == 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_resumed_run_takes_the_same_steps(precision):
    G = generator()
    one = started(G, "--precision", precision)
    for _ in range(3):
        one.step()
    state = one.state()
    other = started(G, "--precision", precision)
    other.restore({**state, "net": {k: v.clone() for k, v in state["net"].items()}})
    assert other.shown == 24 and other.near == one.near
    for run in (one, other):
        run.step()
    for name, value in one.net.state_dict().items():
        assert torch.allclose(value, other.net.state_dict()[name], atol=1e-4), name


def test_a_run_is_for_one_state_of_a_generator():
    run = started(generator())
    with pytest.raises(ValueError, match="changed"):
        run.restore({**run.state(), "generator_sha256": "cd" * 32})


def test_scales_and_features_compare():
    x = torch.zeros(2, 3, 16, 16)
    x[:, :, ::2] = 1
    x[:, :, 1::2] = -1
    assert encoder.scales(x) == 0, "lines of one pixel are gone at half the size"
    assert float(encoder.scales(torch.ones(1, 3, 16, 16))) == pytest.approx(1)
    assert torch.allclose(encoder.halved(x + 1), torch.nn.functional.avg_pool2d(x + 1, 2))
    a = [torch.randn(2, 3, 4, 4)]
    assert encoder.apart(a, a) == 0 and float(encoder.apart([2 * a[0]], a)) == pytest.approx(1)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A tiny generator of faces and a tiny data set; nothing of the real ones is touched or needed."""
    from weights import loading

    folder = tmp_path / "embedded"
    monkeypatch.setattr(paths, "EMBEDDED", folder)
    monkeypatch.setattr(loading, "_kept", type(loading._kept)())
    store.save(paths.embedded("stylegan2/faces"), generator(), "stylegan2", "generator")
    pictures = tmp_path / "data"
    pictures.mkdir()
    rows = ["file,split"]
    for i, picture in enumerate(photographs(generator(), 24).pixels):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(pictures / f"{i}.png")
        rows.append(f"{i}.png,{'test' if i % 3 == 0 else 'train'}")
    (pictures / "labels.csv").write_text("\n".join(rows))
    monkeypatch.setattr(encoder, "classifier_features", lambda device: features)
    return pictures


def test_from_photographs_to_the_card(shipped, tmp_path, capsys):
    out = tmp_path / "run"
    words = ["--data", str(shipped), "--out", str(out), *SMALL, "--images", "32", "--tick", "16"]
    encoder.main(words)
    assert len((out / "log.jsonl").read_text().splitlines()) == 2 and (out / "sheets" / "00000032.png").is_file()
    encoder.main([*words, "--images", "48"])  # goes on
    assert "goes on at 32 images" in capsys.readouterr().out
    target = tmp_path / "made"
    wish = ["--run", str(out), "--name", "encoder/faces", "--data", str(shipped), "--out", str(target)]
    assert card.main(wish) == 0
    path = target / "encoder" / "faces.safetensors"
    net, found = store.load(path), store.header(path)["card"]
    assert isinstance(net, Encoder) and net.generator == "stylegan2/faces"
    assert found["generator_sha256"] == weights.sha256("stylegan2/faces") and found["test_images"] == 8
    G, test = weights.load("stylegan2/faces"), encoder.load_images(shipped, 32, "test").pixels / 127.5 - 1
    made = G.synthesis(net(test), noise_mode="const").clamp(-1, 1)
    assert found["l2"] == pytest.approx(float((made - test).square().mean()), abs=1e-3)
    text = path.with_suffix(".md").read_text()
    assert f"{found['l2']:.4f}" in text and "48" in text and found["generator_sha256"] in text
    sheet = np.asarray(Image.open(path.with_suffix(".png")).convert("RGB"))
    assert sheet.shape == (6 * 128, 8 * 128, 3)
    again = generator(seed=1)
    store.save(paths.embedded("stylegan2/faces"), again, "stylegan2", "generator")
    weights.loading._kept.clear()
    with pytest.raises(SystemExit, match="changed"):
        card.main(wish)


def test_an_encoder_that_learned_beside_its_generator_gets_a_card_too(shipped, tmp_path, monkeypatch):
    from training import features as networks
    from training import reconstruction, stylegan2

    from .stylegan2_helpers import options as generator_options
    from .test_projected import ENCODER, TinyFeatures

    tiny = TinyFeatures()
    monkeypatch.setattr(networks, "load", lambda name: tiny)
    monkeypatch.setattr(reconstruction.Reconstruction, "SIZE", 32)
    out, target = tmp_path / "run", tmp_path / "made"
    args = generator_options(out, *ENCODER, "--resolution", "32", "--images", "16", source=shipped)
    run = stylegan2.train(args, log=lambda line: None)
    wish = ["--run", str(out), "--name", "encoder/faces", "--data", str(shipped), "--out", str(target)]
    with pytest.raises(SystemExit, match="not the network of this run"):
        card.main(wish)
    store.save(paths.embedded("stylegan2/faces"), run.G_ema, "stylegan2", "generator", dtype=torch.float16)
    weights.loading._kept.clear()
    assert card.main(wish) == 0
    net = store.load(target / "encoder" / "faces.safetensors")
    assert net.generator == "stylegan2/faces"
    for key, value in run.reconstruction.average.state_dict().items():
        assert torch.allclose(net.state_dict()[key].float(), value.float(), rtol=1e-3, atol=1e-6), key
    assert "4 of 8 of them photographs" in (target / "encoder" / "faces.md").read_text()


def test_the_generator_may_be_a_run(shipped, tmp_path):
    from training import stylegan2

    from .stylegan2_helpers import options as generator_options

    args = generator_options(tmp_path / "grown", "--resolution", "32", "--images", "8", source=shipped)
    run = stylegan2.train(args, log=lambda line: None)
    words = ["--data", str(shipped), "--out", str(tmp_path / "run"), *SMALL, "--images", "8"]
    encoder.main([*words, "--generator", str(tmp_path / "grown")])
    net, state = supervised.load_trained(Encoder, tmp_path / "run")
    assert net.generator == "stylegan2/grown" and net.w_dim == run.G.w_dim
    # and a wide generator's encoder begins with it
    begun = stylegan2_run._encoder(str(tmp_path / "run" / "state.pt"))
    assert all(torch.equal(a, b) for a, b in zip(begun.state_dict().values(), net.state_dict().values(), strict=True))


def test_a_steady_encoder_says_of_a_photograph_alone_what_it_says_of_it_among_others():
    torch.manual_seed(0)
    G = Generator(z_dim=8, w_dim=8, img_resolution=128, mapping_layers=1, channel_base=128, channel_max=8)
    x = torch.randn(8, 3, 128, 128)
    loose, steady = (Reconstruction(G, "stylegan2/x", (8, 8, 8, 8), steady=kind) for kind in (False, True))
    steady.take_statistics([2 * x + 1, 2 * x + 1])
    for part, same in ((loose, False), (steady, True)):
        alone, among = part.encode(x[:1])[0], part.encode(x)[0][:1]
        assert torch.allclose(alone, among, atol=1e-4) == same
    first = next(norm for norm in steady.encoder.modules() if isinstance(norm, torch.nn.BatchNorm2d))
    assert abs(float(first.running_mean.abs().sum())) > 0 and first.momentum == 0.1
    assert all(torch.equal(a, b) for a, b in zip(steady.encoder.buffers(), steady.average.buffers(), strict=True))
