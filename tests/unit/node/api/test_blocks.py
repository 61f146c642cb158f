"""Tests of node.api.blocks."""

from hansa.rest import BlockDetail, BlockSummary


async def test_blocks(live) -> None:
    """Blocks come newest first, in pages; a block tells its transactions and signers."""
    heights = [(await live.submit()).height for _ in range(2)]
    listed = await live.get("/v1/blocks?limit=50", list[BlockSummary])
    assert sorted((block.height for block in listed), reverse=True) == [b.height for b in listed]
    page = await live.get(f"/v1/blocks?before={heights[1]}&limit=1", list[BlockSummary])
    assert [heights[1] - 1] == [block.height for block in page]
    block = await live.get(f"/v1/blocks/{heights[0]}", BlockDetail)
    assert 1 == len(block.transactions) == block.summary.transactions
    assert [live.member.name] == block.signers
    found = await live.refused("GET", "/v1/blocks/0")
    assert (404, "missing") == (found["status"], found["code"])
    found = await live.refused("GET", "/v1/blocks?limit=5000")
    assert (400, "invalid") == (found["status"], found["code"])


async def test_erasures_are_told(live) -> None:
    """A block's detail names who acknowledged the erasure of its copies."""
    done = await live.submit()

    async def is_acknowledged() -> bool:
        block = await live.get(f"/v1/blocks/{done.height}", BlockDetail)
        (transaction,) = block.transactions
        return transaction.not_acknowledged == [] and len(transaction.erasures) == 1

    await live.alliance.until(is_acknowledged)
