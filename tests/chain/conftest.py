"""A real network of validators (scripts/network.py), started once for each file that asks for it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from ledger.chain_key import OperatorKey

ROOT = Path(__file__).parents[2]
KEYS = 40
"""Each test has an account of its own, with money from the first block on."""


def network_module():
    """scripts/network.py; scripts are no package."""
    name = "fuqi_network_script"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / "network.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@contextlib.contextmanager
def started(folder, *, period_seconds, validators=4):
    module = network_module()
    if not module.geth_path().is_file():
        pytest.skip("no geth on this machine: `scripts/network.py build` builds it with Go")
    keys = [OperatorKey.create() for _ in range(KEYS)]
    funded = [key.address_hex for key in keys]
    with module.Network(
        folder, validators=validators, period_seconds=period_seconds, funded=funded
    ) as network:
        network.funded_key = keys.pop
        yield network


@pytest.fixture(scope="module")
def validators(tmp_path_factory):
    """Seals when there is a transaction; FUQI_NETWORK_PERIOD=1 runs the behaviour suite by the clock too."""
    period = int(os.environ.get("FUQI_NETWORK_PERIOD", "0"))
    with started(tmp_path_factory.mktemp("network"), period_seconds=period) as network:
        yield network


@pytest.fixture(scope="module")
def clocked_network(tmp_path_factory):
    """Seals every second, whether there are transactions or not.

    Five validators: clique lets each seal one block in three, so of four, with one away, two that seal at the
    same height block each other and the third for ever.
    """
    folder = tmp_path_factory.mktemp("clocked")
    with started(folder, period_seconds=1, validators=5) as network:
        yield network
