// The page: photographs, the worker that computes, and the view that is shown.

import { VIEWS, make, press } from "./views.js";
import { forNetwork, onCanvas, readPicture } from "./pictures.js";

const $ = (id) => document.getElementById(id);
const SLOW = 2.5; // seconds that a picture of normal size may take before the page stays with quick ones
const QUICK = 128;
const NORMAL = 224;
const OWN = "A photograph of your own";

const app = {
  state: { choice: 0, layer: 6, k: 4, map: 0, at: [0.38, 0.36] },
  light: $("light"),
  picture: null,
  say,
  caption: (text) => ($("caption").textContent = text),
  ask,
  mark,
  wish,
  point() {
    const [y, x] = app.state.at;
    const { h, w } = app.picture;
    return { row: Math.min(Math.floor(y * h), h - 1), column: Math.min(Math.floor(x * w), w - 1) };
  },
};
const poster = new Image();
let view = null;
let sideChosen = false;

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

// --- the worker ----------------------------------------------------------------------------------------------

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const open = new Map();
let last = 0;

/** Ask the worker something; null if another picture came in between, or if it fails, which is said. */
function ask(what, question = {}) {
  const id = ++last;
  const { picture } = app;
  worker.postMessage({ ...question, id, what });
  return new Promise((resolve) => open.set(id, (answer) => resolve(app.picture === picture ? answer : null)));
}

const EVENTS = {
  bytes({ bytes, total }) {
    const bar = document.querySelector("progress");
    [bar.value, bar.hidden] = [total ? bytes / total : 0, bytes >= total];
    if (bytes < total) say(`Fetching the network: ${(bytes / 1e6).toFixed(0)} of ${(total / 1e6).toFixed(0)} MB`);
  },
  layer: ({ layer }) => say(`Looking … ${layer.replace("_conv", ", convolution ").replace("block", "block ")}`),
  round: (event) => app.onRound?.(event),
  failed: ({ message }) => say(`${message}.`, true),
};

worker.onmessage = ({ data }) => {
  if (data.event) return EVENTS[data.event](data);
  if (data.error) say(`${data.error}.`, true);
  open.get(data.id)(data.answer ?? null);
  open.delete(data.id);
};
worker.onerror = (event) => say(`The network could not be started: ${event.message ?? "unknown reason"}.`, true);

// --- the photograph ------------------------------------------------------------------------------------------

/** Show a picture and let the network look at it. */
async function take(canvas, text = OWN, credit = `${OWN}: it stays on this device.`) {
  stopCamera();
  const { width, height } = canvas;
  Object.assign($("photo"), { width, height });
  $("photo").getContext("2d").drawImage(canvas, 0, 0);
  $("stage").style.setProperty("--aspect", (width / height).toFixed(4));
  app.source = canvas;
  app.caption(credit);
  $("stage").setAttribute("aria-label", `${text}. In Touch and Magnifier the arrow keys move the point.`);
  await look();
}

async function look() {
  const side = Number($("side").value);
  const { rgb, h, w } = forNetwork(app.source, side);
  app.picture = { h, w, side };
  clear();
  $("marks").setAttribute("viewBox", `0 0 ${w} ${h}`);
  say("Looking …");
  const found = await ask("look", { rgb, h, w });
  if (!found) return;
  say(`The network looked at ${w} × ${h} pixels for ${found.seconds.toFixed(1)} s.`);
  view?.update();
  if (!sideChosen && side === QUICK && (found.seconds * NORMAL ** 2) / QUICK ** 2 < SLOW) {
    sideChosen = true; // this device is quick enough for pictures of normal size
    $("side").value = String(NORMAL);
    return look();
  }
  document.body.dataset.ready = String(Number(document.body.dataset.ready ?? 0) + 1); // pictures looked at
}

function clear() {
  app.light.getContext("2d").clearRect(0, 0, app.light.width, app.light.height);
  $("marks").replaceChildren();
}

/** Draw shapes and, unless it is left out, a cross at a pixel, over the photograph. */
function mark(shapes, row, column, cross = true) {
  const svg = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const dot = { x: column - 0.5, y: row - 0.5, width: 2, height: 2 };
  const all = cross ? [...shapes, ["rect", { ...dot, class: "dark" }], ["rect", dot]] : shapes;
  $("marks").replaceChildren(...all.map(([tag, attributes]) => svg(tag, attributes)));
}

/** What a map would like to see most, from the atlas of notebook 08, or null. */
function wish(layer, index) {
  const tile = app.site.atlas?.layers[layer]?.[index];
  if (!tile) return null;
  const [x, y, size] = tile;
  const label = `What map ${index} would like to see most`;
  const canvas = make("canvas", { className: "wish", role: "img", ariaLabel: label, width: size, height: size });
  poster.decode().then(() => canvas.getContext("2d").drawImage(poster, x, y, size, size, 0, 0, size, size));
  return canvas;
}

