"""The trainer of the deghosting network: the fold, the truth of made ghosts, exact resuming, and that it learns."""

import json

import pytest
import torch
from PIL import Image

from models.deghosting import Deghosting
from models.diffcam import DiffCAM
from models.stylegan2 import Generator
from training import card, deghosting, edit_pairs, loop
from training.supervised import load_trained
from weights import UserError, store

SIZES = {"z_dim": 8, "w_dim": 8, "img_resolution": 16, "mapping_layers": 1, "channels": {4: 16, 8: 16, 16: 8}}
SMALL = (
    "--in-size 8 --rrdb-channels 8 --rrdb-growth 4 --rrdbs 1 --latent-channels 4 --last-channels 8 --batch 4".split()
)
PLAIN = "--device cpu --encoder none --d-width 64 --random-directions 3 --diffcam none".split()


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    torch.manual_seed(0)
    net = Generator(**SIZES).eval().requires_grad_(False)
    net.mapping.w_avg.copy_(net.mapping(torch.randn(256, 8))[:, 0].mean(dim=0))
    path = tmp_path_factory.mktemp("generator") / "net.safetensors"
    store.save(path, net, "stylegan2", "generator")
    return path


def options(generator, *more):
    words = ["--out", "x", "--generator", str(generator), *SMALL, *PLAIN, *map(str, more)]
    return deghosting.parser().parse_args(words)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_fold():
    m = torch.tensor([0.0, 0.2, 0.5, 0.6, 1.0])
    assert torch.allclose(deghosting.fold(m), torch.tensor([0.0, 0.2, 0.5, 0.4, 0.0]))
    smooth = edit_pairs.smooth_masks(20, 16, rng())
    assert smooth.shape == (20, 1, 16, 16) and smooth.min() == 0 and smooth.max() == 1
    assert deghosting.fold(smooth).max() <= 0.5


def test_a_ghost_is_a_blend_of_its_truth_and_the_edit(generator, monkeypatch):
    """F = T M + I (1 - M) with M at most one half: undone exactly where T is known."""
    ghosts = deghosting.Ghosts(options(generator, "--occluders", 0), "cpu")
    seen = {}
    edit = ghosts.pairs.edit

    def remember(w, generator):
        seen["pair"] = edit(w, generator)
        return seen["pair"]

    monkeypatch.setattr(ghosts.pairs, "edit", remember)
    monkeypatch.setattr(edit_pairs, "smooth_masks", lambda n, size, rng: torch.full((n, 1, size, size), 0.7))
    blended, truth, mask = ghosts.made(None, 5, rng(), swap=0.0)
    after = seen["pair"][1]
    assert torch.allclose(blended, 0.3 * after + 0.7 * truth, atol=1e-5) and torch.allclose(mask, torch.tensor(0.3))
    swapped, kept, _mask = ghosts.made(None, 5, rng(), swap=1.0)
    assert torch.equal(kept, after) and torch.allclose(swapped, 0.7 * after + 0.3 * truth, atol=1e-5)


def test_masks_come_from_diffcam(generator, tmp_path):
    torch.manual_seed(0)
    names = [f"Direction {i}" for i in (3, 2, 1)]
    net = DiffCAM(names, 16, widths=(4, 8), head=(8,)).eval()
    store.save(tmp_path / "cam.safetensors", net, "diffcam", "network")
    ghosts = deghosting.Ghosts(options(generator, "--diffcam", tmp_path / "cam.safetensors"), "cpu")
    assert ghosts.diffcam.names == tuple(names)
    blended, truth, _mask = ghosts.made(None, 4, rng())
    assert blended.shape == truth.shape == (4, 3, 16, 16) and not torch.equal(blended, truth)
    assert torch.equal(ghosts.made(None, 4, rng())[0], blended)
    store.save(tmp_path / "other.safetensors", DiffCAM(["Young"], 16, widths=(4,), head=(8,)), "diffcam", "network")
    with pytest.raises(UserError, match="--attrs"):
        deghosting.Ghosts(options(generator, "--diffcam", tmp_path / "other.safetensors"), "cpu")


