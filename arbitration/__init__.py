"""From records to a bundle that a stranger can verify offline."""
