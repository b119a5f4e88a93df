"""Every select(), one module per subject."""
