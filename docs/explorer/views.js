// The seven views: each has {id, title, show(app, panel)} and returns {update, touch}, called when a picture is
// ready and when a pixel is touched.

import { COLUMN, LAYERS, fieldAt, largest, products } from "./arithmetic.js";
import { PALETTE, STREET, paintAround, paintColours, paintLight, paintMap, paintRecoloured } from "./pictures.js";

/** An element with properties and children; `data` and `aria` are objects, `on` are listeners. */
export function make(tag, { on = {}, aria = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  element.append(...children);
  return element;
}

/** Show one of some buttons as pressed, or none. */
export function press(button, buttons) {
  for (const each of buttons) each.setAttribute("aria-pressed", each === button);
}

/** A row of buttons of which one is pressed; chosen(i) is called when another is. */
function choices(legend, texts, at, chosen) {
  const buttons = texts.map((text, i) => {
    const click = (event) => {
      press(event.currentTarget, buttons);
      chosen(i);
    };
    return make("button", { type: "button", aria: { pressed: i === at }, on: { click } }, text);
  });
  return make("fieldset", { className: "choices" }, make("legend", {}, legend), ...buttons);
}

/** A labelled slider; told(value) gives the text beside it. */
function slider(label, [min, max, value], told, moved) {
  const output = make("output", {}, told(value));
  const input = make("input", { type: "range", id: `slider-${label.replace(/\W+/g, "-")}`, min, max, value });
  const set = () => {
    output.textContent = told(Number(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => {
    set();
    moved(Number(input.value));
  });
  set();
  return make("div", { className: "slider" }, make("label", { htmlFor: input.id }, label), output, input);
}

const percent = (share) => (share < 0.005 ? "< 1 %" : `${Math.round(100 * share)} %`);
const plain = (name) => name.replace(/block(\d)_conv(\d)/, "block $1, convolution $2");
const WHERE = ["all five", "1 · edges, colours", "2 · corners", "3 · textures", "4 · parts", "5 · objects"];
const stacksOf = (choice) => (choice ? [choice - 1] : [0, 1, 2, 3, 4]);

const lightMap = (app, { bytes, h, w }) =>
  paintLight(
    app.light,
    h,
    w,
    Float32Array.from(bytes, (byte) => byte / 255),
  );

/** A button with a map; pressing it lights the photograph with the map. */
function mapButton(app, layer, map, text, group) {
  const canvas = make("canvas", { role: "img", ariaLabel: `Map ${map.index} of ${plain(layer)}` });
  paintMap(canvas, map);
  const click = () => {
    press(button, group.querySelectorAll("button"));
    lightMap(app, map);
    app.caption(`Bright: where map ${map.index} of ${plain(layer)} answers.`);
  };
  const wish = app.wish(layer, map.index);
  const pictures = make("div", { className: "pair" }, canvas, ...(wish ? [wish] : []));
  const button = make(
    "button",
    { type: "button", aria: { pressed: false }, on: { click } },
    pictures,
    make("span", {}, text),
  );
  return make("li", {}, button);
}

const NAMES =
  "The network's own last layers are too large for this page. These names come from a small one that the course " +
  "trained in their place, on few pictures: it knows no person and no rocket, and says the nearest it knows.";

// --- 1. names ------------------------------------------------------------------------------------------------

function names(app, panel) {
  const list = make("ol", { className: "names" });
  const note = make("p", { className: "soft" });
  panel.append(list, note);

  async function light(button, { index }) {
    press(button, list.querySelectorAll("button"));
    const map = await app.ask("activation", { index });
    if (!map || !panel.isConnected || !list.contains(button)) return;
    paintLight(app.light, app.picture.h, app.picture.w, map);
    app.caption(`Bright: what speaks for “${app.site.classes[index]}”.`);
  }

  async function update() {
    const found = await app.ask("names", { count: 5 });
    if (!found || !panel.isConnected) return;
    note.textContent = found.length ? NAMES : "The part that gives names is not installed here; the other views work.";
    const items = found.map((guess) => {
      const bar = make("span", { className: "bar" });
      bar.style.width = `${100 * guess.probability}%`;
      const name = app.site.classes[guess.index];
      const button = make(
        "button",
        { type: "button", aria: { pressed: false } },
        bar,
        make("span", {}, name),
        make("span", { className: "share" }, percent(guess.probability)),
      );
      button.addEventListener("click", () => light(button, guess));
      return make("li", {}, button);
    });
    list.replaceChildren(...items);
    if (!found.length) return;
    app.say(`The network's first thought: ${app.site.classes[found[0].index]}, ${percent(found[0].probability)}.`);
    light(items[0].firstChild, found[0]);
  }
  return { update };
}

// --- 2. touch a pixel ----------------------------------------------------------------------------------------

function touch(app, panel) {
  let choice = app.state.choice;
  let [asking, waiting] = [false, false];
  const list = make("ul", { className: "maps" });
  const heading = make("p", { className: "soft" });
  const choose = (i) => {
    app.state.choice = choice = i;
    update();
  };
  panel.append(choices("Alike for which block of the network?", WHERE, choice, choose), heading, list);

  async function update() {
    if (asking) return (waiting = true);
    asking = true;
    const { row, column } = app.point();
    const layer = COLUMN[choice ? choice - 1 : 4];
    drawFields(app, row, column, layer);
    const found = await app.ask("touch", { row, column, which: stacksOf(choice), layer, count: 8 });
    asking = false;
    if (found && panel.isConnected) draw(found, layer);
    if (waiting) {
      waiting = false;
      update();
    }
  }

  function draw({ likeness, strongest }, layer) {
    const { h, w } = app.picture;
    if (likeness.length !== h * w) return;
    const sorted = likeness.filter((_, p) => p % 16 === 0).sort();
    const [low, high] = [0.5, 0.985].map((share) => sorted[Math.floor(share * (sorted.length - 1))]);
    paintLight(
      app.light,
      h,
      w,
      likeness.map((value) => Math.min(Math.max((value - low) / (high - low || 1), 0), 1)),
    );
    const { size } = fieldAt(layer, 0, 0);
    app.caption(
      `Bright: pixels that are alike for the network. Square: the ${size} × ${size} pixels that ${plain(layer)} sees from here.`,
    );
    heading.textContent = `Maps of ${plain(layer)} that stand out most at this point:`;
    list.replaceChildren(
      ...strongest.map((map) => mapButton(app, layer, map, `map ${map.index}: ${map.value.toPrecision(3)}`, list)),
    );
  }
  return { update, touch: update };
}

/** Draw the point, the square that a layer sees from it, and faintly those of the other blocks. */
function drawFields(app, row, column, chosen) {
  const others = COLUMN.filter((name) => name !== chosen);
  const square = (name, className) => {
    const { x, y, size } = fieldAt(name, row, column);
    return ["rect", { x, y, width: size, height: size, class: className }];
  };
  const shapes = others.map((name) => square(name, "faint"));
  app.mark([...shapes, square(chosen, "dark"), square(chosen, "")], row, column);
}

// --- 3. layer by layer ---------------------------------------------------------------------------------------

const WISHES = "Beside each: a picture grown from noise that this map answers to most.";
const wished = (app, name) => app.site.atlas && Object.keys(app.site.atlas.layers[name]).map(Number);

function layers(app, panel) {
  const list = make("ul", { className: "maps" });
  const about = make("p", { className: "soft" });
  const told = (i) => `${LAYERS[i].name} · ${LAYERS[i].channels} maps`;
  const move = (i) => {
    app.state.layer = i;
    update();
  };
  panel.append(slider("Layer", [0, 12, app.state.layer], told, move), about, list);

  async function update() {
    const { name } = LAYERS[app.state.layer];
    const found = await app.ask("maps", { layer: name, count: 12, among: wished(app, name) });
    if (!found || !panel.isConnected || name !== LAYERS[app.state.layer].name) return;
    const { size } = fieldAt(name, 0, 0);
    about.textContent = `Those that answer most, each ${found[0].w} × ${found[0].h} values; every value has seen ${size} × ${size} pixels. ${wished(app, name) ? WISHES : ""}`;
    list.classList.toggle("wide", Boolean(wished(app, name)));
    list.replaceChildren(...found.map((map) => mapButton(app, name, map, `map ${map.index}`, list)));
    list.querySelector("button").click();
  }
  return { update };
}

// --- 4. groups -----------------------------------------------------------------------------------------------

function groups(app, panel) {
  let choice = app.state.choice;
  const note = make("p", { className: "soft", role: "status" });
  const told = (k) => `${k} groups`;
  const count = slider("How many groups", [2, 8, app.state.k], told, (k) => {
    app.state.k = k;
    update();
  });
  const choose = (i) => {
    app.state.choice = choice = i;
    update();
  };
  panel.append(count, choices("Sorted by which block of the network?", WHERE, choice, choose), note);
  let rounds = 0;

  async function update() {
    const { k } = app.state;
    rounds = 0;
    app.onRound = (round) => round.k === app.state.k && draw(round.labels, round.k, ++rounds);
    const found = await app.ask("groups", { k, which: stacksOf(choice) });
    if (!found || !panel.isConnected) return;
    draw(found.labels, k, found.rounds);
    note.textContent = `Settled after ${found.rounds} rounds.`;
  }

  function draw(labels, k, round) {
    const { h, w } = app.picture;
    if (!panel.isConnected || labels.length !== h * w) return;
    paintColours(app.light, h, w, labels, PALETTE);
    note.textContent = `Round ${round} …`;
    app.caption(`Each colour is one of ${k} groups of pixels that are alike for the network.`);
  }
  return { update };
}

// --- 5. colours ----------------------------------------------------------------------------------------------

const GUESSES = ["careful", "vivid", "grey", "as it was"];
const COLOURED = [
  "The mean of all colours that the network holds possible: it errs least, and is pale.",
  "The colour that it holds likeliest, rare ones counted more: bolder, and further off when it errs.",
  "All that the network was shown.",
  "The photograph's own colours, which the network never saw.",
];

function colours(app, panel) {
  let [way, found] = [0, null];
  const note = make("p", { className: "soft" });
  const choose = (i) => {
    way = i;
    draw();
  };
  panel.append(choices("Which colours?", GUESSES, way, choose), note);

  async function update() {
    found = null;
    app.say("Guessing colours …");
    const answer = await app.ask("colours");
    if (!app.site.weights.colours) note.textContent = "The part that gives colours is not installed here.";
    if (!answer || !panel.isConnected) return;
    app.say("");
    found = answer;
    draw();
  }

  function draw() {
    if (!found) return;
    const { h, w, away } = found;
    if (way < 3) paintRecoloured(app.light, app.source, [found.careful, found.vivid, null][way], h, w);
    else paintLight(app.light, 1, 1, [1]);
    app.caption(COLOURED[way]);
    const [careful, vivid, grey] = away.map((far) => far.toFixed(1));
    note.textContent =
      away[2] < 3
        ? "This photograph has no colours of its own, so nobody knows how far off the guesses are."
        : `How far from the true colours, on average: careful ${careful}, vivid ${vivid}, plain grey ${grey}. Grey is what any guess has to beat.`;
  }
  return { update };
}

// --- 6. streets ----------------------------------------------------------------------------------------------

function streets(app, panel) {
  const list = make("ul", { className: "key" });
  panel.append(list);

  async function update() {
    const found = await app.ask("streets");
    if (!found || !panel.isConnected) return;
    const { h, w } = app.picture;
    paintColours(app.light, h, w, found.labels, STREET);
    app.caption("Each colour is one of eleven classes; the network has no word for anything else.");
    const shares = STREET.map((_, k) => found.labels.reduce((sum, label) => sum + (label === k), 0) / (h * w));
    const seen = largest(shares, shares.length).filter((k) => shares[k] > 0.005);
    list.replaceChildren(
      ...seen.map((k) => {
        const chip = make("span", { className: "chip" });
        chip.style.background = `rgb(${STREET[k].slice(0, 3)})`;
        return make("li", {}, chip, `${app.site.street[k]} ${percent(shares[k])}`);
      }),
    );
  }
  return { update };
}

const CELLS =
  "Each cell is a pixel's value, less the mean of all training pictures, times the weight at its place. Blue adds, " +
  "red takes away. That is all a convolution does; the whole network does it again and again, some ten thousand " +
  "million products for one picture.";

// --- 7. the magnifier ----------------------------------------------------------------------------------------

function magnifier(app, panel) {
  const place = make("div", {});
  const move = (map) => {
    app.state.map = map;
    update();
  };
  panel.append(
    slider("Map of the first convolution", [0, 63, app.state.map], (map) => `map ${map}`, move),
    place,
  );

  async function update() {
    const { row, column } = app.point();
    const found = await app.ask("magnify", { row, column, map: app.state.map });
    if (!found || !panel.isConnected) return;
    const box = { x: column - 1, y: row - 1, width: 3, height: 3 };
    app.mark(
      [
        ["rect", { ...box, class: "dark" }],
        ["rect", box],
      ],
      row,
      column,
      false,
    );
    lightMap(app, found.map);
    app.caption(
      `Bright: where map ${app.state.map} of the first convolution answers. The square is taken apart beside.`,
    );
    place.replaceChildren(...arithmetic(found, row, column));
  }
  return { update, touch: update };
}

/** The 27 products of a place, channel by channel, their sum, the bias, and what the ReLU leaves. */
function arithmetic({ kernel, bias, value, ...picture }, row, column) {
  const channels = products(picture, kernel, row, column);
  const sums = channels.map((cells) => cells.reduce((sum, { product }) => sum + product, 0));
  const tables = ["blue", "green", "red"].map((name, i) => productTable(`${name}: ${sums[i].toFixed(1)}`, channels[i]));
  const total = sums.reduce((a, b) => a + b, bias);
  const terms = `${sums.map((sum) => sum.toFixed(1)).join(" + ")} + bias ${bias.toFixed(2)} = ${total.toFixed(1)}`;
  const end = total < 0 ? "below zero, so the ReLU leaves 0" : `and the ReLU lets it through: ${value.toFixed(1)}`;
  const label = "The pixels around the point, enlarged";
  const around = make("canvas", { className: "around", role: "img", ariaLabel: label });
  paintAround(around, picture, row, column, 11);
  return [
    make("div", { className: "sums" }, make("div", { className: "lens" }, around), ...tables),
    make("p", { className: "result" }, `${terms.replaceAll("+ -", "− ")}, ${end}.`),
    make("p", { className: "soft" }, CELLS),
  ];
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

export const VIEWS = [
  {
    id: "names",
    title: "Names",
    show: names,
    notebook: "01_vgg16",
    text: "What is it, of a thousand things that the network was taught? Choose a name, and the photograph shows where it comes from.",
  },
  {
    id: "touch",
    title: "Touch",
    show: touch,
    notebook: "03_hypercolumns",
    text: "Touch the photograph and move. Everything that is alike for the network lights up with your point; the squares are what each block sees from there.",
  },
  {
    id: "layers",
    title: "Layers",
    show: layers,
    notebook: "02_feature_maps",
    text: "Thirteen convolutions, one after the other. The first ones keep edges and colours, the last ones hardly know where, but what.",
  },
  {
    id: "groups",
    title: "Groups",
    show: groups,
    notebook: "03_hypercolumns",
    text: "No names, no teaching: pixels are sorted by what they go through in the network, and fall into regions.",
  },
  {
    id: "colours",
    title: "Colours",
    show: colours,
    notebook: "09_colourization",
    text: "The network is shown light and dark only, and a small part on top of it guesses the colours, pixel by pixel.",
  },
  {
    id: "streets",
    title: "Streets",
    show: streets,
    notebook: "05_fcn_segmentation",
    text: "A class for every pixel: a small part on top of the network was taught on street scenes of one town. Give it a street of yours, and then a cat.",
  },
  {
    id: "magnifier",
    title: "Magnifier",
    show: magnifier,
    notebook: "00_convolution_basics",
    text: "One value of one map, taken apart: nine pixels in three colours, each multiplied by a weight, and added up.",
  },
];
