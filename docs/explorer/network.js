// VGG-16 in WebAssembly: the engine, its weights while they arrive, and a picture on its way through.

import { LAYERS, MEAN } from "./arithmetic.js";

const MAX_PAGES = 16384; // of 64 KiB: a gigabyte, reserved, not taken

/** Let messages and what was fetched come in. */
export const pause = () => new Promise((resolve) => setTimeout(resolve));

// --- the engine --------------------------------------------------------------------------------------------

/** Maps (h, w, c) in the engine's memory. `values` is a view: void as soon as that grows, so take it anew. */
class Maps {
  constructor(engine, h, w, c) {
    Object.assign(this, { engine, h, w, c, pointer: engine.place(h * w * c) });
  }

  get values() {
    return this.engine.floats(this.pointer, this.h * this.w * this.c);
  }
}

/** Memory, the compiled functions of engine.c and, where the page may share memory, threads. */
export class Engine {
  static async start(module, threads = 1) {
    const engine = new Engine();
    const shared = threads > 1;
    const memory = new WebAssembly.Memory({ initial: 1280, maximum: MAX_PAGES, shared });
    const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
    Object.assign(engine, { memory, exports, threads, top: exports.__heap_base.value });
    engine.work = Array.from({ length: threads }, () => engine.place(exports.scratch(512)));
    engine.control = engine.place(16);
    await Promise.all(engine.work.slice(1).map((work, i) => engine.hire(module, i + 1, work)));
    return engine;
  }

  /** Start one helping thread. */
  hire(module, me, work) {
    const stack = this.place(16384) + 65536;
    const helper = new Worker(new URL("helper.js", import.meta.url), { type: "module" });
    const { memory, control, threads } = this;
    helper.postMessage({ module, memory, control, me, threads, stack, work });
    return new Promise((resolve, reject) => {
      helper.onmessage = resolve;
      helper.onerror = reject;
    });
  }

  /** A place for so many floats; what is above `top` is given up by setting `top` back. */
  place(floats) {
    const pointer = (this.top + 63) & ~63;
    this.top = pointer + 4 * floats;
    const missing = Math.ceil(this.top / 65536) + 1 - this.memory.buffer.byteLength / 65536; // `dense` reads on
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

  /** Bring maps that lie elsewhere, or numbers, into the memory. */
  put({ values, h = 1, w = 1, c }) {
    const maps = new Maps(this, h, w, c);
    maps.values.set(values);
    return maps;
  }

  /** The largest of each 2 x 2 values. */
  pool(x) {
    const out = new Maps(this, x.h >> 1, x.w >> 1, x.c);
    this.exports.pool(x.pointer, out.pointer, x.h, x.w, x.c);
    return out;
  }

  /** A convolution, its values `apart` places from one to the next; a dense layer is one of 1 x 1. */
  layer(x, { kernel, bias, shape: [rows, columns, c, k] }, { relu = false, apart = 1 } = {}) {
    const out = new Maps(this, x.h, x.w, k);
    if (relu && apart === 1 && rows === 3 && c % 4 === 0 && k % 16 === 0) return this.#winograd(x, kernel, bias, out);
    const { top } = this;
    const seen = rows * columns > 1 ? new Maps(this, x.h, x.w, rows * columns * c) : x;
    if (seen !== x) this.exports.patches(x.pointer, seen.pointer, x.h, x.w, c, rows, columns, apart);
    const least = relu ? 0 : -Infinity;
    this.exports.dense(seen.pointer, kernel, bias, out.pointer, this.work[0], x.h * x.w, seen.c, k, least);
    this.top = top;
    return out;
  }

  /** The convolutions that VGG-16 is made of, on all threads. */
  #winograd(x, kernel, bias, out) {
    const arrays = [x.pointer, kernel, bias, out.pointer];
    const sizes = [x.h, x.w, x.c, out.c];
    if (this.threads > 1) {
      const slots = new Int32Array(this.memory.buffer, this.control, 16);
      slots.set([...arrays, ...sizes], 1);
      Atomics.add(slots, 0, 1);
      Atomics.notify(slots, 0);
    }
    this.exports.convolve(...arrays, this.work[0], ...sizes, 0, this.threads);
    return out;
  }
}

// --- weights -----------------------------------------------------------------------------------------------

/** A file of float16 arrays, [name, shape] each, in the engine's memory: {layer: {kernel, bias, shape}}. */
export class Weights {
  constructor(engine, { file, bytes, arrays }) {
    const count = 4 * Math.ceil(bytes / 8);
    const start = engine.place(count);
    Object.assign(this, { engine, file, bytes, layers: {}, start, ready: start, halves: start + 2 * count });
    let end = start;
    for (const [name, shape] of arrays) {
      const [, layer, part] = /^(.*)_(kernel|bias)$/.exec(name);
      const own = (this.layers[layer] ??= {});
      own[part] = end;
      if (part === "kernel") own.shape = [1, 1, ...shape].slice(-4);
      own.end = end += 4 * shape.reduce((a, b) => a * b);
    }
    this.end = end;
  }

  get complete() {
    return this.ready >= this.end;
  }

  /** Fetch the file, once; told(bytes) is called while it arrives. */
  fetch(told) {
    this.arriving ??= this.#arrive(told).catch((error) => {
      this.arriving = null; // another try may reach it
      throw error;
    });
    return this.arriving;
  }

  async #arrive(told) {
    const answer = await fetch(this.file);
    if (!answer.ok) throw new Error(`${this.file} is missing (the server says ${answer.status})`);
    await this.read(answer.body, told);
  }

  /** The numbers come into the upper half of their place, and become floats from its beginning on. */
  async read(stream, told = () => {}) {
    const reader = stream.getReader();
    let [seen, taken] = [0, 0];
    this.ready = this.start;
    while (seen < this.bytes) {
      const { value, done } = await reader.read();
      if (done) throw new Error("the file of weights is cut short: reload the page, or copy the file again");
      new Uint8Array(this.engine.memory.buffer).set(value, this.halves + seen);
      seen += value.length;
      const whole = seen < this.bytes ? seen & ~7 : 8 * Math.ceil(seen / 8);
      this.engine.exports.halves(this.halves + taken, this.ready, (whole - taken) / 2);
      this.ready += 2 * (whole - taken);
      taken = whole;
      told(seen);
    }
  }

  /** A layer's weights, as soon as they are here. */
  async part(layer) {
    while (this.ready < this.layers[layer].end) await Promise.race([this.fetch(), pause()]);
    return this.layers[layer];
  }
}

// --- VGG-16 ------------------------------------------------------------------------------------------------

/**
 * Run a picture {values, h, w} of RGB 0..255 through the network.
 * still(promise): waits for it, and throws where the answer is no longer wanted; done(name, maps) after each layer.
 * Returns {maps: {layer: Maps}, seconds: of computing}.
 */
export async function run(engine, trunk, { values, h, w }, still, done = () => {}) {
  const input = Float32Array.from({ length: 3 * h * w }, (_, i) => values[i - (i % 3) + 2 - (i % 3)] - MEAN[i % 3]);
  let x = engine.put({ values: input, h, w, c: 3 });
  const maps = {};
  let seconds = 0;
  for (const { name, pooled } of LAYERS) {
    const weights = await still(trunk.part(name));
    await still(pause());
    const start = performance.now();
    if (pooled) x = engine.pool(x);
    x = maps[name] = engine.layer(x, weights, { relu: true });
    seconds += (performance.now() - start) / 1000;
    done(name, x);
  }
  return { maps, seconds };
}
