// What small networks on VGG-16's maps say of a picture: names, colours, streets and boxes, each taught by the course.

import { COLUMN, channelMeans, networkSize, recolour, resize, softmax, toLab } from "./arithmetic.js";
import { run } from "./network.js";

/**
 * What the head of names says: {shares of its classes; logits: each class's at every place, whose mean decides: its
 * class activation map (Zhou et al. 2016)}.
 */
export function names(engine, { layers: { predictions } }, maps) {
  const logits = engine.layer(maps, predictions);
  return { shares: softmax(channelMeans(logits)), logits };
}

const SEEN = 224; // the longer side at which the head of colours sees a picture
const UNIT = 64; // its first layer takes hypercolumns divided by this
const VIVID = 0.38; // the temperature of Zhang, Isola and Efros (2016)

/**
 * Colours for a picture from its lightness (notebook 09): {careful, vivid: maps of a and b; away: how far they and
 * plain grey are from the picture's own colours on average}.
 */
export async function colours(engine, { vgg16, colours: { layers } }, centres, picture, still) {
  const size = networkSize(picture.h, picture.w, SEEN, Math.max(picture.h, picture.w));
  const seen = resize(picture, size);
  const { maps } = await run(engine, vgg16, recolour(seen), still);
  const [h, w] = size.map((length) => length / 2);
  const hidden = engine.layer(mix(engine, layers.mix, maps, [h, w]), layers.hidden, { relu: true });
  const own = toLab(resize(seen, [h, w]).values);
  const truth = Float32Array.from({ length: 2 * h * w }, (_, i) => own[3 * (i >> 1) + 1 + (i & 1)]);
  const guess = (layer, heat) => annealed(engine.layer(hidden, layer).values, centres, heat);
  const [careful, vivid] = [guess(layers.bins, 1), guess(layers.vivid, VIVID)];
  const away = [careful, vivid, new Float32Array(truth.length)].map((ab) => distance(ab, truth));
  return { careful: { values: careful, h, w, c: 2 }, vivid: { values: vivid, h, w, c: 2 }, away };
}

