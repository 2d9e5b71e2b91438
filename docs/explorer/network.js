// The network itself: weights while they arrive, VGG-16's convolutions in WebAssembly, and the heads on it.

import {
  COLUMN,
  LAYERS,
  MEAN,
  channelMeans,
  grey,
  networkSize,
  project,
  resize,
  softmax,
  toLab,
} from "./arithmetic.js";

const MAX_PAGES = 16384; // of 64 KiB: a gigabyte, reserved, not taken

// --- reading weights ---------------------------------------------------------------------------------------

/** The float32 values of all 65,536 float16 numbers. */
const HALVES = Float32Array.from({ length: 65536 }, (_, bits) => {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
});

/** Arrays of float16 numbers out of a stream, [name, shape] each, while it arrives: yields {name, shape, values}. */
export async function* readArrays(stream, arrays, seen = () => {}) {
  const reader = stream.getReader();
  let part = new Uint8Array(0);
  for (const [name, shape] of arrays) {
    const bytes = new Uint8Array(2 * shape.reduce((a, b) => a * b));
    for (let filled = 0; filled < bytes.length;) {
      if (!part.length) {
        const { value, done } = await reader.read();
        if (done) throw new Error("the file of weights is cut short: reload the page, or copy the file again");
        seen(value.length);
        part = value;
      }
      const taken = part.subarray(0, bytes.length - filled);
      bytes.set(taken, filled);
      filled += taken.length;
      part = part.subarray(taken.length);
    }
    const values = new Float32Array(bytes.length / 2);
    new Uint16Array(bytes.buffer).forEach((half, i) => (values[i] = HALVES[half]));
    yield { name, shape, values };
  }
}

// --- the engine --------------------------------------------------------------------------------------------

/** What a helping thread does for ever: wait for a ticket, do its share of a convolution. */
export async function help({ module, memory, control, me, threads, stack, work }) {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  exports.__stack_pointer.value = stack;
  const slots = new Int32Array(memory.buffer, control, 16);
  postMessage("here");
  for (let ticket = 0; ; ticket++) {
    Atomics.wait(slots, 0, ticket); // comes back at once where the next one is out already
    const [, input, kernel, bias, out, h, w, c, k] = slots;
    exports.convolve(input, kernel, bias, out, work, h, w, c, k, me, threads);
  }
}

/** Memory, the compiled convolution and, where the page may share memory, threads. */
class Engine {
  static async start(threads) {
    const engine = new Engine();
    const shared = threads > 1;
    const file = await fetch(new URL(shared ? "engine_threads.wasm" : "engine.wasm", import.meta.url));
    const module = await WebAssembly.compile(await file.arrayBuffer());
    const limits = { initial: 1280, maximum: MAX_PAGES };
    engine.memory = new WebAssembly.Memory(shared ? { ...limits, shared } : limits);
    engine.exports = (await WebAssembly.instantiate(module, { env: { memory: engine.memory } })).exports;
    engine.top = engine.exports.__heap_base.value;
    engine.threads = threads;
    engine.work = Array.from({ length: threads }, () => engine.place(engine.exports.scratch(512)));
    engine.control = engine.place(16);
    await Promise.all(engine.work.slice(1).map((work, i) => engine.hire(module, i + 1, work)));
    return engine;
  }

  /** Start one helping thread. */
  hire(module, me, work) {
    const stack = this.place(16384) + 65536;
    const helper = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    const { memory, control, threads } = this;
    helper.postMessage({ help: { module, memory, control, me, threads, stack, work } });
    return new Promise((resolve, reject) => {
      helper.onmessage = resolve;
      helper.onerror = reject;
    });
  }

  /** A place for so many floats; what is above `top` is given up by setting `top` back. */
  place(floats) {
    const pointer = (this.top + 63) & ~63;
    this.top = pointer + 4 * floats;
    const missing = Math.ceil((this.top - this.memory.buffer.byteLength) / 65536);
    try {
      if (missing > 0) this.memory.grow(missing);
    } catch {
      throw new Error("This device has too little memory for a picture of this size: choose a smaller one");
    }
    return pointer;
  }

  floats(pointer, count) {
    return new Float32Array(this.memory.buffer, pointer, count);
  }

