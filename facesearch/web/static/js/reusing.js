/** Keep elements that were drawn, so that drawing them again neither flashes nor asks the server again. */

/** Return a function that draws an item, or returns its element if the item is as it was. At most `most` are kept. */
export function reusing(draw, key, most = 500) {
  const drawn = new Map();
  return (item) => {
    const facts = JSON.stringify(item);
    let one = drawn.get(key(item));
    if (one?.facts !== facts) one = { facts, element: draw(item) };
    drawn.delete(key(item));
    drawn.set(key(item), one);
    if (drawn.size > most) drawn.delete(drawn.keys().next().value);
    return one.element;
  };
}
