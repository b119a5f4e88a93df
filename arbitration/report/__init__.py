"""Machine report and human report (zh, en)."""
