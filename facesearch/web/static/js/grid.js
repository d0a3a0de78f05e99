/**
 * A grid of any number of cells, of which only those in sight are in the page.
 *
 * Cells have one size. Headings may stand between them. The arrow keys, Home and End move the focus; a cell that has
 * the focus stays in the page.
 */

import { h } from "./dom.js";

const GAP = 12;
const HEADING = 56;
const SPARE = 600;

/**
 * Fill an element with a grid.
 *
 * `parts` are `{heading, items}`; `cell(item)` returns the element of an item; `least` is the least width of a cell in
 * pixels, and `below` the height of what stands below its square. Returns `{update(parts), redraw(), end(), focus()}`.
 */
export function grid(element, { parts, cell, least = 168, below = 44, label = "Photos" }) {
  const space = h("div.grid", { role: "group", "aria-label": label });
  element.append(space);
  let lines = [];
  let total = 0;
  let columns = 0;
  let width = 0;
  let focused = 0;
  const drawn = new Map();

  function lay() {
    const across = space.clientWidth;
    const shown = across < 520 ? Math.min(least, (across - GAP) / 2) : least;
    columns = Math.max(1, Math.floor((across + GAP) / (shown + GAP)));
    width = (across - (columns - 1) * GAP) / columns;
    lines = [];
    total = 0;
    let top = 0;
    for (const { heading, items } of parts) {
      if (!items.length) continue;
      if (heading) {
        lines.push({ top, height: HEADING, heading });
        top += HEADING;
      }
      for (let start = 0; start < items.length; start += columns) {
        lines.push({ top, height: width + below + GAP, items: items.slice(start, start + columns), first: total });
        total += Math.min(columns, items.length - start);
        top += width + below + GAP;
      }
    }
    space.style.height = `${Math.max(0, top - GAP)}px`;
    for (const one of drawn.values()) one.remove();
    drawn.clear();
    draw();
  }

  function draw() {
    const offset = space.getBoundingClientRect().top;
    const from = -offset - SPARE;
    const until = innerHeight - offset + SPARE;
    const wanted = new Set();
    for (let number = firstLine(from); number < lines.length && lines[number].top < until; number++) wanted.add(number);
    const holder = lines.findIndex((line) => line.items && focused >= line.first && focused < line.first + line.items.length);
    if (holder >= 0 && space.contains(document.activeElement)) wanted.add(holder);
    for (const [number, one] of drawn) {
      if (!wanted.has(number)) {
        one.remove();
        drawn.delete(number);
      }
    }
    for (const number of [...wanted].sort((a, b) => a - b)) {
      if (!drawn.has(number)) drawn.set(number, place(number));
    }
  }

  function firstLine(from) {
    let low = 0;
    let high = lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lines[middle].top + lines[middle].height < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function place(number) {
    const line = lines[number];
    const row = h("div.row", { role: line.heading ? null : "list", style: { transform: `translateY(${line.top}px)`, gap: `${GAP}px` } });
    if (line.heading) row.append(h("h2", {}, line.heading));
    else {
      line.items.forEach((item, place) => {
        const one = h("div.cell", {
          role: "listitem", "aria-setsize": total, "aria-posinset": line.first + place + 1, style: { width: `${width}px` },
        }, cell(item, line.first + place));
        one.dataset.place = line.first + place;
        row.append(one);
      });
    }
    const next = [...drawn.keys()].filter((other) => other > number).sort((a, b) => a - b)[0];
    space.insertBefore(row, next === undefined ? null : drawn.get(next)); // the order of the page is that of the keyboard
    return row;
  }

  function target(place) {
    return space.querySelector(`[data-place="${place}"] a, [data-place="${place}"] button`);
  }

  function focus(place) {
    focused = Math.max(0, Math.min(total - 1, place));
    const line = lines.find((one) => one.items && focused >= one.first && focused < one.first + one.items.length);
    if (!line) return;
    const top = space.getBoundingClientRect().top + line.top;
    if (top < 80 || top + line.height > innerHeight) scrollBy(0, top - innerHeight / 3);
    draw();
    target(focused)?.focus({ preventScroll: true });
  }

  function keys(event) {
    const here = event.target.closest("[data-place]");
    if (!here || event.altKey || event.ctrlKey || event.metaKey) return;
    const place = Number(here.dataset.place);
    const to = {
      ArrowLeft: place - 1, ArrowRight: place + 1, ArrowUp: place - columns, ArrowDown: place + columns, Home: 0,
      End: total - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to >= 0 && to < total) focus(to);
  }

  let frame = 0;
  const soon = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  };
  let known = 0;
  const sizes = new ResizeObserver(() => {
    if (space.clientWidth !== known) {
      known = space.clientWidth;
      lay();
    }
  });
  addEventListener("scroll", soon, { passive: true });
  space.addEventListener("keydown", keys);
  space.addEventListener("focusin", (event) => {
    const here = event.target.closest("[data-place]");
    if (here) focused = Number(here.dataset.place);
  });
  sizes.observe(space);
  known = space.clientWidth;
  lay();

  return {
    update(changed) {
      parts = changed;
      lay();
    },
    redraw: lay,
    focus,
    end() {
      removeEventListener("scroll", soon);
      sizes.disconnect();
      cancelAnimationFrame(frame);
    },
  };
}
