"""The vault's master key in files, in a PKCS#11 token (SoftHSM) and in a key service: the same promises.

The service is a stand-in of ours that speaks the transit protocol; no real service is part of this test.
"""

import base64
import json
import secrets
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pkcs11
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select

from api.compose_vault import open_index_key, open_master_keys
from api.settings import Settings
from ledger import store
from ledger.core.errors import ConflictError, InputError, UnavailableError
from ledger.core.ids import new_id
from ledger.log import NewEntry, record
from ledger.master_keys import (
    INDEX_SUBJECT,
    FileMasterKeys,
    MasterKeyProvider,
    count_refs,
    number_index_key,
    ref_of,
    require_opens,
    rewrap,
)
from ledger.master_keys_pkcs11 import Pkcs11MasterKeys
from ledger.master_keys_service import ServiceMasterKeys
from ledger.tables.log import DataKeyRow
from ledger.vault import FileKeyProvider, Vault

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
ACCESS = "s.invented"


class Transit(BaseHTTPRequestHandler):
    """Just enough of the transit protocol: every version of every key, and nothing else."""

    keys: ClassVar[dict] = {}
    answer: ClassVar[tuple | None] = None

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        versions = self._versions()
        self._reply(200, {"latest_version": len(versions)})

    def do_POST(self):
        length = int(self.headers["content-length"])
        body = json.loads(self.rfile.read(length))
        versions, action = self._versions(), self.path.split("/")[3]
        if self.path.endswith("/rotate"):
            versions.append(secrets.token_bytes(32))
            self._reply(204, None)
        elif action == "encrypt":
            version = body["key_version"]
            nonce = secrets.token_bytes(12)
            plain = base64.b64decode(body["plaintext"])
            sealed = nonce + AESGCM(versions[version - 1]).encrypt(nonce, plain, None)
            text = base64.b64encode(sealed).decode()
            self._reply(200, {"ciphertext": f"vault:v{version}:{text}"})
        else:
            _, version, text = body["ciphertext"].split(":")
            try:
                sealed = base64.b64decode(text)
                plain = AESGCM(versions[int(version[1:]) - 1]).decrypt(
                    sealed[:12], sealed[12:], None
                )
            except (InvalidTag, IndexError, ValueError):
                self._reply(400, {})
                return
            self._reply(200, {"plaintext": base64.b64encode(plain).decode()})

    def _versions(self):
        name = self.path.split("/")[4]
        return self.keys.setdefault(name, [secrets.token_bytes(32)])

    def _reply(self, status, data):
        if self.headers["X-Vault-Token"] != ACCESS:
            status, data = 403, {}
        if Transit.answer is not None:
            status, raw = Transit.answer
        else:
            raw = b"" if data is None else json.dumps({"data": data}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Transit)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Transit.keys, Transit.answer = {}, None
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    Transit.answer = None


@pytest.fixture(params=["file", "pkcs11", "service"])
def keys(request, tmp_path):
    if request.param == "file":
        yield FileMasterKeys(tmp_path / "keys")
    elif request.param == "pkcs11":
        softhsm = request.getfixturevalue("softhsm")
        made = Pkcs11MasterKeys(
            softhsm.module, token=softhsm.name, pin=softhsm.pin, label=f"k{secrets.token_hex(4)}"
        )
        yield made
        made.close()
    else:
        url = request.getfixturevalue("service")
        yield ServiceMasterKeys(url, token=ACCESS, key="fuqi-vault")


@pytest.fixture
def sessions(database_url):
    engine = store.make_engine(database_url)
    yield store.sessions(engine)
    engine.dispose()


def put(sessions, vault, subject):
    entry = NewEntry(
        new_id("ent", at=AT), "party.registered", AT, subject, "system", {"name": "虚构"}
    )
    with store.transaction(sessions) as session:
        return record(session, vault, entry).id


def get(sessions, vault, entry_id):
    with store.transaction(sessions) as session:
        return vault.get(session, entry_id).body


def code_of(error, action, *arguments, **named):
    with pytest.raises(error) as caught:
        action(*arguments, **named)
    return caught.value.error_code


def wrapped(sessions):
    with store.transaction(sessions) as session:
        return {row.subject: row.wrapped for row in session.scalars(select(DataKeyRow))}


def test_what_is_sealed_opens_and_the_wrapped_key_names_its_master_key(keys, sessions):
    vault = Vault(MasterKeyProvider(keys))
    entry = put(sessions, vault, "pty_one")
    assert get(sessions, vault, entry) == {"name": "虚构"}
    found = wrapped(sessions)["pty_one"]
    assert ref_of(found) == keys.current()
    assert ref_of(found).startswith(keys.kind + ":")


