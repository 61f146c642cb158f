"""The REST contract: transactions sent in and followed, blocks looked at. See `rest`."""

from hansa.chain.sealed import OwnerNote, SealedTransaction
from hansa.rest.base import Json, Octets


class Submission(Octets, frozen=True):
    """A sealed transaction and the notes that go with its access requests."""

    sealed: SealedTransaction
    notes: tuple[OwnerNote, ...]


class Submissions(Octets, frozen=True):
    """Several submissions of one author in one call."""

    submissions: tuple[Submission, ...]
    """1 to SUBMISSIONS_PER_CALL_MAX."""


class TransactionStatus(Json, frozen=True):
    """Where a submitted transaction stands."""

    transaction: str
    status: str
    """pending, committed, refused (in a block or before it), expired, or reseal (seal and send again)."""
    code: str = ""
    """Reason code of a refusal."""
    message: str = ""
    """What to do about it."""
    height: int = 0
    """Height of its block, 0 if none."""


class TransactionStatuses(Json, frozen=True):
    """Where several submitted transactions stand, in the order of the call."""

    statuses: tuple[TransactionStatus, ...]


class ErasureView(Json, frozen=True):
    """One super node's acknowledgement that its copies of a round are gone."""

    organisation: str
    height: int
    round: int
    outcome: str
    copies: int
    recorded_at: int
    """Height of the block that carries it; 0 if not yet on the chain."""
    recorded_ms: int = 0
    """Time of that block; 0 if the node has it no more."""


class TransactionDetail(Json, frozen=True):
    """A committed transaction for people."""

    transaction: str
    height: int
    index: int
    accepted: bool
    code: str
    author: str
    author_name: str
    organisation: str
    time_ms: int
    operations: list[dict[str, object]]
    """Each with its `operation` name and its fields, bytes in hex."""
    dataset_ids: list[str]
    request_ids: list[str]
    erasures: list[ErasureView]
    not_acknowledged: list[str]
    """Super nodes of that round from whom no erasure is on the chain; none where that is not kept."""
    acknowledgements_kept: bool = True
    """False where the node has thrown away, or never had, blocks that may hold acknowledgements."""
    acknowledgements_end: int = 0
    """Last height whose block may carry one: who is wanting after it never will be there."""


class BlockSummary(Json, frozen=True):
    """One line about a block."""

    height: int
    digest: str
    time_ms: int
    master: str
    round: int
    """Round in which it was decided."""
    epoch: int
    transactions: int
    erasures: int
    signatures: int


class FindingView(Json, frozen=True):
    """Why a super node rejected what was proposed in a round: what the comparison of step 5 came to."""

    organisation: str
    height: int
    round: int
    code: str
    digest: str
    """Of the block that it judged; zeros if there was none."""
    rejected: list[str]
    """Transactions it rejects, each as `digest: code`."""
    is_settled: bool
    """Whether the height was decided with this block all the same, by the others' reviews."""


class BlockDetail(Json, frozen=True):
    """A block for people."""

    summary: BlockSummary
    parent: str
    state_root: str
    super_nodes: list[str]
    next_super_nodes: list[str]
    signers: list[str]
    transactions: list[TransactionDetail]
    erasures: list[ErasureView]
    findings: list[FindingView]
    """About the height before."""
