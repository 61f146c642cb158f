"""Every bound of the system, with its unit; the relations between bounds are asserted at import.

What all nodes must share (block sizes, windows, epochs) is not here but in the genesis parameters,
whose own upper bounds are.
"""

KIB = 1024
MIB = 1024 * KIB

# --- organisations, people, super nodes ---------------------------------------------------------
ORGANISATIONS_MAX = 10_000
SUPER_NODES_MAX = 31
VOTE_WEIGHT_MAX = 1_000
NAME_CHARACTERS_MAX = 32
TITLE_CHARACTERS_MAX = 300
USER_NAME_CHARACTERS_MAX = 100
ADDRESS_CHARACTERS_MAX = 300
CERTIFICATE_BYTES_MAX = 2 * KIB
ROLES_MAX = 8
BALLOTS_OPEN_PER_ORGANISATION_MAX = 16
"""Open questions about membership that one organisation may have raised."""

# --- descriptions -------------------------------------------------------------------------------
DESCRIPTION_CHARACTERS_MAX = 20_000
KEYWORDS_MAX = 64
KEYWORD_CHARACTERS_MAX = 100
FORMATS_MAX = 32
COLUMNS_MAX = 512
WORDS_MAX = 4_096
FEATURES_MAX = 64
THEMES_MAX = 32
VERSIONS_PER_DATASET_MAX = 1_000
POLICY_RULES_MAX = 64
CONSTRAINTS_PER_RULE_MAX = 16
OPERANDS_PER_CONSTRAINT_MAX = 256
REASON_CHARACTERS_MAX = 2_000
GRANTS_PER_USER_MAX = 32
"""Grants of one dataset that one user may hold at a time."""

# --- transactions and blocks --------------------------------------------------------------------
OPERATIONS_PER_TRANSACTION_MAX = 128
TRANSACTION_BYTES_MAX = 512 * KIB
CONFIDENTIAL_BYTES_MAX = 64 * KIB
JUSTIFICATION_CHARACTERS_MAX = 8_000
NOTE_BYTES_MAX = 96 * KIB
SEALED_TRANSACTION_BYTES_MAX = 768 * KIB
BLOCK_TRANSACTIONS_MAX = 2_000
BLOCK_BYTES_MAX = 8 * MIB
ERASURES_PER_BLOCK_MAX = 4 * SUPER_NODES_MAX
FINDINGS_PER_BLOCK_MAX = 4 * SUPER_NODES_MAX
POOL_TRANSACTIONS_MAX = 20_000
POOL_TRANSACTIONS_PER_ORGANISATION_MAX = 10_000
POOL_BYTES_MAX = 256 * MIB
TRANSACTION_LIFETIME_HEIGHTS_MAX = 5_000
EVIDENCE_BYTES_MAX = 384 * KIB
"""An invalid block with the part of the state that it rests on; two votes take less than 1 KiB."""
EVIDENCE_NESTED_MAX = 2
"""Evidence inside a block that is evidence itself is followed so far and no further."""
CODE_CHARACTERS_MAX = 32
FINDING_BYTES_MAX = 2 * KIB
"""Of a finding that a block takes up; a longer one is for the super nodes only."""

# --- the agreement ------------------------------------------------------------------------------
ROUND_MAX = 1_000_000
ROUNDS_AHEAD_MAX = 16
"""A message from a round further ahead than this is dropped: no peer can make us chase it."""
ROUND_TIMEOUT_MS_MIN = 200
"""However fast the others are, nobody is waited for any shorter: a busy disk may take as long."""
HEIGHTS_AHEAD_MAX = 4
COPIES_BYTES_MAX = 128 * MIB

# --- a node's own disk --------------------------------------------------------------------------
VOTE_LOG_BYTES_MAX = 512 * MIB
BLOCK_SEGMENT_BYTES_MAX = 256 * MIB
STATE_MAP_BYTES_MIN = 64 * MIB
STATE_MAP_BYTES_MAX = 1024 * 1024 * MIB

