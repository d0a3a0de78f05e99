/** Give a person a name. If somebody else has it already, the user says whether the two are one person. */

import { h, counted } from "./dom.js";
import { get, say } from "./api.js";
import { portrait } from "./portrait.js";

/**
 * Say the name of a person, and with `more` other things the API takes with it. `ask(namesake)` is called if the name is
 * taken, and returns a promise of "merge" (one person), "keep" (two people) or null (neither).
 *
 * Returns `{action, into}`, where `into` is the person that both are now, null unless they are one; null if the user
 * chose neither.
 */
export async function giveName(person, name, ask, more = {}) {
  const namesake = await taken(person, [name, more.external_id]);
  const answer = namesake ? await ask(namesake) : undefined;
  if (answer === null) return null;
  const action = await say({ say: "name", person, ...more, ...(name ? { name } : {}), ...(answer ? { if_taken: answer } : {}) });
  return { action, into: answer === "merge" ? namesake.number : null };
}

/** Return the first person who bears one of these names, null if nobody else does. */
async function taken(person, names) {
  for (const name of names.filter(Boolean)) {
    const { people } = await get(`people?ignored=true&limit=100&search=${encodeURIComponent(name)}`);
    const wanted = name.trim().normalize("NFC").toLowerCase();
    const found = people.find((other) => other.number !== person
      && [other.name, other.external_id, ...other.aliases].some((one) => one?.toLowerCase() === wanted));
    if (found) return found;
  }
  return null;
}

/** Return a question for the place where the name was typed; `answered` gets what `ask` above returns. */
export function sameOrAnother(name, namesake, answered) {
  const answer = (value) => () => answered(value);
  return h("div.taken", {
    role: "group", "aria-label": "This name is taken",
    onkeydown: (event) => {
      event.stopPropagation();
      if (event.key === "Escape") answered(null);
    },
  },
    h("div.taken-who", {}, portrait(namesake.cover, 96), h("p", {}, `${namesake.name ?? name} is there already, with ${counted(namesake.photos, "photo")}.`)),
    h("div.buttons", {},
      h("button.primary", { type: "button", onclick: answer("merge") }, "The same person"),
      h("button", { type: "button", onclick: answer("keep") }, "Another person"),
      h("button", { type: "button", onclick: answer(null) }, "Cancel"),
    ));
}
