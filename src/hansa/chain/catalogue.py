"""Rules about datasets: register, new version, redescribe, policy, retire.

That the data is stored is the word of the owner's node: the attestation inside the transaction.
"""

import msgspec

from hansa import limits
from hansa.chain import records
from hansa.chain.draft import Acting, refuse
from hansa.chain.policy import is_sound
from hansa.chain.records import DatasetRecord, VersionRecord
from hansa.chain.transactions import (
    AddVersion,
    Description,
    Redescribe,
    RegisterDataset,
    RetireDataset,
    SetPolicy,
    VersionClaim,
    derive_id,
    is_attested,
)
from hansa.index.features import Derived, Described, derive
from hansa.types import NO_DIGEST, DatasetId

INTEGER_MAX = 2**62
"""Bound of every count and time in a claim."""
LATITUDE_MAX = 90_000_000
LONGITUDE_MAX = 180_000_000
FEATURE_MAX = 127


def register_dataset(acting: Acting, operation: RegisterDataset, index: int) -> None:
    """Register a dataset with its first version; its id derives from the transaction."""
    acting.demand("publisher")
    _check_description(acting, operation.description, operation.version.content_bytes)
    if not is_sound(operation.policy):
        refuse("malformed-policy")
    _check_version(acting, operation.version)
    identity = DatasetId(derive_id(acting.digest, index))
    dataset = DatasetRecord(
        id=identity,
        owner=acting.organisation_name,
        description=operation.description,
        policy=operation.policy,
        status="active",
        versions=(_version(acting, operation.version, 1),),
        transaction=acting.digest,
        height=acting.height,
        time_ms=acting.time_ms,
        changed_height=acting.height,
    )
    acting.draft.put(records.dataset_key(identity), dataset)
    organisation = acting.organisation
    acting.draft.put(
        records.organisation_key(organisation.name),
        msgspec.structs.replace(organisation, datasets=organisation.datasets + 1),
    )
    counters = acting.draft.counters
    acting.draft.put(
        records.COUNTERS_KEY, msgspec.structs.replace(counters, datasets=counters.datasets + 1)
    )


def add_version(acting: Acting, operation: AddVersion) -> None:
    """Add the next version, with the description as of now."""
    acting.demand("publisher")
    dataset = own_dataset(acting, operation.dataset)
    _check_description(acting, operation.description, operation.version.content_bytes)
    if operation.number != len(dataset.versions) + 1:
        refuse("wrong-version")
    if operation.number > limits.VERSIONS_PER_DATASET_MAX:
        refuse("too-many-versions")
    _check_version(acting, operation.version)
    added = _version(acting, operation.version, operation.number)
    _change(acting, dataset, description=operation.description, versions=(*dataset.versions, added))


def redescribe(acting: Acting, operation: Redescribe) -> None:
    """Replace the description."""
    acting.demand("publisher")
    dataset = own_dataset(acting, operation.dataset)
    _check_description(acting, operation.description, dataset.versions[-1].content_bytes)
    _change(acting, dataset, description=operation.description)


def retire_dataset(acting: Acting, operation: RetireDataset) -> None:
    """Retire a dataset: no longer found, no longer served."""
    acting.demand("publisher")
    dataset = own_dataset(acting, operation.dataset)
    _change(acting, dataset, status="retired")


def set_policy(acting: Acting, operation: SetPolicy) -> None:
    """Replace the policy; reads are judged by it from the next block."""
    acting.demand("officer")
    dataset = own_dataset(acting, operation.dataset)
    if not is_sound(operation.policy):
        refuse("malformed-policy")
    _change(acting, dataset, policy=operation.policy)


def own_dataset(acting: Acting, identity: bytes) -> DatasetRecord:
    """Return an active dataset of the author's organisation, or refuse."""
    dataset = acting.draft.dataset(identity)
    if dataset is None:
        refuse("unknown-dataset")
    if dataset.owner != acting.organisation_name:
        refuse("not-owner")
    if dataset.status == "retired":
        refuse("dataset-retired")
    return dataset