# --- links between nodes ------------------------------------------------------------------------
FRAME_BYTES_MAX = 24 * MIB
PEER_SEND_QUEUE_BYTES_MAX = 64 * MIB
BLOCKS_PER_SYNC_ANSWER_MAX = 64
SYNC_ANSWER_BYTES_MAX = 16 * MIB
PEER_CALLS_IN_FLIGHT_MAX = 64
PEER_CALLS_SERVED_AT_ONCE_MAX = 8
PEER_CALL_BYTES_WAITING_MAX = 32 * MIB
PEER_CALL_DEADLINE_MS = 20_000
PEER_METHOD_CHARACTERS_MAX = 64
PEER_HELLO_DEADLINE_MS = 5_000
PEER_HELLO_BYTES_MAX = KIB
PEER_STRANGERS_MAX = 256
"""Connections that have not yet proved who they are."""
PEER_PING_MS = 1_500
PEER_SILENCE_MS_MAX = 5_000
PEER_REDIAL_MS_MIN = 100
PEER_REDIAL_MS_MAX = 3_000

# --- data layer and store -----------------------------------------------------------------------
CHUNK_BYTES_MIN = 16 * KIB
CHUNK_BYTES_MEAN = 64 * KIB
CHUNK_BYTES_MAX = 256 * KIB
SEALED_CHUNK_BYTES_MAX = CHUNK_BYTES_MAX + KIB
DICTIONARY_BYTES_MAX = 2 * CHUNK_BYTES_MAX
"""Plain bytes of what chunks are compressed with; it is stored as one or two chunks."""
DICTIONARY_EVERY_BYTES = 16 * MIB
"""Plain bytes of new chunks that one dictionary serves: what is alike lies together."""
DICTIONARIES_PER_VERSION_MAX = 65_535
COVERS_PER_DICTIONARY_MAX = 4
PACK_BYTES_MAX = 128 * MIB
PACK_QUIET_S = 300
"""Chunks that have waited this long in the journal are sealed into a pack, however few."""
PACK_RETRY_S_MIN = 1
"""After a store did not take a pack; doubled with each failure, up to PACK_QUIET_S."""
JOURNAL_SEGMENTS_MAX = 64
JOURNAL_WAITING_BYTES_MAX = 512 * MIB
"""Full segments that may wait to be sealed; beyond this an upload seals one first."""
MANIFEST_BYTES_MAX = 256 * MIB
"""About 1.7 million chunks, 110 GB: a manifest is sent and opened whole."""
BUNDLED_MANIFEST_BYTES_MAX = 64 * KIB
"""A manifest up to this, some 400 chunks, lies in a pack with others; a larger one is its own object."""
BUNDLE_BYTES_WAITING_MAX = 8 * MIB
"""So many bytes of manifests, some thousands, wait in the journal; beyond it they are sealed to a bundle."""
MANIFESTS_AT_ONCE_MAX = 256
"""Bundled manifests read together: at most 16 MiB."""
MANIFESTS_RECENT_BYTES_MAX = 8 * MIB
"""Bundled manifests kept in memory: who reads a version's manifest goes on to read its content."""
FILES_PER_VERSION_MAX = 1_000_000
FILE_NAME_BYTES_MAX = 4_096
LOOKUP_DIGESTS_MAX = 4_096
UPLOAD_BATCH_BYTES_MAX = 8 * MIB
READ_GAP_BYTES_MAX = 256 * KIB
"""Bytes nobody asked for between two chunks of a pack that are read with them: cheaper than a second
positioned read."""
READ_RUN_BYTES_MAX = 2 * MIB
"""Longer runs are read in parts, some at a time: one piece of memory of many MiB costs more than a call."""
READERS_MAX = 4
"""Threads that read several packs at the same time for one question."""
CONTENT_RANGE_BYTES_MAX = 8 * MIB
READS_PER_CALL_MAX = 256
"""Datasets asked for with one call."""
READ_WHOLE_BYTES_MAX = MIB
"""Sealed bytes of a version that is read whole, with others; a larger one is read by itself."""
READ_WHOLE_PLAIN_BYTES_MAX = 8 * MIB
"""The same of its files' bytes: what a reader holds of one version."""
READS_BYTES_MAX = CONTENT_RANGE_BYTES_MAX
"""Of an answer with many versions; the rest is asked for again."""
READS_AT_ONCE_MAX = 4
"""Such answers that one node makes at a time."""
LEASE_MS_MAX = 24 * 3_600_000
"""Longest time for which a node attests that a version is stored."""
UPLOAD_LEASE_MS = 3_600_000
"""How long what an upload in flight put or was told to reuse is not collected."""
COLLECT_GRACE_MS = 24 * 3_600_000
"""What is dead stays this long, unless the operator says otherwise."""
COLLECT_GRACE_MS_MAX = 366 * 24 * 3_600_000
COLLECT_EVERY_H_MAX = 24 * 366
COLLECT_BATCH_CHUNKS = 4_096
"""Chunks judged at once: the longest that a collection holds up an upload."""
REPACK_DEAD_PERCENT = 50
"""A pack that is dead to this part is written anew without its dead chunks."""
REPACK_BYTES_AT_ONCE = 8 * PACK_BYTES_MAX
"""Room that writing packs anew needs beside them."""
PACK_SMALL_BYTES = PACK_BYTES_MAX // 4
"""A pack smaller than this is small: several of one cluster are merged."""
OPEN_DIRECTORIES_MAX = 16

