"""`hansa user`: who may act for the own organisation."""

import click

from hansa import rest
from hansa.cli.acting import Acting, acting, ask_passphrase, warn_of_bare_keys
from hansa.cli.show import print_table
from hansa.cli.values import DIGEST
from hansa.cli.waiting import print_settled, wait_option
from hansa.client.profile import profile_path, profiles_folder
from hansa.errors import InvalidError

ROLES = ("admin", "publisher", "officer", "reader")


@click.group()
def user() -> None:
    """Add, list and revoke users of the own organisation."""


@user.command("ls", epilog="\b\nExample:\n  hansa user ls --organisation health")
@click.option("--organisation", help="Another organisation's users; default: the own.")
@acting
def ls(acting: Acting, organisation: str | None) -> None:
    """List users with their roles."""
    profile = acting.profile()
    query = {"organisation": organisation or profile.organisation}
    users = acting.run(lambda client: client.get("/v1/users", list[rest.UserView], query))
    if acting.as_json:
        acting.print_json(users)
        return
    print_table(
        ("name", "roles", "status", "key"),
        ((item.name, ", ".join(item.roles), item.status, item.key) for item in users),
    )


@user.command(
    "add", epilog="\b\nExample:\n  hansa user add 'Planning desk' --role reader --new-profile desk"
)
@click.argument("name")
@click.option(
    "--role",
    "roles",
    type=click.Choice(ROLES),
    multiple=True,
    required=True,
    help="May be given many times.",
)
@click.option("--new-profile", required=True, metavar="NAME", help="Profile to make for the user.")
@wait_option
@acting
def add(acting: Acting, name: str, roles: tuple[str, ...], new_profile: str, wait: bool) -> None:
    """Register a user: makes keys and a profile on this machine, and puts the keys on the chain."""
    validate_profile_name(new_profile)
    if ask_passphrase() is None:
        warn_of_bare_keys()
    added = acting.run(
        lambda client: client.add_user(name, roles, profile_name=new_profile, wait=wait)
    )
    print_settled(acting, added.status, key=added.key, profile=str(added.profile))


def validate_profile_name(name: str) -> None:
    """Check the name of a profile to be made, before keys are: it must lie among the named ones.

    Raises:
        InvalidError: it is a path, or no possible name.
    """
    if profile_path(name) != profiles_folder() / f"{name}.toml":
        raise InvalidError(
            f"{name!r} cannot be a new profile's name.",
            remedy="Give a name, not a path; HANSA_HOME says in which folder profiles lie.",
        )


@user.command("revoke", epilog="\b\nExample:\n  hansa user revoke KEY")
@click.argument("key", type=DIGEST)
@wait_option
@acting
def revoke(acting: Acting, key: str, wait: bool) -> None:
    """Revoke a user: refused everywhere from the next block."""
    status = acting.run(lambda client: client.revoke_user(bytes.fromhex(key), wait=wait))
    print_settled(acting, status, key=key)
