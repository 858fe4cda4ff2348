"""What is left of a drag: replays, drawings and frames, latents in files and as text."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines import draggan, stylegan2
from weights.errors import UserError

from .draggan_helpers import AWAY, run, same

# -- replay --------------------------------------------------------------------------------------------------------


def test_a_replay_is_what_was_done_by_hand(net, w):
    paint = np.zeros((64, 64), np.uint8)
    paint[16:48, 8:56] = 255
    a = run(net, w, 3)
    handles = [a[-1].handles[0], (40.0, 12.0)]
    b = run(net, None, 2, handles=handles, targets=[(50, 30), (20, 12)], resume=a[-1], mask=paint)
    drags = [
        {"handles": [[20, 30]], "targets": [[50, 30]], "steps": 3},
        {
            "handles": [list(p) for p in handles],
            "targets": [[50, 30], [20, 12]],
            "steps": 2,
            "mask": draggan.encode_mask(paint, 64),
        },
    ]
    drags = json.loads(json.dumps(drags))
    by_seed = list(draggan.replay(net, drags, seed=1))
    by_latent = list(draggan.replay(net, drags, latent=draggan.encode_latent(w, net)))
    assert [s.step for s in by_seed] == [0, 1, 2, 3, 4, 5]
    for steps in (by_seed, by_latent):
        for x, y in zip(steps, a + b[1:], strict=True):
            same(x, y)


@pytest.mark.parametrize(
    "bad",
    [
        {"drags": []},
        {"drags": [{}]},
        {"drags": ["x"]},
        {"drags": [{**AWAY, "net": 1}]},
        {"drags": [{**AWAY, "resume": 1}]},
        {"drags": [{**AWAY, "steps": -1}]},
        {"drags": [AWAY] * 65},
        {"drags": [AWAY], "latent": "AAAA"},
        {"drags": [AWAY], "latent": "not base64"},
        {"drags": [AWAY], "seed": -1},
    ],
)
def test_bad_replays_are_one_sentence(net, bad):
    with pytest.raises(UserError) as e:
        draggan.replay(net, **bad)
    assert "\n" not in str(e.value)


# -- drawings and files --------------------------------------------------------------------------------------------


def test_points_are_drawn_where_they_are():
    image = Image.new("RGB", (64, 64), (128, 128, 128))
    drawn = draggan.draw(image, [(10, 20)], [(50, 40)], size=512)
    assert drawn.size == (512, 512) and image.getpixel((10, 20)) == (128, 128, 128)
    red, blue = (drawn.getpixel(tuple(int((v + 0.5) * 8) for v in p)) for p in ((10, 20), (50, 40)))
    assert red[0] > 200 > red[2] and blue[2] > 200 > blue[0]
    assert drawn.getpixel((500, 20)) == (128, 128, 128)
    around = drawn.crop((60, 140, 110, 190)).getcolors()
    assert len(around) > 10  # smooth


def test_what_is_held_is_darker():
    image, mask = Image.new("RGB", (64, 64), (128, 128, 128)), np.zeros((64, 64))
    mask[:, 32:] = 1
    flexible = draggan.draw(image, [], [], mask)
    assert flexible.getpixel((5, 5))[0] < 100 and flexible.getpixel((60, 5)) == (128, 128, 128)
    assert draggan.draw(image, [], [], mask, painted="fixed").getpixel((60, 5))[0] < 100


def test_frames_of_a_drag(net, w):
    steps = run(net, w, 4, show_every=2)
    frames = list(draggan.frames(steps, size=200))
    assert len(frames) == 3 and {f.size for f in frames} == {(256, 256)}
    bare = list(draggan.frames(steps, points=False, size=None))
    assert [np.array_equal(a, s.image) for a, s in zip(bare, [steps[0], steps[2], steps[4]], strict=True)] == [True] * 3


def test_latents_survive_their_file_and_their_text(net, w, tmp_path):
    step = run(net, w, 2)[-1]
    path = draggan.save_latent(tmp_path / "w.safetensors", step.w, net)
    assert torch.equal(draggan.load_latent(path, net), step.w)
    assert torch.equal(draggan.decode_latent(draggan.encode_latent(step.w, net), net), step.w)
    assert b"stylegan2/tiny" in path.read_bytes() and b"ab" * 32 in path.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_latents_of_other_sizes_and_other_files_are_refused(net, conditional, w, tmp_path):
    path = draggan.save_latent(tmp_path / "w.safetensors", w, net)
    with pytest.raises(UserError, match="stylegan2/tiny"):
        draggan.load_latent(path, conditional)
    with pytest.raises(UserError):
        draggan.save_latent(tmp_path / "other", w[:, :3], net)
    with pytest.raises(UserError):
        draggan.save_latent(tmp_path / "no" / "such" / "folder", w, net)
    bad = tmp_path / "bad"
    for content in (
        b"",
        b"hello",
        path.read_bytes()[:-8],
        path.read_bytes().replace(b"ganbook_latent", b"somebody_else_"),
    ):
        bad.write_bytes(content)
        with pytest.raises(UserError):
            draggan.load_latent(bad, net)
    with pytest.raises(UserError):
        draggan.load_latent(tmp_path / "nowhere", net)


def test_a_latent_as_numpy_archive(net, conditional, tmp_path):
    """As NVIDIA's projector writes it: one array, called w."""
    w = stylegan2.latent(net, 3)
    path = draggan.save_latent(tmp_path / "w.npz", w, net)
    with np.load(path) as found:
        assert list(found) == ["w"] and np.array_equal(found["w"], w.numpy())
    assert torch.equal(draggan.load_latent(path, net), w)
    np.savez_compressed(tmp_path / "theirs.npz", w=w[0].double().numpy())
    assert torch.allclose(draggan.load_latent(tmp_path / "theirs.npz", net), w)
    with pytest.raises(UserError, match="no latent of this network"):
        draggan.load_latent(path, conditional)


@pytest.mark.parametrize(
    "arrays",
    [
        {"z": np.zeros((1, 10, 32), np.float32)},
        {"w": np.zeros((1, 10, 31), np.float32)},
        {"w": np.zeros((1, 10, 32), np.int64)},
        {"w": np.zeros((4000, 32000), np.float16)},
        {"w": np.array([{"a": 1}], dtype=object)},
        {"w": np.full((1, 10, 32), np.nan, np.float32)},
    ],
)
def test_numpy_archives_that_hold_no_latent(net, tmp_path, arrays):
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match="no latent|NaN"):
        draggan.load_latent(tmp_path / "a.npz", net)


def test_a_numpy_archive_that_is_cut(net, tmp_path):
    path = draggan.save_latent(tmp_path / "w.npz", stylegan2.latent(net, 3), net)
    whole = path.read_bytes()
    for place in (200, 700):  # the header, and the numbers
        spoilt = bytearray(whole)
        spoilt[place] ^= 255
        path.write_bytes(spoilt)
        with pytest.raises(UserError):
            draggan.load_latent(path, net)
    for text in ("", "AAAA", "not base64!", None):
        with pytest.raises(UserError):
            draggan.decode_latent(text, net)