# --- HDFS ---------------------------------------------------------------------------------------
HDFS_CALL_MS_MAX = 15_000
"""Longest one question to the NameNode may take; a hung one never answers by itself."""
HDFS_LIST_MS_MAX = 60_000
"""The same for a list of all objects: a NameNode gives 1,000 entries an answer."""
HDFS_SILENCE_MS_MAX = 3_000
"""A DataNode that sends nothing for this long is given up, and the next replica is read."""
HDFS_TRANSFER_MS_MIN = 20_000
HDFS_TRANSFER_BYTES_PER_MS_MIN = 4_096
"""Slowest transfer that is borne, 4 MB/s: deadline = HDFS_TRANSFER_MS_MIN + bytes / this."""
HDFS_STALL_MS_MAX = 12_000
"""A transfer in which nothing moves for so long hangs: it is given up and begun anew. A piece takes a
second at the slowest speed; a pipeline that lost DataNodes is mended within some silences."""
HDFS_OUTAGE_MS_MAX = 45_000
"""How long calls wait out a store that is away, counted from the first that failed, not from each."""
HDFS_OPENING_MS_MAX = 600_000
"""The same while a store is opened: nothing else can be done, and a large NameNode's safe mode takes minutes."""
HDFS_PUT_MS_MAX = 90_000
"""How long a write is tried anew under fresh names."""
HDFS_READ_MS_MAX = 20_000
"""How long a read is tried anew that no replica serves."""
HDFS_BACKOFF_MS_MIN = 50
HDFS_BACKOFF_MS_MAX = 2_000
HDFS_CALLS_MAX = 64
"""Calls under way at a time, those that hang included."""
HDFS_PIECE_BYTES = 4 * MIB
HDFS_BLOCK_BYTES_MIN = MIB
"""The least block size a NameNode takes by default; an object is one block of about its size."""
HDFS_READERS_OPEN_MAX = 64
HDFS_TEMPORARY_MS_MAX = 6 * 3_600_000
"""A temporary file older than this was left by a crash: no write takes so long."""
HDFS_OBJECT_BYTES_MAX = 1024 * MIB

# --- API ----------------------------------------------------------------------------------------
REQUEST_BODY_BYTES_MAX = 16 * MIB
TOKEN_LIFETIME_S_MAX = 300
PAGE_ITEMS_MAX = 1_000
WAIT_MS_MAX = 30_000
SUBMISSIONS_PER_CALL_MAX = 2_000
SUBMISSIONS_UNSETTLED_MAX = 6_000
"""Own users' transactions on their way at one node; beyond it a submission is refused at once."""
SUBMISSIONS_UNDER_WAY_MAX = 1_024
"""With so many on their way, a call that waits for its outcome waits for room first."""
SUBMISSIONS_WAITING_BYTES_MAX = 32 * MIB
"""Of calls that wait for room; beyond it one is refused at once."""
QUESTION_WORDS_MAX = 64
QUESTION_LIMIT_MAX = 1_000

# --- information index --------------------------------------------------------------------------
INDEX_PAGE_BYTES = 4 * KIB
"""Of an index file in a store, sealed by itself; part of the format."""
INDEX_OBJECT_BYTES = 128 * MIB
"""Plain bytes in one object of such a file; part of the format."""
INDEX_FOOTER_BYTES_MAX = 256 * MIB
INDEX_DELTA_ROWS_MAX = 512
INDEX_DELTA_ROWS_LARGE = 16_384
"""Changes held in memory before they are folded into the file: an eighth of its rows within these."""
INDEX_ROOM_BYTES_MAX = 256 * MIB
"""Of the data index's rows, columns and lists so much may be kept in memory."""
INDEX_FACETS_MAX = 1_000
"""Most frequent themes, formats and owners counted in one answer, of each."""

