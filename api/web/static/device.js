// The signer's own key: P-256, made here, kept in this browser's IndexedDB as a handle that cannot be
// exported. Neither this code nor the server ever sees the private number.

import { certificateRequest, ecdsaDer } from "./der.js";
import { sha256, toBase64, toHex } from "./encoding.js";

const DATABASE = "fuqi-device";
const STORE = "keys";
const ECDSA = { name: "ECDSA", namedCurve: "P-256" };
const SIGNING = { name: "ECDSA", hash: "SHA-256" };

export class DeviceError extends Error {
  constructor(code, detail = code) {
    super(detail);
    this.code = code;
  }
}

/** Throw where this browser cannot keep a key; the code says why and what to do. */
export function requireSupport() {
  if (!globalThis.isSecureContext) throw new DeviceError("device.insecure");
  if (!globalThis.crypto?.subtle) throw new DeviceError("device.no_webcrypto");
  if (!globalThis.indexedDB) throw new DeviceError("device.no_storage");
}

/** Who the key belongs to: one browser may serve several people, each with a key of their own. */
export function ownerOf({ person, organisation }) {
  return `${organisation}/${person}`;
}

function asked(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function open() {
  requireSupport();
  let request;
  try {
    request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "owner" });
    return await asked(request);
  } catch (error) {
    throw new DeviceError("device.no_storage", String(error));
  }
}

async function within(mode, work) {
  const database = await open();
  try {
    const transaction = database.transaction(STORE, mode, { durability: "strict" });
    const done = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
      transaction.onerror = () => reject(transaction.error);
    });
    const [result] = await Promise.all([asked(work(transaction.objectStore(STORE))), done]);
    return result;
  } finally {
    database.close();
  }
}

/** The key record of `owner` in this browser, or null. */
export async function load(owner) {
  return (await within("readonly", (store) => store.get(owner))) ?? null;
}

/** Make a key and keep it; a key that is there already (another tab was faster) is returned instead. */
export async function create(owner) {
  const existing = await load(owner);
  if (existing) return existing;
  const pair = await crypto.subtle.generateKey(ECDSA, false, ["sign", "verify"]);
  if (pair.privateKey.extractable) throw new DeviceError("device.extractable");
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  const record = {
    owner,
    privateKey: pair.privateKey,
    publicKey: pair.publicKey,
    spki,
    spkiSha256: toHex(await sha256(spki)),
    madeAt: new Date().toISOString(),
    certificate: null,
  };
  try {
    await within("readwrite", (store) => store.add(record));
  } catch (error) {
    if (error?.name !== "ConstraintError") throw new DeviceError("device.no_storage", String(error));
  }
  // Browsers may clear what is not persistent when the disk is full; refusing is no fault.
  await navigator.storage?.persist?.().catch(() => false);
  const kept = await load(owner);
  if (!kept) throw new DeviceError("device.no_storage", "the key was not kept");
  await prove(kept);
  return kept;
}

/** Forget the key of `owner` in this browser, so that a new one can be made. */
export async function forget(owner) {
  await within("readwrite", (store) => store.delete(owner));
}

export async function keepCertificate(record, certificate) {
  await within("readwrite", (store) => store.put({ ...record, certificate }));
  return { ...record, certificate };
}

/** ECDSA P-256 with SHA-256 over `bytes`, DER. */
export async function sign(record, bytes) {
  return ecdsaDer(await crypto.subtle.sign(SIGNING, record.privateKey, bytes));
}

/** Base64 of a PKCS#10 request for this key. */
export async function request(record, commonName) {
  const der = await certificateRequest({
    spki: record.spki,
    commonName,
    sign: (data) => sign(record, data),
  });
  return toBase64(der);
}

async function prove(record) {
  const sample = crypto.getRandomValues(new Uint8Array(32));
  const signature = await crypto.subtle.sign(SIGNING, record.privateKey, sample);
  if (!(await crypto.subtle.verify(SIGNING, record.publicKey, signature, sample))) {
    throw new DeviceError("device.no_storage", "the kept key does not work");
  }
}

/**
 * How the key in this browser stands to the certificates the server knows, newest first.
 * The server takes intent and signatures from the newest certificate only.
 */
export function standing(record, certificates) {
  if (!record) return certificates.length ? "elsewhere" : "none";
  const place = certificates.findIndex((one) => one.spki_sha256 === record.spkiSha256);
  if (place === 0) return "ready";
  if (place > 0) return "superseded";
  return record.certificate ? "ended" : "uncertified";
}
