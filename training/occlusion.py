"""Trains the occlusion network: ``python -m training occlusion --data faces_128.zip --out runs/occlusion``.

Photographs get something before them, and where it is is the truth: drawn things (``training.occluders``) and pieces of
other photographs, cut out along wavy borders, so that the network learns that something lies there and not how we draw.
What else lies before a face in a photograph, nobody has marked: the network is taught to leave that alone, and finds
some of it even so, because it looks like what was put there.

I' is what the generator makes of what the encoder says. In use a short optimisation follows, which brings the colours
of what lies there into I'; so (``blended``) I' is drawn to a blurred photograph by a random share.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from models.occlusion import OcclusionNet
from weights.errors import UserError

from . import edit_pairs, loop, occluders, sheets
from .data import Images, load_images
from .supervised import Supervised

COMMAND = "network that finds what lies before a face, from what a StyleGAN2 makes of it"

FAR = 8.0  # pixels of 128: the widest blur with which colours of the photograph come into I'
SURE = 0.5


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training occlusion", description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--data", required=True, help="zip or folder of faces")
    add("--textures", nargs="*", default=[], help="zips or folders of other pictures, pieces of which are put there")
    add("--out", required=True, help="folder of the run; an unfinished run in it goes on")
    add("--generator", default="stylegan2/faces", help="name or safetensors file of the StyleGAN2 network")
    add("--encoder", default="auto", help="name or file of its encoder; auto: the one that ships")
    add("--images", type=int, default=60_000)
    add("--start-from", default=None, help="safetensors file of an occlusion network to begin with")
    add("--size", type=int, default=64)
    add("--widths", type=int, nargs="+", default=[16, 32, 64, 96])
    add("--drawn", type=float, default=0.5, help="share of photographs with something drawn before them")
    add("--pieces", type=float, default=0.5, help="of the others, the share with a piece of another picture")
    add("--batch", type=int, default=16)
    add("--lr", type=float, default=2e-3)
    add("--decay", type=float, default=0.02, help="weight decay of AdamW")
    edit_pairs.run_options(p)
    add("--tick", type=int, default=4_000)
    return p


def blobs(count: int, size: int, rng: torch.Generator) -> Tensor:
    """Places with wavy borders ``[count, 1, size, size]`` in 0..1, a tenth to a third of the picture, anywhere."""
    middle = torch.rand(count, 2, 1, 1, generator=rng) * 2 - 1
    half = torch.rand(count, 2, 1, 1, generator=rng) * 0.45 + 0.2
    along = (torch.arange(size) + 0.5) * (2 / size) - 1
    across, down = (along[None] - middle[:, 0]) / half[:, 0], (along[:, None] - middle[:, 1]) / half[:, 1]
    waves = torch.rand(count, 1, 6, 6, generator=rng) * 2 - 1
    waves = F.interpolate(waves, size=(size, size), mode="bicubic", align_corners=True)
    far = (across.square() + down.square()).sqrt()[:, None] + 0.35 * waves
    return ((1 - far) * (0.25 * size) + 0.5).clamp(0, 1)


def pieced(photos: Tensor, textures: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Photographs ``[N, 3, S, S]`` in [-1, 1] with pieces of as many other pictures before them, and where they are.

    The other pictures are seen enlarged, turned, and lighter or darker; some pieces have one colour only, or nearly,
    and half of these that of the middle of the face, as a hand has.
    """
    count, size = len(photos), photos.shape[-1]
    turned = [
        picture.rot90(int(torch.randint(0, 4, (), generator=rng)), (1, 2)) for picture in textures.roll(1, dims=0)
    ]
    enlarged = F.interpolate(torch.stack(turned), scale_factor=2, mode="bilinear", align_corners=False)
    corner = torch.randint(0, size + 1, (count, 2), generator=rng).tolist()
    some = torch.stack([p[:, y : y + size, x : x + size] for p, (y, x) in zip(enlarged, corner, strict=True)])
    plain = torch.rand(count, 1, 1, 1, generator=rng) < 0.4
    middle = slice(size * 3 // 8, size * 5 // 8)
    skin = torch.rand(count, 1, 1, 1, generator=rng) < 0.5
    colour = torch.where(skin, photos[:, :, middle, middle], some[:, :, middle, middle]).mean(dim=(2, 3), keepdim=True)
    detail = some - some.mean(dim=(2, 3), keepdim=True)
    some = torch.where(plain, colour + 0.2 * detail, some)
    light = torch.rand(count, 3, 1, 1, generator=rng) * 0.8 - 0.4
    light = torch.where(plain & skin, 0.4 * light, light)
    where = blobs(count, size, rng)
    return torch.lerp(photos, (some + light).clamp(-1, 1), where), where


def blended(photo: Tensor, inverted: Tensor, rng: torch.Generator) -> Tensor:
    """I' as an optimisation would leave it: nearer to the photograph in what is large, by a random share."""
    width = float(torch.rand((), generator=rng)) * (FAR - 2) + 2
    radius = round(2 * width * photo.shape[-1] / 128)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / (width * photo.shape[-1] / 128)) ** 2)
    kernel = (kernel / kernel.sum()).to(photo.device)
    off = F.pad(photo - inverted, [radius] * 4, mode="reflect")
    for shape in ((1, 1, 1, -1), (1, 1, -1, 1)):
        off = F.conv2d(off, kernel.view(shape).expand(3, 1, *kernel.view(shape).shape[2:]), groups=3)
    share = torch.rand(len(photo), 1, 1, 1, generator=rng).to(photo.device)
    return (inverted + share * off).clamp(-1, 1)


