"""The built-in time-stamp authority."""

import hashlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from shutil import which

import pytest
from asn1crypto import cms, core, tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from ledger.core.errors import ConflictError, InputError, NotFoundError
from signing.keys.files import COUNTER_BLOCK, Counter
from signing.testing import FIXED_TIME
from signing.tsa import HASHES, LABEL_EN, LABEL_ZH, OID_POLICY, BuiltInTimestampAuthority

IMPRINT = hashlib.sha256(b"invented document").digest()


@pytest.fixture
def tsa(tmp_path):
    return BuiltInTimestampAuthority.create(tmp_path / "tsa", at=FIXED_TIME)


def info_of(token):
    content = cms.ContentInfo.load(token, strict=True)["content"]["encap_content_info"]["content"]
    return tsp.TSTInfo.load(
        content.native if isinstance(content.native, bytes) else content.parsed.dump()
    )


def request(**changes):
    fields = {
        "version": "v1",
        "message_imprint": {
            "hash_algorithm": {"algorithm": "sha256"},
            "hashed_message": IMPRINT,
        },
        "cert_req": True,
    }
    return tsp.TimeStampReq(fields | changes).dump()


def failure(response):
    parsed = core.Sequence.load(response)
    status = tsp.PKIStatusInfo.load(parsed[0].dump())
    assert len(parsed) == 1, "a refusal carries no token"
    assert status["status"].native == "rejection"
    return status["fail_info"].native


def test_a_token_states_imprint_time_policy_accuracy_and_nonce(tsa):
    at = FIXED_TIME + timedelta(microseconds=999_999)
    info = info_of(tsa.stamp(IMPRINT, at=at, nonce=2**64 - 1))
    assert info["version"].native == "v1"
    assert info["policy"].dotted == OID_POLICY
    assert info["message_imprint"]["hash_algorithm"]["algorithm"].native == "sha256"
    assert info["message_imprint"]["hashed_message"].native == IMPRINT
    assert info["gen_time"].native == FIXED_TIME
    assert info["accuracy"]["seconds"].native == 1
    assert info["nonce"].native == 2**64 - 1


def test_a_token_is_signed_over_its_attributes_by_the_certificate_it_names(tsa):
    signed = cms.ContentInfo.load(tsa.stamp(IMPRINT, at=FIXED_TIME))["content"]
    signer = signed["signer_infos"][0]
    attributes = {one["type"].native: one["values"][0] for one in signer["signed_attrs"]}
    named = attributes["signing_certificate_v2"]["certs"][0]
    leaf = x509.load_der_x509_certificate(tsa.certificate_der)

    leaf.public_key().verify(
        signer["signature"].native,
        signer["signed_attrs"].untag().dump(force=True),
        ec.ECDSA(hashes.SHA256()),
    )
    assert named["cert_hash"].native == hashlib.sha256(tsa.certificate_der).digest()
    assert attributes["content_type"].native == "tst_info"
    assert (
        attributes["message_digest"].native
        == hashlib.sha256(bytes(signed["encap_content_info"]["content"])).digest()
    )
    carried = [one.chosen.dump() for one in signed["certificates"]]
    assert sorted(carried) == sorted([tsa.certificate_der, tsa.root_der])


def test_the_only_purpose_is_time_stamping_and_it_is_critical(tsa):
    leaf = x509.load_der_x509_certificate(tsa.certificate_der)
    purpose = leaf.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE)
    assert purpose.critical
    assert list(purpose.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
    units = leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    assert {unit.value for unit in units} == {LABEL_EN, LABEL_ZH}


@pytest.mark.parametrize("name", sorted(HASHES))
def test_an_imprint_has_the_length_of_its_hash(tsa, name):
    length = HASHES[name][1]
    info = info_of(tsa.stamp(bytes(length), hash_name=name, at=FIXED_TIME))
    assert info["message_imprint"]["hash_algorithm"]["algorithm"].dotted == HASHES[name][0]
    with pytest.raises(InputError) as caught:
        tsa.stamp(bytes(length - 1), hash_name=name, at=FIXED_TIME)
    assert caught.value.error_code == "tsa.imprint_length"


@pytest.mark.parametrize("name", ["sha1", "md5", "SHA256", ""])
def test_other_hashes_are_refused(tsa, name):
    with pytest.raises(InputError) as caught:
        tsa.stamp(bytes(20), hash_name=name, at=FIXED_TIME)
    assert caught.value.error_code == "tsa.hash_unsupported"


@pytest.mark.parametrize("nonce", [-1, 2**512])
def test_a_nonce_out_of_range_is_refused(tsa, nonce):
    with pytest.raises(InputError) as caught:
        tsa.stamp(IMPRINT, at=FIXED_TIME, nonce=nonce)
    assert caught.value.error_code == "tsa.nonce_range"


def test_no_time_is_stated_outside_the_certificates_validity(tsa):
    early = FIXED_TIME - timedelta(seconds=1)
    with pytest.raises(ConflictError) as caught:
        tsa.stamp(IMPRINT, at=early)
    assert caught.value.error_code == "tsa.not_valid_at"
    assert failure(tsa.respond(request(), at=early)) == {"time_not_available"}


def test_a_request_is_granted(tsa):
    response = tsp.TimeStampResp.load(tsa.respond(request(nonce=7), at=FIXED_TIME))
    info = info_of(response["time_stamp_token"].dump())
    assert response["status"]["status"].native == "granted"
    assert info["nonce"].native == 7
    bare = tsp.TimeStampResp.load(tsa.respond(request(cert_req=False), at=FIXED_TIME))
    assert bare["time_stamp_token"]["content"]["certificates"].native is None


def test_the_known_policy_is_granted_and_another_refused(tsa):
    granted = tsp.TimeStampResp.load(tsa.respond(request(req_policy=OID_POLICY), at=FIXED_TIME))
    assert granted["status"]["status"].native == "granted"
    refused = tsa.respond(request(req_policy="1.2.3.4"), at=FIXED_TIME)
    assert failure(refused) == {"unaccepted_policy"}


def imprint(algorithm, value):
    return {"hash_algorithm": {"algorithm": algorithm}, "hashed_message": value}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "bad_data_format"),
        (b"nonsense", "bad_data_format"),
        (request() + b"\0", "bad_data_format"),
        (bytes(5000), "bad_data_format"),
        (request(message_imprint=imprint("sha1", bytes(20))), "bad_alg"),
        (request(message_imprint=imprint("sha256", bytes(31))), "bad_data_format"),
        (request(nonce=-1), "bad_request"),
        (request(nonce=1 << 600), "bad_request"),
        (
            request(extensions=[{"extn_id": "1.2.3.4", "critical": True, "extn_value": b""}]),
            "unaccepted_extensions",
        ),
    ],
)
def test_a_bad_request_gets_a_refusal_and_no_token(tsa, data, reason):
    assert failure(tsa.respond(data, at=FIXED_TIME)) == {reason}


