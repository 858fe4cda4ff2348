"""Larger networks from finished ones: ProGAN's schedule (for the history), twice the size, and more feature maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.layers import Conv2dLayer
from models.stylegan2 import Generator, SynthesisBlock, SynthesisLayer, ToRGBLayer

FADED = "fade_fromrgb."  # of a discriminator's weights: those of the fromRGB that a new block replaces


class Growth:
    """Progressive growing (Karras et al. 2018): from 8 px on, a resolution fades in over a stage and stays for one."""

    def __init__(self, img_resolution: int, stage: int):
        self.img_resolution, self.stage = img_resolution, stage

    def at(self, shown: int) -> tuple[int, float]:
        """``(resolution, alpha)`` after so many images."""
        stages = shown / self.stage
        if stages < 1:
            return 8, 1.0
        number = int((stages - 1) // 2)
        resolution = 16 << number
        if resolution > self.img_resolution:
            return self.img_resolution, 1.0
        return resolution, min((stages - 1) % 2, 1.0)

    def apply(self, shown: int, *networks) -> None:
        for net in networks:
            net.growth = self.at(shown)


def growing_images(x: Tensor, resolution: int, alpha: float) -> Tensor:
    """Photographs as a growing discriminator sees them: reduced, and blended with their half while a stage fades in."""
    if x.shape[2] > resolution:
        x = F.avg_pool2d(x, x.shape[2] // resolution)
    if alpha < 1:
        x = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="nearest").lerp(x, alpha)
    return x


def grow_generator(G, state: dict) -> None:
    """Starts a generator of twice the resolution from a finished run's ``state``.

    All blocks that exist in both are kept; the new toRGB starts at zero, so that the first pictures are the old ones
    enlarged. Raises ValueError when the sizes or widths do not fit.
    """
    half = G.img_resolution // 2
    if state["G_config"]["img_resolution"] != half:
        raise ValueError(
            f"--grow-from wants a network of {half} px, this one has {state['G_config']['img_resolution']}"
        )
    _keep_blocks(G, state["G_ema"])
    G.synthesis.block(G.img_resolution).torgb.weight.data.zero_()


def grow_discriminator(D, state: dict, fade: int) -> None:
    """The same for a discriminator; its old fromRGB stays beside the new block until ``fade`` images are shown."""
    _keep_blocks(D, state["D"])
    _keep_fromrgb(D, state["D"], f"b{D.img_resolution // 2}.fromrgb.")
    D.fade = 0.0 if fade else None


def keep_fromrgb(D, state: dict) -> None:
    """Gives a discriminator the old fromRGB of a run's ``state`` that was grown, so that the state fits."""
    if any(k.startswith(FADED) for k in state["D"]) and not hasattr(D, "fade_fromrgb"):
        _keep_fromrgb(D, state["D"], FADED)
        D.fade = 0.0


def _keep_fromrgb(D, weights: dict, prefix: str) -> None:
    half = D.widths[D.img_resolution // 2]
    D.fade_fromrgb = Conv2dLayer(3, half, 1, activation="lrelu", taps=tuple(D.config["resample_filter"]))
    D.fade_fromrgb.to(D.b4.out.weight.device)
    D.fade_fromrgb.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})


@torch.no_grad()
def widen_generator(G: Generator, old: Generator) -> None:
    """Gives a generator the function of one with fewer feature maps in some or all of its blocks, or half the size.

    The pictures of a latent stay the same, enlarged where ``G`` has a block more (Net2Net, Chen et al. 2016): old
    maps do not read the new ones yet, and the new ones are random readings of all, from which training starts.
    Raises ValueError when the networks differ in more, or a block of ``G`` is the narrower one.
    """
    if G.config == old.config:
        G.load_state_dict(old.state_dict())
        return
    sizes = ("channels", "channel_base", "channel_max", "img_resolution")
    wrong = [k for k, v in old.config.items() if k not in sizes and G.config[k] != v]
    wrong += [f"{res} px" for res, width in old.synthesis.widths.items() if G.synthesis.widths.get(res, 0) < width]
    if G.img_resolution not in (old.img_resolution, 2 * old.img_resolution):
        wrong.append("img_resolution")
    if wrong or G.config["architecture"] != "skip" or G.config["modulation"] != "demod":
        raise ValueError(f"the larger network must be a skip network, wider or of twice the size; not so: {wrong}")
    if G.img_resolution > old.img_resolution:
        G.synthesis.block(G.img_resolution).torgb.weight.zero_()
    G.mapping.load_state_dict(old.mapping.state_dict())
    for name, module in old.synthesis.named_modules():
        wide = G.synthesis.get_submodule(name)
        if isinstance(module, SynthesisBlock) and module.in_channels == 0:
            wide.const[: len(module.const)] = module.const
        if not isinstance(module, SynthesisLayer | ToRGBLayer):
            continue
        n_out, n_in = module.weight.shape[:2]
        wide.affine.weight[:n_in], wide.affine.bias[:n_in] = module.affine.weight, module.affine.bias
        wide.bias[:n_out] = module.bias
        if isinstance(module, ToRGBLayer):  # scaled by 1/sqrt(in), and without demodulation
            wide.weight.zero_()
            wide.weight[:, :n_in] = module.weight * (wide.weight.shape[1] / n_in) ** 0.5
            continue
        wide.weight.mul_(module.weight.std())
        wide.weight[:n_out, :n_in], wide.weight[:n_out, n_in:] = module.weight, 0
        wide.noise_const.copy_(module.noise_const)
        wide.noise_strength.copy_(module.noise_strength)


def _keep_blocks(net, old: dict) -> None:
    new = net.state_dict()
    kept = {k: v for k, v in old.items() if k in new}
    wrong = [k for k, v in kept.items() if v.shape != new[k].shape]
    if wrong:
        raise ValueError(
            f"{wrong[0]} is {list(kept[wrong[0]].shape)} in the smaller network, {list(new[wrong[0]].shape)} here"
        )
    net.load_state_dict({**new, **kept})


def fade_in(D, shown: int, fade: int) -> None:
    """Moves the fade on; after it, the old fromRGB is not computed any more (it stays in the state, unused)."""
    if getattr(D, "fade", None) is not None:
        D.fade = shown / fade if shown < fade else None
