"""Fetch: packages that lie elsewhere come to the cache, once, pinned."""
