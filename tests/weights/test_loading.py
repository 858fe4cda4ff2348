"""From names and files to networks: shared, frozen, remembered, and nobody else's business."""

from __future__ import annotations

import os
import shutil
import threading
import time

import pytest
import torch
from crafted import full_cache, generator, one_sentence

import weights
from weights import catalogue, isolation, loading, paths, shelf, store
from weights.catalogue import CatalogueEntry


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    """Two checkpoints that ship."""
    monkeypatch.setattr(paths, "EMBEDDED", tmp_path / "embedded")
    found = {}
    for i, name in enumerate(("stylegan2/a", "stylegan2/b")):
        store.save(paths.embedded(name), generator(i), "stylegan2", "generator", card={"steps": i})
        found[name] = CatalogueEntry(name, name.upper(), "free", crop="celeba")
    monkeypatch.setattr(catalogue, "_all", lambda: found)


def own(tmp_path, seed: int = 0, **config):
    path = tmp_path / f"own{seed}.safetensors"
    store.save(path, generator(seed, **config), "stylegan2", "generator")
    return path


def test_shipped(shipped):
    net = weights.load("stylegan2/a")
    assert weights.load("stylegan2/a") is net and weights.load("stylegan2/b") is not net
    assert net.info.name == "stylegan2/a" and net.info.title == "STYLEGAN2/A" and net.info.crop == "celeba"
    assert net.info.card["steps"] == 0 and net.info.img_resolution == 8 and net.info.labels is None
    assert net.info.sha256 == weights.hub.file_sha256(paths.embedded("stylegan2/a"))
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    with pytest.raises(AttributeError):
        net.info.name = "other"


