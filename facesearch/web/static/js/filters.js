/** Filters of an answer, behind one button: folder, dates, who is with them, who is not, alone. */

import { h, fill, icon } from "./dom.js";
import { get } from "./api.js";
import { namer } from "./namer.js";
import { question } from "./question.js";

/** Return a button and its panel; `changed()` is called when the filters are others. */
export function filters(changed) {
  const panel = h("section.panel", { id: "filters", hidden: true, "aria-label": "Filters" });
  const button = h("button", {
    type: "button", "aria-expanded": "false", "aria-controls": "filters",
    onclick: () => {
      panel.hidden = !panel.hidden;
      button.setAttribute("aria-expanded", String(!panel.hidden));
      if (!panel.hidden) draw();
    },
  });
  const none = h("button", {
    type: "button",
    onclick: () => {
      question.limits = {};
      change({});
      draw();
      button.focus();
    },
  }, "Remove all filters");
  label();

  function label() {
    const number = used().length;
    none.hidden = !number;
    fill(button, icon("filter"), number ? `Filters (${number})` : "Filters");
  }

  function change(limits) {
    Object.assign(question.limits, limits);
    for (const [name, value] of Object.entries(question.limits)) {
      if (value === false || value === null || (Array.isArray(value) && !value.length)) delete question.limits[name];
    }
    label();
    changed();
  }

  function where(limits) {
    const all = { ...question.limits.where, ...limits };
    for (const name of Object.keys(all)) if (!all[name] || (Array.isArray(all[name]) && !all[name].length)) delete all[name];
    change({ where: Object.keys(all).length ? all : null });
  }

  async function draw() {
    const place = question.limits.where ?? {};
    const since = h("input", { type: "text", id: "since", placeholder: "2019, 2019-07 or 2019-07-31", value: place.since ?? "" });
    const until = h("input", { type: "text", id: "until", placeholder: "2020", value: place.until ?? "" });
    const folder = h("input", { type: "text", id: "under", list: "folders", value: place.under?.[0] ?? "" });
    const folders = h("datalist", { id: "folders" });
    const alone = h("input", { type: "checkbox", id: "alone", checked: Boolean(question.limits.alone) });
    alone.addEventListener("change", () => change({ alone: alone.checked }));
    fill(panel,
      h("form.fields", {
        onsubmit: (event) => {
          event.preventDefault();
          where({ since: since.value.trim(), until: until.value.trim(), under: folder.value.trim() ? [folder.value.trim()] : [] });
        },
      },
        h("div", {}, h("label", { for: "since" }, "Taken from"), since),
        h("div", {}, h("label", { for: "until" }, "Taken until"), until),
        h("div.wide", {}, h("label", { for: "under" }, "In the folder"), folder, folders),
        h("button", { type: "submit" }, "Apply"),
      ),
      who("with", "Also shows"), who("without", "Does not show"),
      h("div.check", {}, alone, h("label", { for: "alone" }, "Nobody else in the photo")),
      none,
    );
    const { roots } = await get("status").catch(() => ({ roots: [] }));
    fill(folders, roots.map((root) => h("option", { value: root })));
  }

  /** People who must, or must not, be in the photos, and a field to add one. */
  function who(name, text) {
    const chosen = question.limits[name] ?? [];
    const add = namer({
      label: text, button: "Add",
      given: ({ name: called, person }) => {
        change({ [name]: [...chosen, person ?? called] });
        draw();
      },
    });
    return h("div.who", {}, add.element, h("ul.chips", {}, chosen.map((one) => h("li", {}, typeof one === "number" ? `#${one}` : one,
      h("button.bare", {
        type: "button", "aria-label": `Remove ${one}`,
        onclick: () => {
          change({ [name]: chosen.filter((other) => other !== one) });
          draw();
        },
      }, icon("close"))))));
  }

  return { button, panel };
}

/** Return the filters that are in use. */
function used() {
  const { where = {}, ...others } = question.limits;
  return [...Object.keys(where), ...Object.keys(others)].filter((name) => name !== "where");
}
