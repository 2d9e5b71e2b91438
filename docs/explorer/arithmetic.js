// What the explorer computes from a network's maps: plain functions on arrays, tested beside course_utils.
// Pictures and maps are {values, h, w, c}: float32, channels last. Notebooks 02 and 03 explain the ideas.

/** Mean of ImageNet's blue, green and red, as the network's authors subtracted it. */
export const MEAN = [103.939, 116.779, 123.68];

const CHANNELS = [64, 128, 256, 512, 512];
const DEPTHS = [2, 2, 3, 3, 3];

/** The convolutions of VGG-16 in order: {name, channels, pooled: a pool comes before it}. */
export const LAYERS = DEPTHS.flatMap((depth, block) =>
  Array.from({ length: depth }, (_, i) => ({
    name: `block${block + 1}_conv${i + 1}`,
    channels: CHANNELS[block],
    pooled: i === 0 && block > 0,
  })),
);

/** The layers whose maps make a hypercolumn: the last of each block. */
export const COLUMN = [1, 3, 6, 9, 12].map((i) => LAYERS[i].name);

/** The square that a layer's value over a pixel has seen: {x, y, size}; it may reach over the edges. */
export function fieldAt(name, row, column) {
  let [size, stride, first] = [1, 1, 0];
  for (const layer of LAYERS.slice(0, 1 + LAYERS.findIndex((each) => each.name === name))) {
    if (layer.pooled) [size, stride] = [size + stride, stride * 2];
    [size, first] = [size + 2 * stride, first - stride];
  }
  const start = (place) => first + Math.floor(place / stride) * stride;
  return { x: start(column), y: start(row), size };
}

/** Height and width for the network, the aspect kept, multiples of 16: about side x side pixels in all. */
export function networkSize(height, width, side, length = Math.sqrt(height * width)) {
  const scale = side / length;
  return [height, width].map((before) => Math.max(16, 16 * Math.round((before * scale) / 16)));
}

/**
 * Where `after` places along one axis are read among `before` values: {first, weights} each, bilinear.
 * They begin at `start` and reach over `length` values, less than 0 from right to left; beyond the ends, the last
 * value goes on. Where it shrinks, means are taken, unless it is not `smooth`.
 */
