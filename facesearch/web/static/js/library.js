/** The library: a line at the foot that opens. */

export const library = {
  open() {},
  close() {},
};
