"""Downloads, with the real huggingface_hub, from a Hub on 127.0.0.1 that does everything wrong that a Hub can."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import pickle
import socket
import threading
import types

import pytest
import torch
from crafted import Persistent, full_cache, generator, one_sentence, persistence_modules, rosinality_state
from hub_server import COMMIT, Hub

import weights
from weights import catalogue, hub, paths, shelf, store
from weights.catalogue import CatalogueEntry

REPO = "someone/nets"


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    monkeypatch.setattr(hub, "PAUSE_S", 0.01)
    monkeypatch.setattr(hub, "REPORT_S", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def impatient(monkeypatch):
    """For Hubs that fall silent; others may take their time, as a busy machine makes them."""
    monkeypatch.setattr(hub, "ANSWER_S", 2.0)
    monkeypatch.setattr(hub, "STALL_S", 2.0)


@pytest.fixture
def served(monkeypatch):
    with Hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def listed(monkeypatch, tmp_path):
    """A catalogue of a shipped checkpoint and two on the Hub."""
    monkeypatch.setattr(paths, "EMBEDDED", tmp_path / "embedded")
    store.save(paths.embedded("stylegan2/here"), generator(1), "stylegan2", "generator")
    rows = [
        CatalogueEntry("stylegan2/here", "Here", "free"),
        CatalogueEntry("stylegan2/there", "There", "free", REPO, "models/there.pt", resolution=8),
        CatalogueEntry("stylegan2/other", "Other", "free", REPO, "other.pkl"),
        CatalogueEntry("faces/finder", "Finder", "free", REPO, "finder.onnx", loadable=False, note="It is a file."),
    ]

    def change(name: str, **values) -> None:
        found[name] = dataclasses.replace(found[name], **values)

    found = {row.name: row for row in rows}
    monkeypatch.setattr(catalogue, "_all", lambda: found)
    return change


@pytest.fixture
def content(tmp_path) -> bytes:
    """A generator in rosinality's layout, of some tens of kilobytes."""
    net = generator()
    torch.save({"g_ema": rosinality_state(net), "latent_avg": net.mapping.w_avg}, tmp_path / "a.pt")
    return (tmp_path / "a.pt").read_bytes()


@pytest.fixture
def there(served, listed, content):
    return served.add(REPO, "models/there.pt", content)


def left_behind() -> list[str]:
    """Everything in our cache that could be taken for a checkpoint."""
    return [p.name for p in paths.cache().rglob("*") if p.is_file() and p.suffix in (".safetensors", ".onnx", ".json")]


def failed(name="stylegan2/there", kind=weights.DownloadFailed) -> str:
    """The message of a failed load, after a check of all that must hold then."""
    with pytest.raises(kind) as error:
        weights.load(name)
    assert left_behind() == [] and weights.status(name) == "remote"
    assert weights.load("stylegan2/here").img_resolution == 8  # the page goes on
    return one_sentence(error.value)


def test_download_and_conversion(served, there):
    assert weights.status("stylegan2/there") == "remote"
    assert weights.size("stylegan2/there") == len(there.content)
    reports = []
    net = weights.load("stylegan2/there", progress=lambda *report: reports.append(report))
    z = torch.randn(1, 16)
    assert torch.equal(net(z, noise_mode="const"), generator()(z, noise_mode="const"))
    assert net.info.sha256 == there.sha256 and net.info.name == "stylegan2/there"
    assert net.info.source == f"{served.url}/{REPO}/blob/main/models/there.pt"
    assert reports[0] == (0, len(there.content)) and reports[-1] == (len(there.content),) * 2
    assert [done for done, _all in reports] == sorted(done for done, _all in reports)
    assert weights.status("stylegan2/there") == "cached" and weights.describe("stylegan2/there").bytes_to_download == 0
    # the original is gone, the conversion is there, and the next time nothing is asked
    assert not list((paths.cache() / "downloads").rglob("*.partial"))
    served.requests.clear()
    assert weights.load("stylegan2/there") is net
    weights.loading._kept.clear()
    again = weights.load("stylegan2/there")
    assert again is not net and again.info == net.info
    assert weights.fetch("stylegan2/there").suffix == ".safetensors" and served.requests == []


