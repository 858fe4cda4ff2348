"""What a StyleGAN2 run begins with and leaves behind."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models.stylegan2 import Generator
from weights import store

from . import loop
from .commands import placed
from .growing import grow_discriminator, grow_generator, keep_fromrgb, widen_generator
from .stylegan2_options import summary

FROM_FILES = ("grow_from", "start_from", "encoder_from", "teacher")  # options that name a run or a network
COUNTERS = ("step_number", "shown", "shown_before", "seconds", "seconds_before", "pl_mean")


def averaged_generator(state: dict) -> Generator:
    """The averaged generator of a run's ``state``, eval and frozen."""
    G = Generator(**state["G_config"])
    G.load_state_dict(state["G_ema"])
    return G.eval().requires_grad_(False)


def load_run(folder: str | Path) -> tuple[dict, Generator]:
    """The state of a run and its averaged generator."""
    state = torch.load(Path(folder) / "state.pt", map_location="cpu", weights_only=True)
    return state, averaged_generator(state)


class KeptRun:
    """The part of a run that others' networks and its own state go through; ``StyleGAN2Run`` makes what it names."""

    def _start(self, path: str) -> None:
        """From a generator alone, as it ships, or a wider one of its function: its discriminator is a new one."""
        widen_generator(self.G, store.load(path))
        card = store.header(path)["card"]
        self.parents = list(card.get("stages", []))
        self.shown_before, self.seconds_before = card.get("images", 0), card.get("seconds", 0)

    def _inherit(self, path: str, growing: bool) -> None:
        if path.endswith(".safetensors"):
            return self._start(path)
        state = torch.load(path, map_location=self.device, weights_only=True)
        if growing:
            grow_generator(self.G, state)
        else:
            widen_generator(self.G, averaged_generator(state))
        if self.detail and "detail" in state and not growing:
            self.detail.net.load_state_dict(state["detail"])
        if growing and self.D.img_resolution != state["D_config"]["img_resolution"]:
            grow_discriminator(self.D, state, self.args.fade)
        elif growing or self.D.config == state["D_config"]:  # one of another shape is a new one
            self.D.load_state_dict(state["D"])
        for name, heads in self.projected.items():
            if f"{name}.projection.scales" in state.get("projected", {}):
                own = {k: v for k, v in state["projected"].items() if k.startswith(f"{name}.")}
                heads.load_state_dict({k.removeprefix(f"{name}."): v for k, v in own.items()})
        if self.reconstruction and state.get("reconstruction"):
            self.reconstruction.inherit(state["reconstruction"])
        self.parents = [*state.get("parents", []), summary(state)]
        self.shown_before = state["shown"] + state["shown_before"]
        self.seconds_before = state["seconds"] + state["seconds_before"]

    def state(self) -> dict:
        return {
            **{name: part.state_dict() for name, part in self._parts().items()},
            **{k: getattr(self, k) for k in COUNTERS},
            "ada_p": self.ada.p,
            "ada_sums": [float(self.ada.signs), float(self.ada.observed)],
            "G_config": self.G.config,
            "D_config": self.D.config,
            "origin": self._origin(),
            "parents": self.parents,
            "changes": self.changes,
            "args": self._options(),
            "data": Path(self.args.data).name,
            "train_images": len(self.images),
            "classes": list(self.images.classes or []),
        }

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Networks and optimisers whose state is kept, by their names in the state."""
        names = ["G", "D", "G_ema", "opt_G", "opt_D"]
        if self.args.projected:
            names += ["projected", "opt_projected"]
        if self.energy:
            names.append("energy")
        if self.reconstruction:
            names += ["reconstruction", "opt_encoder", "opt_latent"]
        if self.teacher:
            names.append("opt_teacher")
        parts = {name: getattr(self, name) for name in names}
        if self.detail:
            parts |= {"detail": self.detail.net, "opt_detail": self.detail.optimizer}
        return parts

    def _origin(self) -> str:
        """The options that name the run or networks from which this one began, without the folders of a machine."""
        origins = []
        for option in FROM_FILES:
            if path := getattr(self.args, option):
                origins.append(f"--{option.replace('_', '-')} {placed(path)}")
        return " ".join(origins)

    def _options(self) -> dict:
        places = ("data", "out", *FROM_FILES)
        return {k: v for k, v in vars(self.args).items() if k not in places}

    def restore(self, state: dict) -> None:
        keep_fromrgb(self.D, state)
        self.opt_D = self._optimizer_of_D()  # the old fromRGB is one of its parameters
        for name, part in self._parts().items():
            if name not in state:  # discriminators or an encoder that this run is given from here on
                continue
            if not isinstance(part, torch.optim.Optimizer):
                part.load_state_dict(state[name])
                continue
            rates = [{option: group[option] for option in ("lr", "betas")} for group in part.param_groups]
            part.load_state_dict(state[name])
            for group, asked in zip(part.param_groups, rates, strict=True):  # those asked for now, not the state's
                group.update(asked)
        if self.reconstruction and self.args.steady_encoder and not state["args"].get("steady_encoder"):
            self._take_statistics()  # the state's are of steps
        for k in COUNTERS:
            setattr(self, k, state[k])
        self.pl_mean = self.pl_mean.to(self.device)
        self.parents = state.get("parents", self.parents)
        self.changes = list(state.get("changes", []))
        former = {
            k: v for k, v in state["args"].items() if self._options().get(k) != v and k not in loop.RUNTIME_OPTIONS
        }
        if former:
            self.changes.append({"until": self.shown, **former})
        self.ada.p = state["ada_p"]
        self.ada.signs, self.ada.observed = state["ada_sums"]
