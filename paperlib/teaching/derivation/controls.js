/* Sliders, guesses, exercises, pictures of one's own: what the reader can do. */
"use strict";

function buildSlider(host) {
  const name = host.dataset.slider, [least, most, step, value, position, digits, words] = SLIDERS[name];
  host.innerHTML = `<label class="slider"><span><span>${both(words)}</span><output></output></span>
    <input type="range" min="${least}" max="${most}" step="${step}"><span class="effect"></span></label>`;
  const input = $("input", host);
  input.addEventListener("input", () => {
    state[name] = Number(value(Number(input.value)).toPrecision(6));
    schedule("all", name);
  });
  input.addEventListener("change", () => { held = ""; }); // let go: the next move is compared with this
  host.sync = () => {
    input.value = position(state[name]);
    const text = `${name === "strength" || digits ? Number(state[name].toFixed(digits)) : state[name]}`;
    $("output", host).textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
}

function buildPredict(host) {
  const { ask, answers } = PREDICT[host.dataset.predict], step = host.closest(".step");
  step.classList.add("veiled");
  host.className = "predict"; host.setAttribute("role", "group"); host.setAttribute("aria-label", ask.join(" / "));
  host.innerHTML = `<p>${both(ask)}</p><div class="choices">${answers.map(([words]) => `<button type="button" aria-pressed="false">${both(words)}</button>`).join("")}
    <button type="button" class="link">${both(["just show it", "直接显示"])}</button></div><p class="why" role="status"></p>`;
  $$("button", host).forEach((button, i) => button.addEventListener("click", () => {
    step.classList.remove("veiled");
    $$("button", host).forEach((other) => { other.setAttribute("aria-pressed", other === button); other.classList.remove("right", "wrong"); });
    if (i < answers.length) {
      host.tell = () => {
        let { right } = PREDICT[host.dataset.predict], why = answers[i][1];
        if (right < 0) { // the prior: the picture itself says it, and another one may say otherwise
          const share = now.groundDark.reduce((n, d) => n + (d < 25), 0) / now.groundDark.length;
          right = share < 0.25 ? 0 : share < 0.7 ? 1 : 2;
          const text = `${Math.round(100 * share)} %`;
          why = i === right ? [`Yes: ${text}.`, `对：${text}。`] : [`It is ${text}. Try another scene and see how it changes.`, `实际是 ${text}。换一个场景看看有什么变化。`];
        }
        button.classList.toggle("right", i === right); button.classList.toggle("wrong", i !== right);
        const text = `<b class="${i === right ? "right" : "wrong"}">${i === right ? "✔" : "✘"}</b> ${both(why)}`;
        if (host.told !== text) $(".why", host).innerHTML = host.told = text;
      };
    } else { host.tell = null; $(".why", host).innerHTML = host.told = ""; }
    schedule("all");
  }));
}

function buildWiper(host) {
  host.innerHTML = `<figure class="wiper"><div class="stage-host"></div>
    <label class="slider"><span>${both(["before | after", "去雾前 | 去雾后"])}</span><input type="range" min="0" max="100" value="50"></label>
    <figcaption>${both(["left: hazy; right: recovered; the slider moves the line", "左：有雾；右：恢复；用滑块移动分界线"])}</figcaption></figure><p class="numbers" data-numbers></p>
    <div class="pair truth-only"><div data-map="truth"></div><div data-map="error"></div></div>`;
  const one = stage(["recovered picture, before and after", "恢复的图像：前后对比"]), input = $("input", host);
  one.insertAdjacentHTML("afterbegin", "<canvas></canvas>");
  one.insertAdjacentHTML("beforeend", '<div class="line"></div>');
  $(".stage-host", host).replaceWith(one);
  const wipe = () => {
    $$("canvas", one)[1].style.clipPath = `inset(0 0 0 ${input.value}%)`;
    $(".line", one).style.left = `calc(${input.value}% - 1px)`;
    input.setAttribute("aria-valuetext", `${input.value} %`);
  };
  input.addEventListener("input", wipe);
  host.marks = () => { if (visible.has(host)) overlay($("svg", one)); };
  host.redraw = () => {
    if (!now || !visible.has(host)) return;
    const [hazy, clear] = $$("canvas", one);
    paint(hazy, now.image); paint(clear, now.clear); one.named(); wipe(); host.marks();
  };
  watcher.observe(host);
}

function buildHistogram(host) {
  host.redraw = () => {
    if (!now || !visible.has(host)) return;
    const bins = (plane) => { const n = new Array(64).fill(0); plane.forEach((v) => n[v >> 2]++); return n.map((c) => c / plane.length); };
    const ground = bins(now.groundDark), hazy = bins(now.dark), top = Math.max(0.02, ...ground, ...hazy);
    const bars = (values, colour) => values.map((v, k) => `<rect x="${40 + 8 * k}" y="${170 - (150 * v) / top}" width="8" height="${(150 * v) / top}" fill="${colour}" fill-opacity=".6"/>`).join("");
    const label = say(["Histogram of the dark channel: J blue, I orange", "暗通道直方图：J 蓝色，I 橙色"]);
    host.innerHTML = `<figure><svg class="histogram" role="img" aria-label="${label}" viewBox="0 0 580 205">${now.truth ? bars(ground, "#0072b2") : ""}${bars(hazy, "#e69f00")}
      <path d="M40 170H552M${40 + 50} 14V170" stroke="currentColor" stroke-width="1" stroke-dasharray="0"/><text x="${44 + 50}" y="24">25</text>
      <text x="40" y="190">0</text><text x="552" y="190" text-anchor="end">255</text><text x="296" y="202" text-anchor="middle">${say(["dark channel, grey level", "暗通道灰度级"])}</text><text x="36" y="30" text-anchor="end">${Math.round(100 * top)}%</text></svg>
      <figcaption>${both(["fraction of the pixels; J blue, I orange", "像素比例；J 蓝色，I 橙色"])}</figcaption></figure>`;
  };
  watcher.observe(host);
}

function buildSwatches(host) {
  host.redraw = () => {
    const css = (a) => `rgb(${a.map((v) => Math.round(v * 255)).join(",")})`;
    const one = (a, words) => `<span><i data-colour="${css(a)}"></i>${both(words)}</span>`;
    host.className = "swatches";
    host.innerHTML = one(now.found.light, ["A estimated", "估计的 A"]) + (now.t ? one(LIGHT, ["A true", "真实的 A"]) : state.given ? one(state.colour, ["A given", "给定的 A"]) : "");
    for (const i of $$("i", host)) i.style.background = i.dataset.colour;
  };
}

function buildExercises() {
  const solved = load("solved") || {}, tries = {};
  $("#questions").innerHTML = EXERCISES.map(({ id, title, ask, table }) => `<div class="exercise" id="exercise-${id}"><h3>${both(title)}</h3><p>${both(ask)}</p>
    ${table ? `<div class="scroll" tabindex="0" role="region" aria-label="${title.join(" / ")}"><table><tbody>${table.map((row, r) => `<tr>${row.map((cell) => (id === "light" && !r ? `<th scope="col">${cell}</th>` : `<td>${cell}</td>`)).join("")}</tr>`).join("")}</tbody></table></div>` : ""}
    <form><label><span class="hidden">${both(["your answer", "你的答案"])}: ${both(title)}</span><input type="text" inputmode="text" autocomplete="off"></label>
    <button>${both(["Check", "检查"])}</button><button type="button" class="link" hidden>${both(["Show the way", "看解法"])}</button></form><p class="why" role="status"></p></div>`).join("");
  const count = () => { $("#done").innerHTML = both([`${Object.keys(solved).length} of ${EXERCISES.length} done`, `已完成 ${Object.keys(solved).length} / ${EXERCISES.length}`]); };
  for (const exercise of EXERCISES) {
    const host = $(`#exercise-${exercise.id}`), why = $(".why", host);
    const tell = (ok, words) => { why.innerHTML = `<b class="${ok ? "right" : "wrong"}">${ok ? "✔" : "✘"}</b> ${both(words)}`; };
    $("form", host).addEventListener("submit", (event) => {
      event.preventDefault();
      const verdict = judge(exercise, $("input", host).value);
      tell(verdict.ok, verdict.why);
      if (verdict.ok) { solved[exercise.id] = 1; save("solved", solved); count(); $(".link", host).hidden = true; } else if (verdict.counts) {
        tries[exercise.id] = (tries[exercise.id] || 0) + 1;
        $(".link", host).hidden = tries[exercise.id] < 2;
      }
    });
    $(".link", host).addEventListener("click", () => { why.innerHTML = both(exercise.way); });
  }
  count();
}

/* What the browser remembers; a page from a file or inside another one may not. */
function load(key) { try { return JSON.parse(localStorage.getItem(`derivation-${key}`)); } catch { return null; } }
function save(key, value) { try { localStorage.setItem(`derivation-${key}`, JSON.stringify(value)); } catch { /* not remembered */ } }

/* ---- one redraw per frame -------------------------------------------------------------------- */

let wanted = null;
function schedule(what, changed = "") {
  if (!wanted) requestAnimationFrame(refresh);
  wanted = { all: what === "all" || (wanted && wanted.all), changed: changed || (wanted && wanted.changed) || "" };
}

function refresh() {
  const { all, changed } = wanted;
  wanted = null;
  if (all) {
    if (changed !== held || !(changed in SLIDERS)) [base, held] = [now, changed];
    compute();
    document.documentElement.toggleAttribute("data-truth", hasTruth());
    // maps are drawn when they come into view: their room is there before, so that nothing jumps
    document.documentElement.style.setProperty("--ratio", now.width / now.height);
    for (const host of $$("[data-slider]")) host.sync();
    for (const list of $$("[data-depth]")) list.value = state.depth;
    for (const host of $$("[data-map], [data-zoom], [data-wiper], [data-histogram], [data-swatches]")) host.redraw();
    for (const host of $$("[data-predict]")) if (host.tell) host.tell();
    numbers();
    effects(changed);
  } else for (const host of $$("[data-map], [data-zoom], [data-wiper]")) host.marks();
  fill();
}

/* ---- pictures -------------------------------------------------------------------------------- */

async function decode(source) {
  const picture = new Image();
  picture.src = source;
  await picture.decode();
  const scale = Math.min(1, LARGEST / Math.max(picture.naturalWidth, picture.naturalHeight));
  const [width, height] = [picture.naturalWidth, picture.naturalHeight].map((s) => Math.max(1, Math.round(s * scale)));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high"; context.drawImage(picture, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height).data, data = new Uint8Array(3 * height * width);
  for (let i = 0, k = 0; i < pixels.length; i += 4) { data[k++] = pixels[i]; data[k++] = pixels[i + 1]; data[k++] = pixels[i + 2]; }
  return { height, width, data, shrunk: scale < 1 ? [picture.naturalWidth, picture.naturalHeight] : null };
}

function note(words) { $("#note").innerHTML = words ? both(words) : ""; }

const OWN = "/own"; // in the list of scenes, shown while a file of the reader's is

async function open(file) {
  const address = URL.createObjectURL(file);
  try {
    const picture = await decode(address);
    $("#scene").value = OWN;
    use(picture);
    note(picture.shrunk ? [`Your picture of ${picture.shrunk.join(" × ")} pixels is shown at ${picture.width} × ${picture.height}.`, `你的图像（${picture.shrunk.join(" × ")} 像素）按 ${picture.width} × ${picture.height} 显示。`] : null);
  } catch {
    note(["This file cannot be read as a picture. JPEG, PNG and WebP work in every browser.", "无法把这个文件当作图像读取。JPEG、PNG、WebP 在各浏览器里都可用。"]);
  } finally { URL.revokeObjectURL(address); }
}

function use(picture) {
  state.own = picture;
  $("#kind").hidden = !picture;
  centre();
  colourField();
  schedule("all");
}

function centre() {
  const picture = state.own || pictures[state.scene];
  [state.x, state.y] = [picture.width >> 1, picture.height >> 1];
}

const colourField = () => { $("#colour-field").hidden = !(state.given && !hasTruth()); };

function words() { // everything whose text hangs on the language and is not marked up
  const depths = { even: ["the same everywhere", "处处均匀"], slope: ["thicker to one corner", "向一角变浓"], bank: ["a bank in the middle", "中部一条雾带"] };
  for (const option of $$("[data-depth] option")) option.textContent = say(depths[option.value]);
  for (const option of $("#scene").options) option.textContent = option.value === OWN ? say(["a picture of your own", "你自己的图像"]) : language() ? NAMES[option.value] || option.value : option.value;
  document.title = say(["Haze removal by the dark channel prior, derived step by step", "一步一步推导：暗通道先验去雾"]);
  $("#language").textContent = language() ? "English" : "中文"; $("#language").lang = language() ? "en" : "zh";
}

async function start() {
  const own = JSON.parse($("#own").textContent), scenes = JSON.parse($("#scenes").textContent);
  const hazy = Object.keys(own).filter((name) => own[name].hazy);
  for (const [name, { source }] of Object.entries(own)) pictures[name] = await decode(source);
  for (const [name, source] of Object.entries(scenes)) pictures[name in pictures ? `${name} (scene)` : name] = await decode(source);
  $("#scene").innerHTML = Object.keys(pictures).map(() => "<option></option>").join("");
  [...$("#scene").options].forEach((option, k) => { option.value = Object.keys(pictures)[k]; });
  $("#scene").insertAdjacentHTML("beforeend", `<option value="${OWN}" hidden></option>`);
  state.scene = Object.keys(pictures)[0];
  const choose = () => { state.scene = $("#scene").value; $("#file").value = ""; note(null); use(hazy.includes(state.scene) ? pictures[state.scene] : null); };
  $("#scene").addEventListener("change", choose);
  $$("[data-go]").forEach((button) => button.addEventListener("click", () => {
    const names = [...$("#scene").options].map((option) => option.value);
    $("#scene").value = names.includes(`${button.dataset.go} (scene)`) ? `${button.dataset.go} (scene)` : button.dataset.go;
    choose();
  }));
  $("#file").addEventListener("change", (event) => event.target.files[0] && open(event.target.files[0]));
  document.addEventListener("dragover", (event) => { event.preventDefault(); $("#picture").classList.add("over"); });
  document.addEventListener("dragleave", () => $("#picture").classList.remove("over"));
  document.addEventListener("drop", (event) => { event.preventDefault(); $("#picture").classList.remove("over"); if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]); });
  $$('[name="kind"]').forEach((input) => input.addEventListener("change", () => { state.hazyOwn = $('[name="kind"]:checked').value === "hazy"; colourField(); schedule("all"); }));
  $$('[name="light"]').forEach((input) => input.addEventListener("change", () => { state.given = $('[name="light"]:checked').value === "given"; colourField(); schedule("all", "light"); }));
  $("#colour").addEventListener("input", (event) => { state.colour = [1, 3, 5].map((k) => Math.max(1 / 255, parseInt(event.target.value.slice(k, k + 2), 16) / 255)); schedule("all", "light"); });
  $$("[data-depth]").forEach((list) => list.addEventListener("change", () => { state.depth = list.value; schedule("all", "strength"); }));
  $("#reset").addEventListener("click", () => { Object.assign(state, START, { depth: "slope", given: false }); $('[name="light"][value="estimated"]').checked = true; colourField(); schedule("all", "reset"); });
  $("#all").addEventListener("change", () => { $$(".step").forEach((step) => step.classList.toggle("veiled", !$("#all").checked && Boolean($("[data-predict]", step)))); schedule("all"); });
  $("#language").addEventListener("click", () => { document.documentElement.lang = language() ? "en" : "zh"; save("language", document.documentElement.lang); words(); schedule("all", "language"); });
  $("#theme").addEventListener("click", () => {
    const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark"; save("theme", root.dataset.theme);
  });
  if (load("theme")) document.documentElement.dataset.theme = load("theme");
  if (!document.documentElement.dataset.language && ["en", "zh"].includes(load("language"))) document.documentElement.lang = load("language");
  $$("[data-wiper]").forEach(buildWiper);
  $$("[data-map]").forEach(buildMap);
  $$("[data-zoom]").forEach(buildZoom);
  $$("[data-slider]").forEach(buildSlider);
  $$("[data-predict]").forEach(buildPredict);
  $$("[data-histogram]").forEach(buildHistogram);
  $$("[data-swatches]").forEach(buildSwatches);
  buildExercises();
  words();
  choose();
  document.documentElement.dataset.ready = "1";
}
start();
