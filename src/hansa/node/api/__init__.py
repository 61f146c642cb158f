"""The REST API of a node, split by noun; `hansa.rest` is its contract.

Exported: `app.create_app`.
"""
