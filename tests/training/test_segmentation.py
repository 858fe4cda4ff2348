"""The trainer of the segmentation network: its teachers' masks, that it learns them, resumes, and writes a card."""

import numpy as np
import pytest
import torch
from PIL import Image

from models import regions
from models.attgan import Generator
from models.segmentation import SegmentationNet
from training import card, segmentation
from training.data import Images
from training.segmentation import Masks
from training.supervised import load_trained
from weights import UserError, store

ATTRS = ["Black_Hair", "Blond_Hair", "Brown_Hair", "Young"]
SIZE = 64


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def head(hair=(-0.6, -0.8, -0.9), clothes=(0.9, -0.9, -0.9)):
    """A drawn head before a grey wall: ``[3, S, S]``, where its person is, and where its hair."""
    u, v = segmentation.frame(SIZE)
    skin = (u / 1.1).square() + ((v - 0.5) / 1.5).square() < 1
    crown = (((u / 1.5).square() + ((v - 0.2) / 1.7).square()) < 1) & (v < 0.2) & ~(skin & (v > -0.6))
    below = (v > 2.0) & (u.abs() < 2.4)
    x = torch.zeros(3, SIZE, SIZE)
    for where, colour in ((below, clothes), (skin, (0.6, 0.3, 0.1)), (crown, hair)):
        x[:, where] = torch.tensor(colour)[:, None]
    return x, (skin | crown | below).float(), crown


def contrast_of(crown, below=0.0):
    """What turns blond and black: the hair, the wall beside it a little, and clothes by ``below``."""
    _u, v = segmentation.frame(SIZE)
    return torch.where(crown, 0.5, torch.where(v > 2.0, below, 0.04))


def test_hair_is_what_changes_its_colour_on_the_person():
    x, person, crown = head()
    found = segmentation.hair_of(x, contrast_of(crown), person, [0, 0, 0])
    assert (found > 0.5)[crown & (found.new_tensor(regions.ellipse(regions.INNER, SIZE)) == 0)].float().mean() > 0.95
    assert found[~crown].max() < 0.2
    everywhere = segmentation.hair_of(
        x, torch.full_like(person, 0.5) * (1 - 0.9 * (person * ~crown)), person, [0, 0, 0]
    )
    assert everywhere[person == 0].max() == 0, "the background has none"


def test_clothes_of_another_colour_are_no_hair():
    x, person, crown = head()
    found = segmentation.hair_of(x, contrast_of(crown, below=0.5), person, [0, 0, 0])
    _u, v = segmentation.frame(SIZE)
    assert found[(v > 2.0) & (person > 0)].max() < 0.1
    x, person, crown = head(clothes=(-0.6, -0.8, -0.9))
    found = segmentation.hair_of(x, contrast_of(crown, 0.5), person, [0, 0, 0])
    assert found[(v > 2.0) & (person > 0)].max() > 0.5, "of the same colour, long hair or clothes: nobody knows"
    assert segmentation.hair_of(x, contrast_of(crown, 0.5), person, [0, 1, 0])[v > 2.0].max() == 0, "a man's"


def test_what_labels_say_of_hair():
    x, person, crown = head()
    assert segmentation.hair_of(x, contrast_of(crown), person, [1, 0, 0]).max() == 0, "bald"
    _u, v = segmentation.frame(SIZE)
    assert segmentation.hair_of(x, contrast_of(crown), person, [0, 0, 1])[v < -0.5].max() == 0, "a hat"
    assert segmentation.hair_of(x, torch.full_like(person, 0.3), person, [0, 0, 0]) is None, "everything changed alike"
    assert segmentation.hair_of(x, contrast_of(crown), person * 0, [0, 0, 0]) is None, "nobody is there"


@pytest.fixture
def teachers(tmp_path, monkeypatch):
    """An AttGAN that has learnt nothing, as a file, and in place of the network of selfies: what is not grey."""
    torch.manual_seed(0)
    net = Generator(4, 32, enc_dim=4, enc_layers=2, dec_dim=4, dec_layers=2, attrs=ATTRS)
    store.save(tmp_path / "attgan.safetensors", net, "attgan", "generator")

    class Selfie(torch.nn.Module):
        def forward(self, x):
            return [((x - 0.5).abs().amax(dim=1, keepdim=True) > 0.05).float()]

    monkeypatch.setattr(segmentation.features, "model_file", lambda name: name)
    monkeypatch.setattr(segmentation.tfjs, "read", lambda path, outputs: Selfie())
    monkeypatch.setattr(segmentation, "SOURCE", SIZE)
    return tmp_path / "attgan.safetensors"


