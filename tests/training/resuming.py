"""A run that was stopped and goes on, beside one that never stopped."""

import torch

from training import loop


def stopped_and_straight(make, folder, before: int, after: int):
    """Two runs of ``make()`` after ``before + after`` steps; the second was saved and read again between them."""
    straight, first = make(), make()
    for _ in range(before + after):
        straight.step()
    for _ in range(before):
        first.step()
    loop.save_state(first, folder / "state.pt")
    second = make()
    second.restore(torch.load(folder / "state.pt", weights_only=True))
    for _ in range(after):
        second.step()
    return straight, second


def differ(a: torch.nn.Module, b: torch.nn.Module) -> list[str]:
    """The names of weights that are not the same number for number."""
    ours, theirs = a.state_dict(), b.state_dict()
    return [k for k in ours.keys() | theirs.keys() if k not in ours or not torch.equal(ours[k], theirs[k])]
