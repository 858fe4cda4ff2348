"""``make hub-check`` against the small Hub: what works, what is refused, what is gone, and the table of it."""

from __future__ import annotations

import torch
from crafted import generator, rosinality_state
from hub_server import Hub

import weights
from benchmarks import hub_check
from weights import catalogue, paths
from weights.catalogue import CatalogueEntry

REPO = "someone/nets"


def entries():
    return [
        CatalogueEntry("stylegan2/works", "Works", "free | of charge", REPO, "works.pt", resolution=8),
        CatalogueEntry("stylegan2/other-size", "Other size", "free", REPO, "size.pt", resolution=16),
        CatalogueEntry("stylegan2/flat", "Flat", "free", REPO, "flat.pt", resolution=8),
        CatalogueEntry("stylegan2/gone", "Gone", "free", REPO, "gone.pt", resolution=8),
        CatalogueEntry("stylegan2/hostile", "Hostile", "free", REPO, "hostile.pkl", resolution=8),
        CatalogueEntry("igan/dcgan", "DCGAN", "free", REPO, "dcgan.bin", resolution=32),
        CatalogueEntry("faces/finder", "Finder", "free", REPO, "finder.onnx", loadable=False, note="It is a file."),
    ]


def rosinality(path, net) -> bytes:
    torch.save({"g_ema": rosinality_state(net), "latent_avg": net.mapping.w_avg}, path)
    return path.read_bytes()


def test_every_checkpoint_has_its_row(tmp_path, monkeypatch, fixtures, capsys):
    rows = {entry.name: entry for entry in entries()}
    monkeypatch.setattr(catalogue, "_all", lambda: rows)
    net, flat = generator(1), generator(2)
    for parameter in flat.synthesis.parameters():
        parameter.data.zero_()
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        works = hub.add(REPO, "works.pt", rosinality(tmp_path / "a.pt", net))
        hub.add(REPO, "size.pt", works.content)
        hub.add(REPO, "flat.pt", rosinality(tmp_path / "b.pt", flat))
        hub.add(REPO, "hostile.pkl", fixtures("malicious.pkl").read_bytes())
        hub.add(REPO, "dcgan.bin", fixtures("dcgan_32.bin").read_bytes())
        finder = hub.add(REPO, "finder.onnx", b"face " * 1000, lfs=False)
        assert hub_check.main(out=tmp_path / "table.md") == 1, "some failed"
        text = (tmp_path / "table.md").read_text(encoding="utf-8")
        cells = {}
        for line in text.splitlines():
            if line.startswith("| ") and "/" in line.split("|")[1]:
                name, *rest = [cell.strip() for cell in line.strip("| ").split(" | ")]
                cells[name] = dict(zip(hub_check.HEADER[1:], rest, strict=True))
        assert list(cells) == list(rows)
        good = cells["stylegan2/works"]
        assert good["verdict"] == "works" and good["SHA-256"] == works.sha256[:12] and good["px"] == "8"
        assert good["licence"] == "free / of charge" and good["drag"].endswith(" s") and good["four pictures"]
        assert "8 px, the catalogue says 16" in cells["stylegan2/other-size"]["verdict"]
        assert cells["stylegan2/flat"]["verdict"] == "Its pictures are flat." and not cells["stylegan2/flat"]["drag"]
        assert "not on the Hub any more" in cells["stylegan2/gone"]["verdict"]
        assert "posix.system" in cells["stylegan2/hostile"]["verdict"]
        assert cells["igan/dcgan"]["verdict"] == "works" and not cells["igan/dcgan"]["drag"]
        assert cells["faces/finder"]["SHA-256"] == finder.sha256[:12]
        assert cells["faces/finder"]["verdict"] == "works"
        assert not list(paths.cache().rglob("*.safetensors")), "what was not here before is not here afterwards"
        assert "works" in capsys.readouterr().out
        # Alone, what works ends well; what is here already stays.
        weights.fetch("stylegan2/works")
        assert hub_check.main(count=1, out=tmp_path / "one.md") == 0
        assert weights.status("stylegan2/works") == "cached"


def test_without_a_hub_nothing_is_written(tmp_path, monkeypatch, capsys):
    rows = {entry.name: entry for entry in entries()[:1]}
    monkeypatch.setattr(catalogue, "_all", lambda: rows)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub_check.main(out=tmp_path / "table.md") == 1
    assert not (tmp_path / "table.md").exists() and "Nothing could be fetched" in capsys.readouterr().out