  /** One convolution with bias and ReLU, on all threads. */
  convolve(input, { kernel, bias }, out, h, w, c, k) {
    if (this.threads > 1) {
      const slots = new Int32Array(this.memory.buffer, this.control, 16);
      slots.set([input, kernel, bias, out, h, w, c, k], 1);
      Atomics.add(slots, 0, 1);
      Atomics.notify(slots, 0);
    }
    this.exports.convolve(input, kernel, bias, out, this.work[0], h, w, c, k, 0, this.threads);
  }

  /** Rows (n, c) times a kernel (c, k), plus bias, cut at zero if `relu`: (n, k). Uses what lies above `top`. */
  dense(rows, kernel, bias, relu = false) {
    const { top } = this;
    const k = bias.length;
    const [c, wide] = [kernel.length / k, 16 * Math.ceil(k / 16)];
    const n = rows.length / c;
    const [x, u, b, out] = [(n + 3) * c, c * wide, wide, n * wide].map((count) => this.place(count));
    this.floats(x, rows.length).set(rows);
    const weights = this.floats(u, c * wide);
    for (let i = 0; i < c; i++) weights.set(kernel.subarray(i * k, (i + 1) * k), i * wide);
    this.floats(b, k).set(bias);
    this.exports.dense(x, u, b, out, this.work[0], n, c, wide, relu ? 0 : -Infinity);
    this.top = top;
    const found = this.floats(out, n * wide);
    const kept = new Float32Array(n * k);
    for (let i = 0; i < n; i++) kept.set(found.subarray(i * wide, i * wide + k), i * k);
    return kept;
  }

  /** A 3 x 3 convolution with ReLU of maps (h, w, c) that lie elsewhere. Uses what lies above `top`. */
  look(maps, h, w, kernel, bias) {
    const { top } = this;
    const [x, u, b, out] = [maps.length, kernel.length, bias.length, h * w * bias.length].map((n) => this.place(n));
    this.floats(x, maps.length).set(maps);
    this.floats(u, kernel.length).set(kernel);
    this.floats(b, bias.length).set(bias);
    this.convolve(x, { kernel: u, bias: b }, out, h, w, maps.length / (h * w), bias.length);
    this.top = top;
    return this.floats(out, h * w * bias.length).slice();
  }
}

/** VGG-16 without its dense layers, and a head that names what it sees. */
export class Network {
  static async start(threads) {
    const network = new Network();
    const engine = await Engine.start(threads);
    const place = ({ name, inputs, channels }) => {
      const depth = Math.max(inputs, 4); // the first kernel gets a fourth input, of zeros
      return [name, { kernel: engine.place(9 * depth * channels), bias: engine.place(channels) }];
    };
    const weights = Object.fromEntries(LAYERS.map(place));
    const arrivals = LAYERS.map(({ name }) => {
      let told;
      const promise = new Promise((resolve) => (told = resolve));
      return [name, { promise, told, left: new Set(["kernel", "bias"]) }];
    });
    return Object.assign(network, { engine, weights, arrivals: Object.fromEntries(arrivals), bottom: engine.top });
  }

  /** Take the trunk's weights, array by array; layers can be used as soon as they are here. */
  async read(arrays) {
    for await (const { name, shape, values } of arrays) {
      const [, layer, part] = /^(.*)_(kernel|bias)$/.exec(name) ?? [];
      if (!this.arrivals[layer]) continue;
      const depth = part === "kernel" ? shape[2] : 1;
      const wide = values.length / depth; // of the first kernel, each three inputs take the place of four
      const room = this.engine.floats(this.weights[layer][part], wide * (depth === 3 ? 4 : depth));
      if (depth === 3) for (let i = 0; i < 9; i++) room.set(values.subarray(i * 192, (i + 1) * 192), i * 256);
      else room.set(values);
      const { left, told } = this.arrivals[layer];
      if (left.delete(part) && !left.size) told();
    }
    const missing = LAYERS.find(({ name }) => this.arrivals[name].left.size);
    if (missing) throw new Error(`the file of weights lacks ${missing.name}`);
  }

  /** Give up the maps of all pictures. */
  forget() {
    this.engine.top = this.bottom;
  }

