"""Dialects: items that undercast did not write, read tolerantly."""
