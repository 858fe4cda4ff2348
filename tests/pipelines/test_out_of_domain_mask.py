"""Masks of out-of-domain edits: from a map to a soft mask, what is blended through it, where attributes lie."""

from __future__ import annotations

import numpy as np
import pytest

from models import regions
from models.segmentation import Parts
from pipelines.faces import geometry
from pipelines.images import encode_mask
from pipelines.out_of_domain import mask as masks
from weights.errors import UserError


def test_the_softened_mask():
    seen = np.linspace(0, 1, 101, dtype=np.float32)[None].repeat(101, axis=0)
    mask = masks.softened(seen, 0.4, 0.2)[0]
    assert not mask[:41].any() and (mask[60:] == 1).all() and (np.diff(mask) >= 0).all()
    assert abs(mask[50] - 0.5) < 0.01 and np.allclose(mask * 255, np.rint(mask * 255), atol=1e-4)
    hard = masks.softened(seen, 0.4, 0)[0]
    assert set(hard) == {0.0, 1.0} and hard[41] == 1 and hard[40] == 0
    for bad in ({"threshold": -0.1}, {"threshold": float("nan")}, {"softness": 2}, {"softness": "much"}):
        with pytest.raises(UserError, match="must be"):
            masks.softened(seen, **{"threshold": 0.4, "softness": 0.2, **bad})


def test_what_is_painted_counts():
    """In is whole, out is nothing and wins, and both fade outside of where they were painted."""
    seen, add, keep = (np.zeros((40, 40), np.float32) for _ in range(3))
    add[10:20, 10:20], keep[15:25, 15:25] = 1, 1
    mask = masks.softened(seen, 0.4, 0.8, add)
    assert (mask[10:20, 10:20] == 1).all() and 0 < mask[15, 21] < 1 and mask[15, 35] == 0
    assert (masks.softened(seen, 0.4, 0, add) == add).all()
    without = masks.softened(np.ones_like(seen), 0.4, 0.8, add, keep)
    assert not without[15:25, 15:25].any() and 0 < without[26, 20] < 1 and without[0, 0] == 1
    text = encode_mask(add, 40)
    assert (masks.softened(seen, 0.4, 0.8, text) == mask).all()
    with pytest.raises(UserError, match="mask"):
        masks.softened(seen, 0.4, 0.8, "no mask")


def test_the_map_reaches_beyond_its_cells():
    """What was seen stays seen, a little more comes in, and nothing far away."""
    seen = np.zeros((128, 128), np.float32)
    assert not masks.widened(seen).any()
    seen[40:56, 40:56] = 0.8
    wide = masks.widened(seen)
    assert np.allclose(wide[40:56, 40:56], 0.8, atol=0.01) and wide[36, 48] > 0.6 and wide.max() <= 0.8 + 1e-6
    assert not wide[:24].any() and not wide[72:].any()


def test_a_strong_change_counts_whatever_named_it():
    before = np.full((64, 64, 3), 100, np.uint8)
    after = before.copy()
    after[:, 32:] += 60
    found = masks.strong(before, after)
    assert found[:, 40:].min() == 1 and not found[:, :26].any() and not masks.strong(before, before).any()
    assert not masks.strong(before, before + np.uint8(9)).any(), "a faint one does not"


def test_only_the_border_is_deghosted():
    mask = np.array([[0, 0.02, 0.5, 0.98, 1]], np.float32)
    blended, clean = np.full((1, 5, 3), 100, np.uint8), np.full((1, 5, 3), 200.0)
    made = masks.smoothed(blended, clean, mask)[0, :, 0]
    assert made[0] == 100 and made[4] == 100 and made[2] == 200 and 100 < made[1] < 130 and 100 < made[3] < 130


def test_a_region_follows_the_landmarks():
    """The mouth's lies around the mouth, wherever the face is, and is a small part of the crop."""
    usual = geometry.celeba_landmarks(128)
    smile = regions.region("Smiling", 128)
    assert smile[92, 64] == 1 and not smile[:66].any() and 0.08 < smile.mean() < 0.16
    assert np.array_equal(smile, regions.region("Smiling", 128, usual))
    moved = regions.region("Smiling", 128, usual + (10, 5))
    assert np.abs(moved[5:, 10:] - smile[:-5, :-10]).max() < 1e-5
    glasses, bangs, hair = (regions.region(name, 128) for name in ("Eyeglasses", "Bangs", "Blond_Hair"))
    assert glasses[56, 47] == 1 and not glasses[85:].any() and bangs[30, 64] == 1 and not bangs[60:].any()
    assert hair[10, 64] > 0.5 and not hair[75, 64] and regions.region("Direction 1", 128) is None
    assert all(regions.region(name, 128).max() == 1 for name in regions.ATTRIBUTES)
    line = np.full((5, 2), 60.0)
    assert np.isfinite(regions.region("Smiling", 128, line)).all()


