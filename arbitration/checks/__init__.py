"""One pure check per file; `arbitration.checks.all.CHECKS` is the ordered tuple."""
