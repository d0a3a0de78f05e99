/** What is said about a person: the name and more, which can be changed, and what was said before. */

import { h, fill } from "./dom.js";
import { get, say } from "./api.js";
import { complain, done } from "./messages.js";
import { giveName, sameOrAnother } from "./naming.js";

const SHOWN = 10;

/**
 * Return what opens and closes the form in `drawer`. `changed()` gets the person again; `gone(number, text, action)`
 * is called when the person is part of another now.
 */
export function facts({ drawer, changed, gone }) {
  let button = null;

  function close() {
    fill(drawer);
    button?.setAttribute("aria-expanded", "false");
  }

  function show(record) {
    const field = (id, label, value, more = {}) => {
      const input = h("input", { id, type: "text", autocomplete: "off", spellcheck: "false", maxlength: "200", value: value ?? "", ...more });
      return { input, element: h("div", {}, h("label", { for: id }, label), input) };
    };
    const name = field("fact-name", "Name", record.name);
    const aliases = field("fact-aliases", "Another name", "", { placeholder: record.aliases.length ? `besides ${record.aliases.join(", ")}` : "a nickname, a maiden name" });
    const born = field("fact-born", "Born", record.born, { placeholder: "2018, 2018-05 or 2018-05-31", maxlength: "10", inputmode: "numeric" });
    const external = field("fact-id", "Id elsewhere", record.external_id);
    const question = h("div.facts-question");
    const save = async (event) => {
      event.preventDefault();
      const given = (one, before) => (one.input.value.trim() && one.input.value.trim() !== (before ?? "") ? one.input.value.trim() : null);
      const called = given(name, record.name);
      const more = {};
      if (given(aliases)) more.aliases = given(aliases).split(",").map((one) => one.trim()).filter(Boolean);
      if (given(born, record.born)) more.born = given(born, record.born);
      if (given(external, record.external_id)) more.external_id = given(external, record.external_id);
      if (!called && !Object.keys(more).length) {
        close();
        button.focus();
        return;
      }
      try {
        const told = await giveName(record.number, called, (namesake) => ask(called, namesake, question), more);
        if (!told) return;
        if (told.into) {
          gone(told.into, `Now one person${called ? ` with ${called}` : ""}.`, told.action);
          return;
        }
        close();
        await changed();
        button?.focus();
        done(called ? `Named ${called}.` : "Saved.", told.action, changed);
      } catch (error) {
        complain(error);
      }
    };
    fill(drawer, h("section.panel", { "aria-label": "About this person" },
      h("form.fields", { onsubmit: save, onkeydown: (event) => {
        event.stopPropagation();
        if (event.key === "Escape") {
          close();
          button.focus();
        }
      } }, name.element, aliases.element, born.element, external.element,
        h("div.buttons", {}, h("button.primary", { type: "submit" }, "Save"))),
      question, history(record)));
    drawer.dataset.what = "facts";
    name.input.focus();
    name.input.select();
  }

  /** What was said about the person, the last first; it is asked for when it is opened. */
  function history(record) {
    const told = h("ul.history");
    return h("details", {
      ontoggle: async (event) => {
        if (!event.target.open || told.childElementCount) return;
        const { actions } = await get("statements?limit=1000").catch(() => ({ actions: [] }));
        const about = actions.filter((action) => action.undoes === null && action.statements.some((one) => one.person?.number === record.number || one.other?.number === record.number));
        fill(told, about.length ? about.slice(0, SHOWN).map(entry) : h("li", {}, "Nothing yet."));
      },
    }, h("summary", {}, "What was said before"), told);
  }

  function entry(action) {
    const when = new Date(action.said_at * 1000).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
    return h("li", {}, h("span", {}, action.what), h("small", {}, `${when}, ${action.author}${action.undone_by ? ", taken back" : ""}`),
      action.undone_by ? null : h("button", {
        type: "button", "aria-label": `Take back: ${action.what}`,
        onclick: async () => {
          try {
            const undo = await say({ say: "undo", action: action.number });
            close();
            await changed();
            done("Taken back.", undo, changed);
          } catch (error) {
            complain(error);
          }
        },
      }, "Take back"));
  }

  return {
    toggle(record, opener) {
      button = opener;
      const open = drawer.dataset.what === "facts" && drawer.childElementCount;
      for (const other of opener.parentElement.querySelectorAll("[aria-expanded]")) other.setAttribute("aria-expanded", "false");
      if (open) close();
      else {
        opener.setAttribute("aria-expanded", "true");
        show(record);
      }
    },
    /** The button was drawn again. */
    renew(_record, opener) {
      button = opener;
      if (drawer.dataset.what === "facts" && drawer.childElementCount) opener?.setAttribute("aria-expanded", "true");
    },
  };
}

function ask(name, namesake, place) {
  return new Promise((answered) => {
    fill(place, sameOrAnother(name, namesake, (answer) => {
      fill(place);
      answered(answer);
    }));
    place.querySelector("button").focus();
  });
}
