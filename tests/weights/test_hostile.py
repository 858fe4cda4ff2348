"""Files that want to run something, to fill the memory, or to keep the machine busy; and files that are just broken.

Each is refused with one sentence, quickly, and leaves nothing behind.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import resource
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from crafted import (
    Persistent,
    generator,
    name,
    one_sentence,
    persistence_modules,
    pickled,
    rosinality_state,
    safetensors_bytes,
    text,
)

import weights
from weights import conversion
from weights.formats import attgan, machine

MARKERS = [Path("/tmp") / f"pwned_by_{what}" for what in ("pickle", "storage_bytes", "module_src", "torch_load")]
SECONDS = 20.0  # what a refusal may take on a slow machine under load; most take milliseconds
MEGABYTES = 500


@pytest.fixture(autouse=True)
def nothing_happens():
    """Markers absent afterwards, memory and time bounded."""
    for marker in MARKERS:
        marker.unlink(missing_ok=True)
    start, unit = time.monotonic(), 2**10 if sys.platform != "darwin" else 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 2**20
    assert not [m for m in MARKERS if m.exists()]
    assert time.monotonic() - start < SECONDS and grown < MEGABYTES


def refused(path, **options) -> str:
    with pytest.raises(weights.RefusedFile) as error:
        weights.read(path, **options)
    return one_sentence(error.value)


def converted_here(path) -> None:
    """What the reader does with a file, without its process, for tests that look at hundreds of files."""
    with tempfile.TemporaryDirectory() as folder:
        conversion.convert(str(path), "generator", 2**30, folder, {})


def refused_here(path) -> str:
    with pytest.raises(weights.RefusedFile) as error:
        converted_here(path)
    return one_sentence(error.value)


@pytest.fixture
def refused_bytes(tmp_path):
    def check(content: bytes) -> str:
        path = tmp_path / "file.pkl"
        path.write_bytes(content)
        return refused(path)

    return check


# -- the fixtures


@pytest.mark.parametrize("file", ["malicious.pkl", "malicious_checkpoint.pth", "malicious_storage_bytes.pkl"])
@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_programs_are_refused_by_name(file, part, fixtures):
    assert "posix.system" in refused(fixtures(file), part=part)


def test_source_text_is_ignored(fixtures):
    assert weights.read(fixtures("malicious_module_src.pkl")).img_resolution == 8


def test_the_markers_would_appear(fixtures):
    """The fixtures really are hostile: what they call is what they should call."""
    assert b"pwned_by_pickle" in fixtures("malicious.pkl").read_bytes()
    assert b"pwned_by_module_src" in fixtures("malicious_module_src.pkl").read_bytes()


# -- calls


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("builtins", "bytearray"),  # torch's own reader admits it: bytearray(10**11) fills the memory
        ("os", "system"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("numpy", "load"),
        ("collections", "Counter"),
        ("torch_utils.persistence", "import_hook"),
        ("operator", "methodcaller"),
        ("models.stylegan2", "Generator"),
        ("<img src=x onerror=alert(1)>", "*" * 200),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_foreign_names(module, attribute, protocol, refused_bytes):
    asked = name(module, attribute) if protocol == 2 else text(module) + text(attribute) + b"\x93"
    message = refused_bytes(pickled(asked + text("1") + b"\x85R", protocol=protocol))
    assert "<" not in message and "*" not in message
    if module[0] != "<":
        assert f"{module}.{attribute}" in message


@pytest.mark.parametrize(
    "code",
    [
        name("numpy", "ndarray") + text("x") + b"\x85R",  # admitted as an argument, not as a function
        name("torch_utils.persistence", "_reconstruct_persistent_obj") + b"N\x85R",
        name("collections", "OrderedDict") + b"K\x01\x85R",
        name("torch._utils", "_rebuild_tensor_v2") + b")R",
        name("numpy", "dtype") + text("O8") + b"\x85R",  # objects
        name("numpy", "dtype") + text("V1000000000") + b"\x85R",
        name("numpy.core.multiarray", "scalar") + b"NN\x86R",
        b"}" + name("builtins", "set") + b"\x85R",
        text("a") + text("b") + b"\x85R",  # calls a text
        text("a") + text("b") + b"\x93b",
        b"N}b",  # a state for nothing
        b"(cos\nsystem\nX\x01\x00\x00\x00ao",  # OBJ
        b"(S'echo'\nios\nsystem\n",  # INST
        b"\x82\x01",  # EXT1
        b"P1\n",
        text("x") + b"Q",  # persistent identifiers
        b"]N\x8f",
        b"h\x05",
        b"(",
        b"",
        b"e",
        b"0000",
        b"Nu",
        b"\x81",
        b"cos",
        b"I1\n",
    ],
)
def test_instructions_that_make_no_sense(code, refused_bytes):
    refused_bytes(pickled(code))


def test_program_in_a_state_dict_of_torch(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {MARKERS[0]}",)

    for zipped in (True, False):
        torch.save({"g_ema": {"a": torch.ones(1)}, "x": Evil()}, tmp_path / "a", _use_new_zipfile_serialization=zipped)
        assert ".system" in refused(tmp_path / "a")


def test_torchscript(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would like to be rid of it, but the files are about
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "a.pt")
    assert "TorchScript" in refused(tmp_path / "a.pt")


# -- memory and time


def tensor(storage: bytes, offset: bytes = b"K\x00", size: bytes = b"K\x04\x85", stride: bytes = b"K\x01\x85") -> bytes:
    """Instructions for ``_rebuild_tensor_v2``."""
    tail = b"\x89" + name("collections", "OrderedDict") + b")R"
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + offset + size + stride + tail + b"tR"


def storage(count: int = 4, claim: int | None = None) -> bytes:
    """Instructions for ``_load_from_bytes`` of ``count`` floats."""
    # what TypedStorage.__reduce__ writes: a storage in the old format
    untyped = torch.arange(float(count)).untyped_storage()
    typed = torch.storage.TypedStorage(wrap_storage=untyped, dtype=torch.float32, _internal=True)
    buffer = io.BytesIO()
    torch.save(typed, buffer, _use_new_zipfile_serialization=False)
    content = buffer.getvalue()
    if claim is not None:
        honest = b"K" + bytes([count]) + b"N"
        assert honest in content
        content = content.replace(honest, b"\x8a\x08" + struct.pack("<q", claim) + b"N")
    return name("torch.storage", "_load_from_bytes") + b"B" + struct.pack("<I", len(content)) + content + b"\x85R"


def persistent(parameters: bytes, modules: bytes = b"}") -> bytes:
    """Instructions for a module record with one parameter."""
    state = text("_parameters") + parameters + text("_modules") + modules
    meta = text("type") + text("class") + text("class_name") + text("G") + text("state") + b"}(" + state + b"u"
    return name("torch_utils.persistence", "_reconstruct_persistent_obj") + b"}(" + meta + b"u\x85R"


HUGE = b"\x8a\x08" + struct.pack("<q", 2**60)


@pytest.mark.parametrize(
    "bad",
    [
        tensor(storage(), size=HUGE + b"\x85", stride=b"K\x00\x85"),  # an expanded view
        tensor(storage(), size=b"M\x00\x10\x85", stride=b"K\x00\x85"),
        tensor(storage(), offset=b"K\x01"),
        tensor(storage(), offset=b"J\xff\xff\xff\xff"),
        tensor(storage(), stride=b"J\xff\xff\xff\xff\x85"),
        tensor(storage(), size=b"(" + b"K\x01" * 100 + b"t", stride=b"(" + b"K\x01" * 100 + b"t"),
        tensor(storage(4, claim=2**50)),
        tensor(storage(4, claim=2**20)),
        tensor(b"N"),
    ],
    ids=["expanded", "little", "offset", "before", "backwards", "axes", "claims", "claims-little", "none"],
)
def test_tensors_out_of_bounds(bad, refused_bytes):
    refused_bytes(pickled(b"}" + text("G_ema") + persistent(b"}" + text("w") + bad + b"s") + b"s"))


def test_honest_records_of_the_same_making(refused_bytes):
    """The pieces above are right: without the flaw, the complaint is another one."""
    good = pickled(b"}" + text("G_ema") + persistent(b"}" + text("w") + tensor(storage()) + b"s") + b"s")
    assert "no StyleGAN2" in refused_bytes(good)


def test_one_storage_for_a_thousand_tensors(refused_bytes):
    first = b"}(" + text("w0") + tensor(storage(4096)[:-1] + b"Rq\x07", size=b"M\x00\x10\x85")
    more = b"".join(text(f"w{i}") + tensor(b"h\x07", size=b"M\x00\x10\x85") for i in range(1, 1000))
    content = pickled(b"}" + text("G_ema") + persistent(first + more + b"u") + b"s")
    assert len(content) < 200_000
    refused_bytes(content)


def test_unfolding_in_a_file_that_is_recognised(tmp_path):
    net = generator()
    state = net.state_dict()
    big = torch.zeros(512).expand(512, 512)
    torch.save({**state, **{f"mapping.more{i}": big for i in range(40)}}, tmp_path / "a")
    refused(tmp_path / "a")


def test_arrays_of_absurd_shape(refused_bytes):
    made = name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
    kind = name("numpy", "dtype") + text("f8") + b"\x89\x88\x87R"
    state = b"(K\x01" + HUGE + b"\x85" + kind + b"\x89C\x08" + b"\0" * 8 + b"t"
    refused_bytes(pickled(made + state + b"b"))


@pytest.mark.parametrize(
    "code",
    [
        b"\x8e" + struct.pack("<Q", 2**62),  # BINBYTES8
        b"\x96" + struct.pack("<Q", 2**40),  # BYTEARRAY8
        b"\x8d" + struct.pack("<Q", 2**40),  # BINUNICODE8
        b"B" + struct.pack("<I", 2**32 - 1),
        b"T" + struct.pack("<i", -5),
        b"\x8b" + struct.pack("<I", 2**31) + b"\xff" * 100,  # LONG4
        b"\x95" + struct.pack("<Q", 2**62),  # FRAME
        b"Nr" + struct.pack("<I", 2**32 - 1) + b"j" + struct.pack("<I", 7),  # a memo of 2^32 places
    ],
)
def test_lengths_beyond_the_file(code, refused_bytes):
    refused_bytes(pickled(code))


def test_nested_repetition(refused_bytes):
    """Ten lists of the ten lists before: 10^40 values in two hundred bytes. And as modules within modules."""
    lists = b"]" + b"q\x01" + b"".join(b"](" + b"h\x01" * 10 + b"eq\x01" for _ in range(40))
    refused_bytes(pickled(lists))
    refused_bytes(pickled(b"}" + text("state_dict") + lists + b"s"))
    record = persistent(b"}") + b"q\x02"
    for _ in range(40):
        children = b"}(" + text("a") + b"h\x02" + text("b") + b"h\x02" + b"u"
        record += persistent(b"}", children) + b"q\x02"
    refused_bytes(pickled(b"}" + text("G_ema") + record + b"s"))


def test_module_that_contains_itself(refused_bytes):
    children = b"}q\x03"
    record = persistent(b"}", children) + b"q\x02" + b"h\x03" + text("again") + b"h\x02s0"
    refused_bytes(pickled(b"}" + text("G_ema") + record + b"s"))


@pytest.mark.parametrize("nest", [b"\x85", b"]q\x01", b"}q\x01"], ids=["tuples", "lists", "dicts"])
def test_deep_nesting(nest, refused_bytes):
    opening = {b"\x85": b")" + b"\x85" * 300_000, b"]q\x01": b"]" * 300_000 + b"a" * 299_999}
    code = opening.get(nest, b"}" + (text("a") + b"}") * 100_000 + b"s" * 100_000)
    refused_bytes(pickled(code))
    if nest == b"\x85":  # hashing it would overflow the interpreter's stack
        refused_bytes(pickled(b"}" + code + b"Ns"))
        refused_bytes(pickled(b"\x8f(" + code + b"\x90"))
        refused_bytes(pickled(text("a") + code + b"\x93"))


@pytest.mark.parametrize(
    "piece",
    [
        b"N0",  # work for nothing
        b"h\x010",  # the same list again and again
        b"h\x02h\x01\x85R0",  # a set of it
        b"h\x03h\x01\x85R0",
    ],
)
def test_busy_work(piece, refused_bytes):
    start = b"](" + b"K\x07" * 1000 + b"eq\x01" + name("builtins", "set") + b"q\x02"
    start += name("collections", "OrderedDict") + b"q\x03"
    refused_bytes(pickled(start + piece * 1_000_000 + b"N"))


def test_keys_that_collide(refused_bytes):
    keys = b"".join(b"\x8a\x0a" + ((2**61 - 1) * i).to_bytes(10, "little") + b"N" for i in range(1, 1 << 14))
    refused_bytes(pickled(b"}(" + keys + b"u"))


def test_text_without_end(refused_bytes):
    refused_bytes(pickled((text("a" * 2**20) + b"0") * 80 + b"N"))


# -- zips


def bomb(path: Path, compression=zipfile.ZIP_DEFLATED, megabytes=300) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"g_ema": {}}, protocol=2))
        with archive.open("archive/data/0", "w", force_zip64=True) as entry:
            for _ in range(megabytes):
                entry.write(bytes(2**20))


def test_zip_bomb(tmp_path):
    bomb(tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 2**20
    assert "compressed" in refused(tmp_path / "a.pt")


def test_zip_that_lies_about_its_sizes(tmp_path):
    """Stored, not compressed, but every entry claims the same bytes, and more than there are."""
    torch.save({"g_ema": {"a": torch.ones(1000)}}, tmp_path / "a.pt")
    content = (tmp_path / "a.pt").read_bytes()
    at = content.rindex(b"PK\x01\x02")
    for offset in (20, 24):
        lie = content[: at + offset] + struct.pack("<I", 2**31) + content[at + offset + 4 :]
        (tmp_path / "b.pt").write_bytes(lie)
        refused(tmp_path / "b.pt")


def test_zip_with_an_endless_directory(tmp_path):
    torch.save({"g_ema": {"a": torch.ones(1)}}, tmp_path / "a.pt")
    content = (tmp_path / "a.pt").read_bytes()
    at = content.rindex(b"PK\x05\x06")
    (tmp_path / "b.pt").write_bytes(content[: at + 12] + struct.pack("<I", 2**31) + content[at + 16 :])
    refused(tmp_path / "b.pt")


def test_zip_with_two_pickles_of_one_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive, pytest.warns(UserWarning):
        archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}, protocol=2))
    refused(tmp_path / "a.pt")


def test_zip_of_other_things(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "without a torch checkpoint" in refused(tmp_path / "a.pt")


def test_torch_file_that_lacks_its_data(tmp_path):
    torch.save({"g_ema": rosinality_state(generator())}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as old, zipfile.ZipFile(tmp_path / "b.pt", "w") as new:
        for entry in old.infolist():
            if not entry.filename.endswith("data/3"):
                new.writestr(entry.filename, old.read(entry))
    assert "data block 3" in refused(tmp_path / "b.pt")


def test_old_torch_file_that_claims_too_much(tmp_path):
    torch.save({"g_ema": {"a": torch.ones(1000)}}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    content = (tmp_path / "a.pt").read_bytes()
    claim = content.replace(b"M\xe8\x03", b"J\xff\xff\xff\x7f")
    assert claim != content
    (tmp_path / "a.pt").write_bytes(claim)
    refused(tmp_path / "a.pt")


# -- safetensors

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("entry", "data"),
    [
        ({**ENTRY, "shape": [2**40]}, bytes(8)),
        ({**ENTRY, "shape": [3]}, bytes(8)),
        ({**ENTRY, "shape": [-2]}, bytes(8)),
        ({**ENTRY, "shape": [True, 2]}, bytes(8)),
        ({**ENTRY, "data_offsets": [8, 0]}, bytes(8)),
        ({**ENTRY, "data_offsets": [0, 2**40]}, bytes(8)),
        ({**ENTRY, "data_offsets": "ab"}, bytes(8)),
        ({**ENTRY, "dtype": "F8_E4M3"}, bytes(8)),
        ({**ENTRY, "dtype": ["F32"]}, bytes(8)),
        (ENTRY, bytes(7)),
        (ENTRY, bytes(9)),
        ("text", bytes(8)),
        (None, bytes(8)),
    ],
)
def test_safetensors_entries(entry, data, refused_bytes):
    refused_bytes(safetensors_bytes(json.dumps({"a": entry}).encode(), data))


@pytest.mark.parametrize(
    "content",
    [
        safetensors_bytes(b'{"a": 1}', length=2**39),
        safetensors_bytes(b'{"a": 1}', length=9),
        safetensors_bytes(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        safetensors_bytes(b'{"a": ' + b"9" * 10_000 + b"}"),
        safetensors_bytes(b'{"a": \xff}  '),
        safetensors_bytes(b'{"__metadata__": {"ganbook": 3}}'),
        safetensors_bytes(b'{"__metadata__": {"ganbook": "{"}}'),
        safetensors_bytes(b'{"__metadata__": {"ganbook": "[]"}}'),
        safetensors_bytes(b'{"__metadata__": []}'),
        safetensors_bytes(b"{}" + b" " * (33 * 2**20)),
        safetensors_bytes(b"{}        "),
    ],
)
def test_safetensors_headers(content, refused_bytes):
    refused_bytes(content)


def test_tensors_that_overlap(refused_bytes):
    header = json.dumps({"a": ENTRY, "b": ENTRY}).encode()
    refused_bytes(safetensors_bytes(header, bytes(8)))


@pytest.mark.parametrize(
    "change",
    [
        {"img_resolution": 2**30},
        {"img_resolution": 1024},
        {"img_resolution": 7},
        {"img_resolution": "64"},
        {"mapping_layers": 10**9},
        {"mapping_layers": 64},
        {"mapping_layers": -1},
        {"channels": {"4": 2**19, "8": 2**19}},
        {"channels": {"4": 16}},
        {"z_dim": 2**20},
        {"z_dim": 1e308},
        {"c_dim": 10**6},
        {"resample_filter": [1] * 60},
        {"resample_filter": [[1], [2]]},
        {"resample_filter": []},
        {"architecture": "<b>"},
        {"activation": "evil"},
        {"modulation": 5},
        {"unknown": 1},
    ],
)
def test_our_own_layout_with_settings_that_do_not_fit(change, tmp_path):
    net = generator()
    entry = {"format": 1, "technique": "stylegan2", "kind": "generator", "config": {**net.config, **change}}
    safetensors.torch.save_file(net.state_dict(), tmp_path / "a", metadata={"ganbook": json.dumps(entry)})
    refused(tmp_path / "a")


@pytest.mark.parametrize(
    "change",
    [
        {"img_resolution": 4096},
        {"num_layers": 63},
        {"num_layers": 2.5},
        {"num_critical": 0},
        {"first_cutoff": 1e-300},
        {"first_stopband": -1},
        {"last_stopband_rel": 0},
        {"margin_size": 10**6},
        {"filter_size": 10**5},
        {"filter_size": 0},
        {"lrelu_upsampling": 0},
        {"lrelu_upsampling": 2**20},
        {"channels": [8] * 3},
        {"channels": [2**20] * 7},
        {"channels": "88888888"},
        {"conv_kernel": -1},
        {"radial": True},
        {"conv_clamp": "x"},
        {"output_scale": [1]},
    ],
)
def test_settings_of_stylegan3_that_do_not_fit(change, tmp_path):
    from models.stylegan3 import Generator

    torch.manual_seed(0)
    net = Generator(8, 0, 8, 16, channel_base=64, channel_max=8, num_layers=6)
    entry = {"format": 1, "technique": "stylegan3", "kind": "generator", "config": {**net.config, **change}}
    safetensors.torch.save_file(net.state_dict(), tmp_path / "a", metadata={"ganbook": json.dumps(entry)})
    refused(tmp_path / "a")


@pytest.mark.parametrize("change", [{"technique": "<b>x"}, {"kind": "encoder"}, {"format": 99}, {"config": None}])
def test_our_own_layout_of_unknown_kinds(change, tmp_path):
    net = generator()
    entry = {"format": 1, "technique": "stylegan2", "kind": "generator", "config": net.config, **change}
    safetensors.torch.save_file(net.state_dict(), tmp_path / "a", metadata={"ganbook": json.dumps(entry)})
    assert "<" not in refused(tmp_path / "a")


# -- broken, not hostile


def test_values_that_are_no_numbers(tmp_path):
    for bad in (float("nan"), float("inf")):
        state = generator().state_dict()
        state["mapping.fc1.weight"][3, 3] = bad
        safetensors.torch.save_file(state, tmp_path / "a")
        assert "mapping.fc1.weight" in refused(tmp_path / "a")


def test_missing_wrong_and_unknown_tensors(tmp_path):
    state = generator().state_dict()
    for key, value, complaint in [
        ("mapping.fc1.bias", None, "mapping.fc1.bias"),
        ("synthesis.b8.conv1.bias", torch.ones(9), "[9]"),
        ("synthesis.b8.extra", torch.ones(9), "synthesis.b8.extra"),
        ("mapping.fc0.weight", None, "mapping"),
        ("synthesis.b8.conv1.weight", torch.ones(2), "synthesis.b8"),
        ("mapping.fc1.weight", torch.ones(16, 16, dtype=torch.int64), "whole numbers"),
    ]:
        changed = {**state, key: value}
        changed = {k: v for k, v in changed.items() if v is not None}
        safetensors.torch.save_file(changed, tmp_path / "a")
        assert complaint in refused(tmp_path / "a")


def test_pictures_that_are_not_square(tmp_path):
    state = generator().state_dict()
    state["synthesis.b4.const"] = torch.ones(16, 8, 4)
    safetensors.torch.save_file(state, tmp_path / "a")
    assert "not square" in refused(tmp_path / "a")


def test_other_kinds_of_file(tmp_path, fixtures):
    for content, word in [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>Not found</html>" * 9, "text file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\n", "text file"),
        (b"\x93NUMPY\x01\x00" + bytes(100), "NumPy"),
        (b"\x1f\x8b" + bytes(100), "compressed"),
        (bytes(257) + b"ustar" + bytes(300), "tar file"),
        (b"\x08\x07\x12\x07pytorch" + bytes(100), "ONNX"),
        (bytes(range(128, 256)) * 4, "not a checkpoint"),
        (b"\x80", "not a checkpoint"),
        (b"PK\x03\x04", "cut or damaged"),
    ]:
        (tmp_path / "model.pkl").write_bytes(content)
        assert word in refused(tmp_path / "model.pkl")
    assert "text file" in refused(fixtures("state_keys.json"))
    assert "NumPy" in refused(fixtures("rosinality_recipe_32.npz"))


def test_no_file_at_all(tmp_path):
    for nothing in (None, "", tmp_path / "gone.pkl", "a\0b", "x" * 5000):
        refused(nothing)
    assert "not a file" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe")
    refused("/dev/zero")


def test_too_large_a_file_is_told_by_its_size_alone(tmp_path):
    with open(tmp_path / "huge.pt", "wb") as file:
        file.truncate(3 * 2**30)  # takes no room
    start = time.monotonic()
    assert "3,072 MB" in refused(tmp_path / "huge.pt")
    assert "1 MB" in refused(tmp_path / "huge.pt", limit=2**20)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("layout", ["nvidia", "torch", "legacy", "safetensors"])
def test_cut_and_spoilt_files(layout, tmp_path, monkeypatch):
    """Every cut, and many changed bytes: either the file is refused, or it is whole enough to be a network."""
    net = generator(z_dim=4, w_dim=4, channels={4: 4, 8: 4})
    path = tmp_path / "whole"
    if layout == "nvidia":
        persistence_modules(monkeypatch)
        path.write_bytes(pickle.dumps({"G_ema": Persistent(net)}, protocol=4))
    elif layout == "safetensors":
        weights.store.save(path, net, "stylegan2", "generator")
    else:
        content = {"g_ema": rosinality_state(net), "latent_avg": net.mapping.w_avg}
        torch.save(content, path, _use_new_zipfile_serialization=layout == "torch")
    content = path.read_bytes()
    assert weights.read(path).z_dim == 4
    draw = random.Random(7)
    spoilt = tmp_path / "spoilt"
    for cut in sorted(draw.sample(range(len(content)), 25)) + [len(content) - 1]:
        spoilt.write_bytes(content[:cut])
        refused_here(spoilt)
    for _ in range(60):
        changed = bytearray(content)
        for _byte in range(draw.choice((1, 1, 4))):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        spoilt.write_bytes(changed)
        try:
            converted_here(spoilt)
        except weights.RefusedFile as error:
            one_sentence(error)


def test_the_machine_never_imports(monkeypatch):
    """Names stay names: nothing is looked up in sys.modules, let alone imported."""
    monkeypatch.setattr("builtins.__import__", lambda *a, **k: pytest.fail(f"imported {a[0]}"))
    calls = {("antigravity", "fly"): lambda: 5}
    assert machine.Machine(pickled(name("antigravity", "fly") + b")R"), calls).run() == 5


def test_plain_values_arrive():
    content = {"a": [1, -2, 2**40, 0.5, None, True, "ä"], ("b", 1): (b"x" * 300, frozenset([3]), {"c": {}}), "d": ()}
    for protocol in (2, 3, 4, 5):
        calls = {("_codecs", "encode"): lambda t, e: t.encode(e), ("builtins", "frozenset"): None}
        calls[("__builtin__", "frozenset")] = calls[("builtins", "frozenset")] = lambda items: frozenset(items)
        found = machine.Machine(pickle.dumps(content, protocol), calls).run()
        found["b", 1] = (bytes(found["b", 1][0]), *found["b", 1][1:])
        assert found == content


def test_attgan_setting_is_bounded(tmp_path):
    (tmp_path / "setting.txt").write_text('{"a": "' + "x" * 100_000 + '"}')
    assert attgan.setting_beside(tmp_path / "weights.pth") is None
