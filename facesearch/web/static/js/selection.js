/** What is selected in a grid: one by one, or from the last one to another. */

/** Return a selection of keys; `changed()` is called after each change, and `order()` returns all keys in their order. */
export function selection(order, changed) {
  const chosen = new Set();
  let anchor = null;

  return {
    get size() {
      return chosen.size;
    },
    has: (key) => chosen.has(key),
    /** The keys that are selected, in their order. */
    keys: () => order().filter((key) => chosen.has(key)),
    /** Select a key or not; with `range` all from the one before do the same. */
    set(key, on, range = false) {
      const keys = order();
      const [from, to] = [range && anchor !== null ? keys.indexOf(anchor) : -1, keys.indexOf(key)];
      const touched = from < 0 || to < 0 ? [key] : keys.slice(Math.min(from, to), Math.max(from, to) + 1);
      for (const one of touched) {
        if (on) chosen.add(one);
        else chosen.delete(one);
      }
      anchor = key;
      changed();
    },
    /** Say where a range begins that nothing was selected for yet. */
    begin(key) {
      if (!chosen.size) anchor = key;
    },
    all() {
      for (const key of order()) chosen.add(key);
      changed();
    },
    clear() {
      chosen.clear();
      anchor = null;
      changed();
    },
    /** Forget keys that are not there any more. */
    prune() {
      const keys = new Set(order());
      for (const key of chosen) if (!keys.has(key)) chosen.delete(key);
      changed();
    },
  };
}

/**
 * Let a grid select: a box in each cell, Shift and a click for a range, Space on the keyboard, Shift and arrows, Ctrl+A,
 * Escape. `key(element)` returns the key of the cell that an element is in, null outside cells.
 */
export function selecting(place, chosen, key, signal) {
  place.addEventListener("click", (event) => {
    const at = key(event.target);
    if (at === null) return;
    if (event.target.matches(".select input")) chosen.set(at, event.target.checked, event.shiftKey);
    else if (event.shiftKey && event.target.closest(".picture")) {
      event.preventDefault();
      chosen.set(at, true, true);
    }
  }, { signal });
  let before = null;
  place.addEventListener("keydown", (event) => { before = key(event.target); }, { capture: true, signal });
  place.addEventListener("keydown", (event) => {
    const at = key(event.target);
    if (at === null || event.target.matches("input:not([type=checkbox])")) return;
    const turns = event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End";
    if (event.key === " " && event.target.matches(".picture")) {
      event.preventDefault();
      chosen.set(at, !chosen.has(at), event.shiftKey);
    } else if (event.shiftKey && turns) {
      const now = key(document.activeElement);
      if (now === null || now === before) return;
      if (!chosen.has(before)) chosen.set(before, true);
      chosen.set(now, true, true);
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      event.preventDefault();
      chosen.all();
    } else if (event.key === "Escape" && chosen.size) chosen.clear();
  }, { signal });
}
