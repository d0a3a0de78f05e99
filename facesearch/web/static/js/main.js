/** The shell: who is here, and which screen the address names. */

import { h, fill } from "./dom.js";
import { enter, may, visitor, whenLocked } from "./api.js";
import { clear, complain } from "./messages.js";
import { library } from "./library.js";
import * as answer from "./answer.js";
import * as find from "./find.js";
import * as people from "./people.js";
import * as person from "./person.js";
import * as photo from "./photo.js";
import * as review from "./review.js";

const main = document.getElementById("main");
const screens = document.getElementById("screens");

/** Each screen has `open(element, rest, parameters)`, which may return a function that ends it. */
const SCREENS = { find, answer, people, person, photo, review };

let end = null;
let turn = 0;

async function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/").map(decodeURIComponent);
  const screen = SCREENS[name];
  if (!screen) {
    location.replace("#/find");
    return;
  }
  const mine = ++turn;
  end?.();
  end = null;
  if (name !== "photo") clear();
  for (const link of screens.querySelectorAll("a")) {
    const current = link.getAttribute("href") === `#/${SECTION[name] ?? name}`;
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.dataset.screen = name;
  fill(main);
  scrollTo(0, 0);
  try {
    const ended = await screen.open(main, rest, new URLSearchParams(query));
    if (mine === turn) end = ended ?? null;
    else ended?.();
  } catch (error) {
    complain(error);
  }
  if (mine === turn && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
}

/** The link in the header that stands for a screen without one. */
const SECTION = { answer: "find", photo: "find", person: "people" };

function lock(message = "Open the address that facesearch serve printed, or enter its key or your token.") {
  end?.();
  end = null;
  screens.hidden = true;
  const key = h("input", { id: "key", type: "password", autocomplete: "off", required: true });
  const form = h("form.door", {
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        if (await enter(key.value.trim())) unlock();
      } catch (error) {
        complain(error);
        key.select();
      }
    },
  },
    h("h1", {}, "Who is there?"), h("p", {}, message), h("label", { for: "key" }, "Key or token"), key,
    h("button.primary", { type: "submit" }, "Enter"),
  );
  fill(main, form);
  document.title = "facesearch";
  key.focus();
}

function unlock() {
  clear();
  const whole = visitor.serves === "index";
  screens.hidden = !whole;
  for (const link of screens.querySelectorAll("[data-needs]")) link.hidden = !may(link.dataset.needs);
  if (whole) library.open();
  addEventListener("hashchange", route);
  route();
}

whenLocked(() => {
  if (visitor.rights === null) return;
  visitor.rights = null;
  removeEventListener("hashchange", route);
  library.close();
  lock("The session has ended. Open the address that facesearch serve printed.");
});

async function begin() {
  const key = /^#key=([\w-]+)$/.exec(location.hash)?.[1];
  if (key) history.replaceState(null, "", "#/find");
  try {
    if (await enter(key)) unlock();
    else lock();
  } catch (error) {
    const known = await enter(null).catch(() => false); // the key was used before, by this browser
    if (known) unlock();
    else {
      lock();
      complain(error);
    }
  }
}

addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  complain(event.reason);
});

begin();
