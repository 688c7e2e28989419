"""Trust: what is looked at before anything opens a file of strangers."""
