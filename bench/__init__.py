"""Figures of speed and size, each against its peer or its bound: `python -m bench`."""
