"""What is to be seen of edits: no more than photographs show."""

import pytest
import torch

from training import attgan_batches
from training.attgan_batches import WHOLE, typical_logits, typical_targets
from training.data import Images


class Bright(torch.nn.Module):
    """The logits of three attributes are the means of the three colours, twice."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((3,), 2.0))

    def forward(self, x):
        return x.mean(dim=(2, 3)) * self.scale


@pytest.fixture
def photographs():
    """A hundred grey ones from black to white; the lighter half has the first attribute, nobody the second."""
    levels = torch.linspace(0, 255, 100).round().to(torch.uint8)
    pixels = levels[:, None, None, None].expand(-1, 3, 8, 8).contiguous()
    there = (torch.arange(100) >= 50).to(torch.uint8)
    return Images(pixels, attributes=torch.stack([there, 0 * there, 1 - there], dim=1))


def test_clear_examples_tell_what_is_typical(photographs, monkeypatch):
    monkeypatch.setattr(attgan_batches, "vary", lambda x, rng: x)
    without, with_it = typical_logits(Bright(), photographs, [0, 1, 2], 0.75).tolist()
    # Of the light half (0 to 2) three quarters are darker than 1.5; of the dark half one quarter than -1.5.
    assert with_it == pytest.approx([1.5, 0.0, -0.5], abs=0.03), "nobody has the second: undecided"
    assert without == pytest.approx([-1.5, -1.0, 0.5], abs=0.03)


def test_it_looks_where_the_classifier_has_the_attribute(photographs, monkeypatch):
    monkeypatch.setattr(attgan_batches, "vary", lambda x, rng: x)
    usual = typical_logits(Bright(), photographs, [0, 1, 2], 0.9)
    photographs.pixels[:, 2] = 255
    assert torch.equal(typical_logits(Bright(), photographs, [0, 1, 2], 0.9)[:, :2], usual[:, :2])
    assert typical_logits(Bright(), photographs, [2, 1, 0], 0.9)[:, 0].tolist() == pytest.approx([2.0, 2.0])


def test_an_edit_is_to_look_like_photographs_that_have_it():
    typical = torch.tensor([[-4.0, -3.0, -2.0], [-1.0, 2.0, 3.0]])  # of what is rare one is never sure
    read = torch.tensor([[-5.0, 1.0, 4.0]])
    change = torch.tensor([[WHOLE, 0.0, 0.0]])
    assert typical_targets(read, typical, change)[0].tolist() == pytest.approx([-1.0, 1.0, 4.0], abs=1e-3)
    off = torch.tensor([[0.0, -WHOLE, -WHOLE]])
    assert typical_targets(read, typical, off)[0].tolist() == pytest.approx([-5.0, -3.0, -2.0], abs=1e-3)
    half = typical_targets(read, typical, change / 2)[0, 0]
    assert float(half) == pytest.approx(-3.0, abs=1e-3), "half the intensity, half the way"
    beyond = torch.tensor([[-5.0, 1.0, 4.0]]), torch.tensor([[0.0, 0.0, 9.0]])
    assert typical_targets(beyond[0], typical, beyond[1])[0, 2] == pytest.approx(4.0, abs=1e-3)
