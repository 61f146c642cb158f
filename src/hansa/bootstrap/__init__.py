"""The one place that joins config, stores, ledger, agreement, links and API into a node.

    <folder>/  node.toml  genesis.hansa  node.key  directory.key  certificate.pem  lock  node.json
               ledger/ (blocks, state, votes)  index/  table.mdb  node.mdb  journal/  store/  log/

`node.folder` makes what a new node needs; `running.run_node` opens a folder and runs until stopped; `python -m
hansa.bootstrap FOLDER` does the same. Beside it: `building.build_node`, `joining.join_by_snapshot`,
`opening.migrate_store`, `opening.open_index_files`.
"""