class Covered:
    """Makes photographs with something before them, what a generator makes of those, and where it is."""

    def __init__(self, args: argparse.Namespace, device: str):
        self.net = edit_pairs.network(args.generator, device)
        self.encoder = edit_pairs.encoder(args.encoder, device)
        if self.encoder is None:
            raise UserError("What a generator cannot make shows in its inversions; name an encoder with --encoder.")
        self.device, self.drawn, self.pieces = device, args.drawn, args.pieces

    @torch.no_grad()
    def made(
        self, pixels: Tensor, textures: Tensor | None, rng: torch.Generator, drawn: float | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """I and I' ``[N, 3, R, R]`` in [-1, 1], and where something lies ``[N, 1, R, R]`` in 0..1.

        Args:
            pixels, textures: uint8 ``[N, 3, R, R]``; textures None: the photographs themselves.
            drawn: share with something drawn; None: as in training.
        """
        with_drawing, where = occluders.batch(pixels, rng, self.drawn if drawn is None else drawn)
        photo = with_drawing.float() / 127.5 - 1
        bare = ~where.flatten(1).any(dim=1) & (torch.rand(len(pixels), generator=rng) < self.pieces)
        if bare.any() and drawn is None:
            others = (pixels if textures is None else textures)[bare].float() / 127.5 - 1
            photo[bare], where[bare] = pieced(photo[bare], others, rng)
        photo, where = photo.to(self.device), where.to(self.device)
        return photo, self.inverted(photo, rng), where

    @torch.no_grad()
    def inverted(self, photo: Tensor, rng: torch.Generator) -> Tensor:
        return blended(photo, edit_pairs.rendered(self.net, self.encoder(photo).float()), rng)


class OcclusionRun(Supervised):
    def __init__(self, args: argparse.Namespace, images: Images, textures: Tensor | None, covered: Covered):
        torch.manual_seed(args.seed)
        super().__init__(args, images, OcclusionNet(args.size, args.widths), 5_000, args.start_from)
        self.covered, self.textures = covered, textures

    def step(self) -> None:
        rng = self.rng()
        pixels = self.images.pixels[torch.randint(0, len(self.images), (self.batch,), generator=rng)]
        mirrored = (torch.rand(self.batch, generator=rng) < 0.5)[:, None, None, None]
        pixels, textures = torch.where(mirrored, pixels.flip(3), pixels), None
        if self.textures is not None:
            textures = self.textures[torch.randint(0, len(self.textures), (self.batch,), generator=rng)]
        photo, inverted, where = self.covered.made(pixels, textures, rng)
        self.net.train()
        with self.autocast():
            logits = self.net(photo, inverted)
        truth = F.interpolate(where, size=logits.shape[-2:], mode="area")
        self.update(F.binary_cross_entropy_with_logits(logits.float(), truth))


@torch.no_grad()
def measured(
    net: OcclusionNet, covered: Covered, photographs: Tensor, seed: int = 1234, drawn: float | None = 1.0
) -> dict[str, float]:
    """Of photographs ``[N, 3, R, R]`` uint8, each with something before it: percent of it that is ``found``, of all
    else that is ``taken`` for it, and the intersection over the ``union``.

    ``drawn`` None puts pieces of other photographs there too, as in training.
    """
    rng, both, there, seen, rest = torch.Generator().manual_seed(seed), 0.0, 0.0, 0.0, 0.0
    for some in photographs.split(16):
        photo, inverted, where = covered.made(some, None, rng, drawn)
        found, truth = net.mask(photo, inverted) > SURE, where > 0.5
        both += (found & truth).sum().item()
        there += truth.sum().item()
        seen += found.sum().item()
        rest += (~truth).sum().item()
    values = {"found": both / max(there, 1), "taken": (seen - both) / max(rest, 1)}
    values["union"] = both / max(there + seen - both, 1)
    return {name: round(100 * value, 2) for name, value in values.items()}


@torch.no_grad()
def sheet(net: OcclusionNet, covered: Covered, count: int = 10, seed: int = 7):
    """A column for each generated face: with something before it, what its generator makes of that, what is found."""
    rng = torch.Generator().manual_seed(seed)
    faces = edit_pairs.rendered(covered.net, edit_pairs.latents(covered.net, count, rng, (0.7, 0.7)))
    pixels = torch.from_numpy(sheets.to_uint8(faces)).permute(0, 3, 1, 2)
    half = count // 2
    photo, inverted, _where = covered.made(pixels, None, rng, 1.0)
    pieces, _where = pieced(faces[half:].cpu(), faces[half:].cpu(), rng)
    photo[half:], inverted[half:] = pieces.to(photo.device), covered.inverted(pieces.to(photo.device), rng)
    mask = net.mask(photo, inverted)
    red = torch.tensor([1.0, -1.0, -1.0], device=mask.device)[:, None, None]
    over = torch.lerp(photo, red.expand_as(photo), 0.75 * mask)
    return sheets.grid(torch.cat([photo, inverted, over]).cpu(), count)


def textures_of(paths: list[str], size: int, limit: int | None) -> Tensor | None:
    """Pictures of these zips or folders, uint8 ``[N, 3, size, size]``; None where there are no paths."""
    found = [load_images(path, size, "train", limit=limit).pixels for path in paths]
    return torch.cat(found) if found else None


def train(args: argparse.Namespace, log=print) -> OcclusionRun:
    loop.use_threads(args.threads, args.device)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    covered = Covered(args, loop.resolve(args.device))
    size = covered.net.img_resolution
    images = load_images(args.data, size, "train", limit=args.limit)
    test = load_images(args.data, size, "test", limit=256).pixels if images.held_out else None
    run = OcclusionRun(args, images, textures_of(args.textures, size, args.limit), covered)
    loop.resume(run, out, log)
    log(f"{len(images)} photographs, {sum(p.numel() for p in run.net.parameters()):,} parameters")

    def report() -> dict:
        path = out / "sheets" / f"{run.shown:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet(run.average, covered).save(path)
        return {"loss": run.loss} if test is None else {"loss": run.loss, **measured(run.average, covered, test)}

    loop.train_until(run, args.images, out, args.tick, report, log, args.minutes)
    return run


def main(argv: list[str]) -> int:
    train(parser().parse_args(argv), log=lambda s: print(s, flush=True))
    return 0
