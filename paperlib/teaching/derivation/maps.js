/* One state, one computation from it, and the maps drawn from that. */
"use strict";

const LIGHT = [0.8, 0.83, 0.82]; // the true A of the haze put on
const LARGEST = 512; // pixels a side; a larger picture is shrunk
const START = { patch: 15, omega: 0.95, t0: 0.1, fraction: 0.01, radius: 40, eps: 0.001, strength: 0.55 };
const SLIDERS = { // name: [least, most, step, to value, to position, digits, words]
  strength: [0, 0.95, 0.01, (v) => v, (v) => v, 2, ["haze on average, 1 − t", "平均雾量 1 − t"]],
  patch: [1, 61, 2, (v) => v, (v) => v, 0, ["side of the window Ω, pixels", "窗口 Ω 的边长（像素）"]],
  omega: [0, 1, 0.01, (v) => v, (v) => v, 2, ["ω, the fraction of the haze that is taken away", "ω，去掉的雾的比例"]],
  t0: [0.01, 0.9, 0.01, (v) => v, (v) => v, 2, ["t₀, the least t that is divided by", "t₀，除数 t 的下限"]],
  fraction: [-4, 0, 0.1, (v) => 10 ** v, (v) => Math.log10(v), 4, ["fraction of the pixels that are candidates", "候选像素的比例"]],
  radius: [0, 80, 1, (v) => v, (v) => v, 0, ["radius of the guided filter, pixels", "导向滤波的半径（像素）"]],
  eps: [-5, -1, 0.1, (v) => 10 ** v, (v) => Math.log10(v), 5, ["ε, the variance of brightness that counts as flat", "ε，亮度方差低于它就算平坦"]],
};
const MAPS = { // name: [words, scale]; scale "unit" 0…1, "error" ±64 grey levels, none for a picture
  truth: [["scene without haze, J", "无雾场景 J"]],
  ground: [["no haze, J", "无雾 J"]],
  ground_dark: [["its dark channel", "它的暗通道"], "unit"],
  hazy: [["hazy picture, I", "有雾图像 I"]],
  true_t: [["true t", "真实的 t"], "unit"],
  divided: [["I/A (shown up to 1)", "I/A（显示到 1）"]],
  dark: [["dark channel of I", "I 的暗通道"], "unit"],
  left5: [["(5), left: dark channel of I/A", "(5) 左边：I/A 的暗通道"], "unit"],
  right5: [["(5), right, with J", "(5) 右边，用 J"], "unit"],
  printed5: [["as printed, with I", "按印刷，用 I"], "unit"],
  zero6: [["(6): should be 0", "(6)：应为 0"], "unit"],
  t7: [["t̃ by (7), ω = 1", "由 (7) 得到的 t̃，ω = 1"], "unit"],
  coarse: [["t̃ by (8), coarse", "由 (8) 得到的 t̃（粗）"], "unit"],
  candidates: [["candidates (yellow) and the brightest (ring)", "候选像素（黄）与最亮的（圆圈）"]],
  fine: [["t after the guided filter", "导向滤波后的 t"], "unit"],
  clear: [["recovered", "恢复的图像"]],
  error: [["error of the brightness", "亮度误差"], "error"],
};
const NAMES = { "river in the forest": "森林中的河流", "closed forest": "密林", "fields, road and houses": "农田、道路和房屋",
  mine: "矿场", "bare ground": "裸地", "clouds over a road": "道路上空的云" };

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const language = () => (document.documentElement.lang === "zh" ? 1 : 0);
const say = (words) => words[language()];
const both = ([en, zh]) => `<span lang="en">${en}</span><span lang="zh">${zh}</span>`;
const fixed = (value, digits = 3) => (Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).toFixed(digits).replace("-", "−");
const rgb = (values, digits = 3) => `<span class="rgb">(${values.map((v) => fixed(v, digits)).join(", ")})</span>`;

const state = { ...START, scene: "", depth: "slope", given: false, colour: LIGHT, own: null, hazyOwn: true, x: 0, y: 0 };
let now = null; // everything computed from the state
let saved = {}, savedTruth = {};
let base = null, held = ""; // what was there when the slider `held` was taken, to compare with

/* ---- computing ------------------------------------------------------------------------------ */

const pictures = {}; // name → image
const hasTruth = () => !(state.own && state.hazyOwn);

