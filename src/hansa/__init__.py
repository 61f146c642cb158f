"""Hansa: organisations of a city share data they cannot simply hand over."""
