"""On-chain code and the only Python that knows its ABI."""