def test_many_threads_share_one_copy(shipped, monkeypatch):
    calls = []
    original = store.load

    def slow(path):
        calls.append(path)
        time.sleep(0.1)
        return original(path)

    monkeypatch.setattr(store, "load", slow)
    nets = []
    names = ["stylegan2/a", "stylegan2/b"] * 6
    threads = [threading.Thread(target=lambda n=n: nets.append(weights.load(n))) for n in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(nets) == 12 and len({id(net) for net in nets}) == 2 and len(calls) == 2
    assert not loading._busy


def test_a_failure_is_not_remembered(shipped, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(store, "load", lambda path: (_ for _ in ()).throw(weights.RefusedFile("No.")))
        with pytest.raises(weights.RefusedFile):
            weights.load("stylegan2/a")
    assert weights.load("stylegan2/a").img_resolution == 8


def test_devices(shipped, monkeypatch):
    assert weights.load("stylegan2/a", device="cpu") is weights.load("stylegan2/a", device=torch.device("cpu"))
    monkeypatch.setenv("GANBOOK_DEVICE", "cpu")
    assert loading.resolve_device("auto").type == "cpu"
    monkeypatch.delenv("GANBOOK_DEVICE")
    assert loading.resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(weights.UserError) as error:
        weights.load("stylegan2/a", device="<toaster>")
    assert "<" not in one_sentence(error.value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(weights.UserError, match="no CUDA"):
        weights.load("stylegan2/a", device="cuda")


def test_the_least_recently_used_go(shipped, monkeypatch, tmp_path):
    monkeypatch.setenv("GANBOOK_KEEP_MB", "0")
    a = weights.load("stylegan2/a")
    first, second = weights.read(own(tmp_path, 1)), weights.read(own(tmp_path, 2))
    assert weights.load("stylegan2/a") is a  # shipped ones stay
    assert weights.read(own(tmp_path, 2)) is second and weights.read(own(tmp_path, 1)) is not first
    monkeypatch.setenv("GANBOOK_KEEP_MB", "many")
    assert loading.keep_bytes() == 2048 * 2**20


def test_own_files_are_known_by_their_content(tmp_path, monkeypatch):
    path = own(tmp_path)
    net = weights.read(path)
    copy = shutil.copy(path, tmp_path / "another name.pkl")
    assert weights.read(copy) is net
    assert net.info.name == f"own:{net.info.sha256[:12]}" and "own0" not in str(net.info)
    # read from the cache the next time, not from the file
    loading._kept.clear()
    monkeypatch.setattr(isolation, "exchange", lambda *a, **k: pytest.fail("read again"))
    assert weights.read(copy).info == net.info
    assert weights.reopen(net.info.sha256).info == net.info


def test_own_files_are_in_no_list(tmp_path):
    before = weights.names(), weights.entries()
    net = weights.read(own(tmp_path))
    assert (weights.names(), weights.entries()) == before
    for guess in (net.info.name, net.info.name[:8], f"own:{net.info.sha256}"):
        with pytest.raises(weights.UserError):
            weights.load(guess)
    for guess in (net.info.name, net.info.sha256[:12], "", None, "../" * 20, "0" * 64, "*"):
        with pytest.raises(weights.UserError) as error:
            weights.reopen(guess)
        one_sentence(error.value)


def test_forgetting_an_own_file(tmp_path):
    net = weights.read(own(tmp_path))
    other = weights.read(own(tmp_path, 1))
    assert len(list((paths.cache() / "own").iterdir())) == 2
    weights.forget(net.info.sha256)
    with pytest.raises(weights.UserError):
        weights.reopen(net.info.sha256)
    assert weights.reopen(other.info.sha256) is other
    for wrong in ("own:0123", "*", "nothing"):
        with pytest.raises(weights.UserError):
            weights.forget(wrong)


def test_forgetting_a_shipped_one_leaves_its_file(shipped):
    net = weights.load("stylegan2/a")
    weights.forget("stylegan2/a")
    assert weights.load("stylegan2/a") is not net


def test_parts_of_one_file(fixtures):
    path = fixtures("malicious_module_src.pkl")
    g, d = weights.read(path), weights.read(path, part="discriminator")
    assert g.info.kind == "generator" and d.info.kind == "discriminator" and g.info.sha256 == d.info.sha256
    assert weights.reopen(d.info.sha256, part="discriminator") is d
    with pytest.raises(ValueError):
        weights.read(path, part="augment_pipe")


def test_full_disk_is_no_reason_to_refuse_a_file(tmp_path, monkeypatch, caplog, fixtures):
    path = fixtures("malicious_module_src.pkl")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with monkeypatch.context() as patch:
        full_cache(patch)
        net = weights.read(path)
        assert net.img_resolution == 8 and net(torch.randn(1, net.z_dim)).isfinite().all()
    assert "kept in memory only" in caplog.text
    assert not list(paths.cache().rglob("*.safetensors")) and not list(tmp_path.iterdir())
    loading._kept.clear()
    with monkeypatch.context() as patch:
        patch.setattr(isolation, "exchange", lambda *args: {"full": "No."})
        with pytest.raises(weights.NoRoom, match="The disk is full"):
            weights.read(path)


def test_cache_folder_that_cannot_be_made(tmp_path, monkeypatch, fixtures):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANBOOK_CACHE", str(tmp_path / "file"))
    assert weights.read(fixtures("malicious_module_src.pkl")).img_resolution == 8


def test_spoilt_cache_of_an_own_file(fixtures):
    path = fixtures("malicious_module_src.pkl")
    net = weights.read(path)
    (kept,) = (paths.cache() / "own").iterdir()
    kept.write_bytes(kept.read_bytes()[:-10])
    loading._kept.clear()
    with pytest.raises(weights.UserError):
        weights.reopen(net.info.sha256)
    kept.write_bytes(b"spoilt")
    assert weights.read(path).info == net.info
    loading._kept.clear()
    assert weights.reopen(net.info.sha256).info == net.info


def test_own_files_do_not_fill_the_disk(tmp_path):
    kept = []
    for seed in range(3):
        net = weights.read(own(tmp_path, seed))
        kept.append(shelf.own(net.info.sha256, "generator"))
        os.utime(kept[-1], (1000 + seed, 1000 + seed))
    size = kept[0].stat().st_size
    shelf.prune_own(keep=kept[0], limit=2 * size + 100)
    assert [path.is_file() for path in kept] == [True, False, True]  # the one in use stays, the oldest other goes
    shelf.prune_own(keep=kept[0], limit=0)
    assert [path.is_file() for path in kept] == [True, False, False]


def test_average_latent_is_estimated_with_classes_too(tmp_path):
    net = generator(c_dim=3)
    state = {k: v for k, v in net.state_dict().items() if k != "mapping.w_avg"}
    torch.save(state, tmp_path / "a.pt")
    found = weights.read(tmp_path / "a.pt")
    z, c = torch.randn(6000, 16), torch.eye(3).repeat(2000, 1)
    w = net.mapping(z, c)[:, 0]
    assert ((found.mapping.w_avg - w.mean(0)) / w.std(0)).abs().max() < 0.1
    torch.manual_seed(1)
    loading._kept.clear()
    weights.forget(found.info.sha256)
    assert torch.equal(weights.read(tmp_path / "a.pt").mapping.w_avg, found.mapping.w_avg)
