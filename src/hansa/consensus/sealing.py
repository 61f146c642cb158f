"""Sealing keys: what transactions are sealed to, fresh for each epoch and each restart.

The private halves live in memory only. At an epoch's end the key before the last one is dropped: a
transaction sealed just before still opens during one more epoch, and traffic recorded earlier stays
closed for good.
"""

from collections.abc import Iterable

from hansa import limits
from hansa.chain.opened import OpenedTransaction
from hansa.chain.sealed import (
    SealedTransaction,
    SealingKeyNotice,
    Secrets,
    add_wraps,
    is_sealing_key_signed,
    open_transaction,
    sign_sealing_key,
    unwrap_content_key,
)
from hansa.consensus.context import Context
from hansa.consensus.effects import AnnounceSealingKey
from hansa.consensus.messages import SealingKey
from hansa.crypto.envelope import DecryptionKey
from hansa.errors import HansaError, MissingError
from hansa.types import PublicKey, Signature

WRAP_BYTES_MAX = 256
"""An HPKE wrap of 32 bytes is shorter."""


class SealingKeys:
    """This node's sealing keys and what the others announced."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._own: list[tuple[DecryptionKey, Secrets]] = []
        self._own_epoch = -1
        self._known: dict[PublicKey, SealingKeyNotice] = {}

    def renew(self) -> None:
        """Make and announce a key if this node is a super node that has none for this epoch."""
        context = self._context
        if not context.is_super_node:
            if context.epoch > self._own_epoch + 1:
                self._own.clear()
            return
        if self._own_epoch == context.epoch:
            return
        fresh = DecryptionKey(context.entropy(32))
        self._own = [(fresh, {}), *self._own[:1]]
        self._own_epoch = context.epoch
        notice = sign_sealing_key(
            SealingKeyNotice(
                context.alliance,
                context.epoch,
                context.node,
                fresh.public,
                context.now.wall_ms,
                Signature(b""),
            ),
            context.key,
        )
        self._known[context.node] = notice
        context.emit(AnnounceSealingKey(notice))
        context.broadcast(sorted(context.connected), SealingKey((notice,)))

    def learn(self, sender: PublicKey, notices: Iterable[SealingKeyNotice]) -> None:
        """Take announcements of others; a stale, foreign or unsigned one is dropped."""
        context = self._context
        for notice in notices:
            known = self._known.get(notice.node_key)
            if (
                notice.alliance != context.alliance
                or notice.node_key == context.node
                # A later epoch is taken too: a node that is behind will need it once it is not.
                or notice.epoch < context.epoch - 1
                or not context.state.is_member_node(notice.node_key)
                or (known is not None and known.serial >= notice.serial)
            ):
                continue
            if not is_sealing_key_signed(notice):
                context.report("malformed", sender, "a sealing key that its node did not sign")
                return
            self._known[notice.node_key] = notice

    def notices(self) -> tuple[SealingKeyNotice, ...]:
        """Return the announcements of the present super nodes known here, in key order."""
        epoch = self._context.epoch
        return tuple(
            notice
            for key in self._context.members
            if (notice := self._known.get(key)) is not None and notice.epoch >= epoch - 1
        )

    def open(self, sealed: SealedTransaction) -> OpenedTransaction:
        """Open a sealed transaction with whichever own key it is sealed to.

        Raises:
            MissingError: sealed to none of them.
            CorruptError, InvalidError: it does not open, or holds something else.
        """
        for key, secrets in self._own:
            try:
                return open_transaction(sealed, self._context.node, key, secrets)
            except MissingError:
                continue
        raise MissingError("The transaction is not sealed to this super node's present key.")

    def complete(self, sealed: SealedTransaction) -> SealedTransaction:
        """Return it with the content key also wrapped to super nodes whose present key lacks it.

        A restarted or newly elected super node can then review what was sealed before.
        """
        entries = (*sealed.wraps, *sealed.added)
        wrapped = {(entry.node_key, entry.sealing_key) for entry in entries}
        lacking = [
            notice
            for notice in self.notices()
            if (notice.node_key, notice.sealing_key) not in wrapped
        ]
        if not lacking or len(sealed.added) + len(lacking) > limits.SUPER_NODES_MAX:
            return sealed
        for key, secrets in self._own:
            try:
                content_key = unwrap_content_key(sealed, self._context.node, key, secrets)
            except HansaError:
                continue
            return add_wraps(sealed, content_key, lacking)
        return sealed

    def forget(self) -> None:
        """Drop all private halves, at shutdown."""
        self._own.clear()


def size_of(sealed: SealedTransaction) -> int:
    """Return about how many bytes a sealed transaction takes."""
    size = len(sealed.ciphertext) + 150
    for entry in sealed.wraps:
        size += len(entry.wrapped) + 70
    for entry in sealed.added:
        size += len(entry.wrapped) + 70
    return size


def is_well_formed(sealed: SealedTransaction) -> bool:
    """Tell whether the sizes of its fields are sane; nothing is opened."""
    if (
        len(sealed.transaction) != 32
        or len(sealed.author) != 32
        or len(sealed.ciphertext) > limits.SEALED_TRANSACTION_BYTES_MAX
        or len(sealed.wraps) > limits.SUPER_NODES_MAX
        or len(sealed.added) > limits.SUPER_NODES_MAX
    ):
        return False
    for entries in (sealed.wraps, sealed.added):
        for entry in entries:
            if len(entry.wrapped) > WRAP_BYTES_MAX:
                return False
    return True