def test_a_wrapped_key_moved_to_another_subject_does_not_open(keys):
    provider = MasterKeyProvider(keys)
    sealed = provider.wrap(b"\x07" * 32, subject="pty_one")
    assert provider.unwrap(sealed, subject="pty_one") == b"\x07" * 32
    assert code_of(UnavailableError, provider.unwrap, sealed, subject="pty_two") == (
        "vault.key_unavailable"
    )


def test_an_altered_wrapped_key_is_refused(keys):
    provider = MasterKeyProvider(keys)
    sealed = provider.wrap(b"\x07" * 32, subject="pty_one")
    broken = sealed[:-20] + bytes([sealed[-20] ^ 1]) + sealed[-19:]
    with pytest.raises(UnavailableError) as caught:
        provider.unwrap(broken, subject="pty_one")
    assert caught.value.error_code in ("vault.key_unavailable", "vault.service_refused")


def test_an_erased_subject_stays_erased_through_a_rotation_and_the_others_open(keys, sessions):
    vault = Vault(MasterKeyProvider(keys))
    gone, kept = put(sessions, vault, "pty_gone"), put(sessions, vault, "pty_kept")
    with store.transaction(sessions) as session:
        vault.erase(session, "pty_gone", at=AT)
    assert code_of(ConflictError, get, sessions, vault, gone) == "vault.restricted"
    old = keys.current()
    new = keys.rotate()
    assert rewrap(sessions, MasterKeyProvider(keys)) == 1
    assert rewrap(sessions, MasterKeyProvider(keys)) == 0
    assert new != old
    assert count_refs(sessions) == {new: 1}
    assert wrapped(sessions)["pty_gone"] is None
    assert code_of(ConflictError, get, sessions, vault, gone) == "vault.restricted"
    assert get(sessions, vault, kept) == {"name": "虚构"}
    assert code_of(ConflictError, put, sessions, vault, "pty_gone") == "vault.erased"


def test_before_the_rewrap_both_generations_open_and_new_keys_are_under_the_new_one(keys, sessions):
    vault = Vault(MasterKeyProvider(keys))
    first = put(sessions, vault, "pty_first")
    old, new = keys.current(), keys.rotate()
    second = put(sessions, vault, "pty_second")
    assert count_refs(sessions) == {old: 1, new: 1}
    assert get(sessions, vault, first) == get(sessions, vault, second) == {"name": "虚构"}


def test_a_move_from_the_file_to_another_kind_keeps_bodies_and_the_number_index(
    softhsm, sessions, tmp_path
):
    legacy = FileKeyProvider(tmp_path / "vault.key")
    entry = put(sessions, Vault(legacy), "pty_old")
    token = Pkcs11MasterKeys(
        softhsm.module, token=softhsm.name, pin=softhsm.pin, label=f"m{secrets.token_hex(4)}"
    )
    provider = MasterKeyProvider(token, legacy=legacy)
    vault = Vault(provider)
    assert get(sessions, vault, entry) == {"name": "虚构"}
    index = number_index_key(sessions, provider, legacy=legacy, at=AT)
    assert index == legacy.index_key()
    assert rewrap(sessions, provider) == 1
    (tmp_path / "vault.key").unlink()
    alone = MasterKeyProvider(token)
    assert get(sessions, Vault(alone), entry) == {"name": "虚构"}
    assert number_index_key(sessions, alone, legacy=None, at=AT) == index
    assert set(count_refs(sessions)) == {token.current()}
    token.close()


def test_a_key_of_a_kind_that_is_not_configured_is_named(sessions, tmp_path):
    provider = MasterKeyProvider(FileMasterKeys(tmp_path))
    foreign = b"\x02\x0apkcs11:k-1" + bytes(40)
    with pytest.raises(UnavailableError) as caught:
        provider.unwrap(foreign, subject="pty_one")
    assert caught.value.error_code == "vault.key_unavailable"
    assert caught.value.context["key"] == "pkcs11:k-1"


def lose(keys, folder):
    """The master key is gone, or another is in its place; what asks next is a new process."""
    if keys.kind == "file":
        (folder / "keys" / "vault.key").unlink()
        return FileMasterKeys(folder / "keys")
    if keys.kind == "pkcs11":
        keys._key(keys._session, keys.current()).destroy()
        return keys
    Transit.keys = {}
    return keys


