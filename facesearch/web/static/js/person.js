/** A person: who it is, and the photos by year. */

import { h, fill, icon, baseName, counted, shownDate } from "./dom.js";
import { download, get, may, photoPicture, say } from "./api.js";
import { grid } from "./grid.js";
import { whenNew } from "./library.js";
import { list } from "./list.js";
import { complain, done, tell as announce } from "./messages.js";
import { namer } from "./namer.js";
import { facts } from "./person_facts.js";
import { divider } from "./person_parts.js";
import { portrait } from "./portrait.js";
import { reusing } from "./reusing.js";
import { selecting, selection } from "./selection.js";

/** What was shown last, and where; it is there at once when one comes back from a photo. */
const kept = { number: null, record: null, hits: [], scroll: 0, focus: null };
/** What is to be said when the next person is shown: it was done on the way there. */
let onArrival = null;

export async function open(element, [id]) {
  const number = Number(id);
  const ending = new AbortController();
  const { signal } = ending;
  const back = kept.number === number && kept.record ? { scroll: kept.scroll, focus: kept.focus } : null;
  if (!back) Object.assign(kept, { number, record: null, hits: [], scroll: 0, focus: null });
  const drawn = reusing(draw, (hit) => hit.face_id);
  let cells = null;
  let shown = [];

  const head = h("header.person-head");
  const tools = h("div.tools");
  const drawer = h("div.person-drawer");
  const news = h("div.news-offer");
  const years = h("nav.years", { "aria-label": "Years", hidden: true });
  const place = h("div.results");
  const actions = h("div.actions", { hidden: true, role: "toolbar", "aria-label": "Selected photos" });
  const chosen = selection(() => shown.map((hit) => hit.face_id), showActions);
  fill(element, h("div.one-person", {}, h("p.back", {}, h("a", { href: "#/people" }, icon("left"), "People")), head, tools, drawer, news, years, place, actions));
  selecting(place, chosen, (target) => Number(target?.closest?.("[data-face]")?.dataset.face ?? NaN) || null, signal);
  place.addEventListener("focusin", (event) => {
    kept.focus = Number(event.target.closest("[data-face]")?.dataset.face ?? kept.focus);
    if (kept.focus) chosen.begin(kept.focus);
  }, { signal });
  addEventListener("scroll", () => { kept.scroll = scrollY; }, { passive: true, signal });
  whenNew(() => fill(news, h("button", { type: "button", onclick: () => { fill(news); load(); } }, "New photos: show them")), signal);

  const editing = facts({ drawer, changed: load, gone: moveTo });
  const dividing = divider({ drawer, changed: load, gone: moveTo });

  if (back) {
    show();
    scrollTo(0, back.scroll);
    cells.redraw(); // what is in sight there
    place.querySelector(`[data-face="${back.focus}"] .picture`)?.focus({ preventScroll: true });
  }
  load().then(arrive); // the screen can be left before that

  function arrive() {
    if (!onArrival || signal.aborted) return;
    const { text, action, undone } = onArrival;
    onArrival = null;
    if (action === null) announce(text);
    else done(text, action, undone);
  }

  async function load() {
    try {
      const [record, answer] = await Promise.all([get(`people/${number}`, { signal }), get(`people/${number}/photos`, { signal })]);
      if (record.number !== number) {
        location.replace(`#/person/${record.number}`);
        return;
      }
      const hits = answer.queries[0]?.hits ?? [];
      const same = JSON.stringify([kept.record, kept.hits]) === JSON.stringify([record, hits]);
      Object.assign(kept, { number, record, hits });
      if (!same || !cells) show();
    } catch (error) {
      if (error.status === 404) fill(element, h("div.notice", {}, h("h1", { tabindex: "-1" }, "There is no such person"), h("p", {}, error.message), h("p", {}, h("a", { href: "#/people" }, "All people"))));
      else complain(error);
    }
  }

  /** Show another person, and say there what was done. Whoever takes it back there comes here again. */
  function moveTo(other, text, action) {
    const there = `#/person/${other}`;
    const undone = () => {
      if (location.hash !== there) return;
      onArrival = { text: "Taken back.", action: null };
      location.hash = `#/person/${number}`;
    };
    onArrival = { text, action, undone };
    location.hash = there;
  }

  function show() {
    const { record } = kept;
    const called = record.name ?? "No name yet";
    document.title = `${record.name ?? `Person ${number}`} - facesearch`;
    const days = record.photos ? (record.first === record.last ? shownDate(record.first) : `${shownDate(record.first)} to ${shownDate(record.last)}`) : "";
    fill(head, h("div.person-cover", {}, portrait(record.cover)),
      h("div.told", {},
        h("h1", { tabindex: "-1" }, called, record.ignored ? h("small", {}, " ignored") : null),
        record.aliases.length ? h("p.remark", {}, `Also called ${record.aliases.join(", ")}`) : null,
        h("p.remark", {}, [counted(record.photos, "photo"), days, record.born ? `born ${record.born}` : "", record.external_id ? `id ${record.external_id}` : ""].filter(Boolean).join(" · ")),
        record.beside.length ? h("p.beside", {}, "Often with ", record.beside.map((one, place) => [place ? ", " : "", h("a", { href: `#/person/${one.person}` }, one.name ?? `person ${one.person}`), ` (${one.photos.toLocaleString("en")})`])) : null,
      ));
    const again = (key) => tools.querySelector(`[data-tool="${key}"]`) === document.activeElement;
    const focused = ["edit", "split", "ignore", "unname"].find(again);
    fill(tools,
      may("name") ? h("button", { type: "button", "data-tool": "edit", "aria-expanded": "false", onclick: (event) => editing.toggle(kept.record, event.currentTarget) }, record.name ? "Edit" : "Name") : null,
      h("a.button", { href: `#/answer?person=${number}` }, icon("filter"), "Search with filters"),
      may("name") && record.photos > 1 ? h("button", { type: "button", "data-tool": "split", "aria-expanded": "false", onclick: (event) => dividing.toggle(kept.record, event.currentTarget) }, "Split") : null,
      may("name") ? h("button", { type: "button", "data-tool": "ignore", onclick: () => tell(record.ignored ? { say: "notice", people: [number] } : { say: "ignore", people: [number] }, record.ignored ? "Shown again." : "Ignored: no longer listed.") }, record.ignored ? "Show again" : "Ignore") : null,
      may("name") && (record.name || record.born || record.external_id || record.aliases.length) ? h("button", { type: "button", "data-tool": "unname", onclick: () => tell({ say: "unname", person: number }, "The name is taken off.") }, "Take the name off") : null);
    if (focused) tools.querySelector(`[data-tool="${focused}"]`)?.focus();
    editing.renew(record, tools.querySelector("[data-tool=edit]"));
    dividing.renew(record, tools.querySelector("[data-tool=split]"));
    showPhotos();
  }

  async function tell(statement, text) {
    try {
      const action = await say(statement);
      await load();
      done(text, action, load);
    } catch (error) {
      complain(error);
    }
  }

  function showPhotos() {
    const byYear = new Map();
    const newest = [...kept.hits].filter((hit) => !hit.is_query).sort((a, b) => (a.date < b.date ? 1 : a.date > b.date ? -1 : a.photo_id - b.photo_id));
    for (const hit of newest) {
      const year = hit.date.slice(0, 4);
      if (!byYear.has(year)) byYear.set(year, []);
      byYear.get(year).push(hit);
    }
    shown = newest;
    list.set(shown.map((hit) => hit.photo_id), `#/person/${number}`);
    const parts = [...byYear].map(([heading, items]) => ({ heading, items }));
    const at = document.activeElement?.closest?.("[data-face]")?.dataset.face;
    if (cells) cells.update(parts);
    else cells = grid(place, { parts, cell, least: 150, below: 34, label: `Photos of ${kept.record.name ?? "this person"}` });
    if (at) place.querySelector(`[data-face="${at}"] .picture`)?.focus({ preventScroll: true });
    let first = 0;
    years.hidden = byYear.size < 2;
    fill(years, [...byYear].map(([year, items]) => {
      const target = first;
      first += items.length;
      return h("button", { type: "button", onclick: () => cells.focus(target), "aria-label": `${year}, ${counted(items.length, "photo")}` }, year, h("small", {}, ` ${items.length.toLocaleString("en")}`));
    }));
    chosen.prune();
  }

  function cell(hit) {
    const element = drawn(hit);
    element.querySelector(".select input").checked = chosen.has(hit.face_id);
    return element;
  }

  function draw(hit) {
    const doubt = hit.before_birth ? "before the birth" : hit.verdict === "possible" || hit.verdict === "unlikely" ? hit.verdict : "";
    const label = [baseName(hit.path), shownDate(hit.date, hit.date_precision), doubt && `${doubt}: look whether this is right`].filter(Boolean).join(", ");
    return h("div", { "data-face": hit.face_id },
      h("a.picture", { href: `#/photo/${hit.photo_id}?face=${hit.face_id}`, "aria-label": label },
        h("img", { src: photoPicture(hit.photo_id, 320), alt: "", loading: "lazy", onerror: (event) => event.target.replaceWith(h("span.lost", {}, "Not readable now")) })),
      h("label.select", {}, h("input", { type: "checkbox", checked: chosen.has(hit.face_id), "aria-label": `Select ${baseName(hit.path)}` })),
      h("div.below", {}, h("small", {}, shownDate(hit.date, hit.date_precision)), doubt ? h("span.verdict", { "data-verdict": hit.before_birth ? "unlikely" : hit.verdict }, doubt) : null));
  }

  function showActions() {
    const faces = new Set(chosen.keys());
    for (const box of place.querySelectorAll(".select input")) box.checked = faces.has(Number(box.closest("[data-face]").dataset.face));
    document.body.classList.toggle("selecting", faces.size > 0);
    const had = actions.contains(document.activeElement);
    actions.hidden = !faces.size;
    if (!faces.size) {
      if (had) place.querySelector(`[data-face="${kept.focus}"] .picture`)?.focus({ preventScroll: true });
      return;
    }
    const hits = shown.filter((hit) => faces.has(hit.face_id));
    const photos = [...new Set(hits.map((hit) => hit.photo_id))];
    const who = kept.record.name ?? "this person";
    fill(actions,
      h("strong", { role: "status" }, `${counted(photos.length, "photo")} selected`),
      may("name") ? h("button", { type: "button", onclick: () => correct({ say: "not", person: number, faces: [...faces] }, `${counted(photos.length, "photo")} marked as not ${who}.`) }, `Not ${who}`) : null,
      may("name") ? h("button", { type: "button", onclick: nameThem }, "Somebody else") : null,
      may("name") && faces.size === 1 ? h("button", { type: "button", onclick: () => correct({ say: "cover", person: number, face: [...faces][0] }, "This is the cover now.") }, "Use as cover") : null,
      h("button", { type: "button", onclick: () => download("photos/zip", { photos }, "photos.zip").catch(complain) }, icon("download"), "Download"),
      h("button", { type: "button", onclick: () => chosen.clear() }, "Clear"));
  }

  async function correct(statement, text) {
    chosen.clear();
    await tell(statement, text);
    if (!document.activeElement || document.activeElement === document.body) head.querySelector("h1")?.focus({ preventScroll: true });
  }

  function nameThem() {
    const faces = chosen.keys();
    const form = namer({
      label: "Who is it?", onescape: showActions,
      given: ({ name, person }) => correct(person ? { say: "is", person, faces } : { say: "call", name, faces }, `${counted(faces.length, "photo")} named ${name}.`),
    });
    fill(actions, form.element, h("button", { type: "button", onclick: showActions }, "Cancel"));
    form.focus();
  }

  return () => {
    ending.abort();
    cells?.end();
    document.body.classList.remove("selecting");
  };
}
