"""Files that want to run something, to fill the memory, or to keep the machine busy.

Each is refused with one sentence, quickly, and leaves nothing behind.
"""

from __future__ import annotations

import io
import os
import struct
import warnings

import pytest
import torch
from crafted import generator, name, pickled, text
from refusals import MARKERS, refused

import weights

pytestmark = pytest.mark.usefixtures("nothing_happens")

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
