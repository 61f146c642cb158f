"""Reason codes of refusals: stable words for programs, each with a text that says what to do."""

REASONS: dict[str, str] = {
    # --- the transaction itself ---
    "malformed": "A field of the transaction is out of its bounds; make it again.",
    "wrong-alliance": "The transaction names another alliance; use this alliance's genesis file.",
    "expired": "The transaction's last height has passed; sign it again with a later expiry.",
    "lifetime": "The transaction's expiry lies too far ahead; choose a nearer height.",
    "replayed": "This transaction is in a block already; nothing needs to be done.",
    "time-window": "The transaction's time is too far from the block's; set the clock, sign again.",
    "bad-signature": "The signature does not match author and contents; sign it again.",
    # --- on its way to a block ---
    "reseal": "It is not sealed to the super nodes' present keys; fetch them, seal and send again.",
    "not-openable": "It does not open with the key it is sealed to; seal and send it again.",
    "confidential-mismatch": "The confidential part is not what was signed; make the transaction again.",
    "copy-missing": "The master sent no copy of it to the reviewers; it is tried again by itself.",
    "busy": "The node has all the waiting transactions it can hold; try again in a while.",
    # --- who acts ---
    "unknown-user": "The author's key is not registered; ask an admin of your organisation to add it.",
    "user-revoked": "The author's key was revoked; ask an admin of your organisation for a new user.",
    "organisation-suspended": "The organisation is suspended; the others can readmit it by vote.",
    "role-missing": "The user lacks the role for this; ask an admin for a user that has it.",
    # --- organisations, users, votes ---
    "malformed-candidate": "A field of the organisation is out of its bounds; correct it.",
    "name-taken": "An organisation of this name is a member; choose another name.",
    "key-in-use": "This key is known to the chain already; make a new one.",
    "unknown-organisation": "No active member has this name; check the list of organisations.",
    "already-suspended": "The organisation is suspended already; no further ballot is needed.",
    "costs-quorum": "Too few super nodes would be left to decide anything; wait for the next election.",
    "own-organisation": "An organisation cannot vote on its own suspension.",
    "already-voted": "The organisation's ballot on this is counted already; others must vote.",
    "too-many-ballots": "The organisation has too many open ballots; wait until some are settled.",
    "too-many-organisations": "The alliance is full.",
    "malformed-user": "A name, key or role of the user is out of its bounds; correct it.",
    "last-admin": "The last admin of an organisation cannot be revoked; add another first.",
    "malformed-vote": "Name each candidate once, and no more than there can be super nodes.",
    # --- evidence ---
    "malformed-evidence": "The evidence does not decode; submit it as the node that noticed it keeps it.",
    "evidence-proves-nothing": "The two halves are not one node's signed answers to one question.",
    "unknown-node": "The evidence speaks of a node that is no member's.",
    "already-expelled": "The node is expelled already; no further evidence is needed.",
    "evidence-settled": "The evidence is older than the member's readmission, which settled it.",
    # --- datasets ---
    "unknown-dataset": "There is no dataset of this id; search for it.",
    "dataset-retired": "The dataset was retired by its owner; search for another.",
    "not-owner": "Only the organisation that owns the dataset may do this.",
    "malformed-description": "A field of the description is out of its bounds; correct it.",
    "malformed-policy": "A rule of the policy makes no sense; correct its operands and operators.",
    "malformed-version": "A figure of the version is out of its bounds; publish again.",
    "wrong-attestation": "The attestation is not the owner's node's for this version; publish again.",
    "attestation-expired": "The attestation's lease has ended; upload the manifest again.",
    "wrong-version": "Another version was added meanwhile; read the dataset and add the next number.",
    "too-many-versions": "The dataset has all the versions it can hold; register a new dataset.",
    # --- access ---
    "policy-prohibits": "The dataset's policy prohibits this use; ask its owner about the policy.",
    "policy-denies": "The dataset's policy allows only what it names; ask its owner about the policy.",
    "own-dataset": "The dataset is your organisation's own; read it without a request.",
    "no-justification": "A request needs a confidential justification; add one.",
    "unknown-request": "There is no request of this id; list the requests.",
    "request-decided": "The request is decided already; its status says how.",
    "not-granted": "The request is not granted, so there is nothing to revoke.",
    "requester-inactive": "The requester was revoked or suspended meanwhile; deny the request.",
    "malformed-grant": "A grant needs the digest of its wraps; grant again.",
    "expiry-passed": "The grant would end before it begins; choose a later end.",
    "too-many-grants": "This user holds too many grants of the dataset; revoke one first.",
    "malformed-reason": "The reason is empty or too long; shorten it.",
    "no-grant": "No grant of this dataset for this user is on the chain; request access first.",
    "grant-expired": "The grant has ended; request access again.",
    "grant-revoked": "The owner revoked the grant; request access again or ask the owner.",
    "owner-suspended": "The owner is suspended from the alliance; its data is not served.",
}

NEVER_IN_BLOCK = frozenset({"malformed", "wrong-alliance", "expired", "lifetime", "replayed"})
"""Refusals that cost no room on the chain: a block that carries such a transaction is invalid."""
