"""Session, chooser of networks, downloads, time limits, figures: each by itself."""

import threading
import time
from types import SimpleNamespace

import pytest
from PIL import Image

import weights
from demo import controls, gpu, networks, tables, zero_gpu
from demo.networks import Reference
from demo.session import MAX_OWN, OwnFile, Visitor
from weights import paths
from weights.errors import DownloadFailed, UserError

REMOTE = "stylegan2/ffhq-1024"


def own(number: int, technique: str = "stylegan2") -> OwnFile:
    return OwnFile(f"{number:064x}", technique, "Own file", 64, "nvidia")


def test_a_visitor_opens_only_what_that_visitor_loaded():
    ann, bob = Visitor(), Visitor()
    ann.add("own:000000000007", own(7))
    assert networks.resolve(ann, "own:000000000007", "stylegan2").sha256 == own(7).sha256
    for other in (bob, None):
        with pytest.raises(UserError, match="load the file"):
            networks.resolve(other, "own:000000000007", "stylegan2")


def test_a_file_of_ones_own_is_for_the_tabs_of_its_technique():
    visitor = Visitor()
    visitor.add("own:000000000003", own(3, "stylegan3"))
    assert networks.resolve(visitor, "own:000000000003", networks.STYLEGANS).sha256 == own(3).sha256
    for technique in ("stylegan2", "attgan", ("igan", "stylegan2")):
        with pytest.raises(UserError, match="not a network for this tab"):
            networks.resolve(visitor, "own:000000000003", technique)
    assert "no noise inputs" in networks.about("own:000000000003", visitor)


def test_the_line_of_a_network_says_that_it_adds_no_noise():
    assert "adds no noise" in networks.about("stylegan2/faces")
    assert "noise" not in networks.about("stylegan2/cats") + networks.about("igan/shoes")


def test_a_choice_of_noise_that_changes_nothing_is_not_silent():
    def words(checkpoint, mode):
        recipe = SimpleNamespace(checkpoint=checkpoint)
        return controls.noise_words(SimpleNamespace(recipe=recipe, arguments={"noise_mode": mode}))

    assert "no noise" in words("stylegan2/faces", "random") and not words("stylegan2/faces", "const")
    assert not words("stylegan2/cats", "random") and not words("own file", "random")


def test_the_list_of_own_files_is_short():
    visitor = Visitor()
    for number in range(MAX_OWN + 3):
        visitor.add(f"own:{number}", own(number))
    assert len(visitor.own) == MAX_OWN and "own:0" not in visitor.own
    visitor.add("own:5", own(5))  # once more: it is the latest now, not there twice
    assert visitor.latest("stylegan2") == "own:5" and len(visitor.own) == MAX_OWN
    assert visitor.latest("attgan") is None


def test_unknown_names_and_other_techniques():
    with pytest.raises(UserError, match="did you mean"):
        networks.resolve(Visitor(), "stylegan2/face", "stylegan2")
    with pytest.raises(UserError, match="not a network for this tab"):
        networks.resolve(Visitor(), "faces/yunet", "stylegan2")
    with pytest.raises(UserError, match="Choose a network"):
        networks.resolve(Visitor(), None, "stylegan2")
    for name in (5, ["stylegan2/faces"], {"name": None}, True):
        with pytest.raises(UserError, match="given by its name"):
            networks.resolve(Visitor(), name, "stylegan2")


def test_the_list_begins_with_own_and_shipped(monkeypatch, shelf):
    monkeypatch.setattr(paths, "EMBEDDED", shelf)
    visitor = Visitor()
    visitor.add("own:000000000007", own(7))
    values = [value for _label, value in networks.choices("stylegan2", visitor)]
    assert values[:3] == ["own:000000000007", "stylegan2/faces", "stylegan2/cats"] and REMOTE in values
    labels = dict((v, k) for k, v in networks.choices("stylegan2"))
    assert "32 px" in labels["stylegan2/faces"] and "382 MB to download" in labels[REMOTE]


def test_what_is_at_hand_is_not_fetched(monkeypatch, shelf):
    monkeypatch.setattr(paths, "EMBEDDED", shelf)
    monkeypatch.setattr(weights, "fetch", lambda *a, **k: pytest.fail("fetched"))
    assert list(networks.fetching(Reference("stylegan2/faces"))) == []
    assert list(networks.fetching(Reference("own:1", "0" * 64))) == []


def test_fetching_tells_how_far_it_is(monkeypatch):
    def fetch(name, progress):
        for done in (10e6, 190e6, 381e6):
            progress(done, 382e6)
            time.sleep(0.15)

    monkeypatch.setattr(weights, "fetch", fetch)
    monkeypatch.setattr(networks, "REPORT_S", 0.05)
    said = list(networks.fetching(Reference(REMOTE)))
    assert any("190 of 382 MB" in text for text in said) and 'max="382000000.0"' in said[-1]


def test_fetching_hands_on_what_went_wrong(monkeypatch):
    def fetch(name, progress):
        raise DownloadFailed("The Hub says no.")

    monkeypatch.setattr(weights, "fetch", fetch)
    with pytest.raises(DownloadFailed, match="says no"):
        list(networks.fetching(Reference(REMOTE)))


