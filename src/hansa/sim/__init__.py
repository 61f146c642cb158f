"""A deterministic world for the agreement: the shipped replicas on a virtual clock, with faults.

One seed is one run, whatever the machine. `run.run(seed)` drives a world through loss, partitions,
crashes and Byzantine super nodes, checks after every step, heals, and demands progress.
"""
