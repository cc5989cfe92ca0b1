"""The program that makes ``samples/``: synthetic meetings with their references. Run ``python -m tools.samples``."""
