/**
 * The questions that wait, some of them fetched ahead.
 *
 * An answer may settle other questions, which the server knows after it has it. Until then only questions about other
 * people are shown: so none is shown that has been settled, and the next one is there at once.
 */

import { get } from "./api.js";

const AHEAD = 100;

/** Return a queue; its requests end with the signal. */
export function queue(signal) {
  let waiting = [];
  let current = null;
  let more = false;
  let asked = 0;
  let renewing = null;
  /** Answers that the list of questions does not know of yet, by question: `touched` people and faces, and if `sent`. */
  const answers = new Map();
  const skipped = new Map();

  function isFree(question) {
    const mine = about(question);
    return ![...answers.values()].some((answer) => answer.touched.some((key) => mine.includes(key)));
  }

  async function renew() {
    const mine = ++asked;
    const known = [...answers].filter(([, answer]) => answer.sent);
    const { questions } = await get(`review?limit=${AHEAD}`, { signal });
    if (mine !== asked) return;
    for (const [id, answer] of known) if (answers.get(id) === answer) answers.delete(id);
    more = questions.length === AHEAD;
    waiting = questions.filter((one) => one.id !== current?.id && !answers.has(one.id) && !skipped.has(one.id));
  }

  return {
    /** Ask the server which questions there are; one request at a time is enough. */
    renew() {
      renewing ??= renew().finally(() => { renewing = null; });
      return renewing;
    },
    /** Take the next question out, null if there is none that can be shown now. */
    next() {
      const place = waiting.findIndex(isFree);
      current = place < 0 ? null : waiting.splice(place, 1)[0];
      return current;
    },
    answered(question, answer) {
      if (answer === "skip") skipped.set(question.id, question);
      answers.set(question.id, { touched: answer === "skip" ? [] : about(question), sent: false });
    },
    sent(question) {
      const answer = answers.get(question.id);
      if (answer) answer.sent = true;
    },
    /** An answer is taken back; it is asked again, and the question that was shown comes after it. */
    takenBack(question) {
      skipped.delete(question.id);
      answers.delete(question.id);
      asked += 1; // a list that is on its way does not know of it
      if (current) waiting = [current, ...waiting];
      waiting = waiting.filter((one) => one.id !== question.id);
      current = question;
    },
    /** Ask again what was skipped. */
    again() {
      waiting = [...skipped.values(), ...waiting];
      skipped.clear();
    },
    ahead: (number) => waiting.slice(0, number),
    get left() {
      return waiting.length;
    },
    get more() {
      return more;
    },
    get skipped() {
      return skipped.size;
    },
    /** Whether the server may have more to ask after it has taken in the answers. */
    get busy() {
      return waiting.length > 0 || answers.size > 0;
    },
    /** Whether an answer is on its way. */
    get pending() {
      return [...answers.values()].some((answer) => !answer.sent);
    },
  };
}

/** Return the people and the faces that a question is about, as keys. */
function about(question) {
  const people = [...question.people.map((one) => one.person), ...question.faces.map((face) => face.person)];
  return [...people.filter((person) => person !== null).map((person) => `person ${person}`), ...question.faces.map((face) => `face ${face.face_id}`)];
}
