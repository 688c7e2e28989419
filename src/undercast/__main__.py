"""`python -m undercast`: the command line."""

from __future__ import annotations

from undercast.cli.app import main

main(prog_name="undercast")