  /**
   * Run a picture through the network; its maps stay until `forget`.
   * rgb: (h, w, 3), 0..255; alive(): whether to go on; done(name) after each layer.
   * Returns {places: {layer: where its maps are}, seconds: of computing}, or null where it was given up.
   */
  async run(rgb, h, w, alive, done = () => {}) {
    const { engine } = this;
    let input = engine.place(h * w * 4);
    const x = engine.floats(input, h * w * 4).fill(0);
    for (let p = 0; p < h * w; p++) for (let k = 0; k < 3; k++) x[4 * p + k] = rgb[3 * p + 2 - k] - MEAN[k];
    const places = {};
    let [c, seconds] = [4, 0];
    for (const { name, channels, pooled } of LAYERS) {
      await this.arrivals[name].promise;
      await new Promise((resolve) => setTimeout(resolve)); // let messages in
      if (!alive()) return null;
      const start = performance.now();
      if (pooled) {
        const small = engine.place((h >> 1) * (w >> 1) * c);
        engine.exports.pool(input, small, h, w, c);
        [input, h, w] = [small, h >> 1, w >> 1];
      }
      const out = engine.place(h * w * channels);
      engine.convolve(input, this.weights[name], out, h, w, c, channels);
      [input, c] = [out, channels];
      places[name] = { name, pointer: out, h, w, c };
      seconds += (performance.now() - start) / 1000;
      done(name);
    }
    return { places, seconds };
  }

  /** A stack of maps as a view into the engine's memory: void as soon as that grows. */
  stack({ name, pointer, h, w, c }) {
    return { name, h, w, c, values: this.engine.floats(pointer, h * w * c) };
  }

  /** The kernel (3, 3, channels of the input, k) of map k of a layer, and its bias. */
  filter(layer, k) {
    const { inputs, channels } = LAYERS.find(({ name }) => name === layer);
    const { kernel, bias } = this.weights[layer];
    const depth = Math.max(inputs, 4);
    const all = this.engine.floats(kernel, 9 * depth * channels);
    const at = (i) => all[(Math.floor(i / inputs) * depth + (i % inputs)) * channels + k];
    return {
      kernel: Float32Array.from({ length: 9 * inputs }, (_, i) => at(i)),
      bias: this.engine.floats(bias, channels)[k],
    };
  }
}

/** What the head {kernel, bias} says: probabilities of its classes, from the mean of the last maps. */
export function classify(stack, { kernel, bias }) {
  const logits = Float64Array.from(bias);
  channelMeans(stack).forEach((mean, i) => {
    for (let k = 0, j = i * logits.length; k < logits.length; k++, j++) logits[k] += mean * kernel[j];
  });
  return softmax(logits);
}

/** The class activation map (Zhou et al. 2016) of one class: each place's share in its logit, (h * w). */
export function activationMap(stack, { kernel, bias }, index) {
  return project(
    stack,
    Float64Array.from({ length: stack.c }, (_, i) => kernel[i * bias.length + index]),
  );
}

const SEEN = 224; // the longer side at which the head of colours sees a picture
const UNIT = 64; // its first layer takes hypercolumns divided by this
const VIVID = 0.38; // the temperature of Zhang, Isola and Efros (2016)

/**
 * Colours for a picture from its lightness (notebook 09): {careful, vivid: a and b at each place of (h, w); h, w;
 * away: how far they and plain grey are from the picture's own colours on average}. Null where it was given up.
 */
export async function colours(network, { rgb, h: height, w: width }, head, centres, alive) {
  const { engine } = network;
  const { top } = engine;
  const [h, w] = networkSize(height, width, SEEN, Math.max(height, width));
  const seen = resize(rgb, [height, width, 3], [h, w]);
  const found = await network.run(grey(seen), h, w, alive);
  if (!found) return null;
  const stacks = COLUMN.map((name) => network.stack(found.places[name]));
  const copies = stacks.map((stack) => ({ ...stack, values: stack.values.slice() }));
  engine.top = top;
  const size = [h / 2, w / 2];
  const mixed = mix(engine, copies, head, size);
  const hidden = engine.dense(mixed, head.hidden_kernel, head.hidden_bias, true);
  const own = toLab(resize(seen, [h, w, 3], size));
  const truth = Float32Array.from({ length: (2 * own.length) / 3 }, (_, i) => own[3 * (i >> 1) + 1 + (i & 1)]);
  const guess = (name, heat) =>
    annealed(engine.dense(hidden, head[`${name}_kernel`], head[`${name}_bias`]), centres, heat);
  const [careful, vivid] = [guess("bins", 1), guess("vivid", VIVID)];
  const away = [careful, vivid, new Float32Array(truth.length)].map((ab) => distance(ab, truth));
  return { careful, vivid, h: size[0], w: size[1], away };
}

