"""Training: chips, networks, loop and export; needs the ``train`` extra."""
