"""The thirteen attributes of the published AttGAN files, in their order; CelebA's names. No torch is needed to know."""

from __future__ import annotations

ATTRS = (
    "Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows", "Eyeglasses", "Male",
    "Mouth_Slightly_Open", "Mustache", "No_Beard", "Pale_Skin", "Young",
)  # fmt: skip
