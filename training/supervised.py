"""What trainers of networks with known answers share: AdamW, its rate, a running average, the state of a run."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
from torch import Tensor, nn

import weights
from weights import store

from . import loop


class Supervised:
    """A run whose ``step`` only has to say the loss; ``average`` is the network that counts.

    Args:
        net: its ``config`` makes it again.
        half_life: of the average, in images; shorter at the beginning.
        start_from: a ``.safetensors`` file whose weights it begins with, instead of random ones.
        clip: the largest norm of a step's gradient; 0: any.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        images,
        net: nn.Module,
        half_life: float,
        start_from: str | None = None,
        clip: float = 0.0,
    ):
        self.clip = clip
        self.shown_before, self.seconds_before = begin_with(net, start_from) if start_from else (0, 0.0)
        self.args, self.batch, self.images, self.half_life = args, args.batch, images, half_life
        self.device = loop.resolve(args.device)
        self.dtype = loop.dtype_of(args.precision, self.device)
        self.net = net.to(self.device)
        self.average = copy.deepcopy(self.net).requires_grad_(False).eval()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), args.lr, weight_decay=args.decay)
        self.shown = self.step_number = 0
        self.seconds = self.loss = 0.0

    def rng(self) -> torch.Generator:
        """The random numbers of this step, the same in a run that was resumed."""
        return loop.random_of_step(self.args.seed, self.step_number)

    def rate(self) -> float:
        """Warm-up over the first hundredth, then half a cosine down to nothing."""
        done = min(self.shown / self.args.images, 1.0)
        return self.args.lr * min(done / 0.01, 1.0) * loop.half_cosine(done)

    def autocast(self):
        return torch.autocast(self.device, self.dtype, enabled=self.dtype is not None)

    def update(self, loss: Tensor) -> None:
        """One step of the optimiser and of the average."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
        self.optimizer.step()
        self.step_number += 1
        self.shown += self.batch
        self.loss += 0.02 * (loss.item() - self.loss) if self.loss else loss.item()
        loop.update_ema(self.average, self.net, self.batch / min(self.half_life, max(self.shown * 0.1, 1)))

    def state(self) -> dict:
        return {
            **{k: getattr(self, k).state_dict() for k in ("net", "average", "optimizer")},
            **{k: getattr(self, k) for k in ("shown", "step_number", "seconds", "loss")},
            **{k: getattr(self, k) for k in ("shown_before", "seconds_before")},
            "config": self.net.config,
            "train_images": len(self.images),
            "args": {k: v for k, v in vars(self.args).items() if k not in ("data", "out")},
        }

    def restore(self, state: dict) -> None:
        for k in ("net", "average", "optimizer"):
            getattr(self, k).load_state_dict(state[k])
        for k in ("shown", "step_number", "seconds", "loss"):
            setattr(self, k, state[k])
        self.shown_before, self.seconds_before = state.get("shown_before", 0), state.get("seconds_before", 0.0)


@torch.no_grad()
def begin_with(net: nn.Module, path: str) -> tuple[int, float]:
    """Gives a network the weights of a file; of what it sees and the file's did not, it takes no notice at first.

    Returns the images and the seconds that the file's card counts. Raises UserError when the sizes are others.
    """
    found, card = store.load(path).state_dict(), store.header(path)["card"]
    for name, own in net.state_dict().items():
        given = found.get(name)
        more = own.ndim == 4 and given is not None and own.shape[1] > given.shape[1]
        if given is None or (own.shape != given.shape and not more) or own.shape[:1] != given.shape[:1]:
            raise weights.UserError(f"The network in {Path(path).name} has other sizes than these options make.")
        if more:
            own.zero_()
            own[:, : given.shape[1]] = given
        else:
            own.copy_(given)
    return card.get("images", 0), card.get("seconds", 0.0)


def load_trained(kind: type[nn.Module], folder: str | Path) -> tuple[nn.Module, dict]:
    """The network of a run, eval and frozen, and the run's state."""
    state = torch.load(Path(folder) / "state.pt", map_location="cpu", weights_only=True)
    net = kind(**state["config"])
    net.load_state_dict(state["average"])
    return net.eval().requires_grad_(False), state
