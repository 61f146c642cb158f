"""Networks of Linux namespaces: each node alone in one, a cable from it to one of two joined switches.

Nothing has a name outside of this process: a namespace lives as long as this object, a process or a socket
in it, and its cables go with it; so nothing is left behind, however a test ends. Said to the kernel by
netlink messages (rtnetlink(7)), for `ip` is not on every machine, and Python 3.11 has no `os.setns`.
"""

import ctypes
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

_CLONE_NEWNET = 0x4000_0000
_CAPABILITIES = (1 << 12) | (1 << 21)
"""CAP_NET_ADMIN and CAP_SYS_ADMIN."""
_NEW_LINK, _SET_LINK, _NEW_ADDRESS, _NEW_NEIGHBOUR, _DELETE_NEIGHBOUR = 16, 19, 20, 28, 29
_REQUEST, _ACKNOWLEDGE, _REPLACE, _EXCLUSIVE, _CREATE = 1, 4, 0x100, 0x200, 0x400
_ERROR_MESSAGE = 2
_LINK_NAME, _LINK_MASTER, _LINK_INFO, _LINK_NAMESPACE = 3, 10, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_PERMANENT = 0x80
_NOBODY = bytes.fromhex("02000000dead")
"""A hardware address that no card has: what is sent to it arrives nowhere."""
_OWN_CARD = "node0"
_PREFIX = 24

_libc = ctypes.CDLL(None, use_errno=True)


def has_privileges() -> bool:
    """Tell whether this process may make network namespaces: it holds both capabilities."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    held = [int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")]
    return bool(held) and held[0] & _CAPABILITIES == _CAPABILITIES


class Namespace:
    """One network namespace, its loopback device up.

    Raises:
        OSError: it may not be made here.
    """

    def __init__(self) -> None:
        self.handle = _in_thread(_unshare)
        """Keeps it alive until `close`."""
        self.run(lambda: _set_link("lo", is_up=True))

    def run(self, what: Callable[[], Result]) -> Result:
        """Call in this namespace: sockets and processes it begins are in it for good."""

        def inside() -> Result:
            _call(_libc.setns, self.handle, _CLONE_NEWNET)
            return what()

        # A thread of its own, so that the caller's never changes place.
        return _in_thread(inside)

    def socket(self) -> socket.socket:
        """Return a TCP socket that is in this namespace, whoever uses it."""
        return self.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))

    def close(self) -> None:
        """Let go of it."""
        os.close(self.handle)


class Network:
    """Nodes' namespaces on two switches that are joined by a cable."""

    def __init__(self, left: list[str], right: list[str]) -> None:
        self._made: list[Namespace] = []
        self.nodes: dict[str, Namespace] = {}
        self.addresses = {n: f"10.77.0.{i}" for i, n in enumerate([*left, *right], 1)}
        try:
            self._hub = self._make()
            for switch in ("left", "right"):
                self._hub.run(lambda name=switch: _add_link(name, "bridge"))  # type: ignore[misc]
            self._hub.run(lambda: _add_cable("joint0", "joint1", None))
            self._plug("joint0", "left")
            self._plug("joint1", "right")
            for switch, names in (("left", left), ("right", right)):
                for name in names:
                    self._connect(name, switch)
        except BaseException:
            self.close()
            raise

    def _make(self) -> Namespace:
        self._made.append(Namespace())
        return self._made[-1]

    def _plug(self, card: str, switch: str) -> None:
        self._hub.run(lambda: _set_link(card, is_up=True, master=switch))
        self._hub.run(lambda: _set_link(switch, is_up=True))

    def _connect(self, name: str, switch: str) -> None:
        node = self.nodes[name] = self._make()
        self._hub.run(lambda: _add_cable(self._port(name), _OWN_CARD, node.handle))
        node.run(lambda: _add_address(_OWN_CARD, self.addresses[name]))
        node.run(lambda: _set_link(_OWN_CARD, is_up=True))
        self._plug(self._port(name), switch)

    def _port(self, name: str) -> str:
        return f"port{self.addresses[name].rpartition('.')[2]}"

    def set_cable(self, name: str, *, is_up: bool) -> None:
        """Pull a node's cable out of its switch, or put it in again."""
        self._hub.run(lambda: _set_link(self._port(name), is_up=is_up))

    def set_joint(self, *, is_up: bool) -> None:
        """Part the two switches, or join them again."""
        self._hub.run(lambda: _set_link("joint0", is_up=is_up))

    def set_way(self, source: str, target: str, *, is_open: bool) -> None:
        """Lose all that `source` sends to `target`, unnoticed by either, or let it arrive again."""
        address = self.addresses[target]
        self.nodes[source].run(lambda: _set_neighbour(_OWN_CARD, address, is_lost=not is_open))

    def close(self) -> None:
        """Let go of all namespaces; they end with the last process in them."""
        while self._made:
            self._made.pop().close()