def test_a_lost_master_key_is_said_and_loses_nothing_more(keys, sessions, tmp_path):
    vault = Vault(MasterKeyProvider(keys))
    entry = put(sessions, vault, "pty_one")
    before = wrapped(sessions)
    left = MasterKeyProvider(lose(keys, tmp_path))
    code = code_of(UnavailableError, get, sessions, Vault(left), entry)
    assert code == ("vault.service_refused" if keys.kind == "service" else "vault.key_unavailable")
    with pytest.raises(UnavailableError):
        require_opens(sessions, left)
    left.keys.rotate()
    with pytest.raises(UnavailableError):
        rewrap(sessions, left)
    assert wrapped(sessions) == before


def test_wrong_pin_absent_token_and_foreign_library_have_codes_of_their_own(softhsm, tmp_path):
    given = {"token": softhsm.name, "pin": softhsm.pin, "label": "x"}
    assert code_of(
        UnavailableError, Pkcs11MasterKeys, softhsm.module, **given | {"pin": "0000"}
    ) == ("vault.pin_wrong")
    assert code_of(
        UnavailableError, Pkcs11MasterKeys, softhsm.module, **given | {"token": "none"}
    ) == ("vault.token_absent")
    nothing = tmp_path / "libnone.so"
    assert code_of(UnavailableError, Pkcs11MasterKeys, nothing, **given) == "vault.token_module"
    # And the right ones still do: nothing was lost by trying.
    Pkcs11MasterKeys(softhsm.module, **given).close()


def test_the_master_key_never_leaves_the_token(softhsm):
    keys = Pkcs11MasterKeys(
        softhsm.module, token=softhsm.name, pin=softhsm.pin, label=f"n{secrets.token_hex(4)}"
    )
    ref = keys.current()
    found = keys._key(keys._session, ref)
    with pytest.raises(pkcs11.PKCS11Error):
        _ = found[pkcs11.Attribute.VALUE]
    keys.close()


# The library complains, where nobody can catch it, that it cannot end a search in a session that is gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_session_that_was_lost_is_opened_once_more(softhsm):
    keys = Pkcs11MasterKeys(
        softhsm.module, token=softhsm.name, pin=softhsm.pin, label=f"s{secrets.token_hex(4)}"
    )
    provider = MasterKeyProvider(keys)
    sealed = provider.wrap(b"\x01" * 32, subject="pty_one")
    keys._session.close()
    assert provider.unwrap(sealed, subject="pty_one") == b"\x01" * 32
    keys.close()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((403, b""), "vault.service_refused"),
        ((200, b"<html>"), "vault.service_answer"),
        ((200, b'{"data": []}'), "vault.service_answer"),
        ((200, b'{"data": {"latest_version": true}}'), "vault.service_answer"),
    ],
)
def test_what_a_key_service_may_answer_has_a_code(service, answer, code):
    Transit.answer = answer
    assert code_of(UnavailableError, ServiceMasterKeys, service, token=ACCESS, key="k") == code


def test_a_key_service_that_is_away_or_spoken_to_in_the_clear_is_refused(service):
    assert code_of(UnavailableError, ServiceMasterKeys, service, token="wrong", key="k") == (
        "vault.service_refused"
    )
    assert code_of(
        UnavailableError, ServiceMasterKeys, "http://127.0.0.1:9", token=ACCESS, key="k"
    ) == ("vault.service_unreachable")
    assert code_of(
        InputError, ServiceMasterKeys, "http://keys.example.invalid", token=ACCESS, key="k"
    ) == ("vault.service_url")


def test_settings_choose_the_kind_and_what_lacks_is_named(softhsm, service, sessions, tmp_path):
    common = {"home": tmp_path, "vault_key": f"c{secrets.token_hex(4)}"}
    plain = open_master_keys(Settings(**common))
    assert plain.keys.describe().startswith("file vault.key")
    before = open_index_key(sessions, plain, at=AT)
    token = open_master_keys(
        Settings(
            **common,
            vault_provider="pkcs11",
            vault_module=softhsm.module,
            vault_token=softhsm.name,
            vault_pin=softhsm.pin,
        )
    )
    assert f"PKCS#11 token '{softhsm.name}'" in token.keys.describe()
    assert open_index_key(sessions, token, at=AT) == before
    assert INDEX_SUBJECT in wrapped(sessions)
    remote = open_master_keys(
        Settings(
            **common, vault_provider="service", vault_url=service, vault_access=ACCESS,
            vault_module=softhsm.module, vault_token=softhsm.name, vault_pin=softhsm.pin,
        )
    )  # fmt: skip
    assert remote.keys.describe().startswith("key service at 127.0.0.1")
    # The index key is still under the token, which is configured and so still opens it.
    assert open_index_key(sessions, remote, at=AT) == before
    for provider in ("pkcs11", "service"):
        lacking = Settings(**common, vault_provider=provider)
        assert code_of(InputError, open_master_keys, lacking) == "vault.settings"
