"""A new node of an organisation, as the command line asks for one."""

from hansa.crypto.signing import SigningKey
from hansa.node.folder import NewNode

NODE = NewNode(
    organisation="transport",
    title="Transport",
    admin_name="Ada",
    admin_key=SigningKey(b"a" * 32).public,
    admin_encryption_key=b"e" * 32,
    directory_key=b"d" * 32,
    peer="127.0.0.1:0",
    api="127.0.0.1:0",
)
