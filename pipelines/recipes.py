"""Recipes: what made a picture, as JSON that makes it again and as the Python that a reader would write.

A recipe names a pipeline function, the checkpoint with its hash and every argument. One mechanism serves all tabs: the
code view of a cell, the JSON beside a download, and loading one back.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import weights
from weights.errors import UserError

from . import animation, checks, registry, sizes

FORMAT = 1
MAX_TEXT = 1_000_000
MAX_CANDIDATE = 63
SEVERAL = ("frames", "steps")  # what comes one after another
NO_PICTURES = ("counts",)
# The first and the last line of shown code.
RUN_IN = "# Run this in the folder of ganbook (the one with app.py), or where ganbook is installed."
SAVE = 'pictures.save(result, "result")'


@dataclass(frozen=True)
class Recipe:
    """``function`` as in ``"stylegan2.sample"``; ``arguments`` JSON values; ``output`` such as ``{"fps": 20}``."""

    function: str
    checkpoint: str
    sha256: str
    arguments: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] | None = None

    def to_json(self) -> str:
        data = {
            "ganbook": FORMAT,
            "technique": self.function.split(".")[0],
            "function": self.function,
            "checkpoint": {"name": self.checkpoint, "sha256": self.sha256},
            "arguments": self.arguments,
        }
        if self.output is not None:
            data["output"] = self.output
        return json.dumps(data, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Recipe:
        """Raises UserError for anything but a recipe of this program."""
        if len(text) > MAX_TEXT:
            raise UserError("That file is too large for a recipe.")
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise UserError("That file is not a recipe: it does not hold JSON.") from None
        if not isinstance(data, dict) or "ganbook" not in data:
            raise UserError("That file is JSON, but not a recipe of this program.")
        if data["ganbook"] != FORMAT:
            raise UserError("That recipe was written by a newer version of this program.")
        checkpoint = data.get("checkpoint")
        recipe = cls(
            data.get("function"),
            checkpoint.get("name") if isinstance(checkpoint, dict) else None,
            checkpoint.get("sha256") if isinstance(checkpoint, dict) else None,
            data.get("arguments"),
            data.get("output"),
        )
        recipe.check()
        return recipe

    def check(self) -> None:
        """Raises UserError when a field is missing, of the wrong type, or names something that is not here."""
        if not isinstance(self.function, str) or registry.find(self.function) is None:
            raise UserError("That recipe asks for something that this version does not have.")
        if not isinstance(self.checkpoint, str) or not isinstance(self.sha256, str):
            raise UserError("That recipe does not say which checkpoint it was made with.")
        if not isinstance(self.arguments, dict) or not isinstance(self.output, (dict, type(None))):
            raise UserError("That recipe's arguments are not a table.")
        if not re.fullmatch(r"[\w.:/-]{1,100}", self.checkpoint) or not re.fullmatch(r"[0-9a-f]{0,64}", self.sha256):
            raise UserError("That recipe does not say which checkpoint it was made with.")
        self._check_output()
        first = 1 if self._entry.takes_network else 0
        known = set(list(inspect.signature(self._function()).parameters)[first:])
        unknown = sorted(set(self.arguments) - known)
        if unknown:
            raise UserError(f"That recipe has an argument “{unknown[0][:30]}” that {self.function} does not take.")
        try:
            inspect.signature(self._function()).bind(*[None] * first, **self.arguments)
        except TypeError:
            raise UserError(f"That recipe leaves out an argument that {self.function} needs.") from None

    def _check_output(self) -> None:
        """What a recipe says of its file ends up in the file's name and in the shown code."""
        output = self.output or {}
        if set(output) - {"format", "fps", "loop", "size", "candidate"}:
            raise UserError(
                "That recipe's output is a format, frames a second, whether it loops, a size, or the candidate chosen."
            )
        if "size" in output:
            sizes.resized_to(output["size"], (64, 64))
        if output.get("candidate", "average") != "average":  # of the brushes: the picture that was chosen
            checks.integer(output["candidate"], "The candidate", 0, MAX_CANDIDATE)
        if "format" in output:
            checks.choice(output["format"], "The file", animation.KINDS)
        if "fps" in output:
            checks.number(output["fps"], "Frames a second", 1, 60)
        if not isinstance(output.get("loop", True), bool):
            raise UserError("Whether the animation loops is true or false.")

    @property
    def _entry(self) -> registry.RecipeFunction:
        return registry.find(self.function)

    def _function(self):
        module, name = self.function.split(".")
        return getattr(importlib.import_module(f"pipelines.{module}"), name)

    def run(self, net: Any = None) -> Any:
        """Makes the result again: a list for a function that yields, otherwise what the function returns.

        ``net`` saves loading it; its hash must be the recipe's. Raises UserError when the checkpoint is another one.
        """
        self.check()
        if not self._entry.takes_network:
            if self.sha256 != _fingerprint(self._entry):
                raise UserError("That recipe was made with other networks than those that ship with this version.")
            result = self._function()(**self.arguments)
            return list(result) if isinstance(result, Iterator) else result
        net = weights.load(self.checkpoint) if net is None else net
        same_version(self.checkpoint, net.info.sha256, self.sha256)
        result = self._function()(net, **self.arguments)
        return list(result) if isinstance(result, Iterator) else result

    def code(self) -> str:
        """Python that makes the result again and leaves it in ``result``."""
        module, name = self.function.split(".")
        if not self._entry.takes_network:
            values = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
            call, result = f"{module}.{name}({values})", self._entry.result
            call = f"list({call})" if result in SEVERAL else call
            saved = [] if result in NO_PICTURES else ["pictures"]
            imports = f"from pipelines import {', '.join(sorted([module, *saved]))}"
            last = "print(result)" if result in NO_PICTURES else SAVE
            return "\n".join([RUN_IN, imports, "", f"result = {result} = {call}", last]) + "\n"
        own = self.checkpoint.startswith("own:")
        imports = [module, "animation" if self._animated else "pictures"]
        load = (
            f'net = weights.read("your-file")  # the file whose sha256 begins {self.sha256[:12]}'
            if own
            else f'net = weights.load("{self.checkpoint}")'
        )
        arguments = [f"{key}={value!r}" for key, value in self.arguments.items()]
        call = f"{module}.{name}(net, {', '.join(arguments)})"
        if len(call) > 88:
            call = f"{module}.{name}(\n    net,\n" + "".join(f"    {a},\n" for a in arguments) + ")"
        lines = [RUN_IN, "import weights", f"from pipelines import {', '.join(sorted(imports))}", "", load]
        result = self._entry.result
        if result in SEVERAL:
            lines.append(f"result = {result} = list({call})")
        else:
            lines.append(f"result = {result} = {call}")
        output = self.output or {}
        if self._animated:
            rest = {k: v for k, v in output.items() if k not in ("format", "candidate")}
            extra = "".join(f", {k}={v!r}" for k, v in rest.items())
            lines.append(f'animation.save({result}, "animation.{output.get("format", "gif")}"{extra})')
        else:
            size = f", size={output['size']!r}" if "size" in output else ""
            lines.append(f"{SAVE[:-1]}{size})")
        return "\n".join(lines) + "\n"

    @property
    def _animated(self) -> bool:
        return self._entry.result == "frames"


def _fingerprint(entry: registry.RecipeFunction) -> str:
    return entry.fingerprint() if entry.fingerprint else ""


def same_version(name: str, sha256: str, wanted: str | None) -> None:
    """Raises UserError where a recipe was made with another version of the network ``name`` than the one here.

    ``wanted`` is the recipe's hash; None asks for nothing.
    """
    if wanted is not None and wanted != sha256:
        raise UserError(
            f"That recipe was made with another version of {name} (hash {wanted[:12]}, here {sha256[:12]})."
        )


def make(function: str, net: Any = None, output: dict[str, Any] | None = None, **arguments: Any) -> Recipe:
    """The recipe of a call that is about to be made: ``make("stylegan2.sample", net, seeds=[1, 2])``.

    ``net`` is None for the functions that take none.
    """
    entry = registry.find(function)
    if entry is not None and not entry.takes_network:
        recipe = Recipe(function, entry.checkpoint, _fingerprint(entry), arguments, output)
    else:
        recipe = Recipe(function, net.info.name, net.info.sha256, arguments, output)
    recipe.check()
    return recipe