function compute() {
  const picture = state.own || pictures[state.scene];
  const { height, width } = picture;
  const hazeKey = JSON.stringify([hasTruth(), state.strength, state.depth]);
  if (!now || now.picture !== picture || now.hazeKey !== hazeKey) {
    saved = {};
    const t = hasTruth() ? Method.depthMap(height, width, state.strength, state.depth) : null;
    now = { picture, hazeKey, truth: hasTruth() ? picture : null, t,
      image: t ? Method.addHaze(picture, t, LIGHT) : picture };
    savedTruth = now.truth && savedTruth.of === picture ? savedTruth : { of: picture };
    now.psnrBefore = t && Method.psnr(picture, now.image);
  }
  const light = state.given ? (hasTruth() ? LIGHT : state.colour) : null;
  const p = { ...state };
  const found = Method.steps(now.image, p, light, saved);
  now = { ...now, ...found, height, width };
  const key = JSON.stringify([found.light, state.patch]);
  if (savedTruth.patch !== state.patch) {
    Object.assign(savedTruth, { patch: state.patch, dark: Method.darkChannel(now.truth || now.image, state.patch) });
  }
  if (now.truth && savedTruth.key !== key) {
    Object.assign(savedTruth, { key, relative: Method.darkRelative(now.truth, found.light, state.patch) });
  }
  now.groundDark = savedTruth.dark;
  now.zero = now.truth ? savedTruth.relative : null;
  now.below = now.fine.reduce((count, t) => count + (t < state.t0), 0);
  if (now.t) {
    now.psnr = Method.psnr(now.truth, now.clear);
    now.tError = now.fine.reduce((sum, t, i) => sum + Math.abs(t - now.t[i]), 0) / now.fine.length;
  }
}

/* ---- drawing -------------------------------------------------------------------------------- */

const VIRIDIS = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37]];
const ERROR = [[0, 90, 160], [120, 170, 210], [245, 245, 245], [240, 170, 110], [200, 80, 0]];
const along = (stops) => Uint8Array.from({ length: 768 }, (_, k) => {
  const at = (Math.floor(k / 3) / 255) * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(at));
  return Math.round(stops[i][k % 3] + (at - i) * (stops[i + 1][k % 3] - stops[i][k % 3]));
});
const TABLES = { unit: along(VIRIDIS), error: along(ERROR) };

const NEED_TRUTH = ["true_t", "right5", "printed5", "zero6", "error"];

/* The map of one name: an image, or a plane in 0…1 (error: −1…1); null where it is not known. */
function layer(name) {
  const { image, truth, relative, t, clear } = now;
  if (!truth && NEED_TRUTH.includes(name)) return null; // they are about to leave the screen
  const planes = {
    ground_dark: () => now.groundDark.map((v) => v / 255), true_t: () => t, dark: () => now.dark.map((v) => v / 255),
    left5: () => relative, right5: () => now.zero.map((v, i) => t[i] * v + 1 - t[i]),
    printed5: () => relative.map((v, i) => t[i] * v + 1 - t[i]), zero6: () => now.zero,
    t7: () => relative.map((v) => 1 - v), coarse: () => now.coarse, fine: () => now.fine,
    error: () => { const a = Method.luma(truth), b = Method.luma(clear); return a.map((v, i) => (b[i] - v) * (255 / 64)); },
  };
  if (planes[name]) return planes[name]();
  if (name === "divided") {
    const scale = now.light.map((a) => 1 / a);
    return { ...image, data: image.data.map((v, k) => Math.min(255, v * scale[k % 3])) };
  }
  if (name === "candidates") {
    const data = image.data.slice();
    now.dark.forEach((v, i) => {
      if (v >= now.found.threshold) data.set([255, 212, 0], 3 * i);
      else for (let c = 0; c < 3; c++) data[3 * i + c] *= 0.55;
    });
    return { ...image, data };
  }
  return { truth: truth || image, ground: truth || image, hazy: image, clear }[name];
}

function paint(canvas, what, scale) {
  const { height, width } = now;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height), out = pixels.data;
  if (scale) {
    const table = TABLES[scale], low = scale === "error" ? -1 : 0, span = 1 - low;
    for (let i = 0, k = 0; i < what.length; i++) {
      const level = 3 * Math.max(0, Math.min(255, Math.round(((what[i] - low) / span) * 255)));
      out[k++] = table[level]; out[k++] = table[level + 1]; out[k++] = table[level + 2]; out[k++] = 255;
    }
  } else {
    for (let i = 0, k = 0; k < out.length; i += 3) {
      out[k++] = what.data[i]; out[k++] = what.data[i + 1]; out[k++] = what.data[i + 2]; out[k++] = 255;
    }
  }
  context.putImageData(pixels, 0, 0);
}

const visible = new Set(); // elements on or near the screen: only these are drawn
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) { visible.add(entry.target); entry.target.redraw(); } else visible.delete(entry.target);
  }
}, { rootMargin: "25%" });

/* A canvas with the window and its least pixel on top; a press, a drag or the arrow keys move the probe. */
function stage(label) {
  const one = document.createElement("div");
  one.className = "stage"; one.tabIndex = 0; one.setAttribute("role", "application");
  one.innerHTML = '<canvas></canvas><svg aria-hidden="true"></svg>';
  const move = (event) => {
    const box = one.getBoundingClientRect();
    probe(((event.clientX - box.left) / box.width) * now.width, ((event.clientY - box.top) / box.height) * now.height);
  };
  one.addEventListener("pointerdown", (event) => { if (event.pointerType === "mouse") one.setPointerCapture(event.pointerId); move(event); });
  one.addEventListener("pointermove", (event) => { if (event.buttons || event.pressure > 0) move(event); });
  one.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by) return;
    event.preventDefault();
    probe(state.x + by[0] * (event.shiftKey ? 10 : 1), state.y + by[1] * (event.shiftKey ? 10 : 1));
  });
  one.named = () => one.setAttribute("aria-label", `${say(label)}. ${say(["Arrow keys move the pixel that the equations show, with Shift by ten.", "方向键移动公式所用的像素，按住 Shift 每次十个。"])}`);
  return one;
}

