"""The benchmarks of out-of-domain edits measure what they say, and say what they could not measure."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from PIL import Image

from benchmarks import __main__ as command
from benchmarks import od_speed, out_of_domain, projection
from models import regions
from pipelines import out_of_domain as ood
from training import judges


@pytest.fixture
def room(tmp_path, monkeypatch, tiny_faces):
    """Tiny faces that ship, and three photographs."""
    monkeypatch.setattr(out_of_domain, "DATA", tmp_path)
    tiny_faces(tmp_path / out_of_domain.FILE)


def test_they_are_in_the_list():
    assert "out-of-domain" in command.NAMES and "out-of-domain" in command.COUNTED and "od-speed" in command.USUAL
    assert set(od_speed.WANTED) == {
        "from the upload to the first result",
        "a slider of strength",
        "a slider of the mask",
    }


LANDMARKS = np.zeros((68, 2), np.float32)
LANDMARKS[17:27] = np.linspace((40, 42), (88, 42), 10)
LANDMARKS[8] = (64, 114)
LANDMARKS[30] = (64, 76)
LANDMARKS[36:42], LANDMARKS[42:48] = (47, 56), (80, 56)
LANDMARKS[48], LANDMARKS[54] = (50, 90), (78, 90)
LANDMARKS[61:64], LANDMARKS[65:68] = (64, 88), (64, 94)


class Judged:
    """In place of the judges: brightness is the person and the attribute."""

    def person(self, image):
        return np.array([float(np.asarray(image.convert("L")).mean()) / 255])

    def points(self, image):
        wide = LANDMARKS.copy()
        wide[54, 0] += 33 * self.person(image)[0]
        return wide

    def has(self, image):
        return {name: bool(self.person(image)[0] > 0.5) for name in ("Smiling", "Direction 1")}


def grey(level: int, size: int = 128) -> Image.Image:
    return Image.new("RGB", (size, size), (level,) * 3)


def test_what_an_edit_changes_is_told_by_place():
    drawn = np.zeros((128, 128), bool)
    drawn[:10] = True
    case = out_of_domain.Case(grey(51), "drawn", LANDMARKS, drawn)
    where = out_of_domain.places(case, "Smiling")
    parts = [where[name] for name in out_of_domain.PLACES]
    assert (np.sum(parts, axis=0) == 1).all(), "every pixel is in one place"
    assert where["inside"][95, 64] and where["face"][60, 64] and where["background"][120, 3] and where["occluder"][3, 3]
    edit = np.asarray(grey(51)).copy()
    edit[where["inside"]] = 255
    mask = where["inside"].astype(np.float32)
    before = Judged().person(case.photo), out_of_domain.mouth(LANDMARKS)
    found = out_of_domain.outcome(case, "ours", "Smiling", True, Image.fromarray(edit), mask, Judged(), before)
    assert found.lost == {"inside": 204.0, "face": 0.0, "background": 0.0, "occluder": 0.0, "outside": 0.0}
    assert found.mask == pytest.approx(mask.mean()) and found.lower > 0.85 and found.on_it == 0 and not found.changed
    assert found.mouth[0] == pytest.approx(Judged().person(Image.fromarray(edit))[0], abs=1e-3) and found.mouth[1] == 0


def test_no_number_gets_better_when_the_mask_grows():
    """The plain edit shown everywhere against the same edit shown in the region: nothing wanted favours the first."""
    case = out_of_domain.Case(grey(51), "as it is", LANDMARKS)
    inside = out_of_domain.places(case, "Smiling")["inside"]
    before = Judged().person(case.photo), out_of_domain.mouth(LANDMARKS)
    made = {}
    for name, mask in (("small", inside.astype(np.float32)), ("all", np.ones((128, 128), np.float32))):
        edit = Image.composite(grey(140), case.photo, Image.fromarray((mask * 255).astype(np.uint8)))
        made[name] = out_of_domain.outcome(case, "ours", "Smiling", True, edit, mask, Judged(), before)
    small, whole = made["small"], made["all"]
    assert small.lost["outside"] == 0 < whole.lost["outside"] and small.mask < whole.mask and small.lower > whole.lower
    assert small.apart < whole.apart


def test_every_way_has_its_outcomes(room, tiny_encoder, monkeypatch):
    tiny_encoder()
    nets = ood.load("faces")
    drawn = np.zeros((32, 32), bool)
    drawn[:4] = True
    points = LANDMARKS / 4
    cases = [
        out_of_domain.Case(grey(90, 32), "as it is", points),
        out_of_domain.Case(grey(20, 32), "drawn", points, drawn),
    ]
    monkeypatch.setattr(out_of_domain, "cases", lambda count, size: cases[:count])
    monkeypatch.setattr(regions, "LOCAL", {**regions.LOCAL, "Direction 1": regions.SMILE})
    found, apart, seconds = out_of_domain.measured(nets, Judged(), 2, ("Direction 1",))
    assert [(r.way, r.kind) for r in found] == [(w, c.kind) for c in cases for w in out_of_domain.WAYS]
    assert len(apart) == len(seconds) == 2 and min(seconds) > 0
    assert all(r.mask == 1 for r in found if r.way != "ours") and all(r.mask < 1 for r in found if r.way == "ours")
    assert [r.on_it is None for r in found] == [True] * 3 + [False] * 3


def test_what_is_missed_is_said(capsys):
    lost = dict.fromkeys((*out_of_domain.PLACES, "outside"), 1.0)
    good = out_of_domain.Outcome("ours", "drawn", "Smiling", True, 0.3, 0.1, 0.9, 0.01, lost, True, (0.1, 0.0))
    bad = out_of_domain.Outcome(
        "ours", "drawn", "Smiling", True, 0.9, 0.8, 0.5, 0.4, {**lost, "outside": 9.0}, False, (0.0, 0.0)
    )
    photographs = {"Smiling": 87.4}
    assert not out_of_domain.show([good], [0.2], [1.0], photographs)
    said = capsys.readouterr().out
    assert "MISSED" not in said and " 87% |" in said
    assert out_of_domain.show([bad], [0.9], [1.0], photographs)
    said = capsys.readouterr().out
    assert said.count("MISSED") == 7 and "Smiling, mask: 0.80, at most 0.25 is wanted" in said


def test_the_photographs_are_drawn_not_chosen(tmp_path, monkeypatch):
    pytest.importorskip("dlib", reason="the judge is installed by requirements-bench.txt alone")
    from training import judges

    monkeypatch.setattr(out_of_domain, "DATA", tmp_path)
    monkeypatch.setattr(judges.Dlib, "landmarks", lambda self, x: (LANDMARKS[None], np.array([True])))
    with zipfile.ZipFile(tmp_path / out_of_domain.FILE, "w") as archive:
        rows = ["file,split,Wearing_Hat,Eyeglasses"]
        for i in range(12):
            grey(20 * i).save(tmp_path / "one.png")
            archive.write(tmp_path / "one.png", f"images/{i:02}.png")
            rows.append(f"{i:02}.png,test,{int(i in (1, 2))},{int(i in (3, 4))}")
        archive.writestr("labels.csv", "\n".join(rows))
    found = list(out_of_domain.cases(4, 128))
    assert [c.kind for c in found] == ["as it is", "as it is", "hat", "glasses", "drawn", "drawn"]
    assert all(c.drawn.any() and np.array_equal(c.points, LANDMARKS) for c in found[4:])
    levels = [np.asarray(c.photo).mean() / 20 for c in found[:4]]
    assert round(levels[2]) in (1, 2) and round(levels[3]) in (3, 4) and round(levels[0]) not in (1, 2, 3, 4)


def test_what_is_not_there_is_said(room, capsys, monkeypatch):
    monkeypatch.setattr(judges, "installed", lambda name: False)
    assert out_of_domain.main(count=1) == 0 and "dlib is not installed" in capsys.readouterr().out
    monkeypatch.setattr(judges, "installed", lambda name: True)
    assert out_of_domain.main(count=1) == 0
    assert "No encoder belongs" in (said := capsys.readouterr().out) and "Not measured" in said
    (out_of_domain.DATA / out_of_domain.FILE).unlink()
    assert out_of_domain.main(count=1) == 0 and "Not measured" in capsys.readouterr().out
    assert projection.DATA.name == "data"
