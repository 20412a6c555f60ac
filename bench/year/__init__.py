"""A year of plausible snapshots of BoTTube, every 30 s, through the store's own code.

`python -m bench.year --help`. What the platform was at a moment depends on the seed and on the
moment alone: a store can be made shorter, or be brought further, and tells the same.
"""
