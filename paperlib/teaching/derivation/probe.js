/* The probed pixel: its window, its numbers in the equations, and what a slider changed. */
"use strict";

const COLOURS = [["red", "红"], ["green", "绿"], ["blue", "蓝"]];

/* The window of the probed pixel and the least value in it, of c / divide[c]. */
function windowAt(image = now.image, divide = [1, 1, 1]) {
  const up = Math.floor(state.patch / 2), down = state.patch - 1 - up;
  const top = Math.max(0, state.y - up), bottom = Math.min(now.height - 1, state.y + down);
  const left = Math.max(0, state.x - up), right = Math.min(now.width - 1, state.x + down);
  let least = { value: Infinity };
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const value = image.data[3 * (y * now.width + x) + channel] / divide[channel];
        if (value < least.value) least = { value, x, y, channel };
      }
    }
  }
  return { top, bottom, left, right, least };
}

function probe(x, y) {
  state.x = Math.max(0, Math.min(now.width - 1, Math.floor(x)));
  state.y = Math.max(0, Math.min(now.height - 1, Math.floor(y)));
  schedule("marks");
}

/* The equations with the numbers of the probed pixel in them. */
const WORKED = {
  1: (v) => {
    const ground = now.truth || now.image, w = windowAt(ground), n = (w.right - w.left + 1) * (w.bottom - w.top + 1);
    return [`J<sup>dark</sup> = min of 3 · ${n} numbers = <b>${fixed(w.least.value / 255)}</b>`, `J<sup>dark</sup> = 3 · ${n} 个数的最小值 = <b>${fixed(w.least.value / 255)}</b>`,
      `the ${COLOURS[w.least.channel][0]} of pixel (${w.least.x}, ${w.least.y})`, `像素 (${w.least.x}, ${w.least.y}) 的${COLOURS[w.least.channel][1]}色`];
  },
  2: (v) => {
    const share = (plane) => plane.reduce((n, d) => n + (d < 25), 0) / plane.length;
    const [j, i] = [share(now.groundDark), share(now.dark)].map((s) => `${Math.round(100 * s)} %`);
    if (!now.truth) return [`dark channel below 25 of 255: <b>${i}</b> of the pixels of this hazy picture`, `暗通道低于 25 的像素：这张有雾图像中占 <b>${i}</b>`];
    return [`dark channel below 25 of 255: <b>${j}</b> of the pixels of J, ${i} of those of I`, `暗通道低于 25 的像素：J 中占 <b>${j}</b>，I 中占 ${i}`,
      "He, Sun and Tang found 90 % in their 5,000 pictures.", "He、Sun、Tang 在他们的 5000 张图像中得到 90 %。"];
  },
  3: (v) => v.t === null ? [`I = ${rgb(v.I)}; J, t and A are what we look for`, `I = ${rgb(v.I)}；J、t、A 都是未知数`]
    : [`${rgb(v.J, 2)} · ${fixed(v.t, 2)} + ${rgb(LIGHT, 2)} · ${fixed(1 - v.t, 2)} = <b>${rgb(v.J.map((j, c) => j * v.t + LIGHT[c] * (1 - v.t)), 2)}</b>`],
  4: (v) => [`${rgb(v.I, 2)} ÷ ${rgb(now.light, 2)} = <b>${rgb(v.I.map((i, c) => i / now.light[c]), 2)}</b>`],
  5: (v) => v.t === null ? [`left = <b>${fixed(v.m)}</b>; the right side is not known for a photo`, `左边 = <b>${fixed(v.m)}</b>；照片的右边未知`]
    : [`left = <b>${fixed(v.m)}</b>; right, with J: ${fixed(v.t, 2)} · ${fixed(v.z)} + ${fixed(1 - v.t, 2)} = <b>${fixed(v.t * v.z + 1 - v.t)}</b>; as printed: ${fixed(v.t * v.m + 1 - v.t)}`,
      `左边 = <b>${fixed(v.m)}</b>；右边，用 J：${fixed(v.t, 2)} · ${fixed(v.z)} + ${fixed(1 - v.t, 2)} = <b>${fixed(v.t * v.z + 1 - v.t)}</b>；按印刷：${fixed(v.t * v.m + 1 - v.t)}`,
      state.depth === "even" && state.given ? "" : "Exact only where t is the same in the window and A is the true one.", state.depth === "even" && state.given ? "" : "只有窗口内 t 不变、且 A 为真值时才严格相等。"],
  6: (v) => v.z === null ? [`for a photo: set to <b>0</b>`, `对照片：令它为 <b>0</b>`] : [`here it is <b>${fixed(v.z)}</b>, on average over the picture ${fixed(mean(now.zero))}`, `这里是 <b>${fixed(v.z)}</b>，全图平均 ${fixed(mean(now.zero))}`],
  7: (v) => [`t̃ = 1 − ${fixed(v.m)} = <b>${fixed(1 - v.m)}</b>${v.t === null ? "" : both(["; true t ", "；真实的 t "]) + fixed(v.t)}`],
  8: (v) => {
    const line = `t̃ = 1 − ${fixed(state.omega, 2)} · ${fixed(v.m)} = <b>${fixed(1 - state.omega * v.m)}</b>${v.t === null ? "" : both(["; true t ", "；真实的 t "]) + fixed(v.t)}`;
    if (v.t === null) return [line];
    const digits = (value) => Number(value.toFixed(3)); // so that the rounded numbers add up
    const left = digits((1 - state.omega) * (1 - v.t)), prior = digits(state.omega * v.t * v.z);
    const off = digits(digits(1 - state.omega * v.m) - digits(v.t)), rest = digits(off - left + prior);
    const sum = `${fixed(left)} − ${fixed(prior)} ${rest < 0 ? "−" : "+"} ${fixed(Math.abs(rest))} = <b>${fixed(off)}</b>`;
    return [line, line, `t̃ − t = ${sum}: haze left on purpose, (1 − ω)(1 − t); the prior is not quite true, − ω·t·min J/A; and what comes of an A that is not exact, and a t that changes within the window`,
      `t̃ − t = ${sum}：有意留下的雾 (1 − ω)(1 − t)；先验不严格成立 − ω·t·min J/A；以及 A 不准确、窗口内 t 有变化带来的部分`];
  },
  light: () => {
    const n = now.dark.length, want = Math.ceil(state.fraction * n), { threshold, candidates, brightest, light } = now.found;
    const rest = now.t ? [`; true A ${rgb(LIGHT, 2)}`, `；真实的 A ${rgb(LIGHT, 2)}`] : ["", ""];
    return [`⌈${fixed(state.fraction, 4)} · ${n}⌉ = ${want}; the ${want}${ordinal(want)} largest dark channel is ${threshold} of 255; ${candidates} candidates reach it, ${brightest.length} of them the brightest: A = <b>${rgb(light)}</b>${rest[0]}`,
      `⌈${fixed(state.fraction, 4)} · ${n}⌉ = ${want}；暗通道第 ${want} 大的值为 ${threshold}（满值 255）；达到它的候选像素有 ${candidates} 个，其中最亮的 ${brightest.length} 个：A = <b>${rgb(light)}</b>${rest[1]}`,
      state.given ? "A is given at the moment: the steps use the given one." : "", state.given ? "目前 A 是给定的：各步使用给定值。" : ""];
  },
  filter: (v) => [`t̃ = ${fixed(v.coarse)} → t = <b>${fixed(v.fine)}</b>${v.t === null ? "" : both(["; true t ", "；真实的 t "]) + fixed(v.t)}`],
  9: (v) => [`(${rgb(v.I, 2)} − ${rgb(now.light, 2)}) ÷ max(${fixed(v.fine, 2)}, ${fixed(state.t0, 2)}) + ${rgb(now.light, 2)} = <b>${rgb(v.I.map((i, c) => Math.min(1, Math.max(0, (i - now.light[c]) / Math.max(v.fine, state.t0) + now.light[c]))), 2)}</b>${v.t === null ? "" : both(["; truth ", "；真值 "]) + rgb(v.J, 2)}`],
};
const ordinal = (n) => (n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] || "th");
const decibel = (value, digits = 1) => (Number.isFinite(value) ? fixed(value, digits) : "∞");
const mean = (plane) => plane.reduce((sum, v) => sum + v, 0) / plane.length;

