"""The pool of a super node: transactions that wait for a proposal (steps 1 and 2).

Verified before a proposal, and before they are a reason to expect one; what comes while it is not this
node's turn is held unopened until then, and mostly a block of another master takes it first. Bounded
in all, for each organisation and in bytes; the new one is dropped, never an old one. A transaction that the present state refuses is kept as *doubtful*: it is no reason
to expect a block, and is judged again by whoever is master, for the state may only lag behind.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from hansa import limits
from hansa.chain.sealed import SealedTransaction
from hansa.chain.transactions import Transaction
from hansa.chain.validation import judge
from hansa.consensus.context import Context
from hansa.consensus.review import Verifier
from hansa.consensus.sealing import is_well_formed, size_of
from hansa.types import NO_DIGEST, Digest, Millis, PublicKey

DOUBTFUL_MAX = 200
STRIKES_MAX = 3
"""Failed rounds caused by one copy that does not open; then its client must reseal it."""


@dataclass(slots=True)
class Waiting:
    """One transaction in the pool."""

    digest: Digest
    sealed: SealedTransaction
    transaction: Transaction
    organisation: str
    submitter: PublicKey
    size: int
    """Bytes of the sealed form."""
    plain_bytes: int
    """Canonical bytes in a block."""
    code: str
    """Empty, or why the state refused it at admission (doubtful)."""
    left_out: int = 0
    """Height whose further proposals leave it out."""
    strikes: int = 0

    @property
    def has_confidential(self) -> bool:
        """Whether reviewers must open its copy."""
        return self.transaction.body.confidential != NO_DIGEST


@dataclass(slots=True)
class Held:
    """One transaction that nobody here has opened yet; a value, but not frozen, which costs time."""

    sealed: SealedTransaction
    submitter: PublicKey
    organisation: str
    size: int


class Pool:
    """Waiting transactions in order of arrival."""

    def __init__(self, context: Context, verifier: Verifier) -> None:
        self._context = context
        self._verifier = verifier
        self._waiting: dict[Digest, Waiting] = {}
        self._by_organisation: dict[str, int] = {}
        self._bytes = 0
        self._doubtful = 0
        self._left_out = 0
        self._by_expiry: dict[int, set[Digest]] = {}
        self._held: dict[Digest, Held] = {}
        self._unjudged: dict[Digest, None] = {}
        self._unsound: list[tuple[Held, str]] = []

    def __len__(self) -> int:
        return len(self._waiting) + len(self._held)

    def __contains__(self, transaction: object) -> bool:
        return transaction in self._waiting or transaction in self._held

    def get(self, transaction: Digest) -> Waiting | None:
        """Return a waiting transaction."""
        return self._waiting.get(transaction)

    @property
    def has_work(self) -> bool:
        """Whether something here is worth a proposal at the present height; opens until one is found."""
        while not self._has_verified_work:
            if self._unjudged:
                self._judge_late(next(iter(self._unjudged)))
            elif self._held:
                self._open_held(next(iter(self._held)))
            else:
                return False
        return True

    def _judge_late(self, transaction: Digest) -> None:
        """Judge what was taken without; what is one too many of the doubtful is dropped."""
        del self._unjudged[transaction]
        waiting = self._waiting[transaction]
        code = self.judge(waiting.transaction)
        if code and self._doubtful >= DOUBTFUL_MAX:
            self.remove(transaction)
            held = Held(waiting.sealed, waiting.submitter, waiting.organisation, waiting.size)
            self._unsound.append((held, code))
        elif code:
            self._left_out -= self._is_left_out(waiting)
            waiting.code = code
            self._doubtful += 1

    @property
    def _has_verified_work(self) -> bool:
        return len(self._waiting) > self._doubtful + self._left_out + len(self._unjudged)

    @property
    def needs_master(self) -> bool:
        """Whether a master has something to propose or to refuse."""
        return bool(self._held) or len(self._waiting) > self._left_out

    def hold(self, sealed: SealedTransaction, submitter: PublicKey) -> str:
        """Take a transaction unopened, after the checks that cost nothing.

        Returns:
            "" if it is here now, or a reason code.
        """
        if sealed.transaction in self:
            return ""
        held, code = self._receive(sealed, submitter)
        if not code:
            self._held[sealed.transaction] = held
            self._count(held)
        return code

    def open_held(self) -> None:
        """Open and verify all that is held, for a proposal: its execution judges."""
        for transaction in list(self._held):
            self._open_held(transaction, is_judged=False)

    def _open_held(self, transaction: Digest, *, is_judged: bool = True) -> None:
        held = self._held.pop(transaction)
        # It is counted already; what a block took or what expired is not held any more.
        code = self._verify(held, is_judged=is_judged)
        if code:
            self._discount(held.sealed, held.organisation, held.size)
            self._unsound.append((held, code))

    def take_unsound(self) -> list[tuple[Held, str]]:
        """Return what was held and turned out not to be admissible, each with its reason code."""
        unsound, self._unsound = self._unsound, []
        return unsound

    def admit(
        self, sealed: SealedTransaction, submitter: PublicKey, *, is_judged: bool = True
    ) -> str:
        """Verify and take a transaction.

        Args:
            sealed: the transaction.
            submitter: whom a refusal goes to.
            is_judged: whether it is judged against the present state now; else by the execution of
                a proposal, or when somebody asks whether there is work.

        Returns:
            "" if it is here now, or a reason code.
        """
        if sealed.transaction in self._waiting:
            return ""
        before = self._held.pop(sealed.transaction, None)
        if before is not None:
            self._discount(before.sealed, before.organisation, before.size)
        held, code = self._receive(sealed, submitter)
        if code:
            return code
        code = self._verify(held, is_judged=is_judged)
        if not code:
            self._count(held)
        return code

    def _verify(self, held: Held, *, is_judged: bool) -> str:
        """Open and verify a transaction and let it wait; return "" or a reason code."""
        sealed = held.sealed
        transaction, code = self._verifier.admit(sealed)
        if transaction is None:
            return code
        code = self.judge(transaction) if is_judged else ""
        if code and self._doubtful >= DOUBTFUL_MAX:
            return code
        if not is_judged:
            self._unjudged[sealed.transaction] = None
        self._waiting[sealed.transaction] = Waiting(
            sealed.transaction,
            sealed,
            transaction,
            held.organisation,
            held.submitter,
            held.size,
            len(transaction.canonical),
            code,
        )
        self._doubtful += bool(code)
        return ""

    def _receive(self, sealed: SealedTransaction, submitter: PublicKey) -> tuple[Held, str]:
        """Return what is known of a sealed transaction, and why it is not taken if it is not."""
        user = self._context.state.user(sealed.author)
        organisation = user.organisation if user is not None else ""
        held = Held(sealed, submitter, organisation, size_of(sealed))
        return held, self._find_hindrance(sealed, organisation, held.size)

    def _find_hindrance(self, sealed: SealedTransaction, organisation: str, size: int) -> str:
        """Return why a transaction is not even opened: the checks that cost nothing come first."""
        context = self._context
        code = ""
        if sealed.alliance != context.alliance or not is_well_formed(sealed):
            code = "malformed"
        elif sealed.expires < context.height:
            code = "expired"
        elif context.state.transaction_location(sealed.transaction) is not None:
            code = "replayed"
        elif (
            len(self) >= limits.POOL_TRANSACTIONS_MAX
            or self._bytes + size > limits.POOL_BYTES_MAX
            or self._by_organisation.get(organisation, 0)
            >= limits.POOL_TRANSACTIONS_PER_ORGANISATION_MAX
        ):
            code = "busy"
        return code

    def judge(self, transaction: Transaction) -> str:
        """Judge a transaction by itself against the present state; return "" or a reason code."""
        context = self._context
        time_ms = Millis(max(context.now.wall_ms, context.state.time_ms + 1))
        return judge(context.state, transaction, height=context.height, time_ms=time_ms)

    def _count(self, held: Held) -> None:
        sealed, organisation = held.sealed, held.organisation
        self._bytes += held.size
        self._by_organisation[organisation] = self._by_organisation.get(organisation, 0) + 1
        bucket = self._by_expiry.get(sealed.expires)
        if bucket is None:
            bucket = self._by_expiry[sealed.expires] = set()
        bucket.add(sealed.transaction)

    def _discount(self, sealed: SealedTransaction, organisation: str, size: int) -> None:
        self._bytes -= size
        count = self._by_organisation[organisation] - 1
        if count:
            self._by_organisation[organisation] = count
        else:
            del self._by_organisation[organisation]
        bucket = self._by_expiry.get(sealed.expires)
        if bucket is not None:
            bucket.discard(sealed.transaction)

    def remove(self, transaction: Digest) -> Waiting | None:
        """Drop a transaction that is settled; return it if it had been verified."""
        held = self._held.pop(transaction, None)
        if held is not None:
            self._discount(held.sealed, held.organisation, held.size)
            return None
        waiting = self._waiting.pop(transaction, None)
        if waiting is None:
            return None
        self._unjudged.pop(transaction, None)
        self._doubtful -= bool(waiting.code)
        self._left_out -= self._is_left_out(waiting)
        self._discount(waiting.sealed, waiting.organisation, waiting.size)
        return waiting

    def _is_left_out(self, waiting: Waiting) -> bool:
        return not waiting.code and waiting.left_out == self._context.height

    def leave_out(self, transaction: Digest) -> bool:
        """Leave a rejected transaction out of this height's further proposals.

        Returns:
            True if it has failed so often that its client must reseal it.
        """
        waiting = self._waiting.get(transaction)
        if waiting is None or waiting.left_out == self._context.height:
            return False
        self._unjudged.pop(transaction, None)  # it was in a proposal, whose execution took it
        waiting.left_out = self._context.height
        waiting.strikes += 1
        self._left_out += self._is_left_out(waiting)
        return waiting.strikes >= STRIKES_MAX

    def advance(self, committed: Iterable[Digest]) -> None:
        """Follow a committed block: drop what is in it and what has expired.

        The context stands at the next height already.
        """
        for transaction in committed:
            self.remove(transaction)
        for transaction in self._by_expiry.pop(self._context.height - 1, set()).copy():
            self.remove(transaction)
        # What was left out was so for one height.
        self._left_out = 0

    def select(self) -> list[Waiting]:
        """Return what the next proposal holds, oldest first, within the block's bounds."""
        parameters = self._context.parameters
        chosen: list[Waiting] = []
        plain = copies = 0
        for waiting in self._waiting.values():
            if waiting.left_out == self._context.height:
                continue
            copies += waiting.size if waiting.has_confidential else 0
            plain += waiting.plain_bytes + 64
            # Half of the bound is for results, erasures and the header.
            if plain > parameters.block_bytes_max * 3 // 4 or copies > limits.BLOCK_BYTES_MAX:
                break
            chosen.append(waiting)
            if len(chosen) >= parameters.block_transactions_max:
                break
        return chosen

    def judge_doubtful(self) -> list[tuple[Waiting, str]]:
        """Judge the doubtful again, as the master; return those that stay refused, now removed."""
        refused: list[tuple[Waiting, str]] = []
        if not self._doubtful:
            return refused
        for waiting in [item for item in self._waiting.values() if item.code]:
            code = self.judge(waiting.transaction)
            if code:
                self.remove(waiting.digest)
                refused.append((waiting, code))
            else:
                waiting.code = ""
                self._doubtful -= 1
                self._left_out += waiting.left_out == self._context.height
        return refused
