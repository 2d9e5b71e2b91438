// The thread that computes: it holds the network and the maps of one picture, and answers the page's questions.

import { COLUMN, Hypercolumns, addStretched, channelMeans, largest } from "./arithmetic.js";
import { Network, activationMap, classify, help, readNpz } from "./network.js";

let network, head, fetching;
let picture = {}; // the one that is looked at: {rgb, h, w, done, stacks, seconds, columns, asked}

/** The bytes of a file of this site, as a stream. */
async function open(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${new URL(address).pathname} is missing (the server says ${answer.status})`);
  return answer;
}

async function fetchAll(trunk, names) {
  const answer = await open(trunk);
  const total = Number(answer.headers.get("Content-Length")) || 0;
  let [bytes, told] = [0, 0];
  await network.read(answer.body, (count) => {
    bytes += count;
    if (bytes - told > 4e5) postMessage({ event: "bytes", bytes: (told = bytes), total });
  });
  postMessage({ event: "bytes", bytes, total: bytes });
  if (!names) return;
  const parts = {};
  for await (const { name, values } of readNpz((await open(names)).body))
    parts[name.replace("predictions_", "")] = values;
  head = parts;
}

/** The hypercolumns of the picture, made when they are first asked for. */
function columns() {
  const { stacks, h, w } = picture;
  picture.columns ??= new Hypercolumns(
    COLUMN.map((name) => stacks[name]),
    [h, w],
  );
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
  async start({ threads, trunk, names }) {
    network = await Network.start(threads);
    fetching = fetchAll(trunk, names);
    fetching.catch((error) => postMessage({ event: "failed", message: error.message }));
  },

  /** Look at a picture (h, w, 3); each layer is told when it is there. Null: another one came in between. */
  async look({ rgb, h, w }) {
    const own = { rgb, h, w };
    picture = own;
    const done = (layer) => postMessage({ event: "layer", layer });
    own.done = network.run(rgb, h, w, () => picture === own, done).then((found) => Object.assign(own, found));
    await own.done;
    return own.stacks ? { seconds: own.seconds } : null;
  },

  /** The classes that the head thinks likeliest: [{index, probability}]. */
  async names({ count }) {
    await fetching;
    if (!head) return [];
    const shares = classify(picture.stacks.block5_conv3, head);
    return largest(shares, count).map((index) => ({ index, probability: shares[index] }));
  },

  /** Where the picture speaks for a class: (H, W), as share of the strongest place. */
  async activation({ index }) {
    const { h, w, stacks } = picture;
    const stack = stacks.block5_conv3;
    const map = activationMap(stack, head, index);
    const out = addStretched(map, [stack.h, stack.w], [h, w], new Float32Array(h * w));
    const top = out.reduce((a, b) => Math.max(a, b), 1e-6);
    return out.map((value) => Math.max(value, 0) / top);
  },

  /** How similar all pixels are to one in some stacks, and a layer's maps that stand out most under it. */
  async touch({ row, column, which, layer, count }) {
    const likeness = columns().similarity(row, column, which);
    const stack = picture.stacks[layer];
    const place = COLUMN.indexOf(layer);
    const [deviations] = columns().pixel(row, column, [place]);
    const { mean, scale } = columns().stacks[place];
    const value = (k) => mean[k] + scale[k] * deviations[k];
    const strongest = largest(deviations, count).map((k) => ({ ...asPicture(stack, k), value: value(k) }));
    return { likeness, strongest };
  },

  /** Maps of a layer: those asked for, or the ones with the largest mean. */
  async maps({ layer, count, among }) {
    const stack = picture.stacks[layer];
    const means = channelMeans(stack);
    const wanted = among ? among.map((k) => means[k]) : means;
    return largest(wanted, count).map((i) => asPicture(stack, among ? among[i] : i));
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

  /** One map's kernel of the first layer, at a place: what the convolution multiplies there. */
  async magnify({ row, column, map }) {
    const { kernel, bias } = network.filter("block1_conv1", map);
    const { rgb, h, w, stacks } = picture;
    const { values, c } = stacks.block1_conv1;
    return {
      kernel,
      bias,
      value: values[(row * w + column) * c + map],
      map: asPicture(stacks.block1_conv1, map),
      rgb,
      h,
      w,
    };
  },

  /** Bytes that the engine holds. */
  async memory() {
    return network.engine.memory.buffer.byteLength;
  },

  /** A layer's maps as they are, for tests. */
  async raw({ layer }) {
    const { values, h, w, c } = picture.stacks[layer];
    return { values: values.slice(), h, w, c };
  },
};

onmessage = async ({ data }) => {
  if (data.help) return help(data.help);
  const waits = !["start", "look"].includes(data.what);
  const asked = picture;
  try {
    if (waits) await asked.done; // a question is about the picture that was there when it was asked
    const answer = waits && (picture !== asked || !asked.stacks) ? null : await ANSWERS[data.what](data);
    postMessage({ id: data.id, answer });
  } catch (error) {
    postMessage({ id: data.id, error: error.message });
  }
};
