"""The stages of an out-of-domain edit: once a photograph, once an edit, and at each move of a slider of the mask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models import regions
from models.segmentation import Parts
from models.stylegan2 import Generator
from weights.errors import UserError

from .. import checks, faces, inversion
from ..defaults import BLENDS, POOR, SOFTNESS, THRESHOLD, TUNING, MaskOptions
from ..faces import geometry, segmentation, surroundings
from ..images import Mask, decode_image, to_pil
from ..inversion.invert import InversionStep
from ..latents import decode_latent, w_plus
from . import likeness
from . import mask as masks
from .likeness import Likeness
from .mask import overlay
from .networks import Networks, edits_of, gather, method_of, search

MAX_TUNING = 1000
TUNED_UP_TO = 256  # px: larger networks are not tuned on a processor unless that is asked for
TUNING_LR, NEAR_ENOUGH = 3e-3, 0.03  # of Adam; the distance at which tuning ends
WARRANTED = 1.1  # times its attribute's region: a mask larger than that is said to be large
# Times how surely a pixel is hair: with the usual threshold and softness the mask is whole where that is sure alone. At
# the hairline skin would glow.
SURE = THRESHOLD + SOFTNESS
ALL_OF_IT = 0.4  # of the picture: the same, where no region is known


@dataclass(frozen=True, eq=False)
class Inverted:
    """A photograph that need not be inverted again.

    Attributes:
        photo: I.
        latent: w+ ``[1, num_ws, w_dim]`` on the CPU.
        image: I'.
        trust: how far an edit may be shown, ``[H, W]`` float32 from 0 to 1: less where something lies before the face
            and where I' is far from I.
        net, tuned: a copy of the generator that was tuned to this photograph, and the steps of that; None, 0 without.
        landmarks: ``[5, 2]`` in pixels, which say where attributes lie; None where no face was found.
        occluded: what lies before the face, ``[H, W]`` from 0 to 1; None without a network that finds it.
        likeness: of I' and I.
        parts: where on I the person is and the hair; None where its crop is not one of which that is known.
    """

    photo: Image.Image
    latent: Tensor
    image: Image.Image
    trust: np.ndarray
    net: Generator | None = None
    tuned: int = 0
    landmarks: np.ndarray | None = None
    occluded: np.ndarray | None = None
    likeness: Likeness | None = None
    parts: Parts | None = None


@dataclass(frozen=True, eq=False)
class Changed:
    """What the generator makes of moved latents, and where it differs: nothing here depends on a slider of the mask.

    Attributes:
        edits: (direction, strength) pairs, none of strength 0.
        image: T.
        seen: the map ``[H, W]`` float32 from 0 to 1.
        by: "Diff-CAM", or "difference" where that is not there.
        named: the attribute that Diff-CAM takes the edit for, None without it and where nothing differs.
        latent: of T, w+ ``[1, num_ws, w_dim]`` on the CPU.
        trust: of ``Inverted``.
        region: where these attributes lie, ``[H, W]`` from 0 to 1; None where that is not known.
        hair: of edits of its colour alone, its map in place of ``seen``, ``[H, W]`` from 0 to 1; else None.
    """

    edits: tuple[tuple[str, float], ...]
    image: Image.Image
    seen: np.ndarray
    by: str
    named: str | None
    latent: Tensor
    trust: np.ndarray
    region: np.ndarray | None = None
    hair: np.ndarray | None = None

    def recolours(self, blend: str) -> bool:
        """Whether the photograph's own hair takes another colour, so that the mask is all of it."""
        return self.hair is not None and blend == "seamless"


