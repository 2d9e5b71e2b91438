// The page: photographs, the worker that computes, and the view that is shown.

import { VIEWS, answering, make, plain, press } from "./views.js";
import { LIGHT, forNetwork, onCanvas, paintNumbers, readPicture } from "./pictures.js";

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const $ = (id) => document.getElementById(id);
const SLOW = 2.5; // seconds that a picture of normal size may take before the page stays with quick ones
const QUICK = 128;
const NORMAL = 224;
const OWN = "A photograph of your own";
const OWN_CREDIT = `${OWN}: it stays on this device.`;

const waiting = new Map(); // questions that the worker has not answered: {id: {what, picture, told, done}}
let at = [0.38, 0.36]; // the touched place, in shares of the photograph
let looked = false; // at the photograph that is shown
let sideChosen = false;
let last = { id: 0 }; // of these questions
let poster; // of what the maps would like to see: a promise

/** What the views draw on. */
const page = { canvas: $("light"), ask, say, caption, light, mark, clear, wish };

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

function caption(text) {
  $("caption").textContent = text;
}

// --- the worker ----------------------------------------------------------------------------------------------

/** Ask the worker; null if something else was asked meanwhile, or if it fails, which is said. told(part) before. */
function ask(what, question = {}, told = () => {}) {
  const id = last.id + 1;
  worker.postMessage({ ...question, id, what });
  return new Promise((done) => {
    last = { id, what, picture: page.picture, told, done };
    waiting.set(id, last);
  });
}

function fetched(bytes, total) {
  const bar = document.querySelector("progress");
  [bar.value, bar.hidden] = [bytes / total, bytes >= total];
  if (bytes < total) say(`Fetching the network: ${(bytes / 1e6).toFixed(0)} of ${(total / 1e6).toFixed(0)} MB`);
}

worker.onmessage = ({ data: { id, part, answer, error, bytes, total } }) => {
  if (total) return fetched(bytes, total);
  if (error) say(`${error}.`, true);
  const asked = waiting.get(id);
  const wanted = asked.what === last.what && asked.picture === page.picture; // one touch after another: each is drawn
  if (part) return wanted && asked.told(part);
  asked.done(wanted ? (answer ?? null) : null);
  waiting.delete(id);
};
worker.onerror = (event) => say(`The network could not be started: ${event.message ?? "unknown reason"}.`, true);

// --- what is drawn over the photograph -----------------------------------------------------------------------

function clear() {
  page.canvas.getContext("2d").clearRect(0, 0, page.canvas.width, page.canvas.height);
  $("marks").replaceChildren();
  caption(page.credit);
}

function light(map, palette, text) {
  paintNumbers(page.canvas, map, palette);
  caption(text);
}

/** Draw rectangles, in pixels of the picture that the network looked at. */
function mark(shapes) {
  const drawn = shapes.map((attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  });
  $("marks").replaceChildren(...drawn);
}

/** What a map would like to see most, from the atlas of notebook 08: [a picture], or nothing. */
function wish(layer, index) {
  const tile = page.site.atlas?.layers[layer]?.[index];
  if (!tile) return [];
  const [x, y, size] = tile;
  const label = `What map ${index} would like to see most`;
  const canvas = make("canvas", { className: "wish", role: "img", ariaLabel: label, width: size, height: size });
  poster ??= blobOf(page.site.atlas.file).then(createImageBitmap);
  poster.then((bitmap) => canvas.getContext("2d").drawImage(bitmap, x, y, size, size, 0, 0, size, size));
  return [canvas];
}

// --- the photograph ------------------------------------------------------------------------------------------

/** Read a picture (a promise of a file) and look at it; what can't be read is said. */
async function use(file, button, text = OWN, credit = OWN_CREDIT) {
  try {
    say("Reading the picture …");
    press(button, $("tray").children);
    await take(await readPicture(await file), text, credit);
  } catch (error) {
    say(error.message, true);
  }
}

/** Show a picture and let the network look at it, first at a small one. */
async function take(canvas, text, credit) {
  stopCamera();
  const { width, height } = canvas;
  Object.assign($("photo"), { width, height });
  $("photo").getContext("2d").drawImage(canvas, 0, 0);
  $("stage").style.setProperty("--aspect", (width / height).toFixed(4));
  $("stage").setAttribute("aria-label", `${text}. In Touch and Magnifier the arrow keys move the point.`);
  Object.assign(page, { source: canvas, credit });
  await look();
}