def test_names_and_bytes_come_from_different_hosts_and_the_token_stays(served, there, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    weights.fetch("stylegan2/there")
    (named,), (sent,) = served.asked("HEAD", "/resolve/main/"), served.asked("GET")
    assert named.headers["authorization"] == "Bearer hf_secret"
    assert sent.host.startswith("localhost") and "authorization" not in sent.headers


def test_pinned_revision_is_asked_for(served, there, listed):
    listed("stylegan2/there", revision="abc123")
    weights.fetch("stylegan2/there")
    assert served.asked("HEAD", "/resolve/abc123/")


def test_small_file_that_is_not_in_lfs(served, listed):
    file = served.add(REPO, "finder.onnx", b"face " * 1000, lfs=False)
    path = weights.fetch("faces/finder")
    assert path.read_bytes() == file.content and path.suffix == ".onnx"
    assert weights.fetch("faces/finder") == path and len(served.asked("GET", "/finder.onnx")) == 1
    with pytest.raises(weights.UserError, match="It is a file"):
        weights.load("faces/finder")


# -- answers that are not the file


def test_gone(there):
    there.trouble = 404
    assert "/blob/main/models/there.pt" in failed()


def test_no_such_repository(served, listed):
    assert "is not on the Hub any more" in failed()


def test_private_or_gone(there):
    there.trouble = 401
    assert "HF_TOKEN" in failed()


@pytest.mark.parametrize("trouble", ["gated", 403])
def test_gated(trouble, there):
    there.trouble = trouble
    message = failed()
    assert "accepted its terms" in message and "HF_TOKEN" in message and "/blob/" in message


def test_too_many_requests(there):
    there.trouble, there.headers = 429, {"Retry_After": "3600"}
    assert "again in 3600 seconds" in failed()  # said, not waited for
    there.headers = {}
    assert "again later" in failed()


def test_server_error(there):
    there.trouble = 500
    assert "error 500" in failed()


def test_no_answer(there, impatient):
    there.trouble = "silent"
    assert "cannot be reached (no answer in time)" in failed()


def test_nobody_there(listed, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    assert "cannot be reached (no connection)" in failed()


def test_something_else_than_a_hub(served, there):
    there.trouble = "no etag"
    there.headers = {}
    assert "does not answer like a Hugging Face Hub" in failed()


# -- bytes that do not come, or are not the right ones


def test_stall(there, impatient):
    there.trouble = "stall"
    message = failed()
    assert "stopped (no answer in time)" in message and "try again and it goes on" in message


def test_stall_once_goes_on_by_itself(served, there, impatient):
    there.trouble, there.times = "stall", 1
    weights.load("stylegan2/there")
    first, second = served.asked("GET")
    assert "range" not in first.headers and second.headers["range"].startswith("bytes=")


def test_cut_once_goes_on_by_itself(served, there):
    there.trouble, there.times = "cut", 1
    reports = []
    net = weights.load("stylegan2/there", progress=lambda *report: reports.append(report))
    first, second = served.asked("GET")
    assert second.headers["range"] == f"bytes={len(there.content) // 2}-"
    assert reports[-1] == (len(there.content),) * 2 and max(done for done, _all in reports) == len(there.content)
    assert net.info.sha256 == there.sha256


def test_cut_download_goes_on_at_the_next_try(served, there, monkeypatch):
    monkeypatch.setattr(hub, "RETRIES", 1)
    monkeypatch.setattr(hub, "MAX_CONNECTIONS", 1)
    there.trouble, there.times = "cut", 1
    failed()
    (partial,) = (paths.cache() / "downloads").rglob("*.partial")
    assert partial.stat().st_size == len(there.content) // 2
    served.requests.clear()
    net = weights.load("stylegan2/there")
    (sent,) = served.asked("GET")
    assert sent.headers["range"] == f"bytes={len(there.content) // 2}-"
    assert net.info.sha256 == there.sha256 and not partial.exists()


def test_server_that_ignores_the_range(served, there):
    there.trouble, there.times = "cut", 1
    original = there.has

    def has(*troubles):
        return ("ignores range" in troubles) or original(*troubles)

    there.has = has
    assert weights.load("stylegan2/there").info.sha256 == there.sha256
    assert len(served.asked("GET")) == 2


def test_server_that_continues_elsewhere(there, monkeypatch):
    monkeypatch.setattr(hub, "MAX_CONNECTIONS", 1)
    there.trouble, there.times = "cut", 1
    failed()
    monkeypatch.setattr(hub, "MAX_CONNECTIONS", 50)
    there.trouble, there.times = "wrong range", 10**6
    assert "continued at a wrong place" in failed()


def test_partial_file_that_is_longer_than_the_file(served, there, monkeypatch):
    monkeypatch.setattr(hub, "MAX_CONNECTIONS", 1)
    there.trouble, there.times = "cut", 1
    failed()
    (partial,) = (paths.cache() / "downloads").rglob("*.partial")
    partial.write_bytes(bytes(len(there.content) + 5))
    assert weights.load("stylegan2/there").info.sha256 == there.sha256


def test_new_version_while_half_of_the_old_one_is_here(served, there, monkeypatch, content):
    monkeypatch.setattr(hub, "MAX_CONNECTIONS", 1)
    there.trouble, there.times = "cut", 1
    failed()
    net = generator(5)
    buffer = io.BytesIO()
    torch.save({"g_ema": rosinality_state(net), "latent_avg": net.mapping.w_avg}, buffer)
    new = served.add(REPO, "models/there.pt", buffer.getvalue())
    served.requests.clear()
    assert weights.load("stylegan2/there").info.sha256 == new.sha256
    assert "range" not in served.asked("GET")[0].headers
    assert not list((paths.cache() / "downloads").rglob("*.partial"))


@pytest.mark.parametrize("stated", [False, True], ids=["hub's checksum", "catalogue's checksum"])
def test_wrong_bytes(stated, there, listed):
    if stated:  # the Hub itself has another file than the one that was published
        listed("stylegan2/there", sha256="0" * 64)
    else:
        there.trouble = "wrong"
    message = failed()
    assert "SHA-256" in message and "/blob/main/" in message
    assert not list((paths.cache() / "downloads").rglob("*.partial"))
    if not stated:
        there.trouble = None
        assert weights.load("stylegan2/there").info.sha256 == there.sha256


def test_wrong_bytes_of_a_small_file(served, listed):
    file = served.add(REPO, "finder.onnx", b"face " * 1000, lfs=False, trouble="wrong")
    with pytest.raises(weights.DownloadFailed, match="SHA-256"):
        weights.fetch("faces/finder")
    assert left_behind() == []
    file.trouble = None
    assert weights.fetch("faces/finder").read_bytes() == file.content


def test_more_bytes_than_announced(there, monkeypatch):
    there.trouble = "more"
    assert "more" in failed()


def test_address_that_has_expired(there):
    there.trouble = "expired"
    failed()
    there.trouble = None
    weights.load("stylegan2/there")


def test_hardly_a_byte(there, monkeypatch):
    """A connection that never falls silent and never gets anywhere."""
    monkeypatch.setattr(hub, "SLOW_S", 0.2)
    there.trouble = "drip"
    assert "hardly anything arrives" in failed()


# -- the right bytes of a wrong thing


def test_published_file_that_cannot_be_read(served, listed, fixtures):
    file = served.add(REPO, "other.pkl", fixtures("malicious.pkl").read_bytes())
    for _ in range(2):  # the second time it is known, and not downloaded again
        with pytest.raises(weights.RefusedFile, match="posix.system"):
            weights.load("stylegan2/other")
    assert len(served.asked("GET")) == 1 and weights.status("stylegan2/other") == "remote"
    assert not [name for name in left_behind() if not name.endswith(".json")]
    weights.forget("stylegan2/other")
    file.content = fixtures("malicious_module_src.pkl").read_bytes()
    assert weights.load("stylegan2/other").img_resolution == 8


def test_nvidia_pickle_from_the_hub(served, listed, monkeypatch):
    persistence_modules(monkeypatch)
    net = generator(3)
    served.add(REPO, "other.pkl", pickle.dumps({"G_ema": Persistent(net)}, protocol=4))
    z = torch.randn(1, 16)
    assert torch.equal(weights.load("stylegan2/other")(z, noise_mode="none"), net(z, noise_mode="none"))


# -- this machine


def test_offline(served, there, monkeypatch):
    weights.set_offline(True)
    try:
        assert weights.is_offline() and "works offline" in failed()
        assert weights.size("stylegan2/there") is None
    finally:
        weights.set_offline(False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "works offline" in failed()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(weights.DownloadFailed, match="works offline"):
        weights.fetch("stylegan2/there", offline=True)
    assert served.requests == []
    weights.fetch("stylegan2/there")
    weights.set_offline(True)
    try:  # what is here is here
        assert weights.load("stylegan2/there").img_resolution == 8
    finally:
        weights.set_offline(False)


def test_disk_too_small_for_the_download(there, monkeypatch):
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=5))
    assert "The disk is full" in failed(kind=weights.NoRoom)


def test_disk_that_fills_up_during_the_download(there, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(hub, "_write", full)
        message = failed(kind=weights.NoRoom)
    assert "GANBOOK_CACHE" in message
    weights.load("stylegan2/there")


def test_disk_too_small_for_the_conversion(there, monkeypatch):
    with monkeypatch.context() as patch:
        full_cache(patch)
        assert weights.load("stylegan2/there").info.sha256 == there.sha256  # from memory
        with pytest.raises(weights.NoRoom):
            weights.fetch("stylegan2/there")
    assert left_behind() == [] and weights.status("stylegan2/there") == "remote"
    assert weights.fetch("stylegan2/there").is_file()


def test_file_that_another_program_fetched(served, there, own_cache):
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(REPO, "models/there.pt", endpoint=served.url, cache_dir=own_cache / "hub")
    served.requests.clear()
    assert weights.status("stylegan2/there") == "cached"
    assert weights.load("stylegan2/there").info.sha256 == there.sha256
    assert served.requests == [] and os.path.exists(path)


def test_spoilt_file_in_the_library_cache(served, there, own_cache):
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(REPO, "models/there.pt", endpoint=served.url, cache_dir=own_cache / "hub")
    blob = os.path.realpath(path)
    os.chmod(blob, 0o644)
    with open(blob, "r+b") as file:
        file.write(b"spoilt")
    served.requests.clear()
    assert weights.load("stylegan2/there").info.sha256 == there.sha256
    assert len(served.asked("GET")) == 1
    assert not os.path.lexists(path) and not os.path.exists(blob)
    assert COMMIT in path


def test_spoilt_conversion_is_made_anew(served, there):
    path = weights.fetch("stylegan2/there")
    path.write_bytes(path.read_bytes()[:-100])
    assert weights.load("stylegan2/there").info.sha256 == there.sha256
    assert store.load(path).z_dim == 16 and len(served.asked("GET")) == 2


def test_one_download_for_many_callers(served, there):
    there.trouble, there.times = "cut", 1
    nets = []
    threads = [threading.Thread(target=lambda: nets.append(weights.load("stylegan2/there"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(nets) == 8 and len({id(net) for net in nets}) == 1
    assert len(served.asked("GET")) == 2  # the cut one and its continuation


def test_another_process_is_at_it(there):
    from filelock import FileLock

    weights.load("stylegan2/here")
    with hub._alone(catalogue.entry("stylegan2/there")) as folder:
        pass
    held = FileLock(folder / "lock")
    result = []
    with held:
        thread = threading.Thread(target=lambda: result.append(failed()))
        thread.start()
        thread.join(120)
    assert "another program" in result[0]


def test_forgotten_checkpoints_are_fetched_again(served, there):
    weights.load("stylegan2/there")
    weights.forget("stylegan2/there")
    assert weights.status("stylegan2/there") == "remote" and left_behind() == []
    weights.load("stylegan2/there")
    assert len(served.asked("GET")) == 2
    assert shelf.at_hand(catalogue.entry("stylegan2/there"))
