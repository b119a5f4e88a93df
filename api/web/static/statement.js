// The statement a signer reads and this device signs: rebuilt and compared before it is shown
// (signing/intent.py says the same), so that no server can show one sentence and have another one signed.

import { canonicalBytes, concat, equal, fromBase64, includes, fromHex, sha256, toHex } from "./encoding.js";
import { DeviceError } from "./device.js";

const TAG = "fuqi/intent/v1";
const ANNEXED_TAG = "fuqi/intent/v2";
const FILLED_TAG = "fuqi/intent/v3";
const STATED_TAG = "fuqi/intent/v4";
const APPROVED_TAG = "fuqi/intent/v5";
const STATED_ITEM_TAG = "fuqi/batch-item/v4";
const ANNEX_TAG = "fuqi/annex/v1";
const FILLED_ANNEX_TAG = "fuqi/annex/v2";
const CLAUSE_TAG = "fuqi/clause/v1";
const ANNEXED_ITEM_TAG = "fuqi/batch-item/v2";
const BATCH_TAG = "fuqi/batch-intent/v1";
const ITEM_TAG = "fuqi/batch-item/v1";
const APPROVAL_TAG = "fuqi/batch-intent/v2";
const APPROVAL_ITEM_TAG = "fuqi/batch-item/v3";
const ANNEXED_APPROVAL_ITEM_TAG = "fuqi/batch-item/v5";
const BATCH_FIELDS = [
  "acts", "at", "count", "items", "method", "nonce", "organisation", "organisation_name", "person", "person_name",
  "text_en", "text_zh", "v",
];
const VERBS = {
  consent: ["同意以电子形式订立本文件", "agree to electronic form for"],
  sign: ["签署文件", "sign"],
  approve: ["批准本方在文件上用印", "approve, for our side, that our seal is put on"],
};
const FIELDS = [
  "act", "agreement", "at", "document_sha256", "field", "method", "nonce", "organisation",
  "organisation_name", "person", "person_name", "text_en", "text_zh", "v",
];
const ANNEXED_FIELDS = [...FIELDS, "annex_sha256", "attachments", "clauses"].sort();
const FILLED_FIELDS = [...ANNEXED_FIELDS, "fields"].sort();
const STATED_FIELDS = [...FILLED_FIELDS, "amount"].sort();
const APPROVED_FIELDS = [...STATED_FIELDS, "seal"].sort();
const SIGNED_ATTRIBUTES_TAG = 0x31;

function refuse(why) {
  throw new DeviceError("device.statement", why);
}

/** What the statement says of the amount that the sender stated (signing/amounts.py). */
function amountTexts(amount) {
  if (amount === "unstated") return ["发起方未说明金额", "the sender said nothing of an amount"];
  if (amount === "none") return ["发起方声明本文件不涉及金额", "the sender states that it is about no amount of money"];
  const fen = BigInt(amount);
  const yuan = `${(fen / 100n).toString().replace(/\B(?=(\d{3})+$)/g, ",")}.${(fen % 100n).toString().padStart(2, "0")}`;
  return [`发起方载明的金额为人民币${yuan}元`, `the sender states the amount as CNY ${yuan}`];
}

/** Which seal an approval names (signing/intent.py). */
function sealTexts(seal) {
  if (seal === null) return ["不限定所用印章", "any seal of our side may be used"];
  const { id, picture_sha256: picture } = seal;
  return [`只批准使用印章${id}（印模 SHA-256：${picture}）`, `the one seal approved is ${id} (picture ${picture}, SHA-256)`];
}

