"""Users: keys and a profile for a new user on this machine, and the keys on the chain."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hansa.client.governance import add_user
from hansa.client.profile import profile_path, save_profile
from hansa.client.session import Session
from hansa.errors import ConflictError, DeniedError, InvalidError
from hansa.keyfile import create_key_file, load_decryption_key, load_signing_key
from hansa.rest import TransactionStatus


@dataclass(frozen=True, slots=True)
class AddedUser:
    """A user that was registered."""

    key: str
    """Signing key, 64 hex digits."""
    profile: Path
    """The profile that acts as the user."""
    status: TransactionStatus


async def create_user(
    session: Session,
    name: str,
    roles: Sequence[str],
    *,
    profile_name: str,
    passphrase: bytes | None,
    wait: bool = True,
) -> AddedUser:
    """Make a user's keys and profile, and register the user with the own organisation.

    The keys are on disk before the chain knows them: a key that nobody has could never be used. Only
    publishers and officers get the organisation's secrets named in their profile.

    Raises:
        ConflictError: there is a profile of that name.
        HansaError: the registration was refused and the keys are removed, or it is not known how it
            ended and they stay: the same call goes on with them.
    """
    path = profile_path(profile_name)
    if path.exists():
        raise ConflictError(f"A profile {path} exists.", remedy="Choose another name.")
    folder = path.parent / path.stem
    made: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    user_key, encryption_key = folder / "user.key", folder / "encryption.key"
    for file, kind in ((user_key, "signing"), (encryption_key, "decryption")):
        if not file.exists():
            seed = session.entropy.random_bytes(32)
            await session.workers.run(create_key_file, file, kind, seed, passphrase)
            made.append(file)
    signing = await session.workers.run(load_signing_key, user_key, lambda: passphrase)
    decryption = await session.workers.run(load_decryption_key, encryption_key, lambda: passphrase)
    try:
        status = await add_user(
            session,
            key=signing.public,
            encryption_key=decryption.public,
            name=name,
            roles=roles,
            wait=wait,
        )
    except (InvalidError, DeniedError, ConflictError):  # refused: keys that no chain will know
        for file in made:
            file.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise
    needs_secrets = {"publisher", "officer"} & set(roles)
    profile = replace(
        session.profile,
        name=path.stem,
        user_key=user_key,
        encryption_key=encryption_key,
        organisation_secrets=session.profile.organisation_secrets if needs_secrets else None,
    )
    return AddedUser(signing.public.hex(), save_profile(profile, path), status)
