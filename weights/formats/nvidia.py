"""Pickles of NVIDIA's PyTorch code: stylegan2-ada-pytorch and the stylegan3 repository (StyleGAN2 and StyleGAN3).

The file is a dict with ``G``, ``D`` and ``G_ema`` (the averaged generator, the one to show). Every module in it is a
record with class name, source text and ``__dict__``. The text is never looked at. Values that a training run left to
the defaults of its repository (they differ between the two) stand in the attributes of the layers, so they are taken
from there; PTI and other tuners save the same records inside a torch file.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import RefusedFile, shown
from . import official, stylegan3
from .checkpoint import MAX_TENSORS, Checkpoint, Room, take_tensors
from .machine import Budget, Calls, Global, Machine
from .records import PERSISTENCE, PLAIN, TENSORS, ModuleRecord, TensorRecord, storage_from_bytes

MAX_DEPTH = 12  # of modules within modules; a generator has four levels
MAX_MODULES = 4096
MAX_TAPS = 32  # of a resampling filter
CALLS: Calls = PLAIN | TENSORS | PERSISTENCE
GROUPS = ("_parameters", "_buffers", "_modules")
KEYS = {"generator": ("G_ema", "G"), "discriminator": ("D",)}


def foreign(found: Global) -> None:
    """Names in other people's pickles that deserve a sentence of their own."""
    if found.module.startswith("dnnlib.tflib"):
        raise RefusedFile(
            "This is a TensorFlow pickle of the original StyleGAN code, which needs TensorFlow 1;"
            " choose the PyTorch version of the same checkpoint instead."
        )
    if found.module.split(".")[0] in ("theano", "pygpu"):
        raise RefusedFile(
            "This pickle holds variables of Theano, which only Theano can read; save their values as NumPy arrays."
        )


def read(data) -> object:
    """The tree of plain values and records that the pickle describes (see ``machine`` and ``records``)."""
    budget = Budget()
    calls = CALLS | {("torch.storage", "_load_from_bytes"): storage_from_bytes(budget)}
    return Machine(data, calls, on_foreign=foreign, budget=budget).run()


def holds_modules(tree: object) -> bool:
    if isinstance(tree, ModuleRecord):
        return True
    return isinstance(tree, dict) and any(isinstance(tree.get(k), ModuleRecord) for k in ("G_ema", "G", "D"))


def interpret(tree: object, part: str, room: Room) -> Checkpoint:
    """Picks the network and brings it into our form. ``part`` is ``generator`` or ``discriminator``."""
    if part not in KEYS:
        raise RefusedFile(f"This is a pickle of NVIDIA's program, which holds no {part}.")
    module = tree if isinstance(tree, ModuleRecord) else _pick(tree, part)
    state = _state(module)
    technique = "stylegan2"
    if stylegan3.is_stylegan3(state):
        technique, kind = "stylegan3", "generator"
        config = stylegan3.generator_config(state, **_stylegan3_attributes(module))
    elif official.is_generator(state):
        kind, config = "generator", official.generator_config(state, **_generator_attributes(module, state))
    elif official.is_discriminator(state):
        kind, config = "discriminator", official.discriminator_config(state, **_discriminator_attributes(module))
    else:
        raise RefusedFile(f"The network {shown(module.class_name)} in this pickle is no StyleGAN2 or StyleGAN3.")
    if kind != part:
        raise RefusedFile(f"This file holds a {kind} only, and a {part} is wanted here.")
    return Checkpoint(technique, kind, config, square_filters(take_tensors(state, room)), "nvidia")


def square_filters(state: dict) -> dict:
    """The ada code keeps filters of eight taps and more in one dimension; ours are always squares."""
    for name, value in state.items():
        if name.endswith("resample_filter") and value.ndim == 1:
            if value.numel() > MAX_TAPS:
                raise RefusedFile("This checkpoint has a resampling filter longer than any network uses.")
            state[name] = value.outer(value)
    return state


def _pick(tree: Mapping, part: str) -> ModuleRecord:
    for key in KEYS[part]:
        if isinstance(tree.get(key), ModuleRecord):
            return tree[key]
    raise RefusedFile(f"This pickle holds no {part} (nothing is called {' or '.join(KEYS[part])}).")


