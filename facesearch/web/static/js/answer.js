/** Answer: one sentence and a grid; numbers, filters and actions only where they are asked for. */

import { h, fill, icon, baseName, counted, shownDate } from "./dom.js";
import { download, facePicture, may, photoPicture, say, visitor } from "./api.js";
import { complain, done, tell } from "./messages.js";
import { filters } from "./filters.js";
import { grid } from "./grid.js";
import { called, isDoubtful, parts, placeOf, reason, sentence } from "./hits.js";
import { namer } from "./namer.js";
import { giveName, sameOrAnother } from "./naming.js";
import { ask, question } from "./question.js";
import { list } from "./list.js";

export async function open(element, _rest, parameters) {
  document.title = "Answer - facesearch";
  const ending = new AbortController();
  const selected = new Map();
  const whole = visitor.serves === "index";
  let answer = null;
  let details = false;
  let limit = null;
  let cells = null;

  const heading = h("h1", { tabindex: "-1" }, "Looking ...");
  const remark = h("p.remark");
  const asked = h("div.asked");
  const tools = h("div.tools");
  const numbers = h("section.panel", { id: "details", hidden: true, "aria-label": "Details" });
  const place = h("div.results", { "aria-busy": "true" });
  const actions = h("div.actions", { hidden: true, role: "toolbar", "aria-label": "Selected photos" });
  const choice = filters(() => load());
  const detailsButton = h("button", {
    type: "button", "aria-expanded": "false", "aria-controls": "details",
    onclick: () => {
      details = !details;
      numbers.hidden = !details;
      detailsButton.setAttribute("aria-expanded", String(details));
      cells?.redraw();
    },
  }, icon("info"), "Details");
  const naming = h("div");
  fill(element, h("div.answer", {}, h("header.head", {}, asked, h("div.told", {}, heading, remark)),
    tools, choice.panel, numbers, place, actions));
  fill(tools, h("a.button", { href: "#/find" }, question.photos.length && !parameters.size ? "Add or change photos" : "New search"),
    choice.button, detailsButton, naming);
  if (!parameters.size && !question.photos.length) {
    location.replace("#/find");
    return null;
  }
  showAsked();
  await load();

  async function load() {
    place.setAttribute("aria-busy", "true");
    try {
      const record = await ask(parameters, limit === null ? {} : { threshold: limit }, ending.signal);
      show(record);
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(heading, "No answer");
      complain(error);
    } finally {
      place.removeAttribute("aria-busy");
    }
  }

  function showAsked() {
    const photos = parameters.size ? [] : question.photos;
    const faces = parameters.get("faces")?.split(",") ?? [];
    fill(asked, photos.map((photo) => cropped(photo)), faces.map((face) => h("img.round", { src: facePicture(face), alt: "The face you asked with" })));
  }

  function show(record) {
    answer = record.queries[0];
    answer.hits.forEach((hit, number) => { hit.key = number; });
    selected.clear();
    fill(heading, sentence(answer));
    document.title = `${sentence(answer)} - facesearch`;
    const shown = parts(answer);
    const nothing = !shown.some((part) => part.items.length);
    fill(remark, nothing ? "Try a photo with a larger, clearer face, several photos of the person, or fewer filters." : "");
    if (answer.path === null && answer.person && !asked.childElementCount) showCover();
    showNumbers(record);
    list.set(shown.flatMap((part) => part.items).map(placeOf), location.hash);
    if (cells) cells.update(shown);
    else cells = grid(place, { parts: shown, cell, below: 46, label: "Photos found" });
    showActions();
    fill(naming, may("name") && answer.person && !answer.name
      ? h("button", { type: "button", onclick: (event) => namePerson(event.target) }, "Name this person") : null);
  }

  function namePerson(button) {
    const form = namer({
      label: "Who is this?",
      given: async ({ name, person }) => {
        const number = answer.person;
        try {
          const asking = (namesake) => new Promise((answered) => {
            fill(naming, sameOrAnother(name, namesake, answered)).querySelector("button").focus();
          });
          const given = person ? { action: await say({ say: "merge", people: [person, number] }) } : await giveName(number, name, asking);
          await load();
          if (given) done(`Named ${name}.`, given.action, load);
        } catch (error) {
          complain(error);
        }
      },
      onescape: () => fill(naming, button),
    });
    fill(naming, form.element);
    form.focus();
  }

  function showCover() {
    const best = answer.hits.find((hit) => hit.via === "person");
    if (best) fill(asked, h("img.round", { src: facePicture(best.face_id, 192, { photo: best.photo_id, index: best.index }), alt: "" }));
  }

  function cell(hit) {
    const box = h("input", {
      type: "checkbox", checked: selected.has(hit.key), "aria-label": `Select ${baseName(hit.path)}`,
      onchange: (event) => {
        if (event.target.checked) selected.set(hit.key, hit);
        else selected.delete(hit.key);
        showActions();
      },
    });
    const why = reason(hit);
    return [
      h("a.picture", { href: `#/photo/${placeOf(hit)}${hit.index ? "&" : "?"}face=${hit.face_id}`, "aria-label": described(hit) },
        h("img", { src: photoPicture(hit.photo_id, 320, hit.index), alt: "", loading: "lazy", onerror: (event) => event.target.replaceWith(h("span.lost", {}, "Not readable now")) })),
      h("label.select", {}, box),
      h("div.below", {},
        isDoubtful(hit) && hit.via_face ? h("img.linking", { src: facePicture(hit.via_face.face_id, 96, { photo: hit.via_face.photo_id, index: hit.index }), alt: "The photo that links it", width: "32", height: "32", loading: "lazy" }) : null,
        h("div.words", {},
          hit.index ? h("small.of", {}, hit.index) : null,
          h("span.verdict", { "data-verdict": hit.verdict ?? "" }, hit.is_query ? "this photo" : hit.verdict ?? ""),
          h("small", {}, why || shownDate(hit.date, hit.date_precision)),
          details && hit.similarity !== null ? h("small.number", {}, hit.similarity.toFixed(3)) : null,
        )),
    ];
  }

  function described(hit) {
    return [baseName(hit.path), hit.verdict, reason(hit), shownDate(hit.date, hit.date_precision)].filter(Boolean).join(", ");
  }

  function showNumbers(record) {
    const own = record.threshold ?? 0.4;
    const shown = h("output", { for: "threshold" }, (limit ?? own).toFixed(2));
    const slider = h("input", {
      type: "range", id: "threshold", min: "0.1", max: "0.9", step: "0.01", value: String(limit ?? own),
      oninput: (event) => fill(shown, Number(event.target.value).toFixed(2)),
      onchange: (event) => {
        limit = Number(event.target.value);
        load();
      },
    });
    const limited = !parameters.has("person");
    fill(numbers, h("dl", {},
      h("dt", {}, "Searched"), h("dd", {}, counted(answer.searched, "face")),
      h("dt", {}, "Model"), h("dd", {}, record.index.model),
      h("dt", {}, "Hits"), h("dd", {}, counted(answer.hits.length, "hit")),
    ),
    limited ? h("div.slider", {}, h("label", { for: "threshold" }, "Least similarity"), slider, shown,
      limit === null ? null : h("button", {
        type: "button",
        onclick: () => {
          limit = null;
          load();
        },
      }, "Back to the usual answer")) : null,
    record.remarks.length ? h("ul.remarks", {}, record.remarks.map((text) => h("li", {}, text))) : null);
  }

  function showActions() {
    actions.hidden = !selected.size;
    document.body.classList.toggle("selecting", selected.size > 0);
    if (!selected.size) return;
    const hits = [...selected.values()];
    const photos = [...new Set(hits.map((hit) => hit.photo_id))];
    const faces = hits.map((hit) => hit.face_id);
    const who = answer.person ? called(answer.person, answer.name) : null;
    fill(actions,
      h("strong", {}, `${counted(photos.length, "photo")} selected`),
      whole ? h("button", { type: "button", onclick: () => download("photos/zip", { photos }, "photos.zip").catch(complain) }, icon("download"), "Download") : null,
      h("button", { type: "button", onclick: () => copy(hits.map((hit) => hit.path)) }, "Copy paths"),
      whole ? h("a.button", { href: `#/answer?faces=${faces.slice(0, 20).join(",")}` }, icon("more"), "More like this") : null,
      may("name") && who ? h("button", { type: "button", onclick: () => deny(faces, who) }, `Not ${who}`) : null,
      may("name") ? h("button", { type: "button", "aria-expanded": "false", onclick: (event) => nameThem(event.target, faces) }, "Name") : null,
      h("button", {
        type: "button",
        onclick: () => {
          selected.clear();
          showActions();
          cells.redraw();
        },
      }, "Clear"),
    );
  }

  async function copy(paths) {
    try {
      await navigator.clipboard.writeText(paths.join("\n"));
      tell(`${counted(paths.length, "path")} copied.`);
    } catch {
      complain("This browser does not let the page copy; it does over https or on localhost.");
    }
  }

  async function deny(faces, who) {
    try {
      const action = await say({ say: "not", person: answer.person, faces });
      await load();
      done(`${counted(faces.length, "photo")} marked as not ${who}.`, action, load);
    } catch (error) {
      complain(error);
    }
  }

  function nameThem(button, faces) {
    const form = namer({
      label: "Who is it?",
      given: async ({ name, person }) => {
        try {
          const action = await say(person ? { say: "is", person, faces } : { say: "call", name, faces });
          await load();
          done(`${counted(faces.length, "photo")} named ${name}.`, action, load);
        } catch (error) {
          complain(error);
        }
      },
      onescape: showActions,
    });
    button.replaceWith(form.element);
    form.focus();
  }

  return () => {
    ending.abort();
    cells?.end();
    document.body.classList.remove("selecting");
  };
}

/** Return the chosen face of a photo from this device, cut out by the browser. */
function cropped(photo) {
  const face = photo.faces.find((one) => one.face === photo.chosen) ?? photo.faces[0];
  const picture = h("img.round", { src: photo.url, alt: "The photo you asked with" });
  if (!face) return picture;
  picture.addEventListener("load", () => {
    const side = 144;
    const canvas = h("canvas.round", { width: String(side), height: String(side), role: "img", "aria-label": "The face you asked with" });
    const [left, top, width, height] = face.box;
    const edge = Math.min(Math.max(width, height) * 1.6, picture.naturalWidth, picture.naturalHeight);
    const x = Math.min(Math.max(left + width / 2 - edge / 2, 0), picture.naturalWidth - edge);
    const y = Math.min(Math.max(top + height / 2 - edge / 2, 0), picture.naturalHeight - edge);
    canvas.getContext("2d").drawImage(picture, x, y, edge, edge, 0, 0, side, side);
    picture.replaceWith(canvas);
  }, { once: true });
  return picture;
}
