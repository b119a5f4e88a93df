"""Shared kernel: pure, standard library only, imports nothing of ours."""
