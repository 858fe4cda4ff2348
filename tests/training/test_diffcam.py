"""The trainer of Diff-CAM: pairs are what they say, a run resumes exactly, and it learns to name the edit."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from models.diffcam import DiffCAM
from models.stylegan2 import Generator
from training import card, diffcam, edit_pairs, loop, occluders
from training.edit_pairs import Pairs
from training.supervised import load_trained
from weights import latent_directions, store
from weights.errors import UserError

SIZES = {"z_dim": 8, "w_dim": 8, "img_resolution": 16, "mapping_layers": 1, "channels": {4: 16, 8: 16, 16: 8}}
SMALL = ["--size", "16", "--widths", "8", "16", "--head", "16", "--batch", "8", "--device", "cpu", "--encoder", "none"]


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    torch.manual_seed(0)
    net = Generator(**SIZES).eval().requires_grad_(False)
    net.mapping.w_avg.copy_(net.mapping(torch.randn(256, 8))[:, 0].mean(dim=0))
    path = tmp_path_factory.mktemp("generator") / "net.safetensors"
    store.save(path, net, "stylegan2", "generator")
    return path


def options(generator, *more):
    words = ["--out", "x", "--generator", str(generator), "--random-directions", "3", *SMALL, *map(str, more)]
    return diffcam.parser().parse_args(words)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_an_edit_is_so_many_deviations_along_its_direction(generator):
    pairs = Pairs(options(generator), "cpu")
    found = pairs.directions
    assert torch.allclose(found.vectors @ found.vectors.T, torch.eye(3), atol=1e-5)
    w = edit_pairs.latents(pairs.net, 6, rng())
    label, alpha = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([1.0, -2, 3, 0, 0.5, -1])
    step = edit_pairs.edited(w, found, label, alpha) - w
    assert torch.allclose(step, step[:, :1].expand_as(step)), "every row of w+ is moved alike"
    along = (step[:, 0] * found.vectors[label]).sum(dim=1) / found.spread[label]
    assert torch.allclose(along, alpha, atol=1e-5)
    z = torch.randn(20_000, 8, generator=rng(9))
    spread = (pairs.net.mapping(z)[:, 0] @ found.vectors.T).std(dim=0)
    assert torch.allclose(spread, found.spread, rtol=0.05)


def test_directions_that_ship_move_the_rows_that_they_name(generator, tmp_path):
    net, path = store.load(generator), tmp_path / "faces.safetensors"
    one = latent_directions.LatentDirection("Young", torch.eye(8)[2].clone(), 1.0, (1, 3))
    latent_directions.write(path, "stylegan2/faces", "0" * 64, net.num_ws, {"Young": one})
    found = edit_pairs.directions(net, path)
    w = edit_pairs.latents(net, 2, rng())
    moved = (edit_pairs.edited(w, found, torch.zeros(2).long(), torch.ones(2)) - w).abs().sum(dim=2) > 0
    assert moved.tolist() == [[i in (1, 3) for i in range(net.num_ws)]] * 2


class TopJudge(torch.nn.Module):
    """Sees an attribute in how bright the upper half is, and nothing else."""

    attrs = ("Sky", "Nothing")

    def forward(self, x):
        top = x[:, :, : x.shape[2] // 2].mean(dim=(1, 2, 3))
        return torch.stack([10 * top, torch.zeros_like(top)], dim=1)


def test_a_part_of_an_edit_counts_by_as_much_of_the_attribute_as_it_shows(monkeypatch):
    before = torch.full((4, 3, 16, 16), -1.0)
    after = torch.full((4, 3, 16, 16), 1.0)
    masks = torch.zeros(4, 1, 16, 16)
    masks[1, :, 8:], masks[2, :, :4], masks[3] = 1, 1, 1  # nothing, the lower half, half of the upper half, all
    monkeypatch.setattr(edit_pairs, "smooth_masks", lambda count, size, rng: masks)
    some, share = diffcam.parts_of(TopJudge(), ("Sky", "Nothing", "Sea"), before, after, torch.zeros(4).long(), rng())
    assert torch.allclose(share, torch.tensor([0, 0, 0.5, 1]), atol=1e-5)
    assert torch.equal(some, torch.lerp(before, after, masks))
    unseen = torch.tensor([1, 1, 2, 2])  # an attribute that the judge sees no change of, and one that it does not know
    some, share = diffcam.parts_of(TopJudge(), ("Sky", "Nothing", "Sea"), before, after, unseen, rng())
    assert torch.equal(some, after) and share.tolist() == [1, 1, 1, 1]


def test_strengths_and_labels_are_spread_evenly(generator):
    pairs = Pairs(options(generator, "--strength", 1, 2), "cpu")
    label, alpha = edit_pairs.chosen_edits(pairs.directions, 3000, rng(), pairs.strength)
    assert alpha.abs().min() >= 1 and alpha.abs().max() <= 2 and abs((alpha > 0).float().mean() - 0.5) < 0.05
    assert label.bincount(minlength=3).min() > 800
    before, after, label, _alpha = pairs.edit(edit_pairs.latents(pairs.net, 4, rng()), rng())
    assert before.shape == (4, 3, 16, 16) and before.abs().max() <= 1 and (before - after).abs().max() > 0.01


def test_photographs_come_before_random_faces(generator):
    pairs = Pairs(options(generator), "cpu")
    pairs.encoder = lambda x: torch.full((len(x), pairs.net.num_ws, 8), 7.0)
    w = pairs.latents(torch.zeros(3, 3, 16, 16), 8, rng())
    assert w.shape == (8, pairs.net.num_ws, 8) and (w[:3] == 7).all() and (w[3:] != 7).all()
    assert torch.equal(pairs.latents(torch.zeros(8, 3, 16, 16), 8, rng()), torch.full((8, pairs.net.num_ws, 8), 7.0))


def test_directions_of_a_file(generator, tmp_path):
    from safetensors.torch import save_file

    net = store.load(generator)
    path = tmp_path / "directions.safetensors"
    save_file({"Young": torch.ones(1, 8) * 3, "Bangs": torch.eye(8)[0].clone()}, path)
    found = edit_pairs.directions(net, path)
    assert found.names == ("Bangs", "Young") and torch.allclose(found.vectors.norm(dim=1), torch.ones(2))
    assert edit_pairs.directions(net, path, ["Young"]).names == ("Young",)
    save_file({"Young": torch.ones(9)}, tmp_path / "other.safetensors")
    for wrong, words in (((path, ["Male"]), "no Male"), ((tmp_path / "other.safetensors",), "another latent space")):
        with pytest.raises(weights.UserError, match=words):
            edit_pairs.directions(net, *wrong)
    with pytest.raises(weights.UserError, match="--directions"):
        edit_pairs.directions(net, tmp_path / "none.safetensors")


def test_it_resumes_exactly(generator, tmp_path):
    def run():
        args = options(generator)
        return diffcam.DiffCAMRun(args, [], Pairs(args, "cpu"))

    whole = run()
    for _ in range(4):
        whole.step()
    first = run()
    for _ in range(2):
        first.step()
    loop.save_state(first, tmp_path / "state.pt")
    again = run()
    loop.resume(again, tmp_path, lambda _words: None)
    for _ in range(2):
        again.step()
    assert again.shown == whole.shown == 32
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, again.average.state_dict()[name]), name


def test_it_learns_to_name_the_edit(generator, tmp_path):
    args = options(generator, "--images", 3200, "--tick", 3200, "--strength", 2, 4, "--batch", 32)
    args.out = str(tmp_path)
    run = diffcam.train(args, log=lambda _words: None)
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert line["chance"] == 33.33 and line["latents"] > 60 and line["loss"] < 1.0
    assert (tmp_path / "sheets" / "00003200.png").is_file()
    net, state = load_trained(DiffCAM, tmp_path)
    assert net.names == run.net.names and state["shown"] == 3200


def test_the_card_says_what_the_stored_file_does(generator, tmp_path):
    args = options(generator, "--images", 64, "--tick", 64)
    args.out = str(tmp_path / "run")
    diffcam.train(args, log=lambda _words: None)
    words = ["--run", args.out, "--name", "diffcam/faces", "--data", "none", "--out", str(tmp_path)]
    assert card.main(words) == 0
    header = store.header(tmp_path / "diffcam" / "faces.safetensors")
    assert header["technique"] == "diffcam" and header["card"]["images"] == 64
    text = (tmp_path / "diffcam" / "faces.md").read_text()
    assert f"{header['card']['accuracy']['latents']:.1f} %" in text and "33.3 %" in text
    with Image.open(tmp_path / "diffcam" / "faces.png") as sheet:
        assert sheet.size == (48, 48)
    assert len(header["card"]["generator_sha256"]) == 64


# -- what is drawn before faces --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", occluders.KINDS)
def test_what_is_drawn_is_where_the_mask_says(kind):
    image = Image.effect_noise((128, 128), 40).convert("RGB")
    covered = []
    for seed in range(6):
        made, mask = occluders.draw(image, kind, seed)
        assert made.size == mask.size == (128, 128) and made.mode == "RGB"
        before, after = (np.asarray(x).astype(int) for x in (image, made))
        hidden = np.asarray(mask)
        assert (before[hidden == 0] == after[hidden == 0]).all()
        assert np.abs(before - after).max(axis=2)[hidden == 255].mean() > 5
        covered.append((hidden > 127).mean())
        assert (np.asarray(occluders.draw(image, kind, seed)[0]) == after).all()
    assert 0.005 < np.mean(covered) < 0.5 and len({round(c, 4) for c in covered}) > 3
    with pytest.raises(ValueError, match="unknown kind"):
        occluders.draw(image, "hat", 0)


def test_about_a_share_of_a_batch_is_covered():
    pixels = torch.full((40, 3, 32, 32), 128, dtype=torch.uint8)
    made, masks = occluders.batch(pixels, rng(), 0.5)
    covered = masks.flatten(1).amax(dim=1) > 0
    assert 10 < covered.sum() < 30 and masks.max() <= 1
    changed = (made != pixels).flatten(1).any(dim=1)
    assert not changed[~covered].any() and changed.sum() > 8 and (pixels == 128).all()
    assert torch.equal(occluders.batch(pixels, rng(), 0.0)[0], pixels)


def test_it_begins_with_a_network_of_the_same_edits(generator, tmp_path):
    pairs = Pairs(options(generator), "cpu")
    old = diffcam.DiffCAMRun(options(generator, "--seed", 5), [], pairs).net
    store.save(tmp_path / "old.safetensors", old, "diffcam", "network", card={"images": 40, "seconds": 3})
    begun = options(generator, "--start-from", tmp_path / "old.safetensors")
    run = diffcam.DiffCAMRun(begun, [], pairs)
    for net in (run.net, run.average):
        assert all(torch.equal(a, b) for a, b in zip(net.parameters(), old.parameters(), strict=True))
    again = diffcam.DiffCAMRun(options(generator), [], pairs)
    run.step()
    again.restore(run.state())
    assert (again.shown, again.shown_before, again.seconds_before) == (8, 40, 3)
    state = run.state()
    del state["shown_before"], state["seconds_before"]  # as runs of before have it
    again.restore(state)
    assert again.shown_before == 0
    four = Pairs(options(generator, "--random-directions", 4), "cpu")
    with pytest.raises(UserError, match="other edits"):
        diffcam.DiffCAMRun(begun, [], four)
