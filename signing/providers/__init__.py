"""Authorities outside this process: an external CA, time-stamp authorities and OCSP responders by address."""
