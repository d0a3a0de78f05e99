/** Find: drop, paste, choose or take a photo, and tap the face that is meant. */

import { h, fill, icon, counted } from "./dom.js";
import { facePicture, get, visitor } from "./api.js";
import { boxes } from "./boxes.js";
import { complain, tell } from "./messages.js";
import { question } from "./question.js";

const MOST = 20;

export async function open(element) {
  document.title = "Find - facesearch";
  const ending = new AbortController();
  const choose = h("input", { type: "file", accept: "image/*", multiple: true, hidden: true, id: "choose" });
  const take = h("input", { type: "file", accept: "image/*", capture: "environment", hidden: true });
  const chosen = h("section.chosen", { "aria-live": "polite" });
  const area = h("section.drop", {},
    h("div.drop-icon", {}, icon("upload")),
    h("h1", {}, "Find a person"),
    h("p", {}, "Drop a photo here, or paste one. Several photos of one person find more."),
    h("div.buttons", {},
      h("button.primary", { type: "button", onclick: () => choose.click() }, "Choose photos"),
      h("button.touch", { type: "button", onclick: () => take.click() }, icon("camera"), "Take a photo"),
    ),
    choose, take,
  );
  const known = h("section.known");
  const page = h("div.find", {}, area, chosen, known);
  fill(element, page);
  if (visitor.serves === "index") showKnown(known);
  if (question.photos.length) show();

  async function add(files) {
    const photos = [...files].filter((file) => file.type.startsWith("image/") || /\.(heic|heif|avif|jxl|tiff?|webp)$/i.test(file.name));
    if (!photos.length) {
      complain("That is not a photo.");
      return;
    }
    const room = MOST - question.photos.length;
    if (photos.length > room) tell(`At most ${MOST} photos make one question; the rest was left out.`);
    page.classList.add("busy");
    try {
      const added = photos.slice(0, room).map((file) => question.add(file));
      const looked = await Promise.allSettled(added.map((photo) => photo.look(ending.signal)));
      looked.forEach((result, place) => {
        if (result.status === "rejected") {
          question.drop(added[place]);
          complain(result.reason);
        }
      });
    } finally {
      page.classList.remove("busy");
    }
    if (ending.signal.aborted || !question.photos.length) {
      show();
      return;
    }
    const [only] = question.photos;
    if (question.photos.length === 1 && only.faces.length === 1) location.hash = "#/answer";
    else show();
  }

  function show() {
    area.classList.toggle("small", question.photos.length > 0);
    if (!question.photos.length) {
      fill(chosen);
      return;
    }
    const [only] = question.photos;
    fill(chosen, question.photos.length === 1 ? ofOne(only) : ofSeveral());
    chosen.querySelector("h2")?.focus();
  }

  function ofOne(photo) {
    const faces = photo.faces.map((face) => ({
      box: face.box, number: face.face, known: Boolean(face.name),
      label: face.name ?? `Face ${face.face}, unknown`, short: face.name ?? "?",
    }));
    return [
      h("h2", { tabindex: "-1" }, "Whom do you want to find?"),
      h("p", {}, `${counted(photo.faces.length, "face")} in this photo: tap one.`),
      boxes({
        url: photo.url, alt: "Your photo", faces,
        choose: (face) => {
          photo.chosen = face.number;
          location.hash = "#/answer";
        },
        onfail: () => chosen.append(byNumber(photo)),
      }),
      startOver(),
    ];
  }

  /** Buttons for the faces of a photo that this browser cannot show. */
  function byNumber(photo) {
    return h("div.buttons", {}, h("p", {}, "This browser cannot show the photo, but its faces were found, the largest first:"),
      photo.faces.map((face) => h("button", {
        type: "button",
        onclick: () => {
          photo.chosen = face.face;
          location.hash = "#/answer";
        },
      }, face.name ?? `Face ${face.face}`)));
  }

  function ofSeveral() {
    return [
      h("h2", { tabindex: "-1" }, `${counted(question.photos.length, "photo")} of one person`),
      h("ul.thumbs", {}, question.photos.map((photo) => h("li", {},
        h("img", { src: photo.url, alt: photo.file.name }),
        h("button.bare", {
          type: "button", "aria-label": `Leave out ${photo.file.name}`,
          onclick: () => {
            question.drop(photo);
            show();
          },
        }, icon("close")),
      ))),
      h("div.buttons", {}, h("a.button.primary", { href: "#/answer" }, "Find this person"), startOver()),
    ];
  }

  function startOver() {
    return h("button", {
      type: "button",
      onclick: () => {
        question.clear();
        show();
        area.querySelector("button").focus();
      },
    }, "Start over");
  }

  const pick = (event) => {
    add(event.target.files);
    event.target.value = "";
  };
  choose.addEventListener("change", pick);
  take.addEventListener("change", pick);
  const signal = ending.signal;
  addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("over");
  }, { signal });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) area.classList.remove("over");
  }, { signal });
  addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    add(event.dataTransfer.files);
  }, { signal });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) add(event.clipboardData.files);
  }, { signal });
  return () => ending.abort();
}

/** Show the people who are in most photos, one tap away. */
async function showKnown(element) {
  const { people, total } = await get("people?limit=12").catch(() => ({ people: [], total: 0 }));
  if (!people.length || !element.isConnected) return;
  fill(element, h("h2", {}, "Or somebody in your photos"),
    h("ul.faces", {}, people.map((person) => h("li", {}, h("a.person", { href: `#/answer?person=${person.number}` },
      person.cover === null ? null : h("img", { src: facePicture(person.cover), alt: "", width: "96", height: "96" }),
      h("span", {}, person.name ?? "No name yet"), h("small", {}, counted(person.photos, "photo")),
    )))),
    total > people.length ? h("p", {}, h("a", { href: "#/people" }, `All ${counted(total, "person", "people")}`)) : null,
  );
}
