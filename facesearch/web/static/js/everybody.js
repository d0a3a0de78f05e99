/** The list of people, which is kept while other screens are shown: it is there at once, in the same place. */

import { get } from "./api.js";

const FIRST = 200;
const MOST = 1000;

/** What was shown last: people, where the page was scrolled to, whom the focus was on, and who was named meanwhile. */
export const kept = { people: [], total: 0, complete: false, ignored: false, scroll: 0, focus: null, named: new Set() };

/** Get all people, some at a time; `arrived(people, total)` is called with all that are there, and at the end once more. */
export async function everybody(ignored, signal, arrived = () => {}) {
  const found = new Map();
  let total = 1;
  for (let offset = 0, limit = FIRST; offset < total; offset += limit, limit = MOST) {
    const page = await get(`people?ignored=${ignored}&offset=${offset}&limit=${limit}`, { signal });
    total = page.total;
    for (const person of page.people) if (!found.has(person.number)) found.set(person.number, person);
    if (!page.people.length) break;
    arrived([...found.values()], total);
  }
  return [...found.values()];
}

/** Return what is searched for, or a name, without case and accents. */
export function folded(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim();
}

/** Whether a person is found by a text: a part of a name, an alias or an external id, or a number as #12. */
export function isCalled(person, text) {
  const names = [person.name, person.external_id, ...person.aliases, `#${person.number}`];
  return !text || names.some((name) => name && folded(name).includes(text));
}