function texts(statement) {
  const [zh, en] = VERBS[statement.act];
  const { person_name: person, organisation_name: organisation, document_sha256: digest } = statement;
  let told = [
    `本人${person}，代表${organisation}，${zh}（SHA-256：${digest}）`,
    `I, ${person}, for ${organisation}, ${en} document ${digest} (SHA-256)`,
  ];
  if (statement.v === TAG) return [`${told[0]}。`, `${told[1]}.`];
  if (statement.v === STATED_TAG || statement.v === APPROVED_TAG) {
    const [amountZh, amountEn] = amountTexts(statement.amount);
    told = [`${told[0]}；${amountZh}`, `${told[1]}; ${amountEn}`];
    if (statement.v === APPROVED_TAG) {
      const [sealZh, sealEn] = sealTexts(statement.seal);
      told = [`${told[0]}；${sealZh}`, `${told[1]}; ${sealEn}`];
    }
    if (!statement.annex_sha256) return [`${told[0]}。`, `${told[1]}.`];
  }
  const { clauses, attachments, annex_sha256: list } = statement;
  if (clauses) {
    told = [
      `${told[0]}；向本人提示的${clauses}条条款，本人已逐条阅读并确认`,
      `${told[1]}; I have read and confirmed, one by one, the ${clauses} clauses pointed out to me`,
    ];
  }
  if (attachments) {
    told = [`${told[0]}；随附文件${attachments}份为其组成部分`, `${told[1]}; the ${attachments} files attached belong to it`];
  }
  if (statement.fields) {
    const { fields } = statement;
    told = [`${told[0]}；清单所列${fields}项表单域的填写内容为其组成部分`, `${told[1]}; the ${fields} form fields filled as listed belong to it`];
  }
  return [`${told[0]}（清单 SHA-256：${list}）。`, `${told[1]} (list ${list}, SHA-256).`];
}

/**
 * Values of form fields as they stand on the screen: this signer's own, and those that others filled before. An
 * approver is shown what their own side has saved, and nothing of what others have not filled yet.
 */
export const shownFields = (agreement, signer) =>
  agreement.fields.filter((one) => one.value !== "" && (one.filled_at !== null || signer.act === "approve" || one.field === signer.field));

/** The annex is of what stands on the screen: the clauses this signer confirmed, the files listed there. */
async function requireAnnex(annex, statement, { agreement, signer }) {
  const filled = shownFields(agreement, signer);
  const digest = toHex(await sha256(tagged(filled.length ? FILLED_ANNEX_TAG : ANNEX_TAG, annex)));
  if (statement.annex_sha256 !== digest) refuse("it names another annex");
  if (statement.clauses !== annex.clauses.length || statement.attachments !== annex.attachments.length) refuse("it counts otherwise");
  if (annex.agreement !== agreement.id || annex.document_sha256 !== agreement.document_sha256 || annex.field !== signer.field) {
    refuse("its annex is of another place");
  }
  const listedFields = (annex.fields ?? []).map((one) => [one.name, one.field, one.value].join("\0"));
  if (filled.map((one) => [one.name, one.field, one.value].join("\0")).sort().join("\n") !== listedFields.sort().join("\n")) {
    refuse("its form fields say something else");
  }
  if (statement.fields !== undefined && statement.fields !== listedFields.length) refuse("it counts otherwise");
  const confirmed = new Set(signer.confirmed.map((one) => one.number));
  for (const one of annex.clauses) {
    const shown = agreement.clauses.find((clause) => clause.number === one.number);
    if (!shown || !confirmed.has(one.number)) refuse(`clause ${one.number} was not confirmed`);
    const { number, kind, page, text, explanation } = shown;
    const own = toHex(await sha256(tagged(CLAUSE_TAG, { v: CLAUSE_TAG, number, kind, page, text, explanation })));
    if (own !== one.sha256) refuse(`clause ${one.number} reads otherwise`);
  }
  const listed = agreement.attachments.filter((one) => one.readable);
  if (listed.length !== annex.attachments.length) refuse("its files are other ones");
  for (const one of annex.attachments) {
    const shown = listed.find((file) => file.id === one.id);
    if (!shown || shown.sha256 !== one.sha256 || shown.name !== one.name || shown.size_bytes !== one.size) refuse(`file ${one.id} is another one`);
  }
}

