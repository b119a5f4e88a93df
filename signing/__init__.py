"""Documents, identities and signatures; no database, no HTTP server."""
