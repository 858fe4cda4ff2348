"""Projected discriminator (Sauer et al. 2021, "Projected GANs Converge Faster"): heads on frozen feature maps.

A frozen network (``features.load``) gives four maps of strides 4 to 32. Fixed random 1x1 convolutions mix their
channels, a fixed random pyramid mixes their scales (section 3.2), and a small head judges each scale by patches. Only
the heads learn. Real and generated pictures pass the same differentiable augmentation (Zhao et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2
SMALLEST = 8  # pixels down to which a head halves its map; patches are judged there


class Projection(nn.Module):
    """Fixed random mixing of channels and scales. Its weights never learn; they belong to the state of a run.

    Args:
        channels: of the four feature maps, finest first.
        mixed: channels of each mixed map.
    """

    def __init__(self, channels: Sequence[int], mixed: int = 64):
        super().__init__()
        self.across_channels = nn.ModuleList(nn.Conv2d(c, mixed, 1, bias=False) for c in channels)
        self.across_scales = nn.ModuleList(nn.Conv2d(mixed, mixed, 3, padding=1, bias=False) for _ in channels[1:])
        for conv in self.modules():
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
        # Features of networks differ in size by orders of magnitude; heads see them at unit deviation.
        self.register_buffer("scales", torch.ones(len(channels)))
        self.register_buffer("calibrated", torch.tensor(False))
        self.requires_grad_(False)

    @torch.no_grad()
    def calibrate(self, maps: list[Tensor]) -> None:
        """Sets the scales so that these maps of photographs leave at unit deviation."""
        self.scales.fill_(1)
        self.scales.copy_(torch.stack([1 / m.float().std().clamp_min(1e-8) for m in self(maps)]))
        self.calibrated.fill_(True)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Four maps ``[N, C_i, H_i, W_i]``, finest first -> four maps ``[N, mixed, H_i, W_i]``."""
        x = self.across_channels[-1](maps[-1])
        mixed = [x]
        for i in range(len(maps) - 2, -1, -1):
            beside = self.across_channels[i](maps[i])
            x = F.interpolate(x, size=beside.shape[-2:], mode="bilinear", align_corners=False)
            x = self.across_scales[i](x + beside)
            mixed.insert(0, x)
        return [m * s.to(m.dtype) for m, s in zip(mixed, self.scales, strict=True)]


class PatchHead(nn.Module):
    """Map ``[N, C, H, H]`` -> logits of its patches ``[N, 1, h, h]``, h between 4 and 8."""

    def __init__(self, channels: int, size: int, width: int = 64, widest: int = 256):
        super().__init__()
        layers, n_in = [], channels
        while size > SMALLEST:
            n_out = min(width, widest)
            conv = spectral_norm(nn.Conv2d(n_in, n_out, 4, 2, 1, bias=False))
            layers += [conv, nn.BatchNorm2d(n_out), nn.LeakyReLU(SLOPE)]
            n_in, size, width = n_out, size // 2, width * 2
        self.body = nn.Sequential(*layers)
        self.logits = spectral_norm(nn.Conv2d(n_in, 1, 4 if size > 4 else 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(self.body(x))


class ProjectedDiscriminator(nn.Module):
    """Heads on one frozen feature network, which stays outside of the state.

    Args:
        features: ``features(x [N, 3, R, R] in [-1, 1])`` gives four maps; ``features.channels`` their channels.
        resolution: pixels at which pictures enter the feature network; smaller ones are enlarged.
    """

    def __init__(self, features: nn.Module, resolution: int = 128, mixed: int = 64):
        super().__init__()
        self.resolution = resolution
        self._features = (features,)  # a tuple hides it from the module's parameters and state
        self.projection = Projection(features.channels, mixed)
        with torch.no_grad():
            sizes = [m.shape[-1] for m in features(torch.zeros(1, 3, resolution, resolution))]
        self.heads = nn.ModuleList(PatchHead(mixed, size) for size in sizes)
        self.to(memory_format=torch.channels_last)

    def project(self, x: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Pictures ``[N, 3, H, W]`` in [-1, 1], augmented -> mixed feature maps, differentiable."""
        x = differentiable_augment(x, generator)
        if x.shape[-1] < self.resolution:
            x = F.interpolate(x, size=(self.resolution,) * 2, mode="bilinear", align_corners=False)
        return self.projection(self._features[0](x.contiguous(memory_format=torch.channels_last)))

    @torch.no_grad()
    def calibrate(self, photographs: Tensor) -> None:
        x = F.interpolate(photographs, size=(self.resolution,) * 2, mode="bilinear", align_corners=False)
        self.projection.calibrate(self._features[0](x))

    def logits(self, maps: list[Tensor]) -> list[Tensor]:
        return [head(m).float() for head, m in zip(self.heads, maps, strict=True)]


def learn(
    D: ProjectedDiscriminator, real: Tensor, generated: Tensor, rng: torch.Generator
) -> tuple[Tensor, list[Tensor], dict[str, float]]:
    """The loss of the heads, the mixed maps of ``generated`` for the generator's loss, and the two mean logits."""
    with torch.no_grad():
        if not D.projection.calibrated:
            D.calibrate(real)
        of_real = D.project(real, rng)
    maps = D.project(generated, rng)
    found, made = D.logits(of_real), D.logits([m.detach() for m in maps])
    return hinge_discriminator_loss(found, made), maps, {"real": mean_logit(found), "fake": mean_logit(made)}


def hinge_discriminator_loss(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """``mean relu(1 - D(x)) + mean relu(1 + D(G(z)))`` (Lim and Ye 2017), averaged over the heads."""
    each = [F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(each).mean()


def hinge_generator_loss(fake: list[Tensor]) -> Tensor:
    return -torch.stack([f.mean() for f in fake]).mean()


def mean_logit(logits: list[Tensor]) -> float:
    return float(torch.stack([x.detach().mean() for x in logits]).mean())


def range_penalty(x: Tensor) -> Tensor:
    """Mean square of what lies outside of [-1, 1]: frozen features saturate there and give no way back."""
    return F.relu(x.abs() - 1).square().mean()


def differentiable_augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """Colour, translation and cutout of DiffAugment (Zhao et al. 2020), other random numbers for each picture.

    Brightness up to 0.5 either way, saturation 0 to 2, contrast 0.5 to 1.5; shifts up to an eighth of the side, filled
    with black; a square hole of half the side.
    """
    n, _, height, width = x.shape

    def uniform(low: float, high: float) -> Tensor:
        return (torch.rand(n, 1, 1, 1, generator=generator) * (high - low) + low).to(x.device, x.dtype)

    x = x + uniform(-0.5, 0.5)
    x = torch.lerp(x.mean(dim=1, keepdim=True), x, uniform(0, 2))
    x = torch.lerp(x.mean(dim=(1, 2, 3), keepdim=True), x, uniform(0.5, 1.5))

    reach = max(width // 8, 1)
    dx, dy = (torch.randint(-reach, reach + 1, (n,), generator=generator) for _ in range(2))
    padded = F.pad(x, [reach] * 4)
    x = torch.stack(
        [padded[i, :, reach + dy[i] : reach + dy[i] + height, reach + dx[i] : reach + dx[i] + width] for i in range(n)]
    )
    cx, cy = (torch.randint(0, width, (n, 1), generator=generator) for _ in range(2))
    side = torch.arange(width)
    hole_x, hole_y = ((side - c).abs() < width // 4 for c in (cx, cy))
    keep = ~(hole_y[:, :, None] & hole_x[:, None, :])
    return x * keep[:, None].to(x.device, x.dtype)
