// The network itself: weights out of an npz while it arrives, and VGG-16's convolutions in WebAssembly.

import { LAYERS, MEAN, channelMeans, project, softmax } from "./arithmetic.js";

const MAX_PAGES = 16384; // of 64 KiB: a gigabyte, reserved, not taken

// --- reading weights ---------------------------------------------------------------------------------------

/** The float32 values of all 65,536 float16 numbers. */
const HALVES = Float32Array.from({ length: 65536 }, (_, bits) => {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
});

/** Bytes of a stream, as many at a time as one asks for. */
class Bytes {
  constructor(stream, seen) {
    Object.assign(this, { reader: stream.getReader(), seen, parts: [], ready: 0 });
  }

  /** Read on to the end, so that the last bytes are seen. */
  async finish() {
    for (;;) {
      const { value, done } = await this.reader.read();
      if (done) return;
      this.seen(value.length);
    }
  }

  async take(count) {
    while (this.ready < count) {
      const { value, done } = await this.reader.read();
      if (done) throw new Error("the file of weights is cut short: reload the page, or copy the file again");
      this.parts.push(value);
      this.ready += value.length;
      this.seen(value.length);
    }
    const out = new Uint8Array(count);
    for (let filled = 0; filled < count;) {
      const part = this.parts[0].subarray(0, count - filled);
      out.set(part, filled);
      filled += part.length;
      if (part.length === this.parts[0].length) this.parts.shift();
      else this.parts[0] = this.parts[0].subarray(part.length);
    }
    this.ready -= count;
    return out;
  }
}

/** The arrays of an npz file in their order, while it arrives: yields {name, shape, values: Float32Array}. */
export async function* readNpz(stream, seen = () => {}) {
  const bytes = new Bytes(stream, seen);
  for (;;) {
    const head = new DataView((await bytes.take(30)).buffer);
    const kind = head.getUint32(0, true);
    if (kind === 0x02014b50) return bytes.finish(); // the table at the end of a zip file: not needed
    if (kind !== 0x04034b50) throw new Error("the file of weights is no npz file: copy it again");
    const name = new TextDecoder().decode(await bytes.take(head.getUint16(26, true)));
    const extra = new DataView((await bytes.take(head.getUint16(28, true))).buffer);
    let size = head.getUint32(18, true);
    if (size === 0xffffffff) size = Number(extra.getBigUint64(12, true)); // zip64: its own size comes second
    if (head.getUint16(6, true) & 8) throw new Error(`${name}: its size is not told before it`);
    let content = await bytes.take(size);
    if (head.getUint16(8, true) === 8) {
      const inflated = new Blob([content]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
      content = new Uint8Array(await new Response(inflated).arrayBuffer());
    }
    yield { name: name.replace(/\.npy$/, ""), ...readNpy(content, name) };
  }
}

/** One array of a npy file's bytes: {shape, values}. */
function readNpy(bytes, name) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const start = 10 + view.getUint16(8, true);
  const head = new TextDecoder().decode(bytes.subarray(10, start));
  const [, kind] = /'descr': '(.*?)'/.exec(head) ?? [];
  const shape = (/'shape': \((.*?)\)/.exec(head)?.[1] ?? "").split(",").filter((part) => part.trim());
  const data = bytes.slice(start).buffer;
  if (!["<f2", "<f4"].includes(kind) || head.includes("'fortran_order': True"))
    throw new Error(`${name}: no plain float16 or float32`);
  return { shape: shape.map(Number), values: kind === "<f2" ? widen(new Uint16Array(data)) : new Float32Array(data) };
}

function widen(halves) {
  const out = new Float32Array(halves.length);
  for (let i = 0; i < out.length; i++) out[i] = HALVES[halves[i]];
  return out;
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

  /** Take the trunk's weights from a stream; layers can be used as soon as they are here. */
  async read(stream, seen) {
    for await (const { name, shape, values } of readNpz(stream, seen)) {
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

  /**
   * Run a picture through the network; memory of the one before is used again.
   * rgb: (h, w, 3), 0..255; alive(): whether to go on; done(name) after each layer.
   * Returns {stacks: {layer: stack}, seconds: of computing}, or null where it was given up.
   */
  async run(rgb, h, w, alive, done = () => {}) {
    const { engine } = this;
    engine.top = this.bottom;
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
    const stacks = Object.fromEntries(Object.entries(places).map(([name, place]) => [name, this.stack(place)]));
    return { stacks, seconds };
  }

  /** A stack of maps as a view into the engine's memory. */
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
