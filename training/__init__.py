"""How the shipped networks were made: one module a network, one command, ``python -m training NAME --data ...``."""
