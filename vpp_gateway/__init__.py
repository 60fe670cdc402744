"""Virtual power plant gateway for data centres."""

__version__ = "0.1.0"
