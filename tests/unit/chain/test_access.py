"""Requests and grants: the rules one by one, then any series of them against a plain model."""

import hashlib

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hansa import limits
from hansa.chain.access import may_read
from hansa.chain.transactions import (
    AdmitOrganisation,
    Constraint,
    DenyAccess,
    GrantAccess,
    Policy,
    RequestAccess,
    RetireDataset,
    RevokeAccess,
    RevokeUser,
    Rule,
    SetPolicy,
    SuspendOrganisation,
    derive_id,
)
from hansa.types import NO_DIGEST

WRAPS = hashlib.sha256(b"wraps").digest()
JUSTIFIED = hashlib.sha256(b"a justification").digest()


def ask(alliance, who: str, dataset: bytes, purpose: str = "research") -> bytes:
    """Commit a request; return its id."""
    transaction = alliance.sign(who, RequestAccess(dataset, purpose), confidential=JUSTIFIED)
    result = alliance.commit(transaction)[0]
    assert result.accepted, result.code
    return derive_id(transaction.digest(), 0)


def reads(alliance, kit, dataset: bytes, organisation: str = "energy", user: str = "", ahead=0):
    """Return what a read now would be told."""
    key = kit.key(user or f"{organisation} admin").public
    return may_read(alliance.state, dataset, organisation, key, alliance.state.time_ms + ahead)


def test_the_whole_way(alliance, kit) -> None:
    """No grant, no read; granted, read; revoked, no read from that block on."""
    dataset = alliance.register("health")
    assert "no-grant" == reads(alliance, kit, dataset)
    request = ask(alliance, "energy", dataset)
    assert "no-grant" == reads(alliance, kit, dataset)
    found = alliance.state.request(request)
    assert ("open", "energy", False) == (found.status, found.organisation, found.is_preapproved)
    assert "" == alliance.act("health", GrantAccess(request, WRAPS, 0))
    assert "" == reads(alliance, kit, dataset)
    assert "no-grant" == reads(alliance, kit, dataset, "safety"), "only who was granted"
    assert "" == alliance.act("health", RevokeAccess(request, "misuse"))
    assert "grant-revoked" == reads(alliance, kit, dataset)
    found = alliance.state.request(request)
    assert ("revoked", "misuse") == (found.status, found.reason)
    assert (found,) == alliance.state.requests(dataset)


def test_a_grant_is_one_users(alliance, kit) -> None:
    """A colleague of the grantee has no grant; another organisation cannot borrow the key."""
    dataset = alliance.register("health")
    alliance.add_user("energy", "clerk", "reader")
    request = ask(alliance, "clerk", dataset)
    assert "" == alliance.act("health", GrantAccess(request, WRAPS, 0))
    assert "" == reads(alliance, kit, dataset, user="clerk")
    assert "no-grant" == reads(alliance, kit, dataset)
    assert "unknown-user" == reads(alliance, kit, dataset, "safety", "clerk")
    assert "unknown-user" == reads(alliance, kit, dataset, user="nobody")


def test_the_owner_needs_no_grant(alliance, kit) -> None:
    """Own users read; they cannot ask themselves."""
    dataset = alliance.register("health")
    assert "" == reads(alliance, kit, dataset, "health")
    code = alliance.act("health", RequestAccess(dataset, "audit"), confidential=JUSTIFIED)
    assert "own-dataset" == code


def test_refused_requests(alliance) -> None:
    """Unknown and retired datasets; a missing justification; no reader."""
    dataset = alliance.register("health")
    operation = RequestAccess(dataset, "audit")
    assert "no-justification" == alliance.act("energy", operation)
    unknown = RequestAccess(bytes(16), "audit")
    assert "unknown-dataset" == alliance.act("energy", unknown, confidential=JUSTIFIED)
    alliance.add_user("energy", "clerk", "publisher")
    assert "role-missing" == alliance.act("clerk", operation, confidential=JUSTIFIED)
    alliance.act("health", RetireDataset(dataset))
    assert "dataset-retired" == alliance.act("energy", operation, confidential=JUSTIFIED)


def test_who_decides(alliance) -> None:
    """Only an officer of the owner, only an open request, only a known one."""
    dataset = alliance.register("health")
    request = ask(alliance, "energy", dataset)
    alliance.add_user("health", "clerk", "publisher", "admin", "reader")
    for operation in (
        GrantAccess(request, WRAPS, 0),
        DenyAccess(request, "no"),
        RevokeAccess(request, "no"),
    ):
        assert "not-owner" == alliance.act("energy", operation)
        assert "role-missing" == alliance.act("clerk", operation)
    assert "unknown-request" == alliance.act("health", GrantAccess(bytes(16), WRAPS, 0))
    assert "not-granted" == alliance.act("health", RevokeAccess(request, "no"))
    assert "malformed-grant" == alliance.act("health", GrantAccess(request, NO_DIGEST, 0))
    assert "malformed-grant" == alliance.act("health", GrantAccess(request, b"short", 0))
    assert "malformed-reason" == alliance.act("health", DenyAccess(request, ""))
    assert "" == alliance.act("health", DenyAccess(request, "no need"))
    assert "request-decided" == alliance.act("health", GrantAccess(request, WRAPS, 0))
    assert "request-decided" == alliance.act("health", DenyAccess(request, "again"))


