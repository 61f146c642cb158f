"""Application layer at the user: signs, describes, partitions, seals, publishes, finds, shares, fetches.

`HansaClient` (async) and `Hansa` (its sync face) are what programs use; `load_profile` says who acts.
Plaintext, data keys, private keys and purposes leave this room only sealed, and never reach a temporary
file or a log.
"""
