"""Small files that unfold, and files that keep a machine busy: read in a process of its own, within limits.

How it is counted: a reader process tells how many bytes it had in memory at most (``VmHWM``: what it shares with the
server that forked it, and the pages of the file that it mapped, are in it), less what it had when it began, with torch
loaded; and its own processor time, so that a busy machine fails no test.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from crafted import generator, name, one_sentence, pickled, rosinality_state, safetensors_bytes, text
from dcgan_files import array, igan, python2_pickle, string
from encoder_files import tree as psp_tree
from test_hostile import persistent, storage, tensor

import weights
from weights import direction_files, isolation, reader
from weights.formats import machine

MB = 2**20
linux = pytest.mark.skipif(
    sys.platform != "linux", reason="readers are forked, and their memory counted, on Linux only"
)


def answer(path, task: str = "convert") -> dict:
    """What the reader says of a file, after a check of what that took."""
    arguments = {"part": "generator", "limit": 2**30, "card": {}} if task == "convert" else {}
    with tempfile.TemporaryDirectory() as folder:
        found = isolation.exchange(task, path, {**arguments, "folder": folder})
        assert not found.get("stopped"), found
    assert 0 < found["used"]["bytes"] <= 2 * Path(path).stat().st_size + 200 * MB, found
    assert found["used"]["seconds"] <= 10, found
    return found


def refused(path, task: str = "convert") -> str:
    found = answer(path, task)
    assert not found["log"], found  # somebody thought of it
    return one_sentence(weights.RefusedFile(found["refused"]))


# -- files that unfold


def shared_in_a_pickle(size: bytes) -> bytes:
    """8,000 names that share one storage of 8 MB, each seeing ``size`` of it."""
    first = b"}(" + text("w0") + tensor(storage(2 * MB) + b"q\x07", size=size)
    more = b"".join(text(f"w{i}") + tensor(b"h\x07", size=size) for i in range(1, 8000))
    return pickled(b"}" + text("G_ema") + persistent(first + more + b"u") + b"s")


def shared_in_a_module(size: bytes) -> bytes:
    """The same, under a name that makes it look like a generator."""
    names = ["synthesis.b4.const", "synthesis.b4.conv1.weight", *(f"synthesis.b4.x{i}" for i in range(8000))]
    first = b"}(" + text(names[0]) + tensor(storage(2 * MB) + b"q\x07", size=size)
    more = b"".join(text(n) + tensor(b"h\x07", size=size) for n in names[1:])
    return pickled(b"}" + text("G_ema") + persistent(first + more + b"u") + b"s")


def references_to_one_record() -> bytes:
    """4,000 modules that are one module of 30,000 names."""
    names = b"".join(text(f"{i}") + b"h\x05" for i in range(30_000))
    inner = persistent(b"}(" + text("w") + tensor(storage(4)) + b"q\x05" + names + b"u") + b"q\x02"
    children = b"".join(text(f"{i}") + b"h\x02" for i in range(4000))
    return pickled(b"}" + text("G_ema") + persistent(b"}", b"}(" + text("m") + inner + children + b"u") + b"s")


def encoded_copies() -> bytes:
    """One text of 4 kB, encoded 600,000 times."""
    start = name("_codecs", "encode") + b"q\x010" + text("a" * 4096) + b"q\x020" + text("latin1") + b"q\x030]("
    return pickled(start + b"h\x01h\x02h\x03\x86R" * 400_000 + b"e")


def text_in_arrays() -> bytes:
    """One text of Python 2 that is the content of very many arrays."""
    one = array(np.zeros(1024, "f4"))
    data = string(np.zeros(1024, "f4").tobytes())
    assert one.count(data) == 1
    start = data + b"q\x010]("
    return pickled(start + one.replace(data, b"h\x01") * 20_000 + b"e", protocol=2)


def colliding_tuples(count: int = 30_000) -> bytes:
    """Pairs of numbers that all have one hash: what CPython computes for a tuple has no secret in it."""
    p1, p2, p5, bits = 11400714785074694791, 14029467366897019727, 2870177450012600261, 2**64
    rotated = lambda x: ((x << 31) | (x >> 33)) % bits  # noqa: E731
    pairs, a, wanted = [], 0, 12345
    while len(pairs) < count:
        a += 1
        b = (wanted - rotated((p5 + a * p2) % bits) * p1) * pow(p2, -1, bits) % bits
        if b < 2**61 - 1:
            pairs.append((a, b))
    assert len({hash(pair) for pair in pairs[:100]}) == 1
    keys = b"".join(b"J" + struct.pack("<i", a) + b"\x8a\x09" + b.to_bytes(9, "little") + b"\x86N" for a, b in pairs)
    return pickled(b"}(" + keys + b"u")


def numbers_as_keys() -> bytes:
    return pickled(b"}(" + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(50_000)) + b"u")


def sets_and_memos() -> bytes:
    """As much as an instruction of one byte can leave behind."""
    return pickled(b"](" + b"\x8f\x94" * 1_000_000 + b"e", protocol=4)


def wide_text() -> bytes:
    """A letter beyond the others makes Python keep four bytes for each."""
    return pickled(b"](" + (text("a" * 10**6 + "\U0001f600")) * 15 + b"e")


@linux
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (shared_in_a_pickle(b"J" + struct.pack("<i", 2 * MB) + b"\x85"), "no StyleGAN2"),
        (shared_in_a_module(b"J" + struct.pack("<i", 2 * MB) + b"\x85"), ""),
        (shared_in_a_module(b"K\x04\x85"), ""),
        (references_to_one_record(), "more tensors than any network"),
        (encoded_copies(), "more text"),
        (text_in_arrays(), ""),
        (colliding_tuples(), "as keys"),
        (numbers_as_keys(), "as keys"),
        (sets_and_memos(), "more instructions"),
        (wide_text(), ""),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value[:20] or "-",
)
def test_pickles_that_unfold(content, words, tmp_path):
    (tmp_path / "a.pkl").write_bytes(content)
    assert words in refused(tmp_path / "a.pkl")


def zipped(path: Path, tree: object, legacy: bool = False) -> Path:
    torch.save(tree, path, _use_new_zipfile_serialization=not legacy)
    return path


@linux
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "stream"])
@pytest.mark.parametrize("whole", [False, True], ids=["pieces", "whole"])
def test_torch_files_whose_tensors_are_one(legacy, whole, tmp_path):
    """8,000 names, 8 MB: as a generator of the official names, of rosinality's, and as directions."""
    big = torch.zeros(2 * MB)
    part = big if whole else big[7:11]
    many = {f"synthesis.b4.x{i}": part for i in range(8000)}
    official = {**generator().state_dict(), **many, "mapping.big": big}
    message = refused(zipped(tmp_path / "a", official, legacy))
    assert "unfolds" in message if whole else "synthesis.b4.x0" in message
    theirs = {**rosinality_state(generator()), **{f"noises.noise_{i}": part for i in range(80)}, "noises.noise_99": big}
    refused(zipped(tmp_path / "b", {"g_ema": theirs}, legacy))
    if whole:
        assert "unfolds" in refused(zipped(tmp_path / "c", {str(i): big for i in range(64)}, legacy), "directions")
        with pytest.raises(weights.RefusedFile, match="unfolds"):
            direction_files.read(tmp_path / "c")


