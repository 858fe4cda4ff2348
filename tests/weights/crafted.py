"""Files that the tests make themselves: honest ones in other people's layouts, and sentences to check."""

from __future__ import annotations

import errno
import re
import struct
import sys
import types
from collections import OrderedDict

import torch
from torch import nn

from weights import isolation, paths, shelf

SMALL = {"z_dim": 16, "w_dim": 16, "img_resolution": 8, "mapping_layers": 2, "channels": {4: 16, 8: 8}}


def generator(seed: int = 0, **config):
    """A tiny generator with all its terms at work, and its configuration."""
    from models.stylegan2 import Generator

    torch.manual_seed(seed)
    return shaken(Generator(**{**SMALL, **config}))


def discriminator(seed: int = 0, **config):
    from models.stylegan2 import Discriminator

    torch.manual_seed(seed)
    return shaken(Discriminator(**{"img_resolution": 8, "channels": {4: 16, 8: 8}, **config}))


def shaken(net: nn.Module) -> nn.Module:
    """Biases, noise strengths and the average latent away from their start values, so that leaving one out shows."""
    with torch.no_grad():
        for name, value in (*net.named_parameters(), *net.named_buffers()):
            if name.endswith(("bias", "noise_strength", "w_avg")):
                value.add_(0.3 * torch.randn_like(value))
    return net.eval().requires_grad_(False)


def one_sentence(error: BaseException) -> str:
    """The message, after a check that it is one line and one sentence of bearable length."""
    message = str(error)
    assert "\n" not in message and 20 < len(message) < 420, message
    assert message[0].isupper() or message[0].isdigit() or re.match(r"[a-z0-9]+/|http", message), message
    bare = re.sub(r"https?://\S+|[\w-]+\.[\w.-]+", "X", message)  # links, names and numbers have dots of their own
    assert "Traceback" not in message and not re.search(r"[.!?] [A-Z]", bare), message
    assert message.endswith(".") or re.search(r"https?://\S+$", message), message
    return message


def full_cache(patch) -> None:
    """The disk of the cache has no room for a conversion, that of temporary files has; as long as the patch lasts."""
    honest = isolation.exchange

    def exchange(task, path, arguments, alive=None):
        if arguments["folder"].startswith(str(paths.cache())):
            return {"full": "The disk is full."}
        return honest(task, path, arguments, alive)

    def another_disk(made, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    patch.setattr(isolation, "exchange", exchange)
    patch.setattr(shelf, "keep", another_disk)


# -- NVIDIA's persistent objects, without NVIDIA's code


def persistence_modules(monkeypatch) -> types.ModuleType:
    """The module names that such pickles refer to, so that pickles can be *written* here."""
    package, module = types.ModuleType("torch_utils"), types.ModuleType("torch_utils.persistence")

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("a reader has imported and called what the file names")

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj
    monkeypatch.setitem(sys.modules, "torch_utils", package)
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", module)
    return module


class Persistent:
    """Pickles like a module of NVIDIA's code: its attributes in a record beside source text that must never run."""

    def __init__(self, module: nn.Module, attributes=lambda module: {}):
        plain = (int, float, str, bool, type(None))
        self.state = {k: v for k, v in vars(module).items() if isinstance(v, plain) and not k.startswith("__")}
        self.state |= attributes(module)
        self.state |= {
            "_parameters": OrderedDict(module._parameters),
            "_buffers": OrderedDict(module._buffers),
            "_non_persistent_buffers_set": set(),
            "_modules": OrderedDict((k, Persistent(v, attributes)) for k, v in module._modules.items()),
            "_init_args": (),
            "_init_kwargs": {},
        }
        self.class_name = type(module).__name__

    def __reduce__(self):
        meta = {"type": "class", "version": 6, "module_src": "raise AssertionError", "class_name": self.class_name}
        function = sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj
        return function, ({**meta, "state": self.state},)


# -- pieces of pickles


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def pickled(*parts: bytes, protocol: int = 3) -> bytes:
    return b"\x80" + bytes([protocol]) + b"".join(parts) + b"."


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


# -- safetensors by hand


def safetensors_bytes(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


# -- rosinality's names for a network of ours


def rosinality_state(net) -> dict:
    """The state dict that rosinality's program would have for the same network (the way back from the reader's)."""
    state = net.state_dict()
    kernel = state["synthesis.b4.resample_filter"] * 4
    out = {}
    for i in range(net.config["mapping_layers"]):
        for kind in ("weight", "bias"):
            out[f"style.{i + 1}.{kind}"] = state[f"mapping.fc{i}.{kind}"]
    out["input.input"] = state["synthesis.b4.const"][None]
    index = 0
    for res in sorted({int(m[1]) for k in state if (m := re.match(r"synthesis\.b(\d+)\.", k))}):
        for conv in ("conv1",) if res == 4 else ("conv0", "conv1"):
            theirs, ours = ("conv1" if res == 4 else f"convs.{index - 1}"), f"synthesis.b{res}.{conv}"
            out[f"{theirs}.conv.weight"] = state[f"{ours}.weight"][None]
            if conv == "conv0":
                out[f"{theirs}.conv.blur.kernel"] = kernel
            out[f"{theirs}.conv.modulation.weight"] = state[f"{ours}.affine.weight"]
            out[f"{theirs}.conv.modulation.bias"] = state[f"{ours}.affine.bias"]
            out[f"{theirs}.noise.weight"] = state[f"{ours}.noise_strength"].reshape(1)
            out[f"{theirs}.activate.bias"] = state[f"{ours}.bias"]
            out[f"noises.noise_{index}"] = state[f"{ours}.noise_const"][None, None]
            index += 1
        theirs = "to_rgb1" if res == 4 else f"to_rgbs.{res.bit_length() - 4}"
        out[f"{theirs}.bias"] = state[f"synthesis.b{res}.torgb.bias"].reshape(1, 3, 1, 1)
        if res > 4:
            out[f"{theirs}.upsample.kernel"] = kernel
        out[f"{theirs}.conv.weight"] = state[f"synthesis.b{res}.torgb.weight"][None]
        out[f"{theirs}.conv.modulation.weight"] = state[f"synthesis.b{res}.torgb.affine.weight"]
        out[f"{theirs}.conv.modulation.bias"] = state[f"synthesis.b{res}.torgb.affine.bias"]
    return out