/* Whose least value a map rings: J, J/A or I/A; else that of I. */
const RINGED = { truth: "J", ground: "J", ground_dark: "J", zero6: "J/A", right5: "J/A",
  divided: "I/A", left5: "I/A", printed5: "I/A", t7: "I/A", coarse: "I/A" };

function overlay(svg, name) {
  const { width, height } = now, of = RINGED[name] || "I";
  const w = windowAt((of[0] === "J" && now.truth) || now.image, of.endsWith("A") ? now.light : undefined);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const box = `x="${w.left}" y="${w.top}" width="${w.right - w.left + 1}" height="${w.bottom - w.top + 1}"`;
  const r = width / 50, ring = `cx="${w.least.x + 0.5}" cy="${w.least.y + 0.5}" r="${r}"`;
  const dot = `cx="${state.x + 0.5}" cy="${state.y + 0.5}" r="${width / 300}"`;
  let marks = `<rect class="under" ${box}/><rect class="mark" ${box}/><circle class="under" ${dot}/><circle class="mark" ${dot}/>`;
  marks += `<circle class="under" ${ring}/><circle class="least" ${ring}/>`;
  if (svg.dataset.brightest) {
    for (const i of now.found.brightest.slice(0, 40)) {
      const at = `cx="${(i % width) + 0.5}" cy="${Math.floor(i / width) + 0.5}" r="${r}"`;
      marks += `<circle class="under" ${at}/><circle class="mark" ${at}/>`;
    }
  }
  svg.innerHTML = marks;
}

function buildMap(host) {
  const name = host.dataset.map, [words, scale] = MAPS[name];
  const figure = document.createElement("figure"), one = stage(words);
  figure.append(one);
  const bar = scale === "unit" ? ["0", "1"] : ["−64", "+64"];
  figure.insertAdjacentHTML("beforeend", (scale ? `<div class="scale"><span>${bar[0]}</span><i></i><span>${bar[1]}</span></div>` : "") +
    `<figcaption><b>${both(words)}</b> <span class="value"></span></figcaption>`);
  if (scale) {
    const stops = scale === "unit" ? VIRIDIS : ERROR;
    $("i", figure).style.background = `linear-gradient(to right, ${stops.map((s) => `rgb(${s})`).join(",")})`;
  }
  if (name === "candidates") $("svg", one).dataset.brightest = "1";
  host.append(figure);
  host.marks = () => {
    if (!visible.has(host)) return;
    overlay($("svg", one), name);
    const i = state.y * now.width + state.x, what = name === "candidates" ? now.image : host.drawn;
    $(".value", figure).innerHTML = !what ? "" : scale === "error" ? fixed(what[i] * 64, 0)
      : scale ? fixed(what[i]) : rgb([0, 1, 2].map((c) => what.data[3 * i + c] / 255), 2);
  };
  host.redraw = () => {
    if (!now || !visible.has(host)) return;
    host.drawn = layer(name);
    if (!host.drawn) return;
    paint($("canvas", one), host.drawn, scale);
    one.named();
    host.marks();
  };
  watcher.observe(host);
}

/* The window around the probe, enlarged, with its least pixel framed. */
function buildZoom(host) {
  host.innerHTML = `<figure class="zoom"><div class="stage"><canvas role="img"></canvas><svg aria-hidden="true"></svg></div>
    <figcaption><b>${both(["the window, enlarged", "放大的窗口"])}</b> <span class="value"></span></figcaption></figure>`;
  const canvas = $("canvas", host);
  host.redraw = host.marks = () => {
    if (!now || !visible.has(host)) return;
    const w = windowAt(savedTruth.of || now.image), wide = w.right - w.left + 1, high = w.bottom - w.top + 1;
    const side = Math.max(wide, high);
    [canvas.width, canvas.height] = [side, side];
    const context = canvas.getContext("2d"), pixels = context.createImageData(wide, high), ground = now.truth || now.image;
    for (let y = 0, k = 0; y < high; y++) {
      for (let x = 0; x < wide; x++, k += 4) {
        const i = 3 * ((w.top + y) * now.width + w.left + x);
        pixels.data.set([ground.data[i], ground.data[i + 1], ground.data[i + 2], 255], k);
      }
    }
    context.putImageData(pixels, 0, 0);
    const svg = $("svg", host), at = `x="${w.least.x - w.left}" y="${w.least.y - w.top}" width="1" height="1"`;
    svg.setAttribute("viewBox", `0 0 ${side} ${side}`);
    svg.innerHTML = `<rect class="under" ${at}/><rect class="least" ${at}/>`;
    const text = `${wide} × ${high}, ${say(["least", "最小"])} ${fixed(w.least.value / 255)} ${say(COLOURS[w.least.channel])}`;
    $(".value", host).textContent = text;
    canvas.setAttribute("aria-label", say(["the window, enlarged", "放大的窗口"]));
  };
  watcher.observe(host);
}
