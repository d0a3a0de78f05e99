/** Not built yet. */

import { h, fill } from "./dom.js";

export async function open(element) {
  fill(element, h("h1", {}, "review"));
}
