"""What searches for latents share: the optimiser, distances of pictures, and calls that can be left half-way."""
