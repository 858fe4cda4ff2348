"""What ``edit``, ``slide`` and ``compare`` can be told besides the face and its edit, once for the three of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

from torch import Tensor

from ..defaults import MaskOptions

R = TypeVar("R")


@dataclass(frozen=True)
class Options(MaskOptions):
    """Keywords of ``edit``, ``slide`` and ``compare``; those of the mask and the blend come from ``MaskOptions``.

    Attributes:
        edits, own, apart: as ``changed`` takes them.
        latent: of the image, w+ or text; it is looked for (``method``, ``steps``, ``seed``) when not given.
        tuning: steps of pivotal tuning; None: as ``invert`` does where the latent is looked for, none where given.
        parts: hashes of the networks with which the edit was made first; others are refused.
    """

    edits: Sequence[tuple[str, float]] = ()
    own: Mapping[str, str] | None = None
    apart: bool = False
    latent: Tensor | str | None = None
    method: str | None = None
    steps: int | None = None
    seed: int = 0
    tuning: int | None = None
    parts: Mapping[str, str | None] | None = None


def flat(function: Callable[..., R]) -> Callable[..., R]:
    """Whoever calls ``function`` writes the fields of its ``options: Options`` as keywords: ``f(x, seed=3)``.

    Its signature, which recipes, the command line and ``help`` read, has them as keywords, too.
    """
    signature = inspect.signature(function)
    names = {one.name: one for one in fields(Options)}

    @functools.wraps(function)
    def called(*given, **keywords) -> R:
        chosen = {name: keywords.pop(name) for name in names if name in keywords}
        return function(*given, **keywords, options=Options(**chosen))

    own = [p for p in signature.parameters.values() if p.name != "options"]
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [inspect.Parameter(n, keyword, default=one.default, annotation=one.type) for n, one in names.items()]
    called.__signature__ = signature.replace(parameters=[*own, *options])
    return called
