"""Storage layer, the off-chain link: sealed chunks in packs at addresses, on a disk or another store.

`memory` and `local` are stores; `journal`, `pack` and `table` are the forms on disk; `chunk_store` keeps
chunks, `version_store` manifests, leases and content; `check` reads everything back. A node sees sealed
bytes, chunk ids and lengths only.
"""
