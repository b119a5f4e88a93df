"""What happened, in order, provably: the append-only log, its receipts and its anchors on a chain."""
