"""AttGAN: an encoder, a decoder that takes attributes, and a discriminator that also names them (He et al. 2019).

The names of the parameters are those of the PyTorch program whose checkpoints are passed around
(``enc_layers.I.layers.0`` is a convolution, ``layers.1`` its norm), so published files fit without renaming.

Shapes: images ``x [N, 3, S, S]`` in [-1, 1]; attributes ``a [N, n_attrs]``, where training shows the decoder -0.5 (no)
and 0.5 (yes); the encoding ``zs`` is a list of ``enc_layers`` maps, each half as large as the one before.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from . import stored

SLOPE = 0.01  # of the PyTorch program's leaky ReLUs; the TensorFlow one has 0.2
NORMS = ("batchnorm", "instancenorm", "none")
HEADS = ("image", "change")

HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
# What a face has not at the same time: switching one on switches the others off.
CONFLICTS = (
    HAIR,
    ("Bald", "Bangs"),
    ("Bald", "Receding_Hairline"),
    ("Mustache", "No_Beard"),
    ("Straight_Hair", "Wavy_Hair"),
)


def resolve_conflicts(a: Tensor, changed: int, attrs: Sequence[str]) -> Tensor:
    """Attributes 0/1 ``[..., n_attrs]`` after attribute ``changed`` was set: what contradicts it is cleared.

    One hair colour; bald removes bangs and bangs baldness; a moustache clears No_Beard (He et al. 2019, their program).
    Only where ``changed`` is on; a copy is returned.
    """
    a, name = a.clone(), attrs[changed]
    on = a[..., changed] > 0
    for group in CONFLICTS:
        if name in group:
            for other in group:
                if other != name and other in attrs:
                    i = attrs.index(other)
                    a[..., i] = torch.where(on, torch.zeros_like(a[..., i]), a[..., i])
    return a


def _norm(kind: str, channels: int) -> list[nn.Module]:
    if kind not in NORMS:
        raise ValueError(f"unknown norm {kind!r}; {', '.join(NORMS)}")
    if kind == "none":
        return []
    if kind == "batchnorm":
        return [nn.BatchNorm2d(channels)]
    return [nn.InstanceNorm2d(channels, affine=True)]


class _Layer(nn.Module):
    """Convolution (a bias only where no norm follows), norm, activation; halves or doubles the size."""

    def __init__(self, n_in: int, n_out: int, norm: str, activation: nn.Module | None, transposed: bool = False):
        super().__init__()
        kind = nn.ConvTranspose2d if transposed else nn.Conv2d
        convolution = kind(n_in, n_out, 4, stride=2, padding=1, bias=norm == "none")
        self.layers = nn.Sequential(convolution, *_norm(norm, n_out), *([activation] if activation else []))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class _Linear(nn.Module):
    def __init__(self, n_in: int, n_out: int, activation: nn.Module | None = None):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_in, n_out), *([activation] if activation else []))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def laid_over(x: Tensor, z: Tensor, refine: nn.Module | None) -> tuple[Tensor, Tensor]:
    """The change that the last layer ``z`` holds over the input ``x [1 or N, 3, S, S]``, and its mask."""
    x = x.to(z.dtype).expand(len(z), -1, -1, -1)
    if refine is not None:
        z = refine(torch.cat([z, x], dim=1))
    picture, mask = z[:, :3].tanh(), z[:, 3:].sigmoid()
    return torch.lerp(x, picture, mask.expand_as(x)), mask


@stored("attgan", "generator")
class Generator(nn.Module):
    """Encoder and decoder (He et al. 2019, section 3.4 and table 1).

    Args:
        n_attrs: number of attributes; ``attrs`` their names in order, where they are known.
        img_size: side of the pictures it was trained on; None where a checkpoint does not tell.
        enc_dim, enc_layers, dec_dim, dec_layers: widths double with each halving up to ``max_dim``.
        shortcut_layers: decoder layers after the first that also see the encoder's map of their size.
        inject_layers: decoder layers after the first that also see the attributes.
        enc_norm, dec_norm: "batchnorm", "instancenorm" or "none".
        slope: of the encoder's leaky ReLU.
        head: "image" (the paper's), or "change": the last layer gives a picture and a mask of where it is laid over the
            input, which stays as it is everywhere else.
        refine: channels of the last layer, after which a convolution at full size that also sees the input makes the
            picture and the mask; 0: the last layer makes them itself. For ``head="change"``.
        difference: the decoder is told what is to change instead of how the result is to be (STGAN, Liu et al. 2019).
    """

    def __init__(
        self,
        n_attrs: int = 13,
        img_size: int | None = 128,
        enc_dim: int = 64,
        enc_layers: int = 5,
        dec_dim: int = 64,
        dec_layers: int = 5,
        shortcut_layers: int = 1,
        inject_layers: int = 1,
        max_dim: int = 1024,
        enc_norm: str = "batchnorm",
        dec_norm: str = "batchnorm",
        slope: float = SLOPE,
        attrs: Sequence[str] | None = None,
        head: str = "image",
        refine: int = 0,
        difference: bool = False,
    ):
        super().__init__()
        if head not in HEADS or (refine and head != "change"):
            raise ValueError(f"a head is one of {', '.join(HEADS)}, and only a change is refined")
        if attrs is not None and len(attrs) != n_attrs:
            raise ValueError(f"{len(attrs)} names for {n_attrs} attributes")
        if dec_layers > enc_layers or dec_layers < 1:
            raise ValueError("the decoder has at most as many layers as the encoder")
        self.config = {
            "n_attrs": n_attrs,
            "img_size": img_size,
            "enc_dim": enc_dim,
            "enc_layers": enc_layers,
            "dec_dim": dec_dim,
            "dec_layers": dec_layers,
            "shortcut_layers": shortcut_layers,
            "inject_layers": inject_layers,
            "max_dim": max_dim,
            "enc_norm": enc_norm,
            "dec_norm": dec_norm,
            "slope": slope,
            "attrs": None if attrs is None else list(attrs),
        }
        if head != "image" or difference:  # files of before have none of them
            self.config |= {"head": head, "refine": refine, "difference": difference}
        self.head, self.difference = head, difference
        self.n_attrs, self.img_size, self.attrs = n_attrs, img_size, self.config["attrs"]
        self.shortcut_layers = min(shortcut_layers, dec_layers - 1)
        self.inject_layers = min(inject_layers, dec_layers - 1)

        widths = [min(enc_dim * 2**i, max_dim) for i in range(enc_layers)]
        ins = [3, *widths[:-1]]
        self.enc_layers = nn.ModuleList(
            _Layer(i, o, enc_norm, nn.LeakyReLU(slope)) for i, o in zip(ins, widths, strict=True)
        )
        layers, n_in = [], widths[-1] + n_attrs
        made = 3 if head == "image" else 4
        final = nn.Tanh() if head == "image" else nn.ReLU() if refine else nn.Identity()
        for i in range(dec_layers):
            last = i == dec_layers - 1
            n_out = (refine or made) if last else min(dec_dim * 2 ** (dec_layers - i - 1), max_dim)
            layers.append(
                _Layer(n_in, n_out, "none" if last else dec_norm, final if last else nn.ReLU(), transposed=True)
            )
            n_in = n_out
            if i < self.shortcut_layers:
                n_in += widths[-2 - i]
            if i < self.inject_layers:
                n_in += n_attrs
        self.dec_layers = nn.ModuleList(layers)
        self.refine = nn.Conv2d(refine + 3, made, 3, padding=1) if refine else None

    def encode(self, x: Tensor) -> list[Tensor]:
        """``x [N, 3, S, S]``, S a multiple of ``2**enc_layers`` -> ``zs``, from the largest map to the smallest.

        Where the head is a change, x itself comes first.
        """
        zs = [x] if self.head == "change" else []
        for layer in self.enc_layers:
            x = layer(x)
            zs.append(x)
        return zs

    def decode(self, zs: Sequence[Tensor], a: Tensor) -> Tensor:
        """An encoding and attributes -> pictures ``[N, 3, S, S]``.

        ``zs`` of one picture serves any number of attribute rows: maps of batch 1 are repeated for ``a [N, n_attrs]``.
        Where ``difference`` is on, ``a`` is what is to change, 0 for what stays (``told``).
        """
        return self.made(zs, a)[0]

    def made(self, zs: Sequence[Tensor], a: Tensor) -> tuple[Tensor, Tensor | None]:
        """``decode``, and the mask ``[N, 1, S, S]`` of a change; None without one."""
        n = max(a.shape[0], zs[-1].shape[0])

        def with_attributes(z: Tensor) -> Tensor:
            tiled = a.to(z.dtype).reshape(*a.shape, 1, 1).expand(n, -1, *z.shape[2:])
            return torch.cat([z.expand(n, -1, -1, -1), tiled], dim=1)

        z = with_attributes(zs[-1])
        for i, layer in enumerate(self.dec_layers):
            z = layer(z)
            if i < self.shortcut_layers:
                z = torch.cat([z, zs[-2 - i].expand(n, -1, -1, -1)], dim=1)
            if i < self.inject_layers:
                z = with_attributes(z)
        return (z, None) if self.head == "image" else laid_over(zs[0], z, self.refine)

    def told(self, values: Tensor, source: Tensor) -> Tensor:
        """What the decoder takes for pictures that have ``source`` and are to have ``values``, ``[N, n_attrs]``."""
        return values - source if self.difference else values

    def forward(self, x: Tensor, a: Tensor) -> Tensor:
        return self.decode(self.encode(x), a)


@stored("attgan", "discriminator")
class Discriminator(nn.Module):
    """Shared convolutions, then two heads: real or made ``[N, 1]`` and the attributes' logits ``[N, n_attrs]``."""

    def __init__(
        self,
        n_attrs: int = 13,
        img_size: int = 128,
        dis_dim: int = 64,
        dis_layers: int = 5,
        dis_fc_dim: int = 1024,
        max_dim: int = 1024,
        norm: str = "instancenorm",
        slope: float = SLOPE,
    ):
        super().__init__()
        if img_size % 2**dis_layers:
            raise ValueError(f"{img_size} px cannot be halved {dis_layers} times")
        self.config = {
            "n_attrs": n_attrs,
            "img_size": img_size,
            "dis_dim": dis_dim,
            "dis_layers": dis_layers,
            "dis_fc_dim": dis_fc_dim,
            "max_dim": max_dim,
            "norm": norm,
            "slope": slope,
        }
        widths = [min(dis_dim * 2**i, max_dim) for i in range(dis_layers)]
        ins = [3, *widths[:-1]]
        self.conv = nn.Sequential(*(_Layer(i, o, norm, nn.LeakyReLU(slope)) for i, o in zip(ins, widths, strict=True)))
        flat = widths[-1] * (img_size // 2**dis_layers) ** 2
        self.fc_adv = nn.Sequential(_Linear(flat, dis_fc_dim, nn.ReLU()), _Linear(dis_fc_dim, 1))
        self.fc_cls = nn.Sequential(_Linear(flat, dis_fc_dim, nn.ReLU()), _Linear(dis_fc_dim, n_attrs))

    def features(self, x: Tensor) -> Tensor:
        """The last map, flattened: ``[N, C * S/2^L * S/2^L]``."""
        return self.conv(x).flatten(1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x)
        return self.fc_adv(h), self.fc_cls(h)
