// The explorer's arithmetic beside plain ways to write the same; run by tests/test_explorer.py with node --test.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import * as own from "../../docs/explorer/arithmetic.js";
import { names } from "../../docs/explorer/heads.js";
import { Engine, Weights } from "../../docs/explorer/network.js";

const file = new URL("../../docs/explorer/engine.wasm", import.meta.url);
const engine = await Engine.start(await WebAssembly.compile(readFileSync(file)));

const next = own.random(7);
const noise = (count) => Float32Array.from({ length: count }, () => 4 * next() - 1);
const stack = (h, w, c) => ({ name: `${h}x${w}`, values: noise(h * w * c), h, w, c });
const near = (a, b, tolerance = 1e-4) => {
  assert.equal(a.length, b.length);
  a.forEach((value, i) =>
    assert.ok(Math.abs(value - b[i]) <= tolerance * (1 + Math.abs(b[i])), `${i}: ${value} ${b[i]}`),
  );
};

/** Every pixel's hypercolumn, built and standardized: an array of pixels. */
function dense(stacks, [height, width]) {
  const columns = Array.from({ length: height * width }, () => []);
  for (const { values, h, w, c } of stacks)
    for (let k = 0; k < c; k++) {
      const map = { values: Float32Array.from({ length: h * w }, (_, p) => values[p * c + k]), h, w, c: 1 };
      own.resize(map, [height, width]).values.forEach((v, p) => columns[p].push(v));
    }
  return columns[0]
    .map((_, k) => {
      const mean = columns.reduce((sum, column) => sum + column[k], 0) / columns.length;
      const square = columns.reduce((sum, column) => sum + (column[k] - mean) ** 2, 0) / columns.length;
      return columns.map((column) => (column[k] - mean) / Math.sqrt(square));
    })
    .reduce(
      (rows, channel) => rows.map((row, p) => [...row, channel[p]]),
      columns.map(() => []),
    );
}

const SIZE = [9, 14];
const STACKS = [stack(9, 14, 3), stack(4, 7, 5), stack(2, 3, 4), stack(1, 2, 2)];
const ALL = STACKS.map((maps) => own.standardized(maps, SIZE));
const COLUMNS = dense(STACKS, SIZE);
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

test("stretching is bilinear with half-pixel centres", () => {
  const out = own.resize({ values: [0, 4], h: 1, w: 2, c: 1 }, [2, 4]);
  near(out.values, [0, 1, 3, 4, 0, 1, 3, 4]);
});

test("resizing keeps what is constant, and means when it shrinks", () => {
  const flat = { values: new Float32Array(35).fill(3), h: 5, w: 7, c: 1 };
  near(own.resize(flat, [3, 11]).values, new Float32Array(33).fill(3));
  const ramp = { values: Float32Array.from({ length: 64 }, (_, i) => i), h: 1, w: 64, c: 1 };
  const small = own.resize(ramp, [1, 4]).values;
  near(
    small.map((value, i) => value - small[3 - i]),
    [small[0] - small[3], small[1] - small[2], small[2] - small[1], small[3] - small[0]],
  );
  assert.ok(Math.abs(small.reduce((a, b) => a + b) / 4 - 31.5) < 1e-3);
});

test("windows: beyond the border the edge goes on, a length below 0 mirrors", () => {
  const row = { values: [1, 2, 3, 4], h: 1, w: 4, c: 1 };
  near(own.resize(row, [1, 4], { columns: { start: -2, length: 4 } }).values, [1, 1, 1, 2]);
  near(own.resize(row, [1, 4], { columns: { start: 4, length: -4 } }).values, [4, 3, 2, 1]);
  near(own.resize(row, [1, 2], { columns: { start: 1, length: 2 } }).values, [2, 3]);
});

test("the network's sizes are multiples of 16 with the picture's aspect and about the area asked for", () => {
  for (const [height, width] of [
    [300, 451],
    [3000, 4000],
    [100, 20000],
    [1, 1],
  ]) {
    const [h, w] = own.networkSize(height, width, 224);
    assert.ok(h % 16 === 0 && w % 16 === 0 && h >= 16 && w >= 16);
    if (height > 1 && width < 9000) assert.ok(Math.abs((h * w) / 224 ** 2 - 1) < 0.1);
  }
});

