"""What production asks of the opened parts, beyond what the settings say by themselves.

The settings name every piece that lacks; here the pieces themselves are looked at, and the database: one
that a demonstration or a trial has written into cannot become a real one.
"""

from __future__ import annotations

from typing import Final

from api.ports import Ports
from ledger.core.errors import InputError
from ledger.queries import parties as queries
from ledger.store import transaction
from signing.providers.certificates import ExternalAuthority
from signing.providers.identity_http import HttpProvider
from signing.providers.identity_messages import MockMessenger
from signing.providers.timestamps import ExternalTimestampAuthority

REMEDY: Final = "start production on a database of its own"


def require_production(ports: Ports) -> None:
    """Refuse parts that are built in or mock, and a database that holds invented parties.

    Nothing is asked of the authorities themselves: one that is away must not keep the pages down.

    Raises:
        InputError: `settings.production`, naming everything that is wrong.
    """
    wrong = [
        text
        for is_right, text in (
            (
                isinstance(ports.authority, ExternalAuthority),
                "the certificate authority is built in",
            ),
            (
                isinstance(ports.tsa, ExternalTimestampAuthority),
                "the time-stamp authority is built in",
            ),
            (
                isinstance(ports.provider, HttpProvider),
                "real names are checked by a mock or by hand",
            ),
            (not isinstance(ports.messenger, MockMessenger), "codes are sent by a mock"),
            (ports.ocsp is not None, "nobody is asked whether a certificate is revoked"),
            (ports.engine.dialect.name == "postgresql", "the database is no PostgreSQL"),
        )
        if not is_right
    ]
    with transaction(ports.readers) as session:
        if queries.any_invented(session):
            wrong.append(f"the database holds invented parties: {REMEDY}")
        if queries.any_demonstrated(session):
            wrong.append(f"the database holds agreements of a demonstration: {REMEDY}")
    if wrong:
        raise InputError(
            f"this is no production installation: {'; '.join(wrong)}", code="settings.production"
        )
