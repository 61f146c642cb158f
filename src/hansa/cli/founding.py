"""Making a member: its node's folder, its first user's keys, its secrets, its candidate file, its profile.

A member's folder:

    node/               what the node needs; `hansa node start --dir …/node`
    user/               keys of the first user and the organisation's secrets; never at the node
    NAME.candidate      public: for the genesis, or for members to vote on
    profile.toml        who acts, once the genesis is there
"""

import contextlib
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hansa.chain.genesis import (
    NAME_PATTERN,
    PLAIN,
    ElectionRules,
    Genesis,
    Parameters,
    RuledGenesis,
    decode_genesis,
    validate_candidate,
    validate_genesis,
)
from hansa.chain.transactions import Candidate
from hansa.client.keys import create_organisation_secrets
from hansa.client.profile import Profile, save_profile
from hansa.codec import decode, encode
from hansa.crypto.envelope import DecryptionKey
from hansa.crypto.signing import SigningKey
from hansa.errors import ConflictError, InvalidError, MissingError
from hansa.keyfile import certificate_pem, create_key_file
from hansa.ports import Clock, Entropy
from hansa.types import Millis, OrganisationName

CANDIDATE_BYTES_MAX = 16_384


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member's node listens and stores."""

    peer: str
    """host:port for other nodes, as they reach it."""
    api: str
    """host:port for the own users."""
    store: str = ""
    """URL of its store; empty for a folder inside the node's."""
    listen_peer: str = ""
    """host:port to bind for other nodes, where that is not how they reach it."""
    listen_api: str = ""
    """host:port to bind for the own users, where that is not how they reach it."""
    store_user: str = ""
    """As whom a store in HDFS is used; empty for the system's user."""
    store_replication: int = 3
    """Copies of each block of a store in HDFS."""


