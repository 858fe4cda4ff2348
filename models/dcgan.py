"""DCGAN (Radford et al. 2016), with the predictor that iGAN adds (Zhu et al. 2016, section 3.1).

The generator: a dense layer makes a 4x4 map of the latent, and each transposed convolution (stride 2) doubles it, with
batch norms between; tanh at the end. The discriminator mirrors it, and the predictor is a discriminator that says the
latent. Two families of published files differ in small things, which are arguments here: PyTorch's have 4x4 kernels and
a batch norm per feature map everywhere; Theano's (iGAN) have 5x5 kernels and norm each unit of the first layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from . import stored

PRIORS = ("normal", "uniform")
START = 4  # pixels of a side of the first map
MAX_DOUBLINGS = 8  # 1024 px


def _kernel(kernel: int) -> dict:
    if kernel not in (4, 5):
        raise ValueError("kernel must be 4 or 5")
    return {"kernel_size": kernel, "stride": 2, "padding": (kernel - 1) // 2 if kernel == 4 else 2, "bias": False}


def _side(widths: Sequence[int]) -> int:
    if not 1 <= len(widths) <= MAX_DOUBLINGS:
        raise ValueError(f"widths must be 1 to {MAX_DOUBLINGS} numbers")
    return START << len(widths)


class Generator(nn.Module):
    """``z [N, z_dim]`` -> images ``[N, img_channels, R, R]`` in [-1, 1], R = 4 * 2^len(widths).

    Args:
        widths: feature maps at 4, 8, 16, ... px; ``(512, 256, 128, 64)`` is the usual 64 px network.
        kernel: 4 or 5.
        prior: what latents it was trained on: ``normal`` (mean 0, deviation 1) or ``uniform`` (-1 to 1).
        norm_units: whether the first layer's norm is per unit instead of per feature map.
        eps: of the norms.
    """

    def __init__(
        self,
        z_dim: int = 100,
        widths: Sequence[int] = (512, 256, 128, 64),
        img_channels: int = 3,
        kernel: int = 4,
        prior: str = "normal",
        norm_units: bool = False,
        eps: float = 1e-5,
    ):
        super().__init__()
        if prior not in PRIORS:
            raise ValueError(f"prior must be one of {', '.join(PRIORS)}")
        if img_channels not in (1, 3):
            raise ValueError("img_channels must be 1 or 3")
        widths = tuple(int(n) for n in widths)
        _side(widths)
        self.config = {
            "z_dim": z_dim,
            "widths": list(widths),
            "img_channels": img_channels,
            "kernel": kernel,
            "prior": prior,
            "norm_units": bool(norm_units),
            "eps": eps,
        }
        self.z_dim, self.widths, self.prior, self.norm_units = z_dim, widths, prior, bool(norm_units)
        self.img_resolution, self.img_channels = _side(widths), img_channels
        units = widths[0] * START * START
        self.stem = nn.Linear(z_dim, units, bias=False)
        self.stem_norm = nn.BatchNorm1d(units, eps) if norm_units else nn.BatchNorm2d(widths[0], eps)
        how = _kernel(kernel) | {"output_padding": kernel - 4}
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, **how) for a, b in zip(widths, widths[1:], strict=False))
        self.norms = nn.ModuleList(nn.BatchNorm2d(b, eps) for b in widths[1:])
        self.out = nn.ConvTranspose2d(widths[-1], img_channels, **how)
        _initialise(self)

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z)
        if self.norm_units:
            x = self.stem_norm(x)
        x = x.reshape(-1, self.widths[0], START, START)
        if not self.norm_units:
            x = self.stem_norm(x)
        x = torch.relu(x)
        for up, norm in zip(self.ups, self.norms, strict=True):
            x = torch.relu(norm(up(x)))
        return torch.tanh(self.out(x))

    def sample_z(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """``[count, z_dim]`` latents of the prior, on the generator's device (else the CPU)."""
        device = generator.device if generator is not None else "cpu"
        if self.prior == "uniform":
            return torch.rand(count, self.z_dim, generator=generator, device=device) * 2 - 1
        return torch.randn(count, self.z_dim, generator=generator, device=device)