def _in_thread(what: Callable[[], Result]) -> Result:
    """Call in a new thread, wait, and return or raise what it did."""
    done: list[Result] = []
    failed: list[BaseException] = []

    def body() -> None:
        try:
            done.append(what())
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            failed.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _call(function: Callable[..., int], *arguments: int) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _unshare() -> int:
    _call(_libc.unshare, _CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


# --- messages to the kernel, each about the namespace of the calling thread ------------------------


def _attribute(kind: int, value: bytes) -> bytes:
    padded = value + bytes(-len(value) % 4)
    return struct.pack("=HH", 4 + len(value), kind) + padded


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _link(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, flags, change)


def _tell(kind: int, flags: int, body: bytes) -> None:
    """Send one message and wait for the kernel's answer.

    Raises:
        OSError: it refused.
    """
    flags |= _REQUEST | _ACKNOWLEDGE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(10)
        kernel.sendto(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body, (0, 0))
        answer = kernel.recv(65_536)
    _, answered, _, _, _, code = struct.unpack_from("=IHHIIi", answer)
    assert answered == _ERROR_MESSAGE
    if code:
        raise OSError(-code, os.strerror(-code))


def _add_link(name: str, kind: str, data: bytes = b"") -> None:
    info = _text(_INFO_KIND, kind) + (_attribute(_INFO_DATA, data) if data else b"")
    body = _link() + _text(_LINK_NAME, name) + _attribute(_LINK_INFO, info)
    _tell(_NEW_LINK, _CREATE | _EXCLUSIVE, body)


def _add_cable(name: str, other: str, namespace: int | None) -> None:
    """Make a pair of cards, one here, the other here or in another namespace."""
    peer = _link() + _text(_LINK_NAME, other)
    if namespace is not None:
        peer += _attribute(_LINK_NAMESPACE, struct.pack("=I", namespace))
    _add_link(name, "veth", _attribute(_VETH_PEER, peer))


def _set_link(name: str, *, is_up: bool, master: str | None = None) -> None:
    body = _link(socket.if_nametoindex(name), int(is_up), 1)
    if master is not None:
        body += _attribute(_LINK_MASTER, struct.pack("=I", socket.if_nametoindex(master)))
    _tell(_SET_LINK, 0, body)


def _add_address(name: str, address: str) -> None:
    place, packed = socket.if_nametoindex(name), socket.inet_aton(address)
    body = struct.pack("=BBBBI", socket.AF_INET, _PREFIX, 0, 0, place)
    body += _attribute(1, packed) + _attribute(2, packed)
    _tell(_NEW_ADDRESS, _CREATE | _EXCLUSIVE, body)


def _set_neighbour(name: str, address: str, *, is_lost: bool) -> None:
    """Note a false hardware address for a neighbour, or forget it."""
    place = socket.if_nametoindex(name)
    body = struct.pack("=BxxxiHBB", socket.AF_INET, place, _PERMANENT if is_lost else 0, 0, 0)
    body += _attribute(1, socket.inet_aton(address))
    if is_lost:
        _tell(_NEW_NEIGHBOUR, _CREATE | _REPLACE, body + _attribute(2, _NOBODY))
    else:
        _tell(_DELETE_NEIGHBOUR, 0, body)