def test_photographs_are_inverted_with_what_is_drawn_on_them(generator):
    ghosts = deghosting.Ghosts(options(generator, "--occluders", 1), "cpu")
    given = []

    def encoder(x):
        given.append(x)
        return torch.zeros(len(x), ghosts.pairs.net.num_ws, 8)

    ghosts.pairs.encoder = encoder
    photographs = torch.full((3, 3, 16, 16), 127, dtype=torch.uint8)
    _blended, truth, _mask = ghosts.made(photographs, 3, rng(), swap=0.0)
    assert torch.equal(given[0], truth) and (truth != photographs.float() / 127.5 - 1).any()


def test_it_resumes_exactly(generator, tmp_path):
    def run():
        args = options(generator)
        return deghosting.DeghostingRun(args, [], deghosting.Ghosts(args, "cpu"))

    whole, first, again = run(), run(), run()
    for _ in range(4):
        whole.step()
    for _ in range(2):
        first.step()
    loop.save_state(first, tmp_path / "state.pt")
    loop.resume(again, tmp_path, lambda _words: None)
    for _ in range(2):
        again.step()
    for part in ("average", "D"):
        for name, value in getattr(whole, part).state_dict().items():
            assert torch.equal(value, getattr(again, part).state_dict()[name]), (part, name)


def test_it_learns_to_remove_ghosts(generator, tmp_path):
    words = "--images 800 --tick 800 --batch 8 --lr 3e-3 --swap 0 --occluders 0 --strength 8 9 --adversarial 0"
    args = options(generator, *words.split(), "--perceptual", 0)
    args.out = str(tmp_path)
    deghosting.train(args, log=lambda _words: None)
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert line["deghosted"] > line["blended"] + 0.5 and 0 < line["untouched"] < 20
    assert {"kept_blended", "kept_deghosted"} <= set(line)
    net, state = load_trained(Deghosting, tmp_path)
    assert not any("synthesis" in name for name in state["net"]) and net.residual


def test_bf16_and_no_discriminator(generator):
    args = options(generator, "--precision", "bf16", "--adversarial", 0, "--perceptual", 0)
    run = deghosting.DeghostingRun(args, [], deghosting.Ghosts(args, "cpu"))
    before = [p.clone() for p in run.net.parameters()]
    run.step()
    run.step()
    assert run.D is None and any(not torch.equal(a, b) for a, b in zip(before, run.net.parameters(), strict=True))
    assert all(torch.isfinite(p).all() for p in run.net.parameters())


def test_the_card_says_what_the_stored_file_does(generator, tmp_path):
    args = options(generator, "--images", 16, "--tick", 16)
    args.out = str(tmp_path / "run")
    deghosting.train(args, log=lambda _words: None)
    words = ["--run", args.out, "--name", "deghosting/faces", "--data", "none", "--out", str(tmp_path)]
    assert card.main(words) == 0
    header = store.header(tmp_path / "deghosting" / "faces.safetensors")
    assert header["technique"] == "deghosting" and len(header["card"]["generator_sha256"]) == 64
    numbers, text = header["card"]["psnr"], (tmp_path / "deghosting" / "faces.md").read_text()
    assert f"{numbers['blended']:.2f}" in text and f"{numbers['deghosted']:.2f}" in text
    with Image.open(tmp_path / "deghosting" / "faces.png") as sheet:
        assert sheet.size == (128, 48)


def test_it_begins_with_the_weights_of_a_file(generator, tmp_path):
    """Of one that did not see the mask too: at first the new network makes the same of everything."""
    ghosts = deghosting.Ghosts(options(generator), "cpu")
    old = deghosting.DeghostingRun(options(generator, "--unguided"), [], ghosts).net
    with torch.no_grad():
        for p in old.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=rng(p.numel())))
    store.save(tmp_path / "old.safetensors", old, "deghosting", "network", card={"images": 40, "seconds": 3})
    run = deghosting.DeghostingRun(options(generator, "--start-from", tmp_path / "old.safetensors"), [], ghosts)
    blended, _truth, mask = ghosts.made(None, 4, rng())
    with torch.no_grad():
        assert torch.allclose(run.net(blended, mask), old(blended), atol=1e-5)
        assert torch.allclose(run.average(blended, mask), old(blended), atol=1e-5)
    assert run.state()["shown_before"] == 40
    with pytest.raises(UserError, match="other sizes"):
        deghosting.DeghostingRun(
            options(generator, "--rrdbs", 2, "--start-from", tmp_path / "old.safetensors"), [], ghosts
        )