function axis(before, after, { start = 0, length = before, smooth = true } = {}) {
  const step = length / after;
  const reach = smooth ? Math.max(Math.abs(step), 1) : 1;
  return Array.from({ length: after }, (_, i) => {
    const centre = Math.min(Math.max(start + (i + 0.5) * step, 0.5), before - 0.5);
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const last = Math.min(before - 1, Math.ceil(centre + reach - 1.5));
    const weights = [];
    for (let j = first; j <= last; j++) weights.push(1 - Math.abs(j + 0.5 - centre) / reach);
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** Resize as course_utils' images.resize does, all of it or what `rows` and `columns` say, as of `axis`. */
export function resize({ values, h, w, c }, [height, width], { rows, columns } = {}) {
  const out = new Float32Array(height * width * c);
  const across = axis(w, width, columns);
  const line = new Float32Array(w * c);
  axis(h, height, rows).forEach(({ first, weights }, y) => {
    line.fill(0);
    weights.forEach((weight, j) => {
      const start = (first + j) * line.length;
      for (let i = 0; i < line.length; i++) line[i] += weight * values[start + i];
    });
    for (let x = 0, to = y * width * c; x < width; x++, to += c) {
      const column = across[x];
      for (let j = 0; j < column.weights.length; j++) {
        const [weight, from] = [column.weights[j], (column.first + j) * c];
        for (let k = 0; k < c; k++) out[to + k] += weight * line[from + k];
      }
    }
  });
  return { values: out, h: height, w: width, c };
}

/** The transposed of stretching one map (h, w): what the pixels (height, width) weigh, summed up at its places. */
function shrink(weights, [height, width], [h, w]) {
  const out = new Float32Array(h * w);
  const across = axis(w, width);
  axis(h, height).forEach((row, y) => {
    for (let x = 0; x < width; x++) {
      const weight = weights[y * width + x];
      if (!weight) continue; // most are 0, for one pixel or a group
      row.weights.forEach((down, i) => {
        const to = (row.first + i) * w + across[x].first;
        across[x].weights.forEach((share, j) => (out[to + j] += weight * down * share));
      });
    }
  });
  return out;
}

// Lab: L is lightness, a from green to red, b from blue to yellow; grey is 0 in both (notebook 09)
const TO_XYZ = [0.4339464, 0.3762139, 0.189825, 0.212671, 0.71516, 0.072169, 0.0177567, 0.1094689, 0.8727046];
const TO_LIGHT = [3.0799801, -1.5371515, -0.5428213, -0.9212477, 1.8759899, 0.0452473, 0.0528905, -0.2040413, 1.151232];

const product = (m, row, x, y, z) => m[row] * x + m[row + 1] * y + m[row + 2] * z;
const lightOf = (value) => (value > 10.31475 ? ((value / 255 + 0.055) / 1.055) ** 2.4 : value / 3294.6);
const valueOf = (light) => 255 * (light > 0.0031308 ? 1.055 * Math.min(light, 1) ** (1 / 2.4) - 0.055 : 12.92 * light);
const root = (share) => (share > 0.008856 ? Math.cbrt(share) : 7.787 * share + 16 / 116);
const cube = (rooted) => (rooted > 0.2068966 ? rooted ** 3 : (rooted - 16 / 116) / 7.787);

/** RGB 0..255 (n, 3) to Lab. */
export function toLab(rgb) {
  const out = new Float32Array(rgb.length);
  for (let i = 0; i < rgb.length; i += 3) {
    const [red, green, blue] = [lightOf(rgb[i]), lightOf(rgb[i + 1]), lightOf(rgb[i + 2])];
    const y = root(product(TO_XYZ, 3, red, green, blue));
    out[i] = 116 * y - 16;
    out[i + 1] = 500 * (root(product(TO_XYZ, 0, red, green, blue)) - y);
    out[i + 2] = 200 * (y - root(product(TO_XYZ, 6, red, green, blue)));
  }
  return out;
}

/** Lab (n, 3) to RGB, cut off at 0 and 255. */
export function toRgb(lab) {
  const out = new Float32Array(lab.length);
  for (let i = 0; i < lab.length; i += 3) {
    const rooted = (lab[i] + 16) / 116;
    const [x, y, z] = [cube(rooted + lab[i + 1] / 500), cube(rooted), cube(rooted - lab[i + 2] / 200)];
    for (let k = 0; k < 3; k++) out[i + k] = Math.max(valueOf(product(TO_LIGHT, 3 * k, x, y, z)), 0);
  }
  return out;
}

/** A picture with colours in place of its own: a and b (n, 2), or none for grey. */
export function recolour(picture, ab) {
  const lab = toLab(picture.values);
  for (let i = 0, p = 0; i < lab.length; i += 3) [lab[i + 1], lab[i + 2]] = ab ? [ab[p++], ab[p++]] : [0, 0];
  return { ...picture, values: toRgb(lab) };
}

/** What a kernel (3, 3, 3) multiplies at a place: for blue, green and red nine {pixel, weight, product}. */
export function products({ values, h, w }, kernel, row, column) {
  return MEAN.map((mean, i) =>
    Array.from({ length: 9 }, (_, j) => {
      const [y, x] = [row + Math.floor(j / 3) - 1, column + (j % 3) - 1];
      const inside = y >= 0 && y < h && x >= 0 && x < w;
      const pixel = inside ? values[3 * (y * w + x) + 2 - i] - mean : 0;
      return { pixel, weight: kernel[3 * j + i], product: pixel * kernel[3 * j + i] };
    }),
  );
}

/** Shares that add up to 1 from logits. */
export function softmax(logits) {
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const grown = Float64Array.from(logits, (value) => Math.exp(value - top));
  const sum = grown.reduce((a, b) => a + b, 0);
  return grown.map((value) => value / sum);
}

/** The places of the `count` largest values, largest first. */
export function largest(values, count) {
  const order = Array.from(values.keys());
  return order.sort((a, b) => values[b] - values[a] || a - b).slice(0, count);
}

/** Mean of every channel over the places of some maps: (c). */
export function channelMeans({ values, c }) {
  const mean = new Float64Array(c);
  for (let i = 0; i < values.length; i += c) for (let k = 0; k < c; k++) mean[k] += values[i + k];
  return mean.map((sum) => (sum * c) / values.length);
}

/** The product of `c` values with as many others. */
function inner(values, a, b, c) {
  let sum = 0;
  for (let k = 0; k < c; k++) sum += values[a + k] * values[b + k];
  return sum;
}

/** The product of the values at every place with one weight a channel: one map. */
function project({ values, h, w, c }, weights) {
  const out = new Float32Array(h * w);
  for (let p = 0, i = 0; p < out.length; p++) {
    let sum = 0;
    for (let k = 0; k < c; k++) sum += values[i++] * weights[k];
    out[p] = sum;
  }
  return { values: out, h, w, c: 1 };
}

/** Random numbers from 0 to 1 that are the same every time (mulberry32). */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Maps with each channel's mean and deviation over the pixels of a picture, and each pixel's squared length. */
export function standardized(maps, [height, width]) {
  const { w, c } = maps;
  const tall = resize(maps, [height, w]).values; // in width, sums of squares follow from those of neighbours
  const columns = axis(w, width);
  const { mean, scale } = moments(tall, columns, height * width, [w, c]);
  for (let i = 0; i < tall.length;) for (let k = 0; k < c; k++, i++) tall[i] = (tall[i] - mean[k]) / scale[k];
  const squares = new Float32Array(height * width);
  const [own, near] = [new Float64Array(w), new Float64Array(w)];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < w; x++, i += c) {
      own[x] = inner(tall, i, i, c);
      near[x] = x < w - 1 ? inner(tall, i, i + c, c) : 0;
    }
    columns.forEach(({ first, weights: [a, b = 0] }, x) => {
      const both = b && b * b * own[first + 1] + 2 * a * b * near[first];
      squares[y * width + x] = a * a * own[first] + both;
    });
  }
  return { maps, mean, scale, squares };
}

/** Mean and deviation of every channel over the pixels, of maps that are stretched in height alone. */
function moments(tall, columns, pixels, [w, c]) {
  // how much a value, its square, and its product with the next one count in a row of pixels
  const [once, twice, pair] = [0, 0, 0].map(() => new Float64Array(w));
  for (const { first, weights: shares } of columns)
    shares.forEach((share, j) => {
      once[first + j] += share;
      twice[first + j] += share * share;
      if (j) pair[first] += 2 * share * shares[0];
    });
  const [sum, square] = [new Float64Array(c), new Float64Array(c)];
  for (let i = 0; i < tall.length;)
    for (let x = 0; x < w; x++)
      for (let k = 0; k < c; k++, i++) {
        const beside = pair[x] && pair[x] * tall[i + c];
        sum[k] += once[x] * tall[i];
        square[k] += (twice[x] * tall[i] + beside) * tall[i];
      }
  const mean = sum.map((total) => total / pixels);
  const scale = square.map((total, k) => {
    const deviation = Math.sqrt(Math.max(total / pixels - mean[k] ** 2, 0));
    return deviation > 1e-6 * Math.abs(mean[k]) ? deviation : 1;
  });
  return { mean, scale };
}

/** The hypercolumns of a picture, never built (notebook 03): project small maps, stretch one. A vector is given as
 * an array for each of the `stacks`, which are `standardized`; a pixel by its number, row by row. */
export class Hypercolumns {
  constructor(stacks, size) {
    const pixels = size[0] * size[1];
    const squares = new Float32Array(pixels);
    for (const stack of stacks) for (let p = 0; p < pixels; p++) squares[p] += stack.squares[p];
    Object.assign(this, { stacks, size, pixels, squares });
  }

  /** One pixel's values. */
  pixel(p) {
    return this.sums(new Float32Array(this.pixels).fill(1, p, p + 1));
  }

  /** The product of every pixel with one vector. */
  dot(vector) {
    const out = new Float32Array(this.pixels);
    this.stacks.forEach(({ maps, mean, scale }, j) => {
      const weights = vector[j].map((value, k) => value / scale[k]);
      const away = weights.reduce((sum, weight, k) => sum + weight * mean[k], 0);
      const { values } = resize(project(maps, weights), this.size);
      for (let p = 0; p < out.length; p++) out[p] += values[p] - away;
    });
    return out;
  }

  /** The sum of all pixels, each with a weight. */
  sums(weights) {
    const total = weights.reduce((a, b) => a + b, 0);
    return this.stacks.map(({ maps, mean, scale }) => {
      const { values, h, w, c } = maps;
      const out = new Float64Array(c);
      shrink(weights, this.size, [h, w]).forEach((weight, p) => {
        if (weight) for (let k = 0, i = p * c; k < c; k++, i++) out[k] += weight * values[i];
      });
      return out.map((sum, k) => (sum - total * mean[k]) / scale[k]);
    });
  }

  /** The cosine between one pixel's values and every other's: -1 to 1. */
  similarity(place) {
    const { squares } = this;
    return this.dot(this.pixel(place)).map((value, p) => value / Math.sqrt(squares[p] * squares[place]) || 0);
  }

  /** k-means++ starts (Arthur and Vassilvitskii 2007) among some pixels: k of them, numbered row by row. */
  starts(k, seed = 1) {
    const next = random(seed);
    const { squares } = this;
    const sample = Array.from({ length: Math.min(800, this.pixels) }, () => Math.floor(next() * this.pixels));
    const chosen = [sample[0]];
    const away = new Float64Array(sample.length).fill(Infinity);
    while (chosen.length < k) {
      const last = chosen.at(-1);
      const near = this.dot(this.pixel(last));
      sample.forEach((p, i) => {
        away[i] = Math.min(away[i], Math.max(squares[p] + squares[last] - 2 * near[p], 0));
      });
      let left = next() * away.reduce((a, b) => a + b, 0);
      const found = sample.findIndex((_, i) => (left -= away[i]) < 0);
      chosen.push(sample[found < 0 ? 0 : found]);
    }
    return chosen;
  }

  /** Lloyd's rounds of k-means from pixels as starts: yields {labels, changed} after each, to the end. */
  *kmeans(starts, rounds = 100) {
    let centres = starts.map((p) => this.pixel(p));
    let labels = new Uint8Array(this.pixels);
    for (let round = 0; round < rounds; round++) {
      const best = new Float32Array(this.pixels).fill(-Infinity);
      const now = new Uint8Array(this.pixels);
      centres.forEach((centre, j) => {
        const half = centre.reduce((sum, part) => sum + part.reduce((a, b) => a + b * b, 0), 0) / 2;
        this.dot(centre).forEach((value, p) => {
          if (value - half > best[p]) [best[p], now[p]] = [value - half, j];
        });
      });
      const changed = now.reduce((count, label, p) => count + (round === 0 || label !== labels[p]), 0);
      labels = now;
      yield { labels, changed };
      if (!changed) return;
      centres = centres.map((centre, j) => {
        const members = Float32Array.from(labels, (label) => Number(label === j));
        const count = members.reduce((a, b) => a + b, 0);
        return count ? this.sums(members).map((part) => part.map((value) => value / count)) : centre;
      });
    }
  }
}