test("receptive fields of VGG-16", () => {
  const sizes = own.COLUMN.map((name) => own.fieldAt(name, 0, 0).size);
  assert.deepEqual(sizes, [5, 14, 40, 92, 196]);
  assert.deepEqual(own.fieldAt("block1_conv1", 4, 9), { x: 8, y: 3, size: 3 });
});

test("similarity is the cosine of the columns that are never built", () => {
  const all = new own.Hypercolumns(ALL, SIZE);
  for (const [row, column] of [
    [0, 0],
    [4, 6],
    [8, 13],
  ]) {
    const one = COLUMNS[row * SIZE[1] + column];
    const cosines = COLUMNS.map((other) => dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other)));
    near(all.similarity(row * SIZE[1] + column), cosines, 1e-4);
    near(
      all.pixel(row * SIZE[1] + column).flatMap((part) => [...part]),
      one,
      1e-4,
    );
  }
});

test("sums are the transposed of products", () => {
  const all = new own.Hypercolumns(ALL, SIZE);
  const weights = noise(SIZE[0] * SIZE[1]);
  const plain = COLUMNS[0].map((_, k) => COLUMNS.reduce((sum, column, p) => sum + weights[p] * column[k], 0));
  near(
    all.sums(weights).flatMap((part) => [...part]),
    plain,
    1e-3,
  );
});

test("k-means gives Lloyd's labels", () => {
  const all = new own.Hypercolumns(ALL, SIZE);
  const starts = all.starts(3);
  assert.equal(new Set(starts).size, 3);
  let found;
  for (found of all.kmeans(starts));
  assert.equal(found.changed, 0);
  let centres = starts.map((p) => COLUMNS[p]);
  let labels = [];
  for (let round = 0; round < 100; round++) {
    labels = COLUMNS.map((column) => {
      const away = centres.map((centre) => centre.reduce((sum, v, i) => sum + (v - column[i]) ** 2, 0));
      return away.indexOf(Math.min(...away));
    });
    centres = centres.map((_, j) => {
      const members = COLUMNS.filter((column, p) => labels[p] === j);
      return COLUMNS[0].map((value, k) => members.reduce((sum, column) => sum + column[k], 0) / members.length);
    });
  }
  assert.ok(labels.filter((label, p) => label === found.labels[p]).length >= 0.995 * labels.length);
});

/** A layer's weights, in the engine and outside. */
function layerOf(shape) {
  const values = { kernel: noise(shape.reduce((a, b) => a * b)), bias: noise(shape.at(-1)) };
  const place = (numbers) => engine.put({ values: numbers, c: numbers.length }).pointer;
  const weights = { kernel: place(values.kernel), bias: place(values.bias), shape: [1, 1, ...shape].slice(-4) };
  return { weights, values };
}

/** A convolution as one writes it down; its values `apart` places from one to the next. */
function convolved({ values, h, w, c }, { weights, values: { kernel, bias } }, apart = 1) {
  const [rows, columns, , k] = weights.shape;
  return Float32Array.from({ length: h * w * k }, (_, at) => {
    const [y, x, o] = [Math.floor(at / (w * k)), Math.floor(at / k) % w, at % k];
    let sum = bias[o];
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) {
        const [row, column] = [y + (i - (rows >> 1)) * apart, x + (j - (columns >> 1)) * apart];
        if (row < 0 || row >= h || column < 0 || column >= w) continue;
        for (let n = 0; n < c; n++)
          sum += values[(row * w + column) * c + n] * kernel[((i * columns + j) * c + n) * k + o];
      }
    return sum;
  });
}

test("the engine's convolutions are those that one writes down", () => {
  const maps = engine.put(stack(7, 9, 8));
  const plain = { values: maps.values.slice(), h: 7, w: 9, c: 8 };
  for (const [shape, apart] of [
    [[3, 3, 8, 19], 3],
    [[3, 3, 8, 5], 1],
    [[8, 3], 1],
  ]) {
    const layer = layerOf(shape);
    const expected = convolved(plain, layer, apart);
    near(engine.layer(maps, layer.weights, { apart }).values, expected, 1e-4);
    const cut = expected.map((value) => Math.max(value, 0));
    near(engine.layer(maps, layer.weights, { apart, relu: true }).values, cut, 1e-4);
  }
  const layer = layerOf([3, 3, 8, 32]); // Winograd's way
  near(
    engine.layer(maps, layer.weights, { relu: true }).values,
    convolved(plain, layer).map((value) => Math.max(value, 0)),
    1e-3,
  );
  const line = engine.put(stack(1, 11, 4));
  const five = layerOf([5, 4, 6]);
  near(engine.layer(line, five.weights, { apart: 3 }).values, convolved(line, five, 3), 1e-4);
  const pooled = engine.pool(maps);
  const largest = plain.values.filter((_, i) => [0, 8, 72, 80].includes(i)).reduce((a, b) => Math.max(a, b));
  assert.deepEqual([pooled.h, pooled.w, pooled.values[0]], [3, 4, largest]);
});

