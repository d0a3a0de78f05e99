/** Messages at the foot of the page: what was done, with an Undo that stays, and what went wrong. */

import { h, fill, icon } from "./dom.js";
import { say } from "./api.js";

const area = document.getElementById("messages");
let timer = 0;

function show(message, { wrong = false, action = null, seconds = 0 } = {}) {
  clearTimeout(timer);
  const close = h("button.bare", { type: "button", "aria-label": "Close", onclick: clear }, icon("close"));
  fill(area, h(wrong ? "div.message.wrong" : "div.message", {}, h("span", {}, message), action, close));
  if (seconds) timer = setTimeout(clear, seconds * 1000);
}

/** Say something for a few seconds. */
export function tell(message) {
  show(message, { seconds: 6 });
}

/** Say what went wrong; it stays until it is closed. */
export function complain(error) {
  if (error?.name === "AbortError") return;
  show(error?.message ?? String(error), { wrong: true });
}

/** Say what was done, with a button that takes it back; it stays until the next message. */
export function done(message, action, undone) {
  const undo = h("button", {
    type: "button",
    onclick: async () => {
      try {
        await say({ say: "undo", action });
        tell("Taken back.");
        await undone?.();
      } catch (error) {
        complain(error);
      }
    },
  }, "Undo");
  show(message, { action: undo });
}

/** Remove the message. */
export function clear() {
  clearTimeout(timer);
  fill(area);
}
