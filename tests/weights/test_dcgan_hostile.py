"""DCGAN files that want to run something, to fill the memory, or that claim what they do not hold."""

from __future__ import annotations

import json
import random
import struct

import numpy as np
import pytest
import safetensors.torch
import torch
from crafted import name, one_sentence, pickled, text
from dcgan_files import array, igan, named, python2_pickle, sequential, string
from refusals import MARKERS, converted_here, refused, refused_here

import weights

ZEROS = np.zeros(4, "f4")
pytestmark = pytest.mark.usefixtures("nothing_happens")


@pytest.fixture(autouse=True)
def foreseen(caplog):
    """Every refusal has a reason of its own; what nobody thought of is refused too, but logged as a bug."""
    yield
    assert not [r for r in caplog.get_records("call") if r.name == "weights.formats" and r.levelname == "ERROR"]


def with_array(bad: bytes) -> bytes:
    """An honest file but for one array."""
    model = igan()
    model["gen_params"][1] = bad
    return python2_pickle(model)


def test_the_honest_file_is_read(tmp_path):
    (tmp_path / "a").write_bytes(with_array(array(np.ones(256, "f4"))))
    assert weights.read(tmp_path / "a").img_resolution == 64


@pytest.mark.parametrize(
    "bad",
    [
        array(ZEROS, kind="O8", data=b"cos\nsystem\n(S'true'\ntR."),
        array(ZEROS, kind="O4"),
        array(ZEROS, kind="V2000000000"),
        array(ZEROS, kind="S4"),
        array(ZEROS, kind="U1"),
        array(ZEROS, kind="f1"),
        array(ZEROS, kind="c8"),
        array(ZEROS, shape=(2**31 - 1,)),
        array(ZEROS, shape=(2**62, 4)),
        array(ZEROS, shape=(2**62, 0), data=b""),
        array(ZEROS, shape=(5,)),
        array(ZEROS, shape=(3,)),
        array(ZEROS, shape=(-4,)),
        array(ZEROS, shape=(-2, -2)),
        array(ZEROS, shape=(1,) * 100),
        array(ZEROS, data=b"\0" * 15),
        array(ZEROS, data=b""),
        array(np.zeros(2000, "f4"), data=b"\0" * 7999),
        array(ZEROS)[: -len(b"tb")] + b"t",  # an array that is never filled
        array(ZEROS) + b"}b",  # and one whose state is something else afterwards
        array(ZEROS) + b"(K\x01K\x02tb",
    ],
)
def test_arrays_that_are_none(bad, refused_bytes):  # noqa: F811
    refused_bytes(with_array(bad))


@pytest.mark.parametrize("module", ["os", "posix", "nt", "subprocess", "__builtin__", "copy_reg", "cPickle"])
def test_calls_of_python_2(module, refused_bytes):  # noqa: F811
    what = {"__builtin__": "eval", "copy_reg": "_reconstructor", "subprocess": "call", "cPickle": "loads"}
    asked = name(module, what.get(module, "system"))
    call = asked + string(f"touch {MARKERS[0]}") + b"\x85R"
    for content in (with_array(call), python2_pickle({"gen_params": [call]}), pickled(call, protocol=2)):
        assert f"{module}." in refused_bytes(content)


def test_text_where_an_array_has_its_numbers(refused_bytes):  # noqa: F811
    honest = array(ZEROS)
    data = string(ZEROS.tobytes())
    for other in (text("ä" * 16), text("\u20ac" * 16), text("a" * 5000), b"N", b"]", b"K\x05", b"\x88"):
        assert honest.count(data) == 1
        refused_bytes(with_array(honest.replace(data, other)))


@pytest.mark.parametrize("key", ["gen_params", "gen_batchnorm", "disc_params", "postlearn_params", "predict_batchnorm"])
def test_nests_where_a_list_of_arrays_belongs(key, refused_bytes):  # noqa: F811
    bomb = b"]q\x01" + b"".join(b"](" + b"h\x01" * 10 + b"eq\x01" for _ in range(40))  # 10^40 lists
    for nest in (bomb, b"]q\x01h\x01a", b"]" * 1000 + b"a" * 999, b"}" + string("a") + b"}s", b")", b"N" * 1):
        model = igan()
        if key == "postlearn_params":
            del model["gen_batchnorm"], model["disc_batchnorm"]
        model[key] = nest
        content = python2_pickle(model)
        if nest == b"N" and key in ("disc_params", "predict_batchnorm"):
            continue  # nothing there: left out
        refused_bytes(content)


def test_one_array_in_every_place(refused_bytes):  # noqa: F811
    """Eight megabytes of numbers, named often enough to fill the memory."""
    big = array(np.zeros(2**21, "f4")) + b"q\x01"
    model = igan()
    model["gen_params"] = [big, *[b"h\x01"] * 12]
    model["disc_params"] = [b"h\x01"] * 11
    refused_bytes(python2_pickle(model))
    # the shapes fit, but for each layer the numbers are the same ones
    n, count = 64, 6
    layer, unit = array(np.zeros((n, n, 5, 5), "f4")) + b"q\x01", array(np.ones(n, "f4")) + b"q\x02"
    gen = [np.zeros((2, 16 * n), "f4"), np.ones(16 * n, "f4"), np.ones(16 * n, "f4"), layer, unit, b"h\x02"]
    gen += [b"h\x01", b"h\x02", b"h\x02"] * (count - 1) + [np.zeros((n, 3, 5, 5), "f4")]
    norms = [np.ones(16 * n, "f4"), *[b"h\x02"] * count] * 2
    assert "unfolds" in refused_bytes(python2_pickle({"gen_params": gen, "gen_batchnorm": norms}))