/**
 * The bytes to sign for `made` (the server's answer), made from the JSON that is shown.
 * Of an approval, `seal` is the one chosen on the screen: id, kind and digest of its picture, or null for any.
 * @throws DeviceError `device.statement` when it is not about this document, this person and this act.
 */
export async function messageOf(made, { agreement, signer, act, seal = null }) {
  const statement = made.statement;
  const annexed = act !== "consent" && made.annex !== null;
  const filled = annexed && shownFields(agreement, signer).length > 0;
  const approves = act === "approve";
  const stated = approves || (act !== "consent" && agreement.amount !== "unstated");
  const expected = approves ? APPROVED_FIELDS : stated ? STATED_FIELDS : filled ? FILLED_FIELDS : annexed ? ANNEXED_FIELDS : FIELDS;
  if (Object.keys(statement).sort().join() !== expected.join()) refuse("its fields are other ones");
  const wanted = {
    v: approves ? APPROVED_TAG : stated ? STATED_TAG : filled ? FILLED_TAG : annexed ? ANNEXED_TAG : TAG,
    ...(stated ? { amount: agreement.amount } : {}),
    agreement: agreement.id,
    document_sha256: agreement.document_sha256,
    person: signer.person_id,
    person_name: signer.person_name,
    organisation: signer.organisation_id,
    organisation_name: signer.organisation_name,
    act,
    field: act === "sign" ? signer.field : "",
    method: "device_key",
  };
  for (const [field, value] of Object.entries(wanted)) {
    if (statement[field] !== value) refuse(`its ${field} is another one`);
  }
  if (approves) {
    const wantedSeal = seal ? [seal.id, seal.kind, seal.picture_sha256] : [];
    const named = statement.seal ? [statement.seal.id, statement.seal.kind, statement.seal.picture_sha256] : [];
    if (wantedSeal.join() !== named.join()) refuse("it is for another seal");
  }
  if (stated && !annexed && statement.annex_sha256 !== "") refuse("it names an annex that is not shown");
  if (annexed) await requireAnnex(made.annex, statement, { agreement, signer });
  else if (act === "approve" && shownFields(agreement, signer).length > 0) refuse("it leaves out form fields");
  else if (act === "sign" && (signer.must_confirm || agreement.attachments.some((one) => one.readable) || shownFields(agreement, signer).length > 0)) {
    refuse("it leaves out clauses, files or form fields");
  }
  const [zh, en] = texts(statement);
  if (statement.text_zh !== zh || statement.text_en !== en) refuse("its text says something else");
  const message = tagged(statement.v, statement);
  if (!equal(message, fromBase64(made.message_base64))) refuse("its bytes are other ones");
  return message;
}

/** The annex that a line of approvals names lists the values that stand in that line on the screen, no others. */
async function requireValues(item, shown, number) {
  const plain = (one) => [one.name, one.field, one.value].join("\0");
  const listed = (shown.annex?.fields ?? []).map(plain).sort().join("\n");
  if (shown.values.map(plain).sort().join("\n") !== listed) refuse(`line ${number} lists other values`);
  const digest = shown.annex && toHex(await sha256(tagged(shown.annex.fields ? FILLED_ANNEX_TAG : ANNEX_TAG, shown.annex)));
  if ((item.annex_sha256 ?? null) !== digest) refuse(`line ${number} names another annex`);
  if (shown.annex && (shown.annex.agreement !== item.agreement || shown.annex.document_sha256 !== item.document_sha256 || shown.annex.field !== item.field)) {
    refuse(`line ${number} names the annex of another place`);
  }
}

const tagged = (tag, value) => concat(new TextEncoder().encode(tag), Uint8Array.of(0), canonicalBytes(value));

