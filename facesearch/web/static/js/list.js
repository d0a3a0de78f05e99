/**
 * The photos that were shown last, in order: next and previous on the screen of one photo.
 *
 * A photo is what follows `#/photo/` in its address: its id, and in a shared gallery the name of its index.
 */

let photos = [];
let from = "#/find";

export const list = {
  /** Remember photos, and the address of the screen that showed them. */
  set(shown, address) {
    photos = [...new Set(shown.map(String))];
    from = address;
  },
  /** Where to go back to. */
  get from() {
    return from;
  },
  /** Return the photo before (-1) or after (1) one, null at the ends. */
  beside(photo, step) {
    const place = photos.indexOf(String(photo));
    return place < 0 ? null : photos[place + step] ?? null;
  },
  /** Return the place of a photo from 1, and how many there are; null if it is not among them. */
  place(photo) {
    const place = photos.indexOf(String(photo));
    return place < 0 ? null : [place + 1, photos.length];
  },
};
