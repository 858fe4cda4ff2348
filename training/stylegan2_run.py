"""One training run of a StyleGAN2: its networks and optimisers, and what one step does.

Every random number of step n comes from a generator seeded with (seed, n): a resumed run therefore takes the same
steps as one that was never stopped.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from models.encoders import Encoder
from models.stylegan2 import Discriminator, Generator
from weights import store

from . import discriminators, features, loop, losses, parallel, projected, reconstruction, teaching
from .augment import AdaptiveProbability, augment, moved
from .data import Images
from .detail import DetailDiscriminator
from .energy import EnergyDistance
from .growing import Growth, fade_in, growing_images
from .projected import ProjectedDiscriminator
from .reconstruction import Reconstruction
from .stylegan2_options import widths
from .stylegan2_state import KeptRun
from .supervised import load_trained
from .teaching import Teacher

STATISTICS = 2048  # photographs of which the norms of a steady encoder take theirs


def _encoder(path: str) -> nn.Module:
    return store.load(path) if path.endswith(".safetensors") else load_trained(Encoder, Path(path).parent)[0]


class StyleGAN2Run(KeptRun):
    """One training run: networks, optimisers, counters; ``step()`` is one discriminator and one generator update."""

    def __init__(self, args: argparse.Namespace, images: Images):
        self.args, self.batch = args, args.batch
        self.device = loop.resolve(args.device)
        parallel.share(args.batch)
        self.images = images.to(self.device)
        self.dtype = loop.dtype_of(args.precision, self.device)
        c_dim = len(images.classes) if images.classes else 0
        clamp = 256.0 if args.precision == "fp16" else None
        torch.manual_seed(args.seed)
        self.G = Generator(
            z_dim=args.z_dim,
            w_dim=args.w_dim,
            c_dim=c_dim,
            img_resolution=args.resolution,
            mapping_layers=args.mapping_layers,
            **widths(args, args.channel_base, args.resolution),
            architecture=args.architecture,
            modulation=args.modulation,
            conv_clamp=clamp,
        ).to(self.device)
        self.D = self._discriminator(c_dim, clamp).to(self.device)
        self.projected = nn.ModuleDict(
            {name: ProjectedDiscriminator(features.load(name).to(self.device)) for name in args.projected}
        ).to(self.device)
        self.energy = None
        if args.energy:
            self.energy = EnergyDistance(features.load(args.energy).to(self.device), args.resolution, move=args.move)
            self.energy.to(self.device)
        self.reconstruction = None
        if args.reconstructed:
            name = f"stylegan2/{Path(args.out).name}"
            self.reconstruction = Reconstruction(self.G, name, args.encoder_widths, args.steady_encoder)
            self.reconstruction.to(self.device)
            self.perceptual = features.load(args.perceptual).to(self.device)
            self.identity = features.load(args.identity).to(self.device) if args.identity else None
            if args.encoder_from:
                self.reconstruction.start(_encoder(args.encoder_from))
            if args.steady_encoder:
                self._take_statistics()
        self.teacher = None
        if args.teacher_images:
            # Once for every run of a folder: its pictures lie beside the runs.
            self.teacher = Teacher(args.teacher, self.G, args.teacher_pictures, Path(args.out).resolve().parent)
            self.perceptual = features.load(args.perceptual).to(self.device)
        self.growth = Growth(args.resolution, args.growing_stage) if args.architecture == "growing" else None
        self.step_number = self.shown = 0
        self.shown_before = 0  # by the runs that this one grew or started from
        self.seconds = self.seconds_before = 0.0
        self.parents: list[dict] = []  # summaries of those runs, first to last
        self.changes: list[dict] = []  # options that were others up to some image: {"until", "option": former value}
        self.pl_mean = torch.zeros([], device=self.device)
        self.ada = AdaptiveProbability(args.ada_target, args.ada_images)
        self.detail = self._detail() if args.detail else None
        if args.grow_from:
            self._inherit(args.grow_from, growing=True)
        elif args.start_from:
            self._inherit(args.start_from, growing=False)
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        self.opt_G = self._adam(self.G, args.lr, args.pl_every if args.pl_weight else None)
        self.opt_D = self._optimizer_of_D()
        self.opt_teacher = None
        if self.teacher:
            learns = self.G.synthesis.parameters()
            self.opt_teacher = torch.optim.Adam(learns, args.teacher_lr, (0.9, 0.99), foreach=True)
        self.opt_projected = self._adam(self.projected, args.projected_lr, None) if args.projected else None
        self.opt_encoder = self.opt_latent = None
        if self.reconstruction:
            self.opt_encoder = self._adam(self.reconstruction.encoder, args.encoder_lr, None)
            self.opt_latent = self._adam(self.reconstruction.latent_discriminator, args.encoder_lr, None)
        self.stats: dict[str, float] = {}

    def _adam(self, net, lr: float, every: int | None):
        # Lazy regularisation takes an optimiser step of its own, so rates and memories are shortened to match
        # (Karras et al. 2020, appendix B).
        ratio = every / (every + 1) if every else 1.0
        # foreach=True groups hundreds of small tensors; the betas must both be floats.
        groups = [{"params": [p for p in net.parameters() if p.requires_grad]}]
        if net is self.G and self.args.noise_rate != 1:
            # Adam moves a lone number as far as any weight, and a strength speaks for each pixel of a map: beside a
            # quick discriminator it overshoots, and pictures get grain.
            named = dict(net.named_parameters())
            strengths = [p for name, p in named.items() if name.endswith("noise_strength")]
            others = [p for name, p in named.items() if not name.endswith("noise_strength")]
            groups = [{"params": others}, {"params": strengths, "lr": lr * ratio * self.args.noise_rate}]
        return torch.optim.Adam(groups, lr * ratio, betas=(0.0, 0.99**ratio), eps=1e-8, foreach=True)

    def _optimizer_of_D(self) -> torch.optim.Optimizer:
        args = self.args
        return self._adam(self.D, args.d_lr or args.lr, args.r1_every if args.r1_gamma else None)

    def _detail(self) -> DetailDiscriminator:
        args = self.args
        rate = args.detail_lr or args.d_lr or args.lr
        gamma = args.r1_gamma if args.detail_gamma is None else args.detail_gamma
        return DetailDiscriminator(
            args.detail,
            args.resolution,
            self.device,
            lambda net: self._adam(net, rate, args.r1_every if gamma else None),
            lambda x, rng: augment(moved(x, args.move, rng), self.ada.p, rng),
            self._autocast,
            gamma,
            args.r1_every,
        )

    def _discriminator(self, c_dim: int, clamp: float | None) -> nn.Module:
        args, size = self.args, self.args.d_resolution or self.args.resolution
        if args.strided:
            if c_dim or args.architecture == "growing" or args.grow_from:
                raise ValueError("--strided goes with neither --label nor growing")
            widest = args.strided * discriminators.WIDEST
            return discriminators.strided(discriminators.halving_widths(args.strided, size, widest))
        return Discriminator(
            c_dim=c_dim,
            img_resolution=size,
            **widths(args, args.d_channel_base or args.channel_base, size),
            architecture="growing" if args.architecture == "growing" else "resnet",
            conv_clamp=clamp,
        )

    # -- one step ------------------------------------------------------------------------------------------------

    def _latents(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        z = torch.randn(n, self.G.z_dim, generator=rng).to(self.device)
        c = None
        if self.G.c_dim:
            labels = self.images.labels[torch.randint(0, len(self.images), (n,), generator=rng)]
            c = torch.eye(self.G.c_dim)[labels].to(self.device)
        return z, c

    def _ws(self, z: Tensor, c: Tensor | None, rng: torch.Generator) -> Tensor:
        ws = self.G.mapping(z, c, update_w_avg=torch.is_grad_enabled())
        if self.args.style_mixing and torch.rand([], generator=rng).item() < self.args.style_mixing:
            other = self.G.mapping(torch.randn(z.shape, generator=rng).to(self.device), c, update_w_avg=False)
            cut = int(torch.randint(1, ws.shape[1], [], generator=rng))
            ws = torch.cat([ws[:, :cut], other[:, cut:]], dim=1)
        return ws

    def _synthesis(self, ws: Tensor, rng: torch.Generator) -> Tensor:
        # On CUDA the noise is drawn there, from a generator seeded like the step's.
        if self.device != "cpu":
            seed = int(torch.randint(0, 2**62, [], generator=rng))
            rng = torch.Generator(self.device).manual_seed(seed)
        return self.G.synthesis(ws, self._noise_mode, self.dtype, self.args.impl, rng)

    @property
    def _noise_mode(self) -> str:
        return "random" if self.shown >= self.args.noise_from else "none"

    @torch.no_grad()
    def _silence(self) -> None:
        """Sets the strengths of the noise to nothing, so that pictures with stored noise are those without."""
        for net in (self.G, self.G_ema):
            for name, strength in net.named_parameters():
                if name.endswith("noise_strength"):
                    strength.zero_()

    def _logits(self, x: Tensor, c: Tensor | None, rng: torch.Generator) -> Tensor:
        return self._judge(augment(self._reduced(x), self.ada.p, rng), c)

    def _reduced(self, x: Tensor) -> Tensor:
        """Pictures at the discriminator's size."""
        times = x.shape[-1] // (self.args.d_resolution or x.shape[-1])
        for _ in range(times.bit_length() - 1):
            x = reconstruction.halved(x)
        return x

    def _judge(self, x: Tensor, c: Tensor | None) -> Tensor:
        if not self.args.strided:
            return self.D(x, c, self.dtype, self.args.impl)
        with self._autocast():
            return self.D(x.float()).float()

    def _autocast(self):
        return torch.autocast(self.device, self.dtype, enabled=self.dtype is not None)

    def _real(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        index = torch.randint(0, len(self.images), (n,), generator=rng)
        flip = torch.rand(n, generator=rng) < 0.5 if self.args.xflip else None
        x = self.images.batch(index, flip)
        if self.growth is not None:
            x = growing_images(x, *self.G.synthesis.growth)
        c = torch.eye(self.G.c_dim)[self.images.labels[index]].to(self.device) if self.G.c_dim else None
        return x, c

    def _update(self, loss: Tensor, *optimizers: torch.optim.Optimizer) -> None:
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        if self.args.precision == "fp16":  # the official way with overflow: forget it, the clamp keeps it rare
            for group in groups:
                for q in group["params"]:
                    if q.grad is not None:
                        torch.nan_to_num(q.grad, nan=0, posinf=1e5, neginf=-1e5, out=q.grad)
        parallel.average_gradients(q for group in groups for q in group["params"])
        for optimizer in optimizers:
            optimizer.step()

    def step(self) -> None:
        """One synthesis; its pictures serve the discriminators first, then the generator."""
        args, n = self.args, parallel.share(self.args.batch)
        rng = loop.random_of_step(args.seed, self.step_number)
        if self.growth is not None:
            self.growth.apply(self.shown, self.G_ema.synthesis, self.G.synthesis, self.D)
        fade_in(self.D, self.shown, args.fade)
        if self._noise_mode == "none":
            self._silence()
        learns = self.shown >= args.warm_up
        stats = {}
        if self.shown < args.autoencoder_images:
            self._reconstruct_only(n, rng, stats)
            return
        if self.shown < args.teacher_images:
            self._learn_from_teacher(n, rng)
            return

        # Make pictures.
        self.G.requires_grad_(learns)
        real, c_real = self._real(n, rng)
        with torch.set_grad_enabled(learns):
            z, c = self._latents(n, rng)
            ws = self._ws(z, c, rng)
            encoded = self._encoded(real[: args.reconstructed // parallel.count()], ws)
            if encoded is not None:
                ws = torch.cat([encoded["ws"], ws[len(encoded["ws"]) :]])
            fake = self._synthesis(ws, rng)

        # Update the discriminators.
        # Reconstructions are easily told from photographs: with them, it learns little else.
        first = len(encoded["w0"]) if encoded is not None and args.judge_sampled else 0
        judged, c_judged = fake[first:], None if c is None else c[first:]
        self.D.requires_grad_(True)
        logits_fake = self._logits(judged.detach(), c_judged, rng)
        logits_real = self._logits(real, c_real, rng)
        loss_D = losses.discriminator_loss(logits_real, logits_fake)
        self._update(loss_D, self.opt_D)
        self.ada.observe(logits_real)
        if args.r1_gamma and self.step_number % args.r1_every == 0:
            small = augment(self._reduced(real), self.ada.p, rng).detach().requires_grad_(True)
            penalty = losses.r1_penalty(self._judge(small, c_real), small)
            self._update(penalty * (args.r1_gamma / 2 * args.r1_every), self.opt_D)
            self.stats["r1"] = penalty.item()
        self.D.requires_grad_(False)
        maps = self._update_projected(real, fake, rng, stats)
        if self.detail:
            self.stats |= self.detail.learn(real, fake, self.step_number, rng, self._update)
        if not learns:
            self.stats.update(loss_D=loss_D.item(), **stats)
            self._count()
            return

        # Update the generator, and the encoder with it.
        loss_G = losses.generator_loss(self._logits(judged, c_judged, rng))
        if self.detail:
            loss_G = loss_G + args.detail_weight * self.detail.generator_loss(fake, rng)
        loss = loss_G if self.shown >= args.adversarial_after else loss_G * 0
        if maps and self.shown >= args.projected_warm_up:
            loss = loss + args.projected_weight * self._projected_loss(maps)
        if self.energy:
            sampled = fake[len(encoded["w0"]) :] if encoded is not None else fake
            loss = loss + args.energy_weight * self._energy_loss(sampled, real, rng)
        if args.range_penalty:
            loss = loss + args.range_penalty * projected.range_penalty(fake)
        optimizers = [self.opt_G]
        if encoded is not None:
            loss = loss + self._reconstruction_loss(real, fake, encoded, rng, stats)
            optimizers.append(self.opt_encoder)
        self._update(loss, *optimizers)
        if args.pl_weight and self.shown >= args.pl_from and self.step_number % args.pl_every == 0:
            self._regularise_path_length(n, rng)

        # Update averages.
        self._average(args.batch)
        self._count()
        if self.step_number % 16 == 0:
            means = {"logits_real": logits_real.mean().item(), "logits_fake": logits_fake.mean().item()}
            self.stats.update(loss_D=loss_D.item(), loss_G=loss_G.item(), ada_p=self.ada.p, **means, **stats)

    def _update_projected(self, real: Tensor, fake: Tensor, rng: torch.Generator, stats: dict) -> dict[str, list]:
        """Heads of each projected discriminator learn; returns the mixed maps of the generated pictures."""
        maps = {}
        loss = 0.0
        for name, D in self.projected.items():
            D.heads.requires_grad_(True)
            with self._autocast():
                own, maps[name], means = projected.learn(D, real, fake, rng)
            loss = loss + own
            stats |= {f"{name}_{which}": mean for which, mean in means.items()}
        if maps:
            self._update(loss, self.opt_projected)
            self.projected.requires_grad_(False)
        return maps

    def _projected_loss(self, maps: dict[str, list]) -> Tensor:
        with self._autocast():
            return sum(projected.hinge_generator_loss(self.projected[name].logits(m)) for name, m in maps.items())

    def _energy_loss(self, sampled: Tensor, real: Tensor, rng: torch.Generator) -> Tensor | float:
        with self._autocast():
            generated = self.energy.embed(sampled, rng)
            with torch.no_grad():
                photographs = self.energy.embed(real[-len(sampled) :], rng)
        loss = self.energy.loss(generated, photographs)
        if self.step_number % 16 == 0:
            self.stats["energy"] = self.energy.distance()
        return 0.0 if loss is None else loss

    def _encoded(self, photographs: Tensor, ws: Tensor) -> dict[str, Tensor] | None:
        """Latents of photographs, as the encoder says them; None without an encoder.

        ``mapped`` are as many w of the mapping network, ``known`` the w+ of the pictures that are sampled.
        """
        if self.reconstruction is None:
            return None
        count = len(photographs)
        with self._autocast():
            w0, deltas, encoded = self.reconstruction.encode(photographs)
        return {"w0": w0, "deltas": deltas, "ws": encoded, "mapped": ws[:count, 0], "known": ws[count:]}

    def _take_statistics(self) -> None:
        """Of the same photographs in each process."""
        rng = torch.Generator().manual_seed(self.args.seed)
        index = torch.randperm(len(self.images), generator=rng)[:STATISTICS]
        self.reconstruction.take_statistics([self.images.batch(some).to(self.device) for some in index.split(64)])

    def _reconstruct_only(self, n: int, rng: torch.Generator, stats: dict) -> None:
        """A step of the beginning: every photograph is reconstructed, and the mapping network follows the encoder."""
        self.G.requires_grad_(True)
        real, _ = self._real(n, rng)
        z, c = self._latents(n, rng)
        encoded = self._encoded(real, self._ws(z, c, rng))
        made = self._synthesis(encoded["ws"], rng)
        loss = self._reconstruction_loss(real, made, encoded, rng, stats)
        if self.args.range_penalty:
            loss = loss + self.args.range_penalty * projected.range_penalty(made)
        self._update(loss, self.opt_G, self.opt_encoder)
        self._average(self.args.batch)
        self._count()
        self.stats.update(stats)

    def _learn_from_teacher(self, n: int, rng: torch.Generator) -> None:
        """A step of the beginning: the pictures of the teacher for the same w; the mapping network is the teacher's."""
        self.G.requires_grad_(True)
        ws, wanted = (x.to(self.device) for x in self.teacher.batch(n, rng))
        if self.growth is not None:
            wanted = growing_images(wanted, *self.G.synthesis.growth)
        made = self._synthesis(ws, rng)
        with self._autocast():
            loss = teaching.loss(made, wanted, self.perceptual, self.args.lambda_pixels, self.args.lambda_features)
        for group in self.opt_teacher.param_groups:
            group["lr"] = self.args.teacher_lr * loop.half_cosine(self.shown / self.args.teacher_images)
        self._update(loss, self.opt_teacher)
        self._average(self.args.batch)
        self._count()
        self.stats["teacher"] = loss.item()

    def _reconstruction_loss(
        self, real: Tensor, fake: Tensor, encoded: dict, rng: torch.Generator, stats: dict
    ) -> Tensor:
        args, R, count = self.args, self.reconstruction, len(encoded["ws"])
        made, x = fake[:count], real[:count]
        terms = {"pixels": args.lambda_pixels * reconstruction.pixel_loss(made, x)}
        with self._autocast():
            both = moved(torch.cat([made, x]), args.move, rng)
            with torch.no_grad():
                wanted = self.perceptual(both[count:])
            terms["features"] = args.lambda_features * reconstruction.feature_loss(
                self.perceptual(both[:count]), wanted
            )
            if self.identity is not None:
                with torch.no_grad():
                    wanted = self.identity.embed(x)
                loss = reconstruction.identity_loss(self.identity.embed(made), wanted)
                terms["identity"] = args.lambda_identity * loss
            if len(fake) > count:  # the latents of sampled pictures are known
                w0, deltas, _ = R.encode(fake[count:].detach())
                off = (w0[:, None] + deltas - encoded["known"].detach()).square().mean()
                terms["known"] = args.lambda_known * off
        terms["delta"] = args.lambda_delta * encoded["deltas"].square().mean()
        loss_latent = R.latent_discriminator_loss(encoded["mapped"], encoded["w0"])
        self._update(loss_latent, self.opt_latent)
        terms["latent"] = args.lambda_latent * R.latent_generator_loss(encoded["mapped"], encoded["w0"])
        stats.update({f"reconstruction_{k}": v.item() for k, v in terms.items()})
        return sum(terms.values())

    def _regularise_path_length(self, n: int, rng: torch.Generator) -> None:
        args = self.args
        z, c = self._latents(args.pl_batch or max(n // 2, 1), rng)
        ws = self._ws(z, c, rng)
        # Second derivatives in half precision are too coarse; this batch runs in float32.
        images = self.G.synthesis(ws, self._noise_mode, None, "fast", rng if self.device == "cpu" else None)
        penalty, self.pl_mean = losses.path_length_penalty(images, ws, self.pl_mean, rng)
        self._update(penalty * (args.pl_weight * args.pl_every), self.opt_G)
        self.stats["path_length"] = self.pl_mean.item()

    def _count(self) -> None:
        self.step_number += 1
        self.shown += self.batch
        if self.step_number % 4 == 0:
            self.ada.signs, self.ada.observed = parallel.total(self.ada.signs, self.ada.observed)
        if self.step_number % 4 == 0 and (r_t := self.ada.adjust()) is not None:
            self.stats["r_t"] = r_t

    @torch.no_grad()
    def _average(self, n: int) -> None:
        total = self.shown + self.shown_before
        half_life = min(self.args.ema_half_life, max(total, n) * self.args.ema_rampup)
        beta = 0.5 ** (n / max(half_life, 1e-8))
        ema, new = list(self.G_ema.parameters()), list(self.G.parameters())
        torch._foreach_lerp_(ema, new, 1 - beta)
        for a, b in zip(self.G_ema.buffers(), self.G.buffers(), strict=True):
            a.copy_(b)
        if self.reconstruction:
            loop.update_ema(self.reconstruction.average, self.reconstruction.encoder, n / max(half_life, 1e-8))
