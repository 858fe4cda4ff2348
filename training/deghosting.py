"""Trains the deghosting network: ``python -m training deghosting --data faces_128.zip --out runs/deghosting``.

Ghosts are made on the fly. I is a photograph, I' and T its inversion before and after an edit, M what Diff-CAM sees in
them, folded so that it never passes one half:

    F = T M_train + I (1 - M_train),   M_train = M where M <= 0.5, else 1 - M

As in the paper the truth of F is I: everywhere I is what shows most, so that to restore it is to remove what only
shines through. In use T shows most inside the mask; so that T is kept there, a part of the ghosts (``--swap``, ours)
has the two change places, with T as the truth. Photographs get things drawn before them (``training.occluders``),
which the inversion lacks. Where there is no encoder, the photographs are generated too, and inverted with an error.

The network also sees the mask (ours): it says which of the two is to stay, and how strongly the other one shines
through. Its picture is taken in the border of the mask alone, as in use, and judged as it is taken.

Loss: squared difference, 1e-2 perceptual, 1e-2 adversarial. The paper: Adam 1e-4 (cosine), a pretrained discriminator,
and a decoder that draws all of the picture. Here the network says only what is to be changed, so that it begins with
changing nothing; it is small, so that the rate is higher; and the discriminator is a small new one.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import weights
from models.deghosting import Deghosting, border
from models.discriminator import Discriminator
from weights import vgg16

from . import edit_pairs, loop, losses, occluders, sheets
from .data import Images, load_images
from .editing import psnr
from .supervised import Supervised

COMMAND = "network that removes what shines through after blending, with a frozen StyleGAN2"

VGG_LAYERS = 22  # up to conv4_3, as the authors
INVERSION_ERROR = 0.35  # of a generated photograph, in standard deviations of w
BETAS = (0.9, 0.99)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training deghosting", description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--out", required=True, help="folder of the run; an unfinished run in it goes on")
    add("--data", default=None, help="zip or folder of faces; without it, or an encoder, generated faces stand in")
    add("--diffcam", default="auto", help="name or file of the mask network; auto: the one that ships, if any; none")
    add("--images", type=int, default=40_000)
    add("--start-from", default=None, help="safetensors file of a deghosting network to begin with")
    add("--unguided", dest="guided", action="store_false", help="the network does not see the mask, as in the paper")
    add("--in-size", type=int, default=64)
    add("--rrdb-channels", type=int, default=16)
    add("--rrdb-growth", type=int, default=8)
    add("--rrdbs", type=int, default=2)
    add("--latent-channels", type=int, default=16)
    add("--last-channels", type=int, default=32)
    add("--occluders", type=float, default=0.5, help="share of photographs with something drawn before them")
    add("--swap", type=float, default=0.25, help="share of ghosts in which the photograph shines through the edit")
    add("--perceptual", type=float, default=1e-2)
    add("--adversarial", type=float, default=1e-2, help="0: no discriminator")
    add("--d-width", type=int, default=1024, help="channel base of the discriminator")
    add("--batch", type=int, default=8)
    add("--lr", type=float, default=1e-3)
    add("--decay", type=float, default=0.0, help="weight decay; 0 makes AdamW Adam")
    add("--clip", type=float, default=1.0, help="largest norm of a step's gradient; 0: any")
    add("--tick", type=int, default=4_000)
    return edit_pairs.options(p)


def fold(mask: Tensor) -> Tensor:
    """Values above 0.5 become ``1 - m``: nothing shows more than half."""
    return torch.where(mask > 0.5, 1 - mask, mask)


class Ghosts:
    """Makes blended pictures with known truth."""

    def __init__(self, args: argparse.Namespace, device: str):
        self.pairs = edit_pairs.Pairs(args, device)
        self.share, self.swap = args.occluders, args.swap
        there = "faces" in weights.names("diffcam")
        where = "diffcam/faces" if args.diffcam == "auto" and there else args.diffcam
        self.diffcam = None if where in ("auto", "none") else edit_pairs.network(where, device)
        if self.diffcam is not None and set(self.pairs.directions.names) - set(self.diffcam.names):
            raise weights.UserError("The Diff-CAM network does not know all of the directions; name them with --attrs.")

    @torch.no_grad()
    def made(
        self, photographs: Tensor | None, count: int, rng: torch.Generator, swap: float | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``count`` blended pictures and their truths, ``[N, 3, R, R]`` in [-1, 1], and masks M ``[N, 1, R, R]``.

        ``F = M T + (1 - M) I`` holds for all: M is at most one half where I is the truth, and at least where T is.

        Args:
            photographs: uint8 ``[N, 3, R, R]``; needs an encoder, without one they are generated.
            swap: share of those in which T is the truth; None: as in training.
        """
        pairs, net = self.pairs, self.pairs.net
        real = photographs is not None and pairs.encoder is not None
        if real:
            pixels = photographs
        else:
            w = edit_pairs.latents(net, count, rng)
            pixels = torch.from_numpy(sheets.to_uint8(edit_pairs.rendered(net, w))).permute(0, 3, 1, 2)
        pixels, _where = occluders.batch(pixels.cpu(), rng, self.share)
        photo = (pixels.float() / 127.5 - 1).to(pairs.device)
        if real:
            w = pairs.latents(photo, count, rng)
        else:
            error = torch.randn(w.shape, generator=rng).to(w.device)
            w = w + INVERSION_ERROR * pairs.directions.spread.mean() * error
        before, after, label, _alpha = pairs.edit(w, rng)
        if self.diffcam is None:
            mask = edit_pairs.smooth_masks(count, net.img_resolution, rng).to(photo.device)
        else:
            names = [self.diffcam.names.index(pairs.directions.names[i]) for i in label.tolist()]
            mask = self.diffcam.mask(before, after, torch.tensor(names))[0]
        swapped = torch.rand(count, generator=rng) < (self.swap if swap is None else swap)
        swapped = swapped[:, None, None, None].to(photo.device)
        under, over = torch.where(swapped, photo, after), torch.where(swapped, after, photo)
        mask = fold(mask)
        return torch.lerp(over, under, mask), over, torch.where(swapped, 1 - mask, mask)