async function look() {
  const picture = forNetwork(page.source, Number($("side").value));
  const { h, w } = picture;
  page.picture = picture;
  looked = false;
  clear();
  $("marks").setAttribute("viewBox", `0 0 ${w} ${h}`);
  say("Looking …");
  const found = await ask("look", picture, ({ layer, map }) => {
    say(`Looking … ${plain(layer)}`);
    if (map) light(map, LIGHT, answering(layer, map.index));
  });
  if (!found) return;
  looked = true;
  say(`The network looked at ${w} × ${h} pixels for ${found.seconds.toFixed(1)} s.`);
  await update();
  if (page.picture !== picture) return;
  if (!sideChosen && (found.seconds * NORMAL ** 2) / QUICK ** 2 < SLOW) {
    sideChosen = true; // this device is quick enough for pictures of normal size
    $("side").value = String(NORMAL);
    return look();
  }
  document.body.dataset.ready = String(Number(document.body.dataset.ready ?? 0) + 1); // pictures looked at
}

const blobOf = (file) => fetch(file).then((answer) => answer.blob());

function fillTray() {
  const buttons = page.site.photographs.map(({ file, text, credit }) => {
    const image = make("img", { src: file, alt: text, loading: "lazy" });
    const button = make("button", { type: "button", title: text, aria: { pressed: false } }, image);
    button.addEventListener("click", () => use(blobOf(file), button, text, `Photograph: ${credit}`));
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
    return take(onCanvas(video, video.videoWidth, video.videoHeight), OWN, OWN_CREDIT);
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
  $("camera").hidden = !navigator.mediaDevices;
  $("camera").addEventListener("click", useCamera);
  const dropping = (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", event.type === "dragover");
  };
  for (const type of ["dragover", "dragleave", "drop"]) addEventListener(type, dropping);
  addEventListener("drop", (event) => useOne(event.dataTransfer.files));
  addEventListener("paste", (event) => useOne(event.clipboardData.files));
  $("side").addEventListener("change", () => {
    sideChosen = true;
    look();
  });
}

// --- views and touching --------------------------------------------------------------------------------------

const shownView = () => (location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "names");

/** What is set in a view's form, as numbers, and the touched pixel. */
function settingsOf(form) {
  const { h, w } = page.picture;
  const settings = Object.fromEntries(Array.from(new FormData(form), ([name, value]) => [name, Number(value)]));
  return { ...settings, row: Math.floor(at[0] * h), column: Math.floor(at[1] * w) };
}

/** Ask what the view that is shown asks, and draw the answer. */
async function update() {
  const name = shownView();
  const [view, form] = [VIEWS[name], $(`view-${name}`)];
  if (!looked || (view.needs && !page.site.weights[view.needs])) return;
  const settings = settingsOf(form);
  if (view.told) {
    form.querySelector("output").textContent = view.told(settings);
    form.querySelector("[type=range]").setAttribute("aria-valuetext", view.told(settings));
  }
  const draw = (found) => view.draw(found, { page, form, settings });
  if (view.wait) say(view.wait);
  const found = await ask(name, settings, draw);
  if (!found) return;
  if (view.wait) say("");
  draw(found);
}

function showView() {
  const name = shownView();
  for (const link of $("views").children)
    link.setAttribute("aria-current", link.hash === `#${name}` ? "page" : "false");
  for (const form of document.forms) form.hidden = form.id !== `view-${name}`;
  $("stage").classList.toggle("touchable", Boolean(VIEWS[name].touch));
  clear();
  if (looked) say("");
  update();
}

function fillViews() {
  for (const form of document.forms) {
    form.addEventListener("input", update);
    form.addEventListener("submit", (event) => event.preventDefault()); // Enter in a setting
  }
  for (const [name, { needs }] of Object.entries(VIEWS))
    if (needs && !page.site.weights[needs])
      $(`view-${name}`).append(make("p", {}, "This part is not installed here; the other views work."));
  for (const link of document.querySelectorAll(".more a")) {
    link.href = page.site.notebooks + link.getAttribute("href");
    link.parentElement.hidden = !page.site.notebooks;
  }
  addEventListener("hashchange", showView);
  showView();
}

function touchAt(y, x) {
  at = [y, x].map((place) => Math.min(Math.max(place, 0), 0.9999));
  if (VIEWS[shownView()].touch) update();
}

function listenForTouches() {
  const stage = $("stage");
  const touched = (event) => {
    if (!event.buttons) return;
    if (event.type === "pointerdown") stage.setPointerCapture(event.pointerId);
    const box = stage.getBoundingClientRect();
    touchAt((event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width);
  };
  stage.addEventListener("pointerdown", touched);
  stage.addEventListener("pointermove", touched);
  stage.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || !looked || !VIEWS[shownView()].touch) return;
    event.preventDefault();
    const { h, w } = page.picture;
    const far = event.shiftKey ? 8 : 1;
    touchAt(at[0] + (far * step[0]) / h, at[1] + (far * step[1]) / w);
  });
}

async function start() {
  page.site = await (await fetch("site.json")).json();
  $("side").value = String(QUICK);
  fillViews();
  fillTray();
  listenForPictures();
  listenForTouches();
  $("tray").firstChild.click();
}

globalThis.explorer = page; // for tests and the curious
start().catch((error) => say(`The explorer could not start: ${error.message}.`, true));
