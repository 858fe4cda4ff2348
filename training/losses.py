"""StyleGAN2's losses: non-saturating logistic, lazy R1 and lazy path length regularisation."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_loss(logits_fake: Tensor) -> Tensor:
    """``-log sigmoid(D(G(z)))`` (Goodfellow et al. 2014, the non-saturating form)."""
    return F.softplus(-logits_fake).mean()


def discriminator_loss(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    return F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()


def r1_penalty(logits_real: Tensor, real: Tensor) -> Tensor:
    """``|grad_x D(x)|^2`` averaged over the batch (Mescheder et al. 2018); ``real`` requires gradients."""
    (grad,) = torch.autograd.grad(logits_real.sum(), real, create_graph=True)
    return grad.float().square().sum(dim=[1, 2, 3]).mean()


def path_length_penalty(
    images: Tensor, ws: Tensor, mean_length: Tensor, generator: torch.Generator, decay: float = 0.01
) -> tuple[Tensor, Tensor]:
    """``E (|J_w^T y| - a)^2`` with y normal noise over the image and a its running mean (Karras et al. 2020, eq. 4).

    Returns the penalty and the new running mean; ``ws [N, num_ws, w_dim]`` requires gradients.
    """
    noise = torch.randn(images.shape, generator=generator).to(images.device) / math.sqrt(
        images.shape[2] * images.shape[3]
    )
    (grad,) = torch.autograd.grad((images.float() * noise).sum(), ws, create_graph=True)
    lengths = grad.square().sum(dim=2).mean(dim=1).sqrt()
    mean_length = mean_length.lerp(lengths.detach().mean(), decay)
    return (lengths - mean_length).square().mean(), mean_length
