"""The statistics behind the judges, on sets whose answers are known, and the judges where they are installed."""

import numpy as np
import pytest
import torch

from training import judges, metrics


def test_frechet_distance_of_two_gaussians_has_a_closed_form():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 5, generator=generator).double()
    x = (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T  # exactly mean 0, covariance 1
    a, b = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0]).double(), torch.tensor([2.0, 1.0, 0.5, 1.0, 4.0]).double()
    shift = torch.tensor([0.0, 3.0, 0.0, 4.0, 0.0]).double()
    wanted = shift.square().sum() + (a - b).square().sum()  # for covariances that share their axes
    assert metrics.frechet_distance(x * a, x * b + shift) == pytest.approx(wanted.item(), rel=1e-9)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=generator).double())[0]
    assert metrics.frechet_distance((x * a) @ turn, (x * b + shift) @ turn) == pytest.approx(wanted.item(), rel=1e-9)
    assert metrics.frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_where_axes_differ_and_vectors_are_fewer_than_dimensions():
    # Rank-one covariances along u and v: tr (C_a C_b)^(1/2) = s t |u.v|.
    steps = torch.tensor([-1.0, 0.0, 1.0]).double()[:, None]  # variance 1
    u, v = torch.zeros(8).double(), torch.zeros(8).double()
    u[0], v[0], v[1] = 1, 0.6, 0.8
    a, b = 2 * steps * u, 3 * steps * v
    assert metrics.frechet_distance(a, b) == pytest.approx(4 + 9 - 2 * 2 * 3 * 0.6, rel=1e-6)


def test_precision_and_recall_of_sets_that_cover_each_other_in_part():
    line = np.arange(20, dtype=np.float32)[:, None]
    assert metrics.precision_recall(line, line) == (1, 1)
    assert metrics.precision_recall(line, line + 1000) == (0, 0)
    narrow = np.linspace(4, 6, 20, dtype=np.float32)[:, None]  # all within the real ones, near few of them
    precision, recall = metrics.precision_recall(line, narrow)
    assert precision == 1 and recall == 3 / 20  # 4, 5 and 6
    half = np.concatenate([line[:10], line[:10] + 500])
    assert metrics.precision_recall(line, half)[0] == 0.5
    # With three neighbours a real vector reaches three steps at the end of the line, two inside.
    assert metrics.precision_recall(line, np.array([[-3.0], [-3.5], [8.5], [22.0], [22.5]]), 3)[0] == 3 / 5


def test_spread_is_the_mean_distance_of_two():
    assert metrics.spread([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]) == pytest.approx(10 / 3)


class Corner:
    """A judge that counts how often it is asked."""

    asked = 0

    def judge(self, pixels):
        Corner.asked += len(pixels)
        return judges.Judged(pixels[:, :, 0, 0].float().numpy(), pixels[:, 0, 0, 0].numpy() > 100)


def test_judged_pictures_are_kept_by_their_content(tmp_path, monkeypatch):
    monkeypatch.setattr(judges, "load", lambda name: Corner())
    x = torch.randint(0, 255, (5, 3, 4, 4), dtype=torch.uint8)
    first, again = (judges.cached("corner", x, tmp_path) for _ in range(2))
    assert Corner.asked == 5
    assert np.array_equal(first.vectors, again.vectors) and np.array_equal(first.detected, again.detected)
    other = x.clone()
    other[0, 0, 0, 0] += 1
    assert not np.array_equal(judges.cached("corner", other, tmp_path).vectors, first.vectors)
    assert Corner.asked == 10


def test_a_judge_that_is_missing_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(judges, "installed", lambda name: False)
    with pytest.raises(judges.JudgeError, match="make judges"):
        judges.load.__wrapped__("dlib")
    with pytest.raises(judges.JudgeError, match="dlib, inception"):
        judges.load.__wrapped__("nobody")


def test_the_share_of_the_same_person(monkeypatch):
    """Pairs nearer than dlib's 0.6 count."""

    class Mean:
        def judge(self, pixels):
            return judges.Judged(pixels.float().mean(dim=(2, 3)).numpy() / 127.5 - 1)

    monkeypatch.setattr(judges, "load", lambda name: Mean())
    a = torch.zeros(4, 3, 8, 8)
    b = a + torch.tensor([0.0, 0.2, 0.34, 0.4])[:, None, None, None]  # times sqrt(3)
    assert judges.same_person(a, b) == 0.75


def test_photographs_that_do_not_suffice(tmp_path):
    from PIL import Image

    for i in range(3):
        Image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / f"{i}.png")
    with pytest.raises(judges.JudgeError, match="3 training pictures; 4 are needed"):
        judges.photographs(str(tmp_path), 8, 2)


@pytest.mark.skipif(not judges.installed("dlib"), reason="dlib is not installed (make judges)")
def test_dlib_finds_no_face_where_there_is_none_and_still_judges():
    judge = judges.load("dlib")
    x = torch.randint(0, 255, (2, 3, 128, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    judged = judge.judge(x)
    assert judged.vectors.shape == (2, 128) and not judged.detected.any() and np.isfinite(judged.vectors).all()
    points, detected = judges.landmarks(x.float() / 127.5 - 1)
    assert points.shape == (2, 68, 2) and not detected.any()
    eyes = points[:, 36:48].mean((0, 1))  # of the average box: where eyes are in this crop
    assert abs(eyes[0] - 63.5) < 8 and abs(eyes[1] - 55) < 10