function fill() {
  const i = state.y * now.width + state.x, at = (image) => [0, 1, 2].map((c) => image.data[3 * i + c] / 255);
  const v = { I: at(now.image), J: now.truth && at(now.truth), t: now.t ? now.t[i] : null, m: now.relative[i],
    z: now.zero ? now.zero[i] : null, coarse: now.coarse[i], fine: now.fine[i] };
  for (const host of $$("[data-worked]")) {
    const [en, zh = en, small = "", smallZh = small] = WORKED[host.dataset.worked](v);
    host.className = "worked";
    const where = ["2", "light"].includes(host.dataset.worked) ? "" : `<small>${both([`pixel (${state.x}, ${state.y})`, `像素 (${state.x}, ${state.y})`])}</small><br>`;
    host.innerHTML = `${where}${both([en, zh])}${small ? `<br><small>${both([small, smallZh])}</small>` : ""}`;
  }
  clearTimeout(fill.later);
  fill.later = setTimeout(() => {
    $("#heard").textContent = `${say(["pixel", "像素"])} ${state.x}, ${state.y}: I/A min ${fixed(v.m)}, t ${fixed(v.fine)}` + (v.t === null ? "" : `, ${say(["true", "真实"])} ${fixed(v.t)}`);
  }, 500);
}

