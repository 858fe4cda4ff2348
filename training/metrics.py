"""How far generated pictures are from photographs, without a downloaded network.

``sliced_wasserstein`` is the measure of Karras et al. 2018 (ProGAN, section 5): 7x7 patches of each level of a
Laplacian pyramid, compared by one-dimensional optimal transport along random directions. Lower is better; 1e3 times
the distance is reported, as in the paper.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _pyramid(x: Tensor, smallest: int = 16) -> list[Tensor]:
    f = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=x.device) / 16
    kernel = torch.outer(f, f)[None, None].repeat(3, 1, 1, 1)

    def blur(x, gain=1.0):
        return F.conv2d(F.pad(x, [2, 2, 2, 2], mode="reflect"), kernel * gain, groups=3)

    levels = []
    while x.shape[2] > smallest:
        down = blur(x)[:, :, ::2, ::2]
        up = torch.zeros_like(x)
        up[:, :, ::2, ::2] = down
        levels.append(x - blur(up, 4.0))
        x = down
    return [*levels, x]


def _descriptors(x: Tensor, patches: int, generator: torch.Generator) -> Tensor:
    """``[N * patches, 3 * 49]`` random patches, each colour brought to zero mean and unit deviation."""
    n, _, h, w = x.shape
    y0 = torch.randint(0, h - 6, (n, patches), generator=generator).to(x.device)
    x0 = torch.randint(0, w - 6, (n, patches), generator=generator).to(x.device)
    offset = torch.arange(7, device=x.device)
    rows = (y0[:, :, None] + offset)[:, :, :, None].expand(-1, -1, 7, 7)
    cols = (x0[:, :, None] + offset)[:, :, None, :].expand(-1, -1, 7, 7)
    index = (rows * w + cols).reshape(n, 1, -1).expand(-1, 3, -1)
    d = x.reshape(n, 3, h * w).gather(2, index).reshape(n, 3, patches, 49).permute(0, 2, 1, 3)
    return d.reshape(n * patches, 3, 49)


@torch.no_grad()
def sliced_wasserstein(
    a: Tensor, b: Tensor, patches: int = 64, directions: int = 256, seed: int = 0
) -> dict[str, float]:
    """1e3 x the sliced Wasserstein distance between two sets of images ``[N, 3, R, R]`` in [-1, 1].

    Uses as many images of each as the smaller set has. Returns one value a pyramid level (``"64"``, ``"32"``, ...) and
    ``"mean"``.
    """
    count = min(len(a), len(b))
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for la, lb in zip(_pyramid(a[:count].float()), _pyramid(b[:count].float()), strict=True):
        da, db = (_descriptors(x, patches, generator) for x in (la, lb))
        da, db = (
            ((d - d.mean(dim=[0, 2], keepdim=True)) / (d.std(dim=[0, 2], keepdim=True) + 1e-8)).flatten(1)
            for d in (da, db)
        )
        v = torch.randn(da.shape[1], directions, generator=generator).to(da.device)
        v = v / v.norm(dim=0, keepdim=True)
        distance = ((da @ v).sort(dim=0)[0] - (db @ v).sort(dim=0)[0]).abs().mean()
        out[str(la.shape[2])] = distance.item() * 1e3
    out["mean"] = sum(out.values()) / len(out)
    return out


@torch.no_grad()
def path_length(net, count: int = 256, epsilon: float = 1e-2, seed: int = 0, batch: int = 16) -> dict[str, float]:
    """Path length in w of StyleGAN (Karras et al. 2019, section 4.1), with plain pixels for the VGG features.

    ``E[ |G(w(t)) - G(w(t + eps))|^2 / eps^2 ]`` (mean over pixels, t uniform between two mapped latents), its median
    and the ratio of deviation to mean of the square roots: the evenness that the regularisation is after.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(net.parameters()).device
    values = []
    for start in range(0, count, batch):
        n = min(batch, count - start)
        z = torch.randn(2, n, net.z_dim, generator=generator).to(device)
        c = (
            torch.eye(net.c_dim)[torch.randint(0, net.c_dim, (n,), generator=generator)].to(device)
            if net.c_dim
            else None
        )
        t = torch.rand(n, generator=generator).to(device)[:, None, None]
        wa, wb = net.mapping(z[0], c), net.mapping(z[1], c)
        pair = [net.synthesis(torch.lerp(wa, wb, t + e), noise_mode="const") for e in (0.0, epsilon)]
        values.append((pair[0] - pair[1]).square().mean(dim=[1, 2, 3]) / epsilon**2)
    values = torch.cat(values)
    lengths = values.sqrt()
    return {
        "mean": values.mean().item(),
        "median": values.median().item(),
        "unevenness": (lengths.std() / lengths.mean()).item(),
    }