@linux
def test_views_with_a_step_of_nothing(tmp_path):
    """One number seen as a million, as far as it is let."""
    state = generator().state_dict()
    for shape in ((1024, 1024), (2,)):
        state["mapping.fc1.weight"] = torch.zeros(1).expand(*shape)
        refused(zipped(tmp_path / "a", state))
    steps = torch.as_strided(torch.zeros(2 * MB), (2 * MB // 2, 2), (0, 1))
    assert "unfolds" in refused(
        zipped(tmp_path / "b", {**generator().state_dict(), **dict.fromkeys("abcdefgh", steps)})
    )


@linux
def test_what_readers_make_of_little(tmp_path):
    """Rows, noise, filters and averages that a reader makes up itself."""
    made = psp_tree()
    wide = 2 * MB
    made["latent_avg"] = torch.zeros(1, wide)
    made["state_dict"]["encoder.styles.0.linear.weight"] = torch.zeros(wide, 1)
    with tempfile.TemporaryDirectory() as folder:
        path, arguments = zipped(tmp_path / "psp", made), {"part": "encoder", "limit": 2**30, "card": {}}
        found = isolation.exchange("convert", path, {**arguments, "folder": folder})
    assert "refused" in found and not found["log"] and found["used"]["bytes"] < 2 * path.stat().st_size + 200 * MB

    state = {k: v for k, v in rosinality_state(generator()).items() if "noises" not in k}
    state |= {f"convs.{i}.noise.weight": torch.zeros(1) for i in range(99)}
    refused(zipped(tmp_path / "noise", {"g_ema": state}))

    state = generator().state_dict()
    state |= {f"synthesis.x{i}.resample_filter": torch.zeros(60_000) for i in range(9)}
    assert "filter" in refused(zipped(tmp_path / "filter", state))

    net = generator(mapping_layers=1, z_dim=MB, w_dim=2, channels={4: 2, 8: 2})
    state = {k: v for k, v in net.state_dict().items() if k != "mapping.w_avg"}
    assert "too wide" in refused(zipped(tmp_path / "average", state))


@linux
def test_directories_and_headers(tmp_path):
    header = b'{"__metadata__": {"ganbook": "' + b"[" * 9 + b'"}, "a": [' + b"[]," * (MB + MB // 4) + b"[]]}"
    (tmp_path / "a").write_bytes(safetensors_bytes(header))
    refused(tmp_path / "a")
    entry = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    header = "{" + ",".join(f'"{i}":{entry}' for i in range(60_000)) + "}"
    (tmp_path / "b").write_bytes(safetensors_bytes(header.encode()))
    refused(tmp_path / "b")
    with zipfile.ZipFile(tmp_path / "c", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, protocol=2))
        for i in range(40_000):
            archive.writestr(f"a/data/{i}", b"")
    answer(tmp_path / "c")
    np.save(tmp_path / "d.npy", np.zeros(30 * MB, np.uint8))
    assert "unfolds" in refused(tmp_path / "d.npy", "directions")
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 4000 + b" " * 4999 + b"\n"
    (tmp_path / "e.npy").write_bytes(head + bytes(64))
    assert "damaged" in refused(tmp_path / "e.npy", "directions")


@linux
def test_arrays_of_python_2_that_are_one(tmp_path):
    big = array(np.zeros(2**21, "f4")) + b"q\x01"
    model = igan()
    model["gen_params"] = [big, *[b"h\x01"] * 12]
    model["disc_params"] = [b"h\x01"] * 11
    (tmp_path / "a").write_bytes(python2_pickle(model))
    refused(tmp_path / "a")


@linux
def test_an_honest_large_file(tmp_path):
    """60 MB: a file is in memory twice at the most, and its network beside it."""
    net = generator(channels={4: 512, 8: 512}, w_dim=512, z_dim=512, mapping_layers=8)
    path = zipped(tmp_path / "a", {"g_ema": rosinality_state(net), "latent_avg": net.mapping.w_avg})
    assert path.stat().st_size > 40 * MB
    assert answer(path)["done"] == {"parts": ["generator"]}


# -- limits, for what no budget foresees


def busy_file(folder: Path) -> Path:
    """Seconds of work for every machine, and refused in the end."""
    path = folder / "busy"
    path.write_bytes(pickled((b"](" + b"K\x07" * 50 + b"e0") * 9000 + b"os"))
    return path


def stopped(path, **bounds) -> str:
    """What is said of a file that is read within other limits."""
    honest = isolation.limits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isolation, "limits", lambda size: dataclasses.replace(honest(size), **bounds))
        with pytest.raises(weights.ReadingStopped) as error:
            weights.read(path)
    return one_sentence(error.value)


@linux
def test_memory(tmp_path):
    torch.save(generator(channels={4: 512, 8: 512}).state_dict(), tmp_path / "a")
    assert "memory" in stopped(tmp_path / "a", memory=4 * MB)
    assert "memory" in stopped(tmp_path / "a", output=MB)  # of what it writes
    assert weights.read(tmp_path / "a").img_resolution == 8


@linux
def test_time_on_the_clock(tmp_path):
    assert "takes longer" in stopped(busy_file(tmp_path), wall_s=0.01)


@linux
def test_what_the_kernel_holds_a_reader_to():
    """Time and memory, and it may start nothing."""

    def ended(code: str) -> int:
        setup = "from weights import reader; reader.limit(reader.Limits(memory=2**26, output=99, cpu_s=1, wall_s=9)); "
        return subprocess.run([sys.executable, "-c", setup + code], stderr=subprocess.DEVNULL, timeout=60).returncode

    assert isolation._reason(ended("any(iter(int, 1))"), False) == isolation.TOO_LONG
    assert ended("bytearray(2**25)") == 0 and ended("bytearray(2**27)") == 1
    assert ended("import mmap; mmap.mmap(-1, 2**27)") == 1
    assert ended("open('/dev/null', 'wb').write(bytes(100))") == 0
    if os.getuid():  # root may always
        assert ended("import os; os.fork()") == 1


@linux
def test_who_gives_up_ends_the_reading(tmp_path):
    class GivenUp(BaseException):
        pass

    weights.read(own(tmp_path))  # the server is there

    def alive() -> None:
        raise GivenUp

    with pytest.raises(GivenUp):
        weights.read(busy_file(tmp_path), alive=alive)
    until = time.monotonic() + 30
    while children(isolation._server.process.pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not children(isolation._server.process.pid)
    assert not list((weights.paths.cache() / "reading").iterdir())


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def own(folder: Path, seed: int = 0) -> Path:
    path = folder / f"own{seed}.pt"
    torch.save(generator(seed).state_dict(), path)
    return path


@linux
def test_a_server_that_goes_while_it_is_asked(tmp_path, monkeypatch):
    """It had nothing to do for long, and ends just when there is something."""
    weights.read(own(tmp_path))
    going = isolation._server
    going.process.kill()
    going.process.wait()
    honest = isolation._Server.usable
    asked = []

    def usable(self) -> bool:  # it seems so, the first time
        asked.append(self)
        return len(asked) == 1 or honest(self)

    monkeypatch.setattr(isolation._Server, "usable", usable)
    assert weights.read(own(tmp_path, 1)).img_resolution == 8
    assert isolation._server is not going
    monkeypatch.setattr(isolation, "_start", lambda *args, **kwargs: subprocess.Popen([sys.executable, "-c", "0"]))
    isolation._server.close()
    with pytest.raises(weights.UserError, match="could not be started"):
        weights.read(own(tmp_path, 2))


@linux
def test_what_a_killed_page_left_goes(monkeypatch):
    old, new = (weights.paths.cache() / "reading" / f"ganbook-{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "generator.safetensors").write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    isolation._sweep()
    assert new.is_dir() and not old.exists()


def test_the_reader_has_none_of_our_secrets(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("PYTHONHASHSEED", "0")  # with which hashes of text would be known as well
    started = {}
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: started.update(options))
    isolation._start("--serve")
    assert "PATH" in started["env"] and not {"HF_TOKEN", "PYTHONHASHSEED"} & set(started["env"])


def test_the_page_reads_no_foreign_file_itself(tmp_path, monkeypatch):
    path = own(tmp_path)
    monkeypatch.setattr(machine.Machine, "run", lambda self: pytest.fail("read here"))
    monkeypatch.setattr("weights.formats.read", lambda *args: pytest.fail("read here"))
    assert weights.read(path).img_resolution == 8
    torch.save({"a": torch.ones(3)}, tmp_path / "directions")
    assert torch.equal(direction_files.read(tmp_path / "directions")["a"], torch.ones(3))


def test_few_at_a_time(tmp_path, monkeypatch):
    """The others wait, and can give up meanwhile."""
    running, most, lock = 0, 0, threading.Lock()

    def ask(request, alive, wall_s):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return {"refused": "This is no checkpoint."}

    monkeypatch.setattr(isolation, "_ask_server", ask)
    monkeypatch.setattr(isolation, "_ask_new_process", ask)
    path = own(tmp_path)
    threads = [threading.Thread(target=isolation.exchange, args=("convert", path, {})) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == isolation.READERS
    with isolation._slot(lambda: None), isolation._slot(lambda: None):
        with pytest.raises(KeyboardInterrupt):
            isolation.exchange("convert", path, {}, lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        monkeypatch.setattr(isolation, "WAIT_S", 0.0)
        with pytest.raises(weights.UserError, match="Other checkpoint files"):
            isolation.exchange("convert", path, {})


def test_where_nothing_can_be_forked(tmp_path, monkeypatch):
    """A process for each file, as on Windows and macOS."""
    monkeypatch.setattr(isolation, "FORKS", False)
    assert weights.read(own(tmp_path)).img_resolution == 8
    calls = []

    def alive() -> None:
        calls.append(time.monotonic())
        if len(calls) > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.read(own(tmp_path, 1), alive=alive)


def test_a_watch_where_memory_has_no_limit(monkeypatch):
    """macOS: a thread ends the process."""
    resource = pytest.importorskip("resource")
    ended = threading.Event()
    monkeypatch.setattr(reader, "_PAGES", "/nowhere")
    monkeypatch.setattr(resource, "setrlimit", lambda *args: None)
    monkeypatch.setattr(os, "nice", lambda step: 0)

    def leave(status: int) -> None:
        assert status == reader.TOO_MUCH
        ended.set()

    monkeypatch.setattr(os, "_exit", leave)
    reader.limit(reader.Limits(memory=0, output=1, cpu_s=1, wall_s=1))
    assert ended.wait(30)
    assert isolation._reason(reader.TOO_MUCH, False) == reader.TOO_LARGE
    assert isolation._reason(-9, False) == isolation.DIED and isolation._reason(0, True) == isolation.TOO_LONG


def test_limits_grow_with_the_file():
    small, large = isolation.limits(8 * MB), isolation.limits(700 * MB)
    assert small.memory < 300 * MB < 2000 * MB < large.memory < 4000 * MB
    assert small.cpu_s < 20 < large.cpu_s < 90
    json.dumps(dataclasses.asdict(large))
