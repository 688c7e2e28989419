"""Model packages: what they hold, where they are, and whether they can be trusted."""
