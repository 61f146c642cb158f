"""Information index."""
