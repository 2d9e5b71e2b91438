// Pictures: reading what a person has, and the two ways to draw: numbers as colours, and a picture as it is.

import { networkSize, recolour, resize } from "./arithmetic.js";

const SHOWN = 1024; // longer side of the picture on the page
const VIRIDIS = "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725";

const rgbOf = (text) => [0, 2, 4].map((i) => parseInt(text.slice(i, i + 2), 16));
const colours = (texts, alpha) => texts.split(" ").map((text) => [...rgbOf(text), alpha]);

/** The colours of the maps, as in the notebooks: 256 times [red, green, blue, alpha]. */
const ten = { values: colours(VIRIDIS, 255).flat(), h: 1, w: 10, c: 4 };
const ramp = resize(ten, [1, 256], { columns: { start: 0.5, length: 9 } }).values;
export const MAP = Array.from({ length: 256 }, (_, i) => ramp.subarray(4 * i, 4 * i + 4));

/** Light and dark over the photograph: where a map has 255 it stays as it is, where it has 0 it lies in the dark. */
export const LIGHT = Array.from({ length: 256 }, (_, i) => [10, 12, 20, 215 * (1 - i / 255) ** 1.6]);

/** Colours of groups (Petroff 2021), as in the notebooks, through which the photograph is seen. */
export const PALETTE = colours("3f90da ffa90e bd1f01 94a4a2 832db6 a96b59 e76300 b9ac70", 200);

/** Colours of sky, building, pole, road, pavement, tree, sign, fence, car, pedestrian and bicyclist, as there. */
export const STREET = colours("92dadd a96b59 ffa90e 717581 b9ac70 2e8b3d f5d800 e76300 3f90da bd1f01 832db6", 200);

// --- reading -------------------------------------------------------------------------------------------------

const SENTENCES = [
  [/^\s*(<!doctype html|<html)/i, "is a web page, not a picture: open it, and save the picture itself"],
  [/^.{4}ftyp(hei|mif1|hev)/s, "is a HEIC photograph, which this browser can't read: share or export it as JPEG"],
  [/^%PDF/, "is a PDF: export the page as a picture"],
  [/^(.PNG|ÿØÿ|GIF8|RIFF|BM)/s, "is damaged, or too large for this browser: make it smaller in a picture editor first"],
  [/^$/, "is empty: the copy failed; fetch it again"],
  [/^/, "is not a picture that a browser can read: give a JPEG, PNG or WebP"],
];

/** What to say about a file that the browser can't show. */
async function complaint(file) {
  const start = new TextDecoder("latin1").decode(await file.slice(0, 64).arrayBuffer());
  const [, words] = SENTENCES.find(([pattern]) => pattern.test(start));
  return `${file.name || "What you gave"} ${words}.`;
}

/** A file or blob as a canvas, upright, at most `SHOWN` on its longer side, on white. Throws a sentence. */
export async function readPicture(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error(await complaint(file));
  }
  const canvas = onCanvas(bitmap, bitmap.width, bitmap.height);
  bitmap.close();
  return canvas;
}

/** Whatever can be drawn, as a canvas on white, its longer side at most `longest`. */
export function onCanvas(source, width, height, longest = SHOWN) {
  const scale = Math.min(1, longest / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** The red, green and blue of a canvas. */
function pixelsOf(canvas) {
  const { width: w, height: h } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, w, h);
  const values = new Float32Array(h * w * 3);
  for (let p = 0; p < h * w; p++) for (let k = 0; k < 3; k++) values[3 * p + k] = data[4 * p + k];
  return { values, h, w, c: 3 };
}

/** The picture as the network looks at it. */
export const forNetwork = (canvas, side) => resize(pixelsOf(canvas), networkSize(canvas.height, canvas.width, side));

// --- drawing -------------------------------------------------------------------------------------------------

/** Paint a canvas of (h, w) pixels; colourOf(p) gives red, green, blue and alpha. */
function paint(canvas, h, w, colourOf) {
  [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  const image = context.createImageData(w, h);
  for (let p = 0; p < h * w; p++) image.data.set(colourOf(p), 4 * p);
  context.putImageData(image, 0, 0);
  canvas.dispatchEvent(new Event("painted"));
}

/** Paint one colour for each number: a map in MAP or as LIGHT, labels in their palette. */
export function paintNumbers(canvas, { numbers, h, w }, palette) {
  paint(canvas, h, w, (p) => palette[numbers[p]]);
}

/** Paint a picture, or the `size` x `size` pixels of it around a place, grey where it ends. */
export function paintPicture(canvas, { values, h, w }, { row, column, size } = {}) {
  const [tall, wide, top, left] = size ? [size, size, row - (size >> 1), column - (size >> 1)] : [h, w, 0, 0];
  paint(canvas, tall, wide, (p) => {
    const [y, x] = [top + Math.floor(p / wide), left + (p % wide)];
    const inside = y >= 0 && y < h && x >= 0 && x < w;
    return inside ? [...values.subarray(3 * (y * w + x), 3 * (y * w + x) + 3), 255] : [128, 128, 128, 255];
  });
}

/** A canvas's picture with other colours: small maps of a and b over its own lightness; none for grey. */
export function recoloured(source, ab) {
  const picture = pixelsOf(onCanvas(source, source.width, source.height, 640));
  return recolour(picture, ab && resize(ab, [picture.h, picture.w]).values);
}
