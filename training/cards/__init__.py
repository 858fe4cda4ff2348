"""Writers of model cards, one for each technique; ``python -m training card`` calls them."""
