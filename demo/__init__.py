"""A small video platform in BoTTube's shape, with traffic, to watch on a fresh machine."""