def create_member(
    folder: Path,
    name: str,
    title: str,
    place: Place,
    *,
    entropy: Entropy,
    passphrase: bytes | None = None,
) -> Candidate:
    """Make a member's folder with fresh keys, and its candidate file.

    Raises:
        ConflictError: the folder is not empty.
        InvalidError: a name or an address cannot be right; nothing is left behind.
    """
    validate_organisation_name(name)
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(
            f"{folder} is not empty.",
            remedy="Choose another folder; with --genesis an existing member is completed.",
        )
    try:
        return _make_member(folder, name, title, place, entropy, passphrase)
    except BaseException:  # it was empty, so all that is in it was made now, and is of no use
        shutil.rmtree(folder / "user", ignore_errors=True)
        shutil.rmtree(folder / "node", ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise


def validate_organisation_name(name: str) -> None:
    """Check a name before anything is made of it.

    Raises:
        InvalidError: it is none.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidError(
            f"{name!r} is no organisation name.",
            remedy="Use a lower-case letter, then letters, digits or hyphens, 2 to 32 in all.",
        )


def _make_member(
    folder: Path,
    name: str,
    title: str,
    place: Place,
    entropy: Entropy,
    passphrase: bytes | None,
) -> Candidate:
    # The node's parts are heavy, and few commands make a member.
    from hansa.node.folder import NewNode, prepare_node_folder  # noqa: PLC0415

    user = folder / "user"
    user.mkdir(parents=True, mode=0o700)
    signing = SigningKey(entropy.random_bytes(32))
    decryption = DecryptionKey(entropy.random_bytes(32))
    secrets = create_organisation_secrets(user / "organisation", entropy, passphrase)
    node = NewNode(
        organisation=OrganisationName(name),
        title=title,
        admin_name=f"{title}, administrator",
        admin_key=signing.public,
        admin_encryption_key=decryption.public,
        directory_key=secrets.directory,
        peer=place.listen_peer or place.peer,
        api=place.listen_api or place.api,
        peer_address=place.peer,
        api_url=f"https://{place.api}",
        store_url=place.store or "file:store",
        store_user=place.store_user,
        store_replication=place.store_replication,
    )
    candidate = prepare_node_folder(folder / "node", node, entropy=entropy, passphrase=passphrase)
    validate_candidate(candidate)
    create_key_file(user / "user.key", "signing", signing.seed(), passphrase)
    create_key_file(user / "encryption.key", "decryption", decryption.seed(), passphrase)
    (folder / f"{name}.candidate").write_bytes(encode(candidate))
    return candidate


def read_candidate(path: Path) -> Candidate:
    """Read and check a candidate file.

    Raises:
        MissingError: no such file.
        InvalidError: malformed; the message names what is wrong.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingError(f"There is no candidate file {path}.") from error
    try:
        candidate = decode(Candidate, data, bytes_max=CANDIDATE_BYTES_MAX)
    except InvalidError as error:
        raise InvalidError(f"{path} is no candidate file: {error.message}") from error
    validate_candidate(candidate)
    return candidate


def found_alliance(
    name: str,
    candidates: list[Candidate],
    parameters: Parameters,
    *,
    clock: Clock,
    rules: ElectionRules = PLAIN,
) -> Genesis:
    """Return the genesis; the first r organisations by name are the founding super nodes.

    With plain rules of election it is of format 1, else of format 2.

    Raises:
        InvalidError: too few organisations, or anything else that cannot be right.
    """
    ordered = sorted(candidates, key=lambda candidate: candidate.name)
    for one, other in pairwise(ordered):
        if one.name == other.name:
            raise InvalidError(
                f"The candidate {one.name} is given twice.", remedy="Give each founder's file once."
            )
    r = parameters.super_nodes
    if len(ordered) < r:
        raise InvalidError(
            f"{len(ordered)} organisations cannot fill {r} seats of super nodes.",
            remedy="Add organisations, or choose fewer super nodes: 1, 4, 7, …",
        )
    chosen = tuple(candidate.name for candidate in ordered[:r])
    now = Millis(clock.now_ms())
    genesis = (
        Genesis(1, name, now, parameters, tuple(ordered), chosen)
        if rules == PLAIN
        else RuledGenesis(2, name, now, parameters, tuple(ordered), chosen, rules)
    )
    validate_genesis(genesis)
    return genesis


def complete_member(folder: Path, genesis_data: bytes, profile_file: Path | None = None) -> Profile:
    """Give a member its alliance's genesis: the node's copy, and a profile for the first user.

    Args:
        folder: made by `create_member`.
        genesis_data: the genesis file.
        profile_file: where the profile goes besides the member's folder.

    Raises:
        MissingError: the folder holds no member.
        ConflictError: the member has the genesis of another alliance.
    """
    from hansa.node.folder import install_genesis  # noqa: PLC0415 - as in `create_member`

    genesis = decode_genesis(genesis_data)
    candidates = sorted(folder.glob("*.candidate"))
    if len(candidates) != 1:
        raise MissingError(
            f"{folder} holds no member.", remedy="Make one: `hansa alliance join --organisation …`."
        )
    candidate = read_candidate(candidates[0])
    install_genesis(folder / "node", genesis_data)
    user = folder / "user"
    (user / "genesis.hansa").write_bytes(genesis_data)
    profile = Profile(
        name=candidate.name,
        organisation=candidate.name,
        user_key=(user / "user.key").absolute(),
        encryption_key=(user / "encryption.key").absolute(),
        organisation_secrets=(user / "organisation").absolute(),
        node_url=candidate.api_url,
        node_key=candidate.node_key,
        node_certificate=certificate_pem(candidate.certificate).decode(),
        alliance=genesis.digest(),
        genesis_file=(user / "genesis.hansa").absolute(),
    )
    save_profile(profile, folder / "profile.toml", overwrite=True)
    if profile_file is not None:
        save_profile(profile, profile_file, overwrite=True)
    return profile
