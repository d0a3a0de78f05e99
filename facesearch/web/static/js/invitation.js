/** Invite somebody: a link with a key that works once. */

import { h, fill } from "./dom.js";
import { post } from "./api.js";
import { complain, tell } from "./messages.js";

const RIGHTS = [["look", "look at photos"], ["name", "look, and say who people are"], ["owner", "do everything"]];

/** Return the form, in a part of the page that opens. */
export function invitation() {
  const name = h("input", { id: "invite-name", type: "text", required: true, maxlength: "100", autocomplete: "off" });
  const rights = h("select", { id: "invite-rights" }, RIGHTS.map(([value, text]) => h("option", { value }, text)));
  const made = h("div.invited", { "aria-live": "polite" });
  return h("details.invite", {}, h("summary", {}, "Invite somebody"), h("form.fields", {
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        const { key } = await post("keys", { name: name.value.trim(), rights: rights.value });
        show(made, name.value.trim(), `${location.origin}${location.pathname}#key=${key}`);
      } catch (error) {
        complain(error);
      }
    },
  },
    h("div", {}, h("label", { for: "invite-name" }, "Name"), name),
    h("div", {}, h("label", { for: "invite-rights" }, "May"), rights),
    h("button", { type: "submit" }, "Make a link")), made);
}

function show(element, name, link) {
  const field = h("input", { type: "text", readonly: true, value: link, "aria-label": `The link for ${name}`, onfocus: () => field.select() });
  fill(element, h("p.remark", {}, `Give this link to ${name}. It works once, in one browser, as long as this server runs.`),
    h("div.copy", {}, field, h("button", {
      type: "button",
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(link);
          tell("The link is copied.");
        } catch { // only over https or on localhost
          field.focus();
          tell("Copy the marked link.");
        }
      },
    }, "Copy")));
}
