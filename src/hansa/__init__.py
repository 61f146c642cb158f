"""Hansa: the organisations of a city share data they cannot simply hand over."""

__version__ = "0.1.0"
