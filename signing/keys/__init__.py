"""Where a private key is: a device, a PKCS#12 file, a token or a remote service."""
