/** What looks wrong with people, below the questions. */

import { h, fill, counted } from "./dom.js";
import { get } from "./api.js";
import { complain } from "./messages.js";
import { portrait } from "./portrait.js";

const SHOWN = 24;

/** Show the problems, if there are any. */
export async function open(element, signal) {
  let problems = [];
  try {
    ({ problems } = await get("problems", { signal }));
  } catch (error) {
    complain(error);
  }
  if (!problems.length || signal.aborted) return;
  const show = (number) => fill(element, h("h2", { tabindex: "-1" }, counted(problems.length, "thing looks wrong", "things look wrong")),
    h("ul.problems", {}, problems.slice(0, number).map(entry)),
    number < problems.length ? h("button", { type: "button", onclick: () => { show(problems.length); element.querySelector("h2").focus({ preventScroll: true }); } }, `Show all ${problems.length.toLocaleString("en")}`) : null);
  show(SHOWN);
}

function entry(problem) {
  const [first, other] = problem.people.map((one) => h("a", { href: `#/person/${one.person}` }, one.name ?? `Person ${one.person}`));
  const words = {
    alike: [first, " and ", other, " look like one person"],
    contaminated: [counted(problem.faces.length, "face"), " of ", first, problem.faces.length === 1 ? " is" : " are", " nearer to ", other ?? "somebody else"],
    twice: ["One photo shows ", first, " twice"],
    "before-birth": [counted(problem.faces.length, "photo"), " of ", first, problem.faces.length === 1 ? " was" : " were", " taken before the birth"],
  }[problem.kind] ?? [first, ": ", problem.problem];
  return h("li", {}, h("span.problem-faces", {}, problem.faces.slice(0, 4).map((face) => h("a", { href: `#/photo/${face.photo_id}?face=${face.face_id}`, "aria-label": "The photo" }, portrait(face.face_id, 96)))), h("span", {}, words));
}
