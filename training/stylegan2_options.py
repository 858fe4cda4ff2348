"""The options of a StyleGAN2 run, and the command line and summary that its card gives of them."""

from __future__ import annotations

import argparse

from models.layers import channel_widths

from . import features, loop
from .commands import change_words, command_line, data_and_out


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training stylegan2", description="Trains a StyleGAN2.")
    add, networks = p.add_argument, tuple(features.NETWORKS)
    add("--data", required=True, help="zip or folder of images, with labels.csv where there are splits or classes")
    add("--out", required=True, help="folder of the run; an unfinished run in it goes on")
    add("--images", type=int, default=600_000, help="stop after so many images shown to the discriminator")
    add("--minutes", type=float, default=None, help="stop after this time even so")
    add("--resolution", type=int, default=64)
    add("--label", default=None, help="column of labels.csv: makes the network conditional on it")
    add("--z-dim", type=int, default=128)
    add("--w-dim", type=int, default=128)
    add("--mapping-layers", type=int, default=4)
    add("--channel-base", type=int, default=1024)
    add("--channel-max", type=int, default=128)
    add("--channel-min", type=int, default=1, help="a layer has at least so many feature maps, whatever the base says")
    add("--d-channel-base", type=int, default=None, help="of the discriminator; as the generator's when not given")
    add("--d-resolution", type=int, default=None, help="pixels to which pictures are reduced for the discriminator")
    add("--architecture", default="skip", choices=("skip", "resnet", "orig", "growing"))
    add("--modulation", default="demod", choices=("demod", "adain"))
    add("--batch", type=int, default=32)
    add("--lr", type=float, default=2e-3)
    add("--noise-from", type=int, default=0, help="image from which noise is added; before, its strengths are nothing")
    add(
        "--noise-rate",
        type=float,
        default=1.0,
        help="of the noise strengths, times the generator's; a few numbers each",
    )
    add("--r1-gamma", type=float, default=1.0)
    add("--r1-every", type=int, default=16)
    add("--pl-weight", type=float, default=0.0, help="path length regularisation; the paper's is 2, 0 switches it off")
    add("--pl-every", type=int, default=4)
    add("--pl-from", type=int, default=0, help="images after which path length regularisation begins")
    add("--pl-batch", type=int, default=None, help="latents of it; half a batch when not given")
    add("--style-mixing", type=float, default=0.0, help="probability; the paper's is 0.9")
    add("--ema-half-life", type=float, default=10_000, help="in images")
    add("--ema-rampup", type=float, default=0.05, help="share of the images shown that the half-life may reach")
    add(
        "--ada-target",
        type=float,
        default=0.0,
        help="adaptive augmentation; the paper's target is 0.6, 0 switches it off",
    )
    add("--ada-images", type=float, default=500_000, help="images that take p from 0 to 1")
    add("--no-xflip", dest="xflip", action="store_false", help="do not mirror the images")
    add("--precision", default="bf16", choices=(*loop.PRECISIONS, "fp16"), help="bf16: fp32 where a processor lacks it")
    add("--device", default="auto")
    add("--threads", type=int, default=None)
    add("--seed", type=int, default=0)
    add("--tick", type=int, default=10_000, help="images between lines of the log, states and sheets")
    add(
        "--metric-images", type=int, default=256, help="test images compared with at each tick; 0 leaves the metric out"
    )
    add(
        "--judged-images",
        type=int,
        default=0,
        help="generated faces that dlib judges at each tick (requirements-bench.txt); 0 leaves it out",
    )
    add("--grow-from", default=None, help="state.pt of a run at half the resolution whose blocks are kept")
    add(
        "--start-from",
        default=None,
        help="state.pt of a run whose weights are the start, or a generator's .safetensors such as those that ship, "
        "which may have fewer feature maps or half the size",
    )
    add("--warm-up", type=int, default=0, help="images that a new discriminator sees before the generator learns too")
    add(
        "--strided",
        type=int,
        default=0,
        help="so many feature maps in the first layer of a discriminator of strided convolutions (discriminators.py)",
    )
    add(
        "--detail",
        type=int,
        default=0,
        help="so many feature maps in the first layer of a strided discriminator at full size beside the other one",
    )
    add("--detail-weight", type=float, default=0.5, help="of its loss in the generator's")
    add("--detail-lr", type=float, default=None, help="as the other discriminator's when not given")
    add("--detail-gamma", type=float, default=None, help="weight of its R1; --r1-gamma when not given")
    add(
        "--move",
        type=int,
        default=0,
        help="px by which pictures are moved at random before the discriminator of details and the perceptual loss",
    )
    add(
        "--projected",
        nargs="*",
        default=[],
        choices=networks,
        help="projected discriminators on these features",
    )
    add("--projected-weight", type=float, default=0.3, help="of their loss in the generator's")
    add("--projected-lr", type=float, default=2e-4)
    add("--projected-warm-up", type=int, default=4000, help="images that their heads see before the generator does")
    add(
        "--energy",
        default=None,
        choices=networks,
        help="network in whose embedding sampled pictures are to be as unlike each other as real ones",
    )
    add("--energy-weight", type=float, default=1.0, help="of the energy distance in the generator's loss")
    add("--range-penalty", type=float, default=0.0, help="weight of what lies outside of [-1, 1]")
    add(
        "--reconstructed",
        type=int,
        default=0,
        help="so many pictures of a batch are photographs encoded to w+; the encoder learns beside the generator",
    )
    add(
        "--judge-sampled",
        action="store_true",
        help="the discriminator, though not that of details, sees sampled pictures alone and no reconstructions",
    )
    add(
        "--autoencoder-images",
        type=int,
        default=0,
        help="images at the beginning that are only reconstructed, without a discriminator",
    )
    add(
        "--adversarial-after",
        type=int,
        default=0,
        help="images before the generator learns from the discriminators, which begin after --autoencoder-images",
    )
    add("--teacher", default=None, help="a finished generator's .safetensors, whose pictures this one draws at first")
    add("--teacher-images", type=int, default=0, help="images at the beginning that are the teacher's")
    add("--teacher-lr", type=float, default=1e-2, help="of these; it falls to nothing along half a cosine")
    add("--teacher-pictures", type=int, default=8192, help="pictures of the teacher, drawn once and seen repeatedly")
    add("--encoder-widths", type=int, nargs=4, default=[64, 128, 192, 256])
    add(
        "--encoder-from",
        default=None,
        help="an encoder's .safetensors such as the one that ships, or state.pt of an encoder's run, to begin with",
    )
    add("--encoder-lr", type=float, default=1e-3)
    add(
        "--steady-encoder",
        action="store_true",
        help="the encoder's norms keep the statistics of many photographs, taken when the run begins or is given this",
    )
    add("--lambda-pixels", type=float, default=30.0, help="of reconstructions, and of a teacher's pictures")
    add("--lambda-features", type=float, default=2.0, help="of the same, in the features of --perceptual")
    add("--perceptual", default="efficientnet-lite0", choices=networks)
    add("--lambda-identity", type=float, default=0.3, help="of the reconstructions, in the embedding of --identity")
    add(
        "--identity",
        default=None,
        choices=networks,
        help="face recognition network; none when not given",
    )
    add("--lambda-known", type=float, default=0.2, help="of the latents of sampled pictures, as the encoder says them")
    add("--lambda-delta", type=float, default=0.05, help="of what the encoder's rows differ from one w")
    add("--lambda-latent", type=float, default=0.1, help="of the discriminator in w")
    add("--d-lr", type=float, default=None, help="of the discriminator; as the generator's when not given")
    add("--fade", type=int, default=30_000, help="images over which a new discriminator block fades in")
    add("--growing-stage", type=int, default=20_000, help="images a stage of --architecture growing (fade, then stay)")
    add("--impl", default="composed", choices=("fast", "composed", "reference"))
    return p


def widths(args: argparse.Namespace, base: int, resolution: int) -> dict:
    """The networks' options of their feature maps."""
    chosen = {"channel_base": base, "channel_max": args.channel_max}
    usual = channel_widths(resolution, **chosen)
    if min(usual.values()) < args.channel_min:
        chosen["channels"] = {str(res): max(n, args.channel_min) for res, n in usual.items()}
    return chosen


def command(state: dict, data: str) -> str:
    """The options of the run that differ from the defaults."""
    line = " ".join([command_line(parser(), data_and_out(data), state["args"]), *filter(None, [state.get("origin")])])
    return line if "--images" in line else f"{line} --images {state['shown']}"


def summary(state: dict) -> dict:
    return {
        "resolution": state["G_config"]["img_resolution"],
        "images": state["shown"],
        "seconds": round(state["seconds"]),
        "data": state["data"],
        "command": command(state, state["data"]),
        "changes": [change_words(c) for c in state.get("changes", [])],
    }
