/** A field for the name of a person, with the people who are there as suggestions. */

import { h, fill, counted } from "./dom.js";
import { facePicture } from "./api.js";
import { peopleCalled } from "./question.js";

let numbered = 0;

/**
 * Return a form. `given({name, person})` is called when a name is entered: `person` is set if a known person was chosen
 * from the list. `button` is the text of the button.
 */
export function namer({ label, button = "Name", value = "", given, onescape = () => {} }) {
  const id = `namer-${++numbered}`;
  let found = [];
  let active = -1;
  let asked = 0;
  const list = h("ul.suggestions", { id: `${id}-list`, role: "listbox", "aria-label": "People", hidden: true });
  const field = h("input", {
    id, type: "text", autocomplete: "off", autocapitalize: "words", spellcheck: "false", maxlength: "200", value,
    role: "combobox", "aria-expanded": "false", "aria-controls": `${id}-list`, "aria-autocomplete": "list",
  });

  const close = () => {
    list.hidden = true;
    active = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };

  const pick = (person) => {
    close();
    field.value = person.name;
    given({ name: person.name, person: person.number });
  };

  function show() {
    fill(list, found.map((person, place) => h("li", {
      id: `${id}-${place}`, role: "option", "aria-selected": String(place === active),
      onpointerdown: (event) => {
        event.preventDefault();
        pick(person);
      },
    },
      person.cover === null ? null : h("img", { src: facePicture(person.cover, 96), alt: "", width: "32", height: "32", loading: "lazy" }),
      h("span", {}, person.name), h("small", {}, counted(person.photos, "photo")),
    )));
    list.hidden = !found.length;
    field.setAttribute("aria-expanded", String(!list.hidden));
    if (active >= 0) field.setAttribute("aria-activedescendant", `${id}-${active}`);
    else field.removeAttribute("aria-activedescendant");
  }

  field.addEventListener("input", async () => {
    const mine = ++asked;
    const text = field.value.trim();
    const people = text ? await peopleCalled(text).catch(() => []) : [];
    if (mine !== asked || !field.isConnected) return;
    found = people.filter((person) => person.name !== null);
    active = -1;
    show();
  });
  field.addEventListener("keydown", (event) => {
    event.stopPropagation(); // letters are no shortcuts here
    if (event.key === "Escape") {
      if (list.hidden) onescape();
      else close();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && found.length) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      active = active < 0 && step < 0 ? found.length - 1 : (active + step + found.length) % found.length;
      show();
    }
  });
  field.addEventListener("blur", close);
  const form = h("form.namer", {
    onsubmit: (event) => {
      event.preventDefault();
      const text = field.value.trim();
      if (active >= 0 && found[active]) pick(found[active]);
      else if (text) {
        close();
        given({ name: text, person: null });
      }
    },
  }, h("label", { for: id }, label), h("div.field", {}, field, list), h("button.primary", { type: "submit" }, button));
  return { element: form, focus: () => field.focus() };
}
