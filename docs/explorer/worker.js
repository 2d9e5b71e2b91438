// The thread that computes: it holds the network and the maps of one picture, and answers the page's questions.

import { COLUMN, Hypercolumns, addStretched, channelMeans, largest } from "./arithmetic.js";
import { Network, activationMap, classify, colours, help, readArrays, streets } from "./network.js";

let network, weights, centres;
const heads = {};
let picture = {}; // the one that is looked at: {rgb, h, w, done, places, seconds, columns, colours, asked}

/** The arrays of a file of weights of this site, while it arrives. */
async function* open(name, seen) {
  const { file, arrays } = weights[name];
  const answer = await fetch(file);
  if (!answer.ok) throw new Error(`${file} is missing (the server says ${answer.status})`);
  yield* readArrays(answer.body, arrays, seen);
}

async function fetchTrunk() {
  const total = weights.vgg16.bytes;
  let [bytes, told] = [0, 0];
  const seen = (count) => {
    bytes += count;
    if (bytes - told > 4e5 || bytes === total) postMessage({ event: "bytes", bytes: (told = bytes), total });
  };
  await network.read(open("vgg16", seen));
}

/** A head as {part: values}, fetched when it is first asked for; null where it isn't installed. */
async function head(name) {
  if (!weights[name]) return null;
  const read = async () => {
    const parts = {};
    for await (const { name: part, values } of open(name)) parts[part.replace("predictions_", "")] = values;
    return parts;
  };
  heads[name] ??= read().catch((error) => {
    delete heads[name]; // another try may reach it
    throw error;
  });
  return heads[name];
}

/** A layer's maps of the picture: a view, to be used at once (the engine's memory may grow). */
const stack = (layer) => network.stack(picture.places[layer]);

/** The hypercolumns of the picture, made when they are first asked for. */
function columns() {
  picture.columns ??= new Hypercolumns(COLUMN.map(stack), [picture.h, picture.w]);
  return picture.columns;
}

/** One map as bytes, 0 to its largest value: {index, peak, bytes, h, w}. */
function asPicture({ values, h, w, c }, index) {
  let peak = 0;
  for (let i = index; i < values.length; i += c) peak = Math.max(peak, values[i]);
  const bytes = Uint8Array.from({ length: h * w }, (_, p) => (255 * values[p * c + index]) / (peak || 1));
  return { index, peak, bytes, h, w };
}

const ANSWERS = {
  async start({ threads, site }) {
    ({ weights, centres } = site);
    network = await Network.start(threads);
    fetchTrunk().catch((error) => postMessage({ event: "failed", message: error.message }));
  },

  /** Look at a picture (h, w, 3); each layer is told when it is there. Null: another one came in between. */
  async look({ rgb, h, w }) {
    const own = { rgb, h, w };
    picture = own;
    network.forget();
    const done = (layer) => postMessage({ event: "layer", layer });
    own.done = network.run(rgb, h, w, () => picture === own, done).then((found) => Object.assign(own, found));
    await own.done;
    return own.places ? { seconds: own.seconds } : null;
  },

  /** The classes that the head thinks likeliest: [{index, probability}]. */
  async names({ count }) {
    const own = picture;
    const found = await head("names");
    if (!found) return [];
    if (picture !== own) return null;
    const shares = classify(stack("block5_conv3"), found);
    return largest(shares, count).map((index) => ({ index, probability: shares[index] }));
  },

  /** Where the picture speaks for a class: (H, W), as share of the strongest place. */
  async activation({ index }) {
    const { h, w, places } = picture;
    const found = await head("names");
    if (picture.places !== places) return null;
    const last = stack("block5_conv3");
    const map = activationMap(last, found, index);
    const out = addStretched(map, [last.h, last.w], [h, w], new Float32Array(h * w));
    const top = out.reduce((a, b) => Math.max(a, b), 1e-6);
    return out.map((value) => Math.max(value, 0) / top);
  },

  /** How similar all pixels are to one in some stacks, and a layer's maps that stand out most under it. */
  async touch({ row, column, which, layer, count }) {
    const likeness = columns().similarity(row, column, which);
    const place = COLUMN.indexOf(layer);
    const [deviations] = columns().pixel(row, column, [place]);
    const { mean, scale } = columns().stacks[place];
    const value = (k) => mean[k] + scale[k] * deviations[k];
    const strongest = largest(deviations, count).map((k) => ({ ...asPicture(stack(layer), k), value: value(k) }));
    return { likeness, strongest };
  },

  /** Maps of a layer: those asked for, or the ones with the largest mean. */
  async maps({ layer, count, among }) {
    const means = channelMeans(stack(layer));
    const wanted = among ? among.map((k) => means[k]) : means;
    return largest(wanted, count).map((i) => asPicture(stack(layer), among ? among[i] : i));
  },

  /** k-means of the pixels: each round's labels are told, the last ones answered. */
  async groups({ k, which }) {
    const own = picture;
    const asked = (own.asked = (own.asked ?? 0) + 1);
    const all = columns();
    const starts = all.starts(k, which);
    let rounds = 0;
    for (const { labels, changed } of all.kmeans(starts, which)) {
      rounds++;
      postMessage({ event: "round", labels, changed, k });
      await new Promise((resolve) => setTimeout(resolve));
      if (picture !== own || own.asked !== asked) return null;
      if (!changed) return { labels, rounds, starts };
    }
    return null;
  },

  /** What the head of colours guesses from light and dark alone; remembered. Null: it isn't installed. */
  async colours() {
    const own = picture;
    const found = await head("colours");
    if (!found || picture !== own) return null;
    if (!own.colours) {
      own.asked = (own.asked ?? 0) + 1; // groups that are still being sorted are given up
      own.done = colours(network, own, found, centres, () => picture === own);
      own.colours = await own.done;
      own.columns = null; // its views are void where the memory has grown
    }
    return picture === own ? own.colours : null;
  },

  /** The class of each pixel, by the head that was taught street scenes. Null: it isn't installed. */
  async streets() {
    const own = picture;
    const found = await head("streets");
    if (!found || picture !== own) return null;
    own.asked = (own.asked ?? 0) + 1;
    own.columns = null; // as above
    return { labels: streets(network, COLUMN.slice(1).map(stack), found) };
  },

  /** One map's kernel of the first layer, at a place: what the convolution multiplies there. */
  async magnify({ row, column, map }) {
    const { rgb, h, w } = picture;
    const first = stack("block1_conv1");
    const value = first.values[(row * w + column) * first.c + map];
    return { ...network.filter("block1_conv1", map), value, map: asPicture(first, map), rgb, h, w };
  },

  /** Bytes that the engine holds. */
  async memory() {
    return network.engine.memory.buffer.byteLength;
  },

  /** A layer's maps as they are, for tests. */
  async raw({ layer }) {
    const { values, h, w, c } = stack(layer);
    return { values: values.slice(), h, w, c };
  },
};

onmessage = async ({ data }) => {
  if (data.help) return help(data.help);
  const waits = !["start", "look"].includes(data.what);
  const asked = picture;
  try {
    if (waits) await asked.done; // a question is about the picture that was there when it was asked
    const answer = waits && (picture !== asked || !asked.places) ? null : await ANSWERS[data.what](data);
    postMessage({ id: data.id, answer });
  } catch (error) {
    postMessage({ id: data.id, error: error.message });
  }
};