@dataclass(frozen=True, eq=False)
class OutOfDomainEdit:
    """Every stage of an edit, pictures of one size: I, I', T, M (grey), F and the result.

    Attributes:
        residual: mean of |I - I'| inside the mask, 0 to 1; None where the mask is empty.
        poor: the residual is so large that what is shown inside the mask may be another face's.
        deghosted: a network went over the border of the mask.
        named, by: as in ``Changed``.
        share: of the picture, what the mask covers, 0 to 1.
        wide: the mask is larger than the attributes' region warrants.
        likeness: of the result and the photograph.
        stranger: the person would not be recognised in the result.
        recoloured: the attributes of hair whose colour its own hair took; none where T was laid over the photograph.
    """

    photo: Image.Image
    inverted: Image.Image
    edited: Image.Image
    mask: Image.Image
    fused: Image.Image
    result: Image.Image
    residual: float | None
    poor: bool
    deghosted: bool
    named: str | None
    by: str
    share: float = 0.0
    wide: bool = False
    likeness: Likeness | None = None
    stranger: bool = False
    recoloured: tuple[str, ...] = ()

    @property
    def overlay(self) -> Image.Image:
        """The photograph with the mask over it."""
        return overlay(self.photo, self.mask)


# -- once for a photograph -------------------------------------------------------------------------------------------


def invert(
    nets: Networks | Generator,
    image: Image.Image | str,
    method: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    show_every: int = 10,
    tuning: int | None = None,
) -> Iterator[InversionStep]:
    """Looks for the latent of an aligned face, then tunes a copy of the generator to it; the last step has both.

    Args:
        image: an aligned face as ``faces.align`` gives it, or the text of ``encode_image``.
        method: "encoder" (one pass), "hybrid" (from there by optimisation) or "optimisation"; None: hybrid where the
            network has an encoder, else optimisation.
        steps: of the optimisation, 1 to 5000; as many as suit the method when not given.
        seed: of where an optimisation without an encoder starts.
        show_every: every so many steps have a picture.
        tuning: the most steps of pivotal tuning (Roich et al. 2022), 0 to 1000, which end sooner when the picture is
            near enough; None: 40, and none for networks over 256 px on a processor.

    Raises UserError at once: bad arguments, and a method that needs an encoder where there is none.
    """
    nets = gather(nets)
    if tuning is None:
        tuning = TUNING if nets.size <= TUNED_UP_TO or nets.device.type != "cpu" else 0
    tuning = checks.integer(tuning, "The number of tuning steps", 0, MAX_TUNING)
    photo = _photo(nets, image)
    found = search(nets, photo, method_of(nets, method), steps, seed, show_every)
    return _then_tuned(nets, photo, found, tuning, show_every) if tuning else found


def _then_tuned(nets: Networks, photo: Image.Image, found, tuning: int, show_every: int) -> Iterator[InversionStep]:
    for last in found:
        if not last.done:
            yield last
    for step in _tune(nets, photo, last.latent, tuning, show_every):
        yield replace(
            last, step=last.step + step.step, image=step.image, loss=step.loss, l2=step.l2, done=step.done,
            net=step.net, tuned=step.step,
        )  # fmt: skip


def _tune(nets: Networks, photo: Image.Image, latent: Tensor, steps: int, show_every: int):
    options = {"lr": TUNING_LR, "stop_loss": NEAR_ENOUGH, "show_every": show_every}
    return inversion.tune(nets.generator, photo, latent, steps, **options)


