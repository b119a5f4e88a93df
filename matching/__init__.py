"""Supply to demand: exact allocation with a certificate; no database, no clock."""