test("names: mean of the maps and one matrix, or the mean of each class's map", () => {
  const maps = stack(3, 4, 6);
  const { weights, values } = layerOf([6, 5]);
  const { shares, logits } = names(engine, { layers: { predictions: weights } }, engine.put(maps));
  assert.deepEqual([logits.h, logits.w, logits.c], [3, 4, 5]);
  const means = own.channelMeans(maps);
  const grown = Array.from(values.bias, (bias, k) =>
    Math.exp(means.reduce((sum, mean, i) => sum + mean * values.kernel[i * 5 + k], bias)),
  );
  near(
    shares,
    grown.map((each) => each / grown.reduce((a, b) => a + b)),
  );
  assert.deepEqual(own.largest([1, 9, 3, 9], 3), [1, 3, 2]);
});

test("the products of a place add up to the convolution there", () => {
  const picture = stack(4, 5, 3);
  const kernel = noise(27);
  for (const [row, column] of [
    [0, 0],
    [2, 3],
    [3, 4],
  ]) {
    let sum = 0;
    for (let y = 0; y < 4; y++)
      for (let x = 0; x < 5; x++)
        for (let k = 0; k < 3; k++) {
          const [i, j] = [y - row + 1, x - column + 1];
          if (i < 0 || i > 2 || j < 0 || j > 2) continue;
          sum += (picture.values[(y * 5 + x) * 3 + 2 - k] - own.MEAN[k]) * kernel[(i * 3 + j) * 3 + k];
        }
    const all = own.products(picture, kernel, row, column).flat();
    near([all.reduce((total, { product }) => total + product, 0)], [sum]);
  }
});

test("weights come array by array, whatever the size of a stream's parts; a file cut short is told", async () => {
  const halves = new Uint16Array([0x3c00, 0xc000, 0x3800, 0x0001, 0x7bff]); // 1, -2, .5, 2 ** -24, 65504
  const bytes = new Uint8Array(halves.buffer);
  const arrays = [
    ["a_kernel", [2, 1]],
    ["a_bias", [3]],
  ];
  const read = async (parts) => {
    let seen;
    const found = new Weights(engine, { bytes: 10, arrays });
    await found.read(new Blob(parts).stream(), (count) => (seen = count));
    return { found, seen };
  };
  const { found, seen } = await read([bytes.subarray(0, 3), bytes.subarray(3, 5), bytes.subarray(5)]);
  const { kernel, bias, shape } = await found.part("a");
  assert.deepEqual(shape, [1, 1, 2, 1]);
  assert.deepEqual([...engine.floats(kernel, 2)], [1, -2]);
  assert.deepEqual([...engine.floats(bias, 3)], [0.5, 2 ** -24, 65504]);
  assert.equal(seen, 10);
  await assert.rejects(read([bytes.subarray(0, 9)]), /cut short/);
});

test("colours: Lab of known ones, there and back, and grey keeps the lightness", () => {
  near(own.toLab([255, 255, 255, 255, 0, 0, 0, 0, 0]), [100, 0, 0, 53.24, 80.09, 67.2, 0, 0, 0], 1e-2);
  const rgb = noise(300).map((value) => 127 + 30 * value);
  near(own.toRgb(own.toLab(rgb)), rgb, 1e-3);
  const grey = own.recolour({ values: rgb }).values;
  grey.forEach((value, i) => assert.ok(Math.abs(value - grey[i - (i % 3)]) < 0.01));
  near(
    own.toLab(grey).filter((_, i) => i % 3 === 0),
    own.toLab(rgb).filter((_, i) => i % 3 === 0),
    1e-3,
  );
});
