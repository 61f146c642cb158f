"""Tables of results/growth.json: messages of a block counted, by the formula, and of all-node PBFT."""

from typing import Any

KINDS = ("submit", "propose", "review", "confirm", "block", "erased")


def formula(super_nodes: int, nodes: int) -> int:
    """Return the messages of a block by docs/spec/agreement.md: blocks follow each other, no faults."""
    r = super_nodes
    return 1 + (r - 1) + 2 * r * (r - 1) + (nodes - r)


def pbft(nodes: int) -> int:
    """Return those of PBFT among all nodes: pre-prepare, prepare of all but the primary, commit of all."""
    return (nodes - 1) + (nodes - 1) ** 2 + nodes * (nodes - 1)


def render(result: dict[str, Any]) -> str:
    """Return both tables."""
    lines = [
        "| r | n | Submit | Propose | Review | Confirm | BlockDecided | Erased | counted | formula |",
        "|" + "---:|" * 10,
    ]
    for row in result["agreement"]:
        counted = sum(row[kind] for kind in KINDS)
        cells = [row["super_nodes"], row["nodes"], *(row[kind] for kind in KINDS), counted]
        cells.append(formula(row["super_nodes"], row["nodes"]))
        lines.append("| " + " | ".join(f"{cell:,g}" for cell in cells) + " |")
    votes = next(row for row in result["agreement"] if row["super_nodes"] == 4)
    inside = sum(votes[kind] for kind in KINDS if kind != "block")
    lines += [
        "",
        "| n | down the tree | by one node at most | by a super node at most | Hansa, r = 4 | all-node PBFT | PBFT / Hansa |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in result["tree"]:
        whole, others = inside + row["sent"], pbft(row["nodes"])
        lines.append(
            f"| {row['nodes']:,} | {row['sent']:,} | {row['by_one_at_most']} |"
            f" {row['by_a_super_node']} | {whole:,.0f} | {others:,} | {others / whole:,.1f} |"
        )
    return "\n".join(lines)