def test_closing_ends_the_download(monkeypatch):
    ended = threading.Event()

    def fetch(name, progress):
        try:
            while True:
                progress(1, None)
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr(weights, "fetch", fetch)
    events = networks.fetching(Reference(REMOTE))
    assert "<progress>" in next(events)
    events.close()
    assert ended.wait(5), "the download went on after Stop"


def test_time_limits(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.delenv("GANBOOK_TIME_LIMIT", raising=False)
    assert gpu.time_limit() == gpu.LIMIT_S
    monkeypatch.setenv("SPACE_ID", "someone/ganbook")
    assert 0 < gpu.time_limit() < gpu.LIMIT_S
    monkeypatch.setenv("GANBOOK_TIME_LIMIT", "soon")
    assert gpu.time_limit() == gpu.SPACE_LIMIT_S
    monkeypatch.setenv("GANBOOK_TIME_LIMIT", "0")
    assert gpu.time_limit() is None
    assert list(gpu.within(range(3), None)) == [0, 1, 2]
    with pytest.raises(UserError, match="longer than the 0.05 seconds"):
        for _ in gpu.within(iter(lambda: time.sleep(0.02), 1), 0.05):
            pass


def test_tables_escape_what_they_show():
    image = Image.new("RGB", (8, 4))
    html = tables.table([[image]], [(image, "<row>")], [(None, "a & b")], "about <it>")
    assert "<row>" not in html and "&lt;row&gt;" in html and "a &amp; b" in html and "about &lt;it&gt;" in html
    assert html.count("<img") == 2 and 'width="8" height="4"' in html
    assert tables.number(float("nan")) == "–" and tables.number(12345.6) == "12,346" and tables.number(0.5) == "0.5"


def test_large_pictures_are_shown_small_in_tables():
    image = Image.effect_noise((1024, 1024), 50).convert("RGB")
    assert len(tables.table([[image]], [(None, "")], [(None, "")], "")) < 400_000


def test_zero_gpu_marks_what_computes(monkeypatch):
    import importlib
    import sys
    import types

    marked = []

    def mark(duration):
        return lambda function: marked.append((function.__name__, duration())) or function

    monkeypatch.setitem(sys.modules, "spaces", types.SimpleNamespace(GPU=mark))
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    try:
        importlib.reload(gpu)

        @gpu.accelerated
        def work():
            return 7

        assert work() == 7 and marked == [("work", zero_gpu.OTHERS)]
    finally:
        monkeypatch.undo()
        importlib.reload(gpu)
    assert not gpu.ON_ZERO_GPU and gpu.accelerated(work) is work


def test_what_passes_to_a_worker_can_be_pickled(monkeypatch, shelf):
    """On ZeroGPU the work is done in another process; everything that goes there and comes back is pickled."""
    import pickle

    from demo import running

    monkeypatch.setattr(paths, "EMBEDDED", shelf)
    wish = running.PipelineCall(Reference("stylegan2/faces"), "stylegan2.sample", {"seeds": "1-2"})
    events = list(running._in_worker(pickle.loads(pickle.dumps(wish))))
    started, *going, finished = pickle.loads(pickle.dumps(events))
    assert all(isinstance(event, running.Progress) for event in going)
    assert started.recipe.function == "stylegan2.sample" and started.resolution == 32 and started.device == "cpu"
    assert len(finished.value) == 2 and finished.seconds > 0
    refused = running.PipelineCall(Reference("stylegan2/faces"), "stylegan2.sample", {"seeds": "x"})
    assert "not a seed" in pickle.loads(pickle.dumps(list(running._in_worker(refused))))[-1].sentence
    with pytest.raises(UserError, match="not a seed"):
        list(running.run(refused))


def test_a_gallery_tells_how_far_it_is_and_can_be_left(monkeypatch):
    """What gives its result at once is still left after the part it is in, and nothing of it goes on afterwards."""
    from demo import running
    from pipelines import progress

    monkeypatch.setattr(running, "BEAT_S", 0.01)
    made, ended = [], []

    def gallery(parts=50):
        try:
            for i in range(parts):
                time.sleep(0.02)
                made.append(i)
                progress.passed(i + 1, parts)
            return made
        finally:
            ended.append(True)

    told = running.with_progress(gallery)
    seen = [next(told) for _ in range(12)]
    assert seen[-1].total == 50 and 0 < seen[-1].done < 50
    told.close()
    count = len(made)
    assert ended and count < 50
    time.sleep(0.1)
    assert len(made) == count

    def whole():
        return (yield from running.with_progress(lambda: gallery(3)))

    events = whole()
    with pytest.raises(StopIteration) as done:
        while True:
            next(events)
    assert done.value.value is made

    def refuse():
        raise UserError("No.")

    with pytest.raises(UserError, match="No."):
        list(running.with_progress(refuse))


def test_watchers_hear_their_own_thread_alone():
    from pipelines import progress

    heard = []
    with progress.watched(lambda *far: heard.append(far)):
        progress.passed(1, 2)
        with progress.watched(lambda *far: heard.append("inner")):
            progress.passed(2, 2)
        progress.passed(2, 2)
        other = threading.Thread(target=progress.passed, args=(9, 9))
        other.start()
        other.join()
    progress.passed(3, 3)
    assert heard == [(1, 2), "inner", (2, 2)]
