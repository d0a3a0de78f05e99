/** The picture of a face, or the outline of nobody where there is none. */

import { h } from "./dom.js";
import { facePicture } from "./api.js";

/** Return the picture of a face by its id, which may be null; `alt` says who it is, if nothing beside it does. */
export function portrait(face, side = 192, alt = "") {
  const nobody = () => h("span.nobody", alt ? { role: "img", "aria-label": alt } : { "aria-hidden": "true" });
  if (face === null || face === undefined) return nobody();
  return h("img.portrait", { src: facePicture(face, side), alt, loading: "lazy", draggable: "false", onerror: (event) => event.target.replaceWith(nobody()) });
}