@pytest.fixture
def photographs(tmp_path):
    """Heads with labels, a quarter of them for the test."""
    folder = tmp_path / "faces"
    (folder / "images").mkdir(parents=True)
    lines = [f"file,split,{','.join([*ATTRS, *segmentation.LABELS])}"]
    for i in range(16):
        x, _person, _crown = head(hair=(-0.6 + 0.08 * i, -0.8, -0.9))
        Image.fromarray(((x + 1) * 127.5).byte().permute(1, 2, 0).numpy()).save(folder / "images" / f"{i}.png")
        lines.append(f"{i}.png,{'test' if i % 4 == 0 else 'train'},1,0,0,1,{int(i == 5)},0,0")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def options(attgan, data, out, *more):
    words = ["--data", str(data), "--out", str(out), "--attgan", str(attgan), "--size", "32", "--widths", "8", "8"]
    return segmentation.parser().parse_args([*words, "--batch", "8", "--device", "cpu", *map(str, more)])


def known(n=8):
    """Heads, and the truth about them."""
    made = [head(hair=(-0.6 + 0.1 * i, -0.8, -0.9)) for i in range(n)]
    pixels = torch.stack([((x + 1) * 127.5).round().byte() for x, _p, _c in made])
    masks = torch.stack([torch.stack([p, c.float()]) for _x, p, c in made])
    return Images(pixels), Masks((masks * 255).byte(), torch.arange(n) > 0)


def test_it_learns_what_the_teachers_say(teachers, tmp_path):
    images, masks = known()
    run = segmentation.SegmentationRun(
        options(teachers, "x", "x", "--images", 1200, "--lr", 0.01, "--moved", 0), images, masks
    )
    before = segmentation.measured(run.average, images, masks)
    while run.shown < 1200:
        run.step()
    found = segmentation.measured(run.average, images, masks)
    assert found["person"] > 85 and found["hair"] > 60 > before["hair"], found


def test_hair_that_is_not_known_teaches_nothing(teachers):
    images, masks = known()
    nothing = Masks(masks.masks, torch.zeros(8, dtype=torch.bool))
    run = segmentation.SegmentationRun(options(teachers, "x", "x", "--images", 32), images, nothing)
    before = run.net.last.bias.clone()
    for _ in range(3):
        run.step()
    moved = (run.net.last.bias - before).abs()
    assert moved[0] > 1e-4 > moved[1]


def test_people_before_other_photographs():
    images, masks = known()
    x, (truth, _known) = images.batch(torch.arange(8)), masks.batch(torch.arange(8))
    still = segmentation.varied(x, truth, rng(), moved=0.0)
    moved = segmentation.varied(x, truth, rng(), moved=1.0)
    person = truth[:, :1].expand_as(x) > 0.99
    assert (still - moved).abs()[person].max() < 0.25, "only the light of another mean"
    assert (still - moved).abs()[~person].mean() > 0.05


def test_a_resumed_run_takes_the_same_steps(teachers):
    images, masks = known()
    args = options(teachers, "x", "x", "--images", 64)

    def new():
        return segmentation.SegmentationRun(args, images, masks)

    straight, first, second = new(), new(), new()
    for _ in range(4):
        straight.step()
    first.step()
    second.restore(first.state())
    for _ in range(3):
        second.step()
    for a, b in zip(straight.average.state_dict().values(), second.average.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_run_and_its_card(teachers, photographs, tmp_path, monkeypatch):
    from training.cards import segmentation as writer

    monkeypatch.setattr(writer, "generated", lambda count: torch.zeros(count, 3, SIZE, SIZE))
    args = options(teachers, photographs, tmp_path / "run", "--images", 32, "--tick", 16)
    segmentation.train(args, log=lambda _words: None)
    net, state = load_trained(SegmentationNet, args.out)
    assert state["shown"] == 32 and state["train_images"] == 12 and net.config["widths"] == [8, 8]
    words = ["--run", args.out, "--name", "segmentation/faces", "--data", str(photographs), "--out", str(tmp_path)]
    assert card.main(words) == 0
    header = store.header(tmp_path / "segmentation" / "faces.safetensors")
    text = (tmp_path / "segmentation" / "faces.md").read_text()
    assert header["technique"] == "segmentation" and set(header["card"]["union"]) == {"person", "hair"}
    assert "make train-segmentation" in text and f"{header['card']['union']['person']:.1f} %" in text
    assert header["card"]["test_images"] == 4 and len(header["card"]["attgan_sha256"]) == 64
    with Image.open(tmp_path / "segmentation" / "faces.png") as sheet:
        assert np.asarray(sheet).any()


def test_an_attgan_without_hair_cannot_teach(tmp_path, teachers):
    net = Generator(1, 32, enc_dim=4, enc_layers=2, dec_dim=4, dec_layers=2, attrs=["Young"])
    store.save(tmp_path / "young.safetensors", net, "attgan", "generator")
    with pytest.raises(UserError, match="Black_Hair"):
        segmentation.Teacher(str(tmp_path / "young.safetensors"), "cpu")