def test_cut_and_spoilt_files(tmp_path):
    content, draw = python2_pickle(igan(2, 2, 1)), random.Random(3)
    path = tmp_path / "a"
    for cut in sorted(draw.sample(range(len(content)), 25)) + [len(content) - 1]:
        path.write_bytes(content[:cut])
        refused_here(path)
    spoilt = 0
    for _ in range(80):
        changed = bytearray(content)
        for _byte in range(4):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        path.write_bytes(changed)
        try:
            converted_here(path)
        except weights.RefusedFile as error:
            spoilt += 1
            one_sentence(error)
    assert spoilt


def test_lengths_beyond_the_file(refused_bytes):  # noqa: F811
    data = string(np.zeros(2000, "f4").tobytes())
    for claim in (2**31 - 1, -1, -(2**31)):
        bad = array(np.zeros(2000, "f4")).replace(data[:5], b"T" + struct.pack("<i", claim))
        refused_bytes(with_array(bad))


# -- stacks of PyTorch


@pytest.mark.parametrize(
    "state",
    [
        {f"{i}.weight": torch.ones(3, 3, 4, 4) for i in range(60)},
        {f"{i}.weight": torch.ones(1) for i in range(2000)},
        {"1" * 190 + ".weight": torch.ones(3, 3, 4, 4), "2.weight": torch.ones(3, 3, 4, 4)},
        {"9" * 5000 + ".weight": torch.ones(3, 3, 4, 4), "2.weight": torch.ones(3, 3, 4, 4)},
        {"0." * 90 + "weight": torch.ones(3, 3, 4, 4), "2.weight": torch.ones(3, 3, 4, 4)},
        {"a.0.weight": torch.ones(3, 3, 4, 4), "b.1.weight": torch.ones(3, 3, 4, 4)},
        {"0.bias": torch.ones(3), "1.bias": torch.ones(3)},
        {"0.weight": torch.ones(0, 3, 4, 4), "1.running_mean": torch.ones(3), "2.weight": torch.ones(3, 3, 4, 4)},
        {"0.weight": torch.ones(3, 0, 4, 4), "1.running_mean": torch.ones(0), "2.weight": torch.ones(0, 3, 4, 4)},
        {"0.weight": torch.ones(3, 3, 4, 4), "1.running_mean": torch.ones(3), "2.weight": torch.ones(3, 3, 4, 4)},
        named(sequential(2, (2, 2))) | {"1.num_batches_tracked": torch.ones(5)},
        named(sequential(2, (2, 2))) | {"1.running_mean": torch.ones(2, dtype=torch.int64)},
        named(sequential(2, (2, 2))) | {"0.bias": torch.ones(7)},
        named(sequential(2, (2, 2))) | {"0.running_mean": torch.ones(2)},
    ],
)
def test_stacks_that_are_none(state, tmp_path):
    torch.save(state, tmp_path / "a")
    refused(tmp_path / "a")
    torch.save({"G": state, "D": state}, tmp_path / "b")
    refused(tmp_path / "b")


def test_views_that_unfold(tmp_path):
    state = named(sequential(2, (2, 2)))
    state["0.weight"] = torch.zeros(1).expand(2048, 2048, 4, 4)
    torch.save(state, tmp_path / "a")
    refused(tmp_path / "a")


@pytest.mark.parametrize(
    "change",
    [
        {"widths": [1] * 40},
        {"widths": []},
        {"widths": [10**6] * 4},
        {"widths": 7},
        {"widths": ["a"]},
        {"z_dim": 10**9},
        {"z_dim": -1},
        {"img_channels": 7},
        {"kernel": 3},
        {"kernel": 10**6},
        {"prior": "<b>"},
        {"eps": 1e308},
        {"unknown": 1},
    ],
)
def test_our_own_layout_with_settings_that_do_not_fit(change, tmp_path):
    (tmp_path / "a").write_bytes(python2_pickle(igan()))
    net = weights.read(tmp_path / "a")
    config = {**net.config, "generator": {**net.config["generator"], **change}}
    entry = {"format": 1, "technique": "igan", "kind": "generator", "config": config}
    safetensors.torch.save_file(net.state_dict(), tmp_path / "b", metadata={"ganbook": json.dumps(entry)})
    refused(tmp_path / "b")
    for config in ({"generator": None}, {"generator": []}, {}, {**net.config, "predictor": {"outputs": 3}}):
        safetensors.torch.save_file(
            net.state_dict(), tmp_path / "c", metadata={"ganbook": json.dumps({**entry, "config": config})}
        )
        refused(tmp_path / "c")
