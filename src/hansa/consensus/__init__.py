"""The agreement among super nodes, without I/O: events in, effects out.

`replica.Replica.step(event, now)` is the whole face: the node drives it on sockets and disks, the
simulator on a virtual clock. Two votes with the safety rules of Tendermint (arXiv 1807.04938),
spoken in the paper's ten steps; see docs/spec/agreement.md.
"""