def test_serial_numbers_never_repeat_across_restarts_threads_and_processes(tsa, tmp_path):
    def serial(authority):
        return info_of(authority.stamp(IMPRINT, at=FIXED_TIME))["serial_number"].native

    seen = [serial(tsa) for _ in range(3)]
    # A process killed after three stamps leaves its block half used; the next one starts a new block.
    second = BuiltInTimestampAuthority.load(tmp_path / "tsa")
    with ThreadPoolExecutor(4) as pool:
        seen += pool.map(lambda i: serial(tsa if i % 2 else second), range(2 * COUNTER_BLOCK))
    assert len(set(seen)) == len(seen)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_does_not_use_up_the_numbers_of_its_parent(tmp_path):
    (tmp_path / "n").write_bytes(b"0")
    counter = Counter(tmp_path / "n")
    assert counter.take() == 1
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, str(counter.take()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        taken = int(pipe.read())
    assert taken > COUNTER_BLOCK
    assert counter.take() == 2


@pytest.mark.parametrize("content", [b"", b"abc", None])
def test_a_damaged_counter_stops_the_authority(tsa, tmp_path, content):
    path = tmp_path / "tsa" / "serial"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    opened = BuiltInTimestampAuthority.load(tmp_path / "tsa")
    with pytest.raises(ConflictError) as caught:
        opened.stamp(IMPRINT, at=FIXED_TIME)
    assert caught.value.error_code == "keys.counter_damaged"


def test_an_authority_is_made_once_and_found_again(tsa, tmp_path):
    with pytest.raises(ConflictError) as caught:
        BuiltInTimestampAuthority.create(tmp_path / "tsa", at=FIXED_TIME)
    assert caught.value.error_code == "tsa.exists"
    with pytest.raises(NotFoundError) as absent:
        BuiltInTimestampAuthority.load(tmp_path / "none")
    assert absent.value.error_code == "tsa.not_found"
    found = BuiltInTimestampAuthority.open_or_create(tmp_path / "tsa", at=FIXED_TIME)
    assert found.certificate_der == tsa.certificate_der
    (tmp_path / "tsa" / "tsa.der").write_bytes(tsa.root_der)
    with pytest.raises(ConflictError) as damaged:
        BuiltInTimestampAuthority.load(tmp_path / "tsa")
    assert damaged.value.error_code == "tsa.damaged"


@pytest.mark.skipif(which("openssl") is None, reason="needs the openssl command")
@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512", "sm3"])
def test_openssl_verifies_a_response_and_refuses_it_for_other_data(tsa, tmp_path, algorithm):
    def openssl(*arguments):
        return subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, text=True)

    (tmp_path / "data").write_bytes(b"invented document")
    (tmp_path / "other").write_bytes(b"another document")
    (tmp_path / "root.der").write_bytes(tsa.root_der)
    openssl("x509", "-inform", "DER", "-in", "root.der", "-out", "root.pem")
    query = openssl("ts", "-query", "-data", "data", f"-{algorithm}", "-cert", "-out", "q.tsq")
    if query.returncode:
        pytest.skip(f"this openssl has no {algorithm}")
    answer = tsa.respond((tmp_path / "q.tsq").read_bytes(), at=FIXED_TIME)
    (tmp_path / "r.tsr").write_bytes(answer)
    when = str(int(FIXED_TIME.timestamp()) + 60)
    common = ("ts", "-verify", "-in", "r.tsr", "-CAfile", "root.pem", "-attime", when)
    assert "Verification: OK" in openssl(*common, "-queryfile", "q.tsq").stdout
    assert "Verification: OK" in openssl(*common, "-data", "data").stdout
    refused = openssl(*common, "-data", "other")
    assert refused.returncode != 0
    assert "Verification: FAILED" in refused.stdout + refused.stderr