# --- client -------------------------------------------------------------------------------------
CLIENT_CALL_S_MAX = 120
"""Longest one call to the own node may take; longer than the longest long poll."""
CLIENT_ATTEMPTS_MAX = 6
CLIENT_BACKOFF_MS_MAX = 5_000
CLIENT_RESEALS_MAX = 50
CLIENT_PATIENCE_MS = 10_000
"""A write that is pending this long makes the client ask its node why."""
CLIENT_SETTLE_MS_MAX = 120_000
"""Longest wait for a transaction's block; after that it is pending still."""
CLIENT_UPLOADS_IN_FLIGHT_MAX = 3
CLIENT_WINDOWS_IN_FLIGHT_MAX = 4
CLIENT_RANGES_IN_FLIGHT_MAX = 8
CLIENT_GAP_BYTES_MAX = 256 * KIB
"""Unwanted bytes between two wanted ranges that are fetched with them: cheaper than another call."""
CLIENT_READ_BYTES_MAX = 64 * MIB
"""Plain bytes one `read` returns at most; more is streamed."""
CLIENT_MANIFESTS_OPEN_MAX = 8
CLIENT_ANSWER_BYTES_MAX = 64 * MIB

assert CHUNK_BYTES_MIN < CHUNK_BYTES_MEAN < CHUNK_BYTES_MAX < SEALED_CHUNK_BYTES_MAX
assert SEALED_CHUNK_BYTES_MAX < PACK_BYTES_MAX
assert BUNDLED_MANIFEST_BYTES_MAX <= SEALED_CHUNK_BYTES_MAX
assert BUNDLED_MANIFEST_BYTES_MAX < BUNDLE_BYTES_WAITING_MAX < PACK_SMALL_BYTES
assert BUNDLED_MANIFEST_BYTES_MAX < MANIFESTS_RECENT_BYTES_MAX
assert READS_PER_CALL_MAX <= MANIFESTS_AT_ONCE_MAX
assert 2 * (READ_WHOLE_BYTES_MAX + BUNDLED_MANIFEST_BYTES_MAX) < READS_BYTES_MAX, "one always fits"
assert 2 * READS_BYTES_MAX < FRAME_BYTES_MAX
assert SEALED_CHUNK_BYTES_MAX < UPLOAD_BATCH_BYTES_MAX < REQUEST_BODY_BYTES_MAX < FRAME_BYTES_MAX
assert TRANSACTION_BYTES_MAX + CONFIDENTIAL_BYTES_MAX < SEALED_TRANSACTION_BYTES_MAX
assert SEALED_TRANSACTION_BYTES_MAX < BLOCK_BYTES_MAX
assert EVIDENCE_BYTES_MAX + 4 * KIB < TRANSACTION_BYTES_MAX
assert 2 * BLOCK_BYTES_MAX < FRAME_BYTES_MAX, "a proposal carries its block and the sealed copies"
assert SYNC_ANSWER_BYTES_MAX + BLOCK_BYTES_MAX <= FRAME_BYTES_MAX
assert FRAME_BYTES_MAX <= PEER_SEND_QUEUE_BYTES_MAX
assert FRAME_BYTES_MAX <= PEER_CALL_BYTES_WAITING_MAX
assert 2 * PEER_PING_MS < PEER_SILENCE_MS_MAX
assert 4 * BLOCK_BYTES_MAX < BLOCK_SEGMENT_BYTES_MAX
assert SUBMISSIONS_UNDER_WAY_MAX + SUBMISSIONS_PER_CALL_MAX <= SUBMISSIONS_UNSETTLED_MAX
assert REQUEST_BODY_BYTES_MAX <= SUBMISSIONS_WAITING_BYTES_MAX
assert SUBMISSIONS_UNSETTLED_MAX <= POOL_TRANSACTIONS_PER_ORGANISATION_MAX
assert WAIT_MS_MAX < 1_000 * CLIENT_CALL_S_MAX
assert max(PACK_BYTES_MAX, MANIFEST_BYTES_MAX) <= HDFS_OBJECT_BYTES_MAX
assert HDFS_OBJECT_BYTES_MAX // HDFS_TRANSFER_BYTES_PER_MS_MIN * 4 < HDFS_TEMPORARY_MS_MAX
assert 3 * HDFS_SILENCE_MS_MAX < HDFS_STALL_MS_MAX < HDFS_TRANSFER_MS_MIN
assert HDFS_SILENCE_MS_MAX < HDFS_CALL_MS_MAX < HDFS_OUTAGE_MS_MAX < HDFS_PUT_MS_MAX
assert HDFS_PUT_MS_MAX < 1_000 * CLIENT_CALL_S_MAX, "a client waits for its node's store"
