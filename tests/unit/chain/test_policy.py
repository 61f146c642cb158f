"""Policies: which rules apply, which answer wins, which make no sense."""

import pytest

from hansa.chain.policy import Use, evaluate, is_sound
from hansa.chain.transactions import Constraint, Policy, Rule

USE = Use("energy", ("officer", "reader"), "research", 1_000, 2)
READ = Use("energy", ("officer", "reader"), "research", 1_000, None)


def prohibits(constraint: Constraint, use: Use = USE) -> bool:
    """Tell whether a prohibition with one constraint applies."""
    return evaluate(Policy((Rule("prohibition", (constraint,)),)), use) == "prohibited"


@pytest.mark.parametrize(
    ("constraint", "applies"),
    [
        (Constraint("organisation", "eq", ("energy",)), True),
        (Constraint("organisation", "eq", ("health",)), False),
        (Constraint("organisation", "neq", ("health",)), True),
        (Constraint("organisation", "isAnyOf", ("health", "energy")), True),
        (Constraint("organisation", "isNoneOf", ("health", "energy")), False),
        (Constraint("role", "eq", ("reader",)), True),
        (Constraint("role", "isAnyOf", ("admin", "officer")), True),
        (Constraint("role", "isNoneOf", ("admin",)), True),
        (Constraint("role", "isNoneOf", ("admin", "reader")), False),
        (Constraint("purpose", "eq", ("research",)), True),
        (Constraint("purpose", "neq", ("research",)), False),
        (Constraint("time", "lteq", ("1000",)), True),
        (Constraint("time", "lteq", ("999",)), False),
        (Constraint("time", "gteq", ("1000",)), True),
        (Constraint("time", "gteq", ("1001",)), False),
        (Constraint("count", "eq", ("2",)), True),
        (Constraint("count", "gteq", ("3",)), False),
    ],
)
def test_constraints(constraint: Constraint, applies: bool) -> None:
    """Each operand and operator, on both sides of its bound."""
    assert is_sound(Policy((Rule("prohibition", (constraint,)),)))
    assert applies == prohibits(constraint)


def test_counting_is_about_asking() -> None:
    """A rule on the count never applies to a read."""
    assert not prohibits(Constraint("count", "gteq", ("0",)), READ)


def test_precedence() -> None:
    """Prohibition over permission over what is left open."""
    allow, forbid = Rule("permission", ()), Rule("prohibition", ())
    assert "ask" == evaluate(Policy(), USE)
    assert "deny" == evaluate(Policy((), "deny"), USE)
    assert "permitted" == evaluate(Policy((allow,), "deny"), USE)
    assert "prohibited" == evaluate(Policy((allow, forbid)), USE)
    assert "prohibited" == evaluate(Policy((forbid, allow)), USE)


def test_all_constraints_must_hold() -> None:
    """One that fails keeps the rule from applying."""
    rule = Rule(
        "prohibition",
        (Constraint("purpose", "eq", ("research",)), Constraint("time", "gteq", ("5000",))),
    )
    assert "ask" == evaluate(Policy((rule,)), USE)


@pytest.mark.parametrize(
    "constraint",
    [
        Constraint("time", "isAnyOf", ("1",)),
        Constraint("time", "neq", ("1",)),
        Constraint("time", "lteq", ("1", "2")),
        Constraint("time", "lteq", ()),
        Constraint("time", "lteq", ("-1",)),
        Constraint("time", "lteq", ("1_0",)),
        Constraint("time", "lteq", ("١",)),
        Constraint("time", "lteq", ("1" * 19,)),
        Constraint("count", "lteq", ("",)),
        Constraint("organisation", "lteq", ("health",)),
        Constraint("organisation", "eq", ("health", "energy")),
        Constraint("purpose", "isAnyOf", ("x" * 33,)),
        Constraint("purpose", "isAnyOf", ("",)),
        Constraint("role", "isAnyOf", ("reader",) * 257),
    ],
)
def test_unsound_constraints(constraint: Constraint) -> None:
    """What makes no sense is no policy."""
    assert not is_sound(Policy((Rule("permission", (constraint,)),)))


def test_bounds() -> None:
    """Rules and constraints are counted."""
    rule = Rule("permission", ())
    one = Constraint("role", "eq", ("reader",))
    assert is_sound(Policy((rule,) * 64))
    assert not is_sound(Policy((rule,) * 65))
    assert is_sound(Policy((Rule("permission", (one,) * 16),)))
    assert not is_sound(Policy((Rule("permission", (one,) * 17),)))