def derive_features(description: Description, content_bytes: int) -> Derived:
    """Return what words and features a description must have by its feature model.

    Args:
        description: its own words and features play no part.
        content_bytes: plain bytes of the version it describes.

    Raises:
        InvalidError: the feature model is unknown.
    """
    return derive(
        Described(
            title=description.title,
            description=description.description,
            keywords=description.keywords,
            themes=description.themes,
            place=description.place,
            box=description.box,
            interval=description.interval,
            formats=description.formats,
            columns=description.columns,
            rhythm=description.rhythm,
            column_types=description.column_types,
            content_bytes=content_bytes,
        ),
        description.feature_model,
    )


def _check_description(acting: Acting, description: Description, content_bytes: int) -> None:
    """Refuse a description with a field out of its bounds, or words and features not its own.

    They are computed again from its texts, place, time, formats, columns and the size claimed (DESIGN §7):
    integers under a frozen word rule, so every node judges alike. Work: 0.3 ms for a usual description,
    20 ms for the largest.
    """
    model = acting.draft.genesis.parameters.feature_model
    if not _is_sound_description(description) or description.feature_model != model:
        refuse("malformed-description")
    derived = derive_features(description, content_bytes)
    if derived.words != description.words or derived.features != description.features:
        refuse("false-features")


def _is_sound_description(item: Description) -> bool:
    lists = (
        (item.keywords, limits.KEYWORDS_MAX),
        (item.themes, limits.THEMES_MAX),
        (item.formats, limits.FORMATS_MAX),
        (item.columns, limits.COLUMNS_MAX),
        (item.words, limits.WORDS_MAX),
    )
    return (
        1 <= len(item.title) <= limits.TITLE_CHARACTERS_MAX
        and len(item.description) <= limits.DESCRIPTION_CHARACTERS_MAX
        and len(item.place) <= limits.TITLE_CHARACTERS_MAX
        and len(item.licence) <= limits.TITLE_CHARACTERS_MAX
        and all(
            len(texts) <= count
            and all(1 <= len(text) <= limits.KEYWORD_CHARACTERS_MAX for text in texts)
            for texts, count in lists
        )
        and len(item.column_types) in (0, len(item.columns))
        and list(item.words) == sorted(set(item.words))
        and len(item.features) <= limits.FEATURES_MAX
        and all(-FEATURE_MAX <= feature <= FEATURE_MAX for feature in item.features)
        and _is_sound_extent(item)
    )


def _is_sound_extent(item: Description) -> bool:
    box, interval = item.box, item.interval
    return (
        box is None
        or (
            -LONGITUDE_MAX <= box.west <= box.east <= LONGITUDE_MAX
            and -LATITUDE_MAX <= box.south <= box.north <= LATITUDE_MAX
        )
    ) and (interval is None or -INTEGER_MAX <= interval.start_ms <= interval.end_ms <= INTEGER_MAX)


def _check_version(acting: Acting, claim: VersionClaim) -> None:
    """Refuse a version whose figures or attestation do not hold."""
    attestation, organisation = claim.attestation, acting.organisation
    counts = (claim.content_bytes, claim.chunks, attestation.stored_bytes)
    if any(not 0 <= count <= INTEGER_MAX for count in counts):
        refuse("malformed-version")
    if not 1 <= claim.files <= limits.FILES_PER_VERSION_MAX:
        refuse("malformed-version")
    if not 1 <= attestation.manifest_bytes <= limits.MANIFEST_BYTES_MAX:
        refuse("malformed-version")
    if len(claim.manifest_root) != 32 or claim.manifest_root == NO_DIGEST:
        refuse("malformed-version")
    if (
        attestation.organisation != organisation.name
        or attestation.node_key != organisation.node_key
        or attestation.manifest_root != claim.manifest_root
    ):
        refuse("wrong-attestation")
    if attestation.leased_until_ms < acting.time_ms:
        refuse("attestation-expired")
    if not is_attested(attestation):
        refuse("wrong-attestation")


def _version(acting: Acting, claim: VersionClaim, number: int) -> VersionRecord:
    return VersionRecord(
        number=number,
        manifest_root=claim.manifest_root,
        content_bytes=claim.content_bytes,
        stored_bytes=claim.attestation.stored_bytes,
        files=claim.files,
        chunks=claim.chunks,
        transaction=acting.digest,
        height=acting.height,
        time_ms=acting.time_ms,
    )


def _change(acting: Acting, dataset: DatasetRecord, **fields: object) -> None:
    changed = msgspec.structs.replace(dataset, changed_height=acting.height, **fields)
    acting.draft.put(records.dataset_key(dataset.id), changed)
