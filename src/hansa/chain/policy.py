"""Policies in ODRL's shape, evaluated purely: a prohibition that applies refuses, whatever is permitted.

A rule applies when all its constraints hold; a rule without constraints always applies. A rule that
constrains the count of grants is about asking, and does not apply where no count is given (a read).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hansa import limits
from hansa.chain.transactions import Constraint, Policy, Rule

Verdict = Literal["prohibited", "permitted", "ask", "deny"]

_NUMBERS = frozenset({"time", "count"})
_NUMBER_OPERATORS = frozenset({"eq", "lteq", "gteq"})
_NAME_OPERATORS = frozenset({"eq", "neq", "isAnyOf", "isNoneOf"})
_DIGITS = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class Use:
    """The use that is judged."""

    organisation: str
    roles: Sequence[str]
    purpose: str
    time_ms: int
    """Block time of a request or grant; the time of a read."""
    count: int | None
    """Grants of the dataset the organisation was given so far; None for a read."""


def evaluate(policy: Policy, use: Use) -> Verdict:
    """Return what a policy says about a use; "ask" and "deny" are its answer when no rule applies."""
    applying = {rule.effect for rule in policy.rules if _applies(rule, use)}
    if "prohibition" in applying:
        return "prohibited"
    if "permission" in applying:
        return "permitted"
    return policy.undecided


def is_sound(policy: Policy) -> bool:
    """Tell whether every rule makes sense and is within bounds."""
    if len(policy.rules) > limits.POLICY_RULES_MAX:
        return False
    for rule in policy.rules:
        if len(rule.constraints) > limits.CONSTRAINTS_PER_RULE_MAX:
            return False
        for constraint in rule.constraints:
            if not _is_sound_constraint(constraint):
                return False
    return True


def _is_sound_constraint(constraint: Constraint) -> bool:
    operands = constraint.right_operand
    if not 1 <= len(operands) <= limits.OPERANDS_PER_CONSTRAINT_MAX:
        return False
    if constraint.left_operand in _NUMBERS:
        # Decimal digits only: `int` would take signs, blanks, underscores and other scripts.
        number = operands[0]
        return (
            constraint.operator in _NUMBER_OPERATORS
            and len(operands) == 1
            and 1 <= len(number) <= 18
            and set(number) <= _DIGITS
        )
    if constraint.operator in {"eq", "neq"} and len(operands) != 1:
        return False
    if constraint.operator not in _NAME_OPERATORS:
        return False
    for operand in operands:  # noqa: SIM110 - `all` over a generator takes three times as long
        if not 1 <= len(operand) <= limits.NAME_CHARACTERS_MAX:
            return False
    return True


def _applies(rule: Rule, use: Use) -> bool:
    return all(_holds(constraint, use) for constraint in rule.constraints)


def _holds(constraint: Constraint, use: Use) -> bool:
    if constraint.left_operand in _NUMBERS:
        value = use.time_ms if constraint.left_operand == "time" else use.count
        return value is not None and _compares(constraint, value)
    values: set[str]
    if constraint.left_operand == "role":
        values = set(use.roles)
    elif constraint.left_operand == "organisation":
        values = {use.organisation}
    else:
        values = {use.purpose}
    is_among = not values.isdisjoint(constraint.right_operand)
    return is_among if constraint.operator in {"eq", "isAnyOf"} else not is_among


def _compares(constraint: Constraint, value: int) -> bool:
    bound = int(constraint.right_operand[0])
    if constraint.operator == "lteq":
        return value <= bound
    if constraint.operator == "gteq":
        return value >= bound
    return value == bound