/** The head's first layer on hypercolumns that are never built: products on the small maps, then stretched. */
function mix(engine, { kernel, bias, shape }, stacks, [h, w]) {
  const units = shape[3];
  const zeros = engine.put({ values: new Float32Array(units), c: units }).pointer;
  const out = new Float32Array(h * w * units);
  let from = kernel;
  const add = (maps) => {
    const fine = maps.h > h; // read at the grid's places first
    const plain = { smooth: false };
    const x = fine ? engine.put(resize(maps, [h, w], { rows: plain, columns: plain })) : maps;
    const small = engine.layer(x, { kernel: from, bias: zeros, shape: [1, 1, x.c, units] });
    const { values } = fine ? small : resize(small, [h, w]);
    for (let i = 0; i < out.length; i++) out[i] += values[i] / UNIT;
    from += 4 * x.c * units;
  };
  for (const name of COLUMN) add(stacks[name]);
  const last = stacks[COLUMN.at(-1)];
  add(engine.put({ values: channelMeans(last), c: last.c }));
  const offsets = engine.floats(bias, units);
  return engine.put({ values: out.map((value, i) => Math.max(value + offsets[i % units], 0)), h, w, c: units });
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

/** What a head found in some blocks, the coarse ones enlarged and added to the finer: maps, the finest first. */
function blended(engine, layers, maps, blocks) {
  const found = [];
  for (const name of [...blocks].reverse()) {
    let x = engine.layer(maps[name], layers[`reduce_${name}`]);
    if (found.length) {
      const narrow = layers[`narrow_${name}`];
      const above = narrow ? engine.layer(found[0], narrow) : found[0];
      const side = engine.layer(x, layers[`side_${name}`]);
      const { values } = resize(above, [x.h, x.w]);
      x = engine.put({ ...side, values: side.values.map((value, i) => Math.max(value + values[i], 0)) });
    }
    x = engine.layer(x, layers[`look_${name}`], { relu: true });
    if (!found.length) {
      const around = engine.layer(x, layers.context, { relu: true, apart: 3 }).values;
      x.values.set(x.values.map((value, i) => value + around[i]));
    }
    found.unshift(x);
  }
  return found;
}

/** The number of the likeliest class of each pixel, by the head of streets (notebook 05). */
export function streets(engine, { layers }, maps) {
  const [x] = blended(engine, layers, maps, COLUMN.slice(1));
  const { values, h, w, c } = resize(engine.layer(x, layers.score), [2 * x.h, 2 * x.w]);
  return Uint8Array.from({ length: h * w }, (_, p) => {
    const row = values.subarray(p * c, (p + 1) * c);
    return row.indexOf(Math.max(...row));
  });
}

/** Largest value and mean of every channel in each column of some maps, or in each row: {values, count, c}. */
function profile({ values, h, w, c }, upright) {
  const [count, depth] = upright ? [w, h] : [h, w];
  const out = new Float32Array(count * 2 * c); // the maps come from a ReLU: none is below 0
  for (let y = 0, i = 0; y < h; y++)
    for (let x = 0; x < w; x++)
      for (let k = 0, to = 2 * c * (upright ? x : y); k < c; k++, i++, to++) {
        out[to] = Math.max(out[to], values[i]);
        out[to + c] += values[i] / depth;
      }
  return { values: out, count, c: 2 * c };
}

/** Where the two borders of the object lie among the columns, or the rows, in shares of the picture. */
function borders(engine, layers, found, word) {
  const profiles = found.map((maps) => profile(maps, word === "columns"));
  const [{ count }] = profiles;
  const c = profiles.reduce((sum, each) => sum + each.c, 0);
  const values = new Float32Array((count + 2) * c); // one more place beyond each end, of zeros
  for (let i = 0; i < count; i++) {
    let to = (i + 1) * c;
    for (const each of profiles) {
      const from = Math.floor((i * each.count) / count) * each.c;
      values.set(each.values.subarray(from, from + each.c), to);
      to += each.c;
    }
  }
  let x = engine.layer(engine.put({ values, w: count + 2, c }), layers[`${word}_1`], { relu: true });
  x = engine.layer(x, layers[`${word}_2`], { relu: true, apart: 3 });
  const scores = engine.layer(x, layers[`${word}_score`]).values;
  return [0, 1].map((side) =>
    softmax(scores.filter((_, i) => i % 2 === side)).reduce((sum, share, i) => sum + (share * (i - 0.5)) / count, 0),
  );
}

/** One look at a window [x, y, w, h] of a picture: {odds of the classes, box in the picture's pixels}. */
async function glance(engine, { vgg16, boxes: { layers } }, side, picture, [x, y, w, h], mirrored, still) {
  const columns = mirrored ? { start: x + w, length: -w } : { start: x, length: w };
  const seen = resize(picture, [side, side], { rows: { start: y, length: h }, columns });
  const { maps } = await run(engine, vgg16, seen, still);
  const found = blended(engine, layers, maps, COLUMN.slice(3));
  const last = found.at(-1);
  const mean = engine.put({ values: channelMeans(last), c: last.c });
  const odds = softmax(engine.layer(mean, layers.classes).values);
  const [left, right] = borders(engine, layers, found, "columns");
  const [top, bottom] = borders(engine, layers, found, "rows");
  const start = mirrored ? 1 - right : left;
  return { odds, box: [x + start * w, y + top * h, (right - left) * w, (bottom - top) * h] };
}

const average = (lists) => lists[0].map((_, i) => lists.reduce((sum, list) => sum + list[i], 0) / lists.length);

/** A box cut at the picture's border, never smaller than two pixels each way. */
function inside([x, y, w, h], { w: width, h: height }) {
  const along = (start, length, limit) => {
    const [first, last] = [start, start + length].map((end) => Math.min(Math.max(end, 0), limit));
    const long = Math.max(last - first, 2);
    return [Math.min(first, limit - long), long];
  };
  const [[left, wide], [top, tall]] = [along(x, w, width), along(y, h, height)];
  return [left, top, wide, tall];
}

/**
 * The name and the box of the one object in a picture (notebook 04): {odds, box: [x, y, w, h]}, told after each look.
 * card: side of the square that is looked at, and what is asked: how many looks, each but the first at the box and
 * `context` times as much; whether also at the mirrored picture.
 */
export async function locate(engine, weights, { input_size: side, asked }, picture, still, tell) {
  let window = [0, 0, picture.w, picture.h];
  const odds = [];
  let found;
  for (let look = 0; look < asked.looks; look++) {
    const { top } = engine;
    const seen = [];
    for (const mirrored of asked.mirror ? [false, true] : [false]) {
      seen.push(await glance(engine, weights, side, picture, window, mirrored, still));
      engine.top = top;
    }
    odds.push(average(seen.map((each) => each.odds)));
    found = { odds: average(odds), box: inside(average(seen.map((each) => each.box)), picture) };
    tell(found);
    const [x, y, w, h] = found.box;
    const more = asked.context;
    window = [x + (w * (1 - more)) / 2, y + (h * (1 - more)) / 2, w * more, h * more];
  }
  return found;
}
