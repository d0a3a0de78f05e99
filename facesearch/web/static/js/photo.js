/** Photo: the whole picture with its faces. Tap one and type a name; draw one that was missed. */

import { h, fill, icon, baseName, shownDate } from "./dom.js";
import { address, get, inIndex, may, photoPicture, post, say, visitor } from "./api.js";
import { boxes, drawing } from "./boxes.js";
import { list } from "./list.js";
import { complain, done } from "./messages.js";
import { namer } from "./namer.js";
import { giveName, sameOrAnother } from "./naming.js";

export async function open(element, [id], parameters) {
  const number = Number(id);
  const index = parameters.get("index");
  const own = index ? `${number}?index=${encodeURIComponent(index)}` : String(number);
  const ending = new AbortController();
  let photo = null;
  let pen = null;
  let chosen = parameters.has("face") ? Number(parameters.get("face")) : null;

  const stage = h("div.stage");
  const side = h("aside.side", { "aria-label": "This photo" });
  fill(element, h("div.photo", {}, stage, side));
  await load();

  async function load() {
    photo = await get(`photos/${number}?${inIndex(index)}`, { signal: ending.signal });
    document.title = `${baseName(photo.path)} - facesearch`;
    pen?.end();
    pen = null;
    showPicture();
    showSide();
  }

  function showPicture() {
    const faces = photo.faces.map((face) => ({
      ...face, known: Boolean(face.name), chosen: face.face_id === chosen,
      label: face.name ?? (face.person ? "Somebody without a name" : "Unknown"), short: face.name ?? "?",
    }));
    const side = Math.max(innerWidth, innerHeight) * devicePixelRatio > 1400 ? 2560 : 1280;
    const holder = boxes({
      url: photoPicture(number, side, index), alt: baseName(photo.path), faces, size: photo.width ? [photo.width, photo.height] : null,
      choose: (face) => {
        chosen = face.face_id;
        showPicture();
        showSide(true);
      },
      onfail: () => fill(stage, h("p.notice", {}, "This photo is not readable now: its folder is missing, or it has changed since it was indexed.")),
    });
    fill(stage, holder, beside(-1), beside(1));
  }

  function beside(step) {
    const other = list.beside(own, step);
    if (other === null) return null;
    const name = step < 0 ? "Previous photo" : "Next photo";
    return h(step < 0 ? "a.turn.left" : "a.turn.right", { href: `#/photo/${other}`, "aria-label": name }, icon(step < 0 ? "left" : "right"));
  }

  function showSide(focus = false) {
    const face = photo.faces.find((one) => one.face_id === chosen);
    const place = list.place(own);
    const folder = photo.path.slice(0, photo.path.lastIndexOf("/"));
    const panel = face ? aboutFace(face) : null;
    fill(side,
      h("p.back", {}, h("a", { href: list.from }, icon("left"), "Back"), place ? h("span", {}, `${place[0]} of ${place[1]}`) : null),
      h("h1", { tabindex: "-1" }, baseName(photo.path)),
      h("p.folder", {}, folder),
      h("p", {}, shownDate(photo.date, photo.date_precision), photo.date_source === "file" ? " (date of the file)" : ""),
      panel?.element ?? null,
      face ? null : h("p.hint", {}, !photo.faces.length ? "No face was found in this photo." : may("name") ? "Tap a face to say who it is." : "Tap a face to see who it is."),
      h("div.buttons", {},
        may("name") ? h("button", { type: "button", onclick: draw }, icon("box"), "Tag a missed face") : null,
        h("a.button", { href: address(`photos/${number}/original?${inIndex(index)}`), download: baseName(photo.path) }, icon("download"), "Original"),
      ),
    );
    if (focus) panel?.focus();
  }

  /** What can be done with a face: name it, find the person, or say that it is none. */
  function aboutFace(face) {
    const find = face.person ? `#/answer?person=${face.person}` : `#/answer?faces=${face.face_id}`;
    const links = visitor.serves === "gallery" ? null : h("div.buttons", {},
      h("a.button", { href: find }, face.person ? "All photos of this person" : "Find this person"),
      face.person ? h("a.button", { href: `#/answer?faces=${face.face_id}` }, icon("more"), "More like this") : null,
    );
    if (!may("name")) return { element: h("section.panel", {}, h("h2", {}, face.name ?? "Unknown"), links), focus() {} };
    const form = namer({
      label: face.name ? `This is ${face.name}. Somebody else?` : "Who is this?",
      button: face.name ? "Change" : "Name", given: (given) => name(face, given),
      onescape: () => {
        chosen = null;
        showPicture();
        showSide();
      },
    });
    return {
      element: h("section.panel", {}, form.element, links, h("div.buttons", {},
        face.name ? h("button", { type: "button", onclick: () => deny(face) }, `Not ${face.name}`) : null,
        h("button", { type: "button", onclick: () => notAFace(face) }, "Not a face"))),
      focus: form.focus,
    };
  }

  async function name(face, { name: called, person }) {
    try {
      // A face of somebody without a name gives the name to all photos of that person; any other only to this face.
      const whole = face.person && !face.name;
      let action;
      if (whole && !person) {
        const given = await giveName(face.person, called, (namesake) => sameOne(called, namesake));
        if (!given) {
          showSide(true);
          return;
        }
        action = given.action;
      } else if (whole) action = await say({ say: "merge", people: [person, face.person] });
      else action = await say(person ? { say: "is", person, faces: [face.face_id] } : { say: "call", name: called, faces: [face.face_id] });
      await load();
      done(whole ? `All photos of this person are named ${called}.` : `Named ${called}.`, action, load);
    } catch (error) {
      complain(error);
    }
  }

  /** Ask whether somebody who has the name already is the same person. */
  function sameOne(called, namesake) {
    return new Promise((answered) => {
      const panel = fill(side.querySelector(".panel"), sameOrAnother(called, namesake, answered));
      panel.querySelector("button").focus();
    });
  }

  async function deny(face) {
    try {
      const action = await say({ say: "not", person: face.person, faces: [face.face_id] });
      await load();
      done(`Marked as not ${face.name}.`, action, load);
    } catch (error) {
      complain(error);
    }
  }

  async function notAFace(face) {
    try {
      const action = await say({ say: "not_a_face", face: face.face_id });
      chosen = null;
      await load();
      done("Marked as not a face.", action, load);
    } catch (error) {
      complain(error);
    }
  }

  function draw() {
    if (pen) {
      pen.end();
      pen = null;
      showSide();
      return;
    }
    chosen = null;
    showPicture();
    let box = null;
    const form = namer({
      label: "Who is it?", button: "Tag", onescape: draw,
      given: async ({ name: called, person }) => {
        if (!box) {
          complain("Draw a box around the face first.");
          return;
        }
        try {
          const made = await post(`photos/${number}/faces`, { box, name: person ? `#${person}` : called });
          chosen = made.face_id;
          await load();
          done(`Tagged ${called}.`, made.action, load);
        } catch (error) {
          complain(error);
        }
      },
    });
    fill(side, h("h1", { tabindex: "-1" }, "Tag a missed face"),
      h("p", {}, "Draw a box around the face, then name it."), form.element,
      h("div.buttons", {}, h("button", { type: "button", onclick: () => pen.begin() }, "Put a box in the middle"),
        h("button", { type: "button", onclick: draw }, "Cancel")));
    pen = drawing(stage.querySelector(".boxes"), [photo.width, photo.height], (drawn) => {
      box = drawn;
      if (!side.contains(document.activeElement) && !stage.contains(document.activeElement)) form.focus();
    });
    side.querySelector("h1").focus();
  }

  addEventListener("keydown", (event) => {
    if (event.target.matches("input, textarea, select") || event.altKey || event.ctrlKey || event.metaKey || pen) {
      if (event.key === "Escape" && pen) draw();
      return;
    }
    const other = event.key === "ArrowLeft" ? list.beside(own, -1) : event.key === "ArrowRight" ? list.beside(own, 1) : null;
    if (other !== null) location.hash = `#/photo/${other}`;
    else if (event.key === "Escape") location.hash = list.from;
  }, { signal: ending.signal });
  return () => ending.abort();
}
