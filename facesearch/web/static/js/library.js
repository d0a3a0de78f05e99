/** The library: a line at the foot that opens. It follows what the server does. */

import { h, fill, counted } from "./dom.js";
import { address, get, may, post, remove, send, visitor } from "./api.js";
import { invitation } from "./invitation.js";
import { complain, tell } from "./messages.js";

const foot = document.getElementById("library");
const listeners = new Set();
const TOGETHER = 10;

/** Call a function when photos have come or gone, until the signal; a screen offers to show them, and never jumps. */
export function whenNew(callback, signal) {
  listeners.add(callback);
  signal.addEventListener("abort", () => listeners.delete(callback));
}

let status = null;
let run = { state: "idle" };
let events = null;
let timer = 0;
let busy = false;

const words = h("span.library-words");
const meter = h("progress", { hidden: true, "aria-label": "Progress" });
const line = h("button.library-line", { type: "button", "aria-expanded": "false", "aria-controls": "library-panel", onclick: toggle }, words, meter, h("span.library-sign", { "aria-hidden": "true" }));
const about = h("section");
const progress = h("section", { "aria-live": "polite" });
const news = h("section");
const failures = h("section");
const adding = h("section");
const panel = h("div.library-panel", { id: "library-panel", hidden: true }, progress, about, news, adding, failures, h("section", {}, h("div.library-own")));

export const library = {
  async open() {
    fill(foot, line, panel);
    foot.hidden = false;
    showOwn();
    follow();
    await renew().catch(complain);
  },
  close() {
    events?.close();
    events = null;
    clearTimeout(timer);
    foot.hidden = true;
    if (!panel.hidden) toggle();
  },
};

function toggle() {
  panel.hidden = !panel.hidden;
  line.setAttribute("aria-expanded", String(!panel.hidden));
  if (!panel.hidden) showMore();
}

/** Follow the events of the server. A browser connects again by itself when the connection breaks. */
function follow() {
  events?.close();
  events = new EventSource(address("events"));
  events.addEventListener("run", (event) => took(JSON.parse(event.data)));
  events.addEventListener("changed", () => {
    clearTimeout(timer);
    timer = setTimeout(() => renew().catch(() => {}), 500);
  });
}

function took(state) {
  const ended = run.state === "running" && state.state !== "running";
  run = state;
  showLine();
  showProgress();
  if (!ended) return;
  renew().then(() => panel.hidden || showMore()).catch(() => {});
  if (state.state === "failed") complain(`The library could not be brought up to date: ${state.message}`);
  else if (panel.hidden) tell(state.state === "done" ? "The library is up to date." : "Stopped. What was read is kept.");
}

async function renew() {
  const before = status;
  status = await get("status");
  run = status.run;
  showLine();
  showProgress();
  if (before && (before.photos !== status.photos || before.faces !== status.faces)) for (const call of listeners) call();
}

function showLine() {
  if (!status) return;
  const people = status.people === null ? "" : `, ${counted(status.people, "person", "people")}`;
  const running = run.state === "running";
  const last = status.last_run?.finished;
  fill(words, h("strong", {}, `${counted(status.photos, "photo")}, ${counted(status.faces, "face")}${people}`), " ",
    h("span", {}, running ? `looking for new photos${run.total ? `: ${run.done.toLocaleString("en")} of ${run.total.toLocaleString("en")}` : ""}` : last ? `up to date since ${moment(last)}` : "never brought up to date"),
    status.failed && !running ? h("span.library-failed", {}, ` ${counted(status.failed, "photo")} could not be read`) : null);
  meter.hidden = !running;
  if (run.total) {
    meter.max = run.total;
    meter.value = run.done;
  } else meter.removeAttribute("value");
}

function showProgress() {
  if (run.state === "running") {
    const told = run.total ? `${run.done.toLocaleString("en")} of ${counted(run.total, "photo")} read, ${counted(run.faces, "face")} found` : "Looking through the folders";
    if (!progress.querySelector(".cancel")) {
      fill(progress, h("h2", {}, "Looking for new photos"), h("p.told-progress"),
        may("owner") ? h("button.cancel", { type: "button", onclick: () => remove("refresh").catch(complain) }, "Stop") : null);
    }
    fill(progress.querySelector(".told-progress"), `${told}${run.failed ? `, ${counted(run.failed, "failure")}` : ""}.`);
    return;
  }
  const had = progress.contains(document.activeElement);
  fill(progress, may("owner") ? h("div.buttons", {}, h("button.primary", { type: "button", onclick: () => refresh(false) }, "Look for new photos"), lastRun()) : null);
  if (had) progress.querySelector("button")?.focus();
}

function lastRun() {
  const text = {
    failed: `It did not work: ${run.message}`, cancelled: "Stopped. What was read is kept.",
    done: run.report ? `Done: ${counted(run.report.new ?? 0, "new photo")}, ${counted(run.report.faces ?? 0, "face")} found.` : "Done.",
  }[run.state];
  return text ? h("span.remark", {}, text) : null;
}

