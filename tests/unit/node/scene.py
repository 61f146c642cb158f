"""An owner's running node and a reader of another organisation, whose node is played by the test."""

import os
import time
from pathlib import Path

import pytest
from live_node import LiveNode

from hansa.chain.sealed import ConfidentialPart, SealedContents, open_session, seal_transaction
from hansa.chain.sealed import confidential_digest as digest_of
from hansa.chain.transactions import GrantAccess, TransactionBody, derive_id, sign_transaction
from hansa.codec import encode
from hansa.node.exchange import ReadCall
from hansa.rest import TransactionStatus, WrapSet, compute_wrap_digest
from hansa.types import DatasetId, Height, Millis, RequestId

CONFIDENTIAL = encode(ConfidentialPart(bytes(32), "MARKER: because of the ring road", ""))


class Scene:
    """An owner's running node and a reader of another organisation, whose node is played here."""

    def __init__(self, live: LiveNode) -> None:
        self.live = live
        self.exchange = live.services.exchange
        self.reader = live.alliance.members[1]
        self.dataset = DatasetId(b"")
        self.request = RequestId(b"")

    async def publish(self, folder: Path) -> None:
        """Publish a file as the owner."""
        (folder / "file.bin").write_bytes(os.urandom(300_000))
        async with self.live.alliance.client(self.live.member) as client:
            done = await client.publish([folder / "file.bin"], title="File")
        self.dataset = done.dataset

    async def act_as_reader(self, operation, confidential: bytes = b"") -> TransactionStatus:
        """Have the reader's transaction committed, as if it came from the reader's node."""
        services = self.live.services
        body = TransactionBody(
            format=1,
            alliance=services.alliance,
            author=self.reader.user.public,
            expires=Height(services.state().height + 100),
            time_ms=Millis(int(time.time() * 1000)),
            nonce=os.urandom(16),
            operations=(operation,),
            confidential=digest_of(confidential),
        )
        transaction = sign_transaction(body, self.reader.user)
        sealed = seal_transaction(
            SealedContents(encode(transaction), confidential),
            open_session(
                services.alliance,
                body.author,
                services.driver.replica.sealing_notices(),
                os.urandom(32),
            ),
            transaction=transaction.digest(),
            expires=body.expires,
            nonce=os.urandom(12),
        )
        services.statuses.submitted(transaction.digest())
        services.driver.submit(sealed)
        status = await services.statuses.wait(transaction.digest(), 10_000)
        assert status.status == "committed", status
        self.request = RequestId(derive_id(transaction.digest(), 0))
        return status

    async def ask(self, method: str, value: object) -> bytes:
        """Call as the reader's node."""
        return await self.exchange.serve(self.reader.node_key, method, encode(value))

    def read(self, **changes: object) -> ReadCall:
        """Return a call for the first bytes."""
        values = {
            "user": self.reader.user.public,
            "dataset": self.dataset,
            "version": 1,
            "offset": 0,
            "length": 10,
        } | changes
        return ReadCall(**values)

    async def grant(self) -> WrapSet:
        """Grant the reader's request, with wraps put before."""
        wraps = WrapSet(self.request, os.urandom(32), ((1, b"wrapped"),))
        status, body, _ = await self.live.call(
            "PUT",
            f"/v1/requests/{self.request.hex()}/wraps",
            data=encode(wraps),
            headers={"Content-Type": "application/octet-stream"},
        )
        assert status == 204, body
        done = await self.live.submit(
            GrantAccess(self.request, compute_wrap_digest(wraps), Millis(0))
        )
        assert done.status == "committed", done
        return wraps

    def turn_into_readers_node(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Have the running node serve the reader's organisation; return the calls to the owner's.

        The owner's side answers as before, with the standing of the same state.
        """
        owner, serve = self.live.member.name, self.exchange.serve
        asked: list[str] = []

        async def ask(organisation: str, method: str, payload: bytes) -> bytes:
            assert owner == organisation
            asked.append(method)
            monkeypatch.setattr(self.exchange, "_organisation", owner)
            try:
                return await serve(self.reader.node_key, method, payload)
            finally:
                monkeypatch.setattr(self.exchange, "_organisation", self.reader.name)

        monkeypatch.setattr(self.exchange, "_organisation", self.reader.name)
        monkeypatch.setattr(self.exchange, "ask", ask)
        object.__setattr__(self.live.services, "organisation", self.reader.name)
        return asked
