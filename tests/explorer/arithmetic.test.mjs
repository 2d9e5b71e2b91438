// The explorer's arithmetic beside plain ways to write the same; run by tests/test_explorer.py with node --test.

import assert from "node:assert/strict";
import test from "node:test";
import * as own from "../../docs/explorer/arithmetic.js";
import { activationMap, classify, readArrays } from "../../docs/explorer/network.js";

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
      const map = Float32Array.from({ length: h * w }, (_, p) => values[p * c + k]);
      own
        .addStretched(map, [h, w], [height, width], new Float32Array(height * width))
        .forEach((v, p) => columns[p].push(v));
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
const COLUMNS = dense(STACKS, SIZE);
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

test("stretching is bilinear with half-pixel centres", () => {
  const out = own.addStretched(Float32Array.of(0, 4), [1, 2], [2, 4], new Float32Array(8));
  near(out, [0, 1, 3, 4, 0, 1, 3, 4]);
});

test("resizing keeps what is constant, and means when it shrinks", () => {
  near(own.resize(new Float32Array(35).fill(3), [5, 7, 1], [3, 11]), new Float32Array(33).fill(3));
  const ramp = Float32Array.from({ length: 64 }, (_, i) => i);
  const small = own.resize(ramp, [1, 64, 1], [1, 4]);
  near(
    small.map((value, i) => value - small[3 - i]),
    [small[0] - small[3], small[1] - small[2], small[2] - small[1], small[3] - small[0]],
  );
  assert.ok(Math.abs(small.reduce((a, b) => a + b) / 4 - 31.5) < 1e-3);
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
  const sizes = own.COLUMN.map((name) => own.receptiveField(name).size);
  assert.deepEqual(sizes, [5, 14, 40, 92, 196]);
  assert.deepEqual(own.fieldAt("block1_conv1", 4, 9), { x: 8, y: 3, size: 3 });
  assert.throws(() => own.receptiveField("block6_conv1"), /block6_conv1/);
});

test("similarity is the cosine of the columns that are never built", () => {
  const all = new own.Hypercolumns(STACKS, SIZE);
  for (const [row, column] of [
    [0, 0],
    [4, 6],
    [8, 13],
  ]) {
    const one = COLUMNS[row * SIZE[1] + column];
    const cosines = COLUMNS.map((other) => dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other)));
    near(all.similarity(row, column), cosines, 1e-4);
    near(
      all.pixel(row, column).flatMap((part) => [...part]),
      one,
      1e-4,
    );
  }
});

test("one stack alone", () => {
  const alone = new own.Hypercolumns([STACKS[1]], SIZE);
  near(new own.Hypercolumns(STACKS, SIZE).similarity(3, 3, [1]), alone.similarity(3, 3));
});

test("sums are the transposed of products", () => {
  const all = new own.Hypercolumns(STACKS, SIZE);
  const weights = noise(SIZE[0] * SIZE[1]);
  const plain = COLUMNS[0].map((_, k) => COLUMNS.reduce((sum, column, p) => sum + weights[p] * column[k], 0));
  near(
    all.sums(weights, [0, 1, 2, 3]).flatMap((part) => [...part]),
    plain,
    1e-3,
  );
});

test("k-means gives Lloyd's labels", () => {
  const all = new own.Hypercolumns(STACKS, SIZE);
  const which = [0, 1, 2, 3];
  const starts = all.starts(3, which);
  assert.equal(new Set(starts).size, 3);
  let found;
  for (found of all.kmeans(starts, which));
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

test("names: mean of the maps and one matrix; the activation map's mean is the logit", () => {
  const maps = stack(3, 4, 6);
  const head = { kernel: noise(6 * 5), bias: noise(5) };
  const shares = classify(maps, head);
  const logits = Array.from(head.bias, (bias, k) => {
    const map = activationMap(maps, head, k);
    return bias + map.reduce((a, b) => a + b, 0) / map.length;
  });
  const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
  near(
    shares,
    logits.map((logit) => Math.exp(logit) / sum),
  );
  assert.deepEqual(own.largest([1, 9, 3, 9], 3), [1, 3, 2]);
});

test("the products of a place add up to the convolution there", () => {
  const picture = { rgb: noise(4 * 5 * 3), h: 4, w: 5 };
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
          sum += (picture.rgb[(y * 5 + x) * 3 + 2 - k] - own.MEAN[k]) * kernel[(i * 3 + j) * 3 + k];
        }
    const all = own.products(picture, kernel, row, column).flat();
    near([all.reduce((total, { product }) => total + product, 0)], [sum]);
  }
});

test("weights come array by array, whatever the size of a stream's parts; a file cut short is told", async () => {
  const halves = new Uint16Array([0x3c00, 0xc000, 0x3800, 0x0001, 0x7bff]); // 1, -2, .5, 2 ** -24, 65504
  const bytes = new Uint8Array(halves.buffer);
  const listed = [
    ["a", [2, 1]],
    ["b", [3]],
  ];
  const read = async (parts) => {
    let seen = 0;
    const found = [];
    const stream = new Blob(parts).stream();
    for await (const array of readArrays(stream, listed, (count) => (seen += count))) found.push(array);
    return { found, seen };
  };
  const { found, seen } = await read([bytes.subarray(0, 3), bytes.subarray(3, 5), bytes.subarray(5)]);
  assert.deepEqual(
    found.map(({ name, values }) => [name, ...values]),
    [
      ["a", 1, -2],
      ["b", 0.5, 2 ** -24, 65504],
    ],
  );
  assert.equal(seen, 10);
  await assert.rejects(read([bytes.subarray(0, 9)]), /cut short/);
});

test("colours: Lab of known ones, there and back, and grey keeps the lightness", () => {
  near(own.toLab([255, 255, 255, 255, 0, 0, 0, 0, 0]), [100, 0, 0, 53.24, 80.09, 67.2, 0, 0, 0], 1e-2);
  const rgb = noise(300).map((value) => 127 + 30 * value);
  near(own.toRgb(own.toLab(rgb)), rgb, 1e-3);
  const grey = own.grey(rgb);
  grey.forEach((value, i) => assert.ok(Math.abs(value - grey[i - (i % 3)]) < 0.01));
  near(
    own.toLab(grey).filter((_, i) => i % 3 === 0),
    own.toLab(rgb).filter((_, i) => i % 3 === 0),
    1e-3,
  );
});