def inverted(
    nets: Networks | Generator, image: Image.Image | str, latent: Tensor | str | InversionStep, tuning: int = 0
) -> Inverted:
    """A photograph with its latent: what edits begin with.

    Args:
        latent: w+, the text of ``encode_latent``, or the last step of ``invert`` with its tuned network.
        tuning: steps of tuning where there is no such network: as many as it took when the latent was found make the
            same one again.

    Raises UserError.
    """
    nets = gather(nets)
    tuning = checks.integer(tuning, "The number of tuning steps", 0, MAX_TUNING)
    photo, net = _photo(nets, image), None
    if isinstance(latent, InversionStep):
        latent, net, tuning = latent.latent, latent.net, latent.tuned
    if isinstance(latent, str):
        latent = decode_latent(latent, nets.generator)
    latent = w_plus(nets.generator, latent).cpu()
    if net is None and tuning:
        *_, last = _tune(nets, photo, latent, tuning, 0)
        net, tuning = last.net, last.step
    made = to_pil(_synthesised(nets, latent, net))[0]
    pair = np.asarray(photo), np.asarray(made)
    # A tuned copy makes hats and hands as well: what the generator cannot make shows in its own picture.
    own = made if net is None else to_pil(_synthesised(nets, latent, None))[0]
    occluded = _occluded(nets, pair[0], np.asarray(own))
    trust = masks.trusted(*pair, occluded)
    points, like = _landmarks(nets, photo), likeness.of(photo, made)
    known = segmentation.parts(photo) if segmentation.knows(_crop(nets)) else None
    steps = tuning if net is not None else 0
    return Inverted(photo, latent, made, trust, net, steps, points, occluded, like, known)


def _crop(nets: Networks) -> str | None:
    info = getattr(nets.generator, "info", None)
    return info.crop if info is not None and info.crop else None


def _landmarks(nets: Networks, photo: Image.Image) -> np.ndarray | None:
    """Of an aligned face; where none is seen, those of an average one if the network's faces lie like that."""
    crop = _crop(nets)
    if crop is None:
        return None
    points = faces.landmarks_of(photo)
    return geometry.celeba_landmarks(photo.width) if points is None and crop == "celeba" else points


def _occluded(nets: Networks, photo: np.ndarray, made: np.ndarray) -> np.ndarray | None:
    """What lies before the face ``[H, W]`` from 0 to 1, of I and what the generator makes of it, not tuned to it.

    None without a network that finds it.
    """
    if nets.occlusion is None:
        return None
    pair = (torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] for picture in (photo, made))
    with torch.inference_mode():
        found = nets.occlusion.mask(*(x.to(nets.device).float() / 127.5 - 1 for x in pair))
    return found[0, 0].float().cpu().numpy()


# -- once for an edit ------------------------------------------------------------------------------------------------


def changed(
    nets: Networks | Generator,
    known: Inverted,
    edits: Sequence[tuple[str, float]],
    own: Mapping[str, str] | None = None,
    apart: bool = False,
) -> Changed:
    """``T = G(w + sum_i alpha_i n_i)``, and the map of where it differs from I'.

    Args:
        edits: up to 12 (direction, strength) pairs, strengths from -10 to 10 standard deviations of w.
        own: directions of one's own by name, as text of ``encode_step``.
        apart: named directions without what they have of the other named ones.

    Diff-CAM is asked about each attribute that was edited, and the largest answer counts, as far as a change can be
    seen there; about an edit whose direction it does not know it is asked what it takes it for. Where the change is
    strong it counts in any case, and nothing counts outside of where these attributes lie (ours). Raises UserError.
    """
    nets = gather(nets)
    wanted, steps = edits_of(nets, edits, own, apart)
    judge = "Diff-CAM" if nets.diffcam is not None else "difference"
    if not wanted:
        nothing = np.zeros((nets.size, nets.size), np.float32)
        return Changed((), known.image, nothing, judge, None, known.latent, known.trust)
    moved = known.latent + sum(value * steps[name] for name, value in wanted)
    with torch.inference_mode():
        both = _synthesised(nets, torch.cat([known.latent, moved]), known.net)
        image, region, hair = to_pil(both)[1], region_of(wanted, known), hair_of(wanted, known)
        if nets.diffcam is None:
            seen = masks.within(masks.plain_difference(np.asarray(known.image), np.asarray(image)), region)
            return Changed(wanted, image, seen, judge, None, moved, known.trust, region, hair)
        names = list(nets.diffcam.names)
        before, after = both.clamp(-1, 1).chunk(2)
        asked = sorted({names.index(name) for name, _value in wanted if name in names})
        if asked and all(name in names for name, _value in wanted):
            target = torch.tensor(asked)
            before, after = (x.expand(len(asked), -1, -1, -1) for x in (before, after))
        else:
            target = None
        found, logits = nets.diffcam.mask(before, after, target)
        seen = found.amax(dim=0)[0].float().cpu().numpy()
        # The root, because the map is as steep as its largest value is far above the others.
        pair = np.asarray(known.image), np.asarray(image)
        seen = np.maximum(masks.widened(np.sqrt(seen)) * masks.visible(*pair), masks.strong(*pair))
    named = names[int(logits[0].argmax())] if seen.any() else None
    return Changed(wanted, image, masks.within(seen, region), judge, named, moved, known.trust, region, hair)


