"""An alliance on this machine in one folder: made once, started and stopped as often as needed.

    D/devnet.json        organisations, seats, ports
    D/genesis.hansa
    D/members/NAME/      one member each (see `founding`)
    D/hdfs/              a real HDFS, if the stores lie in one (see `hansa.cli.hdfs`)

The founding super nodes are the first by name; the elected ones come from votes on the chain, which
every organisation's first user casts for the organisations in the order they were given.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from hansa import rest
from hansa.chain.genesis import FULL, SMALL
from hansa.cli import processes
from hansa.cli.founding import (
    Place,
    complete_member,
    create_member,
    found_alliance,
    validate_organisation_name,
)
from hansa.cli.hdfs import HdfsCluster
from hansa.client.client import HansaClient
from hansa.client.profile import (
    Profile,
    load_profile,
    passphrase_from_environment,
    profile_path,
)
from hansa.codec import encode
from hansa.errors import (
    ConflictError,
    DeniedError,
    HansaError,
    InvalidError,
    MissingError,
    UnavailableError,
)
from hansa.system import SystemClock, SystemEntropy, WorkerPool

STATE_FILE = "devnet.json"
READY_S_MAX = 60
ENDED_S_MAX = 10
EPOCH_BLOCKS_MIN = 8
OWN_SUSPENSION = "this node's organisation is suspended"
"""What a node's health says of itself."""
ELECTION_S_MAX = 120
POLL_S = 0.1
OWN_HDFS = "hdfs"
"""The store of a devnet that has an HDFS of its own, in the folder of that name."""
_HDFS_REPLICATION = 2
"""Of three DataNodes: one more can take a lost one's place."""

Tell = Callable[[str], None]


