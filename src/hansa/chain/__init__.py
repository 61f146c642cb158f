"""What is agreed on, without I/O: transactions, blocks, genesis, state, transition, receipts."""