def test_expiry_of_a_grant(alliance, kit) -> None:
    """The last millisecond still reads; the next does not, even if the node's clock lags."""
    dataset = alliance.register("health")
    request = ask(alliance, "energy", dataset)
    past = alliance.state.time_ms
    assert "expiry-passed" == alliance.act("health", GrantAccess(request, WRAPS, past))
    end = alliance.state.time_ms + 5_000
    assert "" == alliance.act("health", GrantAccess(request, WRAPS, end))
    assert "" == reads(alliance, kit, dataset, ahead=4_000)
    assert "grant-expired" == reads(alliance, kit, dataset, ahead=4_001)
    while alliance.state.time_ms <= end:
        alliance.commit()
    assert "grant-expired" == reads(alliance, kit, dataset, ahead=-60_000)
    again = ask(alliance, "energy", dataset)
    assert "" == alliance.act("health", GrantAccess(again, WRAPS, 0))
    assert "" == reads(alliance, kit, dataset), "a later grant counts although an earlier ended"


def test_standing_is_checked_at_each_read(alliance, kit) -> None:
    """Revoked users, suspended readers, suspended owners, retired datasets: refused."""
    dataset = alliance.register("health")
    alliance.add_user("energy", "clerk", "reader")
    request = ask(alliance, "clerk", dataset)
    waiting = ask(alliance, "clerk", dataset)
    alliance.act("health", GrantAccess(request, WRAPS, 0))
    alliance.act("energy", RevokeUser(kit.key("clerk").public))
    assert "user-revoked" == reads(alliance, kit, dataset, user="clerk")
    assert "requester-inactive" == alliance.act("health", GrantAccess(waiting, WRAPS, 0))
    own = ask(alliance, "energy", dataset)
    alliance.act("health", GrantAccess(own, WRAPS, 0))
    others = ("environment", "planning", "safety")
    for name in others:
        alliance.act(name, SuspendOrganisation("energy", "x"))
    assert "organisation-suspended" == reads(alliance, kit, dataset)
    for name in others:
        alliance.act(name, AdmitOrganisation(kit.candidate("energy")))
    assert "" == reads(alliance, kit, dataset)
    for name in others:
        alliance.act(name, SuspendOrganisation("health", "x"))
    assert "owner-suspended" == reads(alliance, kit, dataset)
    assert "unknown-dataset" == reads(alliance, kit, bytes(16))


def test_retired_is_not_served(alliance, kit) -> None:
    """Retirement ends all reads, the owner's included."""
    dataset = alliance.register("health")
    alliance.act("health", RetireDataset(dataset))
    assert "dataset-retired" == reads(alliance, kit, dataset, "health")


def test_policy_decides_first(alliance, kit) -> None:
    """Prohibited is refused, permitted is pre-approved, the rest is asked or denied."""
    policy = Policy(
        (
            Rule("permission", (Constraint("purpose", "eq", ("emergency",)),)),
            Rule("prohibition", (Constraint("organisation", "isAnyOf", ("safety",)),)),
        )
    )
    dataset = alliance.register("health", policy)
    pre = ask(alliance, "energy", dataset, "emergency")
    assert alliance.state.request(pre).is_preapproved
    open_one = ask(alliance, "energy", dataset)
    assert not alliance.state.request(open_one).is_preapproved
    operation = RequestAccess(dataset, "emergency")
    assert "policy-prohibits" == alliance.act("safety", operation, confidential=JUSTIFIED)
    alliance.act("health", SetPolicy(dataset, Policy(policy.rules, "deny")))
    other = RequestAccess(dataset, "research")
    assert "policy-denies" == alliance.act("energy", other, confidential=JUSTIFIED)
    assert "" == alliance.act("energy", operation, confidential=JUSTIFIED)


def test_a_new_prohibition_ends_reads_and_grants(alliance, kit) -> None:
    """What the policy prohibits now is neither granted nor read, whatever was so before."""
    dataset = alliance.register("health")
    request = ask(alliance, "energy", dataset)
    later = ask(alliance, "energy", dataset)
    alliance.act("health", GrantAccess(request, WRAPS, 0))
    no_research = Rule("prohibition", (Constraint("purpose", "eq", ("research",)),))
    alliance.act("health", SetPolicy(dataset, Policy((no_research,))))
    assert "policy-prohibits" == reads(alliance, kit, dataset)
    assert "policy-prohibits" == alliance.act("health", GrantAccess(later, WRAPS, 0))
    alliance.act("health", SetPolicy(dataset, Policy()))
    assert "" == reads(alliance, kit, dataset)


