/** Split a person: the parts that the faces fall into, each with samples, and which of them are somebody else. */

import { h, fill, counted, shownDate } from "./dom.js";
import { get, say } from "./api.js";
import { complain } from "./messages.js";
import { portrait } from "./portrait.js";

/** Return what opens and closes the parts in `drawer`; `gone` is called with the new person, as in `facts`. */
export function divider({ drawer, gone }) {
  let button = null;

  function close() {
    fill(drawer);
    button?.setAttribute("aria-expanded", "false");
  }

  async function show(record) {
    drawer.dataset.what = "parts";
    fill(drawer, h("section.panel", { "aria-busy": "true" }, h("p", {}, "Comparing the photos ...")));
    try {
      const { parts } = await get(`people/${record.number}/parts`);
      if (drawer.dataset.what === "parts" && drawer.childElementCount) draw(record, parts);
    } catch (error) {
      close();
      complain(error);
    }
  }

  function draw(record, parts) {
    const who = record.name ?? "this person";
    if (parts.length < 2) {
      fill(drawer, h("section.panel", {}, h("h2", { tabindex: "-1" }, "Nothing to split"), h("p", {}, `All photos of ${who} look alike. If some show somebody else, select them below.`)));
      drawer.querySelector("h2").focus();
      return;
    }
    const chosen = new Set();
    const split = h("button.primary", { type: "button", disabled: true, onclick: () => divide(record, parts, [...chosen]) }, "Split off");
    const update = () => {
      split.disabled = !chosen.size || chosen.size === parts.length;
      const photos = parts.filter((one) => chosen.has(one.part)).reduce((sum, one) => sum + one.photos, 0);
      fill(split, chosen.size ? `Split off ${counted(photos, "photo")}` : "Split off");
    };
    fill(drawer, h("section.panel", { "aria-labelledby": "parts-title" },
      h("h2", { id: "parts-title", tabindex: "-1" }, "Which of these are somebody else?"),
      h("p.remark", {}, `Within each part the faces look most alike. Choose the parts that do not show ${who}; together they become a person of their own.`),
      h("ul.parts", {}, parts.map((part) => h("li", {}, h("label.part", {},
        h("input", {
          type: "checkbox", "aria-label": `Part ${part.part}: ${counted(part.photos, "photo")}`,
          onchange: (event) => {
            if (event.target.checked) chosen.add(part.part);
            else chosen.delete(part.part);
            update();
          },
        }),
        h("span.samples", {}, part.samples.map((face) => portrait(face, 192))),
        h("span.part-words", {}, h("strong", {}, counted(part.photos, "photo")), h("small", {}, part.first === part.last ? shownDate(part.first) : `${shownDate(part.first)} to ${shownDate(part.last)}`)),
      )))),
      h("div.buttons", {}, split, h("button", { type: "button", onclick: () => { close(); button?.focus(); } }, "Cancel"))));
    drawer.querySelector("h2").focus();
  }

  async function divide(record, parts, chosen) {
    try {
      // The faces, not the numbers of the parts: those may have changed meanwhile.
      const faces = parts.filter((one) => chosen.includes(one.part)).flatMap((one) => one.faces);
      const action = await say({ say: "split", person: record.number, faces });
      const { actions } = await get("statements?limit=20");
      const told = actions.find((one) => one.number === action)?.statements ?? [];
      const other = told.find((one) => one.person && one.person.number !== record.number)?.person.number;
      gone(other ?? record.number, `Split off from ${record.name ?? `person ${record.number}`}.`, action);
    } catch (error) {
      complain(error);
    }
  }

  return {
    toggle(record, opener) {
      button = opener;
      const open = drawer.dataset.what === "parts" && drawer.childElementCount;
      for (const other of opener.parentElement.querySelectorAll("[aria-expanded]")) other.setAttribute("aria-expanded", "false");
      if (open) close();
      else {
        opener.setAttribute("aria-expanded", "true");
        show(record);
      }
    },
    renew(_record, opener) {
      button = opener;
      if (drawer.dataset.what === "parts" && drawer.childElementCount) opener?.setAttribute("aria-expanded", "true");
    },
  };
}