def test_regions_with_the_parts_of_a_picture():
    person, hair = np.zeros((128, 128), np.float32), np.zeros((128, 128), np.float32)
    person[:, 20:108], hair[:30, 20:108] = 1, 1
    parts = Parts(person, hair)
    for name in regions.ATTRIBUTES:
        with_parts = regions.region(name, 128, parts=parts)
        assert with_parts.max() > 0.9 and with_parts[:, :12].max() < 0.01 and with_parts[:, 116:].max() < 0.01, name
    blond = regions.region("Blond_Hair", 128, parts=parts)
    assert blond[15, 64] > 0.99 and blond[60].max() < 0.01, "on the hair"
    pale = regions.region("Pale_Skin", 128, parts=parts)
    assert pale[15, 64] < 0.01 and pale[70, 64] == 1 and pale[60, 28] > 0.5, "on all skin, and not on hair"
    assert regions.region("Bald", 128, parts=parts)[15, 30] > 0.9, "hair ends, however far it reaches"
    bare = regions.region("Black_Hair", 128, parts=Parts(person, 0 * hair))
    assert bare[10, 64] > 0.5 and bare[75, 64] == 0, "of a bald head, where hair would be"
    assert regions.region("Wings", 128, parts=parts) is None


def test_a_small_change_keeps_what_the_inversion_lacks():
    photo, inverted, edited, new = (np.full((4, 4, 3), v, np.uint8) for v in (100, 90, 94, 190))
    mask = np.zeros((4, 4), np.float32)
    mask[:2] = 1
    mask[2] = 0.5
    assert masks.carried(photo, inverted, edited, mask)[:, 0, 0].tolist() == [104, 104, 102, 100]
    assert masks.carried(photo, inverted, new, mask)[:, 0, 0].tolist() == [190, 190, 145, 100], (
        "a large one is the paper's"
    )
    assert masks.carried(photo + np.uint8(154), inverted, edited, mask).max() == 255, "it does not wrap round"


def test_a_seamless_change_shows_no_border():
    """Another light upon the whole of what changes goes, and what is new in it stays."""
    photo = np.full((32, 32, 3), 100, np.uint8)
    edited, mask = photo + np.uint8(40), np.zeros((32, 32), np.float32)
    mask[6:26, 6:26] = 1
    flat = masks.seamless(photo, edited, mask)
    assert np.abs(flat.astype(int) - 100).max() <= 1, "nothing but light has changed"
    edited[12:20, 12:20] = 220
    new = masks.seamless(photo, edited, mask).astype(int)
    assert abs(new[14:18, 14:18].mean() - new[8, 8].mean() - 80) < 12, "what is new stands out as it did"
    assert np.abs(new[[5, 26]] - 100).max() == 0 and np.abs(new[7, 7:25] - 100).max() < 12
    thin = np.zeros((32, 32), np.float32)
    thin[10, 10] = 1
    assert masks.seamless(photo, edited, thin)[10, 10, 0] == 140, "where there is no inside, it is laid as it is"
    assert np.array_equal(masks.seamless(photo, edited, mask * 0), photo)


def test_hair_takes_mean_and_spread_of_another_colour():
    rng = np.random.RandomState(0)
    strands = rng.randint(-20, 21, (32, 32, 1))
    hair = np.zeros((32, 32), np.float32)
    hair[:16] = 1
    photo = (np.full((32, 32, 3), 90) + strands).astype(np.uint8)
    inverted, edited = np.full((2, 32, 32, 3), 100, np.uint8)
    edited[:16] = (40, 60, 160)
    inverted, edited = (np.clip(x + strands, 0, 255).astype(np.uint8) for x in (inverted, edited))
    made = masks.recoloured(photo, inverted, edited, hair, np.ones_like(hair)).astype(int)
    assert np.allclose(made[:16].mean(axis=(0, 1)) - photo[:16].mean(axis=(0, 1)), (-60, -40, 60), atol=1)
    assert np.corrcoef(made[:16, :, 0].ravel(), strands[:16].ravel())[0, 1] > 0.99, "its own strands"
    flat = np.clip(100 + strands // 4, 0, 255).astype(np.uint8) + np.zeros((1, 1, 3), np.uint8)
    assert masks.recoloured(photo, flat, edited, hair, np.ones_like(hair))[:16, :, 2].std() > 1.5 * strands[:16].std()
    where = np.zeros_like(hair)
    where[:8] = 1
    half = edited.copy()
    half[8:16] = inverted[8:16]  # T changed the upper part alone, and all of the hair follows it
    assert np.allclose(
        masks.recoloured(photo, inverted, half, hair, where)[12].mean(axis=0)[2], made[12, :, 2].mean(), atol=2
    )
    nowhere = masks.recoloured(photo, inverted, edited, hair, 0 * where)
    assert np.allclose(nowhere, masks.recoloured(photo, inverted, edited, hair, np.ones_like(hair)))
