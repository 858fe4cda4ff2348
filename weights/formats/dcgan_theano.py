"""The ``.dcgan_theano`` files of iGAN (Zhu et al. 2016): a pickle of Python 2, a dict of lists of NumPy arrays.

``gen_params``: a dense layer ``[nz, 16 n]`` with gain and bias of each unit; convolutions ``[in, out, 5, 5]``, each
with gain and bias of each map; the last convolution. ``disc_params`` and ``predict_params``: convolutions
``[out, in, 5, 5]``, the first without gain and bias; a dense layer ``[16 n, outputs]``. ``gen_batchnorm`` and its like:
the means of all norms, then their variances. Theano's convolutions turn their kernels round, PyTorch's do not.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ..errors import RefusedFile, shown
from .checkpoint import Checkpoint, Room, take_tensors
from .dcgan import MAX_DOUBLINGS, SLOPE, START, Unusual, norm_state
from .records import ArrayRecord

KERNEL, EPS = 5, 1e-8
COLOURS = 3  # their networks for drawings of one colour end in a sigmoid instead of tanh
PIXELS = START * START
OLD = {  # where files that their upgrade program has not seen keep the statistics
    "gen_batchnorm": lambda tree: tree["postlearn_params"][1],
    "disc_batchnorm": lambda tree: tree["postlearn_params"][0],
    "predict_batchnorm": lambda tree: tree["postlearn_predict_params"],
}


def is_theano(tree: Mapping) -> bool:
    return "gen_params" in tree


def interpret(tree: Mapping, part: str, room: Room) -> Checkpoint:
    """Generator, discriminator and predictor, as far as they are there, as ``models.dcgan.DCGAN``."""
    if part != "generator":
        raise RefusedFile("An iGAN discriminator is read together with its generator; ask for the generator.")
    try:
        generator, gen_norms = _arrays(tree, "gen_params"), _arrays(tree, "gen_batchnorm")
        if generator is None or gen_norms is None:
            raise Unusual("has no statistics of its batch norms; pack it with `gen_batchnorm` in it")
        config = {"generator": _generator(generator, gen_norms), "discriminator": None, "predictor": None}
        groups, missing = {"gen": generator, "gen_bn": gen_norms}, []
        for name, key in (("discriminator", "disc"), ("predictor", "predict")):
            params, norms = _arrays(tree, f"{key}_params"), _arrays(tree, f"{key}_batchnorm")
            if params is not None and norms is not None:
                outputs = 1 if key == "disc" else config["generator"]["z_dim"]
                config[name] = _judge(params, norms, config["generator"], outputs)
                groups |= {key: params, f"{key}_bn": norms}
            elif params is not None:
                missing.append(f"the {name}, whose norms have no statistics")
        state = _state(_load(groups, room), config)
    except Unusual as why:
        raise RefusedFile(f"This is an iGAN file, but it {why}.") from None
    if config["predictor"]:
        config["predictor"]["bounded"] = True
    card = {"left_out": f"{' and '.join(missing)}."} if missing else {}
    return Checkpoint("igan", "generator", config, state, "dcgan_theano", card)


def _arrays(tree: Mapping, key: str) -> list[ArrayRecord] | None:
    """The arrays under a key; None if it is not there. Raises Unusual for anything but arrays of numbers."""
    value = tree.get(key)
    if value is None and key in OLD:
        try:
            value = OLD[key](tree)
        except (KeyError, IndexError, TypeError):
            return None
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or len(value) > 3 * MAX_DOUBLINGS + 4:
        raise Unusual(f"holds something else than a list of arrays as {shown(key)}")
    if not all(isinstance(a, ArrayRecord) and a.kind is not None and a.kind.kind[0] == "f" for a in value):
        raise Unusual(f"holds something else than arrays of numbers in {shown(key)}")
    return list(value)


def _fits(what: str, arrays: list[ArrayRecord], shapes: list[tuple[int, ...]]) -> None:
    if [tuple(a.shape) for a in arrays] != shapes:
        raise Unusual(f"has arrays of other shapes than a DCGAN of 5 x 5 kernels in its {what}")


def _generator(params: list[ArrayRecord], norms: list[ArrayRecord]) -> dict:
    """Constructor arguments. Raises Unusual where a shape is not what the others ask for."""
    count, odd = divmod(len(params) - 4, 3)
    if count < 0 or odd or count + 1 > MAX_DOUBLINGS:
        raise Unusual("has another number of layers than a DCGAN")
    axes = [len(a.shape) for a in params]
    if axes[0] != 2 or any(axes[3 + 3 * n] != 4 for n in range(count + 1)):
        raise Unusual("has arrays of other shapes than a DCGAN of 5 x 5 kernels in its generator")
    z_dim, units = params[0].shape
    widths = [units // PIXELS, *(params[3 + 3 * n].shape[1] for n in range(count))]
    if not all(widths) or not z_dim:
        raise Unusual("has layers without any feature map")
    if params[-1].shape[1] != COLOURS:
        raise Unusual(f"makes pictures of {params[-1].shape[1]} colours, and those of {COLOURS} are read here")
    shapes: list[tuple[int, ...]] = [(z_dim, widths[0] * PIXELS), (widths[0] * PIXELS,), (widths[0] * PIXELS,)]
    for a, b in zip(widths, widths[1:], strict=False):
        shapes += [(a, b, KERNEL, KERNEL), (b,), (b,)]
    _fits("generator", params, [*shapes, (widths[-1], COLOURS, KERNEL, KERNEL)])
    _fits("generator's norms", norms, 2 * [shape for shape in shapes[1::3]])
    config = {"z_dim": z_dim, "widths": widths, "img_channels": COLOURS, "kernel": KERNEL, "prior": "uniform"}
    return config | {"norm_units": True, "eps": EPS}


def _judge(params: list[ArrayRecord], norms: list[ArrayRecord], generator: Mapping, outputs: int) -> dict:
    """Constructor arguments of a discriminator or a predictor."""
    count = len(generator["widths"])
    if len(params) != 3 * count - 1 or any(not a.shape for a in params):
        raise Unusual("has a discriminator or predictor for images of another size")
    widths = [params[0].shape[0], *(params[1 + 3 * n].shape[0] for n in range(count - 1))]
    shapes: list[tuple[int, ...]] = [(widths[0], COLOURS, KERNEL, KERNEL)]
    for a, b in zip(widths, widths[1:], strict=False):
        shapes += [(b, a, KERNEL, KERNEL), (b,), (b,)]
    what = "discriminator" if outputs == 1 else "predictor"
    _fits(what, params, [*shapes, (widths[-1] * PIXELS, outputs)])
    _fits(f"{what}'s norms", norms, 2 * [(b,) for b in widths[1:]])
    config = {"widths": widths, "img_channels": COLOURS, "kernel": KERNEL, "norm": "batch", "outputs": outputs}
    return config | {"eps": EPS, "slope": SLOPE}


def _load(groups: Mapping[str, list[ArrayRecord]], room: Room) -> dict[str, list[torch.Tensor]]:
    """Tensors of all arrays. Raises RefusedFile where together they are more than the file holds."""
    if sum(len(a.data) for arrays in groups.values() for a in arrays) > room.file_size:
        raise RefusedFile("This checkpoint unfolds to far more numbers than it holds, so it is not read.")
    named = {f"{key}.{i}": a for key, arrays in groups.items() for i, a in enumerate(arrays)}
    taken = take_tensors(named, room)
    return {key: [taken[f"{key}.{i}"] for i in range(len(arrays))] for key, arrays in groups.items()}


def _state(found: Mapping[str, list[torch.Tensor]], config: Mapping) -> dict[str, torch.Tensor]:
    params, norms = found["gen"], found["gen_bn"]
    half = len(norms) // 2
    state = {"generator.stem.weight": params[0].T.contiguous()}
    for n in range(half):
        at = f"generator.norms.{n - 1}" if n else "generator.stem_norm"
        state |= norm_state(at, params[3 * n + 1], params[3 * n + 2], norms[n], norms[half + n])
        if n:
            state[f"generator.ups.{n - 1}.weight"] = _turned(params[3 * n])
    state["generator.out.weight"] = _turned(params[-1])
    for name, key in (("discriminator", "disc"), ("predictor", "predict")):
        if not config[name]:
            continue
        params, norms = found[key], found[f"{key}_bn"]
        half = len(norms) // 2
        state[f"{name}.downs.0.weight"] = _turned(params[0])
        for n in range(half):
            weight, gain, bias = params[1 + 3 * n : 4 + 3 * n]
            state[f"{name}.downs.{n + 1}.weight"] = _turned(weight)
            state |= norm_state(f"{name}.norms.{n + 1}", gain, bias, norms[n], norms[half + n])
        state[f"{name}.head.weight"] = params[-1].T.contiguous()
    return state


def _turned(kernel: torch.Tensor) -> torch.Tensor:
    return kernel.flip(2, 3).contiguous()
