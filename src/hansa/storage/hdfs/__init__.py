"""A store on HDFS, over the client library hdfs-native in its synchronous form (decision 0013).

`store` keeps the contract, `writing` puts one file there, `calls` bounds what may hang, `failures`
says what HDFS's errors mean, `settings` where the store is and who asks.
"""

from hansa.storage.hdfs.settings import HdfsSettings
from hansa.storage.hdfs.store import HdfsStore

__all__ = ["HdfsSettings", "HdfsStore"]
