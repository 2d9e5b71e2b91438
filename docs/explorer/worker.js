// The thread that computes. It holds the network and one picture, and answers the page's questions: {id, what, …}.
// To each comes {id, answer} or {id, error}, before it {id, part} where there is something to see earlier. Only the
// last question counts: one that is still open when the next comes in is given up, and its answer is null.

import { COLUMN, Hypercolumns, LAYERS, channelMeans, largest, standardized } from "./arithmetic.js";
import { colours, locate, names, streets } from "./heads.js";
import { Engine, Weights, pause, run } from "./network.js";

const REPLACED = Symbol("another question came");
const FIRST = LAYERS[0].name;
let engine, site, weights, ground, last;
let picture; // {values, h, w, maps: {layer: Maps}, top: what lies above it in memory is free}, and what is remembered

async function start() {
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, 4) : 1;
  const get = (name) => fetch(new URL(name, import.meta.url));
  const code = get(threads > 1 ? "engine_threads.wasm" : "engine.wasm").then((answer) => answer.arrayBuffer());
  site = await (await get("site.json")).json();
  engine = await Engine.start(await WebAssembly.compile(await code), threads);
  weights = Object.fromEntries(Object.entries(site.weights).map(([name, told]) => [name, new Weights(engine, told)]));
  ground = engine.top;
  weights.vgg16.fetch((bytes) => postMessage({ bytes, total: weights.vgg16.bytes }));
}

/** A block's last maps, standardized, remembered. */
function stack(block) {
  const layer = COLUMN[block - 1];
  return (picture.stacks[layer] ??= standardized(picture.maps[layer], [picture.h, picture.w]));
}

/** The picture's hypercolumns: of one block, or of all for 0. */
const columns = (block) => new Hypercolumns((block ? [block] : [1, 2, 3, 4, 5]).map(stack), [picture.h, picture.w]);

/** One map as bytes, 0 to its largest value. */
function asBytes({ values, h, w, c }, index) {
  let peak = 0;
  for (let i = index; i < values.length; i += c) peak = Math.max(peak, values[i]);
  const byte = (_, p) => (255 * Math.max(values[p * c + index], 0)) / (peak || 1);
  return { index, h, w, numbers: Uint8Array.from({ length: h * w }, byte) };
}

/** Each gets a question, a way to wait that ends where the question is replaced, and one to tell a part. */
const ANSWERS = {
  /** Look at a picture; what was known of the one before is given up. */
  async look({ values, h, w }, still, tell) {
    engine.top = ground;
    const done = (layer, found) => {
      const early = COLUMN.includes(layer) && !weights.vgg16.complete; // on a slow line there is something to see
      tell({ layer, map: early && asBytes(found, largest(channelMeans(found), 1)[0]) });
    };
    const { maps, seconds } = await run(engine, weights.vgg16, { values, h, w }, still, done);
    picture = { values, h, w, c: 3, maps, top: engine.top, stacks: {} };
    return { seconds };
  },

  /** The classes that the head thinks likeliest, each with its class activation map. */
  async names() {
    const { shares, logits } = names(engine, weights.names, picture.maps.block5_conv3);
    return largest(shares, 5).map((index) => ({ ...asBytes(logits, index), probability: shares[index] }));
  },

  /** How similar all pixels are to one, and a layer's maps that stand out most under it. */
  async touch({ row, column, block }) {
    const place = row * picture.w + column;
    const likeness = columns(block).similarity(place);
    const shown = block || 5;
    const { maps, mean, scale } = stack(shown);
    const [deviations] = columns(shown).pixel(place);
    const value = (k) => mean[k] + scale[k] * deviations[k];
    const strongest = largest(deviations, 8).map((k) => ({ ...asBytes(maps, k), value: value(k) }));
    return { layer: COLUMN[shown - 1], likeness, strongest };
  },

  /** The maps of a layer that answer most, among those with a wish where there is an atlas. */
  async layers({ layer: number }) {
    const layer = LAYERS[number].name;
    const maps = picture.maps[layer];
    const means = channelMeans(maps);
    const among = Object.keys(site.atlas?.layers[layer] ?? means).map(Number);
    const wanted = among.map((k) => means[k]);
    return { layer, strongest: largest(wanted, 12).map((i) => asBytes(maps, among[i])) };
  },

  /** k-means of the pixels, told after each round. */
  async groups({ k, block }, still, tell) {
    const pixels = columns(block);
    const starts = pixels.starts(k);
    let found;
    let rounds = 0;
    for (const { labels, changed } of pixels.kmeans(starts)) {
      found = { labels, rounds: ++rounds, starts, settled: !changed };
      tell(found);
      await still(pause());
    }
    return found;
  },

  /** The name and the box of one object, told after each look. */
  async boxes(_, still, tell) {
    return (picture.boxes ??= await locate(engine, weights, site.boxes, picture, still, tell));
  },

  /** What the head of colours guesses from light and dark alone. */
  async colours(_, still) {
    return (picture.colours ??= await colours(engine, weights, site.centres, picture, still));
  },

  /** The class of each pixel, by the head that was taught street scenes. */
  async streets() {
    return { labels: streets(engine, weights.streets, picture.maps) };
  },

  /** A kernel of the first layer and what it is multiplied with at a place. */
  async magnifier({ row, column, map }, still) {
    const { kernel, bias, shape } = await still(weights.vgg16.part(FIRST));
    const first = picture.maps[FIRST];
    const all = engine.floats(kernel, 27 * shape[3]);
    return {
      kernel: Float32Array.from({ length: 27 }, (_, i) => all[i * shape[3] + map]),
      bias: engine.floats(bias, shape[3])[map],
      value: first.values[(row * first.w + column) * first.c + map],
      map: asBytes(first, map),
    };
  },

  /** For tests: how much is held, and a layer's maps as they are. */
  async memory() {
    return { bytes: engine.memory.buffer.byteLength, threads: engine.threads };
  },
  async raw({ layer }) {
    const { values, h, w, c } = picture.maps[layer];
    return { values: values.slice(), h, w, c };
  },
};

const ready = start();

onmessage = async ({ data: { id, what, ...question } }) => {
  last = id;
  const still = async (wait) => {
    const found = await wait;
    if (id !== last) throw REPLACED;
    return found;
  };
  try {
    await still(ready);
    await still(pause()); // of several touches that have come by now, the last one alone is answered
    await still(weights[what]?.fetch()); // the head of that name, for some
    if (picture) engine.top = picture.top; // what earlier questions left above is given up
    postMessage({ id, answer: await ANSWERS[what](question, still, (part) => postMessage({ id, part })) });
  } catch (error) {
    postMessage(error === REPLACED ? { id, answer: null } : { id, error: error.message });
  }
};
