/** A picture with a frame around each face, which can be tapped; and a frame that is drawn by hand. */

import { h } from "./dom.js";

/**
 * Return a picture with faces. `faces` are `{box, label, known}`, with boxes in pixels of a photo of `size`; the size of
 * the picture itself counts if there is none. `choose(face, button)` is called for a tapped one.
 */
export function boxes({ url, alt, faces, size = null, choose, onfail = () => {} }) {
  const frames = h("div.frames");
  const picture = h("img", { src: url, alt, draggable: "false" });
  const holder = h("div.boxes", {}, picture, frames);

  function draw() {
    const [width, height] = size ?? [picture.naturalWidth, picture.naturalHeight];
    if (!width) return;
    holder.style.aspectRatio = `${width} / ${height}`;
    holder.style.setProperty("--ratio", width / height);
    const inOrder = faces.map((face, number) => ({ face, number })).sort((a, b) => a.face.box[0] - b.face.box[0]);
    frames.replaceChildren(...inOrder.map(({ face }) => {
      const button = h("button.frame", {
        type: "button", "aria-label": face.label, class: face.known ? "known" : "",
        style: percent(face.box, width, height), onclick: () => choose(face, button),
      }, h("span.tag", {}, face.short ?? face.label));
      if (face.chosen) button.setAttribute("aria-pressed", "true");
      return button;
    }));
  }

  if (size) draw();
  picture.addEventListener("load", draw);
  picture.addEventListener("error", onfail);
  return holder;
}

function percent([left, top, width, height], across, down) {
  const share = (value, whole) => `${(100 * value) / whole}%`;
  return { left: share(left, across), top: share(top, down), width: share(width, across), height: share(height, down) };
}

/**
 * Let the user draw a box on a picture: by mouse or finger, or with the arrow keys, which move it, and with Shift
 * change its size. Calls `drawn([left, top, width, height])` in pixels of a photo of `size` after each change. Returns a
 * function that ends it.
 */
export function drawing(holder, size, drawn) {
  const [width, height] = size;
  let box = null;
  let from = null;
  const frame = h("div.drawn", { tabindex: "0", role: "img", "aria-label": "The box of the face: arrow keys move it, with Shift they change its size" });
  const sheet = h("div.sheet", {}, frame);
  frame.hidden = true;
  holder.append(sheet);

  const point = (event) => {
    const place = holder.getBoundingClientRect();
    const inside = (value, most) => Math.max(0, Math.min(most, value));
    return [
      inside(((event.clientX - place.left) / place.width) * width, width),
      inside(((event.clientY - place.top) / place.height) * height, height),
    ];
  };
  const show = () => {
    frame.hidden = false;
    Object.assign(frame.style, percent(box, width, height));
  };
  const down = (event) => {
    from = point(event);
    sheet.setPointerCapture(event.pointerId);
    event.preventDefault();
  };
  const move = (event) => {
    if (!from) return;
    const to = point(event);
    box = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.abs(from[0] - to[0]), Math.abs(from[1] - to[1])];
    show();
  };
  const up = () => {
    from = null;
    if (box && box[2] >= 8 && box[3] >= 8) drawn(box.map((side) => Math.round(side * 10) / 10));
  };
  const keys = (event) => {
    const step = Math.max(width, height) / 100;
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (!by || !box) return;
    event.preventDefault();
    event.stopPropagation();
    const least = 8;
    if (event.shiftKey) {
      box[2] = Math.max(least, Math.min(width - box[0], box[2] + by[0]));
      box[3] = Math.max(least, Math.min(height - box[1], box[3] + by[1]));
    } else {
      box[0] = Math.max(0, Math.min(width - box[2], box[0] + by[0]));
      box[1] = Math.max(0, Math.min(height - box[3], box[1] + by[1]));
    }
    show();
    drawn(box.map((side) => Math.round(side * 10) / 10));
  };
  sheet.addEventListener("pointerdown", down);
  sheet.addEventListener("pointermove", move);
  sheet.addEventListener("pointerup", up);
  frame.addEventListener("keydown", keys);
  return {
    /** Put a box in the middle, for the keyboard. */
    begin() {
      const side = Math.min(width, height) / 5;
      box = [(width - side) / 2, (height - side) / 2, side, side];
      show();
      frame.focus();
      drawn(box);
    },
    end: () => sheet.remove(),
  };
}
