"""The trainer of the occlusion network: where things were put is known, it learns to find them, and it resumes."""

import pytest
import torch
from PIL import Image

from models.encoders import Encoder
from models.occlusion import OcclusionNet
from models.stylegan2 import Generator
from training import card, loop, occlusion
from training.data import Images
from training.supervised import load_trained
from weights import UserError, store

SIZES = {"z_dim": 8, "w_dim": 8, "img_resolution": 32, "mapping_layers": 1, "channels": {4: 8, 8: 8, 16: 8, 32: 8}}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A generator and an encoder, small and untrained."""
    folder = tmp_path_factory.mktemp("nets")
    torch.manual_seed(0)
    net = Generator(**SIZES).eval()
    encoder = Encoder("stylegan2/tiny", 32, net.num_ws, 8, widths=(8, 8, 8, 8), head=16).eval()
    store.save(folder / "net.safetensors", net, "stylegan2", "generator")
    store.save(folder / "encoder.safetensors", encoder, "encoder", "encoder")
    return folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Sixteen smooth pictures with labels, a quarter of them for the test."""
    folder = tmp_path_factory.mktemp("faces")
    small = torch.rand(16, 3, 4, 4, generator=rng(1)) * 90 + 80
    smooth = torch.nn.functional.interpolate(small, size=(32, 32), mode="bicubic").clamp(0, 255).byte()
    (folder / "images").mkdir()
    lines = ["file,split"]
    for i, picture in enumerate(smooth):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / "images" / f"{i}.png")
        lines.append(f"{i}.png,{'test' if i % 4 == 0 else 'train'}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def options(files, data, out, *more):
    words = ["--data", str(data), "--out", str(out), "--generator", str(files / "net.safetensors"), "--size", "16"]
    words += ["--encoder", str(files / "encoder.safetensors"), "--widths", "8", "8", "--batch", "8", "--device", "cpu"]
    return occlusion.parser().parse_args([*words, *map(str, more)])


def test_pieces_lie_where_it_is_said():
    photos, textures = torch.zeros(6, 3, 32, 32), torch.rand(6, 3, 32, 32, generator=rng(1)) * 2 - 1
    made, where = occlusion.pieced(photos, textures, rng())
    assert where.shape == (6, 1, 32, 32) and where.min() == 0 and where.max() == 1
    assert torch.equal(made[(where == 0).expand_as(made)], photos[(where == 0).expand_as(made)])
    assert (made[(where == 1).expand_as(made)] != 0).float().mean() > 0.95
    share = occlusion.blobs(200, 32, rng()).mean(dim=(1, 2, 3))
    assert 0.02 < share.mean() < 0.4 and (share > 0).float().mean() > 0.95


def test_colours_come_in_and_detail_does_not():
    """What an optimisation leaves: the mean of a photograph is reached, its noise is not."""
    photo = (torch.randn(64, 3, 64, 64, generator=rng()) * 0.2 + 0.4).clamp(-1, 1)
    found = occlusion.blended(photo, torch.zeros_like(photo), rng(3))
    means = found.mean(dim=(1, 2, 3))
    assert means.min() < 0.1 and means.max() > 0.3, "by a random share"
    assert found.std(dim=(2, 3)).max() < 0.3 * photo.std(dim=(2, 3)).min()


def test_what_is_made(files, faces, tmp_path):
    covered = occlusion.Covered(options(files, faces, tmp_path), "cpu")
    pixels = torch.full((12, 3, 32, 32), 128, dtype=torch.uint8)
    photo, inverted, where = covered.made(pixels, None, rng(), drawn=1.0)
    assert photo.shape == inverted.shape == (12, 3, 32, 32) and (where.flatten(1).amax(dim=1) == 1).all()
    assert (photo[(where == 0).expand_as(photo)] - photo[0, 0, 0, 0]).abs().max() < 0.02
    again = covered.made(pixels, None, rng(), drawn=1.0)
    assert all(torch.equal(a, b) for a, b in zip((photo, inverted, where), again, strict=True))
    nothing = covered.made(pixels, None, rng(), drawn=0.0)[2]
    assert not nothing.any()
    with pytest.raises(UserError, match="--encoder"):
        occlusion.Covered(options(files, faces, tmp_path, "--encoder", "none"), "cpu")


def test_it_resumes_exactly(files, faces, tmp_path):
    pixels = torch.randint(0, 256, (12, 3, 32, 32), generator=rng(), dtype=torch.uint8)

    def run():
        args = options(files, faces, tmp_path)
        return occlusion.OcclusionRun(args, Images(pixels), pixels.flip(0), occlusion.Covered(args, "cpu"))

    whole, first, again = run(), run(), run()
    for _ in range(3):
        whole.step()
    first.step()
    loop.save_state(first, tmp_path / "state.pt")
    loop.resume(again, tmp_path, lambda _words: None)
    for _ in range(2):
        again.step()
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, again.average.state_dict()[name]), name


def test_it_learns_and_its_card_says_so(files, faces, tmp_path):
    args = options(files, faces, tmp_path / "run", "--images", 1200, "--tick", 1200, "--lr", 1e-2, "--pieces", 0)
    occlusion.train(args, log=lambda _words: None)
    net, _state = load_trained(OcclusionNet, args.out)
    covered = occlusion.Covered(args, "cpu")
    pixels = occlusion.load_images(str(faces), 32, "test").pixels.repeat(8, 1, 1, 1)
    found = occlusion.measured(net, covered, pixels)
    assert found["found"] > 40 and found["taken"] < 20 and found["union"] > 30, found
    assert occlusion.measured(OcclusionNet(16, (8, 8)).eval(), covered, pixels)["union"] < 30
    words = ["--run", args.out, "--name", "occlusion/faces", "--data", str(faces), "--out", str(tmp_path)]
    assert card.main(words) == 0
    header = store.header(tmp_path / "occlusion" / "faces.safetensors")
    text = (tmp_path / "occlusion" / "faces.md").read_text()
    assert header["technique"] == "occlusion" and len(header["card"]["generator_sha256"]) == 64
    assert f"{header['card']['found']['drawn']['union']:.1f} %" in text and "make train-occlusion" in text
    with Image.open(tmp_path / "occlusion" / "faces.png") as sheet:
        assert sheet.size == (320, 96)
    # Another one begins with it, and the card counts both.
    more = ["--images", 16, "--tick", 16, "--start-from", tmp_path / "occlusion" / "faces.safetensors"]
    args = options(files, faces, tmp_path / "second", *more)
    assert occlusion.measured(occlusion.train(args, log=lambda _words: None).average, covered, pixels)["union"] > 30
    words[1] = args.out
    assert card.main(words) == 0
    counted = store.header(tmp_path / "occlusion" / "faces.safetensors")["card"]
    assert (counted["images"], counted["images_before"]) == (1216, 1200)
    assert "the network that shipped before, after 1,200 of them" in (tmp_path / "occlusion" / "faces.md").read_text()
