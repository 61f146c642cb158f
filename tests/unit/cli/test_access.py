"""`hansa access`: ids that the next command takes, purposes, roles, reasons."""

from types import SimpleNamespace

from hansa import rest
from hansa.cli.values import TO
from hansa.client.share import OpenedRequest
from tests.unit.cli.conftest import ID, KEY, TX, Desk, committed, pending

OTHER = "ff" * 16


def _opened(status: str = "open", justification: str = "Heat plan") -> OpenedRequest:
    view = rest.RequestView(
        id=ID, dataset=OTHER, dataset_title="Stops", owner="transport", requester=KEY,
        requester_name="Officer", requester_encryption_key=KEY, organisation="health",
        purpose="planning", status=status, reason="", height=3, time_ms=1_000, decided_height=0,
        expires_ms=0, wrap_digest="", transaction=TX,
    )  # fmt: skip
    return OpenedRequest(view=view, justification=justification, contact="", note="")


def test_request_prints_what_grant_takes(desk: Desk) -> None:
    """The id of the request stands under `request`; the purpose reaches the client as it is."""
    desk.answers["request_access"] = SimpleNamespace(request=bytes.fromhex(ID), status=committed())
    told = desk.json("access", "request", OTHER, "--purpose", "Why not", "--contact", "me")
    assert told == {
        "request": ID, "dataset": OTHER, "transaction": TX, "status": "committed", "height": 7,
    }  # fmt: skip
    _, args, named = desk.client.calls[0]
    assert args == (bytes.fromhex(OTHER),)
    assert named == {"purpose": "Why not", "code": "", "contact": "me", "wait": True}


def test_request_without_waiting(desk: Desk) -> None:
    """--no-wait tells that it is pending, names no block, and says how to see the end."""
    desk.answers["request_access"] = SimpleNamespace(request=bytes.fromhex(ID), status=pending())
    done = desk("access", "request", OTHER, "--purpose", "x", "--no-wait")
    assert done.exit_code == 0
    assert f"hansa tx show {TX}" in done.stdout
    assert "in block" not in done.stdout
    assert desk.client.calls[0][2]["wait"] is False


def test_request_needs_a_purpose(desk: Desk) -> None:
    """No purpose, no request."""
    assert desk("access", "request", OTHER).exit_code == 2
    assert desk.client.calls == []


def test_ls_filters_by_role_and_status(desk: Desk) -> None:
    """The role goes to the client, the status is chosen here; officers read the purpose."""
    desk.answers["list_requests"] = [_opened(), _opened("granted", "Old")]
    (told,) = desk.json("access", "ls", "--role", "owner", "--status", "open")
    assert told["view"]["id"] == ID
    assert told["justification"] == "Heat plan"
    assert desk.client.calls[0][2] == {"role": "owner"}
    text = desk("access", "ls").stdout
    assert "Heat plan" in text
    assert "Stops (transport)" in text
    desk.answers["list_requests"] = [_opened(justification="")]
    assert "planning" in desk("access", "ls").stdout, "who may not read it sees the public word"
    desk.answers["list_requests"] = []
    assert desk("access", "ls").stdout == "no requests\n"


def test_grant_until_the_end_of_a_day(desk: Desk) -> None:
    """A plain date means its last millisecond; without --until there is no end."""
    desk.answers["grant_access"] = SimpleNamespace(dataset=bytes.fromhex(OTHER), status=committed())
    told = desk.json("access", "grant", ID, "--until", "2027-01-01")
    assert (told["request"], told["dataset"], told["transaction"]) == (ID, OTHER, TX)
    assert desk.client.calls[0][2]["expires_ms"] == TO.convert("2027-01-01", None, None)
    desk.json("access", "grant", ID)
    assert desk.client.calls[1][2]["expires_ms"] == 0


def test_deny_and_revoke_need_a_reason(desk: Desk) -> None:
    """A decision against somebody carries its public reason."""
    desk.answers |= {"deny_access": committed(), "revoke_access": committed()}
    for verb in ("deny", "revoke"):
        assert desk("access", verb, ID).exit_code == 2
        told = desk.json("access", verb, ID, "--reason", "over")
        assert (told["request"], told["status"]) == (ID, "committed")
        assert desk.client.calls[-1][1] == (bytes.fromhex(ID), "over")


def test_a_wrong_id_is_wrong_usage(desk: Desk) -> None:
    """What is no id is told before anything is asked."""
    done = desk("access", "grant", "soon", "--json")
    assert done.exit_code == 2
    assert "32 hex digits" in done.stderr
    assert desk.client.calls == []
