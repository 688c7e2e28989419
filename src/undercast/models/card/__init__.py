"""Model cards: one template, filled from a package's item and its evaluation record, and held against them."""
