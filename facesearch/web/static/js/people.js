/** People: covers and names. Search, name in place, select many and merge or ignore them; the place is never lost. */

import { h, fill, counted } from "./dom.js";
import { get, may, say } from "./api.js";
import { everybody, folded, isCalled, kept } from "./everybody.js";
import { grid } from "./grid.js";
import { whenNew } from "./library.js";
import { complain, done, tell } from "./messages.js";
import { namer } from "./namer.js";
import { giveName, sameOrAnother } from "./naming.js";
import { portrait } from "./portrait.js";
import { reusing } from "./reusing.js";
import { selecting, selection } from "./selection.js";

const SHOWN = [["all", "All"], ["named", "Named"], ["unnamed", "Without a name"]];

export async function open(element, _rest, parameters) {
  document.title = "People - facesearch";
  const ending = new AbortController();
  const { signal } = ending;
  const view = {
    search: parameters.get("search") ?? "", ignored: parameters.get("ignored") === "1",
    which: SHOWN.some(([which]) => which === parameters.get("show")) ? parameters.get("show") : "all",
  };
  const known = kept.people.length > 0 && kept.ignored === view.ignored;
  const resume = known ? { scroll: kept.scroll, focus: kept.focus } : null;
  if (!known) Object.assign(kept, { people: [], total: 0, complete: false, ignored: view.ignored });
  kept.named.clear();
  const drawn = reusing(draw, (person) => person.number);
  let shown = [];
  let editing = null;
  let saving = false;
  let stale = false;

  const count = h("p.count", { role: "status" });
  const place = h("div.people");
  const actions = h("div.actions", { hidden: true, role: "toolbar", "aria-label": "Selected people" });
  const news = h("div.news-offer");
  const chosen = selection(() => shown.map((person) => person.number), showSelection);
  const search = h("input", {
    type: "search", id: "who", placeholder: "Search by name", autocomplete: "off", spellcheck: "false", value: view.search,
    "aria-label": "Search by name",
    oninput: () => {
      view.search = search.value;
      look();
    },
    onkeydown: (event) => {
      if (event.key === "ArrowDown" && shown.length) {
        event.preventDefault();
        cells.focus(0);
      }
    },
  });
  const which = h("select", {
    id: "which", "aria-label": "Which people are shown",
    onchange: () => {
      view.which = which.value;
      kept.named.clear();
      look();
    },
  }, SHOWN.map(([value, text]) => h("option", { value }, text)));
  which.value = view.which;
  const ignored = h("input", {
    type: "checkbox", id: "ignored", checked: view.ignored,
    onchange: () => {
      view.ignored = ignored.checked;
      look();
      load();
    },
  });
  fill(element, h("header.people-head", {}, h("h1", { tabindex: "-1" }, "People"), count,
    h("div.people-tools", { role: "search" }, search, which, h("label.check", { for: "ignored" }, ignored, "Show ignored"))), news, place, actions);
  const cells = grid(place, { parts: [], cell, least: innerWidth < 520 ? 112 : 132, below: 58, label: "People" });
  show();
  selecting(place, chosen, (target) => Number(target?.closest?.("[data-person]")?.dataset.person ?? NaN) || null, signal);
  place.addEventListener("focusin", (event) => {
    const at = event.target.closest("[data-person]");
    if (!at) return;
    kept.focus = Number(at.dataset.person);
    chosen.begin(kept.focus);
  }, { signal });
  place.addEventListener("keydown", (event) => {
    const at = event.target.closest("[data-person]");
    if (event.key === "F2" && at) {
      event.preventDefault();
      edit(Number(at.dataset.person));
    }
  }, { signal });
  addEventListener("scroll", () => { kept.scroll = scrollY; }, { passive: true, signal });
  whenNew(() => fill(news, h("button", { type: "button", onclick: () => { fill(news); load(); } }, "New photos: show them")), signal);
  if (resume) {
    scrollTo(0, resume.scroll);
    cells.redraw(); // what is in sight there
    focusOn(resume.focus, ".picture", false);
  }
  load(); // the screen is there at once, and can be left before it is complete

  /** Show what the fields say, and keep it in the address. */
  function look() {
    const asked = new URLSearchParams();
    if (view.search.trim()) asked.set("search", view.search.trim());
    if (view.which !== "all") asked.set("show", view.which);
    if (view.ignored) asked.set("ignored", "1");
    history.replaceState(null, "", `#/people${asked.size ? `?${asked}` : ""}`);
    scrollTo(0, 0);
    show();
    chosen.prune();
  }

  /** Get everybody again. What is shown changes only where the people have. */
  async function load() {
    const wanted = view.ignored;
    try {
      const people = await everybody(wanted, signal, (some, total) => {
        if (wanted === view.ignored && !kept.complete && some.length > kept.people.length) take(some, total);
      });
      if (wanted !== view.ignored) return;
      Object.assign(kept, { complete: true, ignored: wanted });
      take(people, people.length);
    } catch (error) {
      complain(error);
    }
  }

  function take(people, total) {
    kept.total = total;
    if (JSON.stringify(people) === JSON.stringify(kept.people)) {
      tally();
      return;
    }
    kept.people = people;
    if (editing === null) show();
    else stale = true;
  }

  function show() {
    stale = false;
    const text = folded(view.search);
    shown = kept.people.filter((person) => isCalled(person, text) && (view.ignored || !person.ignored)
      && (view.which === "all" || (view.which === "named") === (person.name !== null) || kept.named.has(person.number)));
    const at = document.activeElement?.closest?.("[data-person]");
    const part = at && (document.activeElement.matches(".name") ? ".name" : document.activeElement.matches("input") ? ".select input" : ".picture");
    cells.update([{ heading: null, items: shown }]);
    if (at) focusOn(Number(at.dataset.person), part);
    tally();
  }

  function tally() {
    const unnamed = kept.people.filter((person) => person.name === null && !person.ignored).length;
    const some = shown.length === kept.people.length ? counted(kept.total, "person", "people") : `${shown.length.toLocaleString("en")} of ${counted(kept.total, "person", "people")}`;
    if (!kept.people.length) fill(count, kept.complete ? "Nobody yet. Photos with faces are grouped when they are indexed." : "");
    else fill(count, unnamed && kept.complete && !view.search ? `${some}, ${unnamed.toLocaleString("en")} without a name` : some);
  }

  function cell(person) {
    const element = drawn(person);
    const box = element.querySelector(".select input");
    if (box) box.checked = chosen.has(person.number);
    return element;
  }

  function draw(person) {
    return h("div.someone", { "data-person": person.number, class: person.ignored ? "ignored" : "" }, content(person));
  }

  function content(person, picture = portrait(person.cover)) {
    const called = person.name ?? `Person ${person.number}, without a name`;
    return [
      h("a.picture", { href: `#/person/${person.number}`, "aria-label": `${called}, ${counted(person.photos, "photo")}${person.ignored ? ", ignored" : ""}` }, picture),
      may("name") ? h("label.select", {}, h("input", { type: "checkbox", checked: chosen.has(person.number), "aria-label": `Select ${called}` })) : null,
      h("div.below", {},
        may("name")
          ? h("button.bare.name", { type: "button", class: person.name ? "" : "none", "aria-label": person.name ? `Rename ${person.name}` : `Name person ${person.number}`, onclick: () => edit(person.number) }, person.name ?? "Add a name")
          : h("span.name", {}, person.name ?? "No name"),
        h("small", {}, `${counted(person.photos, "photo")}${person.ignored ? ", ignored" : ""}`)),
    ];
  }

  function at(number) {
    return place.querySelector(`[data-person="${number}"]`);
  }

  function redraw(number) {
    const box = at(number);
    const person = shown.find((one) => one.number === number);
    if (!box || !person) return;
    box.classList.remove("naming");
    box.classList.toggle("ignored", person.ignored);
    fill(box, content(person, box.querySelector(".picture").firstChild));
    drawn.renewed(person, box);
  }

  /** Put the focus on a part of a person's cell; with `scroll` false only if it is in sight. */
  function focusOn(number, part = ".picture", scroll = true) {
    const where = shown.findIndex((person) => person.number === number);
    if (where < 0) return;
    if (scroll && !at(number)?.querySelector(part)) cells.focus(where);
    at(number)?.querySelector(part)?.focus({ preventScroll: !scroll });
  }

  // Naming in place

  function edit(number) {
    const person = shown.find((one) => one.number === number);
    if (!person || !may("name")) return;
    if (editing !== null) stop();
    cells.focus(shown.indexOf(person));
    const box = at(number);
    const form = namer({
      label: person.name ? `A new name for ${person.name}` : "Name", value: person.name ?? "",
      given: (given) => save(person, given, form), onescape: () => stop(number),
    });
    editing = number;
    box.classList.add("naming");
    fill(box.querySelector(".below"), form.element);
    form.element.addEventListener("focusout", (event) => {
      const text = form.element.querySelector("input").value.trim();
      if (!form.element.contains(event.relatedTarget) && text === (person.name ?? "") && !saving) stop();
    });
    form.focus();
    form.element.querySelector("input").select();
  }

  /** End the editing; the focus goes to the name of a person. */
  function stop(number = null) {
    const was = editing;
    editing = null;
    if (was !== null) redraw(was);
    if (stale) show();
    if (number !== null) focusOn(number, ".name");
  }

  /** Go on with the one who follows: type the next name at once, if there is none yet. */
  function goOn(where) {
    const next = shown[Math.min(where, shown.length - 1)];
    if (!next) return;
    if (where < shown.length && next.name === null && !next.ignored) edit(next.number);
    else {
      cells.focus(shown.indexOf(next));
      focusOn(next.number, ".name");
    }
  }

  async function save(person, { name, person: other }, form) {
    const where = shown.indexOf(person);
    if (saving) return;
    if (other === person.number || (!other && name === person.name)) {
      stop();
      goOn(where + 1);
      return;
    }
    saving = true;
    try {
      const given = other
        ? { action: await say({ say: "merge", people: [other, person.number] }), into: other }
        : await giveName(person.number, name, (namesake) => ask(name, namesake, form));
      if (!given) return;
      kept.named.add(person.number);
      const action = given.action;
      if (given.into) await joined(given.into, [person.number]);
      else Object.assign(person, { name, ignored: false });
      stop();
      done(given.into ? `Now one person with ${name}.` : `Named ${name}.`, action, load);
      goOn(given.into ? where : where + 1);
    } catch (error) {
      complain(error);
      form.focus();
    } finally {
      saving = false;
    }
  }

  function ask(name, namesake, form) {
    return new Promise((answered) => {
      const question = sameOrAnother(name, namesake, (answer) => {
        question.remove();
        form.focus();
        answered(answer);
      });
      form.element.append(question);
      question.querySelector("button").focus();
    });
  }

  /** People have become one: the others go, and the one is as it is now. */
  async function joined(into, others) {
    const record = await get(`people/${into}`, { signal });
    kept.people = kept.people.filter((one) => one.number === into || !others.includes(one.number));
    const whole = kept.people.find((one) => one.number === into);
    if (whole) for (const key of Object.keys(whole)) whole[key] = record[key];
    kept.total = Math.max(kept.people.length, kept.total - others.length);
    editing = null;
    show();
  }

  // Many at once

  function showSelection() {
    const numbers = new Set(chosen.keys());
    for (const box of place.querySelectorAll(".select input")) box.checked = numbers.has(Number(box.closest("[data-person]").dataset.person));
    place.classList.toggle("selecting", numbers.size > 0);
    document.body.classList.toggle("selecting", numbers.size > 0);
    const had = actions.contains(document.activeElement);
    actions.hidden = !numbers.size;
    if (!numbers.size) {
      if (had) focusOn(kept.focus, ".picture");
      return;
    }
    const people = selected();
    const strangers = people.filter((person) => person.ignored).length;
    fill(actions,
      h("strong", { role: "status" }, `${counted(numbers.size, "person", "people")} selected`),
      numbers.size > 1 ? h("button", { type: "button", onclick: merge }, "Merge") : null,
      h("button", { type: "button", onclick: nameThem }, "Name"),
      strangers < people.length ? h("button", { type: "button", onclick: () => ignore("ignore") }, "Ignore") : null,
      strangers ? h("button", { type: "button", onclick: () => ignore("notice") }, "Show again") : null,
      h("button", { type: "button", onclick: () => chosen.clear() }, "Clear"),
    );
  }

  function selected() {
    const numbers = new Set(chosen.keys());
    return shown.filter((person) => numbers.has(person.number));
  }

  async function act(work) {
    for (const button of actions.querySelectorAll("button")) button.disabled = true;
    try {
      await work();
    } catch (error) {
      complain(error);
      showSelection();
    }
  }

  /** Merge those who are selected. The named one stays; if several have names, the user says which. */
  function merge() {
    const people = selected();
    const named = people.filter((person) => person.name !== null);
    const names = new Set(named.map((person) => folded(person.name)));
    if (names.size < 2) {
      mergeInto(named[0] ?? people[0], people);
      return;
    }
    fill(actions, h("strong", { tabindex: "-1" }, "Which name stays?"),
      named.slice(0, 6).map((person) => h("button", { type: "button", onclick: () => mergeInto(person, people) }, person.name)),
      h("button", { type: "button", onclick: showSelection }, "Cancel"));
    actions.querySelector("button").focus();
  }

  function mergeInto(first, people) {
    return act(async () => {
      const others = people.filter((person) => person !== first).map((person) => person.number);
      const action = await say({ say: "merge", people: [first.number, ...others] });
      await joined(first.number, others);
      chosen.clear();
      focusOn(first.number, may("name") ? ".name" : ".picture");
      done(`${counted(people.length, "person", "people")} are one now${first.name ? `: ${first.name}` : ""}.`, action, load);
    });
  }

  function ignore(what) {
    return act(async () => {
      const numbers = chosen.keys();
      const where = shown.findIndex((person) => person.number === numbers[0]);
      const action = await say({ say: what, people: numbers });
      for (const person of kept.people) if (numbers.includes(person.number)) person.ignored = what === "ignore";
      if (!view.ignored) {
        kept.people = kept.people.filter((person) => !person.ignored);
        kept.total -= what === "ignore" ? numbers.length : 0;
      }
      chosen.clear();
      show();
      if (shown.length) cells.focus(Math.min(where, shown.length - 1));
      done(`${counted(numbers.length, "person", "people")} ${what === "ignore" ? "ignored" : "shown again"}.`, action, load);
    });
  }

  /** One name for all that are selected: they are one person. */
  function nameThem() {
    const people = selected();
    const form = namer({
      label: people.length > 1 ? `One name for these ${people.length}; they become one person` : "Name",
      onescape: showSelection,
      given: ({ name, person }) => act(() => nameAll(people, name, person, form)),
    });
    fill(actions, form.element, h("button", { type: "button", onclick: showSelection }, "Cancel"));
    form.focus();
  }

  async function nameAll(people, name, person, form) {
    const numbers = people.map((one) => one.number);
    if (person) {
      const others = numbers.filter((one) => one !== person);
      if (!others.length) {
        tell("They are one person already.");
        showSelection();
        return;
      }
      const action = await say({ say: "merge", people: [person, ...others] });
      await joined(person, others);
      finish(person, `Now one person: ${name}.`, [action]);
      return;
    }
    const first = people.find((one) => one.name !== null) ?? people[0];
    const given = await giveName(first.number, name, (namesake) => ask(name, namesake, form));
    if (!given) {
      showSelection();
      return;
    }
    const into = given.into ?? first.number;
    const others = numbers.filter((one) => one !== into);
    const merged = others.filter((one) => one !== first.number).length ? await say({ say: "merge", people: [into, ...others] }) : null;
    await joined(into, others);
    finish(into, `Named ${name}.`, merged === null ? [given.action] : [merged, given.action]);
  }

  function finish(number, text, [action, before = null]) {
    chosen.clear();
    kept.named.add(number);
    focusOn(number, ".name");
    done(text, action, async () => {
      if (before !== null) await say({ say: "undo", action: before });
      await load();
    });
  }

  return () => {
    ending.abort();
    cells.end();
    document.body.classList.remove("selecting");
  };
}
