// A small strict DER writer: just what a PKCS#10 request (RFC 2986) and an ECDSA signature need.

import { concat, EncodingError } from "./encoding.js";

const OID_ECDSA_SHA256 = "1.2.840.10045.4.3.2";
const OID_COMMON_NAME = "2.5.4.3";
const P256_BYTES = 32;
const SPKI_BYTES = 91;

function length(size) {
  if (size < 0x80) return Uint8Array.of(size);
  if (size < 0x100) return Uint8Array.of(0x81, size);
  if (size < 0x10000) return Uint8Array.of(0x82, size >> 8, size & 0xff);
  throw new EncodingError("device.malformed", "too long for this writer");
}

function tlv(tag, ...parts) {
  const body = concat(...parts);
  return concat(Uint8Array.of(tag), length(body.length), body);
}

export const sequence = (...parts) => tlv(0x30, ...parts);
export const utf8String = (text) => tlv(0x0c, new TextEncoder().encode(text));
export const bitString = (bytes) => tlv(0x03, Uint8Array.of(0), bytes);

/** SET OF: DER wants its members in the order of their bytes; here there is never more than one. */
export const setOfOne = (part) => tlv(0x31, part);

/** INTEGER of an unsigned big-endian number: shortest form, a zero in front of a high bit. */
export function unsigned(bytes) {
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) at += 1;
  const body = bytes.subarray(at);
  return body[0] & 0x80 ? tlv(0x02, Uint8Array.of(0), body) : tlv(0x02, body);
}

export function oid(dotted) {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const bytes = [40 * first + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      groups.unshift((left & 0x7f) | 0x80);
    }
    bytes.push(...groups);
  }
  return tlv(0x06, Uint8Array.from(bytes));
}

/** r || s, as WebCrypto signs, to the SEQUENCE of two INTEGERs that certificates and CMS hold. */
export function ecdsaDer(raw) {
  const bytes = new Uint8Array(raw);
  if (bytes.length !== 2 * P256_BYTES) {
    throw new EncodingError("device.malformed", "a raw P-256 signature has 64 bytes");
  }
  return sequence(unsigned(bytes.subarray(0, P256_BYTES)), unsigned(bytes.subarray(P256_BYTES)));
}

/**
 * A certificate request signed by the key it carries.
 * @param {{spki: Uint8Array, commonName: string, sign: (data: Uint8Array) => Promise<Uint8Array>}} request
 *   `sign` returns a DER signature. The authority takes names from its own records, not from here.
 */
export async function certificateRequest({ spki, commonName, sign }) {
  if (spki.length !== SPKI_BYTES) {
    throw new EncodingError("device.malformed", "not an uncompressed P-256 key");
  }
  const name = sequence(setOfOne(sequence(oid(OID_COMMON_NAME), utf8String(commonName))));
  const version = tlv(0x02, Uint8Array.of(0));
  const noAttributes = tlv(0xa0);
  const info = sequence(version, name, spki, noAttributes);
  const signature = await sign(info);
  return sequence(info, sequence(oid(OID_ECDSA_SHA256)), bitString(signature));
}