async function refresh(again) {
  try {
    took(await post("refresh", { retry_failed: again }));
  } catch (error) {
    complain(error);
  }
}

function showMore() {
  fill(about, h("h2", {}, "Folders"), h("ul.paths", {}, status.roots.map((root) => h("li", {}, root))), h("p.remark", {}, described()));
  showNews();
  showFailures();
  showAdding();
}

function described() {
  const parts = [`Model ${status.model}`];
  if (status.no_face) parts.push(`${counted(status.no_face, "photo")} without a face`);
  if (status.hidden) parts.push(`${counted(status.hidden, "photo")} out of sight, because the files are missing`);
  return `${parts.join(", ")}.`;
}

// Who is new

async function showNews() {
  const told = await get("news").catch(() => null);
  if (!told) return;
  const nothing = !told.people.length && !told.unknown_faces;
  const had = news.contains(document.activeElement);
  fill(news, h("h2", { tabindex: "-1" }, "New since last time"),
    nothing ? h("p.remark", {}, "Nobody new.") : null,
    h("ul.news", {}, told.people.slice(0, 12).map((one) => h("li", {}, h("a", { href: `#/person/${one.person}` }, one.name ?? `Person ${one.person}`), ` in ${counted(one.photos, "new photo")}`, one.new ? h("span.verdict", { "data-verdict": "likely" }, "first seen") : null))),
    told.people.length > 12 ? h("p.remark", {}, `And ${counted(told.people.length - 12, "other person", "other people")}.`) : null,
    told.unknown_faces ? h("p.remark", {}, `${counted(told.unknown_faces, "face")} that nobody knows, in ${counted(told.unknown_photos, "photo")}.`) : null,
    nothing ? null : h("button", {
      type: "button",
      onclick: async () => {
        try {
          await post("news");
          await showNews();
        } catch (error) {
          complain(error);
        }
      },
    }, "I have seen these"));
  if (had) news.querySelector("h2").focus();
}

async function showFailures() {
  if (!status.failed) {
    fill(failures);
    return;
  }
  const found = await get("failures").catch(() => ({ total: 0, failures: [] }));
  fill(failures, h("h2", {}, `${counted(found.total, "photo")} could not be read`),
    h("ul.failures", {}, found.failures.map((one) => h("li", {}, h("span.path", {}, one.path), h("small", {}, one.reason)))),
    found.total > found.failures.length ? h("p.remark", {}, `And ${(found.total - found.failures.length).toLocaleString("en")} more.`) : null,
    may("owner") ? h("button", { type: "button", onclick: () => refresh(true) }, "Try them again") : null);
}

// Adding photos

function showAdding() {
  if (!status.uploads || !may("owner") || busy) {
    if (!busy) fill(adding);
    return;
  }
  const field = h("input", { type: "file", multiple: true, accept: "image/*", id: "library-add", hidden: true, "aria-label": "Photos to add", onchange: () => add([...field.files]) });
  fill(adding, h("h2", {}, "Add photos"), h("div.buttons", {}, h("button", { type: "button", onclick: () => field.click() }, "Choose photos"), field),
    h("div.added", { "aria-live": "polite" }));
}

async function add(files) {
  const told = adding.querySelector(".added");
  const button = adding.querySelector("button");
  const results = [];
  busy = true;
  button.disabled = true;
  try {
    for (let start = 0; start < files.length; start += TOGETHER) {
      fill(told, h("p.remark", {}, `${(start + 1).toLocaleString("en")} of ${counted(files.length, "photo")} ...`));
      const answer = await send("uploads", files.slice(start, start + TOGETHER));
      results.push(...answer.photos);
      if (!answer.indexed) tell("A run is going on; the photos are kept, and the next run reads them.");
    }
  } catch (error) {
    complain(error);
  } finally {
    busy = false;
    button.disabled = false;
  }
  const kept = results.filter((one) => one.result === "kept").length;
  const WORDS = { kept: "added", known: "was there already", refused: "not added" };
  fill(told, h("p", {}, `${counted(kept, "photo")} added.`), h("ul.failures", {}, results.map((one) => h("li", {},
    one.photo_id ? h("a", { href: `#/photo/${one.photo_id}` }, one.name) : h("span.path", {}, one.name), h("small", {}, one.reason ?? WORDS[one.result])))));
}

function showOwn() {
  fill(panel.querySelector(".library-own"),
    may("owner") ? invitation() : null,
    h("p.library-me", {}, `You are ${visitor.name}, and may ${{ look: "look", name: "look and name", owner: "do everything" }[visitor.rights]}. `,
      h("button", { type: "button", onclick: leave }, "End this session"), " ", h("a", { href: address("docs") }, "For programs: the REST API")));
}

async function leave() {
  try {
    events?.close();
    await remove("session");
    location.assign(new URL("./", document.baseURI));
    location.reload();
  } catch (error) {
    complain(error);
  }
}

/** Return a moment, given in seconds: only the time if it was today. */
function moment(seconds) {
  const then = new Date(seconds * 1000);
  const today = then.toDateString() === new Date().toDateString();
  return today ? then.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })
    : then.toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}
