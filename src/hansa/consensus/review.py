"""Checking transactions: what a super node verifies before it admits, proposes or approves one.

Step 2 at the master and step 4 at each reviewer apply the same rules: format, signature, alliance,
sealing, confidential digest; identity, authority, freshness and duplicates are the chain room's
(`transition.judge`). A transaction is verified once by each replica: the digest covers body and
signature, so what was sound once is sound for good.
"""

from collections.abc import Collection

from hansa import limits
from hansa.chain.opened import OpenedTransaction, is_confidential_sound
from hansa.chain.sealed import SealedTransaction, confidential_digest
from hansa.chain.transactions import (
    Transaction,
    decode_named,
    is_author_signature,
    validate_form,
)
from hansa.consensus.sealing import SealingKeys
from hansa.errors import CorruptError, InvalidError, MissingError
from hansa.types import NO_DIGEST, Digest

VERIFIED_MAX = 2 * limits.POOL_TRANSACTIONS_MAX

SEALING_CODES = frozenset({"reseal", "not-openable"})
"""Refusals that say nothing about the transaction itself: sealed anew it may be taken."""

COPY_CODES = ("confidential-mismatch", "malformed")
"""Verdicts on a copy that f+1 reviewers make final; they are refused by the client's own doing."""


class Verifier:
    """Remembers which transactions this replica has already verified."""

    def __init__(self, keys: SealingKeys) -> None:
        self._keys = keys
        self._verified: dict[Digest, None] = {}

    @property
    def verified(self) -> Collection[Digest]:
        """Digests of the transactions whose format and signature were checked before."""
        return self._verified

    def remember(self, transaction: Digest) -> None:
        """Note that format and signature are sound."""
        self._verified[transaction] = None
        if len(self._verified) > VERIFIED_MAX:
            del self._verified[next(iter(self._verified))]

    def open(self, sealed: SealedTransaction) -> tuple[OpenedTransaction | None, str]:
        """Open a sealed transaction and check that its confidential part is well formed.

        Returns:
            The contents, which the caller erases, and ""; or None and a reason code.
        """
        try:
            contents = self._keys.open(sealed)
        except MissingError:
            return None, "reseal"
        except CorruptError:
            return None, "not-openable"
        except InvalidError:
            return None, "malformed"
        if contents.confidential and not is_confidential_sound(contents.confidential):
            contents.erase()
            return None, "malformed"
        return contents, ""

    def admit(self, sealed: SealedTransaction) -> tuple[Transaction | None, str]:
        """Verify a sealed transaction whole, as far as that needs no state.

        Returns:
            The transaction and "", or None and a reason code.
        """
        contents, code = self.open(sealed)
        if contents is None:
            return None, code
        confidential = confidential_digest(contents.confidential)
        contents.erase()
        try:
            # To open it was to compare the digest that it goes by.
            transaction = decode_named(contents.transaction, sealed.transaction)
            validate_form(transaction)
        except InvalidError:
            return None, "malformed"
        if sealed.transaction not in self._verified and not is_author_signature(transaction):
            return None, "bad-signature"
        body = transaction.body
        if (body.author, body.expires) != (sealed.author, sealed.expires):
            return None, "malformed"
        if confidential != body.confidential:
            return None, "confidential-mismatch"
        self.remember(sealed.transaction)
        return transaction, ""

    def check_copy(
        self, named: Digest, transaction: Transaction, sealed: SealedTransaction | None
    ) -> tuple[bytes | bytearray, str]:
        """Check a copy against the public part that a block shows.

        Returns:
            What the vault must hold (the opened confidential part, in a buffer that the vault
            takes over, or public bytes where there is none) and "", or nothing and a reason code.
        """
        if transaction.body.confidential == NO_DIGEST:
            return named, ""
        if sealed is None or sealed.transaction != named:
            return b"", "copy-missing"
        contents, code = self.open(sealed)
        if contents is None:
            return b"", code
        if confidential_digest(contents.confidential) != transaction.body.confidential:
            contents.erase()
            return b"", "confidential-mismatch"
        return contents.confidential, ""
