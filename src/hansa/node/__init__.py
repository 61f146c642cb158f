"""The daemon: drives the agreement, serves the API to its own users and exchanges with other nodes.

Nothing here decides what is agreed on; `consensus` does. Nothing here sees plaintext, data keys or
users' private keys. Exported: `config.NodeConfig`, `daemon.Daemon`; `hansa.bootstrap` joins them.
"""
