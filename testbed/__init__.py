"""A testbed for adaptive split object detection over real radio links."""

__version__ = "0.1.0"