def test_a_policy_can_count(alliance, kit) -> None:
    """After one grant the second request is prohibited; the first grant still reads."""
    once = Rule("prohibition", (Constraint("count", "gteq", ("1",)),))
    dataset = alliance.register("health", Policy((once,)))
    request = ask(alliance, "energy", dataset)
    assert "" == alliance.act("health", GrantAccess(request, WRAPS, 0))
    assert "" == reads(alliance, kit, dataset)
    operation = RequestAccess(dataset, "audit")
    assert "policy-prohibits" == alliance.act("energy", operation, confidential=JUSTIFIED)


def test_grants_of_one_user_are_bounded(alliance) -> None:
    """Living grants have a bound; revoked ones make room."""
    dataset = alliance.register("health")
    requests = [ask(alliance, "energy", dataset) for _ in range(limits.GRANTS_PER_USER_MAX + 1)]
    for request in requests[:-1]:
        assert "" == alliance.act("health", GrantAccess(request, WRAPS, 0))
    assert "too-many-grants" == alliance.act("health", GrantAccess(requests[-1], WRAPS, 0))
    assert "" == alliance.act("health", RevokeAccess(requests[3], "room"))
    assert "" == alliance.act("health", GrantAccess(requests[-1], WRAPS, 0))


class SharingMachine(RuleBasedStateMachine):
    """Any series of requests, decisions, revocations and expiries against a model of dicts."""

    world: object = None
    kit: object = None

    @initialize()
    def start(self) -> None:
        """Two datasets of one owner; readers of two organisations."""
        self.alliance = self.kit.Alliance(self.kit.make_genesis())
        self.datasets = [self.alliance.register("health", content=text) for text in "ab"]
        self.requests: list[bytes] = []
        self.model: dict[bytes, dict] = {}
        self.revoked: set[str] = set()
        self.users = {"r1": "energy", "r2": "energy", "r3": "safety"}
        for name, organisation in self.users.items():
            self.alliance.add_user(organisation, name, "reader")

    @rule(name=st.sampled_from(["r1", "r2", "r3"]), which=st.integers(0, 1))
    def ask(self, name: str, which: int) -> None:
        """A reader asks."""
        operation = RequestAccess(self.datasets[which], "research")
        transaction = self.alliance.sign(name, operation, confidential=JUSTIFIED)
        code = self.alliance.commit(transaction)[0].code
        assert ("user-revoked" if name in self.revoked else "") == code
        if not code:
            identity = derive_id(transaction.digest(), 0)
            self.requests.append(identity)
            self.model[identity] = {"by": name, "which": which, "status": "open", "end": 0}

    @rule(pick=st.integers(0, 50), length=st.sampled_from([0, 2_000, 9_000]))
    def grant(self, pick: int, length: int) -> None:
        """The owner grants."""
        if not self.requests:
            return
        identity = self.requests[pick % len(self.requests)]
        end = self.alliance.state.time_ms + length if length else 0
        code = self.alliance.act("health", GrantAccess(identity, WRAPS, end))
        request = self.model[identity]
        expected = ""
        if request["status"] != "open":
            expected = "request-decided"
        elif request["by"] in self.revoked:
            expected = "requester-inactive"
        assert expected == code
        if not code:
            request.update(status="granted", end=end)

    @rule(pick=st.integers(0, 50), kind=st.sampled_from([DenyAccess, RevokeAccess]))
    def refuse(self, pick: int, kind: type) -> None:
        """The owner denies or revokes."""
        if not self.requests:
            return
        identity = self.requests[pick % len(self.requests)]
        request = self.model[identity]
        code = self.alliance.act("health", kind(identity, "because"))
        if kind is DenyAccess:
            assert ("" if request["status"] == "open" else "request-decided") == code
            request["status"] = "denied" if not code else request["status"]
        else:
            assert ("" if request["status"] == "granted" else "not-granted") == code
            request["status"] = "revoked" if not code else request["status"]

    @rule(name=st.sampled_from(["r1", "r2", "r3"]))
    def revoke_user(self, name: str) -> None:
        """A reader's organisation revokes it."""
        if len(self.revoked) == 2 or name in self.revoked:
            return
        self.revoked.add(name)
        key = self.kit.key(name).public
        assert "" == self.alliance.act(self.users[name], RevokeUser(key))

    @rule()
    def pass_time(self) -> None:
        """A block."""
        self.alliance.commit()

    @invariant()
    def reads_are_the_models(self) -> None:
        """A user reads exactly if one of its grants stands and it is not revoked."""
        state = self.alliance.state
        for name, organisation in self.users.items():
            for which, dataset in enumerate(self.datasets):
                allowed = name not in self.revoked and any(
                    request["status"] == "granted"
                    and (not request["end"] or state.time_ms <= request["end"])
                    for request in self.model.values()
                    if (request["by"], request["which"]) == (name, which)
                )
                key = self.kit.key(name).public
                reason = may_read(state, dataset, organisation, key, state.time_ms)
                assert allowed == (reason == ""), (name, which, reason)


@pytest.mark.slow
def test_sharing_equals_its_model(kit) -> None:
    """Run the machine."""
    SharingMachine.kit = kit
    case = SharingMachine.TestCase()
    case.settings = settings(
        max_examples=25,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    case.runTest()