/** Read a picture (a promise of a file) and take it; what can't be read is said. */
async function use(file, button, text, credit) {
  try {
    say("Reading the picture …");
    press(button, $("tray").children);
    await take(await readPicture(await file), text, credit);
  } catch (error) {
    say(error.message, true);
  }
}

function usePhotograph({ file, text, credit }, button) {
  const fetched = fetch(file).then((answer) => answer.blob());
  return use(fetched, button, text, `Photograph: ${credit}`);
}

function fillTray() {
  const buttons = app.site.photographs.map((photograph) => {
    const image = make("img", { src: photograph.file, alt: photograph.text, loading: "lazy" });
    const button = make("button", { type: "button", title: photograph.text, aria: { pressed: false } }, image);
    button.addEventListener("click", () => usePhotograph(photograph, button));
    return button;
  });
  $("tray").replaceChildren(...buttons);
}

// --- a photograph of one's own -------------------------------------------------------------------------------

function useOne([file]) {
  if (file) use(file, null);
}

/** The first press shows what the camera sees, the second takes it. */
async function useCamera() {
  const video = $("viewfinder");
  if (video.srcObject) {
    press(null, $("tray").children);
    return take(onCanvas(video, video.videoWidth, video.videoHeight));
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    [video.hidden, $("camera").textContent] = [false, "Take it"];
    await video.play();
  } catch {
    stopCamera();
    say("There is no camera here that the page may use; choose a file instead.", true);
  }
}

function stopCamera() {
  const video = $("viewfinder");
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  [video.srcObject, video.hidden, $("camera").textContent] = [null, true, "Camera"];
}

function listenForPictures() {
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => useOne($("file").files));
  $("camera").hidden = !navigator.mediaDevices?.getUserMedia;
  $("camera").addEventListener("click", useCamera);
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    useOne(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => useOne(event.clipboardData.files));
  $("side").addEventListener("change", () => {
    sideChosen = true;
    look();
  });
}

// --- views and touching --------------------------------------------------------------------------------------

function showView(id) {
  const chosen = VIEWS.find((each) => each.id === id) ?? VIEWS[0];
  for (const tab of $("views").children) {
    tab.setAttribute("aria-selected", tab.id === `tab-${chosen.id}`);
    tab.tabIndex = tab.id === `tab-${chosen.id}` ? 0 : -1;
  }
  const panel = make("div", {}, make("p", {}, chosen.text));
  clear();
  app.onRound = null;
  $("panel").replaceChildren(panel);
  $("panel").setAttribute("aria-labelledby", `tab-${chosen.id}`);
  view = chosen.show(app, panel);
  if (app.site.notebooks) {
    const address = `${app.site.notebooks}${chosen.notebook}.html`;
    panel.append(make("p", {}, make("a", { href: address }, "How it works: the notebook")));
  }
  $("stage").classList.toggle("touchable", Boolean(view.touch));
  if (app.picture) view.update();
}

function fillTabs() {
  const tabs = VIEWS.map(({ id, title }) => {
    const tab = make("button", { type: "button", role: "tab", id: `tab-${id}`, aria: { controls: "panel" } }, title);
    tab.addEventListener("click", () => (location.hash = id));
    return tab;
  });
  $("views").replaceChildren(...tabs);
  $("views").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
  addEventListener("hashchange", () => showView(location.hash.slice(1)));
}

function touchAt(y, x) {
  if (!view?.touch || !app.picture) return;
  app.state.at = [y, x].map((place) => Math.min(Math.max(place, 0), 0.9999));
  view.touch();
}

function listenForTouches() {
  const stage = $("stage");
  const touched = (event) => {
    const box = stage.getBoundingClientRect();
    touchAt((event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width);
  };
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    touched(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (event.buttons) touched(event);
  });
  stage.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || !view?.touch || !app.picture) return;
    event.preventDefault();
    const { h, w } = app.picture;
    const far = event.shiftKey ? 8 : 1;
    touchAt(app.state.at[0] + (far * step[0]) / h, app.state.at[1] + (far * step[1]) / w);
  });
}

async function start() {
  app.site = await (await fetch("site.json")).json();
  app.threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, 4) : 1;
  if (app.site.atlas) poster.src = app.site.atlas.file;
  $("side").value = String(QUICK);
  fillTabs();
  fillTray();
  listenForPictures();
  listenForTouches();
  const { weights, centres } = app.site;
  const started = ask("start", { threads: app.threads, site: { weights, centres } });
  showView(location.hash.slice(1));
  await started;
  await usePhotograph(app.site.photographs[0], $("tray").firstChild);
}

globalThis.explorer = app; // for tests and the curious
start().catch((error) => say(`The explorer could not start: ${error.message}.`, true));
