import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageSequence

from pipelines import animation, progress
from weights.errors import UserError


def moving(n=12, size=(64, 48)):
    """A disc that wanders over a gradient: smooth colours and an edge."""
    y, x = np.mgrid[: size[1], : size[0]]
    for i in range(n):
        rgb = np.stack([x * 255 // size[0], y * 255 // size[1], np.full_like(x, 40 + 10 * i)], -1).astype(np.uint8)
        rgb[(x - 10 - 3 * i) ** 2 + (y - 24) ** 2 < 64] = (230, 40, 40)
        yield Image.fromarray(rgb)


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_frames_size_and_time_come_back(tmp_path, kind):
    path = animation.save(moving(), tmp_path / f"a.{kind}", fps=15)
    with Image.open(path) as im:
        assert im.size == (64, 48) and im.n_frames == 12
        seconds = (
            sum(f.copy().info["duration"] for f in ImageSequence.Iterator(im)) / 1000
        )  # known once a frame is read
        assert seconds == pytest.approx(12 / 15, abs=0.02)
        assert im.info.get("loop") == 0


def test_gif_keeps_colours_and_does_not_flicker(tmp_path):
    still = [next(moving(1))] * 3 + [list(moving(2))[1]]
    path = animation.save(moving(), tmp_path / "a.gif")
    with Image.open(path) as im:
        back = [np.asarray(f.convert("RGB")).astype(int) for f in ImageSequence.Iterator(im)]
    # 256 colours for a full field of hues: single pixels are off by some levels, small patches by less.
    truth = [np.asarray(f.filter(ImageFilter.BoxBlur(2))).astype(int) for f in moving()]
    back = [np.asarray(Image.fromarray(f.astype(np.uint8)).filter(ImageFilter.BoxBlur(2))).astype(int) for f in back]
    assert np.mean([abs(a - b).mean() for a, b in zip(back, truth, strict=True)]) < 4
    # Where nothing moves (the last column's red and green), nothing may change from frame to frame but the blue drift.
    path = animation.save(still, tmp_path / "s.gif")
    with Image.open(path) as im:
        frames = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(im)]
    assert all((f == frames[0]).all() for f in frames[: len(frames) - 1])


def test_gif_leaves_even_ground_even(tmp_path):
    """White stays white, and no pattern of dots stands on it or on any other even colour."""
    frames = list(moving(6, (96, 64)))
    for frame in frames:
        frame.paste((255, 255, 255), (0, 0, 40, 64))
        frame.paste((90, 140, 200), (70, 0, 96, 64))
    with Image.open(animation.save(frames, tmp_path / "a.gif")) as im:
        back = [np.asarray(f.convert("RGB")).astype(int) for f in ImageSequence.Iterator(im)]
    for frame in back:
        assert (frame[:, :40] == 255).all()
        assert np.ptp(frame[:, 70:].reshape(-1, 3), axis=0).max() == 0
        assert abs(frame[0, 80] - (90, 140, 200)).max() < 8


@pytest.mark.parametrize(
    ("size", "pixels"), [("2x", (128, 96)), ("4x", (256, 192)), (32, (32, 24)), ("320", (320, 240))]
)
@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_sizes(tmp_path, kind, size, pixels):
    frames = list(moving(3))
    with Image.open(animation.save(frames, tmp_path / f"a.{kind}", size=size)) as im:
        assert im.size == pixels
        first = np.asarray(im.convert("RGB")).astype(int)
    want = np.asarray(frames[0].resize(pixels, Image.Resampling.LANCZOS)).astype(int)
    assert abs(first - want).mean() < 6


@pytest.mark.parametrize("size", ["3x", "", "large", 8, 5000, None, 1.5, "-64", [2]])
def test_sizes_that_are_none_are_one_sentence(tmp_path, size):
    with pytest.raises(UserError, match="size"):
        animation.save(moving(2), tmp_path / "a.gif", size=size)
    assert not list(tmp_path.iterdir())


def test_frames_count_at_the_size_of_the_file(tmp_path):
    frames = [Image.new("RGB", (1000, 1000))] * 20
    with pytest.raises(UserError, match="10 frames of 4000 x 4000"):
        animation.save(frames, tmp_path / "a.gif", size="4x")


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_writing_says_how_far_it_is(tmp_path, kind):
    if kind not in animation.formats():
        pytest.skip("no MP4 encoder on this machine (PyAV is not installed)")
    told = []
    with progress.watched(lambda done, total: told.append(done / total)):
        animation.save(list(moving(10)), tmp_path / f"a.{kind}", size="2x")
    assert told == sorted(told) and len(told) > 15 and told[0] < 0.1 and 0.9 < told[-1] <= 1


def test_writing_ends_when_the_watcher_says_so(tmp_path):
    class Enough(BaseException):
        pass

    def hear(done, total):
        if done > 12:
            raise Enough

    with pytest.raises(Enough), progress.watched(hear):
        animation.save(list(moving(10)), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_mp4(tmp_path):
    if "mp4" not in animation.formats():
        pytest.skip("no MP4 encoder on this machine (PyAV is not installed)")
    import av

    path = animation.save(moving(), tmp_path / "a.mp4", fps=12)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 12
        frames = [f.to_image() for f in container.decode(stream)]
    assert len(frames) == 12
    assert frames[0].width >= animation.MP4_LEAST and frames[0].width * 48 == frames[0].height * 64
    small = np.asarray(frames[3].resize((64, 48), Image.Resampling.BOX)).astype(int)
    assert abs(small - np.asarray(list(moving())[3]).astype(int)).mean() < 10


def test_odd_sizes_become_a_film_too(tmp_path):
    if "mp4" not in animation.formats():
        pytest.skip("no MP4 encoder on this machine (PyAV is not installed)")
    assert animation.save(moving(3, (301, 203)), tmp_path / "a.mp4").stat().st_size > 0


def test_playing_once(tmp_path):
    with Image.open(animation.save(moving(), tmp_path / "a.gif", loop=False)) as im:
        assert "loop" not in im.info


@pytest.mark.parametrize(
    ("frames", "name", "fps"),
    [
        ([], "a.gif", 20),
        (list(moving(2)) + [Image.new("RGB", (3, 3))], "a.gif", 20),
        (moving(2), "a.avi", 20),
        (moving(2), "a.gif", 0),
        (moving(2), "a.gif", 1e6),
        (moving(2), "a.gif", "fast"),
        ([Image.new("RGB", (8000, 8000))] * 3, "a.webp", 20),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_file(tmp_path, frames, name, fps):
    with pytest.raises(UserError) as e:
        animation.save(frames, tmp_path / name, fps)
    assert "\n" not in str(e.value) and str(e.value).endswith(".")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def full(*a, **k):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(UserError, match="No space left"):
        animation.save(moving(2), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_an_endless_iterator_is_cut_off(tmp_path):
    def forever():
        while True:
            yield Image.new("RGB", (2, 2))

    with pytest.raises(UserError):
        animation.save(forever(), tmp_path / "a.gif")


def test_grid_places_every_picture():
    reds = [[Image.new("RGB", (8, 6), (10 * i + j, 0, 0)) for j in range(3)] for i in range(2)]
    heads = [Image.new("RGB", (8, 6), (0, 9, 0))] * 3
    sides = [Image.new("RGB", (8, 6), (0, 0, 9))] * 2
    sheet = animation.grid(reds, row_header=sides, col_header=heads, gap=2)
    left, top = 8 + 6, 6 + 6
    assert sheet.size == (left + 3 * 8 + 2 * 2, top + 2 * 6 + 2)
    for i in range(2):
        for j in range(3):
            assert sheet.getpixel((left + j * 10, top + i * 8)) == (10 * i + j, 0, 0)
    assert sheet.getpixel((left, 0)) == (0, 9, 0) and sheet.getpixel((0, top)) == (0, 0, 9)
    assert sheet.getpixel((0, 0)) == (255, 255, 255)
    assert animation.grid([[heads[0]]]).size == (8, 6)


def test_grid_writes_captions_under_pictures_and_headers():
    blue = [[Image.new("RGB", (64, 64), (0, 0, 200))] * 2] * 2
    plain = animation.grid(blue, blue[0], blue[0])
    seeds = [f"seed {i}" for i in (7, 4294967295)]
    for sheet in (
        animation.grid(blue, blue[0], blue[0], captions=[seeds, seeds]),
        animation.grid(blue, blue[0], blue[0], row_captions=seeds, col_captions=seeds),
    ):
        assert sheet.height > plain.height and sheet.width == plain.width
        pixels = np.asarray(sheet).astype(int)
        lines = ((pixels < 128).all(axis=2).sum(axis=1) > 0).nonzero()[0]  # text is grey or black, pictures are blue
        assert len(np.split(lines, (np.diff(lines) > 20).nonzero()[0] + 1)) in (2, 3)


def test_strip_writes_captions():
    images = [Image.new("RGB", (64, 64), (0, 0, 200))] * 2
    plain, captioned = animation.strip(images), animation.strip(images, ["−1", "0.5"])
    assert captioned.height > plain.height
    below = np.asarray(captioned)[plain.height :]
    assert (below < 128).any() and (below[:, :66] < 128).any() and (below[:, 66:] < 128).any()
