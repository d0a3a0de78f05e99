/**
 * The question that is being asked: photos from this device, faces of the library, or a person.
 *
 * Photos stay in the browser and go to the server with each question about them. They are lost when the page is
 * reloaded; questions about faces and people are in the address.
 */

import { get, post, send } from "./api.js";

/** A photo from this device, with what the server has found in it. */
class OwnPhoto {
  constructor(file) {
    this.file = file;
    this.url = URL.createObjectURL(file);
    this.faces = [];
    this.chosen = 1;
  }

  /** Ask for the faces in it, the largest first. */
  async look(signal) {
    this.faces = (await send("faces", [this.file], {}, { signal })).faces;
    return this;
  }

  release() {
    URL.revokeObjectURL(this.url);
  }
}

export const question = {
  /** Photos from this device, of one person. */
  photos: [],
  /** What limits the answer: `where` and `with`, `without`, `alone` of the API. */
  limits: {},

  clear() {
    for (const photo of this.photos) photo.release();
    this.photos = [];
    this.limits = {};
  },

  add(file) {
    const photo = new OwnPhoto(file);
    this.photos.push(photo);
    return photo;
  },

  drop(photo) {
    photo.release();
    this.photos = this.photos.filter((other) => other !== photo);
  },
};

/** Ask what the address and the photos at hand say; `more` are further options of the API. */
export async function ask(parameters, more, signal) {
  const options = { ...question.limits, ...more };
  if (parameters.has("person")) return post("search", { person: Number(parameters.get("person")), ...options }, { signal });
  if (parameters.has("faces")) {
    const ids = parameters.get("faces").split(",").map(Number);
    return post("search", { face_ids: ids, ...options }, { signal });
  }
  if (!question.photos.length) return null;
  const [first, ...others] = question.photos;
  const face = others.length ? {} : { face: first.chosen };
  return send("search", question.photos.map((photo) => photo.file), { ...face, ...options }, { signal });
}

/** Return people whose name contains a text, the most photographed first. */
export async function peopleCalled(text, limit = 8) {
  return (await get(`people?search=${encodeURIComponent(text)}&limit=${limit}`)).people;
}
