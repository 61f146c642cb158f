"""Testing: contract suites that every adapter of a port passes, and small deterministic doubles.

Shipped, so that the author of a store can run the same suite on it.
"""
