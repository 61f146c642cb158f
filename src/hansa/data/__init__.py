"""Data layer: from a file to sealed chunks and a manifest, and back. Bytes in, bytes out, no I/O.

Way in: `partition` cuts, `fingerprint` names, `hash_index_table` tells what is known, `chunk` seals,
`pipeline` joins them, `manifest` writes down what a version is made of. Way out: `layout` says which
bytes to fetch and opens them. Everything keyed stays inside one organisation (`keys`).
"""
