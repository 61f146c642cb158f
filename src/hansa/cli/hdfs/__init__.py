"""A real HDFS on this machine for trying, developing and testing: a NameNode and some DataNodes.

Each is a process of its own, on the loopback address: `jars` gets Hadoop, `configuration` writes its
settings, `daemons` starts and ends the processes, `cluster` joins them. Not for production: whoever
is on this machine may be anybody in it.
"""

from hansa.cli.hdfs.cluster import HdfsCluster

__all__ = ["HdfsCluster"]
