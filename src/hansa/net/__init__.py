"""Links between nodes: frames, handshake and calls (sans-I/O), connections and the peer network."""
