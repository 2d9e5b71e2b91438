// Pictures: reading what a person has, and drawing maps as colours.

import { networkSize, recolour, resize } from "./arithmetic.js";

const SHOWN = 1024; // longer side of the picture on the page
const VIRIDIS = ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"];

/** The colours of the maps, as in the notebooks: 256 times [red, green, blue, alpha]. */
const COLOURS = Array.from({ length: 256 }, (_, i) => {
  const place = (i / 255) * (VIRIDIS.length - 1);
  const before = Math.min(Math.floor(place), VIRIDIS.length - 2);
  const part = (text, k) => parseInt(text.slice(2 * k, 2 * k + 2), 16);
  const mix = (k) => part(VIRIDIS[before], k) * (before + 1 - place) + part(VIRIDIS[before + 1], k) * (place - before);
  return [...[0, 1, 2].map((k) => Math.round(mix(k))), 255];
});

/** Colours of groups (Petroff 2021), as in the notebooks, through which the photograph is seen. */
export const PALETTE = seeThrough("3f90da ffa90e bd1f01 94a4a2 832db6 a96b59 e76300 b9ac70");

/** Colours of sky, building, pole, road, pavement, tree, sign, fence, car, pedestrian and bicyclist, as there. */
export const STREET = seeThrough("92dadd a96b59 ffa90e 717581 b9ac70 2e8b3d f5d800 e76300 3f90da bd1f01 832db6");

function seeThrough(texts) {
  return texts.split(" ").map((text) => [...[0, 1, 2].map((k) => parseInt(text.slice(2 * k, 2 * k + 2), 16)), 200]);
}

const SENTENCES = [
  [/^\s*(<!doctype html|<html)/i, "is a web page, not a picture: open it, and save the picture itself"],
  [/^.{4}ftyp(hei|mif1|hev)/s, "is a HEIC photograph, which this browser can't read: share or export it as JPEG"],
  [/^%PDF/, "is a PDF: export the page as a picture"],
];

/** What to say about a file that the browser can't show. */
async function complaint(file) {
  const name = file.name || "What you gave";
  if (!file.size) return `${name} is empty: the copy failed; fetch it again.`;
  const start = new TextDecoder("latin1").decode(await file.slice(0, 64).arrayBuffer());
  const known = SENTENCES.find(([pattern]) => pattern.test(start));
  if (known) return `${name} ${known[1]}.`;
  const picture = /^(.PNG|ÿØÿ|GIF8|RIFF|BM)/s.test(start);
  if (picture) return `${name} is damaged, or too large for this browser: make it smaller in a picture editor first.`;
  return `${name} is not a picture that a browser can read: give a JPEG, PNG or WebP.`;
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

/** The red, green and blue of a canvas: Float32Array (h, w, 3). */
function pixelsOf(canvas) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const rgb = new Float32Array((data.length / 4) * 3);
  for (let p = 0; p < data.length / 4; p++) for (let k = 0; k < 3; k++) rgb[3 * p + k] = data[4 * p + k];
  return rgb;
}

/** The picture as the network looks at it: {rgb: Float32Array (h, w, 3), h, w}. */
export function forNetwork(canvas, side) {
  const { width, height } = canvas;
  const [h, w] = networkSize(height, width, side);
  return { rgb: resize(pixelsOf(canvas), [height, width, 3], [h, w]), h, w };
}

/** Paint a canvas of (h, w) pixels: write(data, i, p) puts red, green, blue and alpha of pixel p at i. */
function paint(canvas, h, w, write) {
  [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  const image = context.createImageData(w, h);
  for (let p = 0; p < h * w; p++) write(image.data, 4 * p, p);
  context.putImageData(image, 0, 0);
  canvas.dispatchEvent(new Event("painted"));
}

/** Paint one colour a pixel: colours[numbers[p]], each [red, green, blue, alpha]. */
export function paintColours(canvas, h, w, numbers, colours) {
  paint(canvas, h, w, (data, i, p) => {
    const colour = colours[numbers[p]];
    for (let k = 0; k < 4; k++) data[i + k] = colour[k];
  });
}

/** One map, as bytes, in the maps' colours. */
export function paintMap(canvas, { bytes, h, w }) {
  paintColours(canvas, h, w, bytes, COLOURS);
}

/** Light and dark over the photograph: what has 1 stays as it is, what has 0 lies in the dark. */
export function paintLight(canvas, h, w, light) {
  paint(canvas, h, w, (data, i, p) => {
    data[i] = 10;
    data[i + 1] = 12;
    data[i + 2] = 20;
    data[i + 3] = 215 * (1 - light[p]) ** 1.6;
  });
}

/** The pixels around a place, enlarged by the browser: a picture (size, size) of an rgb array; grey beyond. */
export function paintAround(canvas, { rgb, h, w }, row, column, size) {
  paint(canvas, size, size, (data, i, p) => {
    const y = row + Math.floor(p / size) - (size >> 1);
    const x = column + (p % size) - (size >> 1);
    const inside = y >= 0 && y < h && x >= 0 && x < w;
    for (let k = 0; k < 3; k++) data[i + k] = inside ? rgb[3 * (y * w + x) + k] : 128;
    data[i + 3] = 255;
  });
}

/** A picture with other colours: small maps of a and b (h, w, 2) over its own lightness; null for grey. */
export function paintRecoloured(canvas, source, ab, h, w) {
  const small = onCanvas(source, source.width, source.height, 640);
  const rgb = recolour(pixelsOf(small), ab && resize(ab, [h, w, 2], [small.height, small.width]));
  paint(canvas, small.height, small.width, (data, i, p) => {
    for (let k = 0; k < 3; k++) data[i + k] = rgb[3 * p + k];
    data[i + 3] = 255;
  });
}
