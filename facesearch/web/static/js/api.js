/** Talk to the server that this page comes from. Every path is relative, so that a proxy may put the page anywhere. */

const BASE = new URL("api/v1/", document.baseURI);

/** A request that failed: `status`, and in `message` what is wrong and what to do next. */
export class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let onLocked = () => {};

/** Call a function whenever the server says that there is no session (any more). */
export function whenLocked(callback) {
  onLocked = callback;
}

/** Return the address of something under the API, for pictures and downloads. */
export function address(path) {
  return new URL(path, BASE).href;
}

/** Return the address of a picture; in a shared gallery, ids are those of an index, and a face needs its photo. */
export function photoPicture(photo, side = 640, index = null) {
  return address(`photos/${photo}/picture?side=${side}${inIndex(index)}`);
}

export function facePicture(face, side = 192, { photo = null, index = null } = {}) {
  return address(`faces/${face}/picture?side=${side}${index === null ? "" : `&photo=${photo}`}${inIndex(index)}`);
}

export function inIndex(index) {
  return index ? `&index=${encodeURIComponent(index)}` : "";
}

async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(address(path), { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server does not answer. Is facesearch serve still running?");
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  if (answer.status === 401 && path !== "session") onLocked();
  throw new Problem(answer.status, sentence(problem.detail ?? `The server answered with ${answer.status}.`));
}

/** Return a message as a sentence. */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

async function json(answer) {
  return answer.status === 204 ? null : answer.json();
}

export async function get(path, options = {}) {
  return json(await request(path, options));
}

export async function post(path, body = {}, options = {}) {
  const headers = { "Content-Type": "application/json" };
  return json(await request(path, { method: "POST", headers, body: JSON.stringify(body), ...options }));
}

export async function remove(path) {
  return json(await request(path, { method: "DELETE" }));
}

/** Send files, and a question about them. */
export async function send(path, files, question = {}, options = {}) {
  const form = new FormData();
  for (const file of files) form.append("photo", file, file.name || "photo");
  form.append("question", JSON.stringify(question));
  return json(await request(path, { method: "POST", body: form, ...options }));
}

/** Download what a request answers with. */
export async function download(path, body, name) {
  const headers = { "Content-Type": "application/json" };
  const answer = await request(path, { method: "POST", headers, body: JSON.stringify(body) });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Say something about people; return the number of the action. */
export async function say(statement) {
  return (await post("statements", statement)).action;
}

/** Who is using this page, null without a session; and what is served, an `index` or a shared `gallery`. */
export const visitor = { name: null, rights: null, serves: null };

const ORDER = ["look", "name", "owner"];

/** Whether the visitor has a right. Nothing is written to a shared gallery. */
export function may(right) {
  if (visitor.serves === "gallery" && right !== "look") return false;
  return ORDER.indexOf(visitor.rights) >= ORDER.indexOf(right);
}

/** Begin a session with the key in the address, if there is one, and find out who this is. */
export async function enter(key) {
  if (key) await post("session", { key });
  Object.assign(visitor, await get("session"));
  return visitor.rights !== null;
}
