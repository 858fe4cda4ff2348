"""``python -m training NAME ...`` runs the trainer NAME; ``python -m training NAME --help`` lists its options."""

from __future__ import annotations

import importlib
import sys

TRAINERS = {
    "stylegan2": "StyleGAN2 generator and discriminator",
    "dcgan": "DCGAN generator and discriminator, for the iGAN tab",
    "predictor": "network that says the latent of a photograph, for a DCGAN",
    "attgan": "AttGAN: encoder, decoder and discriminator",
    "attributes": "classifier of a face's attributes",
    "landmarks": "network that finds the landmarks of a face",
    "encoder": "network that says the latent w+ of a photograph, for a StyleGAN2 that ships",
    "directions": "named directions in w of a StyleGAN2 that ships, from a classifier's scores",
    "diffcam": "network that names an edit and shows where it is, from pairs of a StyleGAN2",
    "deghosting": "network that removes what shines through after blending, with a frozen StyleGAN2",
    "occlusion": "network that finds what lies before a face, from what a StyleGAN2 makes of it",
    "measure": "what judges that no training sees say of a network",
    "card": "export a training state: weights, card, sheet",
    "run": "the recipes of the networks that ship, stage after stage",
}


def main(argv: list[str]) -> int:
    if not argv or argv[0] not in TRAINERS:
        print("usage: python -m training NAME [options]\n")
        for name, what in TRAINERS.items():
            print(f"  {name:12} {what}")
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    return importlib.import_module(f"training.{argv[0]}").main(argv[1:]) or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