/**
 * The bytes of a batch's statement (signing/batch_intent.py). Every digest in its list must be of the document
 * that stands in the same line on the screen, and the list must hold nothing else.
 * @throws DeviceError `device.statement`.
 */
export async function batchMessageOf(made, { person, organisation, personName, organisationName }) {
  const { statement, items, opened } = made;
  const approves = made.act === "approve";
  const tag = approves ? APPROVAL_TAG : BATCH_TAG;
  if (Object.keys(statement).sort().join() !== BATCH_FIELDS.join()) refuse("its fields are other ones");
  const wanted = {
    v: tag, person, person_name: personName, organisation, organisation_name: organisationName,
    method: "device_key", count: items.length,
  };
  for (const [field, value] of Object.entries(wanted)) {
    if (statement[field] !== value) refuse(`its ${field} is another one`);
  }
  if (statement.acts.join() !== (approves ? "approve" : "consent,sign")) refuse("its acts are other ones");
  if (statement.items.length !== items.length || opened.length !== items.length) refuse("its list is another one");
  for (const [index, shown] of items.entries()) {
    const item = opened[index];
    const same =
      item.agreement === shown.agreement_id && item.document_sha256 === shown.document_sha256 && item.field === shown.field;
    const stated = shown.amount !== "unstated";
    const form = approves ? (item.annex_sha256 ? ANNEXED_APPROVAL_ITEM_TAG : APPROVAL_ITEM_TAG) : stated ? STATED_ITEM_TAG : item.annex_sha256 ? ANNEXED_ITEM_TAG : ITEM_TAG;
    if (!same || toHex(await sha256(tagged(form, item))) !== statement.items[index]) refuse(`line ${index + 1} is another document`);
    if ((approves || stated) && item.amount !== shown.amount) refuse(`line ${index + 1} is of another amount`);
    const seal = shown.seal_id ? [shown.seal_id, shown.seal_kind, shown.seal_picture_sha256] : [];
    const named = item.seal ? [item.seal.id, item.seal.kind, item.seal.picture_sha256] : [];
    if (approves && seal.join() !== named.join()) refuse(`line ${index + 1} is for another seal`);
    if (approves) await requireValues(item, shown, index + 1);
  }
  const list = toHex(await sha256(tagged(ITEM_TAG, { items: statement.items })));
  let zh = `本人${personName}，代表${organisationName}，已逐份阅读所列${items.length}份文件，同意以电子形式订立，并逐份签署（清单摘要 SHA-256：${list}）。`;
  let en = `I, ${personName}, for ${organisationName}, have read each of the ${items.length} documents listed, agree to electronic form for each, and sign each (digest of the list, SHA-256: ${list}).`;
  if (approves) {
    zh = `本人${personName}，代表${organisationName}，已逐份阅读所列${items.length}份文件，逐份批准本方用印，所用印章以清单所列为准，未列明的不限（清单摘要 SHA-256：${list}）。`;
    en = `I, ${personName}, for ${organisationName}, have read each of the ${items.length} documents listed, and approve for each, for our side, that our seal is put on: the one listed with it, or any where none is listed (digest of the list, SHA-256: ${list}).`;
  }
  if (statement.text_zh !== zh || statement.text_en !== en) refuse("its text says something else");
  const message = tagged(tag, statement);
  if (!equal(message, fromBase64(made.message_base64))) refuse("its bytes are other ones");
  return message;
}

/**
 * The CMS attributes to sign. The device signs no other bytes: a SET that holds the digest of the
 * prepared file and names the certificate of this device.
 */
export function attributesOf(prepared, { certificateSha256 }) {
  const bytes = fromBase64(prepared.signed_attrs_base64);
  const fits =
    bytes[0] === SIGNED_ATTRIBUTES_TAG &&
    includes(bytes, fromHex(prepared.document_digest)) &&
    includes(bytes, fromHex(certificateSha256));
  if (!fits) throw new DeviceError("device.attributes", "these are not the attributes of this signature");
  return bytes;
}
