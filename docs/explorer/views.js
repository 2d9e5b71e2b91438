// The eight views, as a table: each draws what the worker answers to its settings and the touched place, and says
//   needs: the head without which there is nothing to ask;
//   touch: whether a place of the photograph is asked about;
//   told(settings): the text beside its slider;
//   wait: what is said while the worker computes, where that takes long;
//   draw(answer, {page, form, settings}): over the photograph and in the view's own form, whole or in part.

import { COLUMN, LAYERS, fieldAt, largest, products } from "./arithmetic.js";
import { LIGHT, MAP, PALETTE, STREET, paintNumbers, paintPicture, recoloured } from "./pictures.js";

/** An element with properties and children; `aria` is an object. */
export function make(tag, { aria = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children);
  return element;
}

/** Show one of some buttons as pressed, or none. */
export function press(button, buttons) {
  for (const each of buttons) each.setAttribute("aria-pressed", each === button);
}

const note = (form, text) => (form.querySelector(".note").textContent = text);
const percent = (share) => (share < 0.005 ? "< 1 %" : `${Math.round(100 * share)} %`);
export const plain = (name) => name.replace(/block(\d)_conv(\d)/, "block $1, convolution $2");
export const answering = (layer, index) => `Bright: where map ${index} of ${plain(layer)} answers.`;
const area = ({ size }) => `${size} × ${size} pixels`;

/** Fill a form's list with maps to choose from: each lights up the photograph when it is chosen. */
function list({ page, form }, maps, captionOf, contentOf, chosen) {
  const parent = form.querySelector(".list");
  const buttons = maps.map((map) => {
    const button = make("button", { type: "button", aria: { pressed: false } }, ...contentOf(map));
    button.addEventListener("click", () => {
      press(button, buttons);
      page.light(map, LIGHT, captionOf(map));
    });
    return button;
  });
  parent.replaceChildren(...buttons.map((button) => make("li", {}, button)));
  if (chosen) buttons[0].click();
}

/** Fill a form's list with a layer's maps, and their wishes where there is an atlas. */
function listMaps(context, layer, maps, textOf, chosen = false) {
  const { page } = context;
  const content = (map) => {
    const canvas = make("canvas", { role: "img", ariaLabel: `Map ${map.index} of ${plain(layer)}` });
    paintNumbers(canvas, map, MAP);
    return [make("div", { className: "pair" }, canvas, ...page.wish(layer, map.index)), make("span", {}, textOf(map))];
  };
  list(context, maps, ({ index }) => answering(layer, index), content, chosen);
}

/** A name and its share, as text and as a bar. */
function bar(name, share) {
  const drawn = make("span", { className: "bar" });
  drawn.style.width = `${100 * share}%`;
  return [drawn, make("span", {}, name), make("span", { className: "share" }, percent(share))];
}

/** Shapes: the square that a layer sees from a place, and faintly those of the other blocks. */
function fields(layer, row, column) {
  const square = (name, className) => {
    const { x, y, size } = fieldAt(name, row, column);
    return { x, y, width: size, height: size, class: className };
  };
  const others = COLUMN.filter((name) => name !== layer).map((name) => square(name, "faint"));
  const dot = { x: column - 0.5, y: row - 0.5, width: 2, height: 2 };
  return [...others, ...framed(square(layer, "")), ...framed(dot)];
}

/** A shape with a dark one under it, to be seen on any ground. */
const framed = (shape) => [{ ...shape, class: "dark" }, shape];

/** The 27 products of a place, channel by channel, their sum, the bias, and what the ReLU leaves. */
function arithmetic(form, picture, { kernel, bias, value }, { row, column }) {
  const channels = products(picture, kernel, row, column);
  const sums = channels.map((cells) => cells.reduce((sum, { product }) => sum + product, 0));
  const tables = ["blue", "green", "red"].map((name, i) => productTable(`${name}: ${sums[i].toFixed(1)}`, channels[i]));
  const total = sums.reduce((a, b) => a + b, bias);
  const terms = `${sums.map((sum) => sum.toFixed(1)).join(" + ")} + bias ${bias.toFixed(2)} = ${total.toFixed(1)}`;
  const end = total < 0 ? "below zero, so the ReLU leaves 0" : `and the ReLU lets it through: ${value.toFixed(1)}`;
  const label = "The pixels around the point, enlarged";
  const around = make("canvas", { className: "around", role: "img", ariaLabel: label });
  paintPicture(around, picture, { row, column, size: 11 });
  form.querySelector(".sums").replaceChildren(make("div", { className: "lens" }, around), ...tables);
  form.querySelector(".result").textContent = `${terms.replaceAll("+ -", "− ")}, ${end}.`;
}

function productTable(caption, cells) {
  const drawn = cells.map(({ pixel, weight, product }) => {
    const title = `${pixel.toFixed(0)} × ${weight.toFixed(3)}`;
    const cell = make("td", { title }, product.toFixed(1));
    const colour = product < 0 ? "#bd1f01" : "#3f90da";
    const strength = Math.round(70 * Math.min(Math.abs(product) / 20, 1));
    cell.style.background = `color-mix(in srgb, ${colour} ${strength}%, var(--card))`;
    return cell;
  });
  const rows = [0, 3, 6].map((first) => make("tr", {}, ...drawn.slice(first, first + 3)));
  return make("table", { className: "products" }, make("caption", { className: "soft" }, caption), ...rows);
}

