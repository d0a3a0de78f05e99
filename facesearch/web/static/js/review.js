/** Review: two faces, three answers, and instantly the next question. Every answer can be taken back. */

import { h, fill, counted, baseName } from "./dom.js";
import { facePicture, get, may, photoPicture, post, say } from "./api.js";
import { boxes } from "./boxes.js";
import { complain, tell } from "./messages.js";
import { open as problems } from "./problems.js";
import { portrait } from "./portrait.js";
import { queue } from "./questions.js";

const ANSWERS = { yes: ["Same", "Y"], no: ["Different", "N"], skip: ["Skip", "S"] };
const KEYS = { y: "yes", 1: "yes", n: "no", 2: "no", s: "skip", 3: "skip", " ": "skip" };

export async function open(element) {
  document.title = "Review - facesearch";
  const ending = new AbortController();
  const { signal } = ending;
  if (!may("name")) {
    fill(element, h("p.notice", {}, "Whoever may only look cannot answer questions about people."));
    return null;
  }
  const waiting = queue(signal);
  const past = [];
  let now = null;
  let whole = false;
  let work = Promise.resolve();

  const told = h("p.count");
  const stage = h("section.review-stage", { "aria-label": "Question" });
  const said = h("p.unseen", { role: "status" });
  const undo = h("button", { type: "button", disabled: true, onclick: back }, "Undo", h("kbd", {}, "U"));
  const below = h("section.review-problems");
  fill(element, h("div.review", {}, h("header.review-head", {}, h("h1", { tabindex: "-1" }, "Review"), told, undo), said, stage, below));
  fill(stage, h("p.notice", {}, "Looking for questions ..."));
  addEventListener("keydown", keys, { signal });
  waiting.renew().then(next, failed).then(() => signal.aborted || problems(below, signal));

  function next() {
    now = waiting.next();
    if (now) show();
    else if (waiting.busy) wait();
    else end();
    tally();
  }

  /** What is left may be settled by answers on their way: ask the server before anything is shown. */
  async function wait() {
    stage.setAttribute("aria-busy", "true");
    try {
      await work;
      await waiting.renew();
      if (!signal.aborted && !now) next();
    } catch (error) {
      failed(error);
    } finally {
      stage.removeAttribute("aria-busy");
    }
  }

  function failed(error) {
    if (signal.aborted) return;
    complain(error);
    fill(stage, h("p.notice", {}, h("button", { type: "button", onclick: wait }, "Try again")));
  }

  /** Ask for the questions in the background, once the answers are there. */
  async function follow() {
    if (waiting.pending) return;
    await waiting.renew().catch(() => {});
    tally();
  }

  function tally() {
    const left = waiting.left + (now ? 1 : 0);
    fill(told, left ? `${waiting.more ? "More than " : ""}${counted(left, "question")} left` : "");
    undo.disabled = !past.length;
    fill(undo, past.length > 1 ? `Undo (${past.length})` : "Undo", h("kbd", {}, "U"));
  }

  function show() {
    const [first, second] = now.faces;
    const question = h("h2", { id: "asked", tabindex: "-1" }, asked(now));
    const had = stage.contains(document.activeElement) ? document.activeElement.dataset.answer : undefined;
    fill(stage, question,
      h("div.duel", {}, side(first, 0), side(second, 1)),
      h("div.review-answers", {}, Object.entries(ANSWERS).map(([answer, [text, key]]) => h("button", {
        type: "button", "data-answer": answer, class: answer === "yes" ? "primary" : "", "aria-describedby": "asked", "aria-keyshortcuts": key, onclick: () => give(answer),
      }, text, h("kbd", {}, key)))),
      h("p.review-more", {}, h("button", { type: "button", "aria-pressed": String(whole), "aria-keyshortcuts": "W", onclick: turn }, whole ? "Faces" : "Whole photos", h("kbd", {}, "W")),
        now.photos > 1 ? h("span.remark", {}, `The answer settles ${counted(now.photos, "photo")}.`) : null));
    if (had) stage.querySelector(`[data-answer="${had}"]`).focus();
    fill(said, `${asked(now)} ${whose(now, 0).text}; ${whose(now, 1).text}.`);
    for (const one of waiting.ahead(20)) for (const face of one.faces) preload(face.face_id);
  }

  function side(face, place) {
    const who = whose(now, place);
    const picture = whole ? h("div.review-whole") : h("div.review-face", {}, portrait(face.face_id, 384, who.text));
    if (whole) wholePhoto(picture, face);
    return h("figure", {}, picture, h("figcaption", {},
      who.person ? h("a", { href: `#/person/${who.person}` }, who.text) : h("strong", {}, who.text),
      who.photos ? h("small", {}, counted(who.photos, "photo")) : h("small", {}, baseName(face.path))));
  }

  async function wholePhoto(element, face) {
    const photo = await get(`photos/${face.photo_id}`, { signal }).catch(() => null);
    if (!photo || !element.isConnected) return;
    fill(element, boxes({
      url: photoPicture(face.photo_id, 1280), alt: baseName(photo.path), size: [photo.width, photo.height], faces: [{ box: face.box, label: "The face in question", short: "this face" }],
      choose: () => { location.hash = `#/photo/${face.photo_id}?face=${face.face_id}`; }, onfail: () => fill(element, h("p.notice", {}, "Not readable now")),
    }));
  }

  function turn() {
    if (!now) return;
    whole = !whole;
    const pressed = stage.querySelector("[aria-pressed]") === document.activeElement;
    show();
    if (pressed) stage.querySelector("[aria-pressed]").focus();
  }

  function give(answer) {
    if (!now) return;
    const question = now;
    const entry = { question, answer, action: null };
    past.push(entry);
    waiting.answered(question, answer);
    next();
    work = work.then(() => send(entry));
  }

  /** Send an answer, after those before it; the questions follow in the background. */
  async function send(entry) {
    try {
      entry.action = (await post(`review/${entry.question.id}`, { answer: entry.answer })).action;
    } catch (error) {
      past.splice(past.indexOf(entry), 1);
      // Somebody else, or an earlier answer, has settled it: there is nothing to do.
      if (error.status !== 422 && error.status !== 404) complain(error);
    }
    waiting.sent(entry.question);
    follow();
  }

  /** Take the last answer back, and ask again. */
  function back() {
    const entry = past.pop();
    if (!entry) return;
    waiting.takenBack(entry.question);
    now = entry.question;
    show();
    tally();
    tell(`Taken back: ${ANSWERS[entry.answer][0].toLowerCase()}.`);
    work = work.then(async () => {
      if (entry.action === null) return;
      try {
        await say({ say: "undo", action: entry.action });
      } catch (error) {
        complain(error);
      }
      follow();
    });
  }

  function end() {
    const skipped = waiting.skipped;
    const answers = past.filter((entry) => entry.answer !== "skip").length;
    fill(stage, h("div.done", {}, h("h2", { tabindex: "-1" }, skipped ? "That is all, besides what you skipped" : "All questions are answered"),
      h("p.remark", {}, answers ? `${counted(answers, "answer")} this time. Thank you.` : skipped ? "They come last, today and another day." : "New questions come with new photos."),
      h("div.buttons", {}, skipped ? h("button", { type: "button", onclick: () => { waiting.again(); next(); } }, `Ask again what was skipped (${skipped})`) : null, h("a.button", { href: "#/people" }, "People"))));
    stage.querySelector("h2").focus();
    fill(said, stage.querySelector("h2").textContent);
  }

  function keys(event) {
    if (event.target.matches("input, textarea, select") || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "u" && !event.ctrlKey && !event.metaKey || key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey) {
      event.preventDefault();
      back();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.repeat) return;
    if (key === " " && event.target.matches("button, a, summary")) return; // it presses what has the focus
    if (key === "w") turn();
    else if (KEYS[key] && now) {
      event.preventDefault();
      give(KEYS[key]);
    }
  }

  return () => ending.abort();
}

/** Return a question in words. */
function asked(question) {
  const [person] = question.people;
  const name = person?.name;
  if (question.kind === "member") return name ? `Is this really ${name}?` : "Do both show the same person?";
  if (question.kind !== "merge" && name) return `Is this ${name}?`;
  return "Are these the same person?";
}

/** Return who one of the two faces is: `text`, and the person, if the face is of somebody who is known. */
function whose(question, place) {
  const named = (one) => ({ text: one.name ?? `Person ${one.person}`, person: one.person, photos: one.photos });
  if (question.kind === "merge") return named(question.people[place]);
  if (place === 1) return named(question.people[0]);
  const other = question.people[1];
  if (question.kind === "outsider" && other) return { text: `Taken for ${other.name ?? `person ${other.person}`} now` };
  return { text: question.kind === "member" ? "In question" : "Nobody yet" };
}

const loaded = new Map();

/** Get the picture of a face before it is shown; only the last ones are held. */
function preload(face) {
  if (loaded.has(face)) return;
  const picture = new Image();
  picture.src = facePicture(face, 384);
  loaded.set(face, picture);
  if (loaded.size > 80) loaded.delete(loaded.keys().next().value);
}
