"""What ``benchmarks load`` sees: answers and their times, errors, and pictures that are somebody else's."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from benchmarks import load
from benchmarks import visitor as visitors


class Known:
    """Pictures of the page's tiny networks, as their visitors know them."""

    def __init__(self, shift: int = 0):
        import weights
        from pipelines import stylegan2

        net = weights.load("stylegan2/faces")
        seeds = [seed + shift for seed in load.Known.seeds(0)]
        self.faces = [[np.asarray(image) for image in stylegan2.sample(net, seeds=seeds, truncation_psi=0.7)]]
        self.checkpoint = (load.ROOT / "tests" / "fixtures" / "rosinality_32.pt").read_bytes()

    seeds = staticmethod(load.Known.seeds)


def met(page, known: Known, *deeds: str, seconds: float = 0.0) -> load.Outcome:
    """What one visitor meets who does these things; with seconds, what they meet in that time."""
    outcome = load.Outcome()

    async def go() -> None:
        offered = await visitors.Page.opened(page.local_url.rstrip("/"))
        person = load.Person(0, known, outcome)
        if seconds:
            await load.visit(person, offered, load.time.perf_counter() + seconds, dict.fromkeys(deeds, 1), 30.0)
            return
        async with visitors.Visitor(offered, 30.0) as visitor:
            for deed in deeds:
                await getattr(person, deed)(visitor)

    asyncio.run(go())
    return outcome


def test_a_visitor_gets_their_own(page):
    outcome = met(page, Known(), "sample", "mix", "own_file")
    assert set(outcome.seconds) == {"stylegan2_sample", "stylegan2_mix", "load_checkpoint"}
    assert outcome.checked == 3 and all(s > 0 for s in outcome.all_seconds)


def test_pictures_of_somebody_else_are_noticed(page):
    with pytest.raises(load.MixedUp, match="16 pictures of others"):
        met(page, Known(shift=100), "sample")


def test_a_visit_counts_what_goes_wrong(page, monkeypatch):
    """Until the time is up; who has come before does one thing at least."""
    monkeypatch.setattr(load, "THINKING_S", (0.0, 0.0))
    outcome = met(page, Known(shift=100), "sample", "leave", seconds=2.0)
    assert outcome.departures >= 1 and not outcome.failures and not outcome.timeouts


def test_errors_and_impatience_are_told_apart(page, monkeypatch):
    async def go(patience: float, **given) -> None:
        offered = await visitors.Page.opened(page.local_url.rstrip("/"))
        async with visitors.Visitor(offered, 30.0) as visitor:
            visitor.patience = patience
            await visitor.call("stylegan2_sample", **given)

    with pytest.raises(visitors.Failed, match="is not a seed"):
        asyncio.run(go(30.0, seeds="abc"))
    with pytest.raises(visitors.NobodyAnswered, match="no answer within 0 s"):
        asyncio.run(go(0.001, seeds="1-64"))
    with pytest.raises(ValueError, match="takes no colour"):
        asyncio.run(go(30.0, colour=1))


def test_everything_that_visitors_do_is_offered(page):
    offered = visitors.Page("", page.get_config_file(), page.get_api_info()).functions
    assert set(load.DEEDS) <= {name for name in dir(load.Person) if not name.startswith("_")}
    assert {"stylegan2_sample", "draggan_drag", "draggan_stop", "igan_brush", "igan_project"} <= set(offered)
    assert {"attgan_face", "attgan_edit", "attgan_files", "od_photo", "od_edit", "load_checkpoint"} <= set(offered)


def test_the_report():
    outcome = load.Outcome()
    outcome.seconds["stylegan2_sample"] += [float(n) for n in range(1, 101)]
    outcome.timeouts.append("draggan_drag: no answer within 120 s")
    found = load.Measured(5, 1.0, outcome, {"at start": 200 * load.MB, "at the end": 300 * load.MB}, 1.5, 0)
    text = load.report(found)
    assert "50.50" in text and "95.00" in text and "100.00" in text
    assert "200 MB at start, 300 MB at the end" in text and "1 without an answer" in text
    assert "1 x draggan_drag: no answer within 120 s" in text
    assert load.percentile([3.0], 0.95) == 3.0