def _state(module: ModuleRecord) -> dict[str, TensorRecord]:
    """What ``module.state_dict()`` would give."""
    state: dict[str, TensorRecord] = {}
    waiting, names = [("", module, 0)], 0
    for prefix, record, depth in waiting:  # the list grows while it is walked
        if depth > MAX_DEPTH or len(waiting) > MAX_MODULES:
            raise RefusedFile("This pickle nests more modules than any checkpoint has, so it is not read.")
        # One record may be referred to many times, and each time all of its names count.
        names += sum(len(group) for key in GROUPS if isinstance(group := record.state.get(key), dict))
        if names > MAX_TENSORS:
            raise RefusedFile("This pickle names more tensors than any network has, so it is not read.")
        for group in GROUPS[:2]:
            for name, value in _group(record, group).items():
                if isinstance(value, TensorRecord):
                    state[f"{prefix}{name}"] = value
                elif value is not None:
                    raise RefusedFile(f"The value of {shown(prefix)}{shown(name)} is no tensor.")
        for name, child in _group(record, "_modules").items():
            if isinstance(child, ModuleRecord):
                waiting.append((f"{prefix}{name}.", child, depth + 1))
            elif child is not None:
                raise RefusedFile(f"The module {shown(prefix)}{shown(name)} is of a kind that is not read.")
    return state


def _group(record: ModuleRecord, name: str) -> dict:
    group = record.state.get(name, {})
    if not isinstance(group, dict) or not all(isinstance(key, str) and len(key) < 64 for key in group):
        raise RefusedFile(f"The {name[1:]} of {shown(record.class_name)} are not as a network has them.")
    return group


def _child(module: ModuleRecord, path: str) -> ModuleRecord | None:
    for name in path.split("."):
        module = _group(module, "_modules").get(name)
        if not isinstance(module, ModuleRecord):
            return None
    return module


def _attribute(module: ModuleRecord, path: str, name: str, kinds: tuple, default=None):
    """A plain attribute of a layer, or ``default`` where the layer does not have it."""
    record = _child(module, path)
    value = default if record is None else record.state.get(name, default)
    if value is default:
        return default
    if isinstance(value, kinds):
        return value
    raise RefusedFile(f"The setting {name} of {shown(path)} in this pickle is of a kind that makes no sense.")


def _half_blocks(module: ModuleRecord, path: str) -> int:
    """How many resolutions run in half precision."""
    holder = _child(module, path) if path else module
    blocks = _group(holder, "_modules").values() if holder else ()
    return sum(1 for block in blocks if isinstance(block, ModuleRecord) and block.state.get("use_fp16") is True)


def _generator_attributes(module: ModuleRecord, state: Mapping) -> dict:
    number, nothing = (int, float), type(None)
    known = {
        "conv_clamp": _attribute(module, "synthesis.b4.conv1", "conv_clamp", (*number, nothing)),
        "activation": _attribute(module, "synthesis.b4.conv1", "activation", (str,), "lrelu"),
        "lr_multiplier": _attribute(module, "mapping.fc0", "bias_gain", number, 0.01),
        "num_fp16_res": _half_blocks(module, "synthesis"),
    }
    if "mapping.w_avg" in state:
        known["w_avg_beta"] = _attribute(module, "mapping", "w_avg_beta", number, 0.995)
    return known


def _stylegan3_attributes(module: ModuleRecord) -> dict:
    number = (int, float)
    synthesis = _child(module, "synthesis")
    given = synthesis.state.get("_init_kwargs") if synthesis else None
    known = stylegan3.attributes(
        given if isinstance(given, Mapping) else {}, _attribute(module, "mapping", "w_avg_beta", number)
    )
    return {**known, "lr_multiplier": _attribute(module, "mapping.fc0", "bias_gain", number, 0.01)}


def _discriminator_attributes(module: ModuleRecord) -> dict:
    number, nothing = (int, float), type(None)
    return {
        "conv_clamp": _attribute(module, "b4.conv", "conv_clamp", (*number, nothing)),
        "activation": _attribute(module, "b4.conv", "activation", (str,), "lrelu"),
        "lr_multiplier": _attribute(module, "mapping.fc0", "bias_gain", number, 0.01),
        "num_fp16_res": _half_blocks(module, ""),
        "mbstd_group_size": _attribute(module, "b4.mbstd", "group_size", (int, nothing), 4),
    }
