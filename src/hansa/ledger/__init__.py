"""A node's own disk: folder lock, vote log, blocks and state, index files."""
