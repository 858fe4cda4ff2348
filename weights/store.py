"""Our own files: safetensors with the network's constructor arguments in the header.

``save`` and ``load`` know no technique: ``models`` says which class a file is for, and the class takes its ``config``.
Reading the header alone needs neither torch nor the safetensors library.
"""

from __future__ import annotations

import errno
import functools
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from . import container
from .atomic import replacing
from .errors import NoRoom, RefusedFile, UserError, shown

if TYPE_CHECKING:
    import torch
    from torch import nn

FORMAT = 1
# Far above every published network, far below what would keep the machine busy for nothing.
MAX_RESOLUTION = 4096
MAX_LAYERS = 64
MAX_WIDTH = 2**20
CHOICES = {("stylegan2", "activation"): ("lrelu", "relu", "linear")}


def save(
    path: str | os.PathLike,
    module: nn.Module,
    technique: str,
    kind: str,
    card: dict | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Writes a module's state and ``module.config``; the file appears whole or not at all.

    Args:
        card: anything that JSON can carry: data, licence, steps, metrics.
        dtype: what floating-point tensors are stored as (``torch.float16`` halves the file); None: as they are.

    Raises:
        NoRoom: the disk is full.
        OSError: the folder cannot be written.
    """
    write(path, module.state_dict(), technique, kind, module.config, card, dtype)


def write(path, state: dict, technique: str, kind: str, config: dict, card: dict | None = None, dtype=None) -> None:
    """``save`` for a state dict and a configuration without a module."""
    entry = {"format": FORMAT, "technique": technique, "kind": kind, "config": config, "card": card or {}}
    tensors = dict(state)
    if dtype is not None:
        tensors = {n: value.detach().to(dtype) if value.is_floating_point() else value for n, value in state.items()}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(path) as beside:
            container.write(beside, tensors, {container.NATIVE: json.dumps(entry)})
    except OSError as error:
        if is_full(error):
            raise NoRoom(no_room(path.parent)) from error
        raise


def load(path: str | os.PathLike) -> nn.Module:
    """A file written by ``save`` -> its module on the CPU, float32, eval, frozen. Raises RefusedFile."""
    import torch

    from .formats import check_file

    path = check_file(path, limit=2**40)
    found, mapped = header(path), container.read(path)
    # Copies: the library's tensors lie in the mapped file, at places that round otherwise and that may be cut off.
    state = {k: v.to(torch.float32 if v.is_floating_point() else v.dtype, copy=True) for k, v in mapped.items()}
    return build(found["technique"], found["kind"], found["config"], state)


def header(path: str | os.PathLike) -> dict:
    """``{"format", "technique", "kind", "config", "card"}`` of a file written by ``save``. Raises RefusedFile."""
    try:
        found = container.native(container.header(path)[1])
    except OSError:
        raise RefusedFile("This checkpoint file cannot be opened; load or download it again.") from None
    if found is None:
        raise RefusedFile("This safetensors file was not written by ganbook.")
    return found


def resolution(config: dict) -> int | None:
    """Pixels of a side that a network's configuration states, under whichever name."""
    if isinstance(config.get("generator"), dict):  # DCGAN: a number of feature maps for each doubling
        return 4 << len(config["generator"].get("widths", ()))
    return config.get("img_resolution", config.get("img_size"))


def adds_no_noise(path: str | os.PathLike) -> bool:
    """Whether the file is of a generator whose noise strengths are all zero. Raises RefusedFile and OSError."""
    return container.all_zero(path, "noise_strength")


def build(technique: str, kind: str, config: dict, state: dict[str, torch.Tensor]) -> nn.Module:
    """The module for a configuration, with ``state`` in it; eval and frozen.

    The network may take no more room than the tensors that are there for it, so that a configuration that does not fit
    them costs nothing; its own random start values are left out.

    Raises:
        RefusedFile: unknown technique, impossible configuration, missing, unexpected or wrongly shaped tensors.
    """
    import models

    network = models.all_stored().get((technique, kind))
    if network is None:
        raise RefusedFile(
            f"This is a checkpoint of the technique {shown(technique, 20)} ({shown(kind, 20)}),"
            " which this version of ganbook does not have."
        )
    check_config(config, technique)
    try:
        with _unfilled(room=2 * sum(t.numel() for t in state.values()) + 2**20):
            net = network(**config)
    except (TypeError, ValueError, KeyError, RuntimeError, AttributeError, IndexError, ArithmeticError):
        raise RefusedFile(f"The settings in this {shown(technique, 20)} checkpoint do not make a network.") from None
    _compare(net.state_dict(), state)
    net.load_state_dict(state, strict=True, assign=True)
    return net.eval().requires_grad_(False)


@functools.cache
def _mode() -> type:
    """A torch mode in which new tensors are counted, and random ones stay unfilled.

    torch's own way to lay a network out without memory, ``device("meta")``, loads its compiler on the way: seconds.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    init = torch.nn.init
    fillers = (torch.Tensor.uniform_, torch.Tensor.normal_, init.uniform_, init.normal_, init.kaiming_uniform_)
    makers = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.arange, torch.eye)

    class Unfilled(TorchFunctionMode):
        def __init__(self, room: int):
            super().__init__()
            self.room = room

        def __torch_function__(self, func, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            if func in fillers:  # a published encoder has 270 million weights: ten seconds of random numbers
                return args[0] if args else kwargs["tensor"]
            if func in makers:
                size = args[0] if args and isinstance(args[0], (tuple, list)) else args or (kwargs.get("size") or ())
                self.room -= math.prod(n for n in size if isinstance(n, int))
                if self.room < 0:
                    raise RefusedFile("The settings of this checkpoint describe a larger network than it holds.")
                if func in (torch.rand, torch.randn):
                    func = torch.empty
                    kwargs = {k: v for k, v in kwargs.items() if k != "generator"}
            return func(*args, **kwargs)

    return Unfilled


def _unfilled(room: int):
    return _mode()(room)


def check_config(config: dict, technique: str = "") -> None:
    """Refuses settings that no network has, and those that ours would stumble over only when it runs."""

    def check(name: str, value: object, depth: int) -> None:
        limit = MAX_RESOLUTION if "resolution" in name else MAX_LAYERS if "layers" in name else MAX_WIDTH
        if isinstance(value, (dict, list, tuple)) and depth < 2 and len(value) <= MAX_LAYERS:
            for item in value.values() if isinstance(value, dict) else value:
                check(name, item, depth + 1)
        elif isinstance(value, (int, float)):
            if not math.isfinite(value) or abs(value) > limit:
                raise RefusedFile(f"The setting {shown(name)} of this checkpoint is far from anything possible.")
        elif not (value is None or (isinstance(value, str) and len(value) < 256)):
            raise RefusedFile(f"The setting {shown(name)} of this checkpoint is of a kind that makes no sense.")

    for name, value in config.items():
        check(str(name), value, 0)
        choices = CHOICES.get((technique, name))
        if choices and value not in choices:
            raise RefusedFile(f"This checkpoint uses the {shown(name, 30)} {shown(value, 20)}, which is not supported.")


def _compare(want: dict, have: dict) -> None:
    missing = [name for name in want if name not in have]
    extra = [name for name in have if name not in want]
    wrong = [name for name in want if name in have and want[name].shape != have[name].shape]
    if missing:
        raise RefusedFile(f"This checkpoint is incomplete: {shown(missing[0])}{_more(missing)} missing.")
    if wrong:
        name = wrong[0]
        raise RefusedFile(
            f"The tensor {shown(name)} of this checkpoint has the shape {list(have[name].shape)}"
            f" where {list(want[name].shape)} is needed."
        )
    if any(want[name].is_floating_point() != have[name].is_floating_point() for name in want):
        raise RefusedFile("This checkpoint holds whole numbers where a network has weights.")
    if extra:
        raise RefusedFile(f"This checkpoint holds {shown(extra[0])}, which the network it describes does not have.")


def _more(names: list) -> str:
    return " is" if len(names) == 1 else f" and {len(names) - 1} more are"


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full; libraries written in Rust say it in words only."""
    if getattr(error, "errno", None) in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return True
    return "No space left" in str(error) or "os error 28" in str(error)


def no_room(folder: Path, need: int | None = None) -> str:
    wanted = f" ({need / 2**20:,.0f} MB are needed)" if need else ""
    return f"The disk is full{wanted}: make room in {folder}, or set GANBOOK_CACHE to a folder on another disk."


def shipped(path: Path) -> Path:
    """``path`` if the shipped file is there. Raises UserError with what to do if it is not."""
    if path.is_file():
        return path
    technique, short = path.parent.name, path.stem
    target = {"stylegan2": short, "igan": f"igan-{short}"}.get(technique, technique)
    raise UserError(
        f"The checkpoint {shown(f'{technique}/{short}')} that ships with ganbook is not in weights/embedded; fetch the"
        f" project again with its large files, or make it with `make train-{shown(target)}`."
    )
