"""Trains AttGAN: ``python -m training attgan --data faces_128.zip --out runs/attgan``.

``--recipe paper`` is that of He et al. 2019 and their programs: five discriminator steps to one of the generator,
target attributes shuffled within the batch, ``--mode`` wgan (gradient penalty 10), lsgan or dcgan, weights 100
(reconstruction, L1), 10 and 1 (classification in the generator and in the discriminator), Adam 2e-4 (0.5, 0.999), a
tenth of the rate after half of the images.

``--recipe ours`` (default) spends a CPU's time better: one step each with the logistic loss and lazy R1 instead of the
gradient penalty; half of the targets are single attributes flipped, conflicts resolved, at intensities up to 1 (the
weak ones need to show less), as visitors ask for; besides the discriminator's head a frozen classifier (``training
attributes``), which sees varied pictures, says whether the attribute has changed; reconstruction is also compared in
that classifier's features; and the generator that counts is the running average of the weights.

Further options of ``ours`` keep more of the face: ``--head change`` lays a picture over the input through a mask that
is to be small (``--lambda-mask``), ``--difference`` tells the decoder only what is to change (STGAN, Liu et al. 2019),
and ``--identity`` compares the person before and after in a face recognition network. Rare attributes come sooner with
``--balanced`` (every attribute, there and not there, is shown equally often: where 2 photographs in 100 are bald, but 7
edits, baldness itself is what betrays an edit) and ``--domains`` (besides whether a picture is real, the discriminator
says whether it looks like the photographs that have the attribute, or have it not; StarGAN v2, Choi et al. 2020).
``--typical`` asks of an edit no more than the classifier sees in photographs that have the attribute.
``--local`` undoes what an edit changes outside of its attributes' regions before anybody judges it, as the page does.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import weights
from models.attgan import HEADS, NORMS, Discriminator, Generator
from models.attributes import Classifier
from weights import store

from . import features, loop, projected
from .attgan_batches import Batch, Edits, told, typical_logits, typical_targets
from .attgan_regions import parts_of
from .attributes import ATTGAN, classifier_name, load_classifier, vary
from .commands import placed
from .data import Images, load_images
from .editing import psnr, reconstructed, sheet, success
from .losses import discriminator_loss, generator_loss, r1_penalty
from .projected import ProjectedDiscriminator
from .reconstruction import identity_loss

COMMAND = "AttGAN: encoder, decoder and discriminator"

# Defaults that the two recipes do not share: option -> (ours, paper).
RECIPES = {
    "lr": (6e-4, 2e-4),
    "beta2": (0.99, 0.999),
    "d_steps": (1, 5),
    "enc_dim": (32, 64),
    "layers": (4, 5),
    "shortcuts": (2, 1),
    "injections": (2, 1),
    "slope": (0.2, 0.01),
    "fc_dim": (256, 1024),
    # Reconstruction is learned in minutes; what takes hours is that rare attributes come at all.
    "lambda_rec": (50.0, 100.0),
    "lambda_cls": (40.0, 10.0),
}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training attgan", description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--data", required=True, help="zip or folder of faces with labels.csv, a 0/1 column for each attribute")
    add("--out", required=True, help="folder of the run; an unfinished run in it goes on")
    add(
        "--classifier",
        default=None,
        help="for the recipe ours: folder of a run of `training attributes`, or the name of a classifier that ships",
    )
    add("--recipe", default="ours", choices=("ours", "paper"))
    add("--mode", default="wgan", choices=("wgan", "lsgan", "dcgan"), help="adversarial loss of the recipe paper")
    add("--images", type=int, default=1_500_000)
    add("--rate-images", type=int, default=None, help="images over which the rate falls, where not --images")
    add("--minutes", type=float, default=None)
    add("--attrs", nargs="+", default=list(ATTGAN))
    add("--size", type=int, default=64)
    for name, (ours, paper) in RECIPES.items():
        add("--" + name.replace("_", "-"), type=type(ours), default=None, help=f"{ours} (ours), {paper} (paper)")
    add("--classifier-share", type=float, default=0.5, help="of --lambda-cls; the discriminator has the rest, ours")
    add("--max-dim", type=int, default=1024)
    add("--d-norm", default="instancenorm", choices=NORMS, help="of the discriminator; with none it sees tints, too")
    add("--start-from", default=None, help="state.pt or .safetensors of the generator to begin with")
    add("--warm-up", type=int, default=0, help="images that new discriminators see before the generator learns, ours")
    add("--head", default="image", choices=HEADS, help="what the decoder makes: a picture, or a change with its mask")
    add("--refine", type=int, default=0, help="channels at full size before the change")
    add("--difference", action="store_true", help="tell the decoder what is to change, not how the result is to be")
    add("--balanced", action="store_true", help="show each attribute, there and not there, equally often, ours")
    add("--domains", action="store_true", help="a logit of the discriminator for each attribute there and not, ours")
    add("--singles", type=float, default=0.5, help="share of edits that flip one attribute, ours")
    add("--typical", type=float, default=None, help="an edit is to look like this quantile of photographs, ours")
    add("--local", action="store_true", help="edits change only what lies in their attributes' regions, ours")
    add("--lambda-mask", type=float, default=0.0, help="of the mean of a change's mask")
    add("--identity", default=None, choices=tuple(features.NETWORKS), help="face recognition network, ours")
    add("--lambda-identity", type=float, default=5.0)
    add("--identity-share", type=float, default=1.0, help="of a batch whose persons are compared: it takes long")
    add(
        "--projected",
        nargs="*",
        default=[],
        choices=tuple(features.NETWORKS),
        help="projected discriminators on these features, ours",
    )
    add("--projected-weight", type=float, default=1.0, help="of their loss in the generator's")
    add("--projected-lr", type=float, default=2e-4)
    add("--batch", type=int, default=32)
    add("--lambda-gp", type=float, default=10.0)
    add("--lambda-features", type=float, default=2.0, help="reconstruction in the classifier's features, ours")
    add("--r1-gamma", type=float, default=1.0)
    add("--r1-every", type=int, default=8)
    add("--ema-half-life", type=float, default=10_000, help="in images, ours")
    add("--precision", default="bf16", choices=tuple(loop.PRECISIONS))
    add("--device", default="auto")
    add("--threads", type=int, default=None)
    add("--seed", type=int, default=0)
    add("--tick", type=int, default=10_000)
    return p


def complete(args: argparse.Namespace) -> argparse.Namespace:
    """Fills in what was not given from the recipe."""
    for name, values in RECIPES.items():
        if getattr(args, name) is None:
            setattr(args, name, values[args.recipe == "paper"])
    return args


class AttGANRun:
    def __init__(self, args: argparse.Namespace, images: Images, classifier: Classifier | None = None):
        self.args, self.batch, self.images = complete(args), args.batch, images
        self.ours = args.recipe == "ours"
        if self.ours and classifier is None:
            raise ValueError("the recipe ours needs --classifier, a run of `python -m training attributes`")
        self.device = loop.resolve(args.device)
        self.dtype = loop.dtype_of(args.precision, self.device)
        torch.manual_seed(args.seed)
        self.G = Generator(
            n_attrs=len(args.attrs),
            img_size=args.size,
            enc_dim=args.enc_dim,
            enc_layers=args.layers,
            dec_dim=args.enc_dim,
            dec_layers=args.layers,
            shortcut_layers=args.shortcuts,
            inject_layers=args.injections,
            max_dim=args.max_dim,
            slope=args.slope,
            attrs=args.attrs,
            head=args.head,
            refine=args.refine,
            difference=args.difference,
        )
        self.parts = parts_of(images) if args.local else None
        self.edits = Edits(images, args.attrs, args.batch, self.parts, args.singles * self.ours, args.balanced)
        self.identity = features.load(args.identity) if args.identity else None
        self.D = Discriminator(
            n_attrs=len(args.attrs),
            img_size=args.size,
            dis_dim=args.enc_dim,
            dis_layers=args.layers,
            dis_fc_dim=args.fc_dim,
            max_dim=args.max_dim,
            norm=args.d_norm,
            slope=args.slope,
        )
        # Logits of [attribute 0 is not there, ..., attribute 0 is there, ...].
        wide = self.D.fc_adv[0].layers[0].in_features
        self.domains = torch.nn.Linear(wide, 2 * len(args.attrs)).to(self.device) if args.domains else None
        self.shown_before, self.seconds_before = self._begin(args.start_from) if args.start_from else (0, 0.0)
        for net in (self.G, self.D):
            net.to(self.device, memory_format=torch.channels_last)
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        self.classifier = None
        if classifier is not None:
            self.classifier = classifier.to(self.device, memory_format=torch.channels_last).eval().requires_grad_(False)
            self.columns = [classifier.attrs.index(name) for name in args.attrs]
            if args.typical:
                self.typical = typical_logits(self.classifier, images, self.columns, args.typical)
        self.projected = torch.nn.ModuleDict(
            {name: ProjectedDiscriminator(features.load(name).to(self.device)) for name in args.projected}
        ).to(self.device)
        betas = (0.5, float(args.beta2))
        self.opt_G = torch.optim.Adam(self.G.parameters(), args.lr, betas, foreach=True)
        self.tells_apart = torch.nn.ModuleList([self.D, *([self.domains] if args.domains else [])])
        self.opt_D = torch.optim.Adam(self.tells_apart.parameters(), args.lr, betas, foreach=True)
        self.opt_projected = None
        if args.projected:
            self.opt_projected = torch.optim.Adam(self.projected.parameters(), args.projected_lr, (0.0, 0.99))
        self.shown = self.step_number = 0
        self.seconds = 0.0
        self.stats: dict[str, float] = {}

    def _begin(self, path: str) -> tuple[int, float]:
        """Takes the averaged generator of another run; how many images, and seconds, that run had."""
        if path.endswith(".safetensors"):
            net, card = store.load(path), store.header(path)["card"]
            config, given = net.config, net.state_dict()
            before = card.get("images", 0), card.get("seconds", 0.0)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            config, given = state["G_config"], state["G_ema"]
            before = (
                state["shown"] + state.get("shown_before", 0),
                state["seconds"] + state.get("seconds_before", 0.0),
            )
        if config != self.G.config:
            raise weights.UserError(f"The generator in {path} has other sizes than these options make.")
        self.G.load_state_dict(given)
        return before

    # -- one step ----------------------------------------------------------------------------------------------------

    def _autocast(self):
        return torch.autocast(self.device, self.dtype, enabled=self.dtype is not None)

    def _rate(self) -> float:
        done = self.shown / (self.args.rate_images or self.args.images)
        if not self.ours:
            return self.args.lr * (1.0 if done < 0.5 else 0.1)
        return self.args.lr * (1.0 if done < 0.6 else loop.half_cosine(min((done - 0.6) / 0.4, 1)) + 0.02)

    def step(self) -> None:
        rng = loop.random_of_step(self.args.seed, self.step_number)
        for optimizer in (self.opt_G, self.opt_D):
            for group in optimizer.param_groups:
                group["lr"] = self._rate()
        self.G.train()
        batch = self.edits.draw(rng, self.device)
        x, a, values, shown = batch[:4]
        if self.ours:
            self._step_ours(batch, rng)
        elif (self.step_number + 1) % (self.args.d_steps + 1):
            self._discriminator_paper(x, a, values, rng)
        else:
            self._generator_paper(x, a, values, shown)
        self.step_number += 1
        self.shown += self.batch

    def _told_apart(self, x: Tensor, attribute: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of real pictures ``[N, 1 or 2]`` and of the attributes ``[N, n]``.

        The second column, with ``--domains``, is among pictures whose attribute number ``attribute [N]`` is ``there``.
        """
        h = self.D.features(x)
        real = self.D.fc_adv(h)
        if self.domains is not None:
            column = attribute + len(self.args.attrs) * there.gather(1, attribute[:, None])[:, 0].round().long()
            real = torch.cat([real, self.domains(h).gather(1, column[:, None])], dim=1)
        return real, self.D.fc_cls(h)

    def _step_ours(self, batch: Batch, rng: torch.Generator) -> None:
        x, a, values, shown, own, changed, where = batch
        args, source = self.args, told(a)
        # A change that is told nothing has little to learn from it.
        count = len(x) if args.head == "image" else max(1, len(x) // 4)
        learns = self.shown >= args.warm_up
        with self._autocast(), torch.set_grad_enabled(learns):  # both decodings in one pass
            zs = [torch.cat([z[:count], z]) for z in self.G.encode(x)]
            asked = self.G.told(torch.cat([source[:count], values]), torch.cat([source[:count], source]))
            made, mask = self.G.made(zs, asked)
            rebuilt, edited = made.float().split([count, len(x)])
        if where is not None:
            edited = torch.lerp(x, edited, where)
        self.tells_apart.requires_grad_(True)
        with self._autocast():
            real, named = self._told_apart(x, own, a)
            fake, _ = self._told_apart(edited.detach(), changed, shown)
        loss_D = discriminator_loss(real.float(), fake.float()) + F.binary_cross_entropy_with_logits(named.float(), a)
        self._update(self.opt_D, loss_D)
        if self.step_number % args.r1_every == 0:
            y = x.detach().contiguous().requires_grad_(True)
            penalty = r1_penalty(self._told_apart(y, own, a)[0].sum(1), y)
            self._update(self.opt_D, penalty * (args.r1_gamma / 2 * args.r1_every))
            self.stats["r1"] = penalty.item()

        self.tells_apart.requires_grad_(False)
        maps = self._learn_projected(x, edited, rng)
        if not learns:
            self._note(loss_D=loss_D)
            return
        before = rng.get_state()
        with self._autocast():
            fake, named = self._told_apart(edited, changed, shown)
            judged = self.classifier(vary(edited, rng).to(memory_format=torch.channels_last))[:, self.columns]
            pairs = zip(self.classifier.features(rebuilt), self.classifier.features(x[:count]), strict=True)
            unlike = sum(F.l1_loss(p.float(), q.float()) for p, q in pairs)
            if args.typical:  # the photographs varied as their edits are: what was not changed is read alike
                with torch.no_grad():
                    varied = vary(x, rng.set_state(before)).to(memory_format=torch.channels_last)
                    read = self.classifier(varied)[:, self.columns].float()
        classified = F.binary_cross_entropy_with_logits(named.float(), shown)
        if args.typical:  # among logits: what is rare has small probabilities, and would hardly be asked for by them
            judged = F.smooth_l1_loss(judged.float(), typical_targets(read, self.typical, values - source))
        else:
            judged = F.binary_cross_entropy_with_logits(judged.float(), shown)
        rec = F.l1_loss(rebuilt, x[:count])
        loss_G = (
            generator_loss(fake.float()) * fake.shape[1]
            + args.lambda_cls * torch.lerp(classified, judged, args.classifier_share)
            + args.lambda_rec * rec
            + args.lambda_features * unlike
        )
        for name, of_edits in maps.items():
            with self._autocast():
                unlikely = projected.hinge_generator_loss(self.projected[name].logits(of_edits))
            loss_G = loss_G + args.projected_weight * unlikely
        if mask is not None:
            loss_G = loss_G + args.lambda_mask * mask[count:].float().mean()
            self._note(mask=mask[count:].float().mean())
        if self.identity is not None:
            with self._autocast():
                some = max(1, round(len(x) * args.identity_share))
                with torch.no_grad():
                    person = self.identity.embed(x[:some])
                person = identity_loss(self.identity.embed(edited[:some]), person)
            loss_G = loss_G + args.lambda_identity * person
            self._note(person=person)
        self._update(self.opt_G, loss_G)
        self._average()
        self._note(loss_D=loss_D, rec=rec, cls=classified, judged=judged)
        self._note(**dict(zip(("adv", "adv_domain"), F.softplus(-fake.float()).mean(dim=0), strict=False)))

    def _learn_projected(self, x: Tensor, edited: Tensor, rng: torch.Generator) -> dict[str, list[Tensor]]:
        """One update of the heads; the mixed maps of the edits by the networks' names."""
        maps = {}
        for name, D in self.projected.items():
            D.heads.requires_grad_(True)
            with self._autocast():
                loss, maps[name], means = projected.learn(D, x, edited, rng)
            self._update(self.opt_projected, loss)
            D.heads.requires_grad_(False)
            self._note(**{f"{name}_{which}": torch.tensor(mean) for which, mean in means.items()})
        return maps

    def _adversarial_paper(self, real: Tensor, fake: Tensor) -> Tensor:
        if self.args.mode == "wgan":
            return fake.mean() - real.mean()
        if self.args.mode == "lsgan":
            return F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(fake, torch.zeros_like(fake))
        bce = F.binary_cross_entropy_with_logits
        return bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))

    def _discriminator_paper(self, x: Tensor, a: Tensor, values: Tensor, rng: torch.Generator) -> None:
        self.D.requires_grad_(True)
        with self._autocast():
            with torch.no_grad():
                edited = self.G(x, values).float()
            real, named = self.D(x)
            fake, _ = self.D(edited)
        # Second derivatives in half precision are too coarse; the penalty runs in float32, in every mode.
        penalty = self._gradient_penalty(x, edited, rng)
        cls = F.binary_cross_entropy_with_logits(named.float(), a)
        loss = self._adversarial_paper(real.float(), fake.float()) + self.args.lambda_gp * penalty + cls
        self._update(self.opt_D, loss)
        self._note(loss_D=loss, gp=penalty, cls_real=cls)

    def _gradient_penalty(self, x: Tensor, edited: Tensor, rng: torch.Generator) -> Tensor:
        """``(|dD/dx| - 1)^2``: between real and made for wgan, around the real (DRAGAN) for the others."""
        weight = torch.rand(x.shape[0], 1, 1, 1, generator=rng).to(x.device)
        if self.args.mode != "wgan":
            noise = torch.rand(x.shape, generator=rng).to(x.device)
            edited = x + 0.5 * x.var().sqrt() * noise
        y = (x + weight * (edited - x)).contiguous().requires_grad_(True)
        (gradient,) = torch.autograd.grad(self.D(y)[0].sum(), y, create_graph=True)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()

    def _generator_paper(self, x: Tensor, a: Tensor, values: Tensor, shown: Tensor) -> None:
        self.D.requires_grad_(False)
        with self._autocast():
            zs = self.G.encode(x)
            edited = self.G.decode(zs, values).float()
            rebuilt = self.G.decode(zs, told(a)).float()
            fake, named = self.D(edited)
        fake = fake.float()
        if self.args.mode == "wgan":
            adv = -fake.mean()
        elif self.args.mode == "lsgan":
            adv = F.mse_loss(fake, torch.ones_like(fake))
        else:
            adv = F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
        cls, rec = F.binary_cross_entropy_with_logits(named.float(), shown), F.l1_loss(rebuilt, x)
        self._update(self.opt_G, adv + self.args.lambda_cls * cls + self.args.lambda_rec * rec)
        self.G_ema.load_state_dict(self.G.state_dict())  # the recipe has no average
        self._note(adv=adv, cls=cls, rec=rec)

    def _update(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def _note(self, **values: Tensor) -> None:
        for name, value in values.items():
            old = self.stats.get(name)
            self.stats[name] = value.item() if old is None else old + 0.02 * (value.item() - old)

    def _average(self) -> None:
        half_life = min(self.args.ema_half_life, max(self.shown, self.batch) * 0.05)
        loop.update_ema(self.G_ema, self.G, self.batch / max(half_life, 1e-8))

    # -- the run's folder ----------------------------------------------------------------------------------------------

    def _parts(self) -> list[str]:
        domains = ["domains"] if self.args.domains else []
        heads = ["projected", "opt_projected"] if self.args.projected else []
        return ["G", "D", "G_ema", "opt_G", "opt_D", *domains, *heads]

    def state(self) -> dict:
        return {
            **{k: getattr(self, k).state_dict() for k in self._parts()},
            **{k: getattr(self, k) for k in ("shown", "step_number", "seconds", "stats")},
            **{k: getattr(self, k) for k in ("shown_before", "seconds_before")},
            "G_config": self.G.config,
            "D_config": self.D.config,
            "data": Path(self.args.data).name,
            "train_images": len(self.images),
            "args": {k: v for k, v in vars(self.args).items() if k not in ("data", "out", "classifier")}
            | {"start_from": self.args.start_from and placed(self.args.start_from)},
            "classifier": classifier_name(self.args.classifier),
        }

    def restore(self, state: dict) -> None:
        for k in self._parts():
            getattr(self, k).load_state_dict(state[k])
        for k in ("shown", "step_number", "seconds", "stats"):
            setattr(self, k, state[k])
        self.shown_before, self.seconds_before = state.get("shown_before", 0), state.get("seconds_before", 0.0)


def train(args: argparse.Namespace, log=print) -> AttGANRun:
    loop.use_threads(args.threads, args.device)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    images = load_images(args.data, args.size, "train", attributes=args.attrs)
    classifier = load_classifier(args.classifier) if args.classifier else None
    run = AttGANRun(args, images, classifier)
    loop.resume(run, out, log)
    sizes = [sum(p.numel() for p in net.parameters()) for net in (run.G, run.D)]
    log(f"{len(images)} images of {args.size} px, generator {sizes[0]:,} parameters, discriminator {sizes[1]:,}")
    # Whoever looks at sheets and numbers of a run chooses by them, so they are not of the test split.
    x = (images.pixels[:128].float() / 127.5 - 1).to(run.device)
    a = images.attributes[:128].float().to(run.device)
    parts = None if run.parts is None else run.parts[:128]

    def report() -> dict:
        (out / "sheets").mkdir(exist_ok=True)
        sheet(run.G_ema, x[:10], a[:10], parts).save(out / "sheets" / f"{run.shown:08d}.png")
        found = {**run.stats, "psnr": psnr(reconstructed(run.G_ema, x, a), x)}
        if classifier is not None:
            found["flipped"] = success(run.G_ema, classifier, x, a, parts)["mean"]
        return found

    loop.train_until(run, args.images, out, args.tick, report, log, args.minutes)
    return run


def main(argv: list[str]) -> int:
    train(parser().parse_args(argv), log=lambda s: print(s, flush=True))
    return 0
