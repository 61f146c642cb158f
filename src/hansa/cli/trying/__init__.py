"""`hansa index try`: three layers from a dump of descriptions, each answer beside a naive scan.

No alliance is needed. `dump` reads the catalogue, `drawing` draws questions, `naive` answers them by
looking at everything, `run` compares and measures, `picture` draws the clusters.
"""
