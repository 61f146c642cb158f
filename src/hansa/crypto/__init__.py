"""Cryptography: pure given key, nonce and bytes. Signatures, sealing, envelopes, Merkle trees.

Nothing here is a construction of ours: Ed25519 (RFC 8032), AES-256-GCM (NIST SP 800-38D), HPKE
(RFC 9180 base mode), SHA-256 Merkle trees (RFC 9162 section 2.1).
"""
