/** Keep elements that were drawn, so that drawing them again neither flashes nor asks the server again. */

/**
 * Return a function that draws an item, or returns its element if the item is as it was. At most `most` are kept. Its
 * `renewed(item, element)` says that the element was changed and shows the item as it is now.
 */
export function reusing(draw, key, most = 500) {
  const drawn = new Map();
  const keep = (item, element) => {
    drawn.delete(key(item));
    drawn.set(key(item), { facts: JSON.stringify(item), element });
    if (drawn.size > most) drawn.delete(drawn.keys().next().value);
    return element;
  };
  const drawing = (item) => {
    const known = drawn.get(key(item));
    return keep(item, known?.facts === JSON.stringify(item) ? known.element : draw(item));
  };
  return Object.assign(drawing, { renewed: keep });
}
