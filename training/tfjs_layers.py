"""Reads Keras models that an npm package bundles for TensorFlow.js as JavaScript modules, without running any of it.

Such a package has ``model.min.js`` with the content of ``model.json`` as an object of the language, and a file with a
string in base64 for each shard of weights. ``read`` turns the layers into nodes of a graph and leaves the rest to
``tfjs``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from .tfjs import Graph, GraphError, Node, build, unpack

EXPORTS = ".exports="
TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"""
    r"""|(?P<word>![01]|void 0|[A-Za-z_$][\w$]*)|(?P<mark>[{}\[\],:])|(?P<space>\s+)"""
)
WORDS = {"!0": "true", "!1": "false", "true": "true", "false": "false", "null": "null", "void 0": "null"}


def literal(text: str, start: int = 0) -> object:
    """The object, list or string that begins at ``start``: JSON with the shorthands that minifiers write.

    Raises GraphError where it is anything else, such as a call.
    """
    parts, depth, at = [], 0, start
    while True:
        token = TOKEN.match(text, at)
        if token is None:
            raise GraphError(f"no plain object: {text[at : at + 20]!r}")
        at, kind, value = token.end(), token.lastgroup, token.group()
        if kind == "word" and text[at : at + 1] == ":":
            value = json.dumps(value)
        elif kind == "word":
            if value not in WORDS:
                raise GraphError(f"no plain object: {value!r}")
            value = WORDS[value]
        elif kind == "number":
            value = re.sub(r"^(-?)\.", r"\g<1>0.", value)
            value = re.sub(r"\.(?=$|[eE])", ".0", value)
            value = json.dumps(value) if text[at : at + 1] == ":" else value
        parts.append(value)
        depth += (value in ("{", "[")) - (value in ("}", "]")) if kind == "mark" else 0
        if depth == 0 and kind != "space":
            return json.loads("".join(parts))


def exported(path: Path) -> object:
    """What the module in ``path`` exports."""
    text = path.read_text(encoding="utf-8")
    at = text.rfind(EXPORTS + "{")
    at = text.rfind(EXPORTS + '"') if at < 0 else at
    if at < 0:
        raise GraphError(f"{path.name} exports no object")
    return literal(text, at + len(EXPORTS))


def _attributes(**values) -> dict:
    out = {}
    for name, value in values.items():
        if isinstance(value, str):
            out[name] = {"s": base64.b64encode(value.upper().encode()).decode()}
        else:
            out[name] = {"list": {"i": [1, *value, 1]}}
    return out


def _nodes(layer: dict, weights: dict[str, Tensor]) -> dict[str, Node]:
    """A layer as nodes; the last has its name. Constants that it needs are added to ``weights``."""
    name, config, kind = layer["name"], layer["config"], layer["class_name"]
    inputs = [node[0] for node in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else []
    if kind == "InputLayer":
        return {name: Node("Placeholder", [])}
    if kind == "Conv2D":
        attributes = _attributes(
            padding=config["padding"], strides=config["strides"], dilations=config["dilation_rate"]
        )
        if config["activation"] != "linear" or config["use_bias"]:
            return {name: Node("Conv2D with bias", inputs)}
        return {name: Node("Conv2D", [inputs[0], f"{name}/kernel"], attributes)}
    if kind == "BatchNormalization":
        scale = (weights[f"{name}/moving_variance"] + config["epsilon"]).rsqrt()
        if config["scale"]:
            scale = scale * weights[f"{name}/gamma"]
        weights[f"{name}/by"] = scale
        weights[f"{name}/plus"] = weights[f"{name}/beta"] - weights[f"{name}/moving_mean"] * scale
        product = f"{name}/product"
        return {product: Node("Mul", [inputs[0], f"{name}/by"]), name: Node("Add", [product, f"{name}/plus"])}
    if kind == "Activation" and config["activation"] == "relu":
        return {name: Node("Relu", inputs)}
    if kind in ("MaxPooling2D", "AveragePooling2D"):
        attributes = _attributes(padding=config["padding"], strides=config["strides"], ksize=config["pool_size"])
        return {name: Node("MaxPool" if kind == "MaxPooling2D" else "AvgPool", inputs, attributes)}
    if kind == "Concatenate":
        weights[f"{name}/axis"] = torch.tensor(config["axis"])
        return {name: Node("ConcatV2", [*inputs, f"{name}/axis"])}
    return {name: Node(kind, inputs)}  # an error only if an output needs it


def read(folder: str | Path, outputs: Sequence[str]) -> Graph:
    """The model in ``folder`` (``model.min.js`` and its shards) as far as the layers ``outputs`` need it.

    Raises GraphError where it is something else, OSError where a file is missing.
    """
    folder = Path(folder)
    content = exported(folder / "model.min.js")
    try:
        layers = content["modelTopology"]["model_config"]["config"]["layers"]
        weights = {}
        for group in content["weightsManifest"]:
            raw = b"".join(base64.b64decode(exported(folder / f"{shard}.min.js")) for shard in group["paths"])
            weights |= unpack(raw, group["weights"], folder.name)
        nodes = {}
        for layer in layers:
            nodes |= _nodes(layer, weights)
    except (KeyError, TypeError) as error:
        raise GraphError(f"{folder.name} is no Keras model for TensorFlow.js") from error
    return build(nodes, weights, outputs, folder.name)
