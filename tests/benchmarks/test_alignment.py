"""What the benchmark of alignment measures; not how well faces are found."""

import numpy as np
import pytest

from benchmarks import alignment
from pipelines import faces
from pipelines.faces import geometry


def marked(n: int = 6) -> np.ndarray:
    """Grey "photographs" with a white spot at each eye."""
    photos = np.full((n, 128, 128, 3), 60, np.uint8)
    for x, y in alignment.EYES:
        photos[:, int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = 255
    return photos


def face_at(transform: np.ndarray) -> faces.Face:
    points = geometry.apply(transform, geometry.celeba_landmarks(128))
    return faces.Face((0, 0, 1, 1), tuple(map(tuple, points)), 1.0, "cascade")


@pytest.mark.parametrize("index", range(6))
def test_the_truth_says_where_the_eyes_are(index):
    made = alignment.case(marked(), index)
    pixels = np.asarray(made.picture, float)
    at = np.rint(geometry.apply(made.truth, alignment.EYES)).astype(int)
    assert all(pixels[y, x].min() > 200 for x, y in at)
    corners = geometry.apply(made.truth, [(0, 0), (127, 0), (127, 127), (0, 127)])
    assert (corners > -1).all() and (corners < np.array(made.picture.size) + 1).all(), "it lies in the picture whole"
    assert 0.49 < geometry.scale_of(made.truth) < 2.01
    again = alignment.case(marked(), index)
    assert np.array_equal(np.asarray(again.picture), pixels), "seeded"


def test_errors_are_those_of_the_aligned_crop():
    made = alignment.case(marked(), 1)
    assert alignment.eye_error(face_at(made.truth), made.truth) < 1e-6
    beside = made.truth @ np.array([[1, 0, 3.0], [0, 1, 4.0], [0, 0, 1]])
    assert alignment.eye_error(face_at(beside), made.truth) == pytest.approx(5)


def test_what_is_counted():
    truths = {i: alignment.case(marked(), i).truth for i in range(4)}
    beside = np.array([[1, 0, 40.0], [0, 1, 0], [0, 0, 1]])
    order = iter([[], [face_at(truths[1])], [face_at(truths[2] @ beside)], [face_at(truths[3])] * 2])
    tally = alignment.measured(marked(), range(4), {"some": lambda picture: next(order)})["some"]
    assert len(tally.errors) == 2 and max(tally.errors) < 1e-6 and tally.false == 1
    assert tally.row("some", 4)[:3] == ["some", "50.0%", "0.00"]


def test_without_photographs_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(alignment, "PHOTOS", tmp_path / "none.zip")
    assert alignment.main() == 0 and "not measured" in capsys.readouterr().out
