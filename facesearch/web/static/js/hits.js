/** What the hits of an answer mean: which are found, how sure they are, and in what order they are shown. */

import { counted } from "./dom.js";

/** Whether a hit is found: it is similar enough or shows the person, and can be that person. */
export function isFound(hit) {
  return !hit.is_query && !hit.somebody_else && !hit.before_birth && (hit.via === "person" || hit.above_threshold !== false);
}

/** Whether the user should look at it: it is not sure, or it was found through another photo. */
export function isDoubtful(hit) {
  return hit.via === "person" || hit.somebody_else || hit.before_birth || hit.verdict === "possible" || hit.verdict === "unlikely";
}

/** Return the hits of an answer as parts with headings; parts without hits are left out. */
export function parts(answer) {
  const sure = [];
  const unsure = [];
  const others = [];
  for (const hit of answer.hits) {
    if (hit.is_query) continue;
    if (!isFound(hit)) others.push(hit);
    else if (hit.verdict === "possible" || hit.verdict === "unlikely") unsure.push(hit);
    else sure.push(hit);
  }
  const own = answer.hits.filter((hit) => hit.is_query);
  const several = [sure, unsure, others, own].filter((part) => part.length).length > 1;
  return [
    { heading: several && sure.length ? "Found" : null, items: sure },
    { heading: "Not sure", items: unsure },
    { heading: "Probably somebody else, or too different", items: others },
    { heading: "The photo you asked with", items: own },
  ].filter((part) => part.items.length);
}

/** Return what a person is called. */
export function called(person, name) {
  return name ?? (person ? "this person without a name" : "this person");
}

/** Return the answer in one sentence. */
export function sentence(answer) {
  const found = answer.hits.filter(isFound);
  const photos = (hits) => new Set(hits.map((hit) => hit.photo_id)).size;
  const through = photos(found.filter((hit) => hit.via === "person"));
  const all = photos(found);
  if (answer.path === null && answer.person) return `${answer.name ?? "Somebody without a name"}: ${counted(all, "photo")}`;
  if (!all) return "Nobody found who looks like this";
  if (!answer.person) return `${counted(all, "photo")} that may show this person`;
  const who = answer.name ? `Probably ${answer.name}` : "Probably somebody without a name";
  const ways = through ? `, ${all - through} by face, ${through} through other photos of them` : "";
  return `${who}: ${counted(all, "photo")}${ways}`;
}

/** Why a doubtful hit is there, in a few words. */
export function reason(hit) {
  if (hit.somebody_else) return hit.name ? `looks alike, but is ${hit.name}` : "looks alike, but is somebody else";
  if (hit.before_birth) return "taken before the birth";
  if (hit.via === "person") return hit.via_face ? "through this photo" : "";
  if (hit.above_threshold === false) return "less similar";
  return "";
}

/** Return what stands for the photo of a hit in an address: its id, and in a shared gallery the name of its index. */
export function placeOf(hit) {
  return hit.index ? `${hit.photo_id}?index=${encodeURIComponent(hit.index)}` : String(hit.photo_id);
}