@torch.no_grad()
def position_bias(x: Tensor) -> float:
    """How much of the finest detail sits at the same place in every picture, 0 to 1; ``x [N, 3, R, R]``.

    The energy of the mean of the finest Laplacian level over the mean of its energies, unbiased for N. Aligned
    photographs have some (eyes are where eyes are); a generator with more of it than they have paints detail by place
    rather than by content, which is what progressive growing is blamed for (Karras et al. 2020, section 4).
    """
    detail = _pyramid(x.float(), smallest=x.shape[2] // 2)[0]
    n = len(detail)
    energy = detail.square().mean()
    same = detail.mean(dim=0).square().mean()
    return float(((n * same - energy) / ((n - 1) * energy)).clamp_min(0))


@torch.no_grad()
def peak_to_mean(net, count: int = 64, seed: int = 0) -> dict[str, float]:
    """How far the strongest place of each block's feature map stands out, mean over pictures.

    The largest magnitude (norm over channels) of the map over its mean; droplets are such peaks (Karras et al. 2020,
    section 2). Returns ``{"4": ..., "8": ..., ...}``.
    """
    device = next(net.parameters()).device
    z = torch.randn(count, net.z_dim, generator=torch.Generator().manual_seed(seed)).to(device)
    ws = net.mapping(z, None)
    _, maps = net.synthesis(ws, noise_mode="const", return_features=net.synthesis.block_resolutions)
    ratios = {}
    for res, f in maps.items():
        magnitude = f.float().norm(dim=1).flatten(1)
        ratios[str(res)] = float((magnitude.amax(dim=1) / magnitude.mean(dim=1)).mean())
    return ratios


def _root(covariance: Tensor) -> Tensor:
    """The symmetric root of a symmetric, positive semidefinite matrix."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def frechet_distance(a, b) -> float:
    """Fréchet distance of the Gaussians fitted to two sets of vectors ``[N, D]`` and ``[M, D]`` (arrays or tensors).

    ``|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))``, as in Heusel et al. 2017. It falls with more vectors, down to
    the distance itself: compare only numbers of one count.
    """
    a, b = (torch.as_tensor(x).double() for x in (a, b))
    mean = (a.mean(0) - b.mean(0)).square().sum()
    ca, cb = (torch.cov(x.T).reshape(x.shape[1], x.shape[1]) for x in (a, b))
    root = _root(ca)
    # C_a C_b and root C_b root have the same eigenvalues, and the second is symmetric.
    middle = torch.linalg.eigvalsh(root @ cb @ root).clamp_min(0).sqrt().sum()
    return float((mean + ca.trace() + cb.trace() - 2 * middle).clamp_min(0))


def precision_recall(real, fake, neighbours: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019) of vectors ``[N, D]`` and ``[M, D]``.

    Precision is the share of ``fake`` that lies within some real vector's distance to its ``neighbours``-th nearest
    other real vector; recall is the same with the sets exchanged.
    """
    real, fake = (torch.as_tensor(x).double() for x in (real, fake))

    def share(of: Tensor, around: Tensor) -> float:
        # The nearest "other" vector of each is itself.
        radius = torch.cdist(around, around).kthvalue(neighbours + 1, dim=1).values
        return float((torch.cdist(of, around) <= radius).any(1).double().mean())

    return share(fake, real), share(real, fake)


def spread(vectors) -> float:
    """Mean distance between two different vectors of ``[N, D]``."""
    return float(torch.pdist(torch.as_tensor(vectors).double()).mean())