def region_of(edits: Sequence[tuple[str, float]], known: Inverted) -> np.ndarray | None:
    """Where the edited attributes lie on this face, ``[H, W]`` from 0 to 1; None where that of one is not known."""
    if known.landmarks is None:
        return None
    found = []
    for name, _value in edits:
        # What lies on the face alone lies on what landmarks say of it; of hair they know little.
        seen = None if name in regions.OF_FACE else known.parts
        found.append(regions.region(name, known.photo.width, known.landmarks, seen))
    return None if not found or any(one is None for one in found) else np.max(found, axis=0)


def hair_of(edits: Sequence[tuple[str, float]], known: Inverted) -> np.ndarray | None:
    """A map ``[H, W]`` of all hair of the photograph that nothing lies before, where its colour alone is edited.

    None for other edits, and where no hair is to be seen.
    """
    if known.parts is None or any(name not in regions.COLOURS for name, _value in edits):
        return None
    if known.parts.hair.mean() < regions.HARDLY_ANY:
        return None
    hair = SURE * known.parts.hair
    return hair if known.occluded is None else hair * masks.bare(known.occluded)


# -- at every move of a slider -------------------------------------------------------------------------------------


def soft_mask(
    change: Changed,
    threshold: float = THRESHOLD,
    softness: float = SOFTNESS,
    add: Mask | None = None,
    keep: Mask | None = None,
    cautious: bool = True,
    blend: str = BLENDS[1],
) -> np.ndarray:
    """The mask ``[H, W]`` from 0 to 1; see ``mask.softened``. Where nothing was edited it is empty.

    ``cautious``: it leaves out what lies before the face, and where I' is far from I, unless that was painted.
    ``blend``: where that gives the photograph's own hair another colour (``composed``), it is all of the hair.
    """
    whole = change.recolours(blend)
    seen, trust = (change.hair, None) if whole else (change.seen, change.trust if cautious else None)
    mask = masks.softened(seen, threshold, softness, add, keep, trust)
    return mask if change.edits else np.zeros_like(change.seen)


def mask_of(change: Changed, options: MaskOptions) -> np.ndarray:
    """``soft_mask`` as ``options`` have it."""
    given = {one.name: getattr(options, one.name) for one in fields(MaskOptions) if one.name != "deghost"}
    return soft_mask(change, **given)


def laid(nets: Networks | Generator, known: Inverted, change: Changed, options: MaskOptions) -> OutOfDomainEdit:
    """``composed`` through ``soft_mask``, both as ``options`` have it. Raises UserError."""
    return composed(nets, known, change, mask_of(change, options), options.deghost, options.blend)


