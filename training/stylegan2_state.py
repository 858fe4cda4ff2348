"""What a StyleGAN2 run leaves behind, read again."""

from __future__ import annotations

from pathlib import Path

import torch

from models.stylegan2 import Generator


def averaged_generator(state: dict) -> Generator:
    """The averaged generator of a run's ``state``, eval and frozen."""
    G = Generator(**state["G_config"])
    G.load_state_dict(state["G_ema"])
    return G.eval().requires_grad_(False)


def load_run(folder: str | Path) -> tuple[dict, Generator]:
    """The state of a run and its averaged generator."""
    state = torch.load(Path(folder) / "state.pt", map_location="cpu", weights_only=True)
    return state, averaged_generator(state)
