"""The energy distance: what it says of two sets, and what it teaches."""

import pytest
import torch
from torch import nn

from training import features, loop, parallel
from training.energy import EnergyDistance

from .test_projected import TinyFeatures, run_of

OPTIONS = ["--energy", "mobilefacenet", "--energy-weight", "3"]


class Places(nn.Module):
    """Embeds a picture as the mean of each of its channels."""

    def embed(self, x):
        return x.mean(dim=(2, 3))


def pictures_at(points: torch.Tensor) -> torch.Tensor:
    """Pictures ``[N, 3, 8, 8]`` whose embedding is ``points [N, 3]``."""
    return points[:, :, None, None].expand(-1, -1, 8, 8)


def known(generated: torch.Tensor, real: torch.Tensor) -> EnergyDistance:
    energy = EnergyDistance(Places(), 8, size=len(real))
    energy.loss(generated, real)
    return energy


def test_what_it_says_of_two_sets():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(400, 3, generator=g), torch.randn(400, 3, generator=g)
    assert known(a, b).distance() == pytest.approx(0, abs=0.02), "one distribution"
    moved, alike = known(a + 1, b).distance(), known(a * 0.5, b).distance()
    assert moved > 0.3 and alike > 0.1
    # Against the definition, pair by pair.
    pairs = torch.stack([(x - y).norm() for x in a[:40] for y in b[:40]]).mean()
    within = [
        torch.stack([(s[i] - s[j]).norm() for i in range(40) for j in range(40) if i != j]).mean()
        for s in (a[:40], b[:40])
    ]
    assert known(a[:40], b[:40]).distance() == pytest.approx(float(2 * pairs - sum(within)), abs=1e-4)


def test_it_draws_pictures_to_the_place_and_the_spread_of_real_ones():
    g = torch.Generator().manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    energy = EnergyDistance(Places(), 8, size=256)
    centre, deviation = nn.Parameter(torch.full((3,), 2.0)), nn.Parameter(torch.full((3,), 0.1))
    optimizer = torch.optim.Adam([centre, deviation], lr=0.02)
    for _ in range(500):
        real = torch.tensor([0.5, -1.0, 0.0]) + torch.tensor([1.0, 0.5, 0.3]) * torch.randn(32, 3, generator=g)
        generated = centre + deviation * torch.randn(32, 3, generator=g)
        loss = energy.loss(energy.embed(pictures_at(generated), rng), energy.embed(pictures_at(real), rng))
        if loss is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert centre.detach() == pytest.approx(torch.tensor([0.5, -1.0, 0.0]), abs=0.15)
    assert deviation.detach().abs() == pytest.approx(torch.tensor([1.0, 0.5, 0.3]), abs=0.15)
    assert energy.distance() < 0.02


def test_nothing_is_taught_before_there_is_something_to_compare_with():
    energy = EnergyDistance(Places(), 8, size=8)
    x = torch.randn(2, 3)
    assert energy.loss(x, x) is None and energy.loss(x, x) is None
    assert energy.loss(x, x) is not None and int(energy.remembered) == 6
    energy.loss(torch.ones(4, 3), -torch.ones(4, 3))
    assert (energy.generated[[6, 7, 0, 1]] == 1).all() and (energy.real[[6, 7, 0, 1]] == -1).all(), "oldest go first"


def test_it_remembers_what_every_process_made(monkeypatch):
    monkeypatch.setattr(parallel, "gathered", lambda x: torch.cat([x, x + 1]))
    energy = EnergyDistance(Places(), 8, size=4)
    energy.loss(torch.zeros(2, 3), torch.zeros(2, 3))
    assert energy.generated[:, 0].tolist() == [0, 0, 1, 1] and int(energy.remembered) == 4


@pytest.mark.parametrize("more", [[], ["--reconstructed", "4", "--encoder-widths", "8", "8", "8", "8"]])
def test_a_run_learns_from_it_and_resumes(tmp_path, monkeypatch, more):
    net = TinyFeatures()
    monkeypatch.setattr(features, "load", lambda name: net)
    monkeypatch.setattr("training.reconstruction.Reconstruction.SIZE", 32)
    straight, first, second, plain = (run_of(tmp_path, *OPTIONS, *more) for _ in range(4))
    for run in (straight, first, second, plain):
        drawn = torch.randn(1024, 10, generator=torch.Generator().manual_seed(1))
        run.energy.real.copy_(torch.nn.functional.normalize(drawn))
        run.energy.generated.copy_(torch.nn.functional.normalize(drawn + 1))
        run.energy.remembered.fill_(1024)
    plain.args.energy_weight = 0.0
    plain.step()
    for _ in range(2):
        straight.step()
    first.step()
    sampled = 4 if more else 8
    assert first.stats["energy"] > 0 and int(first.energy.remembered) == 1024 + sampled, "only sampled pictures"
    assert not all(torch.equal(a, b) for a, b in zip(first.G.parameters(), plain.G.parameters(), strict=True))
    loop.save_state(first, tmp_path / "state.pt")
    second.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    second.step()
    for name in ("G", "energy"):
        a, b = straight._parts()[name].state_dict(), second._parts()[name].state_dict()
        assert all(torch.equal(a[k], b[k]) for k in a), name