/* ---- numbers and what a slider changed ------------------------------------------------------- */

function numbers() {
  const a = rgb(now.light, 2), tell = now.t ? [
    `PSNR ${decibel(now.psnrBefore)} → ${decibel(now.psnr)} dB · SSIM <span class="ssim">…</span> (in colour) · mean error of t ${fixed(now.tError)} · A = ${a}, true ${rgb(LIGHT, 2)}`,
    `PSNR ${decibel(now.psnrBefore)} → ${decibel(now.psnr)} dB · SSIM <span class="ssim">…</span>（彩色）· t 的平均误差 ${fixed(now.tError)} · A = ${a}，真值 ${rgb(LIGHT, 2)}`]
    : [`A = ${a} · mean t ${fixed(mean(now.fine))} · no truth is known for a hazy photo: look, and judge`, `A = ${a} · 平均 t ${fixed(mean(now.fine))} · 有雾照片没有真值：请用眼睛判断`];
  for (const host of $$("[data-numbers]")) host.innerHTML = both(tell);
  clearTimeout(numbers.later); // SSIM takes as long as all the rest: when the slider rests
  if (now.t) numbers.later = setTimeout(() => {
    const text = [now.image, now.clear].map((one) => fixed(Method.ssim(now.truth, one))).join(" → ");
    for (const host of $$(".ssim")) host.textContent = text;
  }, 120);
}

/* Under the slider that moved: what it changed since it was taken. Under the others: what is so. */
function effects(changed) {
  const there = base && base.picture === now.picture && base.fine.length === now.fine.length;
  const psnr = now.t && there && base.t ? `PSNR ${decibel(base.psnr, 2)} → ${decibel(now.psnr, 2)} dB` : "";
  const moved = there ? mean(now.fine) - mean(base.fine) : 0;
  const same = there && base.found.light.every((a, c) => a === now.found.light[c]);
  const nothing = there && !now.below && !base.below;
  const texts = { // name: what is so, and what it changed
    strength: [["", ""], ["", ""]],
    patch: [[`mean dark channel of I ${fixed(mean(now.dark) / 255)}${now.truth ? `, of J ${fixed(mean(now.groundDark) / 255)}` : ""}.`,
      `I 的暗通道平均值 ${fixed(mean(now.dark) / 255)}${now.truth ? `，J 的 ${fixed(mean(now.groundDark) / 255)}` : ""}。`], ["", ""]],
    omega: [["", ""], [`t changed by ${fixed(moved)} on average.`, `t 平均变化 ${fixed(moved)}。`]],
    t0: [[`${now.below} pixels have t below t₀.`, `有 ${now.below} 个像素的 t 低于 t₀。`], nothing ? ["Nothing changes.", "没有变化。"] : ["", ""]],
    fraction: [[`${now.found.candidates} candidates.${state.given ? " (A is given: not used.)" : ""}`, `${now.found.candidates} 个候选像素。${state.given ? "（A 为给定值：未使用。）" : ""}`],
      same ? ["A unchanged: the brightest of them are the same pixels.", "A 不变：其中最亮的像素没变。"] : ["A changed.", "A 变了。"]],
    radius: [[`a window of ${2 * state.radius + 1} pixels.`, `窗口为 ${2 * state.radius + 1} 像素。`], ["", ""]],
    eps: [[`flat is what varies by less than ${fixed(Math.sqrt(state.eps) * 255, 0)} grey levels.`, `变化小于 ${fixed(Math.sqrt(state.eps) * 255, 0)} 个灰度级算平坦。`], ["", ""]],
  };
  for (const host of $$("[data-slider]")) {
    const name = host.dataset.slider, [so, change] = texts[name];
    const told = (k) => [so[k], ...(changed === name ? [change[k], psnr] : [])].filter(Boolean).join(" ");
    $(".effect", host).innerHTML = both([told(0), told(1)]);
  }
}
