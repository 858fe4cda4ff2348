"""VGG16 (Simonyan, Zisserman 2015) from the Hub, for those who compare pictures by its maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import weights

from . import container
from .errors import RefusedFile

NAME = "features/vgg16"


def load(layers: int, device: str | torch.device = "cpu") -> nn.Sequential:
    """The first ``layers`` of torchvision's ``features``, eval and frozen; they take ``normalised`` pictures.

    Raises UserError when the file cannot be had, or is another one.
    """
    from torchvision.models import vgg16  # takes a second, and only who has the file needs it

    # Its own random start values would take another second, for nothing.
    with torch.device("meta"):
        net = vgg16(weights=None).features[:layers]
    state = container.read(weights.fetch(NAME))
    state = {name.removeprefix("features."): value for name, value in state.items() if name.startswith("features.")}
    wanted = net.state_dict()
    if any(name not in state or state[name].shape != value.shape for name, value in wanted.items()):
        raise RefusedFile("The file of VGG16 is not the one that was expected; remove it in the Checkpoints tab.")
    net.load_state_dict({name: state[name].float() for name in wanted}, assign=True)
    for module in net:  # the maps of iterations before are still needed for gradients
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return net.to(device).eval().requires_grad_(False)


def normalised(x: Tensor) -> Tensor:
    """Pictures in [-1, 1] as ImageNet's networks want them."""
    mean = torch.tensor([0.485, 0.456, 0.406], device=x.device)[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225], device=x.device)[:, None, None]
    return ((x + 1) / 2 - mean) / std