def compare(device: str):
    """What pictures are compared by besides their pixels, ``(words, maps(x) -> list)``: VGG16 if its file is here."""
    if weights.status(vgg16.NAME) == "cached":
        vgg = vgg16.load(VGG_LAYERS, device)
        return "VGG16", lambda x: [vgg(vgg16.normalised(x))]
    judge = weights.load("attributes/faces", device)
    return "the attribute classifier", lambda x: judge.features(x)[:3]


class DeghostingRun(Supervised):
    def __init__(self, args: argparse.Namespace, images: Images | list, ghosts: Ghosts):
        torch.manual_seed(args.seed)
        generator = ghosts.pairs.net
        net = Deghosting(
            generator.synthesis.widths,
            generator.img_resolution,
            args.in_size,
            generator.w_dim,
            args.rrdb_channels,
            args.rrdb_growth,
            args.rrdbs,
            args.latent_channels,
            args.last_channels,
            residual=True,
            guided=args.guided,
            generator=None if args.generator.endswith(".safetensors") else args.generator,
        )
        super().__init__(args, images, net, 5_000, args.start_from, args.clip)
        for group in self.optimizer.param_groups:
            group["betas"] = BETAS
        self.ghosts = ghosts
        for one in (self.net, self.average):
            one.attach(generator)
        self.judged_by, self.maps = compare(self.device) if args.perceptual else ("pixels alone", None)
        self.D = self.opt_D = None
        if args.adversarial:
            sizes = {"channel_base": args.d_width, "channel_max": 64}
            group = 4 if args.batch % 4 == 0 else 1
            self.D = Discriminator(img_resolution=generator.img_resolution, mbstd_group_size=group, **sizes)
            self.D = self.D.to(self.device)
            self.opt_D = torch.optim.Adam(self.D.parameters(), args.lr, BETAS)

    def step(self) -> None:
        args, rng = self.args, self.rng()
        photographs = None
        if len(self.images):
            index = torch.randint(0, len(self.images), (self.batch,), generator=rng)
            photographs = self.images.pixels[index]
            mirrored = (torch.rand(self.batch, generator=rng) < 0.5)[:, None, None, None]
            photographs = torch.where(mirrored, photographs.flip(3), photographs)
        blended, truth, mask = self.ghosts.made(photographs, self.batch, rng)
        self.net.train()
        with self.autocast():
            found = self.net(blended, mask)
        found = torch.lerp(blended, found.float(), border(mask))  # as it is used
        loss = F.mse_loss(found, truth)
        if self.maps is not None:
            with torch.no_grad():
                wanted = self.maps(truth)
            apart = [F.mse_loss(a, b) for a, b in zip(self.maps(found), wanted, strict=True)]
            loss = loss + args.perceptual * sum(apart) / len(apart)
        if self.D is not None:
            self.D.requires_grad_(False)
            loss = loss + args.adversarial * losses.generator_loss(self.D(found))
        self.update(loss)
        if self.D is not None:
            self.D.requires_grad_(True)
            for group in self.opt_D.param_groups:
                group["lr"] = self.rate()
            self.opt_D.zero_grad(set_to_none=True)
            losses.discriminator_loss(self.D(truth), self.D(found.detach())).backward()
            self.opt_D.step()

    def state(self) -> dict:
        more = {} if self.D is None else {"D": self.D.state_dict(), "opt_D": self.opt_D.state_dict()}
        return {**super().state(), **more, "judged_by": self.judged_by}

    def restore(self, state: dict) -> None:
        super().restore(state)
        if self.D is not None and "D" in state:
            self.D.load_state_dict(state["D"])
            self.opt_D.load_state_dict(state["opt_D"])


