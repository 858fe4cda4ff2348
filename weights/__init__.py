"""Where checkpoints come from: those that ship, those on the Hugging Face Hub, and visitors' own files.

    import weights
    net = weights.load("stylegan2/faces")      # ready module: eval, frozen, shared; weights.names() lists the names
    net = weights.read("some/file.pkl")        # any supported foreign file, told by its content
    net.info                                   # weights.CheckpointInfo

Importing this package, and asking for names, entries, descriptions and states, loads neither torch nor huggingface_hub,
so that a page can list everything at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from . import hub, paths, store
from .catalogue import CatalogueEntry, CheckpointInfo, entries, entry, names
from .errors import DownloadFailed, NoRoom, ReadingStopped, RefusedFile, UserError
from .hub import Progress, is_offline, set_offline
from .shelf import status

if TYPE_CHECKING:
    import torch

    from .latent_directions import LatentDirection

__all__ = [
    "CatalogueEntry",
    "CheckpointInfo",
    "Description",
    "DownloadFailed",
    "Network",
    "NoRoom",
    "ReadingStopped",
    "RefusedFile",
    "UserError",
    "card",
    "describe",
    "directions",
    "entries",
    "encoder_of",
    "entry",
    "fetch",
    "forget",
    "has_encoder",
    "is_offline",
    "load",
    "names",
    "read",
    "reopen",
    "set_offline",
    "sha256",
    "size",
    "status",
]


# A ``torch.nn.Module`` whose class, as its name, is known when it is loaded; type checkers let its attributes pass.
Network: TypeAlias = Any
WITH_ENCODER = ("psp", "e4e")  # layouts of files that hold a generator and its encoder


@dataclass(frozen=True)
class Description:
    """What a list of checkpoints shows of one.

    ``status`` is shipped, cached, remote or missing. ``bytes_to_download`` is 0 for what is on this machine, None
    where the Hub has not been asked (``weights.size`` asks). ``sample`` and ``card`` are files of shipped checkpoints,
    ``link`` is a page on the Hub.
    """

    name: str
    technique: str
    title: str
    status: str
    bytes_to_download: int | None
    licence: str
    resolution: int | None
    crop: str | None
    sample: Path | None
    card: Path | None
    link: str | None
    loadable: bool
    note: str


def describe(name: str) -> Description:
    """Everything that a list shows of a checkpoint, without network and without torch. Raises UserError."""
    found = entry(name)
    where = status(name)
    resolution = found.resolution
    if where == "shipped":
        try:
            resolution = store.resolution(store.header(paths.embedded(name))["config"])
        except UserError:  # a damaged file says so when it is loaded
            pass
    return Description(
        name=found.name,
        technique=found.technique,
        title=found.title,
        status=where,
        bytes_to_download=found.size if where == "remote" else 0,
        licence=found.licence,
        resolution=resolution,
        crop=found.crop,
        sample=found.sample,
        card=found.card,
        link=found.link,
        loadable=found.loadable,
        note=found.note,
    )


def card(name: str) -> dict[str, Any]:
    """What the file of a shipped checkpoint says of its making and its measurements; torch is not loaded.

    Raises UserError when there is no such checkpoint, or its file is not on this machine.
    """
    found = entry(name)
    if not found.shipped or status(name) != "shipped":
        raise UserError(f"The checkpoint {name} is not on this machine; make it with the make train commands.")
    card: dict[str, Any] = store.header(paths.embedded(name))["card"]
    return card


def adds_no_noise(name: str) -> bool:
    """Whether a checkpoint that ships is a generator whose noise strengths are all zero; torch is not loaded.

    False for any other. Raises UserError when there is no such checkpoint, or its file is damaged.
    """
    return status(name) == "shipped" and store.adds_no_noise(paths.embedded(name))


def sha256(name: str) -> str:
    """The hash of the file of a shipped checkpoint, as its network's ``info`` has it; torch is not loaded.

    Raises UserError when there is no such checkpoint, or its file is not on this machine.
    """
    found = entry(name)
    if not found.shipped or status(name) != "shipped":
        raise UserError(f"The checkpoint {name} is not on this machine; make it with the make train commands.")
    return hub.file_sha256(paths.embedded(name))


def directions(name: str = "stylegan2/faces") -> dict[str, LatentDirection]:
    """The named directions in w that ship for a generator: name -> ``vector [w_dim]``, ``spread``, ``rows``.

    Raises UserError when there are none for it, or only those of an earlier state of it.
    """
    from . import latent_directions

    sha, path = sha256(name), latent_directions.path_of(name)
    if not path.is_file():
        raise UserError(f"There are no directions for {name}; make them with `make train-directions`.")
    found = latent_directions.read(path)
    if (found.generator, found.sha256) != (name, sha):
        raise UserError(f"The directions belong to another state of {name}; make them with `make train-directions`.")
    return dict(found.found)


def has_encoder(name: str) -> bool:
    """Whether a network of the catalogue has an encoder; nothing is downloaded or loaded. Raises UserError."""
    if entry(name).layout in WITH_ENCODER:
        return True
    return status(name) == "shipped" and encoder_of(sha256(name)) is not None


def encoder_of(sha256: str) -> str | None:
    """The name of the shipped encoder that was trained for the generator whose file has this hash."""
    found = [f"encoder/{short}" for short in names("encoder")]
    return next((name for name in found if card(name).get("generator_sha256") == sha256), None)


def size(name: str) -> int | None:
    """Bytes that a checkpoint on the Hub has to download; asks the Hub where the catalogue does not say.

    None: offline, or the Hub does not tell. Raises DownloadFailed (gone, no network), after seconds at the most.
    """
    found = entry(name)
    return 0 if found.shipped or status(name) == "cached" else hub.size(found)


def load(
    name: str, device: str | torch.device = "auto", progress: Progress | None = None, part: str = "generator"
) -> Network:
    """A checkpoint of the catalogue as a ready network.

    It is in evaluation mode, frozen, and the same object for everyone who asks for it on that device. The first call
    downloads and converts what is not on this machine; calls at the same time wait for that one.

    Args:
        name: ``"stylegan2/faces"``; see ``names()``.
        device: ``auto`` (``$GANBOOK_DEVICE``, else CUDA, else CPU), or as torch names it.
        progress: called with ``(bytes so far, bytes in all or None)`` during a download.
        part: ``encoder`` gives the encoder that lies in the same file as a generator (layouts pSp and e4e).

    Raises:
        UserError: unknown name, missing file, failed download, unreadable file, no memory on the device.
    """
    from . import loading

    return loading.load(name, device, progress, part)


def read(
    path: str | os.PathLike[str],
    device: str | torch.device = "auto",
    part: str = "generator",
    limit: int | None = None,
    alive: Callable[[], None] | None = None,
) -> Network:
    """The network in a file of one's own, whatever its name: NVIDIA pickle, torch or safetensors.

    Nothing in the file is run, and another process reads it, with limits of memory and time. The result is known by the
    file's SHA-256 (``net.info.sha256``), is in no list, and is read from the cache the next time.

    Args:
        part: ``generator`` (of several the averaged one), ``discriminator``, or ``encoder`` (of pSp and e4e files).
        limit: largest file in bytes; 2 GiB if not given.
        alive: called a few times a second while the file is read; what it raises ends the reading.

    Raises:
        RefusedFile: no such file, too large, damaged, hostile, or of a kind that is not read.
        UserError: there is no room for the result, or too many files are being read.
    """
    from . import formats, loading

    return loading.read(path, device, part, formats.LIMIT if limit is None else limit, alive)


def reopen(sha256: str, device: str | torch.device = "auto", part: str = "generator") -> Network:
    """A network that ``read`` gave before, by the whole ``info.sha256``, without its file.

    Raises UserError if it is not kept any more.
    """
    from . import loading

    return loading.reopen(sha256, device, part)


def fetch(name: str, progress: Progress | None = None, offline: bool | None = None) -> Path:
    """Brings a checkpoint onto this machine. Gives our safetensors of it, or the original where it is no network.

    Args:
        progress: called with ``(bytes so far, bytes in all or None)``.
        offline: True forbids the network for this call; None is as ``set_offline`` and HF_HUB_OFFLINE say.

    Raises:
        UserError: as ``load``.
    """
    from . import loading

    return loading.fetch(name, progress, offline)


def forget(name_or_sha256: str) -> None:
    """Drops a network from memory, and what the cache folder keeps of it (shipped files stay).

    Takes a name of the catalogue or the whole SHA-256 of an own file.
    """
    from . import loading

    loading.forget(name_or_sha256)