def composed(
    nets: Networks | Generator,
    known: Inverted,
    change: Changed,
    mask: np.ndarray,
    deghost: bool = True,
    blend: str = BLENDS[0],
) -> OutOfDomainEdit:
    """Every stage of the edit, laid over the photograph through ``mask`` (``soft_mask``).

    Args:
        deghost: with the seam gone over.
        blend: "change" lays T - I' over it where that is small, so that the photograph stays sharp (ours, see
            ``mask.carried``); "seamless" does so without what that changes at the mask's border, for those of
            ``mask.CLONED`` (ours, see ``mask.seamless``), and gives the photograph's own hair the colour that T's has
            (ours, see ``mask.recoloured``); for others it is "change"; "edit" lays T itself (the paper).

    Raises UserError.
    """
    nets = gather(nets)
    photo, image, made = (np.asarray(picture) for picture in (known.photo, known.image, change.image))
    blend = checks.choice(blend, "The blend", BLENDS)
    if blend == "edit":
        fused = masks.mixed(photo, made, mask)
    elif change.recolours(blend):
        there = change.seen * change.trust
        fused = masks.mixed(photo, masks.recoloured(photo, image, made, known.parts.hair, there), mask)
    elif blend == "seamless" and change.edits and all(name in masks.CLONED for name, _value in change.edits):
        fused = masks.seamless(photo, masks.carried(photo, image, made, np.ones_like(mask)), mask)
    else:
        fused = masks.carried(photo, image, made, mask)
    result, deghosted = fused, False
    if deghost and nets.deghosting is not None and masks.border(mask).any():
        with torch.inference_mode():
            x = torch.from_numpy(fused.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None].to(nets.device)
            through = torch.from_numpy(mask).to(nets.device)[None, None]
            clean = (nets.deghosting(x, through)[0].float().cpu().permute(1, 2, 0).numpy() + 1) * 127.5
        result, deghosted = masks.smoothed(fused, clean, mask), True
    # Of hair that only takes another colour, I' need not be near I but where the colours are compared.
    compared = mask * change.trust if change.recolours(blend) else mask
    apart, share = masks.residual(photo, image, compared), float(mask.mean())
    most = ALL_OF_IT if change.region is None else WARRANTED * float((change.region > 0).mean())
    like = likeness.of(known.photo, Image.fromarray(result))
    return OutOfDomainEdit(
        known.photo,
        known.image,
        change.image,
        masks.as_image(mask),
        Image.fromarray(fused),
        Image.fromarray(result),
        apart,
        apart is not None and apart > POOR,
        deghosted,
        change.named,
        change.by,
        share,
        share > most,
        like,
        like.stranger,
        tuple(name for name, _value in change.edits) if change.recolours(blend) else (),
    )


def paste(photo: Image.Image, aligned: faces.AlignedFace, made: OutOfDomainEdit) -> Image.Image:
    """The whole photograph with the edit in it; where the mask does not reach, it is the photograph bit for bit.

    ``aligned`` is the face that was cut out of it. Hair that took another colour has it beyond the crop, too. Raises
    UserError.
    """
    photo, mask = faces.photograph(photo), made.mask
    transform = geometry.resized(aligned.transform, aligned.size, mask.width)
    if not made.recoloured or aligned.crop != "celeba":
        return masks.restored(photo, faces.paste(photo, aligned, made.photo, made.result), mask, transform)
    there = replace(aligned, image=made.photo, transform=transform)
    beyond = surroundings.beyond(surroundings.around(photo, there), made.recoloured, there.size)
    whole = faces.paste(photo, there, made.photo, made.result, beyond=beyond)
    more = surroundings.margin(mask.width)
    wide = Image.fromarray(np.rint(255 * beyond).astype(np.uint8))
    wide.paste(mask, (more, more))
    return masks.restored(photo, whole, wide, geometry.widened(transform, more))


# -- in and out ---------------------------------------------------------------------------------------------------


def _photo(nets: Networks, image: Image.Image | str) -> Image.Image:
    """A face at the generator's size."""
    if isinstance(image, str):
        image = decode_image(image)
    if not isinstance(image, Image.Image):
        raise UserError("A face is a picture; open the file with PIL.Image.open first.")
    return inversion.prepare(image, nets.generator)


def _synthesised(nets: Networks, latents: Tensor, net: Generator | None = None) -> Tensor:
    """``[N, 3, R, R]`` of w+ ``[N, num_ws, w_dim]``, with the same noise at each call; ``net``: the tuned copy."""
    with torch.inference_mode():
        return (net or nets.generator).synthesis(latents.to(nets.device), noise_mode="const").float()