class DevnetState(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a devnet folder remembers."""

    format: int = 1
    organisations: list[str]
    super_nodes: int
    ports: dict[str, list[int]]
    """Organisation → [peer port, API port] on the loopback address."""
    store: str
    """Empty for a folder in each node's, "hdfs" for a HDFS of its own, else a URL with a folder for each."""


class MemberView(msgspec.Struct, frozen=True, kw_only=True):
    """One member of a devnet, for people and programs."""

    organisation: str
    profile: str
    profile_file: str
    node_url: str
    pid: int | None
    node_folder: str
    running: bool
    profile_is_ours: bool
    """The profile found by that name acts for this devnet, not for another of the same names."""


class LocalAlliance:
    """A devnet folder."""

    def __init__(self, folder: Path, state: DevnetState, *, tied: bool = False) -> None:
        """Use `create` or `open`."""
        self.folder = folder
        self.state = state
        self.hdfs = HdfsCluster(folder / OWN_HDFS, tied=tied) if state.store == OWN_HDFS else None
        """The devnet's own HDFS, if it has one."""

    @classmethod
    def exists(cls, folder: Path) -> bool:
        """Tell whether the folder holds a devnet."""
        return (folder / STATE_FILE).exists()

    @classmethod
    def open(cls, folder: Path) -> "LocalAlliance":
        """Open an existing devnet.

        Raises:
            MissingError: the folder holds none.
            InvalidError: its state file is damaged.
        """
        try:
            data = (folder / STATE_FILE).read_bytes()
        except FileNotFoundError as error:
            raise MissingError(
                f"{folder} holds no devnet.",
                remedy="Make one: `hansa devnet up --dir D --organisations north,south`.",
            ) from error
        try:
            return cls(folder.absolute(), msgspec.json.decode(data, type=DevnetState))
        except msgspec.DecodeError as error:
            raise InvalidError(f"{folder / STATE_FILE} is damaged: {error}") from error

    @classmethod
    def create(
        cls,
        folder: Path,
        organisations: list[str],
        super_nodes: int,
        store: str,
        *,
        tied: bool = False,
    ) -> "LocalAlliance":
        """Make keys, folders, genesis and state; no node runs yet, an own HDFS does.

        Args:
            folder: made if absent.
            organisations: their names.
            super_nodes: seats.
            store: as in `DevnetState`.
            tied: an own HDFS ends when this process does, however it does.

        Raises:
            ConflictError: the folder is not empty.
            InvalidError: too few organisations, a name twice, a bad name.
            MissingError, UnavailableError: HDFS cannot be started.
        """
        folder = folder.absolute()
        if folder.exists() and any(folder.iterdir()):
            raise ConflictError(f"{folder} is not empty.", remedy="Choose a new folder.")
        for name in organisations:  # before a folder is named after it
            validate_organisation_name(name)
        if len(set(organisations)) != len(organisations):
            raise InvalidError("An organisation is named twice.")
        parameters = msgspec.structs.replace(
            SMALL,
            super_nodes=super_nodes,
            epoch_blocks=-(-EPOCH_BLOCKS_MIN // super_nodes) * super_nodes,
            feature_model=FULL.feature_model,
        )
        clock, entropy = SystemClock(), SystemEntropy()
        ports = processes.free_ports(2 * len(organisations))
        pairs = {name: ports[2 * i : 2 * i + 2] for i, name in enumerate(organisations)}
        state = DevnetState(
            organisations=organisations, super_nodes=super_nodes, ports=pairs, store=store
        )
        made = cls(folder, state, tied=tied)
        try:
            if made.hdfs is not None:
                made.hdfs.start(replication=_HDFS_REPLICATION)
            candidates = [
                create_member(
                    folder / "members" / name,
                    name,
                    name.replace("-", " ").capitalize(),
                    made._place(name),
                    entropy=entropy,
                    passphrase=passphrase_from_environment(),
                )
                for name in organisations
            ]
            genesis = encode(found_alliance("devnet", candidates, parameters, clock=clock))
            (folder / "genesis.hansa").write_bytes(genesis)
            for name in organisations:
                complete_member(folder / "members" / name, genesis)
            (folder / STATE_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(state)))
        except BaseException:  # Ctrl-C too: half a devnet would refuse the next try
            if made.hdfs is not None:
                made.hdfs.stop()
            _remove_made(folder)
            raise
        return made

    def _place(self, name: str) -> Place:
        """Return where a new member's node listens and stores; its folder in an own HDFS is made."""
        peer, api = (f"127.0.0.1:{port}" for port in self.state.ports[name])
        if self.hdfs is None:
            store = self.state.store.rstrip("/")
            return Place(peer, api, f"{store}/{name}" if store else "")
        # Each organisation is a user of its own there, so HDFS too keeps the others out.
        self.hdfs.web.make_folder(f"/{name}", name)
        return Place(
            peer,
            api,
            f"{self.hdfs.url}/{name}",
            store_user=name,
            store_replication=_HDFS_REPLICATION,
        )

    # --- members --------------------------------------------------------------------------------

    def node_folder(self, name: str) -> Path:
        """Return a member's node folder."""
        return self.folder / "members" / name / "node"

    def profile(self, name: str) -> Profile:
        """Return the profile of a member's first user."""
        return load_profile(str(self.folder / "members" / name / "profile.toml"))

    def install_profiles(self) -> list[str]:
        """Make the profiles usable by name; return those of another devnet that are replaced.

        Raises:
            ConflictError: a profile made by hand has the name.
        """
        for name in self.state.organisations:
            path = profile_path(name)
            if path.exists() and not _is_devnet_profile(path):
                raise ConflictError(
                    f"There is a profile {name!r} that no devnet made: {path}.",
                    remedy="Set HANSA_HOME to another folder, or rename the profile.",
                )
        replaced = [
            name
            for name in self.state.organisations
            if profile_path(name).exists() and not self.owns_profile(name)
        ]
        genesis = (self.folder / "genesis.hansa").read_bytes()
        for name in self.state.organisations:
            complete_member(self.folder / "members" / name, genesis, profile_path(name))
        return replaced

    def owns_profile(self, name: str) -> bool:
        """Tell whether the profile found by a member's name acts for this devnet's member."""
        try:
            found = load_profile(str(profile_path(name)))
        except HansaError:
            return False
        return found.user_key == self.folder / "members" / name / "user" / "user.key"

    def views(self) -> list[MemberView]:
        """Return all members with their processes."""
        found = []
        for name in self.state.organisations:
            process = processes.find_process(self.node_folder(name))
            found.append(
                MemberView(
                    organisation=name,
                    profile=name,
                    profile_file=str(self.folder / "members" / name / "profile.toml"),
                    node_url=f"https://127.0.0.1:{self.state.ports[name][1]}",
                    pid=process.pid if process else None,
                    node_folder=str(self.node_folder(name)),
                    running=process is not None,
                    profile_is_ours=self.owns_profile(name),
                )
            )
        return found

    # --- processes ------------------------------------------------------------------------------

    def start(self, name: str) -> int:
        """Start one member's node; return its pid."""
        # The user's own settings of Hadoop are not the devnet's.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HADOOP_")}
        return processes.start_process(self.node_folder(name), kept)

    def stop(self, names: Sequence[str] | None = None) -> int:
        """Stop some nodes of this folder, by default all and HDFS; return how many nodes ran."""
        folders = [self.node_folder(name) for name in names or self.state.organisations]
        running = [folder for folder in folders if processes.ask_to_end(folder)]
        for folder in running:
            processes.stop_process(folder)
        if names is None and self.hdfs is not None:
            self.hdfs.stop()
        return len(running)

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[dict[str, HansaClient]]:
        """Yield one open client for each member's first user."""
        async with contextlib.AsyncExitStack() as stack:
            workers = stack.enter_context(WorkerPool())
            yield {
                name: await stack.enter_async_context(
                    HansaClient(
                        self.profile(name),
                        clock=SystemClock(),
                        entropy=SystemEntropy(),
                        workers=workers,
                    )
                )
                for name in self.state.organisations
            }

    async def wait_ready(self, client: HansaClient, name: str) -> None:
        """Wait until a member's node says that it is ready.

        Raises:
            UnavailableError: it ended, or did not get ready; says its last words.
        """
        reasons: list[str] = []
        try:
            async with asyncio.timeout(READY_S_MAX):
                while True:
                    try:
                        health = await client.health()
                    except UnavailableError as error:
                        reasons = [error.message]
                    else:
                        if health.ready:
                            return
                        reasons = health.reasons
                    if processes.find_process(self.node_folder(name)) is None:
                        raise UnavailableError(
                            f"The node of {name} ended.",
                            remedy=processes.last_words(self.node_folder(name)),
                        )
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise UnavailableError(
                f"The node of {name} is not ready after {READY_S_MAX} s: {'; '.join(reasons)}",
                remedy=processes.last_words(self.node_folder(name)),
            ) from error

    async def up(self, tell: Tell) -> None:
        """Start all nodes, wait until they are ready, have the super nodes elected.

        A member that the others suspended is told of, and not waited for. If something fails, what
        was started now is stopped again.

        Raises:
            ConflictError: another program uses a node's port; nothing was started.
            MissingError: there is no Java for an own HDFS.
            UnavailableError: a node ended or is not ready in time.
        """
        started = [view.organisation for view in self.views() if not view.running]
        for name in started:
            for port in self.state.ports[name]:
                processes.refuse_taken_port(port, name)
        begun = self._begin_hdfs(tell)
        try:
            for name in started:
                self.start(name)
            async with self.clients() as clients:
                suspended = await self.wait_all_ready(clients, tell)
                active = {name: c for name, c in clients.items() if name not in suspended}
                if active:
                    await self._elect(active, tell)
        except BaseException:
            self.stop(started)
            if begun and self.hdfs is not None:
                self.hdfs.stop()
            raise

    def _begin_hdfs(self, tell: Tell) -> bool:
        """Start an own HDFS that does not run; tell whether it was started."""
        if self.hdfs is None:
            return False
        begun = not self.hdfs.is_running()
        self.hdfs.start()
        view = self.hdfs.view()
        tell(f"HDFS is ready: {view.url}, {view.datanodes_live} DataNodes")
        return begun

    async def wait_all_ready(self, clients: dict[str, HansaClient], tell: Tell) -> set[str]:
        """Wait until every member's node is ready or its member suspended; return the suspended.

        Raises:
            UnavailableError: a node ended, or none got ready any more; says its last words.
        """
        clock = SystemClock()
        ready: set[str] = set()
        suspended: set[str] = set()
        progressed_ms = clock.monotonic_ms()
        while waiting := [name for name in clients if name not in ready | suspended]:
            before = len(waiting)
            reasons = {name: await _why_not_ready(clients[name]) for name in waiting}
            for name in (name for name, why in reasons.items() if not why):
                ready.add(name)
                tell(f"{name} is ready")
            found = {name for name, why in reasons.items() if OWN_SUSPENSION in why}
            if ready:
                found |= await _suspended_members(clients[min(ready)]) & (set(waiting) - ready)
            for name in sorted(found - suspended):
                suspended.add(name)
                tell(f"{name} is suspended by the other members: not waited for")
            left = [name for name in waiting if name not in ready | suspended]
            if len(left) < before:
                progressed_ms = clock.monotonic_ms()
            waited_s = (clock.monotonic_ms() - progressed_ms) / 1000
            for name in left:
                self._refuse_lost(name, waited_s, reasons[name], others_ready=bool(ready))
            if left:
                await asyncio.sleep(POLL_S)
        return suspended

    def _refuse_lost(
        self, name: str, waited_s: float, reasons: list[str], *, others_ready: bool
    ) -> None:
        """Raise if a node ended, or has had time enough to get ready."""
        folder = self.node_folder(name)
        # Whose node ended may be suspended: only a node that is ready knows, so it is given time.
        if processes.find_process(folder) is None and (others_ready or waited_s > ENDED_S_MAX):
            raise UnavailableError(
                f"The node of {name} ended.", remedy=processes.last_words(folder)
            )
        if waited_s > READY_S_MAX:
            raise UnavailableError(
                f"The node of {name} is not ready after {READY_S_MAX} s: {'; '.join(reasons)}",
                remedy=processes.last_words(folder),
            )

    async def _elect(self, clients: dict[str, HansaClient], tell: Tell) -> None:
        """Cast every organisation's vote for the first seats in the given order, once."""
        wanted = [name for name in self.state.organisations if name in clients]
        wanted = wanted[: self.state.super_nodes]
        watcher = next(iter(clients.values()))
        view = await watcher.get("/v1/super-nodes", rest.SuperNodesView)
        voted = {voter for item in view.candidates for voter in item.voters}
        async with asyncio.TaskGroup() as group:
            for name, client in clients.items():
                if name not in voted:
                    group.create_task(client.vote_super_nodes(wanted))
        try:
            async with asyncio.timeout(ELECTION_S_MAX):
                while not (seated := await self._seated(watcher)):  # noqa: ASYNC110 - over the network
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise UnavailableError(
                "The elected super nodes did not take their seats.",
                remedy="Look at `hansa alliance status` and the nodes' logs.",
            ) from error
        tell(f"elected by votes on the chain: {', '.join(seated)}")

    async def _seated(self, client: HansaClient) -> list[str]:
        """Return the super nodes once they are those the votes elect, else nothing."""
        view = await client.get("/v1/super-nodes", rest.SuperNodesView)
        tallied = {item.organisation for item in view.candidates if item.is_next}
        seated = {item.organisation for item in view.candidates if item.is_super_node}
        if seated != tallied or len(seated) != self.state.super_nodes:
            return []
        founders = [name for name in self.state.organisations if name in seated]
        return [*founders, *sorted(seated - set(founders))]


async def _why_not_ready(client: HansaClient) -> list[str]:
    """Return why a node is not ready; nothing if it is."""
    try:
        health = await client.health()
    except UnavailableError as error:
        return [error.message]
    return [] if health.ready else health.reasons or ["it does not say why"]


async def _suspended_members(client: HansaClient) -> set[str]:
    """Return the members that are suspended as a node that is ready knows it."""
    try:
        members = await client.get("/v1/organisations", list[rest.OrganisationView])
    except DeniedError:  # its own member is
        return set()
    return {item.name for item in members if item.status == "suspended"}


def _is_devnet_profile(path: Path) -> bool:
    """Tell whether a devnet made a profile: its keys lie in a devnet's folder, there or gone."""
    try:
        profile = load_profile(str(path))
    except HansaError:
        return False
    folder = profile.user_key.parent.parent
    return folder.parent.name == "members" and (
        LocalAlliance.exists(folder.parent.parent) or not folder.exists()
    )


def _remove_made(folder: Path) -> None:
    """Take back a half-made devnet: only what `create` makes, in a folder that was empty."""
    import shutil  # noqa: PLC0415 - only on this path

    shutil.rmtree(folder / "members", ignore_errors=True)
    shutil.rmtree(folder / OWN_HDFS, ignore_errors=True)
    (folder / "genesis.hansa").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