@torch.no_grad()
def measured(
    net: Deghosting, ghosts: Ghosts, photographs: Tensor | None = None, count: int = 64, seed: int = 1234
) -> dict[str, float]:
    """PSNR in dB against the truth of made ghosts, merely ``blended`` and ``deghosted`` in the border of the mask.

    ``kept_blended`` and ``kept_deghosted``: the same of ghosts in which the edit shows most and is the truth.
    ``untouched``: mean change of photographs that have no ghosts, in levels of 255.
    """
    found: dict[str, float] = {}
    for swap, prefix in ((0.0, ""), (1.0, "kept_")):
        rng, total, parts = torch.Generator().manual_seed(seed), 0, {"blended": 0.0, "deghosted": 0.0, "levels": 0.0}
        while total < count:
            some = None if photographs is None else photographs[total : min(total + 8, count)]
            n = min(8, count - total) if some is None else len(some)
            blended, truth, mask = ghosts.made(some, n, rng, swap)
            clean = torch.lerp(blended, net(blended, mask).clamp(-1, 1), border(mask))
            parts["blended"] += n * psnr(blended, truth)
            parts["deghosted"] += n * psnr(clean, truth)
            if not swap:
                parts["levels"] += (
                    n * float((net(truth, torch.zeros_like(mask)).clamp(-1, 1) - truth).abs().mean()) * 127.5
                )
            total += n
        found |= {prefix + k: round(parts[k] / total, 2) for k in ("blended", "deghosted")}
        if not swap:
            found["untouched"] = round(parts["levels"] / total, 2)
    return found


@torch.no_grad()
def sheet(net: Deghosting, ghosts: Ghosts, count: int = 8, seed: int = 7):
    """A column for each ghost, of generated faces: blended, deghosted, the truth."""
    generated = copy.copy(ghosts)
    generated.pairs = copy.copy(ghosts.pairs)
    generated.pairs.encoder = None  # photographs themselves are not for passing on
    blended, truth, mask = generated.made(None, count, torch.Generator().manual_seed(seed), 0.0)
    clean = torch.lerp(blended, net(blended, mask).clamp(-1, 1), border(mask))
    return sheets.grid(torch.cat([blended, clean, truth]).cpu(), count)


def train(args: argparse.Namespace, log=print) -> DeghostingRun:
    loop.use_threads(args.threads, args.device)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    ghosts = Ghosts(args, loop.resolve(args.device))
    images, test = [], None
    if ghosts.pairs.encoder is not None:
        size = ghosts.pairs.net.img_resolution
        images = load_images(args.data, size, "train", limit=args.limit)
        test = load_images(args.data, size, "test", limit=64).pixels if images.held_out else None
    run = DeghostingRun(args, images, ghosts)
    loop.resume(run, out, log)
    log(
        f"{len(images)} photographs, masks of {'Diff-CAM' if ghosts.diffcam else 'noise'}, compared by {run.judged_by},"
        f" {sum(p.numel() for p in run.net.parameters()):,} parameters"
    )

    def report() -> dict:
        path = out / "sheets" / f"{run.shown:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet(run.average, ghosts).save(path)
        return {"loss": run.loss, **measured(run.average, ghosts, test, 64 if test is None else len(test))}

    loop.train_until(run, args.images, out, args.tick, report, log, args.minutes)
    return run


def main(argv: list[str]) -> int:
    train(parser().parse_args(argv), log=lambda s: print(s, flush=True))
    return 0