const COLOURED = [
  "The mean of all colours that the network holds possible: it errs least, and is pale.",
  "The colour that it holds likeliest, rare ones counted more: bolder, and further off when it errs.",
  "All that the network was shown.",
  "The photograph's own colours, which the network never saw.",
];

export const VIEWS = {
  names: {
    needs: "names",
    draw(found, context) {
      const { classes } = context.page.site;
      const content = ({ index, probability }) => bar(classes[index], probability);
      list(context, found, ({ index }) => `Bright: what speaks for “${classes[index]}”.`, content, true);
      const [{ index, probability }] = found;
      context.page.say(`The network's first thought: ${classes[index]}, ${percent(probability)}.`);
    },
  },

  touch: {
    touch: true,
    draw({ layer, likeness, strongest }, context) {
      const { page, form, settings } = context;
      const sorted = likeness.filter((_, p) => p % 16 === 0).sort();
      const [low, high] = [0.5, 0.985].map((share) => sorted[Math.floor(share * (sorted.length - 1))]);
      const numbers = Uint8ClampedArray.from(likeness, (value) => (255 * (value - low)) / (high - low || 1));
      const sees = `Square: the ${area(fieldAt(layer, 0, 0))} that ${plain(layer)} sees from here.`;
      page.light({ ...page.picture, numbers }, LIGHT, `Bright: pixels that are alike for the network. ${sees}`);
      page.mark(fields(layer, settings.row, settings.column));
      note(form, `Maps of ${plain(layer)} that stand out most at this point:`);
      listMaps(context, layer, strongest, ({ index, value }) => `map ${index}: ${value.toPrecision(3)}`);
    },
  },

  layers: {
    told: ({ layer }) => `${LAYERS[layer].name} · ${LAYERS[layer].channels} maps`,
    draw({ layer, strongest }, context) {
      const [{ h, w }] = strongest;
      const wishes = context.page.site.atlas
        ? "Beside each: a picture grown from noise that this map answers to most."
        : "";
      const seen = `every value has seen ${area(fieldAt(layer, 0, 0))}`;
      note(context.form, `Those that answer most, each ${w} × ${h} values; ${seen}. ${wishes}`);
      listMaps(context, layer, strongest, ({ index }) => `map ${index}`, true);
    },
  },

  groups: {
    told: ({ k }) => `${k} groups`,
    draw({ labels, rounds, settled }, { page, form, settings }) {
      const caption = `Each colour is one of ${settings.k} groups of pixels that are alike for the network.`;
      page.light({ ...page.picture, numbers: labels }, PALETTE, caption);
      note(form, settled ? `Settled after ${rounds} rounds.` : `Round ${rounds} …`);
    },
  },

  boxes: {
    needs: "boxes",
    wait: "Looking for one thing …",
    draw({ odds, box }, { page, form }) {
      const { class_names: names } = page.site.boxes;
      const [best] = largest(odds, 1);
      const [x, y, width, height] = box;
      page.mark(framed({ x, y, width, height }));
      page.caption(`The network's one box: “${names[best]}”.`);
      const rows = largest(odds, odds.length).map((k) => make("li", {}, make("div", {}, ...bar(names[k], odds[k]))));
      form.querySelector(".list").replaceChildren(...rows);
      const place = `from ${Math.round(x)}, ${Math.round(y)}, ${Math.round(width)} wide and ${Math.round(height)} high`;
      note(form, `In pixels, of ${page.picture.w} × ${page.picture.h}: ${place}.`);
    },
  },

  colours: {
    needs: "colours",
    wait: "Guessing colours …",
    draw({ careful, vivid, away }, { page, form, settings }) {
      const shown = [careful, vivid, undefined];
      if (settings.way < 3) paintPicture(page.canvas, recoloured(page.source, shown[settings.way]));
      else page.clear();
      page.caption(COLOURED[settings.way]);
      const [far, further, grey] = away.map((distance) => distance.toFixed(1));
      const said = `careful ${far}, vivid ${further}, plain grey ${grey}. Grey is what any guess has to beat.`;
      const unknown = "This photograph has no colours of its own, so nobody knows how far off the guesses are.";
      note(form, away[2] < 3 ? unknown : `How far from the true colours, on average: ${said}`);
    },
  },

  streets: {
    needs: "streets",
    wait: "Finding classes …",
    draw({ labels }, { page, form }) {
      const caption = "Each colour is one of eleven classes; the network has no word for anything else.";
      page.light({ ...page.picture, numbers: labels }, STREET, caption);
      const shares = STREET.map((_, k) => labels.reduce((sum, label) => sum + (label === k), 0) / labels.length);
      const key = largest(shares, shares.length).filter((k) => shares[k] > 0.005);
      const rows = key.map((k) => {
        const chip = make("span", { className: "chip" });
        chip.style.background = `rgb(${STREET[k].slice(0, 3)})`;
        return make("li", {}, chip, `${page.site.street[k]} ${percent(shares[k])}`);
      });
      form.querySelector(".list").replaceChildren(...rows);
    },
  },

  magnifier: {
    touch: true,
    told: ({ map }) => `map ${map}`,
    draw(found, { page, form, settings }) {
      const { row, column, map } = settings;
      const caption = `Bright: where map ${map} of the first convolution answers. The numbers take the square apart.`;
      page.light(found.map, LIGHT, caption);
      page.mark(framed({ x: column - 1, y: row - 1, width: 3, height: 3 }));
      arithmetic(form, page.picture, found, settings);
    },
  },
};