/** The head's first layer on hypercolumns that are never built: products on the small maps, then stretched. */
function mix(engine, stacks, head, [h, w]) {
  const units = head.mix_bias.length;
  const rows = (first, count) => head.mix_kernel.slice(first * units, (first + count) * units).map((v) => v / UNIT);
  const none = new Float32Array(units);
  const means = channelMeans(stacks.at(-1));
  const depth = stacks.reduce((sum, { c }) => sum + c, 0);
  const whole = engine.dense(Float32Array.from(means), rows(depth, means.length), head.mix_bias);
  const out = new Float32Array(h * w * units).map((_, i) => whole[i % units]);
  let first = 0;
  for (const stack of stacks) {
    const fine = stack.h > h; // read at the grid's places first
    const values = fine ? resize(stack.values, [stack.h, stack.w, stack.c], [h, w], 1) : stack.values;
    const small = engine.dense(values, rows(first, stack.c), none);
    const large = fine ? small : resize(small, [stack.h, stack.w, units], [h, w]);
    large.forEach((value, i) => (out[i] += value));
    first += stack.c;
  }
  return out.map((value) => Math.max(value, 0));
}

/** The mean colour of each row's distribution over the centres, made sharper by a low temperature: (n, 2). */
function annealed(scores, centres, temperature) {
  const count = centres.length;
  const out = new Float32Array((2 * scores.length) / count);
  for (let p = 0; p < out.length / 2; p++) {
    softmax(scores.subarray(p * count, (p + 1) * count).map((score) => score / temperature)).forEach((share, i) => {
      out[2 * p] += share * centres[i][0];
      out[2 * p + 1] += share * centres[i][1];
    });
  }
  return out;
}

/** The mean distance of colours from others, in the plane of a and b. */
function distance(ab, other) {
  let sum = 0;
  for (let i = 0; i < ab.length; i += 2) sum += Math.hypot(ab[i] - other[i], ab[i + 1] - other[i + 1]);
  return (2 * sum) / ab.length;
}

/** The number of the likeliest class of each pixel, by the head of streets (notebook 05) on stacks 2 to 5. */
export function streets({ engine }, stacks, head) {
  const part = (name) => [head[`${name}_kernel`], head[`${name}_bias`]];
  const copies = stacks.map((stack) => ({ ...stack, values: stack.values.slice() })); // memory may grow
  const maps = copies.map(({ name, h, w, values }) => ({
    name,
    h,
    w,
    x: engine.dense(values, ...part(`reduce_${name}`)),
  }));
  let { name, h, w, x } = maps.pop();
  x = engine.look(x, h, w, ...part(`look_${name}`));
  const around = apart(engine, x, h, w, ...part("context"));
  x = x.map((value, i) => value + around[i]);
  while (maps.length) {
    const fine = maps.pop();
    const side = engine.dense(fine.x, ...part(`side_${fine.name}`));
    x = resize(x, [h, w, x.length / (h * w)], [fine.h, fine.w]).map((value, i) => Math.max(value + side[i], 0));
    ({ name, h, w } = fine);
    x = engine.look(x, h, w, ...part(`look_${name}`));
  }
  const count = head.score_bias.length;
  const scores = resize(engine.dense(x, ...part("score")), [h, w, count], [2 * h, 2 * w]);
  return Uint8Array.from({ length: 4 * h * w }, (_, p) => {
    const row = scores.subarray(p * count, (p + 1) * count);
    return row.indexOf(Math.max(...row));
  });
}

/** A 3 x 3 convolution whose nine values lie three places apart: every third row and column by themselves. */
function apart(engine, maps, h, w, kernel, bias) {
  const k = bias.length;
  const c = maps.length / (h * w);
  const out = new Float32Array(h * w * k);
  for (let first = 0; first < 9; first++) {
    const places = [];
    const [top, left] = [Math.floor(first / 3), first % 3];
    for (let y = top; y < h; y += 3) for (let x = left; x < w; x += 3) places.push(y * w + x);
    if (!places.length) continue;
    const few = new Float32Array(places.length * c);
    places.forEach((p, i) => few.set(maps.subarray(p * c, (p + 1) * c), i * c));
    const [rows, columns] = [Math.ceil((h - top) / 3), Math.ceil((w - left) / 3)];
    const found = engine.look(few, rows, columns, kernel, bias);
    places.forEach((p, i) => out.set(found.subarray(i * k, (i + 1) * k), p * k));
  }
  return out;
}