class Discriminator(nn.Module):
    """Images ``[N, img_channels, R, R]`` in [-1, 1] -> ``[N, outputs]``.

    Args:
        widths: feature maps at R/2, R/4, ..., 4 px; the first layer has no norm.
        norm: ``batch``, or ``none`` (as trained here: R1 wants each picture judged by itself).
        bias: whether the layers have biases, which a network without norms needs: else ``D(s x) = s D(x)``, and grey
            pictures would be half real whatever it has learned.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 512),
        img_channels: int = 3,
        kernel: int = 4,
        norm: str = "batch",
        bias: bool = False,
        outputs: int = 1,
        eps: float = 1e-5,
        slope: float = 0.2,
    ):
        super().__init__()
        if norm not in ("batch", "none"):
            raise ValueError("norm must be batch or none")
        widths = tuple(int(n) for n in widths)
        self.config = {
            "widths": list(widths),
            "img_channels": img_channels,
            "kernel": kernel,
            "norm": norm,
            "bias": bool(bias),
            "outputs": outputs,
            "eps": eps,
            "slope": slope,
        }
        self.img_resolution, self.slope = _side(widths), slope
        how = _kernel(kernel) | {"bias": bool(bias)}
        ends = (img_channels, *widths)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, **how) for a, b in zip(ends, widths, strict=False))
        made = [nn.BatchNorm2d(b, eps) if norm == "batch" else nn.Identity() for b in widths[1:]]
        self.norms = nn.ModuleList([nn.Identity(), *made])
        self.head = nn.Linear(widths[-1] * START * START, outputs, bias=bool(bias))
        _initialise(self)

    def features(self, x: Tensor) -> list[Tensor]:
        """The map after each convolution, R/2 px to 4 px."""
        maps = []
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = nn.functional.leaky_relu(norm(down(x)), self.slope)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)[-1].flatten(1))


class Predictor(Discriminator):
    """``P(x)``: images -> the latent that makes them, ``[N, outputs]`` (Zhu et al. 2016, eq. 3).

    Args:
        bounded: whether the latent is brought into -1 to 1 by tanh, as the ``uniform`` prior wants.
    """

    def __init__(self, *args, bounded: bool = True, **options):
        super().__init__(*args, **options)
        self.config |= {"bounded": bool(bounded)}
        self.bounded = bool(bounded)

    def forward(self, x: Tensor) -> Tensor:
        z = super().forward(x)
        return torch.tanh(z) if self.bounded else z


@stored("igan", "generator")
class DCGAN(nn.Module):
    """A generator with what belongs to it: its discriminator and its predictor, each of which may be missing.

    Args:
        generator, discriminator, predictor: arguments of the three classes.
    """

    def __init__(self, generator: dict, discriminator: dict | None = None, predictor: dict | None = None):
        super().__init__()
        self.generator = Generator(**generator)
        self.discriminator = Discriminator(**discriminator) if discriminator else None
        self.predictor = Predictor(**predictor) if predictor else None
        parts = (self.generator, self.discriminator, self.predictor)
        if len({(p.img_resolution, p.config["img_channels"]) for p in parts if p is not None}) > 1:
            raise ValueError("the networks are for images of different sizes")
        if self.predictor is not None and self.predictor.head.out_features != self.generator.z_dim:
            raise ValueError("the predictor says another latent than the generator takes")
        names = ("generator", "discriminator", "predictor")
        self.config = {name: None if part is None else part.config for name, part in zip(names, parts, strict=True)}
        self.z_dim, self.prior = self.generator.z_dim, self.generator.prior
        self.img_resolution, self.img_channels = self.generator.img_resolution, self.generator.img_channels
        self.c_dim = 0

    def forward(self, z: Tensor) -> Tensor:
        """``z [N, z_dim]`` -> images ``[N, C, R, R]`` in [-1, 1]."""
        return self.generator(z)

    def sample_z(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return self.generator.sample_z(count, generator)


def _initialise(net: nn.Module) -> None:
    """Weights of deviation 0.02, norms around 1 (Radford et al. 2016, section 4)."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
