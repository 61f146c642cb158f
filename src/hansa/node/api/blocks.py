"""The chain's blocks, for people."""

from litestar import get
from litestar.params import FromPath, FromQuery

from hansa import limits
from hansa.errors import InvalidError, MissingError
from hansa.node.api import views
from hansa.node.api.services import Given
from hansa.node.parts import blocks_from
from hansa.rest import BlockDetail, BlockSummary
from hansa.types import Height


@get("/blocks")
async def blocks(
    services: Given, before: FromQuery[int] = 0, limit: FromQuery[int] = 20
) -> list[BlockSummary]:
    """Return blocks below height `before` (0: from the tip), newest first."""
    if not 1 <= limit <= limits.PAGE_ITEMS_MAX or before < 0:
        raise InvalidError(f"limit must be from 1 to {limits.PAGE_ITEMS_MAX}, before from 0.")

    def build() -> list[BlockSummary]:
        state = services.state()
        tip = services.ledger.height()
        last = min(tip, before - 1) if before else tip
        names = views.names_by_node_key(state)
        found = blocks_from(services.ledger, Height(max(1, last - limit + 1)), Height(last))
        return [views.block_summary(names, certified) for certified in found][::-1]

    return await services.workers.run(build)


@get("/blocks/{height:int}")
async def block(services: Given, height: FromPath[int]) -> BlockDetail:
    """Return one block with its transactions and acknowledgements."""

    def build() -> BlockDetail:
        certified = None
        if 1 <= height <= services.ledger.height():
            certified = services.ledger.block(Height(height))
        if certified is None:
            raise MissingError(
                f"There is no block {height} here.",
                remedy=f"This node has blocks 1 to {services.ledger.height()}.",
            )
        return views.block_detail(services.state(), certified, services.ledger.block)

    return await services.workers.run(build)


HANDLERS = [blocks, block]
